"""VPC 2016-04-28: NAT gateways.

Codes as in terraform-provider-alicloud, resource_alicloud_nat_gateway.go.
"""

from __future__ import annotations

from clusterkit_sandbox.alibaba.catalogue import zones
from clusterkit_sandbox.alibaba.failure import Failure, bad, missing
from clusterkit_sandbox.alibaba.models import Eip, NatGateway, SnatEntry, Vpc, VSwitch
from clusterkit_sandbox.alibaba.service import (
    Call,
    Json,
    asked_for,
    given_tags,
    has_tags,
    iso,
    operation,
    tag_key_value,
)


@operation("vpc:CreateNatGateway")
def _create_nat(call: Call) -> object:
    vpc = call.find(Vpc, call["VpcId"], "InvalidVpcId.NotFound", "Specified VPC does not exist.")
    if call.get("NatType", "Normal") != "Enhanced":
        # vendor: only Enhanced gateways can still be made, and it is not the default; the code is
        # not documented
        raise bad("InvalidParameter", "Only NatType Enhanced is supported.")
    if call.get("VSwitchId") is None:
        raise missing("VSwitchId")
    vswitch = call.find(VSwitch, call["VSwitchId"], "InvalidVSwitchId.NotFound")
    if vswitch.vpc != vpc.id:
        raise Failure(404, "InvalidVSwitchId.NotFound", "The vSwitch is not in the VPC.")
    kind = call.get("NetworkType", "internet")
    if kind not in ("internet", "intranet"):
        raise bad("InvalidParameter", "The specified NetworkType is not valid.")
    tags = given_tags(call)

    def make() -> Json:
        if call.store.pending(vswitch):
            raise bad("IncorrectStatus.VSWITCH", "The vSwitch status does not support this.")
        nat = NatGateway(
            id=call.store.new_id("ngw"),
            region=vpc.region,
            name=call.get("Name", ""),
            description=call.get("Description", ""),
            tags=tags,
            resource_group=vpc.resource_group,
            due=call.store.due("nat-gateway/create"),
            vpc=vpc.id,
            vswitch=vswitch.id,
            network_type=kind,
            eip_bind_mode=call.get("EipBindMode", "MULTI_BINDED"),
            snat_table=call.store.new_id("stb"),
            forward_table=call.store.new_id("ftb"),
        )
        call.store.add(nat)
        return {
            "NatGatewayId": nat.id,
            "SnatTableIds": {"SnatTableId": [nat.snat_table]},
            "ForwardTableIds": {"ForwardTableId": [nat.forward_table]},
        }

    return call.once(make)


def find_nat(call: Call, identifier: str) -> NatGateway:
    """The NAT gateway with this id."""
    return call.find(
        NatGateway,
        identifier,
        "InvalidNatGatewayId.NotFound",
        "Specified NAT gateway does not exist.",
    )


def _addresses(call: Call, nat: NatGateway) -> list[Json]:
    entries = [entry for entry in call.store.all(SnatEntry) if entry.nat == nat.id]
    used = {address for entry in entries for address in entry.address.split(",")}
    return [
        {
            "AllocationId": eip.id,
            "IpAddress": eip.address,
            "UsingStatus": "UsedBySnatTable" if eip.address in used else "Idle",
        }
        for eip in call.store.all(Eip)
        if eip.instance == nat.id
    ]


def _status(call: Call, nat: NatGateway) -> str:
    if nat.deleting:
        return "Deleting"
    return "Creating" if call.store.pending(nat) else "Available"


def _nat_fields(call: Call, nat: NatGateway) -> Json:
    return {
        "NatGatewayId": nat.id,
        "Name": nat.name,
        "Description": nat.description,
        "RegionId": nat.region,
        "VpcId": nat.vpc,
        "Status": _status(call, nat),
        "NatType": "Enhanced",
        "NetworkType": nat.network_type,
        "BusinessStatus": "Normal",
        "CreationTime": iso(nat.created),
        "ResourceGroupId": nat.resource_group,
    }


@operation("vpc:DescribeNatGateways")
def _describe_nats(call: Call) -> object:
    found = [
        n
        for n in call.here(NatGateway)
        if asked_for(call, VpcId=n.vpc, NatGatewayId=n.id, Name=n.name, NatType="Enhanced")
        and asked_for(call, NetworkType=n.network_type, Status=_status(call, n))
        and has_tags(n, call)
    ]
    figures, nats = call.page(found)
    described = [
        _nat_fields(call, n)
        | {
            "InternetChargeType": "PayByLcu",
            "InstanceChargeType": "PostPaid",
            "EipBindMode": n.eip_bind_mode,
            "SnatTableIds": {"SnatTableId": [n.snat_table]},
            "ForwardTableIds": {"ForwardTableId": [n.forward_table]},
            "IpLists": {"IpList": _addresses(call, n)},
            "NatGatewayPrivateInfo": {"VswitchId": n.vswitch},
            "Tags": {"Tag": tag_key_value(n.tags)},
        }
        for n in nats
    ]
    return figures | {"NatGateways": {"NatGateway": described}}


@operation("vpc:GetNatGatewayAttribute")
def _get_nat(call: Call) -> object:
    nat = find_nat(call, call["NatGatewayId"])
    entries = [e for e in call.store.all(SnatEntry) if e.nat == nat.id]
    return _nat_fields(call, nat) | {
        "BillingConfig": {"InternetChargeType": "PayByLcu", "InstanceChargeType": "PostPaid"},
        "SnatTable": {"SnatTableId": nat.snat_table, "SnatEntryCount": len(entries)},
        "ForwardTable": {"ForwardTableId": nat.forward_table, "ForwardEntryCount": 0},
        "IpList": _addresses(call, nat),
        "PrivateInfo": {"VswitchId": nat.vswitch},
    }


@operation("vpc:ModifyNatGatewayAttribute")
def _modify_nat(call: Call) -> object:
    nat = find_nat(call, call["NatGatewayId"])
    nat.name = call.get("Name", nat.name)
    nat.description = call.get("Description", nat.description)
    return {}


@operation("vpc:DeleteNatGateway")
def _delete_nat(call: Call) -> object:
    nat = find_nat(call, call["NatGatewayId"])
    entries, eips = call.store.users(nat.id, SnatEntry), call.store.users(nat.id, Eip)
    if not call.get("Force", False):
        if entries:
            raise bad("DependencyViolation.SnatEntry", "The NAT gateway has SNAT entries.")
        if eips:
            raise bad("DependencyViolation.EIPS", "The NAT gateway has elastic IP addresses.")
    if nat.deleting or call.store.pending(nat):
        raise bad("IncorrectStatus.NatGateway", "The NAT gateway status does not support this.")
    for entry in entries:
        call.store.remove(entry)
    for eip in eips:
        eip.instance = eip.instance_type = ""
    nat.deleting = True
    call.store.remove_later("nat-gateway/delete", nat)
    return {}


@operation("vpc:ListEnhanhcedNatGatewayAvailableZones")
def _nat_zones(call: Call) -> object:
    return {"Zones": [{"ZoneId": z, "LocalName": z} for z in zones(call.region)]}
