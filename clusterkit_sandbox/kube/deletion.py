"""Delete: preconditions, grace periods, finalizers, propagation.

Kubernetes documentation, "Finalizers", "Garbage Collection" (propagation policies) and "Pod
Lifecycle" (termination). What depends on a deleted object is the garbage collector's.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from clusterkit_sandbox.kube.kinds import Object, Resource, clone
from clusterkit_sandbox.kube.refusals import (
    Cause,
    bad_request,
    conflict,
    forbidden,
    invalid_request,
)
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.state import ClusterState

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_POLICIES = ("Orphan", "Background", "Foreground")
_IMMORTAL = ("default", "kube-system", "kube-public")


def delete(
    state: ClusterState,
    resource: Resource,
    found: Object,
    options: Object | None = None,
    *,
    dry_run: bool = False,
) -> tuple[Object, bool]:
    """Delete a stored object as ``DeleteOptions`` say; its last version, and whether it is gone.

    ``Refusal`` 409 for a precondition, 403 for a namespace that may not go, 400 for options that
    make no sense.
    """
    options = options or {}
    metadata = found["metadata"]
    _check_preconditions(resource, found, options.get("preconditions") or {})
    policy = options.get("propagationPolicy")
    if policy is not None and policy not in _POLICIES:
        choices = (*sorted(_POLICIES), "nil")
        cause = Cause.unsupported("propagationPolicy", policy, choices)
        raise invalid_request("DeleteOptions.meta.k8s.io", cause)
    if options.get("orphanDependents"):
        policy = "Orphan"
    if resource.is_namespace and metadata["name"] in _IMMORTAL:
        raise forbidden(resource, metadata["name"], "this namespace may not be deleted")
    grace = _grace(resource, found, options.get("gracePeriodSeconds"))
    new = clone(found)
    finalizers = new["metadata"].setdefault("finalizers", [])
    extra = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(policy or "")
    if extra and extra not in finalizers and not metadata.get("deletionTimestamp"):
        finalizers.append(extra)
    waits = bool(finalizers) or grace > 0 or (resource.is_namespace and _finalizing(new))
    if not waits:
        return (found, True) if dry_run else (state.store.remove(resource.key, found), True)
    if not finalizers:
        del new["metadata"]["finalizers"]
    _mark(resource, new, grace)
    if dry_run or new == found:
        return new, False
    return state.store.put(resource.key, new), False


def _mark(resource: Resource, new: Object, grace: int) -> None:
    metadata = new["metadata"]
    if not metadata.get("deletionTimestamp"):
        when = datetime.now(UTC) + timedelta(seconds=grace)
        metadata["deletionTimestamp"] = when.strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["deletionGracePeriodSeconds"] = grace
        if "generation" in metadata:
            metadata["generation"] += 1
    elif grace < metadata.get("deletionGracePeriodSeconds", 0):
        metadata["deletionGracePeriodSeconds"] = grace
    if resource.is_namespace:
        new["status"] = {**(new.get("status") or {}), "phase": "Terminating"}


def _finalizing(found: Object) -> bool:
    return bool(dig(found, "spec.finalizers"))


def _grace(resource: Resource, found: Object, asked: Any) -> int:
    if resource.key != ("", "pods"):
        return 0
    if asked is not None and (not isinstance(asked, int) or asked < 0):
        raise bad_request("gracePeriodSeconds must be 0 or more")
    if not dig(found, "spec.nodeName") or dig(found, "status.phase") in ("Succeeded", "Failed"):
        return 0
    if asked is not None:
        return int(asked)
    return int(found["spec"].get("terminationGracePeriodSeconds") or 0)


def _check_preconditions(resource: Resource, found: Object, wanted: Object) -> None:
    metadata = found["metadata"]
    for field, shown in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(field) and wanted[field] != metadata[field]:
            raise conflict(
                resource,
                metadata["name"],
                f"Precondition failed: {shown} in precondition: {wanted[field]}, {shown} in object"
                f" meta: {metadata[field]}",
            )
