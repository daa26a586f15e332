"""Nodes: the machines of the node pools as Kubernetes shows them (Kubernetes documentation,
"Nodes", "Well-Known Labels, Annotations and Taints").

A node registers with the not-ready taint, and turns Ready when its network would work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clusterkit_sandbox.kube.conditions import condition, holds
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.interfaces import Node
from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.ownership import now
from clusterkit_sandbox.kube.store import Change
from clusterkit_sandbox.kube.writes import MANAGER

NODES: GroupPlural = ("", "nodes")
NOT_READY = "node.kubernetes.io/not-ready"
ZONE_LABEL = "topology.kubernetes.io/zone"
_KUBELET = "kubelet"
_EVICTION = 100  # MiB; kubelet's default hard eviction threshold, memory.available<100Mi
_PODS = 110  # kubelet's default maxPods
_DISK = 20  # GiB; what the sandbox says of every node's disk
_PRESSURES = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)


class NodeController:
    """Registers nodes, makes them ready, removes them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._machines: dict[str, Node] = {}

    def set(self, nodes: Sequence[Node]) -> None:
        """Register exactly these nodes; for known ones only labels and taints change."""
        state = self._runtime.state
        wanted = {node.name: node for node in nodes}
        for found in state.store.list(NODES):
            node = wanted.get(found["metadata"]["name"])
            if node is None or found["spec"].get("providerID") != node.provider_id:
                state.store.remove(NODES, found)
        for node in nodes:
            known = state.get(NODES, "", node.name)
            if known is None:
                body = node_object(node, state.version)
                self._runtime.writer.make(NODES, "", body, _KUBELET)
            elif node != self._machines[node.name]:
                self._relabel(known, self._machines[node.name], node)
        self._machines = wanted

    def _relabel(self, found: Object, old: Node, new: Node) -> None:
        """What the pool gives its machines changed; what anyone else gave them stays."""

        def relabel(node: Object) -> None:
            labels, spec = node["metadata"]["labels"], node["spec"]
            for key in old.labels.keys() - new.labels.keys():
                labels.pop(key, None)
            labels.update(new.labels)
            gone = _taints(old)
            kept = [taint for taint in spec.get("taints") or () if taint not in gone]
            spec["taints"] = kept + [taint for taint in _taints(new) if taint not in kept]
            if not spec["taints"]:
                del spec["taints"]

        self._runtime.writer.edit(NODES, found, relabel, _KUBELET)

    def concerns(self, change: Change) -> Iterable[Ref]:
        """New nodes."""
        if change.key == NODES and change.type == "ADDED":
            yield ref_of(NODES, change.object)

    def reconcile(self, ref: Ref) -> float | None:
        """Make one node ready when it is due."""
        runtime = self._runtime
        found = runtime.state.get(*ref)
        if found is None or is_ready(found):
            return None
        left = runtime.left(("ready", found["metadata"]["uid"]), "kube/node/ready")
        if left:
            return left
        runtime.writer.set_status(NODES, found, _KUBELET, conditions=ready_conditions())

        def untaint(new: Object) -> None:
            taints = [item for item in new["spec"].get("taints") or () if item["key"] != NOT_READY]
            new["spec"]["taints"] = taints
            if not taints:
                del new["spec"]["taints"]

        ready = runtime.writer.edit(NODES, found, untaint, MANAGER)
        if ready is not None:
            name = ready["metadata"]["name"]
            runtime.events.normal(
                ready, "NodeReady", f"Node {name} status is now: NodeReady", _KUBELET
            )
        return None


def is_ready(node: Object) -> bool:
    """Whether a node's Ready condition is true."""
    return holds(node, "Ready")


def ready_conditions() -> list[Object]:
    """The conditions of a node that is ready."""
    return [_ready(ready=True), *_pressures()]


def _condition(kind: str, true: bool, reason: str, message: str) -> Object:
    return {**condition({}, kind, true, reason, message), "lastHeartbeatTime": now()}


def _ready(*, ready: bool) -> Object:
    if ready:
        return _condition("Ready", True, "KubeletReady", "kubelet is posting ready status")
    message = (
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady"
        " message:Network plugin returns error: cni plugin not initialized"
    )
    return _condition("Ready", False, "KubeletNotReady", message)


def _pressures() -> list[Object]:
    return [_condition(kind, False, reason, message) for kind, reason, message in _PRESSURES]


def node_object(node: Node, version: str) -> Object:
    """A node as it registers: not ready, and tainted so (the first taint)."""
    labels = {
        "beta.kubernetes.io/arch": node.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": node.architecture,
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": node.instance_type,
        "topology.kubernetes.io/region": node.region,
        ZONE_LABEL: node.zone,
        **node.labels,
    }
    taints = [{"key": NOT_READY, "effect": "NoSchedule"}, *_taints(node)]
    amounts = {
        "cpu": str(node.cpu),
        "memory": f"{node.memory}Mi",
        "pods": str(_PODS),
        "ephemeral-storage": f"{_DISK}Gi",
    }
    return {
        "metadata": {"name": node.name, "labels": labels},
        "spec": {"providerID": node.provider_id, "taints": taints}
        | ({"unschedulable": True} if node.unschedulable else {}),
        "status": {
            "capacity": amounts,
            "allocatable": amounts | {"memory": f"{node.memory - _EVICTION}Mi"},
            "addresses": [
                {"type": "InternalIP", "address": node.internal_ip},
                {"type": "Hostname", "address": node.name},
            ],
            "conditions": [_ready(ready=False), *_pressures()],
            "nodeInfo": {
                "architecture": node.architecture,
                "operatingSystem": "linux",
                "kubeletVersion": version,
                "kubeProxyVersion": version,
                "osImage": "clusterkit sandbox",
                "kernelVersion": "sandbox",
                "containerRuntimeVersion": "sandbox://1",
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
            },
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    }


def _taints(node: Node) -> list[Object]:
    return [
        {"key": key, "effect": effect} | ({"value": value} if value else {})
        for key, value, effect in node.taints
    ]
