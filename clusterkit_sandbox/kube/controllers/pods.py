"""The kubelet of every node: pods start, run, complete and stop (Kubernetes documentation, "Pod
Lifecycle").

No container really runs, except for kaniko's (``builds.py``). A pod that is to run once
(``restartPolicy`` Never or OnFailure) succeeds after a while; every other runs until it is deleted.
The annotation ``sandbox.clusterkit.dev/exit-code`` makes one fail instead.
A pod waits for the Secrets and ConfigMaps it mounts or reads its environment from, as on a real
node.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from clusterkit_sandbox.kube.controllers.builds import Build, Builds
from clusterkit_sandbox.kube.controllers.images import BACK_OFF, unpulled
from clusterkit_sandbox.kube.controllers.nodes import NODES
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.controllers.scheduler import ended
from clusterkit_sandbox.kube.controllers.settings import unmounted, unset
from clusterkit_sandbox.kube.kinds import PODS, Object
from clusterkit_sandbox.kube.ownership import now
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.store import Change

EXIT_CODE = "sandbox.clusterkit.dev/exit-code"
"""Annotation of a pod that is to fail; nothing but kaniko really runs."""
_KUBELET = "kubelet"
_BACK_OFF, _LONGEST_BACK_OFF = 10, 300
"""seconds before a container runs again (Kubernetes documentation, "Pod Lifecycle")"""
_SHORTEST_BACK_OFF = 0.2
"""real seconds"""
_PODS_NETWORK = ipaddress.IPv4Network("100.64.0.0/10")
"""where pods get addresses: shared address space (RFC 6598), which no VPC of a test uses"""


class _Exit:
    """The end of a container that its pod's annotation told to fail."""

    def __init__(self, pod: Object, code: int) -> None:
        self._pod = pod
        self.code = code

    def terminated(self, spec: Object) -> Object:
        """The state of the container (core/v1 ContainerStateTerminated)."""
        [known] = [
            one for one in dig(self._pod, "status.containerStatuses") if one["name"] == spec["name"]
        ]
        if "waiting" in known["state"]:  # it has not run since
            return dict(known["lastState"]["terminated"])
        begun = known["state"]["running"]["startedAt"]
        return {"exitCode": self.code, "reason": "Error", "startedAt": begun, "finishedAt": now()}


