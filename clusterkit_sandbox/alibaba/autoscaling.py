"""CS 2015-12-15: the autoscaling configuration of a cluster.

Vendor: CreateAutoscalingConfig, and the valid values in the SDK's documentation of it. What follows
the configuration is in ``scaler.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterkit_sandbox.alibaba.failure import bad
from clusterkit_sandbox.alibaba.scaler import MINUTES, SECONDS, number
from clusterkit_sandbox.alibaba.service import Call, find_cluster, operation

_DELAY = range(1, 61)
_INTERVALS = (15, 30, 60, 120, 180, 300)
_EXPANDERS = ("least-waste", "random", "priority")
_SCALERS = ("goatscaler", "cluster-autoscaler")


@operation("cs:CreateAutoscalingConfig")
def _create(call: Call) -> object:
    cluster = find_cluster(call)
    if cluster.state != "running":
        raise bad("InvalidStatus.Forbidden", f"The state of {cluster.id} is {cluster.state}.")
    _check(call.parameters)
    task = call.store.tasks.start("cluster_autoscaler_config", cluster)
    asked = dict(call.parameters)

    def configured() -> None:
        cluster.autoscaling = asked

    call.clusters.pools.configure(cluster, task, configured)
    return {"cluster_id": cluster.id, "request_id": call.request_id, "task_id": task.id}


def _check(asked: Mapping[str, Any]) -> None:
    """Refuse values that are not valid; the code is not documented."""
    for name in ("cool_down_duration", "unneeded_duration"):
        if name in asked and number(asked[name], MINUTES) not in _DELAY:
            raise bad("InvalidParameter", f"{name} must be 1 to 60 minutes.")
    interval = asked.get("scan_interval", _INTERVALS[0])
    if number(interval, SECONDS) not in _INTERVALS:
        raise bad("InvalidParameter", f"scan_interval must be one of {_INTERVALS} seconds.")
    for name in ("utilization_threshold", "gpu_utilization_threshold"):
        try:
            valid = 0.1 <= float(asked.get(name, 0.5)) <= 1
        except ValueError:
            valid = False
        if not valid:
            raise bad("InvalidParameter", f"{name} must be 0.1 to 1.")
    for name, known in (("expander", _EXPANDERS), ("scaler_type", _SCALERS)):
        if asked.get(name, known[0]) not in known:
            raise bad("InvalidParameter", f"{name} must be one of {', '.join(known)}.")
