"""What the cluster autoscaler says of itself: its ConfigMap, its events and its log.

The ConfigMap: kubernetes/autoscaler, cluster-autoscaler/clusterstate/api/types.go (YAML since 1.30,
of which this has what counts nodes). An autoscaler that cannot start ends, and its kubelet says
``BackOff``; the managed ones of clouds show nobody their log, so the event is on the ConfigMap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from clusterkit_sandbox.kube.controllers.runtime import Runtime
from clusterkit_sandbox.kube.interfaces import NodeGroup
from clusterkit_sandbox.kube.kinds import CONFIG_MAPS, Object

_NAME = "cluster-autoscaler-status"
_COMPONENT = "cluster-autoscaler"
_NAMESPACE = "kube-system"
_UPDATED = "cluster-autoscaler.kubernetes.io/last-updated"


class ScalerStatus:
    """The status of one cluster's autoscaler."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._shown: object = None
        self._told: tuple[str, str] | None = None

    def show(self, groups: Sequence[NodeGroup], ready: Counter[str]) -> None:
        """Write how many nodes there are, if it is not there already."""
        text = "".join(_group(one, ready[one.name]) for one in groups)
        if self._shown != text or self._found() is None:
            self._shown, self._told = text, None
            self._write(
                "autoscalerStatus: Running\nclusterWide:\n"
                + _health(sum(ready.values()), sum(one.target for one in groups))
                + ("nodeGroups:\n" + text if groups else "nodeGroups: []\n")
            )

    def broken(self, pod: Object | None, told: str) -> None:
        """Say why it does not work, once."""
        mark = (pod["metadata"]["uid"] if pod is not None else "", told)
        if self._told == mark:
            return
        self._shown, self._told = None, mark
        self._write("autoscalerStatus: Initializing\n")
        if pod is None:
            self.note(None, "Warning", "CloudProviderError", told)
            return
        self._log(pod, "F", told)
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        container = pod["spec"]["containers"][0]["name"]
        text = (
            f"Back-off restarting failed container {container} in pod"
            f" {name}_{namespace}({pod['metadata']['uid']})"
        )
        self._runtime.events.warning(pod, "BackOff", text, "kubelet")

    def note(self, pod: Object | None, kind: str, reason: str, told: str) -> None:
        """Record an event on the ConfigMap, and a line in the pod's log."""
        if pod is not None:
            self._log(pod, "I" if kind == "Normal" else "W", told)
        found = self._found()
        if found is None:
            self._write("autoscalerStatus: Initializing\n")
            found = self._found()
        if found is None:
            return
        record = self._runtime.events.normal if kind == "Normal" else self._runtime.events.warning
        record(found, reason, told, _COMPONENT)

    def _log(self, pod: Object, severity: str, told: str) -> None:
        stamp = datetime.now(UTC).strftime("%m%d %H:%M:%S.%f")
        self._runtime.state.log(pod, f"{severity}{stamp}       1 cluster_autoscaler] {told}")

    def _found(self) -> Object | None:
        return self._runtime.state.get(CONFIG_MAPS, _NAMESPACE, _NAME)

    def _write(self, status: str) -> None:
        time = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")
        data = {"status": f"time: {time}\n{status}"}
        found = self._found()
        if found is None:
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": _NAME, "annotations": {_UPDATED: time}},
                "data": data,
            }
            self._runtime.writer.make(CONFIG_MAPS, _NAMESPACE, body, _COMPONENT)
            return

        def change(new: Object) -> None:
            new["data"] = data
            new["metadata"].setdefault("annotations", {})[_UPDATED] = time

        self._runtime.writer.edit(CONFIG_MAPS, found, change, _COMPONENT)


def _group(group: NodeGroup, ready: int) -> str:
    more = (
        f"    cloudProviderTarget: {group.target}\n"
        f"    minSize: {group.least}\n    maxSize: {group.most}\n"
    )
    return f"- name: {group.name}\n" + _health(ready, group.target) + more


def _health(ready: int, target: int) -> str:
    up = "InProgress" if target > ready else "NoActivity"
    counts = f"total: {ready}\n        ready: {ready}\n        notStarted: 0\n"
    return (
        "  scaleUp:\n    status: " + up + "\n"
        "  health:\n    status: Healthy\n    nodeCounts:\n      registered:\n        " + counts
    )
