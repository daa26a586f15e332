"""Deployments, ReplicaSets, StatefulSets and DaemonSets (Kubernetes documentation, "Workload
Management").

A rollout starts all new pods and stops the old ones when the new ones run; surge and
unavailability limits are not counted out.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from clusterkit_sandbox.kube.conditions import condition
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.controllers.scheduler import ended
from clusterkit_sandbox.kube.kinds import PODS, GroupPlural, Object, clone
from clusterkit_sandbox.kube.refusals import Refusal
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.store import Change
from clusterkit_sandbox.kube.writes import MANAGER

DEPLOYMENTS: GroupPlural = ("apps", "deployments")
REPLICA_SETS: GroupPlural = ("apps", "replicasets")
HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"


class Owning(ABC):
    """The base of workload controllers: one resource and its children."""

    def __init__(self, runtime: Runtime, key: GroupPlural, children: GroupPlural) -> None:
        self.runtime = runtime
        self.key = key
        self.children = children

    def concerns(self, change: Change) -> Iterable[Ref]:
        """The workloads, and the owner of a child."""
        if change.key == self.key:
            if change.type != "DELETED":
                yield ref_of(self.key, change.object)
        elif change.key == self.children:
            kind = self.runtime.state.catalogue.current(self.key).kind
            metadata = change.object["metadata"]
            for owner in metadata.get("ownerReferences") or ():
                if owner["kind"] == kind and owner.get("controller"):
                    yield self.key, metadata.get("namespace", ""), owner["name"]

    def reconcile(self, ref: Ref) -> float | None:
        """Reconcile one workload."""
        found = self.runtime.state.get(*ref)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return None
        return self.sync(found)

    @abstractmethod
    def sync(self, found: Object) -> float | None:
        """One workload that is to live."""

    def owned(self, found: Object) -> list[Object]:
        """Its children, except those being deleted."""
        return [
            child
            for child in self.runtime.state.owned(self.children, found)
            if not child["metadata"].get("deletionTimestamp")
        ]

    def show(self, found: Object, **status: Any) -> None:
        """Set fields of its status; None removes one."""
        self.runtime.writer.set_status(self.key, found, MANAGER, **status)

    def make(self, key: GroupPlural, owner: Object, body: Object) -> Object:
        """Create a child."""
        body["metadata"]["ownerReferences"] = [reference(owner)]
        namespace = owner["metadata"]["namespace"]
        try:
            return self.runtime.writer.make(key, namespace, body, MANAGER)
        except Refusal as refusal:
            kind = str(owner["kind"])
            told = f"Error creating: {refusal}"
            source = f"{kind.lower()}-controller"
            self.runtime.events.warning(owner, "FailedCreate", told, source)
            raise

    def pod(self, owner: Object, labels: dict[str, str], **names: str) -> Object:
        """A pod from the template of a workload."""
        return self.make(PODS, owner, pod_of(owner["spec"]["template"], labels, **names))


class ReplicaSetController(Owning):
    """Keeps as many pods as a ReplicaSet asks for."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime, REPLICA_SETS, PODS)

    def sync(self, found: Object) -> float | None:
        """Make or delete pods; count them."""
        wanted = found["spec"].get("replicas", 1)
        pods = [pod for pod in self.owned(found) if not ended(pod)]
        name = found["metadata"]["name"]
        missing = range(wanted - len(pods))
        pods += [self.pod(found, {}, generateName=f"{name}-") for _ in missing]
        for pod in sorted(pods, key=running)[: max(0, len(pods) - wanted)]:
            self.runtime.writer.drop(PODS, pod)
        ready = sum(running(pod) for pod in pods)
        self.show(
            found,
            replicas=len(pods),
            fullyLabeledReplicas=len(pods),
            readyReplicas=ready or None,
            availableReplicas=ready or None,
            observedGeneration=found["metadata"]["generation"],
        )
        return None


