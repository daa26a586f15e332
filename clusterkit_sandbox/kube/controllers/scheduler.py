"""The scheduler: which node a pod goes to (Kubernetes documentation, "Kubernetes Scheduler",
"Assigning Pods to Nodes", "Taints and Tolerations", "Volume Binding Mode").

Filters by node selector and required node affinity, taints, requests and the zones of bound
volumes; of what is left the emptiest node is taken. Inter-pod affinity, spreading and preemption
are not looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from clusterkit_sandbox.kube.controllers.nodes import NODES, is_ready
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.ownership import now
from clusterkit_sandbox.kube.quantities import parse
from clusterkit_sandbox.kube.selectors import dig, requirement
from clusterkit_sandbox.kube.store import Change
from clusterkit_sandbox.kube.subresources import bind

PODS: GroupPlural = ("", "pods")
CLAIMS: GroupPlural = ("", "persistentvolumeclaims")
VOLUMES: GroupPlural = ("", "persistentvolumes")
CLASSES: GroupPlural = ("storage.k8s.io", "storageclasses")
SELECTED_NODE = "volume.kubernetes.io/selected-node"
_SCHEDULER = "default-scheduler"
_COUNTED = ("cpu", "memory")


class Scheduler:
    """Binds pods to nodes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def concerns(self, change: Change) -> Iterable[Ref]:
        """New pods; every waiting pod when there may be room for it now."""
        if change.key == PODS and change.type != "DELETED":
            if waits(change.object):
                yield ref_of(PODS, change.object)
        elif change.key in (NODES, PODS, CLAIMS, VOLUMES, CLASSES):
            for pod in self._runtime.state.store.list(PODS):
                if waits(pod):
                    yield ref_of(PODS, pod)

    def reconcile(self, ref: Ref) -> float | None:
        """Bind one pod, or say why not."""
        pod = self._runtime.state.get(*ref)
        if pod is None or not waits(pod):
            return None
        problem = self._claims_problem(pod)
        if problem:
            self._refuse(pod, f"0/{self._nodes()} nodes are available: {problem}.")
            return None
        reasons: Counter[str] = Counter()
        fitting: list[tuple[int, str, Object]] = []
        for node in self._runtime.state.store.list(NODES):
            reason = self._misfit(pod, node)
            if reason:
                reasons[reason] += 1
            else:
                name = node["metadata"]["name"]
                fitting.append((sum(1 for _ in self._pods_of(name)), name, node))
        if not fitting:
            told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
            nodes = self._nodes()
            what = f"{told}." if told else "no nodes available to schedule pods"
            self._refuse(pod, f"0/{nodes} nodes are available: {what}" if nodes else what)
            return None
        node = min(fitting, key=lambda item: item[:2])[2]
        if self._choose_volumes(pod, node):
            return None
        name = node["metadata"]["name"]
        bind(self._runtime.writer, pod, name)
        metadata = pod["metadata"]
        told = f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {name}"
        self._runtime.events.normal(pod, "Scheduled", told, _SCHEDULER)
        return None

    def _nodes(self) -> int:
        return self._runtime.state.store.count(NODES)

    def _refuse(self, pod: Object, message: str) -> None:
        for item in dig(pod, "status.conditions") or ():
            if item["type"] == "PodScheduled" and item.get("message") == message:
                return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": now(),
        }
        self._runtime.events.warning(pod, "FailedScheduling", message, _SCHEDULER)
        self._runtime.writer.set_status(PODS, pod, "kube-scheduler", conditions=[condition])

    def _claims_problem(self, pod: Object) -> str | None:
        for claim, name in self._claims(pod):
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if claim["metadata"].get("deletionTimestamp"):
                return f'persistentvolumeclaim "{name}" is being deleted'
            if not _bound(claim) and not self._chosen_late(claim):
                return "pod has unbound immediate PersistentVolumeClaims"
        return None

    def _choose_volumes(self, pod: Object, node: Object) -> bool:
        """Say which node unbound claims are for; whether the pod has to wait for them."""
        waiting = False
        name = node["metadata"]["name"]
        for claim, _ in self._claims(pod):
            if claim is None or _bound(claim):
                continue
            waiting = True
            annotations = claim["metadata"].get("annotations") or {}
            if annotations.get(SELECTED_NODE) != name:

                def select(new: Object) -> None:
                    new["metadata"].setdefault("annotations", {})[SELECTED_NODE] = name

                self._runtime.writer.edit(CLAIMS, claim, select, "kube-scheduler")
        return waiting

    def _claims(self, pod: Object) -> Iterator[tuple[Object | None, str]]:
        namespace = pod["metadata"]["namespace"]
        for name in claims_of(pod):
            yield self._runtime.state.get(CLAIMS, namespace, name), name

    def _chosen_late(self, claim: Object) -> bool:
        name = claim["spec"].get("storageClassName") or ""
        found = self._runtime.state.get(CLASSES, "", name)
        return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"

    def _misfit(self, pod: Object, node: Object) -> str | None:
        if node["spec"].get("unschedulable") and not _tolerates(
            pod, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
        ):
            return "node(s) were unschedulable"
        if not is_ready(node) and not dig(pod, "spec.hostNetwork"):
            return "node(s) were not ready"
        for taint in node["spec"].get("taints") or ():
            if taint["effect"] != "PreferNoSchedule" and not _tolerates(pod, taint):
                value = taint.get("value", "")
                return f"node(s) had untolerated taint {{{taint['key']}: {value}}}"
        if not _selects(pod, node):
            return "node(s) didn't match Pod's node affinity/selector"
        for claim, _ in self._claims(pod):
            if claim is not None and not self._reaches(claim, node):
                return "node(s) had volume node affinity conflict"
        return self._shortage(pod, node)

    def _reaches(self, claim: Object, node: Object) -> bool:
        volume = self._runtime.state.get(VOLUMES, "", claim["spec"].get("volumeName") or "")
        terms = dig(volume or {}, "spec.nodeAffinity.required.nodeSelectorTerms")
        return terms is None or _terms_match(terms, node)

    def _shortage(self, pod: Object, node: Object) -> str | None:
        there = list(self._pods_of(node["metadata"]["name"]))
        room = node["status"]["allocatable"]
        if len(there) >= parse(room["pods"]):
            return "Too many pods"
        for what in _COUNTED:
            used = sum((_request(other, what) for other in there), Fraction(0))
            if used + _request(pod, what) > parse(room[what]):
                return f"Insufficient {what}"
        return None

    def _pods_of(self, node: str) -> Iterator[Object]:
        for pod in self._runtime.state.store.list(PODS):
            if dig(pod, "spec.nodeName") == node and not ended(pod):
                yield pod


