"""The scheduler: which node a pod goes to (Kubernetes documentation, "Kubernetes Scheduler",
"Assigning Pods to Nodes", "Taints and Tolerations", "Volume Binding Mode").

Filters by node selector and required node affinity, taints, requests and the zones of bound
volumes; of what is left the emptiest node is taken. Inter-pod affinity, spreading and preemption
are not looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from clusterkit_sandbox.kube.conditions import condition, current
from clusterkit_sandbox.kube.controllers.fit import shortages, terms_match, unfit
from clusterkit_sandbox.kube.controllers.nodes import NODES
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.kinds import CLASSES, PODS, GroupPlural, Object
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.store import Change
from clusterkit_sandbox.kube.subresources import bind

CLAIMS: GroupPlural = ("", "persistentvolumeclaims")
VOLUMES: GroupPlural = ("", "persistentvolumes")
SELECTED_NODE = "volume.kubernetes.io/selected-node"
_SCHEDULER = "default-scheduler"
_ROOM = ("Insufficient", "Too many pods")
_NO_VICTIMS = "No preemption victims found for incoming pod"
_USELESS = "Preemption is not helpful for scheduling"
"""pkg/scheduler/framework/preemption: of nodes that are only full, and of all others"""


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
        problem = self.claims_problem(pod)
        if problem:
            nodes = self._runtime.state.store.count(NODES)
            self._refuse(pod, _told(nodes, [problem], Counter({_USELESS: nodes})))
            return None
        reasons: Counter[str] = Counter()
        preemption: Counter[str] = Counter()
        fitting: list[tuple[int, str, Object]] = []
        for node in self._runtime.state.store.list(NODES):
            name = node["metadata"]["name"]
            there = list(self.pods_of(name))
            misfits = self.misfits(pod, node, there)
            if misfits:
                reasons.update(misfits)
                preemption[_NO_VICTIMS if misfits[0].startswith(_ROOM) else _USELESS] += 1
            else:
                fitting.append((len(there), name, node))
        if not fitting:
            nodes = self._runtime.state.store.count(NODES)
            self._refuse(pod, _told(nodes, _counted(reasons), preemption))
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

    def _refuse(self, pod: Object, message: str) -> None:
        if current(pod, "PodScheduled").get("message") == message:
            return
        told = condition({}, "PodScheduled", False, "Unschedulable", message)
        self._runtime.events.warning(pod, "FailedScheduling", message, _SCHEDULER)
        self._runtime.writer.set_status(PODS, pod, "kube-scheduler", conditions=[told])

    def claims_problem(self, pod: Object) -> str | None:
        """Why a pod cannot go anywhere because of its volumes."""
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

    def misfits(self, pod: Object, node: Object, there: Iterable[Object]) -> list[str]:
        """Why a pod cannot go to a node on which these pods run."""
        reason = unfit(pod, node)
        if reason:
            return [reason]
        for claim, _ in self._claims(pod):
            if claim is not None and not self._reaches(claim, node):
                return ["node(s) had volume node affinity conflict"]
        return shortages(pod, node, there)

    def _reaches(self, claim: Object, node: Object) -> bool:
        volume = self._runtime.state.get(VOLUMES, "", claim["spec"].get("volumeName") or "")
        terms = dig(volume or {}, "spec.nodeAffinity.required.nodeSelectorTerms")
        return terms is None or terms_match(terms, node)

    def pods_of(self, node: str) -> Iterator[Object]:
        """The pods on a node that have not ended."""
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


def _told(nodes: int, reasons: Sequence[str], preemption: Counter[str]) -> str:
    """The scheduler's words (pkg/scheduler/framework, ``FitError``)."""
    if not nodes:
        return "no nodes available to schedule pods"
    available = f"0/{nodes} nodes are available: "
    useless = ", ".join(_counted(preemption))
    return f"{available}{', '.join(reasons)}. preemption: {available}{useless}."


def _counted(reasons: Counter[str]) -> list[str]:
    return sorted(f"{count} {reason}" for reason, count in reasons.items())


def _bound(claim: Object) -> bool:
    return bool(dig(claim, "status.phase") == "Bound")
