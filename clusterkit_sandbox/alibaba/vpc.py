"""VPC 2016-04-28: virtual private clouds.

Codes are those of the vendor's pages for each operation, as the Terraform provider handles them
(terraform-provider-alicloud, resource_alicloud_vpc.go).
"""

from __future__ import annotations

from ipaddress import IPv4Network

from clusterkit_sandbox.alibaba.catalogue import REGIONS, zones
from clusterkit_sandbox.alibaba.failure import bad, not_emulated
from clusterkit_sandbox.alibaba.models import NatGateway, SecurityGroup, Vpc, VSwitch
from clusterkit_sandbox.alibaba.service import (
    Call,
    Json,
    asked_for,
    given_tags,
    has_tags,
    iso,
    key_value,
    operation,
    resource_group,
)

_SECONDARY = 5
"""How many blocks a VPC has besides its first (vendor: AssociateVpcCidrBlock)."""
RESERVED = tuple(
    IPv4Network(block)
    for block in ("100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4")
)
"""What no network may lie in (vendor: CreateVpc and CreateVSwitch, CidrBlock)."""


def network(text: str, code: str, shortest: int, longest: int) -> IPv4Network:
    """A CIDR block whose prefix has a length in this range; else 400 ``code``."""
    try:
        found = IPv4Network(text)
    except ValueError:
        raise bad(code, f"Specified CidrBlock {text} is not valid.") from None
    if not shortest <= found.prefixlen <= longest:
        raise bad(
            code,
            f"Specified CidrBlock {text} is not valid: its mask must be {shortest} to {longest}.",
        )
    return found


def valid_name(call: Call, field: str, code: str) -> str:
    """A resource name: at most 128 characters, no URL; else 400 ``code``."""
    name = str(call.get(field, ""))
    if len(name) > 128 or name.startswith(("http://", "https://")):
        raise bad(code, f"The specified {field} is not valid.")
    return name


@operation("vpc:CreateVpc")
def _create_vpc(call: Call) -> object:
    # the mask of 8 is the vendor's own default networks' shortest: 10.0.0.0/8
    cidr = network(call.get("CidrBlock", "172.16.0.0/12"), "InvalidCidrBlock.Malformed", 8, 28)
    if any(cidr.overlaps(block) for block in RESERVED):
        raise bad("InvalidCidrBlock.Malformed", "Specified CIDR block is not valid.")
    name, tags = valid_name(call, "VpcName", "InvalidVpcName.Malformed"), given_tags(call)

    def make() -> Json:
        if len(call.here(Vpc)) >= call.store.conditions.quotas["vpc"]:
            raise bad("QuotaExceeded.Vpc", "VPC quota exceeded.")
        vpc = Vpc(
            id=call.store.new_id("vpc"),
            region=call.region,
            name=name,
            description=call.get("Description", ""),
            tags=tags,
            resource_group=resource_group(call),
            due=call.store.due("vpc/create"),
            cidr=cidr,
            router=call.store.new_id("vrt"),
            route_table=call.store.new_id("vtb"),
        )
        call.store.add(vpc)
        return {
            "VpcId": vpc.id,
            "VRouterId": vpc.router,
            "RouteTableId": vpc.route_table,
            "ResourceGroupId": vpc.resource_group,
        }

    return call.once(make)


def _vpc_fields(call: Call, vpc: Vpc) -> Json:
    return {
        "VpcId": vpc.id,
        "VpcName": vpc.name,
        "Description": vpc.description,
        "RegionId": vpc.region,
        "CidrBlock": str(vpc.cidr),
        "Status": "Pending" if call.store.pending(vpc) else "Available",
        "VRouterId": vpc.router,
        "CreationTime": iso(vpc.created),
        "IsDefault": False,
        "ResourceGroupId": vpc.resource_group,
        "VSwitchIds": {"VSwitchId": [v.id for v in call.here(VSwitch) if v.vpc == vpc.id]},
        "Tags": {"Tag": key_value(vpc.tags)},
        "SecondaryCidrBlocks": {"SecondaryCidrBlock": [str(one) for one in vpc.secondary]},
    }


