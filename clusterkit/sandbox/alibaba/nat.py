"""VPC 2016-04-28: NAT gateways and their SNAT entries.

Codes as in terraform-provider-alicloud, resource_alicloud_nat_gateway.go and _snat_entry.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network

from clusterkit.sandbox.alibaba.catalogue import zones
from clusterkit.sandbox.alibaba.failure import Failure, bad, missing
from clusterkit.sandbox.alibaba.service import (
    Call,
    Handler,
    Json,
    asked_for,
    given_tags,
    has_tags,
    iso,
    tag_key_value,
)
from clusterkit.sandbox.alibaba.things import Eip, NatGateway, SnatEntry, Vpc, VSwitch
from clusterkit.sandbox.alibaba.vpc import RESOURCE_GROUP


def _create_nat(call: Call) -> object:
    vpc = call.find(Vpc, call["VpcId"], "InvalidVpcId.NotFound", "Specified VPC does not exist.")
    if call.get("NatType", "Normal") != "Enhanced":
        # vendor: only Enhanced gateways can still be made, and it is not the default
        raise bad("InvalidParameter.NatType.NotSupport", "Only NatType Enhanced is supported.")
    if call.get("VSwitchId") is None:
        raise missing("VSwitchId")
    vswitch = call.find(VSwitch, call["VSwitchId"], "InvalidVSwitchId.NotFound")
    if vswitch.vpc != vpc.id:
        raise Failure(404, "InvalidVSwitchId.NotFound", "The vSwitch is not in the VPC.")
    kind = call.get("NetworkType", "internet")
    if kind not in ("internet", "intranet"):
        raise bad("InvalidParameter.NetworkType", "The specified NetworkType is not valid.")
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
    used = {entry.address for entry in call.store.all(SnatEntry) if entry.nat == nat.id}
    return [
        {
            "AllocationId": eip.id,
            "IpAddress": eip.address,
            "UsingStatus": "UsedBySnatTable" if eip.address in used else "Idle",
        }
        for eip in call.store.all(Eip)
        if eip.instance == nat.id
    ]


def _nat_fields(call: Call, nat: NatGateway) -> Json:
    return {
        "NatGatewayId": nat.id,
        "Name": nat.name,
        "Description": nat.description,
        "RegionId": nat.region,
        "VpcId": nat.vpc,
        "Status": "Creating" if call.store.pending(nat) else "Available",
        "NatType": "Enhanced",
        "NetworkType": nat.network_type,
        "BusinessStatus": "Normal",
        "CreationTime": iso(nat.created),
        "ResourceGroupId": RESOURCE_GROUP,
    }


def _describe_nats(call: Call) -> object:
    found = [
        n
        for n in call.here(NatGateway)
        if asked_for(call, VpcId=n.vpc, NatGatewayId=n.id, Name=n.name, NatType="Enhanced")
        and asked_for(call, NetworkType=n.network_type, Status=_nat_fields(call, n)["Status"])
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


def _modify_nat(call: Call) -> object:
    nat = find_nat(call, call["NatGatewayId"])
    nat.name = call.get("Name", nat.name)
    nat.description = call.get("Description", nat.description)
    return {}


def _delete_nat(call: Call) -> object:
    nat = find_nat(call, call["NatGatewayId"])
    entries = [e for e in call.store.all(SnatEntry) if e.nat == nat.id]
    eips = [e for e in call.store.all(Eip) if e.instance == nat.id]
    if not call.get("Force", False):
        if entries:
            raise bad("DependencyViolation.SnatEntry", "The NAT gateway has SNAT entries.")
        if eips:
            raise bad("DependencyViolation.EIPS", "The NAT gateway has elastic IP addresses.")
    if call.store.pending(nat):
        raise bad("IncorrectStatus.NatGateway", "The NAT gateway status does not support this.")
    for entry in entries:
        call.store.remove(entry)
    for eip in eips:
        eip.instance = eip.instance_type = ""
    call.store.remove(nat)
    return {}


def _nat_zones(call: Call) -> object:
    return {"Zones": [{"ZoneId": z, "LocalName": z} for z in zones(call.region)]}


def _create_snat(call: Call) -> object:
    table = call["SnatTableId"]
    nat = next((n for n in call.here(NatGateway) if n.snat_table == table), None)
    if nat is None:
        raise Failure(404, "InvalidSnatTableId.NotFound", "Specified SNAT table does not exist.")
    vswitch, cidr = call.get("SourceVSwitchId", ""), call.get("SourceCIDR", "")
    if bool(vswitch) == bool(cidr):
        raise bad("InvalidParameter", "Specify one of SourceVSwitchId and SourceCIDR.")
    if vswitch:
        cidr = str(call.find(VSwitch, vswitch, "InvalidVSwitchId.NotFound").cidr)
    address = call.get("SnatIp")
    if address is None:
        raise missing("SnatIp")

    def make() -> Json:
        if call.store.pending(nat):
            raise bad("IncorrectStatus.NATGW", "The NAT gateway status does not support this.")
        bound = {e.address: e for e in call.store.all(Eip) if e.instance == nat.id}
        for one in address.split(","):
            if one not in bound:
                raise bad("EIP_NOT_IN_GATEWAY", "The elastic IP address is not in the NAT gateway.")
            if call.store.pending(bound[one]):
                # seen for some seconds after AssociateEipAddress
                raise bad("OperationUnsupported.EipInBinding", "The EIP is being associated.")
        entries = [e for e in call.store.all(SnatEntry) if e.nat == nat.id]
        if len(entries) >= call.store.conditions.quotas["snat"]:
            raise bad("QuotaExceeded.SnatEntry", "SNAT entry quota exceeded.")
        if any(IPv4Network(e.cidr) == IPv4Network(cidr) for e in entries):
            raise bad("Forbidden.SourceVSwitchId.Duplicated", "The source has a SNAT entry.")
        entry = SnatEntry(
            id=call.store.new_id("snat"),
            region=nat.region,
            name=call.get("SnatEntryName", ""),
            due=call.store.due("snat-entry/create"),
            nat=nat.id,
            table=table,
            address=address,
            vswitch=vswitch,
            cidr=cidr,
        )
        return {"SnatEntryId": call.store.add(entry).id}

    return call.once(make)


def _describe_snats(call: Call) -> object:
    if not any(call.get(n) for n in ("SnatTableId", "NatGatewayId", "SnatEntryId")):
        # vendor: DescribeSnatTableEntries, "specify at least one of SnatTableId and NatGatewayId"
        raise missing("SnatTableId")
    found = [
        e
        for e in call.here(SnatEntry)
        if asked_for(call, SnatTableId=e.table, NatGatewayId=e.nat, SnatEntryId=e.id)
        and asked_for(call, SnatEntryName=e.name, SourceVSwitchId=e.vswitch, SnatIp=e.address)
    ]
    figures, entries = call.page(found)
    described = [
        {
            "SnatEntryId": e.id,
            "SnatEntryName": e.name,
            "SnatTableId": e.table,
            "NatGatewayId": e.nat,
            "SnatIp": e.address,
            "SourceVSwitchId": e.vswitch,
            "SourceCIDR": e.cidr,
            "Status": "Pending" if call.store.pending(e) else "Available",
        }
        for e in entries
    ]
    return figures | {"SnatTableEntries": {"SnatTableEntry": described}}


def _find_snat(call: Call) -> SnatEntry:
    entry = call.find(SnatEntry, call["SnatEntryId"], "InvalidSnatEntryId.NotFound")
    if entry.table != call["SnatTableId"]:
        raise Failure(404, "InvalidSnatTableId.NotFound", "Specified SNAT table does not exist.")
    if call.store.pending(entry):
        raise bad("IncorretSnatEntryStatus", "The SNAT entry status does not support this.")
    return entry


def _modify_snat(call: Call) -> object:
    entry = _find_snat(call)
    entry.name = call.get("SnatEntryName", entry.name)
    entry.address = call.get("SnatIp", entry.address)
    return {}


def _delete_snat(call: Call) -> object:
    call.store.remove(_find_snat(call))
    return {}


OPERATIONS: Mapping[str, Handler] = {
    "vpc:CreateNatGateway": _create_nat,
    "vpc:CreateSnatEntry": _create_snat,
    "vpc:DeleteNatGateway": _delete_nat,
    "vpc:DeleteSnatEntry": _delete_snat,
    "vpc:DescribeNatGateways": _describe_nats,
    "vpc:DescribeSnatTableEntries": _describe_snats,
    "vpc:GetNatGatewayAttribute": _get_nat,
    "vpc:ListEnhanhcedNatGatewayAvailableZones": _nat_zones,
    "vpc:ModifyNatGatewayAttribute": _modify_nat,
    "vpc:ModifySnatEntry": _modify_snat,
}
