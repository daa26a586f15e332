"""The network provider: virtual networks with their subnets.

Codes: facts/azure.tsv; Netcfg…: the vendor's page of VNet errors. Everything of this provider has
an etag and minds conditional requests (cloud-provider-azure sends ``If-Match``).
A PUT of a virtual network replaces its subnets, and one change of a virtual network or a subnet in
it runs at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from clusterkit_sandbox.azure import arm, ids
from clusterkit_sandbox.azure.arm import Kind, register
from clusterkit_sandbox.azure.failure import Json, refusal
from clusterkit_sandbox.azure.resources import (
    LoadBalancer,
    Resource,
    ScaleSet,
    Subnet,
    VirtualNetwork,
)
from clusterkit_sandbox.azure.service import Call
from clusterkit_sandbox.azure.store import Store

Net = IPv4Network | IPv6Network
_RESERVED = 5
"""Addresses of a subnet that are the vendor's (Virtual Network FAQ)."""


def blocks(properties: Json) -> list[Net]:
    """The address ranges of a subnet."""
    given = properties.get("addressPrefixes") or [properties.get("addressPrefix")]
    return [_block(one) for one in given if one]


def _block(text: str) -> Net:
    try:
        return ip_network(text)
    except ValueError:
        raise refusal("InvalidAddressPrefixFormat", prefix=text) from None


def require_references(call: Call, one: Resource) -> None:
    """Refuse a reference to what does not exist."""
    for wanted in one.needs():
        if call.store.any(wanted) is None and not wanted.startswith(f"{one.id}/"):
            raise refusal("InvalidResourceReference", wanted=wanted, id=one.shown["id"])


def inline(above: Resource, word: str, body: Json) -> Json:
    """What is shown of a resource that was sent in the body of the one that it is in."""
    name = body.get("name")
    if not name:
        text = f"Value for reference id is missing. Path 'properties.{word}'."
        detail = {"code": "MissingJsonReferenceId", "message": text}
        raise refusal("InvalidRequestFormat", details=[detail])
    return {
        "id": f"{above.shown['id']}/{word}/{name}",
        "name": name,
        "type": f"{above.shown['type']}/{word}",
        "etag": "",
        "properties": {**(body.get("properties") or {}), "provisioningState": "Succeeded"},
    }


def users(store: Store, one: Resource, *kinds: type[Resource]) -> list[Resource]:
    """The resources of these kinds that refer to one."""
    return [user for user in store.users(one.id, *kinds) if user is not one]


def names(some: Iterable[Resource]) -> str:
    """Their ids, as refusals name them."""
    return ", ".join(one.shown["id"] for one in some)


def refs(some: Iterable[Resource]) -> list[Json]:
    """References to them."""
    return [{"id": one.shown["id"]} for one in some]


# -- virtual networks ------------------------------------------------------------------------------


def _prepare_network(call: Call, new: Resource, old: Resource | None) -> None:
    properties = new.properties
    space = (properties.get("addressSpace") or {}).get("addressPrefixes") or []
    if not space:
        raise refusal(
            "InvalidRequestFormat",
            details=[
                {
                    "code": "MissingJsonReferenceId",
                    "message": "Value for reference addressSpace is missing.",
                }
            ],
        )
    ranges = [_block(one) for one in space]
    sent = properties.pop("subnets", None)
    before = [] if old is None else call.store.under(Subnet, old.id)
    bodies = sent if sent is not None else [one.shown for one in before]
    wanted = [_inline(new, body) for body in bodies]
    for subnet in wanted:
        _check_subnet(new, ranges, subnet, [one for one in wanted if one is not subnet])
        require_references(call, subnet)
    kept = {one.id for one in wanted}
    for gone in before:
        if gone.id not in kept:
            _keep_subnet(call, gone)
    properties.setdefault("enableDdosProtection", False)
    before_by_id = {one.id: one for one in before}
    for gone in before:
        if gone.id not in kept:
            call.store.remove(gone)
    for subnet in wanted:
        arm.replace(call.store, before_by_id.get(subnet.id), subnet)


def _inline(network: Resource, body: Json) -> Subnet:
    return _completed(Subnet(inline(network, "subnets", body)))


