"""CS 2015-12-15: node pools.

No code that the vendor gives for a missing pool, or for one that still has nodes, is documented.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from clusterkit.sandbox.alibaba import tasks
from clusterkit.sandbox.alibaba.catalogue import RUNTIME
from clusterkit.sandbox.alibaba.clusterlife import size_of
from clusterkit.sandbox.alibaba.clusterrules import check_pool, check_pool_name
from clusterkit.sandbox.alibaba.failure import Failure, bad, not_emulated
from clusterkit.sandbox.alibaba.nodes import label
from clusterkit.sandbox.alibaba.poolviews import detail, summary
from clusterkit.sandbox.alibaba.service import Call, Handler, Json
from clusterkit.sandbox.alibaba.store import Store
from clusterkit.sandbox.alibaba.tasks import find_cluster
from clusterkit.sandbox.alibaba.things import Cluster, Instance, NodePool, Task

_MODIFIED = {
    "auto_scaling",
    "kubernetes_config",
    "management",
    "nodepool_info",
    "scaling_group",
    "update_nodes",
}


def new_pool(store: Store, cluster: Cluster, body: Mapping[str, Any]) -> NodePool:
    """The pool, without its machines yet."""
    whole = _completed(body)
    pool = NodePool(
        id=f"np{store.new_hex()}",
        region=cluster.region,
        name=whole["nodepool_info"]["name"],
        cluster=cluster.id,
        body=whole,
        desired=_desired(whole),
    )
    return store.add(pool)


def _completed(body: Mapping[str, Any]) -> Json:
    """The request with the vendor's defaults (CreateClusterNodePool)."""
    whole = copy.deepcopy(dict(body))
    whole["scaling_group"] = {
        "multi_az_policy": "PRIORITY",
        "image_type": "AliyunLinux3",
        "spot_strategy": "NoSpot",
        "scaling_policy": "release",
        "system_disk_size": 120,
        **whole["scaling_group"],
    }
    whole["kubernetes_config"] = {
        "runtime": "containerd",
        "runtime_version": RUNTIME,
        "cms_enabled": False,
        "cpu_policy": "none",
        "unschedulable": False,
        "labels": [],
        "taints": [],
        **(whole.get("kubernetes_config") or {}),
    }
    whole["auto_scaling"] = {
        "enable": False,
        "min_instances": 0,
        "max_instances": 0,
        "type": "cpu",
        **(whole.get("auto_scaling") or {}),
    }
    whole["management"] = {"enable": False, **(whole.get("management") or {})}
    return whole


def _desired(body: Mapping[str, Any]) -> int:
    """How many machines there are to be: what scales by itself begins with its least."""
    scaling, group = body["auto_scaling"], body["scaling_group"]
    if scaling["enable"]:
        return int(scaling["min_instances"])
    return int(group.get("desired_size", body.get("count", 0)))


def _ready(cluster: Cluster) -> None:
    if cluster.state != "running":
        raise bad("ErrorClusterState", f"The state of {cluster.id} is {cluster.state}.")


def _check_nodes(call: Call, cluster: Cluster, more: int) -> None:
    quotas = call.store.conditions.quotas
    standard = cluster.body["cluster_spec"] == "ack.standard"
    most = quotas["standard-node"] if standard else quotas["node"]
    if size_of(call.store, cluster) + more > most:
        # the code is not documented
        raise bad("ErrorQuotaExceeded", f"The cluster can have {most} nodes.")


def _create(call: Call) -> object:
    cluster = find_cluster(call)
    _ready(cluster)
    for part in ("nodepool_info", "scaling_group"):
        if not call.get(part):
            raise bad("MissingParameter", f"{part} is mandatory for this action.")
    if call["scaling_group"]["instance_charge_type"] == "PrePaid":
        raise not_emulated("subscription machines")
    check_pool_name(call, cluster.id, call["nodepool_info"]["name"])
    check_pool(call, cluster.vpc, cluster.region, dict(call.parameters))
    pools = [p for p in call.store.all(NodePool) if p.cluster == cluster.id]
    if len(pools) >= call.store.conditions.quotas["nodepool"]:
        raise bad("ErrorQuotaExceeded", "The cluster can have no more node pools.")
    _check_nodes(call, cluster, _desired(_completed(call.parameters)))
    pool = new_pool(call.store, cluster, call.parameters)
    task = tasks.begin(call.store, "nodepool_create", cluster, pool.id)
    call.clusters.scale(pool, task, "nodepool/create", terminal=call.terminal())
    return _begun(call, pool, task)


def _begun(call: Call, pool: NodePool, task: Task) -> Json:
    return {"nodepool_id": pool.id, "request_id": call.request_id, "task_id": task.id}


