"""Node pools of the emulated Container Service: what they keep, and how their nodes leave."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from tests.sandbox.aliyun import REGION, Aliyun, account, anew, eventually, refused
from tests.sandbox.test_alibaba_kubernetes import Kube

LIFECYCLE = "AliyunOOSLifecycleHook4CSRole"


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
def path(cloud: Aliyun, cluster: dict[str, Any]) -> tuple[str, str]:
    """A pool of two machines: the ids in its path."""
    made = cloud.pool(cluster)
    cloud.done(made["task_id"])
    return cluster["cluster_id"], made["nodepool_id"]


@pytest.fixture
def kube(cloud: Aliyun, path: tuple[str, str], tmp_path: Path) -> Kube:
    return Kube(cloud, path[0], tmp_path)


def machines(cloud: Aliyun, path: tuple[str, str]) -> list[Any]:
    found: list[Any] = cloud("cs:DescribeClusterNodes", path[0], nodepool_id=path[1])["nodes"]
    return found


def state(cloud: Aliyun, path: tuple[str, str]) -> str:
    return str(cloud("cs:DescribeClusterNodePoolDetail", *path)["status"]["state"])


def run(kube: Kube, node: str, name: str, owner: dict[str, str] | None = None) -> None:
    """A pod on this very node."""
    metadata: dict[str, Any] = {"name": name}
    if owner:
        metadata["ownerReferences"] = [owner]
    container = {"name": "main", "image": "registry.example/app"}
    kube.core.create_namespaced_pod(
        "default", {"metadata": metadata, "spec": {"containers": [container], "nodeName": node}}
    )


def pods(kube: Kube) -> list[str]:
    return [pod.metadata.name for pod in kube.core.list_namespaced_pod("default").items]


# -- nodes that leave ----------------------------------------------------------------------------


def test_a_node_is_drained_and_goes(cloud: Aliyun, path: tuple[str, str], kube: Kube) -> None:
    going, staying = machines(cloud, path)
    run(kube, going["node_name"], "mine")
    run(kube, staying["node_name"], "other")
    task = cloud(
        "cs:RemoveNodePoolNodes",
        *path, instance_ids=[going["instance_id"]], drain_node=True, release_node=True,
    )["task_id"]  # fmt: skip
    cloud.done(task)
    assert [m["instance_id"] for m in machines(cloud, path)] == [staying["instance_id"]]
    assert pods(kube) == ["other"]
    nodes = eventually(lambda: kube.core.list_node().items, lambda found: len(found) == 1)
    assert nodes[0].metadata.name == staying["node_name"]
    assert not nodes[0].spec.unschedulable
    pool = cloud("cs:DescribeClusterNodePoolDetail", *path)
    assert (pool["scaling_group"]["desired_size"], pool["status"]["state"]) == (1, "active")
    assert cloud("ecs:DescribeInstances", RegionId=REGION)["TotalCount"] == 1


def test_nodes_are_cordoned_while_they_leave(
    cloud: Aliyun, path: tuple[str, str], kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = machines(cloud, path)
    run(kube, found[0]["node_name"], "mine")
    with monkeypatch.context() as slow:
        slow.setattr(cloud.sandbox.pace, "factor", 60.0)
        task = cloud(
            "cs:RemoveNodePoolNodes", *path, instance_ids=[m["instance_id"] for m in found],
            release_node=True,
        )["task_id"]  # fmt: skip
        assert state(cloud, path) == "removing_nodes"
        with refused("InvalidNodePoolStatus.Forbidden") as message:
            cloud("cs:ScaleClusterNodePool", *path, count=1)
        assert "removing_nodes" in message[0]
        nodes = eventually(
            lambda: kube.core.list_node().items, lambda all_: all_[0].spec.unschedulable
        )
        assert [n.spec.unschedulable for n in nodes] == [True, True]
        assert pods(kube) == ["mine"], "nobody asked for a drain"
        # one after the other, as nobody asked for concurrency
        eventually(lambda: len(machines(cloud, path)) == 1)
        assert cloud("cs:DescribeTaskInfo", task)["state"] == "running"
        cloud.done(task)
    assert machines(cloud, path) == []


def test_what_is_not_drained(cloud: Aliyun, path: tuple[str, str], kube: Kube) -> None:
    going = machines(cloud, path)[0]
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "0" * 32}
    run(kube, going["node_name"], "agent", owner)
    started = time.monotonic()
    cloud.done(
        cloud(
            "cs:RemoveNodePoolNodes", *path, instance_ids=[going["instance_id"]],
            drain_node=True, release_node=True,
        )["task_id"]
    )  # fmt: skip
    assert time.monotonic() - started < 5


def test_a_drain_that_hangs(
    cloud: Aliyun, path: tuple[str, str], kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterkit_sandbox.alibaba.poollife._PATIENCE", 0.3)
    first, second = machines(cloud, path)
    container = {"name": "main", "image": "registry.example/app"}
    kube.core.create_namespaced_pod(
        "default",
        {
            "metadata": {"name": "clings", "finalizers": ["example.com/wait"]},
            "spec": {"containers": [container], "nodeName": first["node_name"]},
        },
    )
    asked = {"drain_node": True, "release_node": True}
    task = cloud("cs:RemoveNodePoolNodes", *path, instance_ids=[first["instance_id"]], **asked)
    error = cloud.done(task["task_id"], "fail")["error"]
    assert "default/clings" in error["message"]
    assert (state(cloud, path), len(machines(cloud, path))) == ("active", 2)
    # by force it goes the same way, and leaves a pool that takes nothing but another deletion
    gone = cloud("cs:DeleteClusterNodepool", *path, force=True)["task_id"]
    cloud.done(gone, "fail")
    assert state(cloud, path) == "delete_failed"
    with refused("InvalidNodePoolStatus.Forbidden"):
        cloud("cs:RemoveNodePoolNodes", *path, instance_ids=[second["instance_id"]], **asked)
    kube.core.patch_namespaced_pod("clings", "default", {"metadata": {"finalizers": None}})
    cloud.done(cloud("cs:DeleteClusterNodepool", *path, force=True)["task_id"])
    with refused("ErrorNodePoolNotFound", 404):
        cloud("cs:DescribeClusterNodePoolDetail", *path)


@pytest.mark.parametrize(
    "spec", [{"minAvailable": 1}, {"maxUnavailable": 0}, {"minAvailable": "50%"}]
)
def test_a_budget_holds_up_a_drain(
    cloud: Aliyun, path: tuple[str, str], kube: Kube, monkeypatch: pytest.MonkeyPatch, spec: Any
) -> None:
    """As operators met it when the last node of a cluster was to go."""
    monkeypatch.setattr("clusterkit_sandbox.alibaba.poollife._PATIENCE", 0.3)
    first = machines(cloud, path)[0]
    run(kube, first["node_name"], "dns")
    kube.core.patch_namespaced_pod("dns", "default", {"metadata": {"labels": {"app": "dns"}}})
    eventually(lambda: kube.core.read_namespaced_pod("dns", "default").status.phase == "Running")
    policy = kubernetes.client.PolicyV1Api(kubernetes.client.ApiClient(kube.settings))
    selector = {"matchLabels": {"app": "dns"}}
    policy.create_namespaced_pod_disruption_budget(
        "default", {"metadata": {"name": "dns"}, "spec": {"selector": selector, **spec}}
    )
    with pytest.raises(kubernetes.client.ApiException) as caught:
        kube.core.create_namespaced_pod_eviction(
            "dns", "default", {"metadata": {"name": "dns", "namespace": "default"}}
        )
    assert caught.value.status == 429
    gone = cloud("cs:DeleteClusterNodepool", *path, force=True)["task_id"]
    assert "default/dns" in cloud.done(gone, "fail")["error"]["message"]
    policy.delete_namespaced_pod_disruption_budget("dns", "default")
    # only the drain that must fail is that impatient
    monkeypatch.setattr("clusterkit_sandbox.alibaba.poollife._PATIENCE", 10.0)
    cloud.done(cloud("cs:DeleteClusterNodepool", *path, force=True)["task_id"])


def test_a_budget_lets_a_drain_through_bit_by_bit(
    cloud: Aliyun, path: tuple[str, str], kube: Kube
) -> None:
    client = kubernetes.client.ApiClient(kube.settings)
    labels = {"matchLabels": {"app": "web"}}
    container = {"name": "main", "image": "registry.example/app"}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    apps = kubernetes.client.AppsV1Api(client)
    apps.create_namespaced_deployment(
        "default",
        {
            "metadata": {"name": "web"},
            "spec": {"replicas": 4, "selector": labels, "template": template},
        },
    )
    kubernetes.client.PolicyV1Api(client).create_namespaced_pod_disruption_budget(
        "default",
        {"metadata": {"name": "web"}, "spec": {"selector": labels, "maxUnavailable": "25%"}},
    )

    def ready() -> Any:
        return apps.read_namespaced_deployment("web", "default").status.ready_replicas

    eventually(lambda: ready() == 4)
    going, staying = machines(cloud, path)
    removed = cloud(
        "cs:RemoveNodePoolNodes",
        *path, instance_ids=[going["instance_id"]], drain_node=True, release_node=True,
    )  # fmt: skip
    cloud.done(removed["task_id"])
    eventually(lambda: ready() == 4)
    found = kube.core.list_namespaced_pod("default").items
    assert {pod.spec.node_name for pod in found} == {staying["node_name"]}


def test_a_smaller_pool_drains_too(cloud: Aliyun, path: tuple[str, str], kube: Kube) -> None:
    last = machines(cloud, path)[-1]
    run(kube, last["node_name"], "mine")
    changed = cloud("cs:ModifyClusterNodePool", *path, scaling_group={"desired_size": 1})
    cloud.done(changed["task_id"])
    assert pods(kube) == []
    assert len(machines(cloud, path)) == 1


def test_a_machine_that_leaves_and_stays(cloud: Aliyun, path: tuple[str, str], kube: Kube) -> None:
    going = machines(cloud, path)[0]
    removed = cloud("cs:RemoveNodePoolNodes", *path, nodes=[going["node_name"]])
    cloud.done(removed["task_id"])
    eventually(lambda: len(kube.core.list_node().items) == 1)
    assert cloud("ecs:DescribeInstances", RegionId=REGION)["TotalCount"] == 2
    cloud.done(cloud("cs:DeleteCluster", path[0])["task_id"])
    (left,) = cloud("ecs:DescribeInstances", RegionId=REGION)["Instances"]["Instance"]
    assert left["InstanceId"] == going["instance_id"]
    target = {"RegionId": REGION, "InstanceId": [left["InstanceId"]]}
    with refused("IncorrectInstanceStatus", 403):
        cloud("ecs:DeleteInstances", **target)
    cloud("ecs:DeleteInstances", **target, Force=True)
    assert not cloud.cloud.store.counts().keys() & {"Instance", "Disk"}
    with refused("InvalidInstanceId.NotFound", 404):
        cloud("ecs:DeleteInstance", InstanceId=left["InstanceId"], Force=True)


def test_a_cluster_goes_while_its_pool_is_drained(
    cloud: Aliyun, path: tuple[str, str], kube: Kube
) -> None:
    first = machines(cloud, path)[0]
    container = {"name": "main", "image": "registry.example/app"}
    kube.core.create_namespaced_pod(
        "default",
        {
            "metadata": {"name": "clings", "finalizers": ["example.com/wait"]},
            "spec": {"containers": [container], "nodeName": first["node_name"]},
        },
    )
    hangs = cloud("cs:DeleteClusterNodepool", *path, force=True)["task_id"]
    cloud.done(cloud("cs:DeleteCluster", path[0])["task_id"])
    assert cloud.done(hangs, "fail")["error"]["code"] == "OperationDenied"
    assert not cloud.cloud.store.counts().keys() & {"Instance", "Disk", "NodePool", "Cluster"}


def test_nodes_that_take_no_pods(cloud: Aliyun, cluster: dict[str, Any], tmp_path: Path) -> None:
    parts = {"kubernetes_config": {"unschedulable": True}}
    cloud.done(cloud.pool(cluster, parts=parts)["task_id"])
    kube = Kube(cloud, cluster["cluster_id"], tmp_path)
    nodes = eventually(lambda: kube.core.list_node().items, lambda found: len(found) == 2)
    assert [node.spec.unschedulable for node in nodes] == [True, True]


def test_nodes_that_are_not_there(cloud: Aliyun, path: tuple[str, str]) -> None:
    for wanted in ({}, {"instance_ids": []}, {"instance_ids": ["i-none"]}, {"nodes": ["none"]}):
        with refused("InvalidParameter"):
            cloud("cs:RemoveNodePoolNodes", *path, release_node=True, **wanted)


# -- settings ------------------------------------------------------------------------------------


def test_settings_of_nodes(cloud: Aliyun, path: tuple[str, str]) -> None:
    node = machines(cloud, path)[0]["node_name"]
    for change in (
        {"kubelet_config": {"maxPods": 64, "featureGates": {"A": True}}, "node_names": [node]},
        {"kubelet_config": {"cpuManagerPolicy": "static"}, "rolling_policy": {
            "max_parallelism": 2}},
        {"os_config": {"sysctl": {"net.core.somaxconn": "1024"}}},
        {"containerd_config": {"registryMirrors": ["https://mirror.example"]}},
    ):  # fmt: skip
        cloud.done(cloud("cs:ModifyNodePoolNodeConfig", *path, **change)["task_id"])
    found = cloud("cs:DescribeClusterNodePoolDetail", *path)["node_config"]
    kubelet = found["kubelet_configuration"]
    assert (kubelet["maxPods"], kubelet["cpuManagerPolicy"]) == (64, "static")
    assert found["node_os_config"]["sysctl"] == {"net.core.somaxconn": "1024"}
    for wrong in (
        {},
        {"kubelet_config": {"maxPods": 64}, "node_names": ["none"]},
        {"kubelet_config": {"maxPods": 64}, "rolling_policy": {"max_parallelism": 11}},
    ):
        with refused("InvalidParameter"):
            cloud("cs:ModifyNodePoolNodeConfig", *path, **wrong)


def test_scripts_of_nodes(cloud: Aliyun, cluster: dict[str, Any]) -> None:
    script = base64.b64encode(b"#!/bin/sh\ntrue\n").decode()
    config = {"user_data": script, "pre_user_data": script}
    made = cloud.pool(cluster, parts={"kubernetes_config": config})
    path = (cluster["cluster_id"], made["nodepool_id"])
    found = cloud("cs:DescribeClusterNodePoolDetail", *path)["kubernetes_config"]
    assert (found["user_data"], found["pre_user_data"]) == (script, script)
    for field in config:
        with refused("InvalidUserData.Base64FormatInvalid"):
            cloud.pool(cluster, "other", parts={"kubernetes_config": {field: "#!/bin/sh"}})
        long = base64.b64encode(b"#" * (32 * 1024 + 1)).decode()
        with refused("InvalidUserData.SizeExceeded"):
            cloud.pool(cluster, "other", parts={"kubernetes_config": {field: long}})
    cloud.done(made["task_id"])
    changed = cloud("cs:ModifyClusterNodePool", *path, kubernetes_config={"user_data": ""})
    cloud.done(changed["task_id"])
    assert not cloud("cs:DescribeClusterNodePoolDetail", *path)["kubernetes_config"]["user_data"]


def test_a_new_name_changes_no_size(cloud: Aliyun, cluster: dict[str, Any]) -> None:
    made = cloud.pool(cluster, desired_size=None)
    cloud.done(made["task_id"])
    path = (cluster["cluster_id"], made["nodepool_id"])
    cloud.done(cloud("cs:ScaleClusterNodePool", *path, count=2)["task_id"])
    renamed = cloud("cs:ModifyClusterNodePool", *path, nodepool_info={"name": "renamed"})
    cloud.done(renamed["task_id"])
    assert len(machines(cloud, path)) == 2


def test_a_managed_pool_needs_its_addon(cloud: Aliyun) -> None:
    addons = [{"name": "flannel"}, {"name": "ack-node-problem-detector", "disabled": True}]
    cluster = cloud.cluster(addons=addons)
    managed = {"management": {"enable": True, "auto_repair": True}}
    with refused("InvalidParameter.Management"):
        cloud.pool(cluster, parts=managed)
    made = cloud.pool(cluster)
    cloud.done(made["task_id"])
    with refused("InvalidParameter.Management"):
        cloud("cs:ModifyClusterNodePool", cluster["cluster_id"], made["nodepool_id"], **managed)


def test_a_role_for_the_life_of_machines(cloud: Aliyun, cluster: dict[str, Any]) -> None:
    policy = {"RoleName": LIFECYCLE, "PolicyType": "System", "PolicyName": f"{LIFECYCLE}Policy"}
    cloud("ram:DetachPolicyFromRole", **policy)
    with refused(f"MissingAuth.{LIFECYCLE}"):
        cloud.pool(cluster)
    # what scales by itself does without
    scaling = {"auto_scaling": {"enable": True, "min_instances": 1, "max_instances": 2}}
    cloud.done(cloud.pool(cluster, parts=scaling, desired_size=None)["task_id"])
    cloud("ram:AttachPolicyToRole", **policy)
    cloud.done(cloud.pool(cluster, "other")["task_id"])


def test_what_lists_and_details_show(cloud: Aliyun, cluster: dict[str, Any]) -> None:
    parts = {"host_network": True, "intranet": True, "interconnect_mode": "basic"}
    made = cloud.pool(cluster, parts=parts)
    path = (cluster["cluster_id"], made["nodepool_id"])
    assert cloud("cs:DescribeClusterNodePoolDetail", *path)["host_network"]
    (listed,) = cloud("cs:DescribeClusterNodePools", path[0])["nodepools"]
    assert listed["interconnect_mode"] == "basic"


@pytest.mark.parametrize(
    ("pools", "code", "status"),
    [
        ([{}, {}], "InvalidParameter.Name", 400),
        ([{"nodepool_info": {"name": "-x"}}], "InvalidParameter", 400),
        ([{"scaling_group": {"instance_charge_type": "PrePaid"}}], "Sandbox.NotImplemented", 501),
        ([{"scaling_group": {"desired_size": 101}}], "QuotaExceeded", 400),
    ],
)
def test_pools_a_cluster_cannot_bring_along(
    cloud: Aliyun, pools: list[dict[str, Any]], code: str, status: int
) -> None:
    vswitches = cloud.network()[1]
    whole = [
        {
            "nodepool_info": {"name": "first"},
            "kubernetes_config": {"runtime": "containerd", "runtime_version": "2.1.4.1"},
            **pool,
            "scaling_group": {
                "instance_types": ["ecs.g7.xlarge"], "vswitch_ids": vswitches,
                "instance_charge_type": "PostPaid", "system_disk_category": "cloud_essd",
                "desired_size": 1, **pool.get("scaling_group", {}),
            },
        }
        for pool in pools
    ]  # fmt: skip
    with refused(code, status):
        cloud("cs:CreateCluster", **cloud.wanted(vswitches=vswitches) | {"nodepools": whole})
    assert "Cluster" not in cloud.cloud.store.counts()


def test_pools_made_at_once_share_the_room_there_is(
    cloud: Aliyun, cluster: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.cloud.store.conditions.quotas["node"] = 3
    with monkeypatch.context() as slow:
        slow.setattr(cloud.sandbox.pace, "factor", 100.0)
        first = cloud.pool(cluster)
        with refused("QuotaExceeded"):
            cloud.pool(cluster, "second")
        cloud.done(first["task_id"])
    # what a pool could not get does not count
    cloud.cloud.store.conditions.quotas["node"] = 4
    zones = [f"{REGION}{letter}" for letter in "abc"]
    cloud.cloud.store.conditions.sold_out = {("*", zone) for zone in zones}
    cloud.done(cloud.pool(cluster, "second")["task_id"], "fail")
    cloud.cloud.store.conditions.sold_out = set()
    cloud.done(cloud.pool(cluster, "third")["task_id"])
