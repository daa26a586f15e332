"""Routers and their NAT gateways.

Vendor: the reference of the resource; what the API adds to a NAT gateway is that of recorded
traffic (k8s-config-connector, computerouternat*/_http.log).
"""

from __future__ import annotations

from clusterkit_sandbox.google.changes import change, settled
from clusterkit_sandbox.google.computing import find, insert, patched, referred, serve
from clusterkit_sandbox.google.failure import Json, compute, invalid
from clusterkit_sandbox.google.resources import (
    Address,
    Change,
    Collection,
    Network,
    Router,
    Subnetwork,
    link_to,
)
from clusterkit_sandbox.google.service import Call

ROUTERS = serve(Collection("routers", Router, "regions", "router", quota="ROUTERS"))
_ADDED: Json = {
    "type": "PUBLIC",
    "endpointTypes": ["ENDPOINT_TYPE_VM"],
    "enableEndpointIndependentMapping": False,
    "autoNetworkTier": "PREMIUM",
}


def _check_nats(call: Call, body: Json) -> None:
    names = set()
    for position, nat in enumerate(body.get("nats", [])):
        place = f"resource.nats[{position}]"
        name = nat.get("name", "")
        if not name or name in names:
            raise invalid(f"{place}.name", name, "NAT names must be unique in a router.")
        names.add(name)
        for needed in ("natIpAllocateOption", "sourceSubnetworkIpRangesToNat"):
            if needed not in nat:
                raise compute("required", f"Required field '{place}.{needed}' not specified")
        manual = nat["natIpAllocateOption"] == "MANUAL_ONLY"
        if manual != bool(nat.get("natIps")):
            text = "MANUAL_ONLY needs addresses, AUTO_ONLY takes none."
            raise invalid(f"{place}.natIps", nat.get("natIps", []), text)
        for link in nat.get("natIps", []):
            referred(call, Address, "addresses", f"nats[{position}].natIps", link)
        for one in nat.get("subnetworks", []):
            field = f"nats[{position}].subnetworks"
            referred(call, Subnetwork, "subnetworks", field, one.get("name", ""))


def _completed(body: Json) -> Json:
    nats = [_ADDED | nat for nat in body.get("nats", [])]
    return {**body, **({"nats": nats} if "nats" in body else {})}


@change("compute.routers.insert")
def _insert(call: Call) -> Change:
    def complete(call: Call, body: Json) -> None:
        _check_nats(call, body)
        body["network"] = link_to(referred(call, Network, "networks", "network").path)
        body.update(_completed(body))
        body.setdefault("encryptedInterconnectRouter", False)

    return insert(call, ROUTERS, complete)


@change("compute.routers.patch", "compute.routers.update")
def _patch(call: Call) -> Change:
    found = settled(find(call, ROUTERS))
    _check_nats(call, call.body)
    changes = {k: v for k, v in call.body.items() if k not in ("name", "network", "region")}
    return patched(call, found, _completed(changes))
