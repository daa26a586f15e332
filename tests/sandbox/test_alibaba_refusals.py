"""What the emulated Alibaba Cloud refuses of rules, tags, lists and addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.aliyun import Aliyun, account, anew, refused
from tests.sandbox.test_alibaba_network import gateway, here

API = 6443


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


@pytest.fixture
def group(cloud: Aliyun) -> dict[str, Any]:
    vpc = cloud("vpc:CreateVpc", **here())["VpcId"]
    made = cloud("ecs:CreateSecurityGroup", **here(VpcId=vpc))["SecurityGroupId"]
    return here(SecurityGroupId=made)


# -- rules of security groups --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"PortRange": "0/22"}, "InvalidParam.PortRange", 400),
        ({"PortRange": "22/21"}, "InvalidParam.PortRange", 400),
        ({"PortRange": "1/99999"}, "InvalidParam.PortRange", 400),
        ({"PortRange": "-1/-1"}, "InvalidParam.PortRange", 400),
        ({"IpProtocol": "ALL"}, "InvalidParam.PortRange", 400),
        ({"SourceCidrIp": "banana"}, "InvalidSourceCidrIp.Malformed", 400),
        ({"SourceGroupId": "sg-none"}, "InvalidSourceGroupId.NotFound", 404),
        ({"Priority": "0"}, "InvalidPriority.ValueNotSupported", 400),
        ({"Priority": "101"}, "InvalidPriority.ValueNotSupported", 400),
        ({"Policy": "maybe"}, "InvalidPolicy.Malformed", 400),
    ],
)
def test_rules_that_cannot_be(
    cloud: Aliyun, group: dict[str, Any], change: dict[str, str], code: str, status: int
) -> None:
    rule = {"IpProtocol": "TCP", "PortRange": "22/22", "SourceCidrIp": "10.0.0.0/8"} | change
    with refused(code, status):
        cloud("ecs:AuthorizeSecurityGroup", **group, Permissions=[rule])


@pytest.mark.parametrize(
    ("rule", "joins"),
    [
        ({"SourceCidrIp": "192.168.0.0/16"}, True),
        ({"SourceCidrIp": "192.168.0.0/24"}, False),
        ({"SourceCidrIp": "203.0.113.0/24"}, False),
        ({"SourceCidrIp": "192.168.0.0/16", "Policy": "drop"}, False),
        ({"SourceGroupId": "own"}, True),
    ],
)
def test_a_rule_that_lets_machines_in(cloud: Aliyun, rule: dict[str, str], joins: bool) -> None:
    cluster = cloud.cluster()
    own = cloud("ecs:CreateSecurityGroup", **here(VpcId=cluster["vpc_id"]))["SecurityGroupId"]
    rule = {k: own if v == "own" else v for k, v in rule.items()}
    cloud(
        "ecs:AuthorizeSecurityGroup",
        **here(SecurityGroupId=cluster["security_group_id"]),
        Permissions=[{"IpProtocol": "TCP", "PortRange": f"{API}/{API}", **rule}],
    )
    made = cloud.pool(cluster, security_group_ids=[own])
    cloud.done(made["task_id"], "success" if joins else "fail")


# -- tags ----------------------------------------------------------------------------------------


def test_tags_that_cannot_be(cloud: Aliyun) -> None:
    vpc = cloud("vpc:CreateVpc", **here())["VpcId"]
    target = here(ResourceType="VPC", ResourceId=[vpc])
    tag = {"Key": "a", "Value": "b"}
    for sent, code, status in (
        (target | {"Tag": [tag, tag]}, "Duplicate.TagKey", 400),
        (target | {"Tag": []}, "MissingTag", 400),
        (target | {"Tag": [tag], "ResourceId": []}, "MissingResourceId", 400),
        (target | {"Tag": [tag], "ResourceId": [vpc] * 51}, "NumberExceed.ResourceIds", 400),
        (target | {"Tag": [tag], "ResourceType": "VSWITCH"}, "InvalidResourceId.NotFound", 404),
        (
            target | {"Tag": [{"Key": "x", "Value": "see http://x"}]},
            "InvalidTagValue.Malformed",
            400,
        ),
    ):
        with refused(code, status):
            cloud("vpc:TagResources", **sent)
    with refused("Duplicate.TagKey"):
        cloud("vpc:CreateVpc", **here(Tag=[tag, tag]))
    with refused("InvalidResourceId.NotFound", 404):
        cloud.sdk(
            "vpc:TagResources", region="eu-central-1",
            **target | {"RegionId": "eu-central-1", "Tag": [tag]},
        )  # fmt: skip


# -- access control lists ------------------------------------------------------------------------


def test_lists_that_cannot_be(cloud: Aliyun) -> None:
    with refused("InvalidParameter"):
        cloud("slb:CreateAccessControlList", **here(AclName="a" * 81))
    acl = here(AclId=cloud("slb:CreateAccessControlList", **here(AclName="office"))["AclId"])
    for first in range(6):
        entries = [{"entry": f"10.{first}.{n}.0/24"} for n in range(50)]
        cloud("slb:AddAccessControlListEntry", **acl, AclEntrys=json.dumps(entries))
    with refused("OverQuota"):
        cloud("slb:AddAccessControlListEntry", **acl, AclEntrys='[{"entry": "10.9.0.0/24"}]')


# -- addresses -----------------------------------------------------------------------------------


def test_addresses_of_a_way_out(cloud: Aliyun) -> None:
    vpc, vswitches = cloud.network()
    nat = gateway(cloud, vpc, vswitches[0])
    table = here(SnatTableId=nat["SnatTableIds"]["SnatTableId"][0])
    bound = []
    for _ in range(2):
        eip = cloud("vpc:AllocateEipAddress", **here())
        target = here(AllocationId=eip["AllocationId"], InstanceId=nat["NatGatewayId"])
        cloud("vpc:AssociateEipAddress", **target, InstanceType="Nat")
        bound.append(eip)
    both = ",".join(eip["EipAddress"] for eip in bound)
    entry = table | {
        "SnatEntryId": cloud(
            "vpc:CreateSnatEntry", **table, SourceVSwitchId=vswitches[0], SnatIp=both
        )["SnatEntryId"]
    }
    for eip in bound:
        with refused("InvalidIpStatus.HasBeenUsedBySnatTable"):
            cloud("vpc:UnassociateEipAddress", **here(AllocationId=eip["AllocationId"]))
    with refused("EIP_NOT_IN_GATEWAY"):
        cloud("vpc:ModifySnatEntry", **entry, SnatIp="203.0.113.250")
    cloud("vpc:ModifySnatEntry", **entry, SnatIp=bound[0]["EipAddress"])
    free = here(AllocationId=bound[1]["AllocationId"])
    with refused("InvalidInstanceId.NotFound", 404):
        cloud("vpc:UnassociateEipAddress", **free, InstanceId="ngw-none")
    cloud("vpc:UnassociateEipAddress", **free)
    for kind in ("SlbInstance", "EcsInstance"):
        with refused("InvalidInstanceId.NotFound"):
            cloud("vpc:AssociateEipAddress", **free, InstanceId="x-none", InstanceType=kind)
    cloud.cloud.store.conditions.quotas["snat"] = 1
    with refused("Forbidden.SnatEntryCountLimited"):
        cloud("vpc:CreateSnatEntry", **table, SourceVSwitchId=vswitches[1],
              SnatIp=bound[0]["EipAddress"])  # fmt: skip


def test_addresses_of_interfaces(cloud: Aliyun) -> None:
    vpc, vswitches = cloud.network()
    group = cloud("ecs:CreateSecurityGroup", **here(VpcId=vpc))["SecurityGroupId"]
    asked = here(VSwitchId=vswitches[0], SecurityGroupIds=[group])
    card = cloud("ecs:CreateNetworkInterface", **asked, PrimaryIpAddress="192.168.0.9")
    assert card["PrivateIpAddress"] == "192.168.0.9"
    for address in ("192.168.0.9", "192.168.1.9", "192.168.0.255", "banana"):
        with refused("InvalidIPAddress.AlreadyUsed"):
            cloud("ecs:CreateNetworkInterface", **asked, PrimaryIpAddress=address)
    elsewhere = cloud.network("10.9")[1]
    with refused("InvalidSecurityGroupId.NotFound", 403):
        cloud("ecs:CreateNetworkInterface", **asked | {"VSwitchId": elsewhere[0]})


def test_more_addresses_than_there_are_for_documentation(cloud: Aliyun) -> None:
    cloud.cloud.store.conditions.quotas["eip"] = 1000
    made = {cloud.rpc("vpc", "AllocateEipAddress")[1]["EipAddress"] for _ in range(800)}
    assert len(made) == 800


def test_names_that_are_too_long(cloud: Aliyun) -> None:
    vpc, vswitches = cloud.network()
    with refused("InvalidVpcName.Malformed"):
        cloud("vpc:ModifyVpcAttribute", **here(VpcId=vpc, VpcName="a" * 129))
    with refused("InvalidVSwitchName.Malformed"):
        cloud("vpc:ModifyVSwitchAttribute", **here(VSwitchId=vswitches[0], VSwitchName="a" * 129))
    with refused("Sandbox.NotImplemented", 501):
        cloud("vpc:ModifyVpcAttribute", **here(VpcId=vpc, CidrBlock="10.0.0.0/8"))


def test_key_pairs_are_limited(cloud: Aliyun) -> None:
    cloud.cloud.store.conditions.quotas["key-pair"] = 1
    cloud.key_pair()
    with refused("KeyPair.AlreadyExist"):
        cloud.key_pair()
    with refused("QuotaExceed.KeyPair", 403):
        cloud.key_pair("other")


def test_a_role_that_trusts_somebody_else(cloud: Aliyun) -> None:
    def trust(*who: str) -> str:
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"RAM": [*who]}}
        return json.dumps({"Version": "1", "Statement": [statement]})

    stranger = trust("acs:ram::9999999999999999:root")
    role = cloud("ram:CreateRole", RoleName="r", AssumeRolePolicyDocument=stranger)["Role"]
    asked = {"RoleArn": role["Arn"], "RoleSessionName": "session"}
    with refused("NoPermission", 403):
        cloud("sts:AssumeRole", **asked)
    ours = trust("acs:ram::1234567890123456:root")
    cloud("ram:UpdateRole", RoleName="r", NewAssumeRolePolicyDocument=ours)
    assert cloud("sts:AssumeRole", **asked)["Credentials"]["SecurityToken"]


def test_roles_that_cannot_be(cloud: Aliyun) -> None:
    statement = {
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": ["ecs.aliyuncs.com"]},
    }  # fmt: skip
    policy = json.dumps({"Version": "1", "Statement": [statement]})
    role = {"RoleName": "Demo", "AssumeRolePolicyDocument": policy}
    cloud("ram:CreateRole", **role)
    for change, code, status in (
        ({"RoleName": "demo"}, "EntityAlreadyExists.Role", 409),
        ({"RoleName": "a" * 65}, "InvalidParameter.RoleName.Length", 400),
        ({"RoleName": "a b"}, "InvalidParameter.RoleName.InvalidChars", 400),
        ({"Description": "a" * 1025}, "InvalidParameter.Description.Length", 400),
        (
            {"AssumeRolePolicyDocument": policy + " " * 2048},
            "InvalidParameter.AssumeRolePolicyDocument.Length", 400,
        ),
    ):  # fmt: skip
        with refused(code, status):
            cloud("ram:CreateRole", **role | {"RoleName": "other"} | change)
    cloud.cloud.store.conditions.quotas["role"] = 0
    with refused("LimitExceeded.Role", 409):
        cloud("ram:CreateRole", **role | {"RoleName": "other"})


def test_elastic_addresses_that_cannot_be(cloud: Aliyun) -> None:
    for wrong in ({"Bandwidth": "0"}, {"Bandwidth": "x"}, {"InternetChargeType": "Free"}):
        with refused("InvalidParameter"):
            cloud("vpc:AllocateEipAddress", **here(**wrong))
    eip = cloud("vpc:AllocateEipAddress", **here(Bandwidth="100"))["AllocationId"]
    with refused("InvalidParameter"):
        cloud("vpc:ModifyEipAddressAttribute", **here(AllocationId=eip, Bandwidth="1001"))
