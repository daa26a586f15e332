"""Controllers that only count: disruption budgets, quotas, horizontal pod autoscalers.

An autoscaler gets no metrics, as on a cluster without metrics-server, and scales nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from clusterkit_sandbox.kube.budgets import BUDGETS, counted
from clusterkit_sandbox.kube.conditions import condition
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.limits import QUOTAS, usage
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.state import ClusterState
from clusterkit_sandbox.kube.store import Change
from clusterkit_sandbox.kube.writes import MANAGER

_SCALERS: GroupPlural = ("autoscaling", "horizontalpodautoscalers")
_SYNC = 15.0
"""real seconds until an autoscaler is looked at first (kube-controller-manager,
``--horizontal-pod-autoscaler-sync-period``)"""
_NO_METRICS = (
    "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get"
    " metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could"
    " not find the requested resource (get pods.metrics.k8s.io)"
)


class CountingController:
    """Keeps the status of what counts other objects."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def concerns(self, change: Change) -> Iterable[Ref]:
        """What counts, and all that count in the namespace of a changed object."""
        if change.key in _COUNTS:
            if change.type != "DELETED":
                yield ref_of(change.key, change.object)
        elif change.key[1] not in ("events", "leases"):
            namespace = change.object["metadata"].get("namespace")
            for key in _COUNTS if namespace else ():
                for found in self._runtime.state.store.list(key, namespace):
                    yield ref_of(key, found)

    def reconcile(self, ref: Ref) -> float | None:
        """Count once."""
        found = self._runtime.state.get(*ref)
        if ref[0] == _SCALERS and found is not None and not dig(found, "status.conditions"):
            left = self._runtime.left_of(("scaler", found["metadata"]["uid"]), _SYNC)
            if left:
                return left
        if found is not None and not found["metadata"].get("deletionTimestamp"):
            status = _COUNTS[ref[0]](self._runtime.state, found)
            self._runtime.writer.set_status(ref[0], found, MANAGER, **status)
        return None


def _budget(state: ClusterState, found: Object) -> Object:
    expected, healthy, least = counted(state, found)
    return {
        "observedGeneration": found["metadata"]["generation"],
        "expectedPods": expected,
        "currentHealthy": healthy,
        "desiredHealthy": least,
        "disruptionsAllowed": max(0, healthy - least) if expected else 0,
    }


def _quota(state: ClusterState, found: Object) -> Object:
    return {"hard": dig(found, "spec.hard") or {}, "used": usage(state, found)}


def _scaler(state: ClusterState, found: Object) -> Object:
    target = found["spec"]["scaleTargetRef"]
    resource = state.catalogue.by_kind(target.get("apiVersion", ""), target["kind"])
    namespace = found["metadata"]["namespace"]
    scaled = state.get(resource.key, namespace, target["name"]) if resource else None
    if scaled is None:
        return {}
    conditions = [
        condition(found, "AbleToScale", True, "SucceededGetScale", _ABLE),
        condition(found, "ScalingActive", False, "FailedGetResourceMetric", _NO_METRICS),
    ]
    return {"currentReplicas": dig(scaled, "spec.replicas") or 0, "conditions": conditions}


_ABLE = "the HPA controller was able to get the target's current scale"
_COUNTS: Mapping[GroupPlural, Callable[[ClusterState, Object], Object]] = {
    BUDGETS: _budget,
    QUOTAS: _quota,
    _SCALERS: _scaler,
}
