"""StatefulSets and DaemonSets (Kubernetes documentation, "Workload Management")."""

from __future__ import annotations

from collections.abc import Iterable

from clusterkit_sandbox.kube.controllers.fit import admits
from clusterkit_sandbox.kube.controllers.nodes import NODES
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.controllers.scheduler import CLAIMS
from clusterkit_sandbox.kube.controllers.workloads import (
    Owning,
    pod_of,
    running,
    template_hash,
)
from clusterkit_sandbox.kube.kinds import PODS, GroupPlural, Object, clone
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.store import Change
from clusterkit_sandbox.kube.writes import MANAGER

STATEFUL_SETS: GroupPlural = ("apps", "statefulsets")


DAEMON_SETS: GroupPlural = ("apps", "daemonsets")


_CONTROLLER_HASH = "controller-revision-hash"


_DAEMON_TOLERATIONS = ("not-ready", "unreachable", "disk-pressure", "memory-pressure",
                       "pid-pressure", "unschedulable")  # fmt: skip


class StatefulSetController(Owning):
    """Keeps the numbered pods of a StatefulSet and the claims they keep."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime, STATEFUL_SETS, PODS)

    def sync(self, found: Object) -> float | None:
        """Make the next pod in order, or delete the last one that is too many."""
        spec, name = found["spec"], found["metadata"]["name"]
        wanted = spec.get("replicas", 1)
        mark = f"{name}-{template_hash(spec['template'])}"
        state = self.runtime.state
        pods = {pod["metadata"]["name"]: pod for pod in state.owned(PODS, found)}
        ordered = spec.get("podManagementPolicy") != "Parallel"
        for number in range(wanted):
            title = f"{name}-{number}"
            pod = pods.get(title)
            if pod is None:
                self._claims(found, title)
                labels = {
                    "statefulset.kubernetes.io/pod-name": title,
                    "apps.kubernetes.io/pod-index": str(number),
                    _CONTROLLER_HASH: mark,
                }
                body = pod_of(spec["template"], labels, name=title)
                body["spec"].setdefault("volumes", []).extend(_claim_volumes(found, title))
                body["spec"] |= {"hostname": title, "subdomain": spec.get("serviceName") or ""}
                pod = pods[title] = self.make(PODS, found, body)
            if ordered and not running(pod):
                break
        else:
            self._roll(pods, mark)
        surplus = [pods[title] for title in pods if _number(title) >= wanted]
        for pod in sorted(surplus, key=lambda pod: -_number(pod["metadata"]["name"])):
            self.runtime.writer.drop(PODS, pod)
            if ordered:
                break
        living = list(pods.values())
        ready = sum(running(pod) for pod in living)
        updated = sum(pod["metadata"]["labels"].get(_CONTROLLER_HASH) == mark for pod in living)
        self.show(
            found,
            observedGeneration=found["metadata"]["generation"],
            replicas=len(living),
            readyReplicas=ready or None,
            availableReplicas=ready,
            currentReplicas=updated or None,
            updatedReplicas=updated or None,
            currentRevision=mark,
            updateRevision=mark,
            collisionCount=0,
        )
        return None

    def _roll(self, pods: dict[str, Object], mark: str) -> None:
        """Delete the last pod of an older template once those behind it run again."""
        for title in sorted(pods, key=_number, reverse=True):
            pod = pods[title]
            if pod["metadata"].get("deletionTimestamp"):
                return
            if pod["metadata"]["labels"].get(_CONTROLLER_HASH) != mark:
                self.runtime.writer.drop(PODS, pod)
                return
            if not running(pod):
                return

    def _claims(self, found: Object, pod: str) -> None:
        state, namespace = self.runtime.state, found["metadata"]["namespace"]
        for template in found["spec"].get("volumeClaimTemplates") or ():
            name = f"{template['metadata']['name']}-{pod}"
            if state.get(CLAIMS, namespace, name) is not None:
                continue
            labels = dict(dig(found, "spec.selector.matchLabels") or {})
            metadata = {**template["metadata"], "name": name, "labels": labels}
            body = {"metadata": metadata, "spec": clone(template["spec"])}
            self.runtime.writer.make(CLAIMS, namespace, body, MANAGER)


class DaemonSetController(Owning):
    """Keeps a pod on every node that takes it."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime, DAEMON_SETS, PODS)

    def concerns(self, change: Change) -> Iterable[Ref]:
        """The same, and every DaemonSet when nodes come and go."""
        yield from super().concerns(change)
        if change.key == NODES:
            for found in self.runtime.state.store.list(DAEMON_SETS):
                yield ref_of(DAEMON_SETS, found)

    def sync(self, found: Object) -> float | None:
        """One pod per node."""
        template = clone(found["spec"]["template"])
        tolerations = template["spec"].setdefault("tolerations", [])
        for name in _DAEMON_TOLERATIONS:
            tolerations.append({"key": f"node.kubernetes.io/{name}", "operator": "Exists"})
        mark = template_hash(found["spec"]["template"])
        probe = {"spec": template["spec"]}
        nodes = {
            node["metadata"]["name"]
            for node in self.runtime.state.store.list(NODES)
            if admits(probe, node)
        }
        pods: dict[str, Object] = {}
        for pod in self.owned(found):
            node = dig(pod, "spec.nodeName")
            old = pod["metadata"]["labels"].get(_CONTROLLER_HASH) != mark
            if node not in nodes or node in pods or old:
                self.runtime.writer.drop(PODS, pod)
            else:
                pods[node] = pod
        for node in sorted(nodes - set(pods)):
            title = f"{found['metadata']['name']}-"
            body = pod_of(template, {_CONTROLLER_HASH: mark}, generateName=title)
            # in truth by affinity to the node's name and the scheduler; it comes to the same
            body["spec"]["nodeName"] = node
            pods[node] = self.make(PODS, found, body)
        ready = sum(running(pod) for pod in pods.values())
        self.show(
            found,
            observedGeneration=found["metadata"]["generation"],
            desiredNumberScheduled=len(nodes),
            currentNumberScheduled=len(pods),
            updatedNumberScheduled=len(pods) or None,
            numberMisscheduled=0,
            numberReady=ready,
            numberAvailable=ready or None,
            numberUnavailable=(len(nodes) - ready) or None,
        )
        return None


def _number(title: str) -> int:
    return int(title.rpartition("-")[2])


def _claim_volumes(found: Object, pod: str) -> list[Object]:
    return [
        {
            "name": template["metadata"]["name"],
            "persistentVolumeClaim": {"claimName": f"{template['metadata']['name']}-{pod}"},
        }
        for template in found["spec"].get("volumeClaimTemplates") or ()
    ]