def _completed(subnet: Subnet) -> Subnet:
    properties = subnet.properties
    properties.setdefault("delegations", [])
    properties.setdefault("privateEndpointNetworkPolicies", "Disabled")
    properties.setdefault("privateLinkServiceNetworkPolicies", "Enabled")
    if len(properties.get("addressPrefixes") or ()) == 1 and not properties.get("addressPrefix"):
        properties["addressPrefix"] = properties.pop("addressPrefixes")[0]
    return subnet


def _check_subnet(
    network: Resource, ranges: list[Net], subnet: Resource, others: Iterable[Resource]
) -> None:
    for block in blocks(subnet.properties):
        if not any(_inside(block, one) for one in ranges):
            raise refusal("NetcfgInvalidSubnet", name=subnet.name, network=network.name)
        for other in others:
            if any(block.overlaps(one) for one in blocks(other.properties)):
                raise refusal("NetcfgSubnetRangesOverlap", name=subnet.name, network=network.name)


def _inside(block: Net, other: Net) -> bool:
    return (
        block.version == other.version
        and block.prefixlen >= other.prefixlen
        and block.network_address in other
    )


def _show_network(store: Store, one: Resource) -> Json:
    subnets = [_show_subnet(store, subnet) for subnet in store.under(Subnet, one.id)]
    return {**one.shown, "properties": {**one.properties, "subnets": subnets}}


def _keep_network(call: Call, one: Resource) -> None:
    for subnet in call.store.under(Subnet, one.id):
        _keep_subnet(call, subnet)


_NETWORK = register(
    Kind(
        name="Microsoft.Network/virtualNetworks",
        record=VirtualNetwork,
        prepare=_prepare_network,
        shown=_show_network,
        keep=_keep_network,
        create="network/create",
        update="network/create",
        delete="network/delete",
        etags=True,
    )
)


# -- subnets ---------------------------------------------------------------------------------------


def _prepare_subnet(call: Call, new: Resource, old: Resource | None) -> None:
    network = call.require(VirtualNetwork, ids.parent(call.path))
    assert isinstance(new, Subnet)
    _completed(new)
    ranges = [_block(one) for one in network.properties["addressSpace"]["addressPrefixes"]]
    others = [one for one in call.store.under(Subnet, network.id) if one is not old]
    if not blocks(new.properties):
        raise refusal("InvalidRequestFormat")
    _check_subnet(network, ranges, new, others)
    require_references(call, new)
    if old is not None and blocks(old.properties) != blocks(new.properties):
        using = inside(call.store, old)
        if using:
            raise refusal("InUseSubnetCannotBeUpdated", name=old.name, names=names(using))


def inside(store: Store, subnet: Resource) -> list[Resource]:
    """What has addresses in a subnet."""
    return users(store, subnet, ScaleSet, LoadBalancer)


def _keep_subnet(call: Call, one: Resource) -> None:
    using = inside(call.store, one)
    if using:
        raise refusal("InUseSubnetCannotBeDeleted", name=one.name, names=names(using[:1]))


def _show_subnet(store: Store, one: Resource) -> Json:
    using = [
        {"id": f"{user.shown['id']}/virtualMachines/{m.number}/ipConfigurations/ipconfig1"}
        for user in inside(store, one)
        if isinstance(user, ScaleSet)
        for m in user.machines
    ]
    more = {"ipConfigurations": using} if using else {}
    return {**one.shown, "properties": {**one.properties, **more}}


_SUBNET = register(
    Kind(
        name="Microsoft.Network/virtualNetworks/subnets",
        record=Subnet,
        prepare=_prepare_subnet,
        shown=_show_subnet,
        keep=_keep_subnet,
        create="subnet/create",
        update="subnet/create",
        delete="subnet/delete",
        etags=True,
        lock=lambda one: ids.parent(one.id),
        located=False,
    )
)


def free_addresses(store: Store, subnet: Resource) -> int:
    """The number of free addresses of a subnet."""
    found = users(store, subnet, ScaleSet)
    used = sum(len(one.machines) for one in found if isinstance(one, ScaleSet))
    return sum(block.num_addresses - _RESERVED for block in blocks(subnet.properties)) - used


def next_address(store: Store, subnet: Resource) -> str | None:
    """A free address of a subnet; the first four and the last are the vendor's."""
    taken = {
        machine.address
        for one in users(store, subnet, ScaleSet)
        if isinstance(one, ScaleSet)
        for machine in one.machines
    }
    for block in blocks(subnet.properties):
        for number in range(4, block.num_addresses - 1):
            if str(block[number]) not in taken:
                return str(block[number])
    return None