class Kubelet:
    """Runs the pods of one cluster."""

    def __init__(self, runtime: Runtime, builds: Builds) -> None:
        self._runtime = runtime
        self._builds = builds
        self._addresses = _PODS_NETWORK.hosts()

    def concerns(self, change: Change) -> Iterable[Ref]:
        """Pods with a node; those of a node that is gone; those that wait for a file."""
        if change.key == PODS:
            if change.type != "DELETED" and dig(change.object, "spec.nodeName"):
                yield ref_of(PODS, change.object)
            elif change.type == "DELETED":
                self._builds.forget(change.object["metadata"]["uid"])
        elif change.key == NODES and change.type == "DELETED":
            name = change.object["metadata"]["name"]
            for pod in self._runtime.state.store.list(PODS):
                if dig(pod, "spec.nodeName") == name:
                    yield ref_of(PODS, pod)
        elif change.key in (("", "secrets"), ("", "configmaps")) and change.type != "DELETED":
            namespace = change.object["metadata"]["namespace"]
            for pod in self._runtime.state.store.list(PODS, namespace):
                if dig(pod, "spec.nodeName") and dig(pod, "status.phase") == "Pending":
                    yield ref_of(PODS, pod)

    def reconcile(self, ref: Ref) -> float | None:
        """Reconcile one pod."""
        runtime = self._runtime
        pod = runtime.state.get(*ref)
        if pod is None or not dig(pod, "spec.nodeName"):
            return None
        metadata = pod["metadata"]
        if runtime.state.get(NODES, "", pod["spec"]["nodeName"]) is None:
            # what ran on a machine that is gone is gone with it (pod garbage collection)
            self._remove(pod)
            return None
        if metadata.get("deletionTimestamp"):
            return self._stop(pod)
        if ended(pod):
            return None
        if dig(pod, "status.phase") == "Running":
            return self._complete(pod)
        return self._start(pod)

    def _start(self, pod: Object) -> float | None:
        runtime = self._runtime
        if not dig(pod, "status.containerStatuses"):
            self._waiting(pod)
            return 0.0
        for volume, problem in unmounted(runtime, pod):
            told = f'MountVolume.SetUp failed for volume "{volume}" : {problem}'
            runtime.events.warning(pod, "FailedMount", told, _KUBELET)
            return None
        problems = [unset(runtime, pod, container) for container in pod["spec"]["containers"]]
        if any(problems):
            self._held(pod, problems, "CreateContainerConfigError")
            return None
        left = runtime.left(("start", pod["metadata"]["uid"]), "kube/pod/start")
        if left:
            return left
        problems = unpulled(runtime.faults, pod)
        if any(problems):
            self._held(pod, problems, "ErrImagePull")
            return max(_SHORTEST_BACK_OFF, runtime.pace.scaled(BACK_OFF))
        time = now()
        address = str(next(self._addresses))
        self._show(
            pod,
            phase="Running",
            startTime=time,
            podIP=address,
            podIPs=[{"ip": address}],
            hostIP=self._host(pod),
            conditions=_conditions(pod, ready=True),
            containerStatuses=_statuses(pod, {"running": {"startedAt": time}}, ready=True),
        )
        for container in pod["spec"]["containers"]:
            told = f"Started container {container['name']}"
            runtime.events.normal(pod, "Started", told, _KUBELET)
        ref = ref_of(PODS, pod)
        self._builds.start(pod, lambda: runtime.enqueue(self, ref))
        return None

    def _show(self, pod: Object, **status: Any) -> None:
        self._runtime.writer.set_status(PODS, pod, _KUBELET, **status)

    def _waiting(self, pod: Object) -> None:
        state = {"waiting": {"reason": "ContainerCreating"}}
        self._show(
            pod,
            phase="Pending",
            hostIP=self._host(pod),
            conditions=_conditions(pod, ready=False),
            containerStatuses=_statuses(pod, state, ready=False),
        )

    def _held(self, pod: Object, problems: list[str | None], reason: str) -> None:
        """Say why containers do not start."""
        statuses = _statuses(pod, {"waiting": {"reason": "ContainerCreating"}}, ready=False)
        for status, problem in zip(statuses, problems, strict=True):
            if problem:
                status["state"] = {"waiting": {"reason": reason, "message": problem}}
                self._runtime.events.warning(pod, "Failed", f"Error: {problem}", _KUBELET)
        self._show(pod, containerStatuses=statuses)

    def _built(self, pod: Object, builds: Mapping[str, Build | _Exit]) -> float | None:
        """What has become of a pod whose programs run; None once it has ended."""
        policy, specs = pod["spec"].get("restartPolicy"), pod["spec"]["containers"]
        known = {one["name"]: one for one in dig(pod, "status.containerStatuses") or ()}
        statuses: list[Object] = []
        again: float | None = None
        codes: list[int | None] = []
        for spec in specs:
            name = spec["name"]
            status, build = dict(known[name]), builds.get(name)
            if build is None or build.code is None:
                statuses.append(status)
                if build is not None:
                    codes.append(None)
                continue
            over = build.terminated(spec)
            if policy == "Always" or (policy == "OnFailure" and build.code):
                status, left = self._restarted(pod, spec, status, over)
                again = left if again is None or left is None else min(again, left)
                codes.append(None)
            else:
                status |= {"state": {"terminated": over}, "ready": False, "started": False}
                codes.append(build.code)
            statuses.append(status)
        if None not in codes:
            self._end(pod, statuses, failed=any(codes))
        else:
            self._show(pod, containerStatuses=statuses)
        return again

    def _restarted(
        self, pod: Object, spec: Object, status: Object, over: Object
    ) -> tuple[Object, float | None]:
        """A container that is to run again, after a while that doubles each time."""
        runtime, name = self._runtime, spec["name"]
        count = int(status.get("restartCount", 0))
        wait = min(_BACK_OFF * 2**count, _LONGEST_BACK_OFF)
        paced = max(_SHORTEST_BACK_OFF, runtime.pace.scaled(wait))
        left = runtime.left_of(("restart", pod["metadata"]["uid"], name, count), paced)
        if left:
            told = (
                f"back-off {wait}s restarting failed container={name}"
                f" pod={pod['metadata']['name']}_{pod['metadata']['namespace']}"
                f"({pod['metadata']['uid']})"
            )
            state: Object = {"waiting": {"reason": "CrashLoopBackOff", "message": told}}
            new = {"state": state, "lastState": {"terminated": over}, "ready": False}
            return {**status, **new, "started": False}, left
        ref = ref_of(PODS, pod)
        self._builds.start(pod, lambda: runtime.enqueue(self, ref), name)
        new = {"state": {"running": {"startedAt": now()}}, "lastState": {"terminated": over}}
        return {**status, **new, "ready": True, "started": True, "restartCount": count + 1}, None

    def _end(self, pod: Object, statuses: list[Object], *, failed: bool) -> None:
        """Every program has ended; what does not really run ends with them."""
        time = now()
        begun = dig(pod, "status.startTime") or time
        for status in statuses:
            if "terminated" not in status["state"]:
                over = {
                    "exitCode": 0,
                    "reason": "Completed",
                    "startedAt": begun,
                    "finishedAt": time,
                }
                status |= {"state": {"terminated": over}, "ready": False, "started": False}
        reason = "PodFailed" if failed else "PodCompleted"
        self._show(
            pod,
            phase="Failed" if failed else "Succeeded",
            conditions=_conditions(pod, ready=False, reason=reason),
            containerStatuses=statuses,
        )

    def _complete(self, pod: Object) -> float | None:
        builds = self._builds.of_pod(pod)
        if builds:
            return self._built(pod, builds)
        code = _told_to_fail(pod)
        if pod["spec"].get("restartPolicy") == "Always" and not code:
            return None
        left = self._runtime.left(("complete", pod["metadata"]["uid"]), "kube/pod/complete")
        if left:
            return left
        if code:
            return self._built(
                pod, {one["name"]: _Exit(pod, code) for one in pod["spec"]["containers"]}
            )
        self._end(pod, [dict(one) for one in dig(pod, "status.containerStatuses")], failed=False)
        return None

    def _stop(self, pod: Object) -> float | None:
        runtime = self._runtime
        metadata = pod["metadata"]
        grace = metadata.get("deletionGracePeriodSeconds") or 0
        if grace and not ended(pod):
            # the grace is its owner's: real seconds at any pace
            needs = min(runtime.pace.seconds("kube/pod/stop"), grace)
            left = runtime.left_of(("stop", metadata["uid"]), needs)
            if left:
                return left
        self._remove(pod)
        return None

    def _remove(self, pod: Object) -> None:
        state = self._runtime.state
        finalizers = pod["metadata"].get("finalizers")
        if not finalizers:
            state.store.remove(PODS, pod)
        elif pod["metadata"].get("deletionGracePeriodSeconds"):

            def stopped(new: Object) -> None:
                new["metadata"]["deletionGracePeriodSeconds"] = 0

            self._runtime.writer.edit(PODS, pod, stopped, _KUBELET)

    def _host(self, pod: Object) -> str | None:
        node = self._runtime.state.get(NODES, "", pod["spec"]["nodeName"])
        for item in dig(node, "status.addresses") or ():
            if item["type"] == "InternalIP":
                return str(item["address"])
        return None


