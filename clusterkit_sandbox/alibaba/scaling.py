"""ESS 2022-02-22: the scaling groups of node pools.

A group keeps its least number of machines whatever Container Service takes out of the pool, and a
group that is protected from deletion leaves its pool ``delete_failed``.
``InvalidScalingGroupId.NotFound`` (404) is on the vendor's page of ModifyScalingGroup.
"""

from __future__ import annotations

from clusterkit_sandbox.alibaba.failure import Failure, not_emulated
from clusterkit_sandbox.alibaba.models import NodePool
from clusterkit_sandbox.alibaba.service import Call, operation

_MODIFIED = {"GroupDeletionProtection", "MinSize", "ScalingGroupId"}


def group_id(pool: NodePool) -> str:
    """The id of a pool's scaling group, which only looks like the pool's here."""
    return f"asg-{pool.id[2:]}"


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
