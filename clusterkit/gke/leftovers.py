"""What Kubernetes made in Google Cloud and left behind.

GKE's controllers mark little: a load balancer of a Service is called ``a`` and 31 digits of the
Service's UID, its firewall rule ``k8s-fw-`` and the same; what belongs to Ingresses and network
endpoint groups has a hash of the cluster's UID in its name (kubernetes/cloud-provider-gcp,
``DefaultLoadBalancerName``; kubernetes/ingress-gce, ``pkg/utils/namer``). Firewall rules, endpoint
groups and instance groups name their network. So the hashes in such names that lie in a network of
ours prove whose the rest is, which names no network; they go last. Nothing is swept in a network
that is not ours: there the drain through Kubernetes has to do, before the cluster goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from clusterkit.engine.kind import Durations, Found, Leftover, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.gke.client import Clients
from clusterkit.gke.cluster import owned
from clusterkit.gke.network import Network
from clusterkit.gke.occupants import HASH, NODE, made_by_gke, residents
from clusterkit.gke.operations import compute_operation
from clusterkit.gke.tags import last, path_of, within
from clusterkit.kube import left
from clusterkit.kube.volumes import KEPT, VolumeState, rows
from clusterkit.naming import CLUSTER, NAME, read_mark

NODES = "gke-"
"""how the names of the nodes and of their disks begin"""
CONTROLLERS = ("k8s-", "k8s1-", "k8s2-", "gkegw1-")
"""how the names begin that have one of the hashes; those of GKE itself begin with ``gke-``"""
FRONTEND = re.compile(r"k8s2-um-([0-9a-z]{8})-")
"""a URL map of an Ingress, ``k8s2-um-b0n05971-NAMESPACE-NAME-t1riqq4x``; its forwarding rules and
proxies have the same hash, with letters beyond f"""
LEADS = ("backendService", "target", "urlMap")
"""links of forwarding rules and proxies to what stands behind them"""
PROOFS = ("firewalls", "networkEndpointGroups", "instanceGroups")
PLACES: Mapping[str, str] = {
    "addresses": "regions",
    "disks": "zones",
    "forwardingRules": "regions",
    "instanceGroups": "zones",
    "networkEndpointGroups": "zones",
    "targetPools": "regions",
}
"""where things are that their collection's name says nothing about; others are global"""
GLOBAL = ("httpHealthChecks",)
"""what has no ``aggregatedList``"""
CLUSTER_NAME = "goog-k8s-cluster-name"
CLUSTER_PLACE = "goog-k8s-cluster-location"
"""labels that GKE puts on the disks of claims
(https://cloud.google.com/kubernetes-engine/docs/how-to/creating-managing-labels)"""
CLAIM = "kubernetes.io/created-for/pvc/"
"""in the JSON of such a disk's description (gcp-compute-persistent-disk-csi-driver)"""

List = Callable[[Scope[Clients]], Iterable[Found]]


def _networks(scope: Scope[Clients]) -> frozenset[str]:
    """The paths of the networks with our mark, without those that other clusters are in."""
    there = Network.list(scope)
    ours = frozenset(have.path for have in there if have.tags.get(CLUSTER) == scope.cluster)
    return frozenset(path for path in ours if not any(residents(scope, path)))


def _inside(
    scope: Scope[Clients], networks: frozenset[str], collection: str
) -> Iterator[Mapping[str, Any]]:
    """What GKE and its controllers made that lies in one of the networks."""
    if not networks:
        return
    if collection == "firewalls":
        where = f"projects/{scope.client.project}/global/firewalls"
        found = scope.client.pages("compute", "firewalls.list", where)
    else:
        found = scope.client.aggregated(collection)
    for item in found:
        if path_of(item.get("network")) in networks and made_by_gke(item):
            yield item


