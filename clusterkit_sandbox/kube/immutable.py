"""What may not change of an object once it exists.

From the update validation of Kubernetes (``pkg/apis/*/validation``, ``pkg/registry``), for the
kinds clusters are built of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.refusals import Cause
from clusterkit_sandbox.kube.selectors import dig

_IMMUTABLE = "field is immutable"
_POD_CHANGES = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions"
    " to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it"
    " was previously negative)"
)
_SET_MAY_CHANGE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_QUOTED = ", ".join(f"'{name}'" for name in _SET_MAY_CHANGE[:-1])
_SET_CHANGES = (
    f"updates to statefulset spec for fields other than {_QUOTED} and"
    f" '{_SET_MAY_CHANGE[-1]}' are forbidden"
)
_CLAIM_CHANGES = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for"
    " bound claims"
)


def changes(key: GroupPlural, new: Object, old: Object) -> Iterator[Cause]:
    """Everything that an update changes and must not."""
    for path in _FIXED.get(key, ()):
        before, after = dig(old, path), dig(new, path)
        if before != after:
            detail = "cannot change roleRef" if path == "roleRef" else _IMMUTABLE
            value = after
            if path == "roleRef" and isinstance(after, dict):
                value = {
                    "APIGroup": after.get("apiGroup", ""),
                    "Kind": after.get("kind", ""),
                    "Name": after.get("name", ""),
                }
            yield Cause.invalid(path, value, detail)
    if key == ("", "pods"):
        before, after = _fixed_of_pod(old), _fixed_of_pod(new)
        if "nodeName" not in before:  # the scheduler's binding sets it, once
            after.pop("nodeName", None)
        if before != after:
            yield Cause.forbidden("spec", _POD_CHANGES)
    if key == ("", "persistentvolumeclaims") and _fixed_of_claim(new, old) != _fixed_of_claim(
        old, old
    ):
        yield Cause.forbidden("spec", _CLAIM_CHANGES)
    if key in (("", "secrets"), ("", "configmaps")) and old.get("immutable"):
        for name in ("data", "binaryData"):
            if old.get(name) != new.get(name):
                yield Cause.forbidden(name, "field is immutable when `immutable` is set")
    before, after = dig(old, "spec.clusterIP"), dig(new, "spec.clusterIP")
    if key == ("", "services") and before and after and before != after:
        yield Cause.invalid("spec.clusterIPs[0]", [after], "may not change once set")
    if key == ("scheduling.k8s.io", "priorityclasses") and old.get("value") != new.get("value"):
        yield Cause.forbidden("value", "may not be changed in an update.")
    if key == ("apps", "statefulsets") and _fixed_of_set(new) != _fixed_of_set(old):
        yield Cause.forbidden("spec", _SET_CHANGES)


def _fixed_of_set(found: Object) -> Any:
    spec = found.get("spec") or {}
    return {name: value for name, value in spec.items() if name not in _SET_MAY_CHANGE}


def _fixed_of_pod(found: Object) -> Any:
    spec = {
        name: value
        for name, value in (found.get("spec") or {}).items()
        if name not in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
    }
    for kind in ("containers", "initContainers"):
        spec[kind] = [
            {name: value for name, value in container.items() if name != "image"}
            for container in spec.get(kind) or []
        ]
    return spec


def _fixed_of_claim(found: Object, old: Object) -> Any:
    skip = {"volumeAttributesClassName"}
    if dig(old, "status.phase") == "Bound":
        skip.add("resources")
    if not dig(old, "spec.volumeName"):
        skip.add("volumeName")
    spec = found.get("spec") or {}
    if old["spec"].get("storageClassName") is None:
        # a claim from before there was a default class may get it later
        skip.add("storageClassName")
    return {name: value for name, value in spec.items() if name not in skip}


_FIXED: Mapping[GroupPlural, tuple[str, ...]] = {
    ("", "secrets"): ("type",),
    ("apps", "daemonsets"): ("spec.selector",),
    ("apps", "deployments"): ("spec.selector",),
    ("apps", "replicasets"): ("spec.selector",),
    ("batch", "jobs"): ("spec.selector", "spec.template", "spec.completionMode"),
    ("networking.k8s.io", "ingressclasses"): ("spec.controller",),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): ("roleRef",),
    ("rbac.authorization.k8s.io", "rolebindings"): ("roleRef",),
    ("storage.k8s.io", "storageclasses"): (
        "provisioner",
        "parameters",
        "reclaimPolicy",
        "volumeBindingMode",
    ),
}
