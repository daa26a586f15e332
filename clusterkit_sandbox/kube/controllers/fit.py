"""Whether a pod fits a node (Kubernetes documentation, "Kubernetes Scheduler", "Assigning Pods to
Nodes", "Taints and Tolerations", "Managing Resources for Pods and Containers"; the words are those
of pkg/scheduler/framework/plugins).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from clusterkit_sandbox.kube.controllers.nodes import is_ready
from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.quantities import parse
from clusterkit_sandbox.kube.selectors import dig, requirement

_CONTAINERS = ("containers", "initContainers")


def unfit(pod: Object, node: Object) -> str | None:
    """Why a pod may not go to a node, whatever else runs there."""
    if node["spec"].get("unschedulable") and not _tolerates(
        pod, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    ):
        return "node(s) were unschedulable"
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] != "PreferNoSchedule" and not _tolerates(pod, taint):
            value = taint.get("value", "")
            return f"node(s) had untolerated taint {{{taint['key']}: {value}}}"
    if not is_ready(node) and not dig(pod, "spec.hostNetwork"):
        return "node(s) were not ready"
    if not _selects(pod, node):
        return "node(s) didn't match Pod's node affinity/selector"
    return None


def shortages(pod: Object, node: Object, there: Iterable[Object]) -> list[str]:
    """What a node lacks for one more pod beside those that are there."""
    room, others = node["status"]["allocatable"], list(there)
    lacking = ["Too many pods"] if len(others) >= parse(room["pods"]) else []
    for what in resources(pod):
        used = sum((request(other, what) for other in others), Fraction(0))
        if used + request(pod, what) > parse(room.get(what) or 0):
            lacking.append(f"Insufficient {what}")
    return lacking


def resources(pod: Object) -> list[str]:
    """What a pod requests any of."""
    found = {
        what
        for kind in _CONTAINERS
        for container in pod["spec"].get(kind) or ()
        for what in dig(container, "resources.requests") or ()
    }
    return sorted(what for what in found if request(pod, what) > 0)


def admits(pod: Object, node: Object) -> bool:
    """Whether taints, selector and affinity let a pod onto a node."""
    taints = node["spec"].get("taints") or ()
    return _selects(pod, node) and all(
        taint["effect"] == "PreferNoSchedule" or _tolerates(pod, taint) for taint in taints
    )


def request(pod: Object, what: str) -> Fraction:
    """How much of a resource a pod requests."""

    def asked(kind: str) -> Iterator[Fraction]:
        for container in pod["spec"].get(kind) or ():
            # not by a path: names of resources have dots
            yield parse((dig(container, "resources.requests") or {}).get(what) or 0)

    zero = Fraction(0)
    return max(sum(asked("containers"), zero), max(asked("initContainers"), default=zero))


def _tolerates(pod: Object, taint: Mapping[str, Any]) -> bool:
    for item in pod["spec"].get("tolerations") or ():
        if item.get("effect") not in (None, "", taint["effect"]):
            continue
        if not item.get("key"):
            if item.get("operator") == "Exists":
                return True
            continue
        if item["key"] != taint["key"]:
            continue
        if item.get("operator") == "Exists" or item.get("value", "") == taint.get("value", ""):
            return True
    return False


def _selects(pod: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    wanted = pod["spec"].get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    terms = dig(pod, f"{path}.nodeSelectorTerms")
    return terms is None or terms_match(terms, node)


def terms_match(terms: Iterable[Object], node: Object) -> bool:
    """Whether a node is one of those that node selector terms mean."""
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(requirement(item, labels) for item in term.get("matchExpressions") or ())
        and all(requirement(item, fields) for item in term.get("matchFields") or ())
        for term in terms
        if term.get("matchExpressions") or term.get("matchFields")
    )