@operation("vpc:DescribeVpcs")
def _describe_vpcs(call: Call) -> object:
    ids = str(call.get("VpcId", "")).split(",")
    found = [
        vpc
        for vpc in call.here(Vpc)
        if (ids == [""] or vpc.id in ids)
        and asked_for(call, VpcName=vpc.name, IsDefault=False, ResourceGroupId=vpc.resource_group)
        and has_tags(vpc, call)
    ]
    figures, vpcs = call.page(found)
    described = [
        _vpc_fields(call, vpc)
        | {
            "RouterTableIds": {"RouterTableIds": [vpc.route_table]},
            "NatGatewayIds": {
                "NatGatewayIds": [n.id for n in call.here(NatGateway) if n.vpc == vpc.id]
            },
        }
        for vpc in vpcs
    ]
    return figures | {"Vpcs": {"Vpc": described}}


@operation("vpc:DescribeVpcAttribute")
def _describe_vpc(call: Call) -> object:
    return _vpc_fields(call, find_vpc(call))


def find_vpc(call: Call) -> Vpc:
    """The VPC asked for."""
    return call.find(Vpc, call["VpcId"], "InvalidVpcId.NotFound", "Specified VPC does not exist.")


@operation("vpc:ModifyVpcAttribute")
def _modify_vpc(call: Call) -> object:
    vpc = find_vpc(call)
    if call.get("CidrBlock") not in (None, str(vpc.cidr)):
        raise not_emulated("a change of a VPC's CIDR block")
    vpc.name = valid_name(call, "VpcName", "InvalidVpcName.Malformed") or vpc.name
    vpc.description = call.get("Description", vpc.description)
    return {}


def _secondary(call: Call) -> IPv4Network:
    if call.get("SecondaryCidrBlock") is None:
        raise not_emulated("a block of IPv6, or one out of a pool")
    return network(call["SecondaryCidrBlock"], "InvalidCidrBlock.Malformed", 16, 28)


@operation("vpc:AssociateVpcCidrBlock")
def _associate(call: Call) -> object:
    """What it refuses is the vendor's; the codes are those of CreateVpc, which are published."""
    vpc, cidr = find_vpc(call), _secondary(call)
    taken = (*RESERVED, vpc.cidr, *vpc.secondary)
    if any(cidr.overlaps(block) for block in taken):
        raise bad("InvalidCidrBlock.Malformed", "Specified CIDR block is not valid.")
    if len(vpc.secondary) >= _SECONDARY:
        raise bad("QuotaExceeded.Vpc", f"A VPC has {_SECONDARY} secondary CIDR blocks.")
    vpc.secondary.append(cidr)
    return {}


@operation("vpc:UnassociateVpcCidrBlock")
def _unassociate(call: Call) -> object:
    vpc, cidr = find_vpc(call), _secondary(call)
    if cidr not in vpc.secondary:
        raise bad("InvalidCidrBlock.Malformed", "Specified CIDR block is not valid.")
    for vswitch in call.store.users(vpc.id, VSwitch):
        if vswitch.cidr.subnet_of(cidr):
            raise bad("DependencyViolation.VSwitch", "Specified object has dependent resources.")
    vpc.secondary.remove(cidr)
    return {}


@operation("vpc:DeleteVpc")
def _delete_vpc(call: Call) -> object:
    vpc = find_vpc(call)
    for guest in call.store.users(vpc.id, VSwitch, NatGateway, SecurityGroup):
        what = type(guest).__name__
        raise bad(
            f"DependencyViolation.{what}", f"Specified object has dependent resources: {what}."
        )
    if call.store.pending(vpc):
        raise bad("IncorrectVpcStatus", "Current VPC status does not support this operation.")
    call.store.remove(vpc)
    return {}


@operation("vpc:DescribeRegions")
def _describe_regions(_call: Call) -> object:
    regions = [
        {"RegionId": r, "LocalName": r, "RegionEndpoint": f"vpc.{r}.aliyuncs.com"} for r in REGIONS
    ]
    return {"Regions": {"Region": regions}}


@operation("vpc:DescribeZones")
def _describe_zones(call: Call) -> object:
    found = [
        {"ZoneId": z, "LocalName": z, "ZoneType": "AvailabilityZone"} for z in zones(call.region)
    ]
    return {"Zones": {"Zone": found}}
