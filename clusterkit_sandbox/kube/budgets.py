"""PodDisruptionBudgets: how many pods may be evicted at once (Kubernetes documentation,
"Disruptions" and "Specifying a Disruption Budget"; pkg/registry/core/pod/storage/eviction.go).

Healthy pods are counted at the eviction itself, where Kubernetes reads what its controller wrote
into the budget's status a moment before.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.refusals import Refusal
from clusterkit_sandbox.kube.selectors import dig, matches
from clusterkit_sandbox.kube.state import ClusterState

BUDGETS: GroupPlural = ("policy", "poddisruptionbudgets")
_PODS: GroupPlural = ("", "pods")
_SCALED: dict[str, GroupPlural] = {
    "ReplicaSet": ("apps", "replicasets"),
    "StatefulSet": ("apps", "statefulsets"),
}
_OVER = ("Succeeded", "Failed", "Pending")
"""Phases in which a pod serves nothing and may always be evicted."""


def check(state: ClusterState, pod: Object) -> None:
    """Refuse (429) an eviction that a budget does not allow."""
    metadata = pod["metadata"]
    if dig(pod, "status.phase") in _OVER or metadata.get("deletionTimestamp"):
        return
    budgets = [
        budget
        for budget in state.store.list(BUDGETS, metadata["namespace"])
        if matches(dig(budget, "spec.selector"), metadata.get("labels"))
    ]
    for budget in budgets:
        _, healthy, least = counted(state, budget)
        # what is not up already takes nothing from the budget as long as that is kept
        if healthy - (1 if _healthy(pod) else 0) < least:
            raise _too_many(budget, healthy, least)


def counted(state: ClusterState, budget: Object) -> tuple[int, int, int]:
    """How many pods there are to be, how many are healthy, and how many must be."""
    selector = dig(budget, "spec.selector")
    pods = [
        one
        for one in state.store.list(_PODS, budget["metadata"]["namespace"])
        if matches(selector, one["metadata"].get("labels"))
    ]
    expected = _expected(state, pods)
    return expected, sum(_healthy(one) for one in pods), _least(budget, expected, len(pods))


def _healthy(pod: Object) -> bool:
    conditions = dig(pod, "status.conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _expected(state: ClusterState, pods: Sequence[Object]) -> int:
    """How many pods there are to be, as those who make them say."""
    owners: dict[tuple[str, str], int] = {}
    alone = 0
    for pod in pods:
        metadata = pod["metadata"]
        owner: Object = next(
            (o for o in metadata.get("ownerReferences") or () if o.get("controller")), {}
        )
        key = _SCALED.get(owner.get("kind", ""))
        found = state.get(key, metadata["namespace"], owner["name"]) if key else None
        if found is None:
            alone += 1
        else:
            owners[owner["kind"], owner["name"]] = int(dig(found, "spec.replicas") or 0)
    return alone + sum(owners.values())


def _least(budget: Object, expected: int, there: int) -> int:
    """How many pods must stay available."""
    least, most = dig(budget, "spec.minAvailable"), dig(budget, "spec.maxUnavailable")
    if most is not None:
        return expected - _amount(most, expected)
    if least is None:
        return there
    return _amount(least, expected)


def _amount(value: Any, whole: int) -> int:
    """A number, or a share of the whole, rounded up."""
    found = re.fullmatch(r"([0-9]+)(%?)", str(value))
    if found is None:
        return whole
    number = int(found[1])
    return math.ceil(number * whole / 100) if found[2] else number


def _too_many(budget: Object, healthy: int, least: int) -> Refusal:
    name = budget["metadata"]["name"]
    cause = {
        "reason": "DisruptionBudget",
        "message": (
            f"The disruption budget {name} needs {least} healthy pods and has {healthy} currently"
        ),
    }
    return Refusal(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
        {"causes": [cause]},
    )