def _hashes(scope: Scope[Clients]) -> frozenset[str]:
    """The hashes of our cluster and of its load balancers."""
    networks = _networks(scope)
    names = (str(item["name"]) for kind in PROOFS for item in _inside(scope, networks, kind))
    parts = (name.split("-") for name in names if name.startswith(CONTROLLERS))
    first = (next(filter(HASH.fullmatch, each), "") for each in parts)
    hashes = frozenset(filter(None, first))
    return hashes | frozenset(_frontends(scope, hashes) if hashes else ())


def _frontends(scope: Scope[Clients], hashes: frozenset[str]) -> Iterator[str]:
    """The hash in the names of an Ingress's entrances, which is another than that of what stands
    behind them; their URL map leads to that.
    """
    for item in scope.client.aggregated("urlMaps"):
        found = FRONTEND.match(str(item["name"]))
        if found and not hashes.isdisjoint(last(item.get("defaultService")).split("-")):
            yield found[1]


def _parts(item: Mapping[str, Any]) -> set[str]:
    """The parts of a thing's name, and of the names of what it leads to."""
    names = (str(item["name"]), *(last(item.get(link)) for link in LEADS))
    return {part for name in names for part in name.split("-")}


def _proven(collection: str) -> List:
    """Lists what has one of the hashes in its name, or leads to what has."""

    def there(scope: Scope[Clients]) -> Iterator[Mapping[str, Any]]:
        if collection not in GLOBAL:
            return scope.client.aggregated(collection)
        where = f"projects/{scope.client.project}/global/{collection}"
        return scope.client.pages("compute", f"{collection}.list", where)

    def listed(scope: Scope[Clients]) -> Iterator[Found]:
        hashes = _hashes(scope)
        for item in there(scope) if hashes else ():
            if not hashes.isdisjoint(_parts(item)):
                yield Found(path_of(item["selfLink"]))

    return listed


def _lying(collection: str) -> List:
    """Lists what lies in a network of ours; what GKE itself made goes with the cluster."""

    def listed(scope: Scope[Clients]) -> Iterator[Found]:
        found = [*_inside(scope, _networks(scope), collection)]
        alive = bool(found) and bool(owned(scope.client, scope.cluster))
        for item in found:
            if not alive or str(item["name"]).startswith(CONTROLLERS):
                yield Found(path_of(item["selfLink"]))

    return listed


def _delete(scope: Scope[Clients], have: Any) -> Operation[Clients]:
    """Remove something by its path."""
    place, collection = _place(have.id)
    name = collection
    if place != PLACES.get(collection, "global"):
        prefix = "global" if place == "global" else "region"
        name = f"{prefix}{collection[0].upper()}{collection[1:]}"
    made = scope.client.call("compute", f"{name}.delete", "DELETE", have.id)
    return compute_operation(made, f"compute.{name}.delete")


def _place(path: str) -> tuple[str, str]:
    """``zones`` and ``disks`` of ``projects/P/zones/Z/disks/D``."""
    parts = path.split("/")
    return parts[2], parts[-2]


def _row(kind: str, listed: List, *uses: str) -> Leftover[Clients]:
    return Leftover(kind, listed, _delete, uses=(*uses, "network"), takes=Durations(delete=12))


ENDS = ("network-endpoint-groups", "instance-groups", "firewalls")
"""rows of what proves whose the others are"""

BEHIND = ("http-proxies", "https-proxies", "target-pools", "backend-services", "addresses")
ForwardingRules = _row("forwarding-rules", _proven("forwardingRules"), *BEHIND, "subnetwork", *ENDS)
"""Entrances of load balancers; each costs by the hour."""

