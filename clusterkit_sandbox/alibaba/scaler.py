"""The managed scaler of a cluster, which follows its autoscaling configuration.

Vendor: "Enable node auto scaling", and "ACK default roles": it acts as
``AliyunCSManagedAutoScalerRole``. It scales the pools whose ``auto_scaling`` is enabled, through
their scaling groups. Units and defaults: CreateAutoscalingConfig (the page writes ``10 m`` and
``30s``, the terraform provider ``10m``); of the two delays the Chinese page says which is which:
``cool_down_duration`` follows a scale-out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from clusterkit_sandbox.alibaba.catalogue import AUTO_SCALER_ROLE
from clusterkit_sandbox.alibaba.models import Cluster, Instance, NodePool, Role
from clusterkit_sandbox.alibaba.nodes import group_id, node, template
from clusterkit_sandbox.alibaba.poollife import PoolLife
from clusterkit_sandbox.alibaba.store import Store
from clusterkit_sandbox.kube.interfaces import NodeGroup, ScalingRules

_DURATION = re.compile(r"([0-9]+) ?([a-z]*)")
MINUTES = {"": 60, "m": 60, "min": 60}
SECONDS = {"": 1, "s": 1}


def number(text: object, units: Mapping[str, int]) -> int | None:
    """The number in front of one of these units."""
    found = _DURATION.fullmatch(str(text))
    return int(found[1]) if found and found[2] in units else None


class PoolScaling:
    """Implements ``kube.interfaces.Scaling``: the managed scaler of one cluster."""

    def __init__(self, store: Store, pools: PoolLife, cluster: Cluster) -> None:
        self._store = store
        self._pools = pools
        self._cluster = cluster
        self.rules = _rules(cluster.autoscaling or {})

    def groups(self) -> Sequence[NodeGroup]:
        """The scaling groups of the pools that scale by themselves."""
        with self._store.lock:
            self._allowed()
            return [
                NodeGroup(
                    group_id(pool),
                    pool.least,
                    int(pool.body["auto_scaling"]["max_instances"]),
                    pool.desired,
                    template(self._store, pool),
                    tuple(node(one).provider_id for one in self._machines(pool)),
                )
                for pool in self._store.all(NodePool)
                if pool.cluster == self._cluster.id
                and pool.body["auto_scaling"]["enable"]
                and pool.state in ("active", "scaling", "removing_nodes")
            ]

    def grow(self, group: str, size: int) -> None:
        """Let the scaling group have so many machines."""
        with self._store.lock:
            self._allowed()
            pool = self._pool(group)
            if size > int(pool.body["auto_scaling"]["max_instances"]):
                raise RuntimeError(f"size increase too large, {size} is over max_instances")
            pool.desired = size
        self._pools.grow(pool)

    def remove(self, group: str, machines: Sequence[str]) -> None:
        """Take these machines out of the scaling group, which does not replace them."""
        with self._store.lock:
            self._allowed()
            pool = self._pool(group)
            some = [one for one in self._machines(pool) if node(one).provider_id in machines]
            if len(self._machines(pool)) - len(some) < pool.least:
                raise RuntimeError(f"min size reached, {group} keeps {pool.least}")
        self._pools.shrink(pool, some)

    def _machines(self, pool: NodePool) -> list[Instance]:
        return [one for one in self._store.all(Instance) if one.pool == pool.id]

    def _pool(self, group: str) -> NodePool:
        for pool in self._store.all(NodePool):
            if group_id(pool) == group:
                return pool
        raise RuntimeError(
            "InvalidScalingGroupId.NotFound: The specified scaling group does not exist."
        )

    def _allowed(self) -> None:
        """Every call is made as the service role."""
        role = self._store.get(Role, AUTO_SCALER_ROLE)
        if role is None:
            raise RuntimeError(
                "EntityNotExist.Role: The specified role does not exist: the service assumes"
                f" {AUTO_SCALER_ROLE}, which is not granted."
            )
        if ("System", f"{AUTO_SCALER_ROLE}Policy") not in role.policies:
            raise RuntimeError(
                "Forbidden.RAM: User not authorized to operate on the specified resource, or this"
                f" API doesn't support RAM. ({AUTO_SCALER_ROLE})"
            )


def _rules(asked: Mapping[str, Any]) -> ScalingRules:
    def minutes(name: str) -> float:
        return 60.0 * (number(asked.get(name, "10"), MINUTES) or 10)

    return ScalingRules(
        scan_interval=number(asked.get("scan_interval", "60"), SECONDS) or 60,
        scale_down_unneeded_time=minutes("unneeded_duration"),
        scale_down_delay_after_add=minutes("cool_down_duration"),
        scale_down_utilization_threshold=float(asked.get("utilization_threshold", 0.5)),
        max_graceful_termination=float(asked.get("max_graceful_termination_sec", 14400)),
        skip_nodes_with_system_pods=bool(asked.get("skip_nodes_with_system_pods", True)),
        skip_nodes_with_local_storage=bool(asked.get("skip_nodes_with_local_storage", True)),
        scale_down_enabled=bool(asked.get("scale_down_enabled", True)),
    )