def _find(call: Call) -> tuple[Cluster, NodePool]:
    cluster = find_cluster(call)
    pool = call.store.get(NodePool, call.path["nodepool_id"])
    if pool is None or pool.cluster != cluster.id:
        raise Failure(404, "ErrorNodePoolNotFound", "The node pool is not found.")
    return cluster, pool


def _active(cluster: Cluster, pool: NodePool) -> None:
    _ready(cluster)
    if pool.state != "active":
        raise bad("ErrorNodePoolState", f"The state of {pool.id} is {pool.state}.")


def _detail(call: Call) -> object:
    return detail(call.store, _find(call)[1])


def _list(call: Call) -> object:
    cluster = find_cluster(call)
    found = [
        summary(call.store, pool)
        for pool in call.store.all(NodePool)
        if pool.cluster == cluster.id and call.get("NodepoolName") in (None, pool.name)
    ]
    return {"nodepools": found}


def _modify(call: Call) -> object:
    cluster, pool = _find(call)
    others = sorted(call.parameters.keys() - _MODIFIED)
    if others:
        raise not_emulated(f"a change of {', '.join(others)}")
    _active(cluster, pool)
    whole = copy.deepcopy(pool.body)
    for part in ("scaling_group", "kubernetes_config", "auto_scaling", "management"):
        whole[part] |= call.get(part) or {}
    whole["nodepool_info"] |= call.get("nodepool_info") or {}
    name = whole["nodepool_info"]["name"]
    if name != pool.name:
        check_pool_name(call, cluster.id, name)
    check_pool(call, cluster.vpc, cluster.region, whole)
    desired = _desired(whole)
    if whole["auto_scaling"]["enable"]:
        most = int(whole["auto_scaling"]["max_instances"])
        desired = min(max(pool.desired, desired), most)
    _check_nodes(call, cluster, desired - pool.desired)
    pool.body, pool.name, pool.desired = whole, name, desired
    if call.get("kubernetes_config") and call.get("update_nodes", False):
        for instance in call.store.all(Instance):
            if instance.pool == pool.id:
                label(instance, pool)
    task = tasks.begin(call.store, "nodepool_update", cluster, pool.id)
    call.clusters.scale(pool, task, "nodepool/scale", state="updating")
    return _begun(call, pool, task)


def _scale(call: Call) -> object:
    cluster, pool = _find(call)
    _active(cluster, pool)
    if pool.body["auto_scaling"]["enable"]:
        # the code is not documented
        raise bad("ErrorNodePoolAutoScaling", "The node pool scales by itself.")
    count = call.get("count", 0)
    if count < 1:
        raise bad("InvalidParameter", "count must be at least 1.")
    _check_nodes(call, cluster, count)
    pool.desired += count
    if "desired_size" in pool.body["scaling_group"]:
        pool.body["scaling_group"]["desired_size"] = pool.desired
    task = tasks.begin(call.store, "nodepool_scaleout", cluster, pool.id)
    call.clusters.scale(pool, task, "nodepool/scale")
    return {"task_id": task.id}


def _remove_nodes(call: Call) -> object:
    cluster, pool = _find(call)
    _active(cluster, pool)
    if not call.get("release_node", False):
        raise not_emulated("machines that leave a cluster and stay; give release_node")
    wanted = call.get("instance_ids", [])
    found = [i for i in call.store.all(Instance) if i.pool == pool.id and i.id in wanted]
    if not wanted or len(found) != len(set(wanted)):
        raise bad("InvalidParameter", "instance_ids must be machines of the node pool.")
    task = tasks.begin(call.store, "nodepool_remove_nodes", cluster, pool.id)
    call.clusters.remove_nodes(pool, found, task)
    return {"request_id": call.request_id, "task_id": task.id}


def _delete(call: Call) -> object:
    cluster, pool = _find(call)
    if cluster.state not in ("running", "failed", "delete_failed"):
        raise bad("ErrorClusterState", f"The state of {cluster.id} is {cluster.state}.")
    if pool.state != "active":
        raise bad("ErrorNodePoolState", f"The state of {pool.id} is {pool.state}.")
    machines = [i for i in call.store.all(Instance) if i.pool == pool.id]
    if machines and not call.get("force", False):
        raise bad("NodePoolNotEmpty", f"The node pool {pool.id} has {len(machines)} machines.")
    task = tasks.begin(call.store, "nodepool_delete", cluster, pool.id)
    call.clusters.delete_pool(pool, task)
    return {"request_id": call.request_id, "task_id": task.id}


OPERATIONS: Mapping[str, Handler] = {
    "cs:CreateClusterNodePool": _create,
    "cs:DeleteClusterNodepool": _delete,
    "cs:DescribeClusterNodePoolDetail": _detail,
    "cs:DescribeClusterNodePools": _list,
    "cs:ModifyClusterNodePool": _modify,
    "cs:RemoveNodePoolNodes": _remove_nodes,
    "cs:ScaleClusterNodePool": _scale,
}
