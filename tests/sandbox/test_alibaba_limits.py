"""What an account of the emulated Alibaba Cloud may have: attributes, quotas, a verified name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.aliyun import REGION, Aliyun, account, anew, refused

MAINLAND = "cn-hangzhou"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


def attributes(cloud: Aliyun, *names: str, region: str = REGION) -> dict[str, list[Any]]:
    asked = {"AttributeName": list(names)} if names else {}
    found = cloud.sdk("ecs:DescribeAccountAttributes", region=region, RegionId=region, **asked)
    return {
        one["AttributeName"]: one["AttributeValues"]["ValueItem"]
        for one in found["AccountAttributeItems"]["AccountAttributeItem"]
    }


def value(cloud: Aliyun, name: str, region: str = REGION) -> str:
    return str(attributes(cloud, name, region=region)[name][0]["Value"])


def test_every_attribute(cloud: Aliyun) -> None:
    found = attributes(cloud)
    assert set(found) >= {
        "instance-network-type",
        "max-security-groups",
        "max-elastic-network-interfaces",
        "max-postpaid-instance-vcpu-count",
        "max-spot-instance-vcpu-count",
        "used-postpaid-instance-vcpu-count",
        "used-spot-instance-vcpu-count",
        "max-dedicated-hosts",
        "supported-postpaid-instance-types",
        "max-axt-command-count",
        "real-name-authentication",
    }
    assert found["instance-network-type"] == [{"Value": "vpc"}]
    offered = found["supported-postpaid-instance-types"]
    assert {"InstanceType", "ZoneId"} <= offered[0].keys()
    cloud.cloud.store.conditions.sold_out = {("*", f"{REGION}a")}
    left = attributes(cloud, "supported-postpaid-instance-types")
    zones = {one["ZoneId"] for one in left["supported-postpaid-instance-types"]}
    assert zones == {f"{REGION}b", f"{REGION}c"}


def test_what_cannot_be_asked(cloud: Aliyun) -> None:
    with refused("InvalidParameter"):
        attributes(cloud, "max-happiness")
    with refused("InvalidParameter"):
        attributes(cloud, *["max-security-groups"] * 9)
    assert list(attributes(cloud, *["max-security-groups"] * 2)) == ["max-security-groups"]
    with refused("InvalidZoneId.NotFound", 404):
        cloud("ecs:DescribeAccountAttributes", RegionId=REGION, ZoneId="mars-1a")


def test_cores_are_counted_and_limited(cloud: Aliyun) -> None:
    cloud.cloud.store.conditions.quotas |= {"vcpu": 12, "spot-vcpu": 4}
    assert value(cloud, "max-postpaid-instance-vcpu-count") == "12"
    cluster = cloud.cluster()
    cloud.done(cloud.pool(cluster, instance_types=["ecs.g7.xlarge"])["task_id"])
    assert value(cloud, "used-postpaid-instance-vcpu-count") == "8"
    made = cloud.pool(cluster, "more", instance_types=["ecs.g7.xlarge"])
    failed = cloud.done(made["task_id"], "fail")
    assert failed["error"]["code"] == "QuotaExceed.ElasticQuota"
    pool = cloud("cs:DescribeClusterNodePoolDetail", cluster["cluster_id"], made["nodepool_id"])
    assert pool["status"]["total_nodes"] == 1
    assert pool["status"]["conditions"][0]["reason"] == "QuotaExceed.ElasticQuota"
    spot = cloud.pool(
        cluster, "spot", instance_types=["ecs.g7.xlarge"], spot_strategy="SpotAsPriceGo"
    )
    cloud.done(spot["task_id"], "fail")
    assert value(cloud, "used-spot-instance-vcpu-count") == "4"
    # a smaller machine still fits where a larger one does not
    cloud.cloud.store.conditions.quotas["vcpu"] = 14
    cloud.done(
        cloud.pool(
            cluster, "small", desired_size=1, instance_types=["ecs.g7.4xlarge", "ecs.g7.large"]
        )["task_id"]
    )
    assert value(cloud, "used-postpaid-instance-vcpu-count") == "14"


def test_network_interfaces_are_limited(cloud: Aliyun) -> None:
    cloud.cloud.store.conditions.quotas["network-interface"] = 1
    vpc, vswitches = cloud.network()
    group = cloud("ecs:CreateSecurityGroup", RegionId=REGION, VpcId=vpc)["SecurityGroupId"]
    asked = {"RegionId": REGION, "VSwitchId": vswitches[0], "SecurityGroupIds": [group]}
    cloud("ecs:CreateNetworkInterface", **asked)
    with refused("MaxEniCountExceeded", 403):
        cloud("ecs:CreateNetworkInterface", **asked)


@pytest.mark.parametrize("region", [MAINLAND, "cn-hongkong"])
def test_a_name_nobody_has_verified(cloud: Aliyun, region: str) -> None:
    assert value(cloud, "real-name-authentication", region) == "yes"
    cloud.cloud.store.conditions.real_name = "none"
    assert value(cloud, "real-name-authentication", region) == "none"
    here = {"RegionId": region}
    asked = {**here, "ZoneId": f"{region}-{'h' if region == MAINLAND else 'b'}"}
    network = cloud.sdk("vpc:CreateVpc", region=region, CidrBlock="192.168.0.0/16", **here)
    vswitch = cloud.sdk(
        "vpc:CreateVSwitch", region=region, VpcId=network["VpcId"], CidrBlock="192.168.0.0/24",
        **asked,
    )["VSwitchId"]  # fmt: skip
    wanted = cloud.wanted(vswitches=[vswitch]) | {"region_id": region}
    made = cloud.sdk("cs:CreateCluster", region=region, **wanted)
    cloud.done(made["task_id"])
    cluster = {"cluster_id": made["cluster_id"], "vswitch_ids": [vswitch]}
    pool = cloud.pool(cluster)
    if region == MAINLAND:
        error = cloud.done(pool["task_id"], "fail")["error"]
        assert error["code"] == "RealNameAuthenticationError"
    else:
        cloud.done(pool["task_id"])
    cloud.cloud.store.conditions.real_name = "unnecessary"
    assert value(cloud, "real-name-authentication", region) == "unnecessary"
    cloud.done(cloud.pool(cluster, "other")["task_id"])
