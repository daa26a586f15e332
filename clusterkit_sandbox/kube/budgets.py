"""PodDisruptionBudgets: how many pods may be evicted at once (Kubernetes documentation,
"Disruptions" and "Specifying a Disruption Budget"; pkg/registry/core/pod/storage/eviction.go).

Healthy pods are counted at the eviction itself, where Kubernetes reads what its controller wrote
into the budget's status a moment before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from clusterkit_sandbox.kube.conditions import holds
from clusterkit_sandbox.kube.kinds import PODS, GroupPlural, Object
from clusterkit_sandbox.kube.refusals import Refusal
from clusterkit_sandbox.kube.selectors import dig, matches
from clusterkit_sandbox.kube.state import ClusterState

BUDGETS: GroupPlural = ("policy", "poddisruptionbudgets")
_SCALED: dict[str, GroupPlural] = {
    "ReplicaSet": ("apps", "replicasets"),
    "StatefulSet": ("apps", "statefulsets"),
}
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_OVER = ("Succeeded", "Failed", "Pending")
"""Phases in which a pod serves nothing and may always be evicted."""


def check(state: ClusterState, pod: Object) -> None:
    """Refuse (429) an eviction that a budget does not allow."""
    metadata = pod["metadata"]
    if dig(pod, "status.phase") in _OVER or metadata.get("deletionTimestamp"):
        return
    for budget in state.store.list(BUDGETS, metadata["namespace"]):
        if not matches(dig(budget, "spec.selector"), metadata.get("labels")):
            continue
        _, healthy, least = counted(state, budget)
        # what is not up already takes nothing from the budget as long as that is kept
        if healthy - (1 if _healthy(pod) else 0) < least:
            name = budget["metadata"]["name"]
            told = f"The disruption budget {name} needs {least} healthy pods and has {healthy}"
            cause = {"reason": "DisruptionBudget", "message": f"{told} currently"}
            raise Refusal(429, "TooManyRequests", _REFUSED, {"causes": [cause]})


def counted(state: ClusterState, budget: Object) -> tuple[int, int, int]:
    """How many pods there are to be, how many are healthy, and how many must be."""
    selector, least = dig(budget, "spec.selector"), dig(budget, "spec.minAvailable")
    pods = [
        one
        for one in state.store.list(PODS, budget["metadata"]["namespace"])
        if matches(selector, one["metadata"].get("labels"))
    ]
    expected, healthy = _expected(state, pods), sum(map(_healthy, pods))
    most = dig(budget, "spec.maxUnavailable")
    if most is not None:
        return expected, healthy, expected - _amount(most, expected)
    return expected, healthy, len(pods) if least is None else _amount(least, expected)


def _healthy(pod: Object) -> bool:
    return holds(pod, "Ready") and not pod["metadata"].get("deletionTimestamp")


def _expected(state: ClusterState, pods: Sequence[Object]) -> int:
    """How many pods there are to be, as those who make them say; others count for themselves."""
    found: dict[str, int] = {}
    for pod in pods:
        metadata = pod["metadata"]
        owners = metadata.get("ownerReferences") or ()
        owner = next((one for one in owners if one.get("controller")), {"kind": ""})
        key = _SCALED.get(owner["kind"])
        maker = state.get(key, metadata["namespace"], owner["name"]) if key else None
        found[(maker or pod)["metadata"]["uid"]] = maker["spec"]["replicas"] if maker else 1
    return sum(found.values())


def _amount(value: Any, whole: int) -> int:
    """A number, or a share of the whole, rounded up."""
    text = str(value)
    return math.ceil(int(text[:-1]) * whole / 100) if text.endswith("%") else int(text)
