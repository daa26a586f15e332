"""The options of a write, and the metadata that every write updates."""

from __future__ import annotations

from dataclasses import dataclass, field

from clusterkit_sandbox.kube.kinds import Object, Resource

_COUNTED_GROUPS = {
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apps",
    "batch",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "policy",
    "scheduling.k8s.io",
}
_COUNTED = ("pods", "replicationcontrollers")


@dataclass
class WriteOptions:
    """The query parameters of a write."""

    manager: str
    dry_run: bool = False
    validation: str = "Warn"
    """``Strict``, ``Warn`` or ``Ignore``"""
    subresource: str = ""
    warnings: list[str] = field(default_factory=list)
    """filled by the write: the texts of ``Warning`` headers"""


def counted(resource: Resource) -> bool:
    return resource.custom or resource.group in _COUNTED_GROUPS or resource.plural in _COUNTED


def wish(found: Object) -> Object:
    return {name: value for name, value in found.items() if name not in ("metadata", "status")}


def without_times(found: Object) -> Object:
    managed = [
        {name: value for name, value in item.items() if name != "time"}
        for item in found["metadata"].get("managedFields") or ()
    ]
    return {**found, "metadata": {**found["metadata"], "managedFields": managed}}


def may_go(found: Object) -> bool:
    metadata = found["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if metadata.get("deletionGracePeriodSeconds"):
        return False
    return not (found.get("kind") == "Namespace" and found["spec"].get("finalizers"))
