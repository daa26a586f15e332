"""What ``verify`` asks of Alibaba Cloud: A1 to A10 pass on a cluster of ours, and each can fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusterkit import Cluster
from clusterkit.alibaba import disks
from clusterkit.alibaba.checks import ZONE
from clusterkit.ready.checks import Result
from tests.drivers.alibaba import Account
from tests.drivers.alibaba_cases import ENTERPRISE_CASE, INSTANCE, PERSONAL_CASE
from tests.drivers.world import Edits, World, edited, world

NODES = "/api/v1/nodes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DEFAULT = "storageclass.kubernetes.io/is-default-class"
IDS = [f"A{number}" for number in range(1, 11)]


def ask(found: World, only: str, edits: Edits | None = None) -> list[Result]:
    """What a check finds that is not as it should be."""
    profile = found.load(edited(found.case.profile, edits or {}))
    checks = {one.id: one for one in found.cloud.checks(profile, found.clients())}
    assert list(checks) == IDS
    assert all(one.level == "static" and one.seen and one.cure for one in checks.values())
    results = [one for one in checks[only].run() if one.status != "passed"]
    assert all(one.where for one in results if one.status != "skipped")
    return results


def failed(found: World, only: str, edits: Edits | None = None) -> Result:
    """The one thing that is wrong."""
    [result] = ask(found, only, edits)
    assert result.status == "failed"
    return result


def cluster(found: World) -> Mapping[str, Any]:
    """As Container Service describes it."""
    account = Account(found)
    [one] = account("cs:DescribeClustersV1")["clusters"]
    shown: Mapping[str, Any] = account("cs:DescribeClusterDetail", one["cluster_id"])
    return shown


def only_default(
    found: World, parameters: Mapping[str, str], binding: str, name: str = "mine"
) -> None:
    """Let a class of somebody else's be the one default."""
    kube = found.clients().kube
    for item in kube.list(CLASSES):
        path = f"{CLASSES}/{item['metadata']['name']}"
        kube.patch(path, {"metadata": {"annotations": {DEFAULT: "false"}}})
    body = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": {DEFAULT: "true"}},
        "provisioner": disks.PROVISIONER,
        "parameters": parameters,
        "volumeBindingMode": binding,
    }
    kube.apply(f"{CLASSES}/{name}", body)


@pytest.fixture
def personal(tmp_path: Path) -> Iterator[World]:
    """A cluster with the Personal Edition."""
    with world(PERSONAL_CASE, tmp_path) as found:
        found.settle(found.up())
        yield found


@pytest.fixture
def enterprise(tmp_path: Path) -> Iterator[World]:
    """A cluster with an instance that is open to the internet only."""
    with world(ENTERPRISE_CASE, tmp_path) as found:
        found.settle(found.up())
        yield found


def test_all_pass_on_a_cluster_of_ours(personal: World) -> None:
    assert {each: ask(personal, each) for each in IDS} == {each: [] for each in IDS}


def test_a_default_class_for_large_claims_only(personal: World) -> None:
    only_default(personal, {"type": "cloud_ssd"}, "WaitForFirstConsumer")
    result = failed(personal, "A2")
    assert result.where == "storageclass/mine"
    assert result.seen == (
        "rpc error: code = InvalidArgument desc = all attempts failed: cloud_ssd: requested size "
        "8GiB is less than minimum 20GiB"
    )
    rounded = {"type": "cloud_ssd", "volumeSizeAutoAvailable": "true"}
    only_default(personal, rounded, "WaitForFirstConsumer", "rounded")
    assert ask(personal, "A2") == []