def waits(pod: Object) -> bool:
    """Whether a pod is this scheduler's and has no node."""
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and spec.get("schedulerName") == _SCHEDULER
        and not pod["metadata"].get("deletionTimestamp")
        and not spec.get("schedulingGates")
    )


def ended(pod: Object) -> bool:
    """Whether a pod's containers will never run again."""
    return dig(pod, "status.phase") in ("Succeeded", "Failed")


def claims_of(pod: Object) -> list[str]:
    """The names of the claims a pod mounts."""
    return [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["spec"].get("volumes") or ()
        if volume.get("persistentVolumeClaim")
    ]


def admits(pod: Object, node: Object) -> bool:
    """Whether taints, selector and affinity let a pod onto a node."""
    taints = node["spec"].get("taints") or ()
    return _selects(pod, node) and all(
        taint["effect"] == "PreferNoSchedule" or _tolerates(pod, taint) for taint in taints
    )


def _bound(claim: Object) -> bool:
    return bool(dig(claim, "status.phase") == "Bound")


def _request(pod: Object, what: str) -> Fraction:
    def asked(kind: str) -> Iterator[Fraction]:
        for container in pod["spec"].get(kind) or ():
            yield parse(dig(container, f"resources.requests.{what}") or 0)

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
    return terms is None or _terms_match(terms, node)


def _terms_match(terms: Iterable[Object], node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(requirement(item, labels) for item in term.get("matchExpressions") or ())
        and all(requirement(item, fields) for item in term.get("matchFields") or ())
        for term in terms
        if term.get("matchExpressions") or term.get("matchFields")
    )
