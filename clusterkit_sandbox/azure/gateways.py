"""NAT gateways and public addresses.

A NAT gateway in use: Azure-Samples/Copilot-Studio-with-Azure-AI-Search#62 (recorded).
"""

from __future__ import annotations

from clusterkit_sandbox.azure import ids
from clusterkit_sandbox.azure.arm import Kind, register
from clusterkit_sandbox.azure.catalogue import zones
from clusterkit_sandbox.azure.failure import Json, refusal
from clusterkit_sandbox.azure.networks import refs, require_references, users
from clusterkit_sandbox.azure.resources import LoadBalancer, NatGateway, PublicIp, Resource, Subnet
from clusterkit_sandbox.azure.service import Call
from clusterkit_sandbox.azure.store import Store


def _prepare_nat(call: Call, new: Resource, _: Resource | None) -> None:
    new.shown.setdefault("sku", {"name": "Standard"})
    new.properties.setdefault("idleTimeoutInMinutes", 4)
    _check_zones(new)
    require_references(call, new)


def _check_zones(one: Resource) -> None:
    known = zones(one.location)
    for zone in one.shown.get("zones") or ():
        if zone not in known:
            raise refusal(
                "AvailabilityZoneNotSupported#network",
                zone=zone,
                id=one.shown["id"],
                location=one.location,
                zones=",".join(known),
            )


def _show_nat(store: Store, one: Resource) -> Json:
    subnets = refs(users(store, one, Subnet))
    more = {"subnets": subnets} if subnets else {}
    return {**one.shown, "properties": {**one.properties, **more}}


def _keep_nat(call: Call, one: Resource) -> None:
    using = users(call.store, one, Subnet)
    if using:
        raise refusal(
            "CannotDeleteNatGatewayAssociatedToSubnet", id=one.shown["id"], count=len(using)
        )


register(
    Kind(
        name="Microsoft.Network/natGateways",
        record=NatGateway,
        prepare=_prepare_nat,
        shown=_show_nat,
        keep=_keep_nat,
        create="nat-gateway/create",
        update="nat-gateway/create",
        delete="nat-gateway/delete",
        etags=True,
    )
)


def _prepare_ip(call: Call, new: Resource, old: Resource | None) -> None:
    new.shown.setdefault("sku", {"name": "Standard", "tier": "Regional"})
    properties = new.properties
    properties.setdefault("publicIPAddressVersion", "IPv4")
    properties.setdefault("publicIPAllocationMethod", "Static")
    properties.setdefault("idleTimeoutInMinutes", 4)
    _check_zones(new)
    if properties["publicIPAllocationMethod"] == "Static":
        before = {} if old is None else old.properties
        properties["ipAddress"] = before.get("ipAddress") or call.store.new_address()


def _ip_user(store: Store, one: Resource) -> Json:
    for user in users(store, one, LoadBalancer, NatGateway):
        if isinstance(user, NatGateway):
            return {"natGateway": {"id": user.shown["id"]}}
        for front in user.properties.get("frontendIPConfigurations") or ():
            if one.id in ids.references(front.get("properties")):
                return {"ipConfiguration": {"id": front["id"]}}
    return {}


def _show_ip(store: Store, one: Resource) -> Json:
    return {**one.shown, "properties": {**one.properties, **_ip_user(store, one)}}


def _keep_ip(call: Call, one: Resource) -> None:
    using = next(iter(_ip_user(call.store, one).values()), None)
    if using is not None:
        raise refusal("PublicIPAddressCannotBeDeleted", id=one.shown["id"], user=using["id"])


register(
    Kind(
        name="Microsoft.Network/publicIPAddresses",
        record=PublicIp,
        prepare=_prepare_ip,
        shown=_show_ip,
        keep=_keep_ip,
        create="public-ip/create",
        update="public-ip/create",
        delete="public-ip/delete",
        etags=True,
    )
)
