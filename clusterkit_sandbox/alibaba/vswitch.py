"""VPC 2016-04-28: vSwitches.

Codes as in terraform-provider-alicloud, resource_alicloud_vswitch.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network

from clusterkit_sandbox.alibaba.catalogue import zones
from clusterkit_sandbox.alibaba.failure import Failure, bad, missing
from clusterkit_sandbox.alibaba.models import (
    Cluster,
    Instance,
    LoadBalancer,
    NatGateway,
    NetworkInterface,
    SnatEntry,
    Thing,
    Vpc,
    VSwitch,
)
from clusterkit_sandbox.alibaba.service import (
    Call,
    Json,
    asked_for,
    given_tags,
    has_tags,
    iso,
    key_value,
    operation,
)
from clusterkit_sandbox.alibaba.vpc import network, valid_name


@operation("vpc:CreateVSwitch")
def _create_vswitch(call: Call) -> object:
    vpc = call.find(Vpc, call["VpcId"], "InvalidVpcId.NotFound", "Specified VPC does not exist.")
    if call["ZoneId"] not in zones(vpc.region):
        raise Failure(404, "InvalidZoneId.NotFound", 'Specified value of "ZoneId" is not exists.')
    if call.get("CidrBlock") is None and call.get("CidrMask") is None:
        raise missing("CidrBlock")
    name, tags = valid_name(call, "VSwitchName", "InvalidVSwitchName.Malformed"), given_tags(call)

    def make() -> Json:
        if call.store.pending(vpc):
            raise bad("IncorrectVpcStatus", "Current VPC status does not support this operation.")
        siblings = [v for v in call.here(VSwitch) if v.vpc == vpc.id]
        if len(siblings) >= call.store.conditions.quotas["vswitch"]:
            raise bad("QuotaExceeded.VSwitch", "VSwitch quota exceeded.")
        vswitch = VSwitch(
            id=call.store.new_id("vsw"),
            region=vpc.region,
            name=name,
            description=call.get("Description", ""),
            tags=tags,
            resource_group=vpc.resource_group,
            due=call.store.due("vswitch/create"),
            vpc=vpc.id,
            zone=call["ZoneId"],
            cidr=_vswitch_cidr(call, vpc, [v.cidr for v in siblings]),
        )
        return {"VSwitchId": call.store.add(vswitch).id}

    return call.once(make)


def _vswitch_cidr(call: Call, vpc: Vpc, taken: list[IPv4Network]) -> IPv4Network:
    text = call.get("CidrBlock")
    if text is None:
        mask = int(call["CidrMask"])
        if not max(16, vpc.cidr.prefixlen) <= mask <= 29:
            raise bad("InvalidCirdrBlock.MaskLength", "The specified CidrMask is not valid.")
        free = (n for n in vpc.cidr.subnets(new_prefix=mask) if not any(map(n.overlaps, taken)))
        found = next(free, None)
        if found is None:
            raise bad("InvalidCidrBlock.Overlapped", "The VPC has no free CIDR block of this size.")
        return found
    cidr = network(text, "InvalidCidrBlock.Malformed", 16, 29)
    if not any(cidr.subnet_of(block) for block in (vpc.cidr, *vpc.secondary)):
        raise bad(
            "InvalidCidrBlock.Malformed",
            "Specified CIDR block is not in the CIDR block of the VPC.",
        )
    if any(map(cidr.overlaps, taken)):
        raise bad(
            "InvalidCidrBlock.Overlapped", "Specified CIDR block overlapped with other subnets."
        )
    return cidr


def _vswitch_fields(call: Call, vswitch: VSwitch) -> Json:
    vpc = call.store.get(Vpc, vswitch.vpc)
    return {
        "VSwitchId": vswitch.id,
        "VSwitchName": vswitch.name,
        "Description": vswitch.description,
        "VpcId": vswitch.vpc,
        "ZoneId": vswitch.zone,
        "CidrBlock": str(vswitch.cidr),
        "Status": "Pending" if call.store.pending(vswitch) else "Available",
        "AvailableIpAddressCount": call.store.free_addresses(vswitch),
        "CreationTime": iso(vswitch.created),
        "IsDefault": False,
        "ResourceGroupId": vswitch.resource_group,
        "RouteTable": {
            "RouteTableId": vpc.route_table if vpc else "",
            "RouteTableType": "System",
        },
        "Tags": {"Tag": key_value(vswitch.tags)},
    }


@operation("vpc:DescribeVSwitches")
def _describe_vswitches(call: Call) -> object:
    if call.region_asked is None and call.get("VpcId") is None:
        # vendor: DescribeVSwitches, "specify at least one of RegionId and VpcId"
        raise missing("VpcId")
    found = [
        v
        for v in call.here(VSwitch)
        if asked_for(call, VpcId=v.vpc, VSwitchId=v.id, VSwitchName=v.name, ZoneId=v.zone)
        and has_tags(v, call)
    ]
    figures, vswitches = call.page(found)
    return figures | {"VSwitches": {"VSwitch": [_vswitch_fields(call, v) for v in vswitches]}}


def find_vswitch(call: Call, identifier: str) -> VSwitch:
    """The vSwitch with this id."""
    return call.find(
        VSwitch, identifier, "InvalidVswitchID.NotFound", "Specified vSwitch does not exist."
    )


@operation("vpc:DescribeVSwitchAttributes")
def _describe_vswitch(call: Call) -> object:
    return _vswitch_fields(call, find_vswitch(call, call["VSwitchId"]))


@operation("vpc:ModifyVSwitchAttribute")
def _modify_vswitch(call: Call) -> object:
    vswitch = find_vswitch(call, call["VSwitchId"])
    vswitch.name = valid_name(call, "VSwitchName", "InvalidVSwitchName.Malformed") or vswitch.name
    vswitch.description = call.get("Description", vswitch.description)
    return {}


_USERS: Mapping[type[Thing], str] = {
    NatGateway: "DependencyViolation.EnhancedNatgw",
    SnatEntry: "DependencyViolation.SnatEntry",
    Instance: "DependencyViolation",
    NetworkInterface: "DependencyViolation",
    LoadBalancer: "DependencyViolation",
    Cluster: "DependencyViolation",
}


@operation("vpc:DeleteVSwitch")
def _delete_vswitch(call: Call) -> object:
    vswitch = find_vswitch(call, call["VSwitchId"])
    for user in call.store.users(vswitch.id, *_USERS):
        raise bad(_USERS[type(user)], "Specified object has dependent resources.")
    if call.store.pending(vswitch):
        raise bad("IncorrectVSwitchStatus", "The vSwitch status does not support this operation.")
    call.store.remove(vswitch)
    return {}
