"""Conditions of an object's status (Kubernetes API conventions, "Typical status properties")."""

from __future__ import annotations

from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.ownership import now
from clusterkit_sandbox.kube.selectors import dig


def condition(found: Object, kind: str, true: bool, reason: str, message: str) -> Object:
    """The condition an object has, or another since now."""
    status = "True" if true else "False"
    old = current(found, kind)
    if (old.get("status"), old.get("reason")) == (status, reason):
        return dict(old)
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": now(),
    }


def current(found: Object, kind: str) -> Object:
    """The condition of a kind that an object has; empty if it has none."""
    conditions: list[Object] = dig(found, "status.conditions") or []
    return next((one for one in conditions if one["type"] == kind), {})


def holds(found: Object, kind: str) -> bool:
    """Whether a condition is true."""
    return bool(current(found, kind).get("status") == "True")
