"""What RAM users and roles may do inside of ACK's clusters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml

from tests.sandbox.aliyun import Aliyun, account, ask, eventually, refused


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Aliyun]:
    with account(tmp_path) as made:
        yield made


class Colleague:
    """A RAM role that the account may assume, with policies of its own."""

    def __init__(self, cloud: Aliyun, directory: Path, *policies: str) -> None:
        statement = {
            "Action": "sts:AssumeRole",
            "Effect": "Allow",
            "Principal": {"RAM": ["acs:ram::1234567890123456:root"]},
        }
        trust = json.dumps({"Version": "1", "Statement": [statement]})
        role = cloud("ram:CreateRole", RoleName="Colleague", AssumeRolePolicyDocument=trust)["Role"]
        self.uid = role["RoleId"]
        for name in policies:
            cloud(
                "ram:AttachPolicyToRole",
                PolicyType="System", PolicyName=name, RoleName="Colleague",
            )  # fmt: skip
        keys = cloud("sts:AssumeRole", RoleArn=role["Arn"], RoleSessionName="me")["Credentials"]
        self._cs = cloud.client(
            "cs",
            access_key_id=keys["AccessKeyId"],
            access_key_secret=keys["AccessKeySecret"],
            security_token=keys["SecurityToken"],
        )
        self._proxy, self._directory = cloud.sandbox.proxy, directory

    def __call__(self, action: str, *path: str, **wire: Any) -> Any:
        return ask(self._cs, "cs", action, *path, **wire)

    def core(self, cluster: str) -> Any:
        config = yaml.safe_load(self("DescribeClusterUserKubeconfig", cluster)["config"])
        settings = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config_from_dict(
            config, client_configuration=settings, temp_file_path=str(self._directory)
        )
        settings.proxy = self._proxy
        return kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(settings))


def may(call: Any, *arguments: Any) -> bool:
    try:
        call(*arguments)
    except kubernetes.client.ApiException as error:
        if error.status != 403:
            raise
        return False
    return True


def test_a_grant_lets_a_colleague_into_the_cluster(cloud: Aliyun, tmp_path: Path) -> None:
    identifier = cloud.cluster()["cluster_id"]
    colleague = Colleague(cloud, tmp_path, "AliyunCSFullAccess")
    core = colleague.core(identifier)
    assert not may(core.list_namespaced_pod, "default")

    def grant(**entry: Any) -> None:
        body = [{"cluster": identifier, "is_ram_role": True, **entry}]
        cloud("cs:GrantPermissions", colleague.uid, body=body)

    grant(role_name="restricted", role_type="namespace", namespace="default")
    assert eventually(lambda: may(core.list_namespaced_pod, "default"))
    assert not may(core.list_namespaced_pod, "kube-system")
    body = {"metadata": {"name": "some"}}
    assert not may(core.create_namespaced_config_map, "default", body)
    found = cloud("cs:DescribeUserPermission", colleague.uid)
    assert [(one["resource_id"], one["resource_type"], one["role_name"]) for one in found] == [
        (f"{identifier}/default", "namespace", "restricted")
    ]
    assert [(one["is_owner"], one["is_ram_role"]) for one in found] == [(0, 1)]
    grant(role_name="ops", role_type="cluster")
    assert eventually(lambda: may(core.create_namespaced_config_map, "kube-system", body))
    assert may(core.list_node)
    assert not may(core.patch_node, "none", {})
    with refused("ForbiddenGrantPermissions", 403):
        mine = {"cluster": identifier, "role_name": "admin", "role_type": "cluster"}
        colleague("GrantPermissions", colleague.uid, body=[mine])
    grant(role_name="cluster-admin", role_type="cluster", is_custom=True)
    assert eventually(lambda: may(core.create_namespace, {"metadata": {"name": "new"}}))
    cloud("cs:GrantPermissions", colleague.uid, body=[])
    assert eventually(lambda: not may(core.list_node))


def test_a_grant_for_all_clusters_is_for_new_ones_too(cloud: Aliyun, tmp_path: Path) -> None:
    colleague = Colleague(cloud, tmp_path, "AliyunCSReadOnlyAccess")
    entry = {"cluster": "", "role_name": "admin", "role_type": "all-clusters", "is_ram_role": True}
    cloud("cs:GrantPermissions", colleague.uid, body=[entry])
    assert may(colleague.core(cloud.cluster()["cluster_id"]).list_node)


def test_whoever_makes_a_cluster_is_its_administrator(cloud: Aliyun, tmp_path: Path) -> None:
    colleague = Colleague(cloud, tmp_path, "AdministratorAccess")
    made = colleague("CreateCluster", **cloud.wanted())
    cloud.done(made["task_id"])
    assert may(colleague.core(made["cluster_id"]).list_node)
    [found] = cloud("cs:DescribeUserPermission", colleague.uid)
    assert (found["resource_id"], found["is_owner"]) == (made["cluster_id"], 1)


def test_grants_that_cannot_be(cloud: Aliyun, tmp_path: Path) -> None:
    identifier = cloud.cluster()["cluster_id"]
    colleague = Colleague(cloud, tmp_path)

    def grant(uid: str, **entry: Any) -> None:
        usual = {"cluster": identifier, "is_ram_role": True, "role_type": "cluster"}
        cloud("cs:GrantPermissions", uid, body=[{**usual, **entry}])

    with refused("ErrorRamPolicyConfig", 403):
        grant(colleague.uid, role_name="dev")
    with refused("ErrorRamPolicyConfig", 403):
        grant("1", role_name="dev")
    with refused("ErrorClusterNotFound", 404):
        grant(colleague.uid, role_name="dev", cluster="none")
    for entry in (
        {"role_name": "nobody"},
        {"role_name": "ops", "role_type": "namespace", "namespace": "default"},
        {"role_name": "admin-view", "role_type": "all-clusters"},
        {"role_name": "dev", "role_type": "namespace"},
    ):
        with refused("InvalidParameter"):
            grant(colleague.uid, **entry)
