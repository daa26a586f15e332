"""A cluster of Alibaba Cloud from nothing to nothing, driven by the vendor's newer SDK."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path

import kubernetes
import pytest
import yaml

from tests.sandbox.aliyun import REGION, ZONES, Aliyun, account, ask, eventually, refused

ROLES = ("AliyunCSDefaultRole", "AliyunCSManagedKubernetesRole", "AliyunCSManagedNetworkRole")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Aliyun]:
    with account(tmp_path) as made:
        yield made


def core(cloud: Aliyun, cluster: str, path: Path, **query: object) -> kubernetes.client.CoreV1Api:
    """The official client, with the kubeconfig of the cluster's user."""
    text = cloud("cs:DescribeClusterUserKubeconfig", cluster, **query)["config"]
    settings = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config_from_dict(
        yaml.safe_load(text), client_configuration=settings, temp_file_path=str(path)
    )
    settings.proxy = cloud.sandbox.proxy
    return kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(settings))


def test_from_nothing_to_nothing(cloud: Aliyun, tmp_path: Path) -> None:
    before = cloud.cloud.store.counts()
    vpc, vswitches = cloud.network()
    nat = cloud(
        "vpc:CreateNatGateway",
        RegionId=REGION, VpcId=vpc, VSwitchId=vswitches[0], NatType="Enhanced",
    )  # fmt: skip
    eip = cloud("vpc:AllocateEipAddress", RegionId=REGION, Bandwidth="100")
    bound = {"AllocationId": eip["AllocationId"], "InstanceId": nat["NatGatewayId"]}
    cloud("vpc:AssociateEipAddress", RegionId=REGION, InstanceType="Nat", **bound)
    table = nat["SnatTableIds"]["SnatTableId"][0]
    entries = [
        cloud(
            "vpc:CreateSnatEntry",
            RegionId=REGION, SnatTableId=table, SourceVSwitchId=v, SnatIp=eip["EipAddress"],
        )["SnatEntryId"]
        for v in vswitches
    ]  # fmt: skip
    cloud.key_pair()
    with refused("ORDER.OPEND"):
        cloud("cs:OpenAckService", type="propayasgo")
    granted = cloud("cs:CheckServiceRole", roles=[{"name": name} for name in ROLES])["roles"]
    assert [one["granted"] for one in granted] == [True, True, True]

    cluster = cloud.cluster(vswitches=vswitches)
    assert (cluster["state"], cluster["vpc_id"], cluster["size"]) == ("running", vpc, 0)
    made = cloud.pool(cluster, key_pair="demo")
    cloud.done(made["task_id"])
    identifier = cluster["cluster_id"]
    pool = cloud("cs:DescribeClusterNodePoolDetail", identifier, made["nodepool_id"])
    assert pool["status"] | {"state": "active", "healthy_nodes": 2} == pool["status"]

    api = core(cloud, identifier, tmp_path, TemporaryDurationMinutes=60)
    nodes = eventually(lambda: api.list_node().items, lambda found: len(found) == 2)
    assert {n.metadata.labels["topology.kubernetes.io/zone"] for n in nodes} <= set(ZONES)
    machines = cloud("ecs:DescribeInstances", RegionId=REGION)["Instances"]["Instance"]
    assert {f"{REGION}.{m['InstanceId']}" for m in machines} == {n.spec.provider_id for n in nodes}
    listed = cloud("cs:DescribeClusterNodes", identifier)["nodes"]
    assert {n["node_name"] for n in listed} == {n.metadata.name for n in nodes}

    with refused("DependencyViolation.VSwitch"):
        cloud("vpc:DeleteVpc", RegionId=REGION, VpcId=vpc)
    with refused("InvalidParameter.KeypairAlreadyAttachedInstance", 403):
        cloud("ecs:DeleteKeyPairs", RegionId=REGION, KeyPairNames=json.dumps(["demo"]))
    gone = cloud("cs:DeleteClusterNodepool", identifier, made["nodepool_id"], force=True)
    cloud.done(gone["task_id"])
    cloud("cs:DeleteCluster", identifier)
    eventually(lambda: not cloud("cs:DescribeClustersV1")["clusters"])
    with refused("ErrorClusterNotFound", 404):
        cloud("cs:DescribeClusterDetail", identifier)
    for entry in entries:
        cloud("vpc:DeleteSnatEntry", RegionId=REGION, SnatTableId=table, SnatEntryId=entry)
    cloud("vpc:UnassociateEipAddress", RegionId=REGION, InstanceType="Nat", **bound)
    cloud("vpc:ReleaseEipAddress", RegionId=REGION, AllocationId=eip["AllocationId"])
    cloud("vpc:DeleteNatGateway", RegionId=REGION, NatGatewayId=nat["NatGatewayId"])
    for vswitch in vswitches:
        cloud("vpc:DeleteVSwitch", RegionId=REGION, VSwitchId=vswitch)
    cloud("vpc:DeleteVpc", RegionId=REGION, VpcId=vpc)
    cloud("ecs:DeleteKeyPairs", RegionId=REGION, KeyPairNames=json.dumps(["demo"]))
    after = cloud.cloud.store.counts()
    after.pop("Event")
    assert after == before


