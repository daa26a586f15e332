"""ESS 2022-02-22: the scaling groups of node pools.

A group keeps its least number of machines whatever Container Service takes out of the pool, and a
group that is protected from deletion leaves its pool ``delete_failed``.
``InvalidScalingGroupId.NotFound`` (404) is on the vendor's page of ModifyScalingGroup.
"""

from __future__ import annotations

from clusterkit_sandbox.alibaba.failure import Failure, not_emulated
from clusterkit_sandbox.alibaba.models import Instance, NodePool
from clusterkit_sandbox.alibaba.nodes import group_id
from clusterkit_sandbox.alibaba.service import Call, Json, operation

_MOST = 2000
"""of a group whose pool does not scale by itself (vendor: CreateScalingGroup, MaxSize)"""
_MODIFIED = {"GroupDeletionProtection", "MinSize", "ScalingGroupId"}


@operation("ess:DescribeScalingGroups")
def _list(call: Call) -> object:
    found = [
        pool
        for pool in call.here(NodePool)
        if not call.get("ScalingGroupIds") or group_id(pool) in call["ScalingGroupIds"]
    ]
    figures, some = call.page(found, most=50)
    return figures | {"ScalingGroups": [_shown(call, pool) for pool in some]}


def _shown(call: Call, pool: NodePool) -> Json:
    machines = [one for one in call.store.all(Instance) if one.pool == pool.id]
    group, scaling = pool.body["scaling_group"], pool.body["auto_scaling"]
    return {
        "ScalingGroupId": group_id(pool),
        "ScalingGroupName": group_id(pool),
        "RegionId": pool.region,
        "LifecycleState": "Active",
        "MinSize": pool.least,
        "MaxSize": int(scaling["max_instances"]) if scaling["enable"] else _MOST,
        "DesiredCapacity": pool.desired,
        "TotalCapacity": len(machines),
        "ActiveCapacity": len(machines),
        "VSwitchIds": group["vswitch_ids"],
        "MultiAZPolicy": group.get("multi_az_policy", "PRIORITY"),
        "GroupDeletionProtection": pool.protected,
    }


@operation("ess:ModifyScalingGroup")
def _modify(call: Call) -> object:
    others = sorted(call.parameters.keys() - _MODIFIED)
    if others:
        raise not_emulated(f"a change of {', '.join(others)}")
    for pool in call.here(NodePool):
        if group_id(pool) == call["ScalingGroupId"]:
            pool.least = int(call.get("MinSize", pool.least))
            pool.protected = bool(call.get("GroupDeletionProtection", pool.protected))
            return {}
    raise Failure(
        404, "InvalidScalingGroupId.NotFound", "The specified scaling group does not exist."
    )
