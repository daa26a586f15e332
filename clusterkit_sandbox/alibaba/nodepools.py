"""CS 2015-12-15: node pools.

``ErrorNodePoolNotFound`` is what terraform-provider-alicloud waits for
(service_alicloud_ack_nodepool.go); ``InvalidNodePoolStatus.Forbidden`` for a pool in the wrong
state has been quoted by four operators in 2026, its status has not. The code for a pool that still
has nodes is not documented.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from clusterkit_sandbox.alibaba.catalogue import RUNTIME
from clusterkit_sandbox.alibaba.failure import Failure, bad, not_emulated
from clusterkit_sandbox.alibaba.models import Cluster, Instance, NodePool, Task
from clusterkit_sandbox.alibaba.nodes import label
from clusterkit_sandbox.alibaba.poolrules import (
    Home,
    check_management,
    check_pool,
    check_pool_name,
    check_room,
    check_size,
    default_image,
)
from clusterkit_sandbox.alibaba.poolviews import detail, summary
from clusterkit_sandbox.alibaba.service import Call, Json, find_cluster, operation
from clusterkit_sandbox.alibaba.store import Store

_MODIFIED = {
    "auto_scaling",
    "kubernetes_config",
    "management",
    "nodepool_info",
    "scaling_group",
    "update_nodes",
}

_AT_ONCE = 500
"""Nodes that one call may add (vendor: ScaleClusterNodePool, count)."""


def new_pool(store: Store, cluster: Cluster, body: Mapping[str, Any]) -> NodePool:
    """The pool, without its machines yet."""
    whole = _completed(body)
    pool = NodePool(
        id=f"np{store.new_hex()}",
        region=cluster.region,
        name=whole["nodepool_info"]["name"],
        resource_group=whole["nodepool_info"].get("resource_group_id") or cluster.resource_group,
        cluster=cluster.id,
        body=whole,
        desired=_desired(whole),
        least=_least(whole, 0),
    )
    return store.add(pool)


def _completed(body: Mapping[str, Any]) -> Json:
    """The request with the vendor's defaults (CreateClusterNodePool)."""
    whole = copy.deepcopy(dict(body))
    whole["scaling_group"] = {
        "multi_az_policy": "PRIORITY",
        "image_type": default_image(whole["scaling_group"]["instance_types"]),
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


def _least(body: Mapping[str, Any], so_far: int) -> int:
    """``MinSize`` of the scaling group, which outlives the scaling (an operator of 2026)."""
    scaling = body["auto_scaling"]
    return int(scaling["min_instances"]) if scaling["enable"] else so_far


def _sized(body: Mapping[str, Any]) -> bool:
    """Whether a request says how many machines there are to be."""
    group = body.get("scaling_group") or {}
    return group.get("desired_size") is not None or body.get("count") is not None


def check_new(call: Call, home: Home, bodies: Sequence[Json]) -> None:
    """Refuse pools that cannot be, one alone or together."""
    pools = [p for p in call.store.all(NodePool) if p.cluster == home.id]
    names = {pool.name for pool in pools}
    for body in bodies:
        check_pool_name(home.id, body["nodepool_info"]["name"], names)
        names.add(body["nodepool_info"]["name"])
        check_pool(call, home, body)
        check_size(call, body, given=_sized(body))
        check_management(home, body)
    if len(pools) + len(bodies) > call.store.conditions.quotas["nodepool"]:
        # the code is not documented
        raise bad("QuotaExceeded", "The cluster can have no more node pools.")
    check_room(call, home, sum(_desired(_completed(body)) for body in bodies))


def _ready(cluster: Cluster) -> None:
    if cluster.state != "running":
        raise bad("InvalidStatus.Forbidden", f"The state of {cluster.id} is {cluster.state}.")


@operation("cs:CreateClusterNodePool")
def _create(call: Call) -> object:
    cluster = find_cluster(call)
    _ready(cluster)
    for part in ("nodepool_info", "scaling_group"):
        if not call.get(part):
            raise bad("MissingParameter", f"{part} is mandatory for this action.")
    check_new(call, Home.of(cluster), [dict(call.parameters)])
    pool = new_pool(call.store, cluster, call.parameters)
    task = call.store.tasks.start("nodepool_create", cluster, pool.id)
    call.clusters.pools.scale(pool, task, "nodepool/create", terminal=call.terminal())
    return begun(call, pool, task)


def begun(call: Call, pool: NodePool, task: Task) -> Json:
    """The answer to a change of a pool."""
    return {"nodepool_id": pool.id, "request_id": call.request_id, "task_id": task.id}


def find_pool(call: Call) -> tuple[Cluster, NodePool]:
    """The cluster and the pool in the path."""
    cluster = find_cluster(call)
    pool = call.store.get(NodePool, call.path["nodepool_id"])
    if pool is None or pool.cluster != cluster.id:
        raise Failure(404, "ErrorNodePoolNotFound", "The node pool is not found.")
    return cluster, pool


def require_active(cluster: Cluster, pool: NodePool) -> None:
    """Refuse a change of a pool that is being changed, or whose cluster is."""
    _ready(cluster)
    _require_state(pool, "active")


def _require_state(pool: NodePool, *states: str) -> None:
    if pool.state not in states:
        raise bad(
            "InvalidNodePoolStatus.Forbidden",
            f"cannot operate nodepool when nodepool state is {pool.state}",
        )


@operation("cs:DescribeClusterNodePoolDetail")
def _detail(call: Call) -> object:
    return detail(call.store, find_pool(call)[1])


@operation("cs:DescribeClusterNodePools")
def _list(call: Call) -> object:
    cluster = find_cluster(call)
    found = [
        summary(call.store, pool)
        for pool in call.store.all(NodePool)
        if pool.cluster == cluster.id and call.get("NodepoolName") in (None, pool.name)
    ]
    return {"nodepools": found}


@operation("cs:ModifyClusterNodePool")
def _modify(call: Call) -> object:
    cluster, pool = find_pool(call)
    others = sorted(call.parameters.keys() - _MODIFIED)
    if others:
        raise not_emulated(f"a change of {', '.join(others)}")
    require_active(cluster, pool)
    whole = copy.deepcopy(pool.body)
    for part in ("scaling_group", "kubernetes_config", "auto_scaling", "management"):
        whole[part] |= call.get(part) or {}
    whole["nodepool_info"] |= call.get("nodepool_info") or {}
    name = whole["nodepool_info"]["name"]
    home = Home.of(cluster)
    others_names = {p.name for p in call.store.all(NodePool) if p.cluster == cluster.id}
    check_pool_name(cluster.id, name, others_names - {pool.name})
    check_pool(call, home, whole)
    sized, scaled = _sized(call.parameters), pool.body["auto_scaling"]["enable"]
    # even the change that ends the scaling must not bring a size along (seen with Terraform)
    check_size(call, pool.body if scaled else whole, given=sized)
    if call.get("management"):
        check_management(home, whole)
    desired = _desired(whole) if sized else pool.desired
    if whole["auto_scaling"]["enable"]:
        whole["scaling_group"].pop("desired_size", None)
        low, high = (int(whole["auto_scaling"][n]) for n in ("min_instances", "max_instances"))
        desired = min(max(pool.desired, low), high)
    elif sized or scaled:
        whole["scaling_group"]["desired_size"] = desired
    check_room(call, home, desired - pool.desired)
    pool.body, pool.name, pool.desired = whole, name, desired
    pool.least = _least(whole, pool.least)
    if call.get("kubernetes_config") and call.get("update_nodes", False):
        for instance in call.store.all(Instance):
            if instance.pool == pool.id:
                label(instance, pool)
    task = call.store.tasks.start("nodepool_update", cluster, pool.id)
    call.clusters.pools.scale(pool, task, "nodepool/scale", state="updating")
    return begun(call, pool, task)


@operation("cs:ScaleClusterNodePool")
def _scale(call: Call) -> object:
    cluster, pool = find_pool(call)
    require_active(cluster, pool)
    check_size(call, pool.body, given=True)
    count = call.get("count", 0)
    if not 1 <= count <= _AT_ONCE:
        raise bad("InvalidParameter", f"count must be 1 to {_AT_ONCE}.")
    check_room(call, Home.of(cluster), count)
    pool.desired += count
    if "desired_size" in pool.body["scaling_group"]:
        pool.body["scaling_group"]["desired_size"] = pool.desired
    task = call.store.tasks.start("nodepool_scaleout", cluster, pool.id)
    call.clusters.pools.scale(pool, task, "nodepool/scale")
    return {"task_id": task.id}


@operation("cs:DeleteClusterNodepool")
def _delete(call: Call) -> object:
    cluster, pool = find_pool(call)
    if cluster.state not in ("running", "failed", "delete_failed"):
        raise bad("InvalidStatus.Forbidden", f"The state of {cluster.id} is {cluster.state}.")
    _require_state(pool, "active", "delete_failed")
    machines = [i for i in call.store.all(Instance) if i.pool == pool.id]
    if machines and not call.get("force", False):
        raise bad(
            "DependencyViolation.Resource", f"The node pool {pool.id} has {len(machines)} machines."
        )
    task = call.store.tasks.start("nodepool_delete", cluster, pool.id)
    call.clusters.pools.delete(pool, task)
    return {"request_id": call.request_id, "task_id": task.id}
