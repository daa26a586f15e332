"""The kinds of Kubernetes' own that have two shapes: horizontal pod autoscalers and events.

Objects are stored in one of them, ``autoscaling/v2`` and ``v1``, as the API server converts them
(``pkg/apis/autoscaling/v1/conversion.go``, ``pkg/apis/events/v1/conversion.go``). Custom kinds have
one shape under several names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clusterkit_sandbox.kube.kinds import Object, Resource

_CPU = "targetCPUUtilizationPercentage"
_EVENT = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "count": "deprecatedCount",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "source": "deprecatedSource",
}
"""fields of an event in ``v1``, and in ``events.k8s.io/v1``"""


def shown(resource: Resource, found: Object) -> Object:
    """A stored object in the version that is asked for."""
    if found.get("apiVersion") == resource.group_version:
        return found
    _, to = _BOTH.get((resource.group_version, resource.kind), (_same, _same))
    return {**to(found), "apiVersion": resource.group_version}


def stored(resource: Resource, current: Resource, found: Object) -> tuple[Resource, Object]:
    """The version that objects of a kind are stored in, and an object of another version in it."""
    if resource.custom or resource is current:
        return resource, found
    of, _ = _BOTH.get((resource.group_version, resource.kind), (_same, _same))
    return current, {**of(found), "apiVersion": current.group_version}


def _same(found: Object) -> Object:
    return found


def _scaler_of(found: Object) -> Object:
    spec = dict(found.get("spec") or {})
    share = spec.pop(_CPU, None)
    if share is not None:
        target = {"type": "Utilization", "averageUtilization": share}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    return {**found, "spec": spec}


def _scaler_to(found: Object) -> Object:
    spec = dict(found.get("spec") or {})
    for metric in spec.pop("metrics", None) or ():
        resource = metric.get("resource") or {}
        if resource.get("name") == "cpu" and resource["target"]["type"] == "Utilization":
            spec[_CPU] = resource["target"]["averageUtilization"]
    status = {k: v for k, v in (found.get("status") or {}).items() if "Replicas" in k}
    return {**found, "spec": spec, "status": {"currentReplicas": 0, **status}}


def _event_of(found: Object) -> Object:
    names = {new: old for old, new in _EVENT.items()}
    return {names.get(name, name): value for name, value in found.items()}


def _event_to(found: Object) -> Object:
    return {_EVENT.get(name, name): value for name, value in found.items()}


_BOTH: Mapping[tuple[str, str], tuple[Callable[[Object], Object], Callable[[Object], Object]]] = {
    ("autoscaling/v1", "HorizontalPodAutoscaler"): (_scaler_of, _scaler_to),
    ("events.k8s.io/v1", "Event"): (_event_of, _event_to),
}
"""what makes the stored shape of the other one, and the other one of that"""
