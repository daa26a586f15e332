"""VPC 2016-04-28: SNAT entries, through which vSwitches reach the internet.

Codes as in terraform-provider-alicloud, resource_alicloud_snat_entry.go; those for the quota and
for a source that has an entry are on the vendor's page of CreateSnatEntry.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from clusterkit_sandbox.alibaba.failure import Failure, bad, missing
from clusterkit_sandbox.alibaba.models import Eip, NatGateway, SnatEntry, VSwitch
from clusterkit_sandbox.alibaba.service import Call, Json, asked_for, operation


@operation("vpc:CreateSnatEntry")
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
        if nat.deleting or call.store.pending(nat):
            raise bad("IncorrectStatus.NATGW", "The NAT gateway status does not support this.")
        _check_addresses(call, nat, address)
        entries = [e for e in call.store.all(SnatEntry) if e.nat == nat.id]
        if len(entries) >= call.store.conditions.quotas["snat"]:
            raise bad(
                "Forbidden.SnatEntryCountLimited",
                "SNAT entry in the specified SNAT table reach its limit.",
            )
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


def _check_addresses(call: Call, nat: NatGateway, addresses: str) -> None:
    """Each must be an elastic IP address that is bound to the gateway."""
    bound = {e.address: e for e in call.store.all(Eip) if e.instance == nat.id}
    for one in addresses.split(","):
        if one not in bound:
            raise bad("EIP_NOT_IN_GATEWAY", "The elastic IP address is not in the NAT gateway.")
        if call.store.pending(bound[one]):
            # seen for some seconds after AssociateEipAddress
            raise bad("OperationUnsupported.EipInBinding", "The EIP is being associated.")


def _status(call: Call, entry: SnatEntry) -> str:
    if entry.deleting:
        return "Deleting"
    return "Pending" if call.store.pending(entry) else "Available"


@operation("vpc:DescribeSnatTableEntries")
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
            "Status": _status(call, e),
        }
        for e in entries
    ]
    return figures | {"SnatTableEntries": {"SnatTableEntry": described}}


def _find_snat(call: Call) -> SnatEntry:
    entry = call.find(SnatEntry, call["SnatEntryId"], "InvalidSnatEntryId.NotFound")
    if entry.table != call["SnatTableId"]:
        raise Failure(404, "InvalidSnatTableId.NotFound", "Specified SNAT table does not exist.")
    if entry.deleting or call.store.pending(entry):
        raise bad("IncorretSnatEntryStatus", "The SNAT entry status does not support this.")
    return entry


@operation("vpc:ModifySnatEntry")
def _modify_snat(call: Call) -> object:
    entry = _find_snat(call)
    nat, address = call.store.get(NatGateway, entry.nat), call.get("SnatIp", entry.address)
    if nat is not None and address != entry.address:
        _check_addresses(call, nat, address)
    entry.name, entry.address = call.get("SnatEntryName", entry.name), address
    return {}


@operation("vpc:DeleteSnatEntry")
def _delete_snat(call: Call) -> object:
    entry = _find_snat(call)
    entry.deleting = True
    call.store.remove_later("snat-entry/delete", entry)
    return {}
