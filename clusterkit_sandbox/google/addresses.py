"""Static addresses, regional and global."""

from __future__ import annotations

import ipaddress

from clusterkit_sandbox.google.changes import change
from clusterkit_sandbox.google.computing import insert, referred, serve
from clusterkit_sandbox.google.failure import Json, invalid
from clusterkit_sandbox.google.resources import (
    KINDS,
    Address,
    Change,
    Collection,
    ForwardingRule,
    Instance,
    Resource,
    Subnetwork,
    link_to,
)
from clusterkit_sandbox.google.service import Call
from clusterkit_sandbox.google.store import Store

_PUBLIC = [
    str(address)
    for block in ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24")
    for address in ipaddress.IPv4Network(block).hosts()
]
"""The ranges for documentation (RFC 5737)."""
_MORE = ipaddress.IPv4Network("198.18.0.0/15")
"""When they are used up, those for benchmarks (RFC 2544)."""


def _show(store: Store, address: Resource) -> Json:
    users = [one.path for one in store.users(address.path, *KINDS)]
    users += [
        rule.path
        for rule in store.all(ForwardingRule)
        if rule.shown.get("IPAddress") == address.shown.get("address")
    ]
    state: Json = {"status": "IN_USE" if users else "RESERVED"}
    if users:
        state["users"] = [link_to(path) for path in users]
    return {**address.shown, **state}


REGIONAL = serve(
    Collection("addresses", Address, "regions", "address", quota="STATIC_ADDRESSES", labelled=True),
    show=_show,
)


def _taken(store: Store) -> set[str]:
    found = {one.shown.get("address", "") for one in store.all(Address)}
    found |= {one.shown.get("IPAddress", "") for one in store.all(ForwardingRule)}
    for instance in store.all(Instance):
        for interface in instance.shown["networkInterfaces"]:
            found.add(interface["networkIP"])
            found |= {access["natIP"] for access in interface.get("accessConfigs", [])}
    return found


def public_address(store: Store) -> str:
    """An address that nothing of the account has."""
    taken = _taken(store)
    for address in _PUBLIC:
        if address not in taken:
            return address
    return next(str(one) for one in _MORE.hosts() if str(one) not in taken)


def private_address(store: Store, subnetwork: Resource) -> str | None:
    """A free address of the primary range: the first two and the last two are the vendor's own
    (vendor: "Unusable addresses in IPv4 subnet ranges").
    """
    block = ipaddress.IPv4Network(subnetwork.shown["ipCidrRange"])
    taken = _taken(store)
    for number in range(2, block.num_addresses - 2):
        if (text := str(block[number])) not in taken:
            return text
    return None


def _complete(call: Call, body: Json) -> None:
    body.setdefault("addressType", "EXTERNAL")
    body.setdefault("ipVersion", "IPV4")
    body["status"] = "RESERVED"
    if body["addressType"] == "EXTERNAL":
        body.setdefault("networkTier", "PREMIUM")
        body["address"] = public_address(call.store)
        return
    if "subnetwork" not in body:
        if "address" not in body:
            text = "An internal address without a subnetwork must be given."
            raise invalid("resource.address", "", text)
        return
    subnetwork = referred(call, Subnetwork, "subnetworks", "subnetwork")
    body["subnetwork"] = link_to(subnetwork.path)
    body.setdefault("purpose", "GCE_ENDPOINT")
    body.setdefault("address", private_address(call.store, subnetwork))


@change("compute.addresses.insert")
def _insert(call: Call) -> Change:
    return insert(call, REGIONAL, _complete)
