"""Pools of nodes: what the profile asks of one, whatever the cloud calls it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from clusterkit.engine.kind import C, Kind, S, Tags
from clusterkit.engine.scope import Scope
from clusterkit.engine.seen import range_of
from clusterkit.errors import Absent, CloudError
from clusterkit.kube.api import HasKube
from clusterkit.naming import MACHINE
from clusterkit.profile.pool import Pool, machine_text

Taint = tuple[str, str, str]
"""key, value, effect"""


class Nodes(Kind[C, S]):
    """A pool of identical nodes."""

    minimum: int
    maximum: int
    automatic: bool = False
    """the cluster autoscaler may change the size within these limits"""
    spot: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[Taint, ...] = ()
    types: tuple[str, ...] = ()
    """machine types, the preferred one first"""
    machine: str = ""
    """what the profile asked for; kept in a tag, so that a newer type changes nothing"""

    in_place: ClassVar[frozenset[str]] = frozenset({"nodes"})

    @property
    def disk_size(self) -> int:
        """GiB; 0 if it is not known."""
        return 0

    @property
    def details(self) -> Mapping[str, str]:
        most = self.maximum if self.automatic else self.minimum
        return details(self.types, self.minimum, most, disk=self.disk_size, spot=self.spot)

    def own_tags(self) -> Tags:
        return {MACHINE: self.machine}


def details(
    types: Sequence[str],
    least: int,
    most: int,
    *,
    now: int | None = None,
    disk: int = 0,
    spot: bool = False,
) -> dict[str, str]:
    """What a plan and ``status`` say of a pool: machine types, how many nodes (``now``: at the
    moment), the size of a node's disk in GiB, spot capacity.
    """
    there = f"{now} ({range_of(least, most)})" if now is not None and most > least else None
    found = {"machine": " or ".join(types), "nodes": there or range_of(least, most)}
    if disk:
        found["disk"] = f"{disk} GiB"
    return {**found, "capacity": "spot"} if spot else found


def asked(pool: Pool) -> dict[str, Any]:
    """The fields of ``Nodes`` that a pool of the profile decides."""
    return {
        "minimum": pool.minimum,
        "maximum": pool.maximum,
        "automatic": pool.automatic,
        "spot": pool.spot,
        "labels": tuple(sorted(pool.labels.items())),
        "taints": tuple((taint.key, taint.value, taint.effect) for taint in pool.taints),
        "machine": machine_text(pool),
    }


def is_ready(node: Mapping[str, Any]) -> bool:
    """Whether Kubernetes calls a node Ready."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def ready(scope: Scope[HasKube], label: str) -> Counter[str] | None:
    """How many nodes work, as Kubernetes sees it, by the value of a label; None if it cannot be
    asked.
    """
    try:
        nodes = scope.client.kube.list("/api/v1/nodes")
    except (Absent, CloudError):
        return None
    return Counter(
        str((node["metadata"].get("labels") or {}).get(label, ""))
        for node in nodes
        if is_ready(node)
    )