@pytest.mark.parametrize(
    ("parameters", "size", "words"),
    [
        ({"type": "cloud_auto"}, 1, ""),
        ({"type": "cloud_essd"}, 20, ""),
        ({"type": "cloud_essd,cloud_auto"}, 1, ""),
        ({"type": "cloud_essd", "performanceLevel": "PL0"}, 1, ""),
        (
            {"type": "cloud_essd", "performanceLevel": "PL1,PL2"},
            8,
            "cloud_essd.PL1: requested size 8GiB is less than minimum 20GiB; "
            "cloud_essd.PL2: requested size 8GiB is less than minimum 461GiB",
        ),
        (
            {"type": "cloud_essd", "performanceLevel": "PL2", "volumeSizeAutoAvailable": "yes"},
            8,
            "cloud_essd.PL2: requested size 20GiB is less than minimum 461GiB",
        ),
        (
            {},
            8,
            "cloud_ssd: requested size 8GiB is less than minimum 20GiB; "
            "cloud_efficiency: requested size 8GiB is less than minimum 20GiB",
        ),
        (
            {"type": "cloud_essd_entry"},
            1,
            "cloud_essd_entry: requested size 1GiB is less than minimum 10GiB",
        ),
    ],
)
def test_the_least_size_of_a_class(parameters: dict[str, str], size: int, words: str) -> None:
    assert disks.refusal(parameters, size).removeprefix("all attempts failed: ") == words


def test_a_default_class_that_does_not_wait(personal: World) -> None:
    only_default(personal, {"type": "cloud_auto"}, "Immediate")
    [result] = ask(personal, "A3")
    assert (result.status, result.where) == ("warned", "storageclass/mine")
    assert "ap-southeast-1a, ap-southeast-1b" in result.what


def test_disks_that_the_machines_do_not_take(personal: World) -> None:
    only_default(personal, {"type": "cloud_efficiency,cloud_ssd"}, "WaitForFirstConsumer")
    results = ask(personal, "A4")
    assert {one.status for one in results} == {"failed"}
    assert [one.what.partition(" takes")[0] for one in results] == [
        f"ecs.g7.xlarge in ap-southeast-1{zone}" for zone in "ab"
    ]
    assert "no disk of cloud_efficiency, cloud_ssd, but cloud_auto, cloud_essd" in results[0].what


def test_no_default_class_is_another_checks_matter(personal: World) -> None:
    kube = personal.clients().kube
    for item in kube.list(CLASSES):
        path = f"{CLASSES}/{item['metadata']['name']}"
        kube.patch(path, {"metadata": {"annotations": {DEFAULT: None}}})
    for each in ("A2", "A3", "A4"):
        [result] = ask(personal, each)
        assert (result.status, "K3" in result.what) == ("skipped", True)


def test_a_vswitch_without_a_way_out(personal: World) -> None:
    account = Account(personal)
    [gateway] = account("vpc:DescribeNatGateways")["NatGateways"]["NatGateway"]
    [table] = gateway["SnatTableIds"]["SnatTableId"]
    entries = account("vpc:DescribeSnatTableEntries", SnatTableId=table)["SnatTableEntries"]
    entry = entries["SnatTableEntry"][0]
    account("vpc:DeleteSnatEntry", SnatTableId=table, SnatEntryId=entry["SnatEntryId"])
    result = failed(personal, "A5")
    assert result.where == f"vswitch/{entry['SourceVSwitchId']}"
    assert result.cure == "clusterkit up"
    [warned] = ask(personal, "A5", {"network.nat": False})
    assert warned.status == "warned"
    personal.settle(personal.up())
    assert ask(personal, "A5") == []


