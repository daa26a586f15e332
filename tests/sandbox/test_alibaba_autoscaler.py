"""The managed scaler of the emulated Container Service: what switches it on, and what stops it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sandbox.aliyun import REGION, Aliyun, account, anew, refused
from tests.sandbox.workloads import Workloads, grows_and_shrinks, stays, until

ROLE = "AliyunCSManagedAutoScalerRole"
SCALING = {"enable": True, "min_instances": 1, "max_instances": 3, "type": "cpu"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


@pytest.fixture
def cluster(cloud: Aliyun) -> dict[str, Any]:
    return cloud.cluster()


@pytest.fixture
def kube(cloud: Aliyun, cluster: dict[str, Any], tmp_path: Path) -> Iterator[Workloads]:
    found = yaml.safe_load(
        cloud("cs:DescribeClusterUserKubeconfig", cluster["cluster_id"])["config"]
    )
    made = Workloads.by_kubeconfig(found, tmp_path, cloud.sandbox.proxy)
    yield made
    made.close()


def scaled(cloud: Aliyun, cluster: dict[str, Any], **group: Any) -> tuple[str, str]:
    """A pool of one to three machines: the ids in its path."""
    made = cloud.pool(
        cluster, parts={"auto_scaling": SCALING}, desired_size=None,
        instance_types=["ecs.c7.large"], **group,
    )  # fmt: skip
    cloud.done(made["task_id"])
    return cluster["cluster_id"], made["nodepool_id"]


def grant(cloud: Aliyun) -> None:
    """The role that the scaler acts as."""
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow",
                 "Principal": {"Service": ["cs.aliyuncs.com"]}}  # fmt: skip
    document = json.dumps({"Statement": [statement], "Version": "1"})
    cloud("ram:CreateRole", RoleName=ROLE, AssumeRolePolicyDocument=document)
    cloud("ram:AttachPolicyToRole", PolicyName=f"{ROLE}Policy", PolicyType="System", RoleName=ROLE)


def configure(cloud: Aliyun, cluster: dict[str, Any], **more: Any) -> None:
    """CreateAutoscalingConfig as users send it."""
    body = {"cool_down_duration": "10m", "unneeded_duration": "10 m", "scan_interval": "30s",
            "utilization_threshold": "0.5", "expander": "least-waste", **more}  # fmt: skip
    answer = cloud("cs:CreateAutoscalingConfig", cluster["cluster_id"], **body)
    assert answer["cluster_id"] == cluster["cluster_id"]
    cloud.done(answer["task_id"])


def test_pods_bring_nodes_and_idle_nodes_go(
    cloud: Aliyun, cluster: dict[str, Any], kube: Workloads
) -> None:
    grant(cloud)
    configure(cloud, cluster)
    path = scaled(cloud, cluster)
    grows_and_shrinks(kube, 1, 3)
    found = cloud("cs:DescribeClusterNodePoolDetail", *path)
    assert found["status"]["total_nodes"] == 1
    assert found["auto_scaling"]["max_instances"] == 3
    [group] = cloud("ess:DescribeScalingGroups", RegionId=REGION)["ScalingGroups"]
    assert group["ScalingGroupId"] == found["scaling_group"]["scaling_group_id"]
    assert (group["MinSize"], group["MaxSize"], group["TotalCapacity"]) == (1, 3, 1)


def test_without_a_configuration_nobody_scales_until_there_is_one(
    cloud: Aliyun, cluster: dict[str, Any], kube: Workloads
) -> None:
    grant(cloud)
    scaled(cloud, cluster)
    kube.deploy("web", 2)
    until(lambda: kube.told("FailedScheduling"), "one waits")
    stays(lambda: kube.nodes() == 1)
    configure(cloud, cluster, scale_down_enabled=False)
    until(lambda: kube.nodes() == 2, "a node")
    kube.scale("web", 0)
    stays(lambda: kube.nodes() == 2)


def test_without_its_role_the_scaler_says_so(
    cloud: Aliyun, cluster: dict[str, Any], kube: Workloads
) -> None:
    configure(cloud, cluster)
    scaled(cloud, cluster)
    kube.deploy("web", 2)
    until(lambda: kube.told("CloudProviderError", "kube-system"), "told")
    [told] = kube.told("CloudProviderError", "kube-system")
    assert told.startswith("EntityNotExist.Role: ")
    assert ROLE in told
    stays(lambda: kube.nodes() == 1)
    grant(cloud)
    until(lambda: kube.nodes() == 2, "with the role one comes")


def test_a_pool_of_a_given_size_stays(
    cloud: Aliyun, cluster: dict[str, Any], kube: Workloads
) -> None:
    grant(cloud)
    configure(cloud, cluster)
    cloud.done(cloud.pool(cluster, desired_size=1)["task_id"])
    kube.deploy("web", 5)
    until(lambda: kube.told("FailedScheduling"), "one waits")
    stays(lambda: kube.nodes() == 1)


@pytest.mark.parametrize(
    "wrong",
    [{"unneeded_duration": "61m"}, {"cool_down_duration": "soon"}, {"scan_interval": "31s"},
     {"utilization_threshold": "2"}, {"expander": "price"}],
)  # fmt: skip
def test_values_that_cannot_be(
    cloud: Aliyun, cluster: dict[str, Any], wrong: dict[str, Any]
) -> None:
    with refused("InvalidParameter"):
        cloud("cs:CreateAutoscalingConfig", cluster["cluster_id"], **wrong)
