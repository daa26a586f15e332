"""Subnetworks: their ranges, and the secondary ones that Kubernetes Engine adds.

Vendor: the reference of the resource; "Valid IPv4 ranges" has the lengths and what is prohibited.
The words for ranges that overlap: facts/gcp.tsv.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from clusterkit_sandbox.google.changes import begin, change, settled
from clusterkit_sandbox.google.computing import (
    check_fingerprint,
    find,
    insert,
    patched,
    referred,
    serve,
)
from clusterkit_sandbox.google.failure import Failure, Json, compute, invalid
from clusterkit_sandbox.google.networks import SUBNETWORKS, add_route, complete_subnetwork
from clusterkit_sandbox.google.resources import (
    Change,
    Instance,
    Network,
    Resource,
    Route,
    Subnetwork,
    in_use,
    link_to,
    path_of,
)
from clusterkit_sandbox.google.service import Call
from clusterkit_sandbox.google.store import Store

_PROHIBITED = tuple(
    IPv4Network(block)
    for block in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32")
)
_FIXED = ("fingerprint", "ipCidrRange", "name", "network")


def _gone(call: Call, subnetwork: Resource) -> None:
    for route in list(call.store.all(Route)):
        same = route.shown["network"] == subnetwork.shown["network"]
        if same and route.shown["destRange"] in [str(one) for one in ranges(subnetwork)]:
            call.store.remove(route)


serve(SUBNETWORKS, gone=_gone)


def ranges(subnetwork: Resource) -> Iterator[IPv4Network]:
    """The primary and the secondary ranges."""
    yield IPv4Network(subnetwork.shown["ipCidrRange"])
    for one in subnetwork.shown.get("secondaryIpRanges", []):
        yield IPv4Network(one["ipCidrRange"])


def _range(text: str, name: str) -> IPv4Network:
    try:
        found = IPv4Network(text)
    except ValueError:
        raise invalid(name, text, "Must be a valid IPv4 CIDR range.") from None
    if not 4 <= found.prefixlen <= 29 or any(found.overlaps(one) for one in _PROHIBITED):
        raise invalid(name, text, "It is no range that subnetworks may have.")
    return found


def conflict(
    store: Store, network: str, block: IPv4Network, besides: str = ""
) -> Subnetwork | None:
    """The subnetwork of a network with a range that overlaps this one."""
    for one in store.all(Subnetwork):
        mine = path_of(one.shown["network"], one.project) == network and one.path != besides
        if mine and any(block.overlaps(taken) for taken in ranges(one)):
            return one
    return None


def free_range(store: Store, network: str, within: IPv4Network, prefix: int) -> IPv4Network | None:
    """A range of this length that no subnetwork of the network has."""
    for block in within.subnets(new_prefix=prefix):
        if conflict(store, network, block) is None:
            return block
    return None


def _overlaps(name: str, block: IPv4Network, other: Resource) -> Failure:
    region = other.place.partition("/")[2]
    text = (
        f"Invalid IPCidrRange: {block} conflicts with existing subnetwork '{other.name}' in"
        f" region '{region}'."
    )
    return invalid(name, block, text)


def _check_ranges(call: Call, network: str, body: Json, besides: str = "") -> None:
    """Refuse ranges that cannot be, overlap each other, or those of other subnetworks."""
    named = [("resource.ipCidrRange", body["ipCidrRange"])]
    names: set[str] = set()
    for position, one in enumerate(body.get("secondaryIpRanges", [])):
        place = f"resource.secondaryIpRanges[{position}]"
        called = one.get("rangeName", "")
        if not called or called in names:
            raise invalid(f"{place}.rangeName", called, "Range names must be unique.")
        names.add(called)
        if "ipCidrRange" not in one:
            text = "internal ranges are not emulated; a secondary range needs an ipCidrRange."
            raise invalid(f"{place}.ipCidrRange", "", text)
        named.append((f"{place}.ipCidrRange", one["ipCidrRange"]))
    blocks: list[IPv4Network] = []
    for place, text in named:
        block = _range(text, place)
        if any(block.overlaps(one) for one in blocks):
            raise invalid(place, text, "IP ranges of one subnetwork must not overlap.")
        if (other := conflict(call.store, network, block, besides)) is not None:
            raise _overlaps(place, block, other)
        blocks.append(block)


@change("compute.subnetworks.insert")
def _insert(call: Call) -> Change:
    def complete(call: Call, body: Json) -> None:
        network = referred(call, Network, "networks", "network")
        if "ipCidrRange" not in body:
            raise compute("required", "Required field 'resource.ipCidrRange' not specified")
        _check_ranges(call, network.path, body)
        body["network"] = link_to(network.path)
        complete_subnetwork(body)

    def done(made: Resource) -> None:
        network = call.store.get(Network, path_of(made.shown["network"], made.project))
        if network is not None:
            for block in ranges(made):
                add_route(call.store, network, str(block), nextHopNetwork=link_to(network.path))

    return insert(call, SUBNETWORKS, complete, done)


@change("compute.subnetworks.patch")
def _patch(call: Call) -> Change:
    found = settled(find(call, SUBNETWORKS))
    check_fingerprint(call, found)
    changes = {name: value for name, value in call.body.items() if name not in _FIXED}
    if "secondaryIpRanges" in changes:
        network = path_of(found.shown["network"], found.project)
        _check_ranges(call, network, {**found.shown, **changes}, found.path)
        kept = {one["rangeName"] for one in changes["secondaryIpRanges"]}
        have = {one["rangeName"] for one in found.shown.get("secondaryIpRanges", [])}
        _check_unused(call.store, found, have - kept)
    return patched(call, found, changes, stamp=True)


def _check_unused(store: Store, found: Resource, names: set[str]) -> None:
    for one in store.users(found.path, Instance):
        for interface in one.shown["networkInterfaces"]:
            for alias in interface.get("aliasIpRanges", []):
                if alias.get("subnetworkRangeName") in names:
                    text = in_use("subnetwork", found.path, one.path)[1]
                    raise compute("resourceInUseByAnotherResource", text)


@change("compute.subnetworks.expandIpCidrRange")
def _expand(call: Call) -> Change:
    found = settled(find(call, SUBNETWORKS))
    text = call.body.get("ipCidrRange", "")
    block, have = _range(text, "ipCidrRange"), IPv4Network(found.shown["ipCidrRange"])
    if block == have or not block.supernet_of(have):
        raise invalid("ipCidrRange", text, "The new range must contain the old one.")
    network = path_of(found.shown["network"], found.project)
    if (other := conflict(call.store, network, block, found.path)) is not None:
        raise _overlaps("ipCidrRange", block, other)
    if any(block.overlaps(one) for one in list(ranges(found))[1:]):
        raise invalid("ipCidrRange", text, "IP ranges of one subnetwork must not overlap.")

    def done() -> None:
        found.shown |= {"ipCidrRange": str(block), "gatewayAddress": str(block[1])}
        found.stamp()

    return begin(call, found, "expandIpCidrRange", done)


@change("compute.subnetworks.setPrivateIpGoogleAccess")
def _set_access(call: Call) -> Change:
    found = settled(find(call, SUBNETWORKS))
    changes = {"privateIpGoogleAccess": call.body.get("privateIpGoogleAccess", False)}
    return patched(call, found, changes, stamp=True)


def add_range(subnetwork: Resource, name: str, block: IPv4Network) -> None:
    """Add a secondary range, as Kubernetes Engine does for a cluster that names none."""
    mine = subnetwork.shown.setdefault("secondaryIpRanges", [])
    mine.append({"rangeName": name, "ipCidrRange": str(block)})
    subnetwork.stamp()


def remove_range(subnetwork: Resource, name: str) -> None:
    """Remove a secondary range, if it is there."""
    mine = subnetwork.shown.get("secondaryIpRanges", [])
    subnetwork.shown["secondaryIpRanges"] = [one for one in mine if one["rangeName"] != name]
    subnetwork.stamp()
