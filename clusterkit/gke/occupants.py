"""What is not ours and keeps a network or subnetwork of ours from being deleted.

Compute Engine names one thing at a time, after the delete has begun. Looked for is what does not go
with a cluster; what GKE and its controllers made goes with it, or is swept (``leftovers.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope
from clusterkit.gke.client import Clients
from clusterkit.gke.tags import last, path_of, within
from clusterkit.naming import CLUSTER, read_mark

GKE = ("gke-", "k8s-", "k8s1-", "k8s2-", "gkegw1-")
"""how the names begin of what GKE and its controllers make"""
HASHED = ("gke-", "k8s-")
"""of those, with which people begin names too; theirs have no hash"""
HASH = re.compile(r"[0-9a-f]{8,32}")
"""a part of a name that belongs to one cluster or one load balancer only"""
NODE = "goog-gke-node"
"""label of GKE's machines
(https://cloud.google.com/kubernetes-engine/docs/how-to/creating-managing-labels)"""
AUTOMATIC = "default-route-"
"""how the names begin of the routes that come and go with a network and its subnetworks
(https://cloud.google.com/vpc/docs/routes)"""
GROUPS = "networkEndpointGroups"
NOUNS: Mapping[str, tuple[str, str]] = {
    "firewalls": ("firewall rule", "firewall-rules"),
    GROUPS: ("network endpoint group", "network-endpoint-groups"),
    "routes": ("route", "routes"),
    "routers": ("router", "routers"),
    "subnetworks": ("subnetwork", "networks subnets"),
    "instances": ("machine", "instances"),
    "addresses": ("address", "addresses"),
    "forwardingRules": ("forwarding rule", "forwarding-rules"),
}
"""what people and gcloud call the things of a collection"""
ONLY_GLOBAL = ("firewalls", "routes")
"""collections whose commands take no location"""


def _ours(scope: Scope[Clients], item: Mapping[str, Any]) -> bool:
    tags, _ = read_mark(item.get("description"), scope.region)
    return tags.get(CLUSTER) == scope.cluster


def made_by_gke(item: Mapping[str, Any]) -> bool:
    """Whether GKE or one of its controllers made something, by its name or label."""
    name, labels = str(item["name"]), item.get("labels") or {}
    hashed = not name.startswith(HASHED) or any(map(HASH.fullmatch, name.split("-")))
    return (name.startswith(GKE) and hashed) or NODE in labels


def _global(scope: Scope[Clients], collection: str) -> Iterator[Any]:
    path = f"projects/{scope.client.project}/global/{collection}"
    return scope.client.pages("compute", f"{collection}.list", path)


def residents(scope: Scope[Clients], network: str) -> Iterator[Occupant]:
    """Other clusters in the network with this path: what GKE and their controllers made there looks
    as if it were this cluster's.
    """
    shown = scope.client.container(
        "list_clusters", {"parent": f"projects/{scope.client.project}/locations/-"}
    )
    for each in shown.get("clusters") or ():
        name, location = str(each["name"]), str(each["location"])
        labelled = (each.get("resourceLabels") or {}).get(CLUSTER) == scope.cluster
        ours = labelled and within(location, scope.region)
        if path_of((each.get("networkConfig") or {}).get("network")) == network and not ours:
            cure = f"gcloud container clusters delete {name} --location={location}"
            yield Occupant("cluster", f"{location}/{name}", cure=_of_project(scope, cure))


def of_network(scope: Scope[Clients], network: str) -> Iterator[Occupant]:
    """What others have in the network with this path."""
    yield from residents(scope, network)
    for collection, items in (
        *((each, _global(scope, each)) for each in ("firewalls", "routes")),
        *((each, scope.client.aggregated(each)) for each in ("routers", "subnetworks", GROUPS)),
    ):
        for item in items:
            inside = path_of(item.get("network")) == network
            goes = _ours(scope, item) or made_by_gke(item) or item["name"].startswith(AUTOMATIC)
            if inside and not goes:
                yield _named(scope, collection, item)
    shown = scope.client.call("compute", "networks.get", "GET", network)
    for peering in shown.get("peerings") or ():
        name = str(peering["name"])
        cure = f"gcloud compute networks peerings delete {name} --network={last(network)}"
        yield Occupant("peering", name, cure=_of_project(scope, cure))


def of_subnetwork(scope: Scope[Clients], subnetwork: str, network: str) -> Iterator[Occupant]:
    """What others have in the subnetwork with this path, which lies in ``network``."""
    yield from residents(scope, network)
    for collection in ("instances", "forwardingRules", "addresses"):
        for item in scope.client.aggregated(collection):
            places = [item.get("subnetwork")]
            places += [each.get("subnetwork") for each in item.get("networkInterfaces") or ()]
            inside = subnetwork in map(path_of, places)
            kubernetes = "kubernetes.io/" in str(item.get("description") or "")
            node = NODE in (item.get("labels") or {})
            made = node if collection == "instances" else made_by_gke(item) or kubernetes
            if inside and not made:
                yield _named(scope, collection, item)


def _named(scope: Scope[Clients], collection: str, item: Mapping[str, Any]) -> Occupant:
    noun, command = NOUNS[collection]
    name, place = str(item["name"]), next((p for p in ("zone", "region") if item.get(p)), "")
    cure = f"gcloud compute {command} delete {name}"
    if place:
        cure += f" --{place}={last(item[place])}"
    elif collection not in ONLY_GLOBAL:
        cure += " --global"
    return Occupant(noun, name, str(item.get("description") or ""), _of_project(scope, cure))


def _of_project(scope: Scope[Clients], command: str) -> str:
    """gcloud's own project may be another one."""
    return f"{command} --project={scope.client.project}"
