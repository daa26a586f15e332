"""CS 2015-12-15: node pools as they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterkit_sandbox.alibaba.models import Instance, NodePool
from clusterkit_sandbox.alibaba.nodes import group_id
from clusterkit_sandbox.alibaba.poollife import REMOVING
from clusterkit_sandbox.alibaba.service import Json, beijing
from clusterkit_sandbox.alibaba.store import Store

_PARTS = (
    "auto_scaling",
    "interconnect_mode",
    "kubernetes_config",
    "max_nodes",
    "node_config",
    "tee_config",
)
_DETAIL_ONLY = ("host_network", "intranet")
_SECRET = "login_password"


def summary(store: Store, pool: NodePool) -> Json:
    """The pool as DescribeClusterNodePools lists it."""
    body = pool.body
    group = {name: value for name, value in body["scaling_group"].items() if name != _SECRET}
    shown: Json = {name: body[name] for name in _PARTS if name in body}
    return shown | {
        "management": _management(body["management"]),
        "nodepool_info": {
            "nodepool_id": pool.id,
            "name": pool.name,
            "type": body["nodepool_info"].get("type", "ess"),
            "region_id": pool.region,
            "resource_group_id": pool.resource_group,
            "is_default": False,
            "created": beijing(pool.created),
            "updated": beijing(pool.updated),
        },
        "scaling_group": _group(group) | {"scaling_group_id": group_id(pool)},
        "status": _status(store, pool),
    }


def _group(group: Mapping[str, Any]) -> Json:
    """Without what only the request has (the descriptions of request and answer differ)."""
    return {name: value for name, value in group.items() if name != "instance_metadata_options"}


def _management(management: Mapping[str, Any]) -> Json:
    found = dict(management)
    policy = found.get("auto_upgrade_policy")
    if policy:
        found["auto_upgrade_policy"] = {
            name: value for name, value in policy.items() if name == "auto_upgrade_kubelet"
        }
    return found


def _status(store: Store, pool: NodePool) -> Json:
    """The figures of Auto Scaling: an operator of 2026 read total 4, healthy 4, failed 0, offline 2
    of a pool of which no machine had become a node.
    """
    machines = [i for i in store.all(Instance) if i.pool == pool.id]
    joined = sum(machine.joined for machine in machines)
    silent = len(machines) - joined - pool.failed
    begun = pool.state == "scaling"
    return {
        "state": pool.state,
        "total_nodes": len(machines),
        "healthy_nodes": joined + silent,
        "serving_nodes": joined,
        "failed_nodes": pool.failed,
        "initial_nodes": max(0, pool.desired - len(machines)) if begun else 0,
        "offline_nodes": silent // 2,
        "removing_nodes": len(machines) if pool.state in (REMOVING, "deleting") else 0,
    }


def detail(store: Store, pool: NodePool) -> Json:
    """The pool as DescribeClusterNodePoolDetail shows it: with the reason of a failure."""
    found = summary(store, pool)
    found |= {name: pool.body[name] for name in _DETAIL_ONLY if name in pool.body}
    if pool.failure:
        code, _, message = pool.failure.partition(": ")
        found["status"]["conditions"] = [
            {
                "type": "Ready",
                "status": "False",
                "reason": code,
                "message": message,
                "last_transition_time": beijing(pool.updated),
            }
        ]
    if "instance_metadata_options" in pool.body["scaling_group"]:
        options = pool.body["scaling_group"]["instance_metadata_options"]
        found["scaling_group"]["instance_metadata_options"] = options
    return found
