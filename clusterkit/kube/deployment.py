"""Deployments of ours; one is ready when its pods are available."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from clusterkit.engine.kind import Durations
from clusterkit.kube.api import Object
from clusterkit.kube.manifest import Manifest, ManifestState

AVAILABLE, PROGRESSING, STALLED = "Available", "Progressing", "Stalled"
"""the first two are conditions of a Deployment, the third is ``Progressing: False``
(https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status)"""


class Deployment(Manifest):
    """Pods that are replaced when their template changes."""

    kind: ClassVar[str] = "deployment"
    group: ClassVar[str] = "/apis/apps/v1"
    plural: ClassVar[str] = "deployments"
    namespaced: ClassVar[bool] = True
    replaceable: ClassVar[bool] = True
    """an adopted one may have another selector, which cannot be changed"""
    usable: ClassVar[frozenset[str]] = frozenset({AVAILABLE})
    unhealthy: ClassVar[frozenset[str]] = frozenset({STALLED})
    patience: ClassVar[float] = 900.0
    """longer than ``progressDeadlineSeconds``, 600 by default, after which it is ``Stalled``"""
    takes: ClassVar[Durations] = Durations(create=30)

    @classmethod
    def state(cls, item: Object) -> ManifestState:
        plain = super().state(item)
        if plain.status in cls.leaving:
            return plain
        status, why = _progress(item)
        return replace(plain, status=status, reason=why)


def _progress(item: Object) -> tuple[str, str]:
    """How far the newest template is, and why not further."""
    shown: Any = item.get("status") or {}
    conditions = {each["type"]: each for each in shown.get("conditions") or ()}
    if int(shown.get("observedGeneration") or 0) < int(item["metadata"].get("generation") or 0):
        return PROGRESSING, ""
    available = conditions.get("Available", {}).get("status") == "True"
    updated = int(shown.get("updatedReplicas") or 0) >= int(item["spec"].get("replicas") or 0)
    if available and updated:
        return AVAILABLE, ""
    progress = conditions.get("Progressing", {})
    stalled = progress.get("status") == "False"
    return STALLED if stalled else PROGRESSING, str(progress.get("message") or "")