HttpProxies = _row("http-proxies", _proven("targetHttpProxies"), "url-maps", *ENDS)
HttpsProxies = _row("https-proxies", _proven("targetHttpsProxies"), "url-maps", *ENDS)
UrlMaps = _row("url-maps", _proven("urlMaps"), "backend-services", *ENDS)
BackendServices = _row("backend-services", _proven("backendServices"), "health-checks", *ENDS)
TargetPools = _row(
    "target-pools", _proven("targetPools"), "health-checks", "http-health-checks", *ENDS
)
HealthChecks = _row("health-checks", _proven("healthChecks"), *ENDS)
HttpHealthChecks = _row("http-health-checks", _proven("httpHealthChecks"), *ENDS)
"""Health checks of target pools, of the older kind (kubernetes/cloud-provider-gcp,
``ensureHTTPHealthCheck``); ``k8s-HASH-node`` is one for all Services of a cluster."""
Addresses = _row("addresses", _proven("addresses"), "subnetwork", *ENDS)
"""Addresses that a controller has reserved; one that nothing uses costs more than one in use."""

EndpointGroups = _row("network-endpoint-groups", _lying("networkEndpointGroups"), "firewalls")
"""Endpoint groups of Ingresses and Services, which their controller collects late or never."""

InstanceGroups = _row("instance-groups", _lying("instanceGroups"), "firewalls")
"""Groups of nodes that a load balancer made."""

Firewalls = _row("firewalls", _lying("firewalls"))
"""Firewall rules of load balancers, and those that GKE has been seen to leave."""


def _disks(scope: Scope[Clients]) -> Iterator[VolumeState]:
    """Disks of claims, without the nodes' own. The name and place of a cluster are unique, and a
    disk of an earlier one stays unless our own label is on it (``volumes.py``).
    """
    for item in scope.client.aggregated("disks"):
        labels = item.get("labels") or {}
        here = str(labels.get(CLUSTER_PLACE) or last(item.get("zone") or item.get("region")))
        ours = scope.cluster in (labels.get(CLUSTER_NAME), labels.get(CLUSTER))
        node = NODE in labels or str(item["name"]).startswith(NODES)
        if ours and within(here, scope.region) and not node:
            about = f"{_claim(item)}, {item.get('sizeGb')} GB"
            yield VolumeState(path_of(item["selfLink"]), item.get("status") or "", about, labels)


def _claim(disk: Mapping[str, Any]) -> str:
    try:
        said = json.loads(disk.get("description") or "{}")
        return f"claim {said[f'{CLAIM}namespace']}/{said[f'{CLAIM}name']}"
    except (ValueError, KeyError, TypeError):
        return str(disk["name"])


ACCOUNT = "nodes"
"""name of the nodes' service account"""


def keeps_volumes(scope: Scope[Clients]) -> bool | None:
    """Whether destroy leaves the disks of claims, as the nodes' service account remembers, which
    goes last; None if there is none.
    """
    where = f"projects/{scope.client.project}/serviceAccounts"
    for item in scope.client.pages("iam", "projects.serviceAccounts.list", where, "accounts"):
        tags, keep = read_mark(item.get("description"), scope.region)
        if (tags.get(CLUSTER), tags.get(NAME)) == (scope.cluster, ACCOUNT):
            return keep
    return None


def _keeps(scope: Scope[Clients]) -> str:
    unknown = "nothing says whether the profile keeps volumes"
    return {True: KEPT, False: "", None: unknown}[keeps_volumes(scope)]


def _tag(scope: Scope[Clients], disk: str, tags: Tags) -> None:
    noun = "disks" if _place(disk)[0] == "zones" else "regionDisks"
    shown = scope.client.call("compute", f"{noun}.get", "GET", disk)
    body = {
        "labels": {**(shown.get("labels") or {}), **tags},
        "labelFingerprint": shown["labelFingerprint"],
    }
    scope.client.call("compute", f"{noun}.setLabels", "POST", f"{disk}/setLabels", body)


Disks, DisksToKeep = rows(
    "disks",
    _disks,
    _keeps,
    tag=_tag,
    delete=_delete,
    command="gcloud compute disks delete https://www.googleapis.com/compute/v1/{}",
    uses=("iam-service-account",),
)
"""Disks of claims; they never block anything and cost until somebody removes them."""

Snapshots = left.snapshots(
    "pd.csi.storage.gke.io",
    "gcloud compute snapshots delete https://www.googleapis.com/compute/v1/{}",
)