def test_two_sandboxes_are_two_accounts(cloud: Aliyun, tmp_path: Path) -> None:
    with account(tmp_path / "other") as other:
        cloud.network()
        assert other("vpc:DescribeVpcs", RegionId=REGION)["TotalCount"] == 0
        stranger = other.client("vpc", access_key_id=cloud.key, access_key_secret=cloud.secret)
        with refused("InvalidAccessKeyId.NotFound", 404):
            ask(stranger, "vpc", "DescribeVpcs", RegionId=REGION)


def test_a_reset_in_the_middle(cloud: Aliyun) -> None:
    asked = cloud.wanted()
    cloud.sandbox.pace.factor = 100.0
    made = cloud("cs:CreateCluster", **asked)
    assert cloud("cs:DescribeTaskInfo", made["task_id"])["state"] == "running"
    cloud.sandbox.reset()
    with refused("InvalidParameter", 404):
        cloud("cs:DescribeTaskInfo", made["task_id"])
    assert cloud("cs:DescribeClustersV1")["clusters"] == []
    assert cloud.sandbox.describe()["clusters"] == []


@pytest.mark.parametrize("factor", [math.inf, 400.0])
def test_many_clusters_at_once(tmp_path: Path, factor: float) -> None:
    """Eight accounts' worth of clients in one account, and nothing left after."""
    with account(tmp_path, factor) as cloud:
        before = cloud.cloud.store.counts()
        troubles: list[BaseException] = []

        def live(number: int) -> None:
            try:
                one_life(cloud, f"demo-{number}")
            except BaseException as trouble:
                troubles.append(trouble)
                raise

        threads = [threading.Thread(target=live, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert troubles == []
        after = cloud.cloud.store.counts()
        assert {k: v for k, v in after.items() if k != "Event"} == before


def one_life(cloud: Aliyun, name: str) -> None:
    vpc = cloud("vpc:CreateVpc", RegionId=REGION, CidrBlock="192.168.0.0/16")["VpcId"]
    here = {"RegionId": REGION, "VpcId": vpc}
    eventually(lambda: cloud("vpc:DescribeVpcAttribute", **here)["Status"] == "Available")
    vswitches = [
        cloud("vpc:CreateVSwitch", **here, ZoneId=ZONES[index], CidrBlock=f"192.168.{index}.0/24")[
            "VSwitchId"
        ]
        for index in (0, 1)
    ]
    eventually(
        lambda: (
            {
                one["Status"]
                for one in cloud("vpc:DescribeVSwitches", **here)["VSwitches"]["VSwitch"]
            }
            == {"Available"}
        )
    )
    cluster = cloud.cluster(name, vswitches=vswitches)
    for task in [cloud.pool(cluster, pool)["task_id"] for pool in ("one", "two")]:
        cloud.done(task)
    assert cloud("cs:DescribeClusterDetail", cluster["cluster_id"])["size"] == 4
    cloud.done(cloud("cs:DeleteCluster", cluster["cluster_id"])["task_id"])
    for vswitch in vswitches:
        cloud("vpc:DeleteVSwitch", RegionId=REGION, VSwitchId=vswitch)
    cloud("vpc:DeleteVpc", **here)
