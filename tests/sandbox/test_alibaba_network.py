"""VPC and ECS of the emulated Alibaba Cloud: networks, addresses, key pairs, what is on offer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from darabonba.exceptions import DaraException

from tests.sandbox.aliyun import (
    PUBLIC_KEY,
    REGION,
    ZONES,
    Aliyun,
    account,
    anew,
    eventually,
    refused,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


def here(**more: Any) -> dict[str, Any]:
    return {"RegionId": REGION, **more}


def gateway(cloud: Aliyun, vpc: str, vswitch: str) -> dict[str, Any]:
    made: dict[str, Any] = cloud(
        "vpc:CreateNatGateway", **here(VpcId=vpc, VSwitchId=vswitch, NatType="Enhanced")
    )
    return made


# -- VPC and vSwitches ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cidr", "code"),
    [
        ("10.0.0.0/30", "InvalidCidrBlock.Malformed"),
        ("100.64.0.0/16", "InvalidCidrBlock.Malformed"),
        ("127.0.0.0/16", "InvalidCidrBlock.Malformed"),
        ("224.0.0.0/8", "InvalidCidrBlock.Malformed"),
        ("10.0.0.1/16", "InvalidCidrBlock.Malformed"),
        ("ten", "InvalidCidrBlock.Malformed"),
    ],
)
def test_networks_that_cannot_be(cloud: Aliyun, cidr: str, code: str) -> None:
    with refused(code):
        cloud("vpc:CreateVpc", **here(CidrBlock=cidr))


def test_public_ranges_are_no_less_good(cloud: Aliyun) -> None:
    vpc = cloud("vpc:CreateVpc", **here(CidrBlock="8.8.0.0/16"))["VpcId"]
    assert cloud("vpc:DescribeVpcAttribute", **here(VpcId=vpc))["CidrBlock"] == "8.8.0.0/16"


def test_resource_groups_are_kept_shown_and_filtered_by(cloud: Aliyun) -> None:
    other = {"ResourceGroupId": "rg-acfmsandbox00001"}
    vpc = cloud("vpc:CreateVpc", **here(**other))["VpcId"]
    cloud("vpc:CreateVpc", **here())
    vswitch = cloud(
        "vpc:CreateVSwitch",
        **here(VpcId=vpc, ZoneId=ZONES[0], CidrBlock="172.16.0.0/24"),
    )["VSwitchId"]
    gateway(cloud, vpc, vswitch)
    cloud("vpc:AllocateEipAddress", **here(**other))
    cloud("ecs:CreateSecurityGroup", **here(VpcId=vpc, **other))
    cloud("ecs:ImportKeyPair", **here(KeyPairName="demo", PublicKeyBody=PUBLIC_KEY, **other))
    cloud("slb:CreateAccessControlList", **here(AclName="office", **other))
    [found] = cloud("vpc:DescribeVpcs", **here(**other))["Vpcs"]["Vpc"]
    assert found["VpcId"] == vpc
    for name, *path in (
        ("vpc:DescribeVSwitches", "VSwitches", "VSwitch"),
        ("vpc:DescribeNatGateways", "NatGateways", "NatGateway"),
        ("vpc:DescribeEipAddresses", "EipAddresses", "EipAddress"),
        ("ecs:DescribeSecurityGroups", "SecurityGroups", "SecurityGroup"),
        ("ecs:DescribeKeyPairs", "KeyPairs", "KeyPair"),
        ("slb:DescribeAccessControlLists", "Acls", "Acl"),
    ):
        [one] = cloud(name, **here())[path[0]][path[1]]
        assert one["ResourceGroupId"] == other["ResourceGroupId"], name
    with refused("InvalidResourceGroup.NotFound", 404):
        cloud("ecs:CreateSecurityGroup", **here(VpcId=vpc, ResourceGroupId="rg-none"))


@pytest.mark.parametrize("kind", ["ssh-dss", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_key_pairs_of_every_kind(cloud: Aliyun, kind: str) -> None:
    blob = len(kind).to_bytes(4) + kind.encode() + bytes(64)
    body = f"{kind} {base64.b64encode(blob).decode()}"
    cloud("ecs:ImportKeyPair", **here(KeyPairName="demo", PublicKeyBody=body))
    [found] = cloud("ecs:DescribeKeyPairs", **here())["KeyPairs"]["KeyPair"]
    assert found["KeyPairName"] == "demo"


def test_the_default_network(cloud: Aliyun) -> None:
    made = cloud("vpc:CreateVpc", **here())
    assert cloud("vpc:DescribeVpcAttribute", **here(VpcId=made["VpcId"]))["CidrBlock"] == (
        "172.16.0.0/12"
    )


@pytest.mark.parametrize(
    ("more", "code", "status"),
    [
        ({"CidrBlock": "192.168.0.0/25"}, "InvalidCidrBlock.Overlapped", 400),
        ({"CidrBlock": "10.0.0.0/24"}, "InvalidCidrBlock.Malformed", 400),
        ({"CidrBlock": "192.168.9.0/30"}, "InvalidCidrBlock.Malformed", 400),
        ({"CidrBlock": "192.168.9.0/24", "ZoneId": "eu-central-1a"}, "InvalidZoneId.NotFound", 404),
        ({"CidrBlock": "192.168.9.0/24", "VpcId": "vpc-none"}, "InvalidVpcId.NotFound", 404),
        ({}, "MissingCidrBlock", 400),
    ],
)
def test_vswitches_that_cannot_be(
    cloud: Aliyun, more: dict[str, str], code: str, status: int
) -> None:
    vpc, _ = cloud.network()
    with refused(code, status):
        cloud("vpc:CreateVSwitch", **here(VpcId=vpc, ZoneId=ZONES[0]) | more)


def test_a_vswitch_by_its_mask(cloud: Aliyun) -> None:
    vpc, _ = cloud.network()
    made = cloud("vpc:CreateVSwitch", **here(VpcId=vpc, ZoneId=ZONES[2], CidrMask=24))
    found = cloud("vpc:DescribeVSwitchAttributes", **here(VSwitchId=made["VSwitchId"]))
    assert (found["CidrBlock"], found["AvailableIpAddressCount"]) == ("192.168.2.0/24", 252)


def test_names_change(cloud: Aliyun) -> None:
    vpc, vswitches = cloud.network()
    cloud("vpc:ModifyVpcAttribute", **here(VpcId=vpc, VpcName="a", Description="b"))
    cloud("vpc:ModifyVSwitchAttribute", **here(VSwitchId=vswitches[0], VSwitchName="c"))
    found = cloud("vpc:DescribeVpcs", **here(VpcName="a"))["Vpcs"]["Vpc"]
    assert [one["Description"] for one in found] == ["b"]
    assert len(cloud("vpc:DescribeVSwitches", **here(VSwitchName="c"))["VSwitches"]["VSwitch"]) == 1


def test_networks_of_another_region_are_not_here(cloud: Aliyun) -> None:
    vpc, _ = cloud.network()
    there = {"RegionId": "eu-central-1"}
    assert cloud.sdk("vpc:DescribeVpcs", region="eu-central-1", **there)["TotalCount"] == 0
    with refused("InvalidVpcId.NotFound", 404):
        cloud.sdk("vpc:DeleteVpc", region="eu-central-1", VpcId=vpc, **there)


def test_quotas(cloud: Aliyun) -> None:
    cloud.cloud.store.conditions.quotas |= {"vpc": 1, "vswitch": 2, "eip": 0, "security-group": 0}
    vpc, _ = cloud.network()
    with refused("QuotaExceeded.Vpc"):
        cloud("vpc:CreateVpc", **here())
    with refused("QuotaExceeded.VSwitch"):
        cloud("vpc:CreateVSwitch", **here(VpcId=vpc, ZoneId=ZONES[0], CidrMask=24))
    with refused("QuotaExceeded.Eip"):
        cloud("vpc:AllocateEipAddress", **here())
    with refused("QuotaExceed.SecurityGroup", 403):
        cloud("ecs:CreateSecurityGroup", **here(VpcId=vpc))


def test_client_tokens(cloud: Aliyun) -> None:
    asked = here(CidrBlock="10.0.0.0/16", ClientToken="one")
    first, again = (cloud("vpc:CreateVpc", **asked)["VpcId"] for _ in range(2))
    assert first == again
    with refused("IdempotentParameterMismatch"):
        cloud("vpc:CreateVpc", **asked | {"CidrBlock": "10.1.0.0/16"})
    # in another region it is another token
    there = cloud.sdk(
        "vpc:CreateVpc", region="eu-central-1", **asked | {"RegionId": "eu-central-1"}
    )
    assert there["VpcId"] != first


def test_pages(cloud: Aliyun) -> None:
    vpc, vswitches = cloud.network(zones=(0, 1, 2))
    asked = here(VpcId=vpc, PageSize=2, PageNumber=2)
    found = cloud("vpc:DescribeVSwitches", **asked)
    assert (found["TotalCount"], found["PageSize"], found["PageNumber"]) == (3, 2, 2)
    assert [v["VSwitchId"] for v in found["VSwitches"]["VSwitch"]] == vswitches[2:]
    cloud.sandbox.faults.page_size = 1
    seen = []
    for number in (1, 2, 3, 4):
        one = cloud("vpc:DescribeVSwitches", **here(VpcId=vpc, PageSize=50, PageNumber=number))
        assert one["PageSize"] == 1
        seen += [v["VSwitchId"] for v in one["VSwitches"]["VSwitch"]]
    assert seen == vswitches


def test_things_take_their_time(cloud: Aliyun, monkeypatch: pytest.MonkeyPatch) -> None:
    vpc, vswitches = cloud.network()
    monkeypatch.setattr(cloud.sandbox.pace, "factor", 1.0)
    slow = cloud("vpc:CreateVpc", **here())["VpcId"]
    assert cloud("vpc:DescribeVpcAttribute", **here(VpcId=slow))["Status"] == "Pending"
    with refused("IncorrectVpcStatus"):
        cloud("vpc:CreateVSwitch", **here(VpcId=slow, ZoneId=ZONES[0], CidrBlock="172.16.0.0/24"))
    with refused("IncorrectVpcStatus"):
        cloud("vpc:DeleteVpc", **here(VpcId=slow))
    made = cloud("vpc:CreateVSwitch", **here(VpcId=vpc, ZoneId=ZONES[0], CidrMask=24))
    with refused("IncorrectStatus.VSWITCH"):
        gateway(cloud, vpc, made["VSwitchId"])
    nat = gateway(cloud, vpc, vswitches[0])["NatGatewayId"]
    found = cloud("vpc:GetNatGatewayAttribute", **here(NatGatewayId=nat))
    assert found["Status"] == "Creating"
    eip = cloud("vpc:AllocateEipAddress", **here())["AllocationId"]
    with refused("IncorrectStatus.NatGateway"):
        cloud(
            "vpc:AssociateEipAddress",
            **here(AllocationId=eip, InstanceId=nat, InstanceType="Nat"),
        )


# -- the way out ---------------------------------------------------------------------------------


def test_nat_gateways_that_cannot_be(cloud: Aliyun) -> None:
    vpc, vswitches = cloud.network()
    with refused("InvalidParameter"):
        cloud("vpc:CreateNatGateway", **here(VpcId=vpc, VSwitchId=vswitches[0]))
    with refused("MissingVSwitchId"):
        cloud("vpc:CreateNatGateway", **here(VpcId=vpc, NatType="Enhanced"))
    _, others = cloud.network("10.9")
    with refused("InvalidVSwitchId.NotFound", 404):
        gateway(cloud, vpc, others[0])


def test_the_way_out(cloud: Aliyun) -> None:
    vpc, vswitches = cloud.network()
    nat = gateway(cloud, vpc, vswitches[0])
    table = nat["SnatTableIds"]["SnatTableId"][0]
    entry = here(SnatTableId=table, SourceVSwitchId=vswitches[1])
    eip = cloud("vpc:AllocateEipAddress", **here(Tag=[{"Key": "a", "Value": "b"}]))
    with refused("EIP_NOT_IN_GATEWAY"):
        cloud("vpc:CreateSnatEntry", **entry, SnatIp=eip["EipAddress"])
    bound = here(
        AllocationId=eip["AllocationId"], InstanceId=nat["NatGatewayId"], InstanceType="Nat"
    )
    cloud("vpc:AssociateEipAddress", **bound)
    with refused("IncorrectEipStatus"):
        cloud("vpc:AssociateEipAddress", **bound)
    with refused("InvalidParameter"):
        cloud("vpc:CreateSnatEntry", **entry, SnatIp=eip["EipAddress"], SourceCIDR="192.168.0.0/24")
    made = cloud("vpc:CreateSnatEntry", **entry, SnatIp=eip["EipAddress"])["SnatEntryId"]
    with refused("Forbidden.SourceVSwitchId.Duplicated"):
        cloud("vpc:CreateSnatEntry", **entry, SnatIp=eip["EipAddress"])
    found = cloud("vpc:DescribeSnatTableEntries", **here(SnatTableId=table))
    assert [e["SourceCIDR"] for e in found["SnatTableEntries"]["SnatTableEntry"]] == [
        "192.168.1.0/24"
    ]
    cloud("vpc:ModifySnatEntry", **here(SnatTableId=table, SnatEntryId=made, SnatEntryName="n"))
    cloud("vpc:ModifyNatGatewayAttribute", **here(NatGatewayId=nat["NatGatewayId"], Name="n"))
    cloud("vpc:ModifyEipAddressAttribute", **here(AllocationId=eip["AllocationId"], Name="n"))
    gateways = cloud("vpc:DescribeNatGateways", **here(VpcId=vpc))["NatGateways"]["NatGateway"]
    assert gateways[0]["IpLists"]["IpList"][0]["UsingStatus"] == "UsedBySnatTable"
    assert cloud("vpc:ListEnhanhcedNatGatewayAvailableZones", **here())["Zones"]

    for code, operation, target in (
        ("DependencyViolation.SnatEntry", "DeleteNatGateway",
         here(NatGatewayId=nat["NatGatewayId"])),
        ("InvalidIpStatus.HasBeenUsedBySnatTable", "UnassociateEipAddress", bound),
        ("IncorrectEipStatus", "ReleaseEipAddress", here(AllocationId=eip["AllocationId"])),
        ("DependencyViolation.EnhancedNatgw", "DeleteVSwitch", here(VSwitchId=vswitches[0])),
        ("DependencyViolation.SnatEntry", "DeleteVSwitch", here(VSwitchId=vswitches[1])),
        ("DependencyViolation.VSwitch", "DeleteVpc", here(VpcId=vpc)),
    ):  # fmt: skip
        with refused(code):
            cloud(f"vpc:{operation}", **target)
    cloud("vpc:DeleteSnatEntry", **here(SnatTableId=table, SnatEntryId=made))
    with refused("DependencyViolation.EIPS"):
        cloud("vpc:DeleteNatGateway", **here(NatGatewayId=nat["NatGatewayId"]))
    cloud("vpc:DeleteNatGateway", **here(NatGatewayId=nat["NatGatewayId"], Force=True))
    free = cloud("vpc:DescribeEipAddresses", **here())["EipAddresses"]["EipAddress"]
    assert [(e["Status"], e["InstanceId"]) for e in free] == [("Available", "")]


def test_the_way_out_takes_its_time(cloud: Aliyun, monkeypatch: pytest.MonkeyPatch) -> None:
    vpc, vswitches = cloud.network()
    nat = gateway(cloud, vpc, vswitches[0])
    table = here(SnatTableId=nat["SnatTableIds"]["SnatTableId"][0])
    eip = cloud("vpc:AllocateEipAddress", **here())
    bound = here(
        AllocationId=eip["AllocationId"], InstanceId=nat["NatGatewayId"], InstanceType="Nat"
    )
    entry = {**table, "SourceVSwitchId": vswitches[0], "SnatIp": eip["EipAddress"]}

    def state() -> str:
        (found,) = cloud("vpc:DescribeEipAddresses", **here())["EipAddresses"]["EipAddress"]
        return str(found["Status"])

    with monkeypatch.context() as slow:
        slow.setattr(cloud.sandbox.pace, "factor", 6.0)
        cloud("vpc:AssociateEipAddress", **bound)
        assert state() == "Associating"
        with refused("OperationUnsupported.EipInBinding"):
            cloud("vpc:CreateSnatEntry", **entry)
        eventually(lambda: state() == "InUse")
        made = cloud("vpc:CreateSnatEntry", **entry)["SnatEntryId"]
        gone = {**table, "SnatEntryId": made}
        with refused("IncorretSnatEntryStatus"):
            cloud("vpc:DeleteSnatEntry", **gone)

        def deleted() -> bool:
            try:
                cloud("vpc:DeleteSnatEntry", **gone)
            except DaraException:
                return False
            return True

        eventually(deleted)
        listed = cloud("vpc:DescribeSnatTableEntries", **table)["SnatTableEntries"]
        assert [e["Status"] for e in listed["SnatTableEntry"]] == ["Deleting"]
        with refused("InvalidIpStatus.HasBeenUsedBySnatTable"):
            cloud("vpc:UnassociateEipAddress", **bound)
        eventually(lambda: not cloud("vpc:DescribeSnatTableEntries", **table)["TotalCount"])
        cloud("vpc:UnassociateEipAddress", **bound)
        assert state() == "Unassociating"
        with refused("IncorrectEipStatus"):
            cloud("vpc:ReleaseEipAddress", **here(AllocationId=eip["AllocationId"]))
        slow.setattr(cloud.sandbox.pace, "factor", 30.0)
        target = here(NatGatewayId=nat["NatGatewayId"])
        cloud("vpc:DeleteNatGateway", **target)
        assert cloud("vpc:GetNatGatewayAttribute", **target)["Status"] == "Deleting"
        with refused("IncorrectStatus.NatGateway"):
            cloud("vpc:DeleteNatGateway", **target)
        with refused("DependencyViolation.EnhancedNatgw"):
            cloud("vpc:DeleteVSwitch", **here(VSwitchId=vswitches[0]))
        eventually(lambda: not cloud("vpc:DescribeNatGateways", **here(VpcId=vpc))["TotalCount"])
    cloud("vpc:DeleteVSwitch", **here(VSwitchId=vswitches[0]))


@pytest.mark.parametrize(
    ("operation", "target", "code"),
    [
        ("vpc:DeleteVpc", {"VpcId": "x"}, "InvalidVpcId.NotFound"),
        ("vpc:DeleteVSwitch", {"VSwitchId": "x"}, "InvalidVswitchID.NotFound"),
        ("vpc:DeleteNatGateway", {"NatGatewayId": "x"}, "InvalidNatGatewayId.NotFound"),
        ("vpc:ReleaseEipAddress", {"AllocationId": "x"}, "InvalidAllocationId.NotFound"),
        ("vpc:DeleteSnatEntry", {"SnatTableId": "x", "SnatEntryId": "y"},
         "InvalidSnatEntryId.NotFound"),
        ("ecs:DeleteSecurityGroup", {"SecurityGroupId": "x"}, "InvalidSecurityGroupId.NotFound"),
        ("ecs:DeleteDisk", {"DiskId": "x"}, "InvalidDiskId.NotFound"),
        ("ecs:DeleteNetworkInterface", {"NetworkInterfaceId": "x"}, "InvalidEniId.NotFound"),
        ("slb:DeleteLoadBalancer", {"LoadBalancerId": "x"}, "InvalidLoadBalancerId.NotFound"),
        ("nlb:DeleteLoadBalancer", {"LoadBalancerId": "x"}, "ResourceNotFound.loadBalancer"),
    ],
)  # fmt: skip
def test_what_is_gone(cloud: Aliyun, operation: str, target: dict[str, str], code: str) -> None:
    region = {} if operation in ("ecs:DeleteDisk",) else {"RegionId": REGION}
    with refused(code, 404):
        cloud(operation, **region, **target)


# -- tags ----------------------------------------------------------------------------------------


def test_tags(cloud: Aliyun) -> None:
    tags = [{"Key": "clusterkit-cluster", "Value": "demo"}, {"Key": "a b+c*~é", "Value": ""}]
    vpc = cloud("vpc:CreateVpc", **here(Tag=tags))["VpcId"]
    cloud("vpc:CreateVpc", **here())
    by = here(Tag=[{"Key": "clusterkit-cluster", "Value": "demo"}])
    assert [v["VpcId"] for v in cloud("vpc:DescribeVpcs", **by)["Vpcs"]["Vpc"]] == [vpc]
    assert cloud("vpc:DescribeVpcs", **here(Tag=[{"Key": "no"}]))["TotalCount"] == 0
    kind = here(ResourceType="VPC", ResourceId=[vpc])
    cloud("vpc:TagResources", **kind, Tag=[{"Key": "x", "Value": "y"}])
    cloud("vpc:UnTagResources", **kind, TagKey=["a b+c*~é"])
    cloud.sandbox.faults.page_size = 1
    seen, token = {}, None
    while token != "":
        one = cloud("vpc:ListTagResources", **kind, NextToken=token or None)
        seen |= {t["TagKey"]: t["TagValue"] for t in one["TagResources"]["TagResource"]}
        token = one["NextToken"]
    assert seen == {"clusterkit-cluster": "demo", "x": "y"}
    with refused("InvalidResourceId.NotFound", 404):
        cloud("vpc:TagResources", **here(ResourceType="VPC", ResourceId=["x"], Tag=tags))


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": "acs:mine", "Value": "a"}], "InvalidTagKey.Malformed"),
        ([{"Key": "aliyunish", "Value": "a"}], "InvalidTagKey.Malformed"),
        ([{"Key": "a", "Value": "http://b"}], "InvalidTagValue.Malformed"),
        ([{"Key": f"a{n}", "Value": ""} for n in range(21)], "InvalidTagCount"),
    ],
)
def test_tags_that_cannot_be(cloud: Aliyun, tags: list[dict[str, str]], code: str) -> None:
    with refused(code):
        cloud("vpc:CreateVpc", **here(Tag=tags))


# -- ECS -----------------------------------------------------------------------------------------


def test_security_groups(cloud: Aliyun) -> None:
    vpc, vswitches = cloud.network()
    made = cloud("ecs:CreateSecurityGroup", **here(VpcId=vpc, SecurityGroupName="a"))
    group = here(SecurityGroupId=made["SecurityGroupId"])
    rule = {"IpProtocol": "tcp", "PortRange": "6443/6443", "SourceCidrIp": "192.168.0.0/16"}
    for _ in range(2):
        cloud("ecs:AuthorizeSecurityGroup", **group, Permissions=[rule])
    found = cloud("ecs:DescribeSecurityGroupAttribute", **group)["Permissions"]["Permission"]
    assert [(r["IpProtocol"], r["PortRange"], r["Policy"]) for r in found] == [
        ("TCP", "6443/6443", "Accept")
    ]
    cloud("ecs:ModifySecurityGroupAttribute", **group, Description="b")
    listed = cloud("ecs:DescribeSecurityGroups", **here(VpcId=vpc))["SecurityGroups"]
    assert [g["Description"] for g in listed["SecurityGroup"]] == ["b"]
    with refused("DependencyViolation.VSwitch"):
        cloud("vpc:DeleteVpc", **here(VpcId=vpc))
    card = cloud(
        "ecs:CreateNetworkInterface",
        **here(VSwitchId=vswitches[0], SecurityGroupIds=[made["SecurityGroupId"]]),
    )["NetworkInterfaceId"]
    with refused("DependencyViolation", 403):
        cloud("ecs:DeleteSecurityGroup", **group)
    with refused("DependencyViolation"):
        cloud("vpc:DeleteVSwitch", **here(VSwitchId=vswitches[0]))
    sets = cloud("ecs:DescribeNetworkInterfaces", **here(VpcId=vpc))["NetworkInterfaceSets"]
    assert [n["Status"] for n in sets["NetworkInterfaceSet"]] == ["Available"]
    cloud("ecs:DeleteNetworkInterface", **here(NetworkInterfaceId=card))
    cloud("ecs:RevokeSecurityGroup", **group, Permissions=[rule])
    with refused("InvalidGroupAuthItem.NotFound", 403):
        cloud("ecs:RevokeSecurityGroup", **group, SecurityGroupRuleId=["sgr-none"])
    cloud("ecs:DeleteSecurityGroup", **group)
    for vswitch in vswitches:
        cloud("vpc:DeleteVSwitch", **here(VSwitchId=vswitch))
    cloud("vpc:DeleteVpc", **here(VpcId=vpc))


def test_a_group_keeps_its_vpc(cloud: Aliyun) -> None:
    vpc = cloud("vpc:CreateVpc", **here())["VpcId"]
    cloud("ecs:CreateSecurityGroup", **here(VpcId=vpc))
    with refused("DependencyViolation.SecurityGroup"):
        cloud("vpc:DeleteVpc", **here(VpcId=vpc))


def test_key_pairs(cloud: Aliyun) -> None:
    cloud.key_pair("demo")
    cloud.key_pair("demo-2")
    with refused("KeyPair.AlreadyExist"):
        cloud.key_pair("demo")
    found = cloud("ecs:DescribeKeyPairs", **here(KeyPairName="demo*", IncludePublicKey=True))
    assert [k["PublicKey"] for k in found["KeyPairs"]["KeyPair"]] == [PUBLIC_KEY] * 2
    there = {"RegionId": "eu-central-1"}
    assert cloud.sdk("ecs:DescribeKeyPairs", region="eu-central-1", **there)["TotalCount"] == 0
    with refused("InvalidPublicKeyBody.Malformed"):
        cloud("ecs:ImportKeyPair", **here(KeyPairName="other", PublicKeyBody="ssh-rsa AAAA"))
    with refused("InvalidKeyPairName.Malformed"):
        cloud("ecs:ImportKeyPair", **here(KeyPairName="1", PublicKeyBody=PUBLIC_KEY))
    cloud("ecs:TagResources", **here(ResourceType="keypair", ResourceId=["demo"],
                                     Tag=[{"Key": "a", "Value": "b"}]))  # fmt: skip
    by = here(Tag=[{"Key": "a", "Value": "b"}])
    assert cloud("ecs:DescribeKeyPairs", **by)["TotalCount"] == 1
    # names that are not there do no harm
    cloud("ecs:DeleteKeyPairs", **here(KeyPairNames=json.dumps(["demo", "demo-2", "none"])))
    assert cloud("ecs:DescribeKeyPairs", **here())["TotalCount"] == 0
    with refused("InvalidKeyPairNames.ValueNotSupported"):
        cloud("ecs:DeleteKeyPairs", **here(KeyPairNames="demo"))


def test_disks(cloud: Aliyun) -> None:
    asked = here(ZoneId=ZONES[0], DiskCategory="cloud_essd", DiskName="d")
    with refused("InvalidDiskSize.NotSupported", 403):
        cloud("ecs:CreateDisk", **asked, Size=8)
    small = cloud("ecs:CreateDisk", **asked, Size=8, PerformanceLevel="PL0")["DiskId"]
    found = cloud("ecs:DescribeDisks", **here(DiskIds=json.dumps([small])))["Disks"]["Disk"]
    assert [(d["Size"], d["PerformanceLevel"], d["Status"]) for d in found] == [
        (8, "PL0", "Available")
    ]
    cloud("ecs:DeleteDisk", DiskId=small)


def test_what_is_on_offer(cloud: Aliyun) -> None:
    found = cloud("ecs:DescribeZones", **here())["Zones"]["Zone"]
    assert [zone["ZoneId"] for zone in found] == ZONES
    assert len(cloud("vpc:DescribeZones", **here())["Zones"]["Zone"]) == 3
    assert REGION in [r["RegionId"] for r in cloud("ecs:DescribeRegions")["Regions"]["Region"]]
    assert REGION in [r["RegionId"] for r in cloud("vpc:DescribeRegions")["Regions"]["Region"]]
    kinds = cloud("ecs:DescribeInstanceTypes", InstanceTypes=["ecs.g7.xlarge", "ecs.c4.xlarge"])
    assert [k["InstanceTypeId"] for k in kinds["InstanceTypes"]["InstanceType"]] == [
        "ecs.g7.xlarge"
    ]
    assert cloud("ecs:DescribeAccountAttributes", **here())["AccountAttributeItems"]


def test_sold_out(cloud: Aliyun) -> None:
    def stock(**more: str) -> dict[str, str]:
        asked = here(DestinationResource="InstanceType", InstanceType="ecs.g7.xlarge", **more)
        found = cloud("ecs:DescribeAvailableResource", **asked)["AvailableZones"]["AvailableZone"]
        return {
            zone["ZoneId"]: zone["AvailableResources"]["AvailableResource"][0]
            ["SupportedResources"]["SupportedResource"][0]["StatusCategory"]
            for zone in found
        }  # fmt: skip

    assert set(stock().values()) == {"WithStock"}
    cloud.cloud.store.conditions.sold_out.add(("ecs.g7.xlarge", ZONES[1]))
    assert stock()[ZONES[1]] != "WithStock"
    assert list(stock(ZoneId=ZONES[0])) == [ZONES[0]]
    cloud.cloud.store.conditions.sold_out.add(("*", ZONES[2]))
    asked = here(DestinationResource="Zone")
    found = cloud("ecs:DescribeAvailableResource", **asked)["AvailableZones"]["AvailableZone"]
    assert {z["ZoneId"]: z["StatusCategory"] for z in found} == {
        ZONES[0]: "WithStock", ZONES[1]: "WithStock", ZONES[2]: "WithoutStock",
    }  # fmt: skip
    disks = here(DestinationResource="SystemDisk", InstanceType="ecs.g7.xlarge")
    one = cloud("ecs:DescribeAvailableResource", **disks)["AvailableZones"]["AvailableZone"][0]
    offered = one["AvailableResources"]["AvailableResource"][0]["SupportedResources"]
    assert "cloud_essd" in [d["Value"] for d in offered["SupportedResource"]]
    with refused("MissingInstanceType"):
        cloud("ecs:DescribeAvailableResource", **here(DestinationResource="SystemDisk"))


# -- RAM -----------------------------------------------------------------------------------------

TRUST = json.dumps(
    {
        "Version": "1",
        "Statement": [
            {"Action": "sts:AssumeRole", "Effect": "Allow",
             "Principal": {"Service": ["cs.aliyuncs.com"]}}
        ],
    }
)  # fmt: skip
DOCUMENT = json.dumps(
    {"Version": "1", "Statement": [{"Action": "cr:*", "Effect": "Allow", "Resource": "*"}]}
)


def test_roles(cloud: Aliyun) -> None:
    with refused("MalformedPolicyDocument"):
        cloud("ram:CreateRole", RoleName="r", AssumeRolePolicyDocument="{}")
    cloud("ram:CreateRole", RoleName="Mine", AssumeRolePolicyDocument=TRUST)
    with refused("EntityAlreadyExists.Role", 409):
        cloud("ram:CreateRole", RoleName="Mine", AssumeRolePolicyDocument=TRUST)
    cloud("ram:CreatePolicy", PolicyName="push", PolicyDocument=DOCUMENT)
    policy = {"PolicyType": "Custom", "PolicyName": "push"}
    with refused("EntityNotExist.Policy", 404):
        cloud("ram:AttachPolicyToRole", RoleName="Mine", PolicyType="Custom", PolicyName="none")
    cloud("ram:AttachPolicyToRole", RoleName="Mine", **policy)
    with refused("EntityAlreadyExists.Role.Policy", 409):
        cloud("ram:AttachPolicyToRole", RoleName="Mine", **policy)
    listed = cloud("ram:ListPoliciesForRole", RoleName="Mine")["Policies"]["Policy"]
    assert [p["PolicyName"] for p in listed] == ["push"]
    assert cloud("ram:ListEntitiesForPolicy", **policy)["Roles"]["Role"][0]["RoleName"] == "Mine"
    for operation, code in (
        ("ram:DeleteRole", "DeleteConflict.Role.Policy"),
        ("ram:DeletePolicy", "DeleteConflict.Role.Policy"),
    ):
        with refused(code, 409):
            cloud(
                operation,
                **({"RoleName": "Mine"} if "Role" in operation else {"PolicyName": "push"}),
            )
    cloud("ram:DetachPolicyFromRole", RoleName="Mine", **policy)
    with refused("EntityNotExist.Role.Policy", 404):
        cloud("ram:DetachPolicyFromRole", RoleName="Mine", **policy)
    cloud("ram:UpdateRole", RoleName="Mine", NewMaxSessionDuration=7200)
    assert cloud("ram:GetRole", RoleName="Mine")["Role"]["MaxSessionDuration"] == 7200
    cloud("ram:DeletePolicy", PolicyName="push")
    cloud("ram:DeleteRole", RoleName="Mine")
    with refused("EntityNotExist.Role", 404):
        cloud("ram:GetRole", RoleName="Mine")


def test_roles_by_page(cloud: Aliyun) -> None:
    whole = cloud("ram:ListRoles")
    assert not whole["IsTruncated"]
    cloud.sandbox.faults.page_size = 1
    names, marker = [], None
    while True:
        one = cloud("ram:ListRoles", **({"Marker": marker} if marker else {}))
        names += [role["RoleName"] for role in one["Roles"]["Role"]]
        if not one["IsTruncated"]:
            break
        marker = one["Marker"]
    assert names == [role["RoleName"] for role in whole["Roles"]["Role"]]


def test_versions_of_a_policy(cloud: Aliyun) -> None:
    policy = {"PolicyType": "Custom", "PolicyName": "push"}
    cloud("ram:CreatePolicy", PolicyName="push", PolicyDocument=DOCUMENT)
    made = cloud(
        "ram:CreatePolicyVersion", PolicyName="push", PolicyDocument=DOCUMENT, SetAsDefault=True
    )["PolicyVersion"]
    assert (made["VersionId"], made["IsDefaultVersion"]) == ("v2", True)
    assert len(cloud("ram:ListPolicyVersions", **policy)["PolicyVersions"]["PolicyVersion"]) == 2
    assert cloud("ram:GetPolicyVersion", **policy, VersionId="v1")["PolicyVersion"]
    with refused("DeleteConflict.Policy.Version.Default", 409):
        cloud("ram:DeletePolicyVersion", PolicyName="push", VersionId="v2")
    with refused("DeleteConflict.Policy.Version", 409):
        cloud("ram:DeletePolicy", PolicyName="push")
    cloud("ram:DeletePolicyVersion", PolicyName="push", VersionId="v1")
    assert cloud("ram:GetPolicy", **policy)["Policy"]["DefaultVersion"] == "v2"
    assert len(cloud("ram:ListPolicies", PolicyType="Custom")["Policies"]["Policy"]) == 1


def test_tags_of_roles(cloud: Aliyun) -> None:
    cloud("ram:CreateRole", RoleName="Mine", AssumeRolePolicyDocument=TRUST,
          Tag=[{"Key": "a", "Value": "b"}])  # fmt: skip
    kind = {"ResourceType": "role", "ResourceNames": ["Mine"]}
    cloud("ram:TagResources", **kind, Tag=[{"Key": "c", "Value": "d"}])
    cloud("ram:UntagResources", **kind, TagKeys=["a"])
    found = cloud("ram:ListTagResources", **kind)["TagResources"]
    assert [(t["TagKey"], t["TagValue"]) for t in found] == [("c", "d")]


def test_a_vpc_has_more_blocks(cloud: Aliyun) -> None:
    vpc, _ = cloud.network()
    block = here(VpcId=vpc, SecondaryCidrBlock="172.21.0.0/20")
    with refused("InvalidVpcId.NotFound", 404):
        cloud("vpc:AssociateVpcCidrBlock", **block | {"VpcId": "vpc-none"})
    cloud("vpc:AssociateVpcCidrBlock", **block)
    [found] = cloud("vpc:DescribeVpcs", **here(VpcId=vpc))["Vpcs"]["Vpc"]
    assert found["SecondaryCidrBlocks"] == {"SecondaryCidrBlock": ["172.21.0.0/20"]}
    for wrong in ("172.21.8.0/24", "10.0.0.0/29", "100.64.0.0/16"):
        with refused("InvalidCidrBlock.Malformed"):
            cloud("vpc:AssociateVpcCidrBlock", **block | {"SecondaryCidrBlock": wrong})
    made = cloud(
        "vpc:CreateVSwitch", **here(VpcId=vpc, ZoneId=ZONES[0], CidrBlock="172.21.1.0/24")
    )["VSwitchId"]
    eventually(lambda: cloud("vpc:DescribeVSwitchAttributes", **here(VSwitchId=made))["Status"]
               == "Available")  # fmt: skip
    with refused("DependencyViolation.VSwitch"):
        cloud("vpc:UnassociateVpcCidrBlock", **block)
    cloud("vpc:DeleteVSwitch", **here(VSwitchId=made))
    cloud("vpc:UnassociateVpcCidrBlock", **block)
    with refused("InvalidCidrBlock.Malformed"):
        cloud("vpc:UnassociateVpcCidrBlock", **block)