def test_an_api_server_without_its_public_address(
    personal: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier = cluster(personal)["cluster_id"]
    Account(personal)("cs:ModifyCluster", identifier, api_server_eip=False)
    result = failed(personal, "A6")
    assert "no public address" in result.what
    monkeypatch.setenv("CLUSTERKIT_SANDBOX_ADDRESS", "10.0.0.100")  # inside the VPC
    assert ask(personal, "A6", {"endpoint.public": False}) == []


def test_what_is_missing_in_the_registry(personal: World) -> None:
    account = Account(personal)
    body = {"Namespace": {"AutoCreate": False, "DefaultVisibility": "PRIVATE"}}
    account.personal("POST", "/namespace/demo", body)
    assert "Jenkins X has one for each application" in failed(personal, "A7").what
    assert ask(personal, "A7", {"ready.jenkins_x": None}) == []
    account.personal("DELETE", "/repos/demo/web-cache")
    results = ask(personal, "A7", {"ready.jenkins_x": None})
    assert [(one.status, one.where) for one in results] == [("failed", "repository/demo/web-cache")]
    assert failed(personal, "A7", {"registry.name": "other"}).where == "namespace/other"
    [skipped] = ask(personal, "A7", {"registry": None, "ready": {}})
    assert skipped.status == "skipped"


def test_a_password_of_jenkins_x_that_ends(tmp_path: Path) -> None:
    with world(PERSONAL_CASE, tmp_path) as found:
        cloud = Cluster(found.target(), replace(found.connection(), registry_login=None))
        found.settle(cloud.apply(cloud.plan(found.profile), found.events.append))
        [result] = ask(found, "A7")
        assert (result.status, result.where) == ("warned", "secret/jx/container-registry-auth")
        found.settle(found.up())  # with a login of the user's own, as the cure says
        assert ask(found, "A7") == []


def test_an_instance_that_pods_cannot_reach(enterprise: World) -> None:
    account, shown = Account(enterprise), cluster(enterprise)
    [result] = ask(enterprise, "A7")
    assert (result.status, result.where) == ("warned", f"instance/{INSTANCE}")
    other = account("vpc:CreateVpc", CidrBlock="10.99.0.0/16")["VpcId"]
    there = account(
        "vpc:CreateVSwitch", VpcId=other, ZoneId="ap-southeast-1a", CidrBlock="10.99.0.0/24"
    )["VSwitchId"]
    link = {"InstanceId": INSTANCE, "ModuleName": "Registry"}
    linked = "cr:CreateInstanceVpcEndpointLinkedVpc"
    account(linked, **link, VpcId=other, VswitchId=there)
    result = failed(enterprise, "A7")
    assert shown["vpc_id"] in result.what
    words = result.cure.split()
    asked = {words[i].removeprefix("--"): words[i + 1] for i in range(3, len(words), 2)}
    assert words[:3] == ["aliyun", "cr", "CreateInstanceVpcEndpointLinkedVpc"]
    account(linked, **asked)  # the cure
    assert ask(enterprise, "A7") == []


def test_a_service_role_that_is_gone(personal: World) -> None:
    account, role = Account(personal), "AliyunCSManagedCsiRole"
    policy = {"PolicyType": "System", "PolicyName": f"{role}Policy"}
    account("ram:DetachPolicyFromRole", **policy, RoleName=role)
    account("ram:DeleteRole", RoleName=role)
    result = failed(personal, "A8")
    assert result.where == role
    assert personal.cloud.activate(personal.profile, personal.clients())  # the cure
    assert ask(personal, "A8") == []


def test_mainland_china_without_a_mirror(personal: World) -> None:
    china = {"region": "cn-hangzhou"}
    [result] = ask(personal, "A9", china)
    assert (result.status, result.where) == ("warned", "region/cn-hangzhou")
    assert ask(personal, "A9", {**china, "mirror": "registry.example.com/mirror"}) == []
    assert ask(personal, "A9", {"region": "cn-hongkong"}) == []


def test_a_range_of_the_vpc_over_the_services(personal: World) -> None:
    shown = cluster(personal)
    vpc = {"VpcId": shown["vpc_id"], "SecondaryCidrBlock": "172.21.0.0/16"}
    Account(personal)("vpc:AssociateVpcCidrBlock", **vpc)
    result = failed(personal, "A1")
    assert result.what == "172.21.0.0/20 of the Services overlaps 172.21.0.0/16 of the VPC"
    assert result.where == "cluster/demo"
    Account(personal)("vpc:UnassociateVpcCidrBlock", **vpc)
    assert ask(personal, "A1") == []


def test_a_pool_in_one_zone(personal: World) -> None:
    kube = personal.clients().kube
    [zone, *others] = sorted({_zone(node) for node in kube.list(NODES)})
    assert others
    for node in kube.list(NODES):
        path = f"{NODES}/{node['metadata']['name']}"
        kube.patch(path, {"metadata": {"labels": {ZONE: zone}}})
    [result] = ask(personal, "A10")
    assert result.status == "warned"
    assert result.what.endswith(
        f"nodes are in {zone}, the cluster is in {', '.join([zone, *others])}"
    )


def _zone(node: Any) -> str:
    return str(node["metadata"]["labels"][ZONE])