class DeploymentController(Owning):
    """Has a ReplicaSet for each version of a Deployment's template, and the pods in the newest."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime, DEPLOYMENTS, REPLICA_SETS)

    def sync(self, found: Object) -> float | None:
        """Make the newest ReplicaSet, scale it and the older ones."""
        if found["spec"].get("paused"):
            return None
        wanted = found["spec"].get("replicas", 1)
        sets = self.owned(found)
        mark = template_hash(found["spec"]["template"])
        newest = next((s for s in sets if s["metadata"]["labels"].get(HASH) == mark), None)
        older = [s for s in sets if s is not newest]
        revision = max((_revision(s) for s in older), default=0) + 1
        if newest is None:
            newest = self._make_set(found, mark, revision)
        self._scale(newest, wanted, revision, _copied(found))
        ready = dig(newest, "status.readyReplicas") or 0
        if ready >= wanted or dig(found, "spec.strategy.type") == "Recreate":
            for old in older:
                self._scale(old, 0, _revision(old))
        limit = found["spec"].get("revisionHistoryLimit", 10)
        empty = sorted((s for s in older if not dig(s, "status.replicas")), key=_revision)
        for old in empty[: max(0, len(empty) - limit)]:
            self.runtime.writer.drop(REPLICA_SETS, old)
        self._count(found, newest, older, wanted)
        self._note(found, max(revision, _revision(newest)))
        return None

    def _make_set(self, found: Object, mark: str, revision: int) -> Object:
        template = clone(found["spec"]["template"])
        template.setdefault("metadata", {}).setdefault("labels", {})[HASH] = mark
        selector = clone(found["spec"]["selector"])
        selector.setdefault("matchLabels", {})[HASH] = mark
        body = {
            "metadata": {
                "name": f"{found['metadata']['name']}-{mark}",
                "labels": dict(template["metadata"]["labels"]),
                "annotations": {_REVISION: str(revision)},
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
        }
        return self.make(REPLICA_SETS, found, body)

    def _scale(
        self, found: Object, replicas: int, revision: int, more: Mapping[str, str] | None = None
    ) -> None:
        def change(new: Object) -> None:
            new["spec"]["replicas"] = replicas
            annotations = new["metadata"].setdefault("annotations", {})
            annotations.update(more or {})
            annotations[_REVISION] = str(max(revision, _revision(new)))

        self.runtime.writer.edit(REPLICA_SETS, found, change, MANAGER)

    def _count(self, found: Object, newest: Object, older: list[Object], wanted: int) -> None:
        def total(name: str, sets: list[Object]) -> int:
            return sum(int(dig(item, f"status.{name}") or 0) for item in sets)

        ready = total("readyReplicas", [newest, *older])
        updated = total("replicas", [newest])
        done = total("readyReplicas", [newest]) >= wanted and not total("replicas", older)
        title = newest["metadata"]["name"]
        progress = (
            ("NewReplicaSetAvailable", f'ReplicaSet "{title}" has successfully progressed.')
            if done
            else ("ReplicaSetUpdated", f'ReplicaSet "{title}" is progressing.')
        )
        available = ready >= wanted
        state = (
            ("MinimumReplicasAvailable", "Deployment has minimum availability.")
            if available
            else ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        )
        told = (
            condition(found, "Available", available, *state),
            condition(found, "Progressing", True, *progress),
        )
        conditions = [{"lastUpdateTime": each["lastTransitionTime"], **each} for each in told]
        self.show(
            found,
            observedGeneration=found["metadata"]["generation"],
            replicas=total("replicas", [newest, *older]) or None,
            updatedReplicas=updated or None,
            readyReplicas=ready or None,
            availableReplicas=ready or None,
            unavailableReplicas=max(0, wanted - ready) or None,
            conditions=conditions,
        )

    def _note(self, found: Object, revision: int) -> None:
        def change(new: Object) -> None:
            new["metadata"].setdefault("annotations", {})[_REVISION] = str(revision)

        self.runtime.writer.edit(DEPLOYMENTS, found, change, MANAGER)


def reference(owner: Object) -> Object:
    """An ownerReference to the controller of an object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_of(template: Object, labels: dict[str, str], **names: str) -> Object:
    """A pod from a template; ``names`` is its ``name`` or ``generateName``."""
    found = clone(template)
    metadata = found.get("metadata") or {}
    return {
        "metadata": {
            **names,
            "labels": {**(metadata.get("labels") or {}), **labels},
            "annotations": metadata.get("annotations") or {},
        },
        "spec": found["spec"],
    }


def running(pod: Object) -> bool:
    """Whether a pod runs and is not being deleted."""
    going = pod["metadata"].get("deletionTimestamp")
    return dig(pod, "status.phase") == "Running" and not going


def template_hash(template: Object) -> str:
    """A short name for what a template says."""
    text = json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _copied(found: Object) -> dict[str, str]:
    """The annotations that a Deployment gives its newest ReplicaSet
    (``pkg/controller/deployment/util``, ``skipCopyAnnotation``).
    """
    have = found["metadata"].get("annotations") or {}
    kept = ("kubectl.kubernetes.io/last-applied-configuration", _REVISION)
    return {key: value for key, value in have.items() if key not in kept}


def _revision(found: Object) -> int:
    return int((found["metadata"].get("annotations") or {}).get(_REVISION, "0"))
