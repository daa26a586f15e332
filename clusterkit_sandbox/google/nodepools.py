"""Container Engine v1: node pools.

Fields of an update that machines are made of replace them (the API's ``UpdateNodePoolRequest``:
"initiates an upgrade operation"); labels, taints and tags are put on those that are there (vendor:
"Update node pool": applied without re-creating the nodes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def _settled(call: Call, cluster: Cluster, pool: NodePool) -> None:
    free(cluster, call.clusters.running(cluster), pool.id)
    if cluster.state not in ("RUNNING", "ERROR", "DEGRADED"):
        raise bad(f"Cluster {cluster.name} is in state {cluster.state}.")


def _change(
    call: Call,
    cluster: Cluster,
    pool: NodePool,
    kind: str,
    what: str,
    then: Callable[[], None] = lambda: None,
) -> Json:
    """Begin a change of a pool."""
    _settled(call, cluster, pool)
    operation = begin(call, cluster, kind, pool)
    call.clusters.pools.change(cluster, pool, operation, what, then)
    return operation.shown()


@both("clusters.nodePools.create")
def _create(call: Call) -> object:
    cluster = find(call)
    pool = new_pool(call, cluster, dict(call.body.get("nodePool") or {}))
    _settled(call, cluster, pool)
    check_quota(call.store, cluster, [pool])
    call.store.add(pool)
    return _change(call, cluster, pool, "CREATE_NODE_POOL", "google/node-pool/create")


@both("clusters.nodePools.delete")
def _delete(call: Call) -> object:
    cluster = find(call)
    pool = pool_of(call, cluster)
    _settled(call, cluster, pool)
    operation = begin(call, cluster, "DELETE_NODE_POOL", pool)
    call.clusters.pools.delete(cluster, pool, operation)
    return operation.shown()


@both("clusters.nodePools.setSize")
def _set_size(call: Call) -> object:
    """The size is that of each zone (vendor: ``gcloud container clusters resize``, --num-nodes)."""
    cluster, size = find(call), int(call.body.get("nodeCount") or 0)
    pool = pool_of(call, cluster)
    if size < 0:
        raise bad("Node count must not be negative.")
    sizes = dict.fromkeys(pool.sizes, size)
    return _resized(call, cluster, pool, sizes, "SET_NODE_POOL_SIZE")


def _resized(
    call: Call, cluster: Cluster, pool: NodePool, sizes: dict[str, int], kind: str
) -> Json:
    _settled(call, cluster, pool)
    before, pool.sizes = pool.sizes, sizes
    try:
        check_quota(call.store, cluster, [pool])
    except Exception:
        pool.sizes = before
        raise
    return _change(call, cluster, pool, kind, "google/node-pool/resize")


@both("clusters.nodePools.setAutoscaling")
def _set_autoscaling(call: Call) -> object:
    cluster = find(call)
    asked = dict(call.body.get("autoscaling") or {})
    return rescale(call, cluster, pool_of(call, cluster), asked)


def rescale(call: Call, cluster: Cluster, pool: NodePool, asked: Json) -> Json:
    """Begin to set the limits of a pool."""
    check_autoscaling(asked)
    made = _resized(call, cluster, pool, grown(pool.sizes, asked), "UPDATE_CLUSTER")
    pool.shown.pop("autoscaling", None)
    if asked.get("enabled"):
        pool.shown["autoscaling"] = {"locationPolicy": "BALANCED", **asked}
    return made


@both("clusters.nodePools.setManagement")
def _set_management(call: Call) -> object:
    cluster, asked = find(call), dict(call.body.get("management") or {})
    check_management(asked, cluster.channel)
    pool, what = pool_of(call, cluster), "google/cluster/update"
    change = lambda: pool.shown.update(management=asked)  # noqa: E731
    return _change(call, cluster, pool, "SET_NODE_POOL_MANAGEMENT", what, change)


@both("clusters.nodePools.update")
def _update(call: Call) -> object:
    cluster = find(call)
    pool, asked = pool_of(call, cluster), dict(call.body)
    check_etag(asked.get("etag"), pool.shown["etag"])
    for name in _NAMES:
        asked.pop(name, None)
    if zones := asked.get("locations"):
        check_zones(region_of(cluster.location), zones)
        usual = max(pool.sizes.values(), default=0)
        sizes = {zone: pool.sizes.get(zone, usual) for zone in zones}
        return _resized(call, cluster, pool, sizes, "UPDATE_CLUSTER")
    machines = {name: asked.pop(name) for name in _MACHINES if asked.get(name)}
    version = str(asked.pop("nodeVersion", None) or "")
    if machines or (version and version != pool.shown["version"]):
        return upgrade(call, cluster, pool, version or pool.shown["version"], machines)
    config, own = _wanted(asked)
    check_labels(config.get("resourceLabels") or {})

    def change() -> None:
        pool.shown.update(own, config={**pool.shown["config"], **config})

    return _change(call, cluster, pool, "UPGRADE_NODES", "google/node-pool/update", change)


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
    _settled(call, cluster, pool)
    operation = begin(call, cluster, "UPGRADE_NODES", pool)
    change = lambda: pool.shown.update(config=config, version=found)  # noqa: E731
    call.clusters.pools.replace(cluster, pool, operation, change)
    return operation.shown()
