"""Networks, their routes, and firewall rules.

Vendor: the reference of each resource. In-use and not-ready refusals: facts/gcp.tsv.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from clusterkit_sandbox.google.changes import change
from clusterkit_sandbox.google.computing import find, insert, make, patched, referred, serve
from clusterkit_sandbox.google.failure import Json, not_emulated
from clusterkit_sandbox.google.resources import (
    Change,
    Collection,
    Firewall,
    Network,
    Resource,
    Route,
    Subnetwork,
    link_to,
    path_of,
)
from clusterkit_sandbox.google.service import Call
from clusterkit_sandbox.google.store import Store


def _show_network(store: Store, network: Resource) -> Json:
    mine = [one.path for one in store.all(Subnetwork) if network.path in one.needs()]
    return {**network.shown, **({"subnetworks": [link_to(p) for p in mine]} if mine else {})}


def _network_gone(call: Call, network: Resource) -> None:
    for route in list(call.store.all(Route)):
        if path_of(route.shown["network"], route.project) == network.path:
            call.store.remove(route)


NETWORKS = serve(
    Collection("networks", Network, "global", "network", quota="NETWORKS"),
    show=_show_network,
    gone=_network_gone,
    aggregated=False,
)
ROUTES = serve(Collection("routes", Route, "global", "route", quota="ROUTES"), aggregated=False)
FIREWALLS = serve(
    Collection("firewalls", Firewall, "global", "firewall", quota="FIREWALLS"), aggregated=False
)
SUBNETWORKS = Collection(
    "subnetworks", Subnetwork, "regions", "subnetwork", quota="SUBNETWORKS", fingerprinted=True
)
"""Served by ``subnetworks.py``."""


def _complete_network(_call: Call, body: Json) -> None:
    if body.get("autoCreateSubnetworks") is not False:
        raise not_emulated("networks in auto mode and legacy networks")
    routing = {"routingMode": "REGIONAL", "bgpBestPathSelectionMode": "LEGACY"}
    body["routingConfig"] = routing | body.get("routingConfig", {})
    body.setdefault("networkFirewallPolicyEnforcementOrder", "AFTER_CLASSIC_FIREWALL")


@change("compute.networks.insert")
def _insert_network(call: Call) -> Change:
    def done(network: Resource) -> None:
        add_route(
            call.store,
            network,
            "0.0.0.0/0",
            nextHopGateway=link_to(
                f"projects/{network.project}/global/gateways/default-internet-gateway"
            ),
        )

    return insert(call, NETWORKS, _complete_network, done)


def add_route(store: Store, network: Resource, block: str, **hop: str) -> None:
    """A route that comes and goes with its network or subnetwork."""
    body: Json = {
        "name": f"default-route-{store.new_hex(16)}",
        "description": "Default route to the Internet."
        if block == "0.0.0.0/0"
        else "Default local route to the subnetwork.",
        "network": link_to(network.path),
        "destRange": block,
        "priority": 1000 if block == "0.0.0.0/0" else 0,
        **hop,
    }
    route = make(store, ROUTES, network.project, "", body)
    assert isinstance(route, Route)
    route.automatic = True


def complete_subnetwork(body: Json) -> None:
    """What the API adds to a subnetwork."""
    body.setdefault("privateIpGoogleAccess", False)
    body.setdefault("purpose", "PRIVATE")
    body.setdefault("stackType", "IPV4_ONLY")
    body.setdefault("privateIpv6GoogleAccess", "DISABLE_GOOGLE_ACCESS")
    body["gatewayAddress"] = str(IPv4Network(body["ipCidrRange"])[1])


# -- routes and firewall rules ---------------------------------------------------------------------


@change("compute.routes.insert")
def _insert_route(call: Call) -> Change:
    def complete(call: Call, body: Json) -> None:
        body["network"] = link_to(referred(call, Network, "networks", "network").path)
        body.setdefault("priority", 1000)

    return insert(call, ROUTES, complete)


def complete_firewall(body: Json) -> None:
    """What the API adds to a firewall rule."""
    body.setdefault("priority", 1000)
    body.setdefault("direction", "INGRESS")
    body.setdefault("disabled", False)
    body.setdefault("logConfig", {"enable": False})
    sources = ("sourceRanges", "sourceTags", "sourceServiceAccounts")
    if body["direction"] == "INGRESS" and not any(body.get(name) for name in sources):
        body["sourceRanges"] = ["0.0.0.0/0"]
    if body["direction"] == "EGRESS":
        body.setdefault("destinationRanges", ["0.0.0.0/0"])


@change("compute.firewalls.insert")
def _insert_firewall(call: Call) -> Change:
    def complete(call: Call, body: Json) -> None:
        link: Any = body.get("network", "global/networks/default")
        body["network"] = link_to(referred(call, Network, "networks", "network", link).path)
        complete_firewall(body)

    return insert(call, FIREWALLS, complete)


@change("compute.firewalls.patch", "compute.firewalls.update")
def _patch_firewall(call: Call) -> Change:
    fixed = ("name", "network", "direction")
    changes = {name: value for name, value in call.body.items() if name not in fixed}
    return patched(call, find(call, FIREWALLS), changes)


def add_firewall(store: Store, network: Resource, owner: str, body: Json) -> Resource:
    """A firewall rule that Kubernetes Engine makes itself."""
    shown = {**body, "network": link_to(network.path)}
    complete_firewall(shown)
    return make(store, FIREWALLS, network.project, "", shown, owner)