def _told_to_fail(pod: Object) -> int:
    """The exit code that the pod's annotation asks for; 0 without, or if it is no such code."""
    text = str((pod["metadata"].get("annotations") or {}).get(EXIT_CODE, ""))
    return int(text) if re.fullmatch(r"\d{1,3}", text) and int(text) < 256 else 0


def _conditions(pod: Object, *, ready: bool, reason: str | None = None) -> list[Object]:
    time = now()
    status = "True" if ready else "False"
    kept = [item for item in dig(pod, "status.conditions") or () if item["type"] == "PodScheduled"]
    scheduled = kept or [{"type": "PodScheduled", "status": "True", "lastTransitionTime": time}]
    more: dict[str, Any] = {"reason": reason} if reason else {}
    return [
        {"type": "Initialized", "status": "True", "lastTransitionTime": time},
        {"type": "Ready", "status": status, "lastTransitionTime": time, **more},
        {"type": "ContainersReady", "status": status, "lastTransitionTime": time, **more},
        *scheduled,
    ]


def _statuses(pod: Object, state: Object, *, ready: bool) -> list[Object]:
    running = "running" in state
    return [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": ready,
            "started": running,
            "restartCount": 0,
            "state": state,
            "lastState": {},
        }
        for container in pod["spec"]["containers"]
    ]
