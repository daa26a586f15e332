"""Container Engine v1: clusters, what is on offer, and operations.

Every method has two forms, with the location in a resource name and the older one with a zone; the
older one answers the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Network
from typing import NamedTuple

from clusterkit_sandbox.google import account, model, versions
from clusterkit_sandbox.google.catalogue import REGIONS
from clusterkit_sandbox.google.clusterbodies import Place, cluster_body, is_zone
from clusterkit_sandbox.google.clusterlife import pod_range
from clusterkit_sandbox.google.clusterrecords import Cluster, NodePool, Operation, seconds, view
from clusterkit_sandbox.google.clusterrules import (
    check_free,
    check_location,
    check_new,
    check_zones,
    free,
    master_version,
    missing,
    ranges,
)
from clusterkit_sandbox.google.failure import Json, rpc
from clusterkit_sandbox.google.poolrules import check_quota, new_pool
from clusterkit_sandbox.google.service import Call, Handler, method
from clusterkit_sandbox.google.subnetworks import add_range

_ZONES = 3
"""zones of a regional cluster that names none (vendor: "Regional clusters")"""
_NAMES = {
    "projects": "projectId",
    "locations": "zone",
    "clusters": "clusterId",
    "nodePools": "nodePoolId",
    "operations": "operationId",
}


_OLD = {
    "getServerConfig": "getServerconfig",
    "clusters.setAddons": "clusters.addons",
    "clusters.setLegacyAbac": "clusters.legacyAbac",
    "clusters.setLocations": "clusters.locations",
    "clusters.setLogging": "clusters.logging",
    "clusters.setMonitoring": "clusters.monitoring",
    "clusters.setResourceLabels": "clusters.resourceLabels",
    "clusters.updateMaster": "clusters.master",
    "clusters.nodePools.setAutoscaling": "clusters.nodePools.autoscaling",
}
"""methods whose older form has another name"""


def both(verb: str) -> Callable[[Handler], Handler]:
    """Register a handler for a method in both forms."""
    old = _OLD.get(verb, verb)
    return method(f"container.projects.locations.{verb}", f"container.projects.zones.{old}")


class Target(NamedTuple):
    """What a call is about; empty for what it does not name."""

    project: str
    location: str
    cluster: str
    pool: str
    operation: str

    @property
    def scope(self) -> str:
        """``projects/P/locations/L``"""
        return f"projects/{self.project}/locations/{self.location}"


def target(call: Call) -> Target:
    """What a call is about, in either form."""
    parts = str(call.get("name") or call.get("parent") or "").split("/")
    named = dict(zip(parts[::2], parts[1::2], strict=False))
    found = {key: str(named.get(key) or call.get(old) or "") for key, old in _NAMES.items()}
    project = account.project_id(found["projects"]) or call.project
    return Target(project, *(found[key] for key in list(_NAMES)[1:]))


def find(call: Call) -> Cluster:
    """The cluster that a call is about."""
    wanted = target(call)
    found = call.store.get(Cluster, f"{wanted.scope}/clusters/{wanted.cluster}", wanted.scope)
    if found is None:
        raise missing(wanted.project, wanted.location, "clusters", wanted.cluster)
    return found


def settled(call: Call, cluster: Cluster, pool: str = "") -> Cluster:
    """The cluster, if nothing is in the way of another change."""
    free(cluster, call.clusters.running(cluster), pool)
    return cluster


def begin(call: Call, cluster: Cluster, kind: str, pool: NodePool | None = None) -> Operation:
    """An operation, which the fault ``terminal`` ends with an error."""
    begun: Operation = call.clusters.begin(cluster, kind, pool, doomed=call.terminal())
    return begun


def shown(call: Call, cluster: Cluster) -> Json:
    """The cluster as the API shows it: while something in it changes it is ``RECONCILING``."""
    found = view(call.store, cluster)
    if cluster.state == "RUNNING" and call.clusters.running(cluster):
        found["status"] = "RECONCILING"
    return found


@cache
def fields(shape: str) -> frozenset[str]:
    """The fields that a cluster, a pool or a part of them has."""
    api = next(one for one in model.apis() if one.name == "container")
    api.operation("container.projects.locations.clusters.get")
    return frozenset(api.names[shape].fields)


# -- reading ---------------------------------------------------------------------------------------


@both("getServerConfig")
def _server_config(call: Call) -> object:
    check_location(target(call).location)
    return versions.server_config()


@both("clusters.get")
def _get(call: Call) -> object:
    return shown(call, find(call))


@both("clusters.list")
def _list(call: Call) -> object:
    wanted = target(call)
    scope = None if wanted.location == "-" else wanted.scope
    if scope is not None:
        check_location(wanted.location)
    every = [c for c in call.store.all(Cluster, scope) if c.project == wanted.project]
    found = [shown(call, cluster) for cluster in every]
    return {"clusters": found} if found else {}


# -- birth and death -------------------------------------------------------------------------------


@both("clusters.create")
def _create(call: Call) -> object:
    wanted, asked = target(call), dict(call.body.get("cluster") or {})
    check_location(wanted.location)
    place = _place(call, asked)
    check_new(call, asked, place)
    check_zones(place.location, place.zones)
    version = master_version(asked)
    subnetwork, addresses, make_range = ranges(call, asked, place)
    store, hashed = call.store, call.store.new_hex(8)
    if make_range:
        addresses = replace(addresses, pod_range=pod_range(asked["name"], hashed))
    body = cluster_body(asked, place, addresses, version)
    body["status"], body["createTime"] = "PROVISIONING", seconds(time.time())
    cluster = Cluster(body, project=place.project, hash=hashed)
    pools = [new_pool(call, cluster, one) for one in _pools(asked, cluster)]
    for number, pool in enumerate(pools):
        twin = next((one for one in pools[:number] if one.name == pool.name), None)
        where = ("clusters", cluster.name, "nodePools", pool.name)
        check_free(twin, cluster.project, cluster.location, *where)
    check_quota(store, cluster, pools)
    if make_range:
        cluster.made_range = addresses.pod_range
        add_range(subnetwork, addresses.pod_range, IPv4Network(addresses.pods))
    store.add(cluster)
    for pool in pools:
        store.add(pool)
    call.clusters.furnish(cluster)
    operation = begin(call, cluster, "CREATE_CLUSTER")
    slow = not place.zonal or cluster.autopilot
    what = "google/cluster/create-regional" if slow else "google/cluster/create"
    call.clusters.create(cluster, operation, what)
    return operation.shown()


def _place(call: Call, asked: Json) -> Place:
    wanted = target(call)
    zones: Sequence[str] = asked.get("locations") or ()
    if not zones:
        location = wanted.location
        zones = (location,) if is_zone(location) else REGIONS[location][:_ZONES]
    number = account.PROJECTS[wanted.project]
    return Place(wanted.project, number, wanted.location, tuple(dict.fromkeys(zones)))


def _pools(asked: Json, cluster: Cluster) -> list[Json]:
    """The pools that are asked for, in whichever form."""
    if cluster.autopilot:
        return [{"name": "default-pool", "initialNodeCount": 1, "autoscaling": {
            "enabled": True, "maxNodeCount": 1000}}]  # fmt: skip
    if asked.get("nodePools"):
        return [dict(one) for one in asked["nodePools"]]
    count, config = asked.get("initialNodeCount"), asked.get("nodeConfig") or {}
    return [{"name": "default-pool", "initialNodeCount": count, "config": config}]


@both("clusters.delete")
def _delete(call: Call) -> object:
    cluster = settled(call, find(call))
    operation = begin(call, cluster, "DELETE_CLUSTER")
    call.clusters.delete(cluster, operation)
    return operation.shown()


# -- operations ------------------------------------------------------------------------------------


def _operation(call: Call) -> Operation:
    wanted = target(call)
    found: Operation | None = call.clusters.operations.get(wanted.operation)
    if found is None or (found.project, found.location) != (wanted.project, wanted.location):
        raise missing(wanted.project, wanted.location, "operations", wanted.operation)
    return found


@both("operations.get")
def _get_operation(call: Call) -> object:
    return _operation(call).shown()


@both("operations.list")
def _list_operations(call: Call) -> object:
    wanted = target(call)
    found = [
        one.shown()
        for one in call.clusters.operations.every()
        if one.project == wanted.project and wanted.location in ("-", one.location)
    ]
    return {"operations": found} if found else {}


def pool_of(call: Call, cluster: Cluster, name: str = "") -> NodePool:
    """The pool that a call is about."""
    name = name or target(call).pool
    found = call.store.get(NodePool, f"{cluster.id}/nodePools/{name}", cluster.id)
    if found is None:
        raise rpc("NOT_FOUND", f'Not found: node pool "{name}" not found.')
    return found
