"""VPC 2016-04-28: elastic IP addresses.

Codes as in terraform-provider-alicloud, resource_alicloud_eip_address.go and _eip_association.go;
the quota's and those for wrong values are on the vendor's page of AllocateEipAddress.
"""

from __future__ import annotations

import re

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.models import Eip, LoadBalancer, SnatEntry
from clusterkit_sandbox.alibaba.nat import find_nat
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


def _bandwidth(call: Call, default: str) -> str:
    """Mbit/s, 1 to 1000 (vendor: AllocateEipAddress, Bandwidth)."""
    text = str(call.get("Bandwidth", default))
    if not re.fullmatch(r"[1-9][0-9]{0,2}|1000", text):
        raise bad("InvalidParameter", 'Specified value of "Bandwidth" is not valid.')
    return text


@operation("vpc:AllocateEipAddress")
def _allocate(call: Call) -> object:
    tags, region = given_tags(call), call.region
    charge = call.get("InternetChargeType", "PayByBandwidth")
    if charge not in ("PayByBandwidth", "PayByTraffic"):
        raise bad("InvalidParameter", 'Specified value of "InternetChargeType" is not valid.')
    bandwidth = _bandwidth(call, "5")

    def make() -> Json:
        if len(call.here(Eip)) >= call.store.conditions.quotas["eip"]:
            raise bad("QuotaExceeded.Eip", "Elastic IP address quota exceeded")
        eip = Eip(
            id=call.store.new_id("eip"),
            region=region,
            name=call.get("Name", ""),
            description=call.get("Description", ""),
            tags=tags,
            resource_group=resource_group(call),
            address=call.store.public_address(),
            bandwidth=bandwidth,
            internet_charge_type=charge,
        )
        call.store.add(eip)
        return {
            "AllocationId": eip.id,
            "EipAddress": eip.address,
            "ResourceGroupId": eip.resource_group,
        }

    return call.once(make)


def _eip_status(call: Call, eip: Eip) -> str:
    if call.store.pending(eip):
        return "Associating" if eip.instance else "Unassociating"
    return "InUse" if eip.instance else "Available"


@operation("vpc:DescribeEipAddresses")
def _describe_eips(call: Call) -> object:
    ids = str(call.get("AllocationId", "")).split(",")
    addresses = str(call.get("EipAddress", "")).split(",")
    found = [
        e
        for e in call.here(Eip)
        if (ids == [""] or e.id in ids)
        and (addresses == [""] or e.address in addresses)
        and asked_for(call, AssociatedInstanceId=e.instance, EipName=e.name)
        and asked_for(call, AssociatedInstanceType=e.instance_type, Status=_eip_status(call, e))
        and asked_for(call, ResourceGroupId=e.resource_group)
        and has_tags(e, call)
    ]
    figures, eips = call.page(found, most=100)
    described = [
        {
            "AllocationId": e.id,
            "Name": e.name,
            "Description": e.description,
            "RegionId": e.region,
            "IpAddress": e.address,
            "Status": _eip_status(call, e),
            "Bandwidth": e.bandwidth,
            "EipBandwidth": e.bandwidth,
            "InternetChargeType": e.internet_charge_type,
            "ChargeType": "PostPaid",
            "BusinessStatus": "Normal",
            "AllocationTime": iso(e.created),
            "InstanceId": e.instance,
            "InstanceType": e.instance_type,
            "InstanceRegionId": e.region if e.instance else "",
            "ResourceGroupId": e.resource_group,
            "Tags": {"Tag": key_value(e.tags)},
        }
        for e in eips
    ]
    return figures | {"EipAddresses": {"EipAddress": described}}


def _find_eip(call: Call) -> Eip:
    return call.find(
        Eip,
        call["AllocationId"],
        "InvalidAllocationId.NotFound",
        "Specified allocation ID is not found",
    )


def _busy_eip() -> Failure:
    return bad("IncorrectEipStatus", "Current elastic IP status does not support this operation.")


@operation("vpc:AssociateEipAddress")
def _associate(call: Call) -> object:
    eip = _find_eip(call)
    if call.get("ClientToken") and eip.instance == call["InstanceId"]:
        return {}
    if eip.instance or call.store.pending(eip):
        raise _busy_eip()
    kind = call.get("InstanceType", "EcsInstance")
    if kind == "Nat":
        nat = find_nat(call, call["InstanceId"])
        if nat.deleting or call.store.pending(nat):
            raise bad("IncorrectStatus.NatGateway", "The NAT gateway status does not support it.")
    elif kind != "SlbInstance" or not _balancer(call, call["InstanceId"]):
        raise bad("InvalidInstanceId.NotFound", f"There is no {kind} {call['InstanceId']}.")
    eip.instance, eip.instance_type = call["InstanceId"], kind
    eip.due = call.store.due("eip/associate")
    return {}


def _balancer(call: Call, identifier: str) -> bool:
    """Whether there is such a classic load balancer inside the network, without an address yet."""
    found = call.store.get(LoadBalancer, identifier)
    return (
        found is not None
        and (found.region, found.kind, found.address_type) == (call.region, "clb", "intranet")
        and not any(eip.instance == identifier for eip in call.store.all(Eip))
    )


@operation("vpc:UnassociateEipAddress")
def _unassociate(call: Call) -> object:
    eip = _find_eip(call)
    if eip.instance and call.get("InstanceId") not in (None, eip.instance):
        raise Failure(404, "InvalidInstanceId.NotFound", "The address is not bound to it.")
    if any(eip.address in e.address.split(",") for e in call.store.all(SnatEntry)):
        raise bad(
            "InvalidIpStatus.HasBeenUsedBySnatTable",
            "The specified EIP has been used by a SNAT table.",
        )
    if not eip.instance or call.store.pending(eip):
        raise _busy_eip()
    eip.instance = eip.instance_type = ""
    eip.due = call.store.due("eip/associate")
    return {}


@operation("vpc:ModifyEipAddressAttribute")
def _modify_eip(call: Call) -> object:
    eip = _find_eip(call)
    eip.bandwidth = _bandwidth(call, eip.bandwidth)
    eip.name = call.get("Name", eip.name)
    eip.description = call.get("Description", eip.description)
    return {}


@operation("vpc:ReleaseEipAddress")
def _release(call: Call) -> object:
    eip = _find_eip(call)
    if eip.instance or call.store.pending(eip):
        raise _busy_eip()
    call.store.remove(eip)
    return {}
