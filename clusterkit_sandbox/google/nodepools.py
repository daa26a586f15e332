"""Container Engine v1: node pools.

Fields of an update that machines are made of replace them (the API's ``UpdateNodePoolRequest``:
"initiates an upgrade operation"); labels, taints and tags are put on those that are there (vendor:
"Update node pool": applied without re-creating the nodes).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterkit_sandbox.google.clusterbodies import region_of
from clusterkit_sandbox.google.clusterrecords import Cluster, NodePool, pools_of
from clusterkit_sandbox.google.clusterrules import (
    bad,
    check_etag,
    check_labels,
    check_zones,
    free,
    node_version,
)
from clusterkit_sandbox.google.clusters import begin, both, fields, find, pool_of
from clusterkit_sandbox.google.failure import Json
from clusterkit_sandbox.google.poolrules import (
    check_autoscaling,
    check_config,
    check_management,
    check_quota,
    grown,
    new_pool,
)
from clusterkit_sandbox.google.service import Call

_MACHINES = ("machineType", "diskType", "diskSizeGb", "bootDisk", "imageType")
"""fields for which every machine is replaced"""
_CONFIG: Mapping[str, str] = {
    "labels": "labels", "taints": "taints", "tags": "tags", "resourceLabels": "labels"
}  # fmt: skip
"""fields that wrap what ``config`` has: ``{"labels": {"labels": {…}}}``"""
_NAMES = ("name", "projectId", "zone", "clusterId", "nodePoolId", "etag", "nodeConfigUpdateMode")


@both("clusters.nodePools.get")
def _get(call: Call) -> object:
    return pool_of(call, find(call)).shown


@both("clusters.nodePools.list")
def _list(call: Call) -> object:
    found = [pool.shown for pool in pools_of(call.store, find(call))]
    return {"nodePools": found} if found else {}


def _settled(call: Call, cluster: Cluster, pool: str) -> None:
    free(cluster, call.clusters.running(cluster), pool)
    if cluster.state not in ("RUNNING", "ERROR", "DEGRADED"):
        raise bad(f"Cluster {cluster.name} is in state {cluster.state}.")


@both("clusters.nodePools.create")
def _create(call: Call) -> object:
    cluster, asked = find(call), dict(call.body.get("nodePool") or {})
    pool = new_pool(call, cluster, asked)
    _settled(call, cluster, pool.id)
    check_quota(call.store, cluster, [pool])
    call.store.add(pool)
    operation = begin(call, cluster, "CREATE_NODE_POOL", pool)
    call.clusters.pools.resize(cluster, pool, operation, "google/node-pool/create", new=True)
    return operation.shown()


@both("clusters.nodePools.delete")
def _delete(call: Call) -> object:
    cluster = find(call)
    pool = pool_of(call, cluster)
    _settled(call, cluster, pool.id)
    operation = begin(call, cluster, "DELETE_NODE_POOL", pool)
    call.clusters.pools.delete(cluster, pool, operation)
    return operation.shown()


@both("clusters.nodePools.setSize")
def _set_size(call: Call) -> object:
    """The size is that of each zone (vendor: ``gcloud container clusters resize``, --num-nodes)."""
    cluster = find(call)
    pool, size = pool_of(call, cluster), int(call.body.get("nodeCount") or 0)
    if size < 0:
        raise bad("Node count must not be negative.")
    _settled(call, cluster, pool.id)
    before, pool.sizes = pool.sizes, dict.fromkeys(pool.sizes, size)
    return _resized(call, cluster, pool, before, "SET_NODE_POOL_SIZE")


def _resized(
    call: Call, cluster: Cluster, pool: NodePool, before: dict[str, int], kind: str
) -> Json:
    try:
        check_quota(call.store, cluster, [pool])
    except Exception:
        pool.sizes = before
        raise
    operation = begin(call, cluster, kind, pool)
    what = "google/node-pool/resize"
    call.clusters.pools.resize(cluster, pool, operation, what, new=False)
    return operation.shown()


@both("clusters.nodePools.setAutoscaling")
def _set_autoscaling(call: Call) -> object:
    cluster = find(call)
    pool = pool_of(call, cluster)
    return rescale(call, cluster, pool, dict(call.body.get("autoscaling") or {}))


def rescale(call: Call, cluster: Cluster, pool: NodePool, asked: Json) -> Json:
    """Begin to set the limits of a pool."""
    check_autoscaling(asked)
    _settled(call, cluster, pool.id)
    before, pool.sizes = pool.sizes, grown(pool.sizes, asked)
    made = _resized(call, cluster, pool, before, "UPDATE_CLUSTER")
    pool.shown.pop("autoscaling", None)
    if asked.get("enabled"):
        pool.shown["autoscaling"] = {"locationPolicy": "BALANCED", **asked}
    return made


@both("clusters.nodePools.setManagement")
def _set_management(call: Call) -> object:
    cluster = find(call)
    pool, asked = pool_of(call, cluster), dict(call.body.get("management") or {})
    check_management(asked, cluster.channel)
    _settled(call, cluster, pool.id)
    operation = begin(call, cluster, "SET_NODE_POOL_MANAGEMENT", pool)

    def change() -> None:
        pool.shown["management"] = asked

    call.clusters.pools.change(cluster, pool, operation, "google/cluster/update", change)
    return operation.shown()


@both("clusters.nodePools.update")
def _update(call: Call) -> object:
    cluster = find(call)
    pool, asked = pool_of(call, cluster), dict(call.body)
    check_etag(asked.get("etag"), pool.shown["etag"])
    for name in _NAMES:
        asked.pop(name, None)
    if asked.get("locations"):
        return _relocate(call, cluster, pool, list(asked["locations"]))
    machines = {name: asked.pop(name) for name in _MACHINES if asked.get(name)}
    version = str(asked.pop("nodeVersion", None) or "")
    if machines or (version and version != pool.shown["version"]):
        return upgrade(call, cluster, pool, version or pool.shown["version"], machines)
    config, own = _wanted(asked)
    check_labels(config.get("resourceLabels") or {})
    _settled(call, cluster, pool.id)
    operation = begin(call, cluster, "UPGRADE_NODES", pool)

    def change() -> None:
        pool.shown["config"] = {**pool.shown["config"], **config}
        pool.shown.update(own)

    call.clusters.pools.change(cluster, pool, operation, "google/node-pool/update", change)
    return operation.shown()


def _wanted(asked: Json) -> tuple[Json, Json]:
    """What an update makes of ``config``, and of the pool itself."""
    config: Json = {}
    for name, inner in _CONFIG.items():
        if name in asked:
            empty: Any = [] if name in ("taints", "tags") else {}
            config[name] = (asked[name] or {}).get(inner) or empty
    nodes, own = fields("NodeConfig"), fields("NodePool")
    config |= {name: asked[name] for name in asked if name in nodes and name not in _CONFIG}
    return config, {name: asked[name] for name in asked if name in own and name not in nodes}


def upgrade(
    call: Call, cluster: Cluster, pool: NodePool, version: str, machines: Mapping[str, Any]
) -> Json:
    """Begin to replace the machines of a pool by ones of this version and make."""
    found = node_version(version, cluster.shown["currentMasterVersion"], cluster.channel)
    config = {**pool.shown["config"], **{k: v for k, v in machines.items() if v}}
    boot = dict(config.get("bootDisk") or {})
    kind = machines.get("diskType") or boot.get("diskType") or config["diskType"]
    size = int(machines.get("diskSizeGb") or boot.get("sizeGb") or config["diskSizeGb"])
    config |= {"diskType": kind, "diskSizeGb": size}
    config["bootDisk"] = {**boot, "diskType": kind, "sizeGb": str(size)}
    check_config(call, cluster, {**pool.shown, "config": config})
    _settled(call, cluster, pool.id)
    operation = begin(call, cluster, "UPGRADE_NODES", pool)

    def change() -> None:
        pool.shown.update({"config": config, "version": found})

    call.clusters.pools.replace(cluster, pool, operation, change)
    return operation.shown()


def _relocate(call: Call, cluster: Cluster, pool: NodePool, zones: list[str]) -> Json:
    check_zones(region_of(cluster.location), zones)
    _settled(call, cluster, pool.id)
    before, usual = pool.sizes, max(pool.sizes.values(), default=0)
    pool.sizes = {zone: before.get(zone, usual) for zone in zones}
    return _resized(call, cluster, pool, before, "UPDATE_CLUSTER")
