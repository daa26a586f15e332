"""What would fit where: the simulations of the cluster autoscaler.

Sources: kubernetes/autoscaler, cluster-autoscaler/FAQ.md ("How does scale-up work?", "How does
scale-down work?", "What types of pods can prevent CA from removing a node?", "What are
Expanders?"), simulator/drainability and expander/waste.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from clusterkit_sandbox.kube import budgets
from clusterkit_sandbox.kube.controllers.fit import admits, request
from clusterkit_sandbox.kube.controllers.nodes import (
    NODES,
    NOT_READY,
    is_ready,
    node_object,
    ready_conditions,
)
from clusterkit_sandbox.kube.controllers.scheduler import Scheduler
from clusterkit_sandbox.kube.controllers.sets import DAEMON_SETS
from clusterkit_sandbox.kube.interfaces import NodeGroup, ScalingRules
from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.quantities import parse
from clusterkit_sandbox.kube.refusals import Refusal
from clusterkit_sandbox.kube.selectors import dig, matches
from clusterkit_sandbox.kube.state import ClusterState

_PREFIX = "cluster-autoscaler.kubernetes.io/"
_MEASURED = ("cpu", "memory")


@dataclass
class Room:
    """A node, or one that would come, and the pods on it."""

    node: Object
    pods: list[Object] = field(default_factory=list)

    def take(self, scheduler: Scheduler, pod: Object) -> bool:
        """Put a pod on it, if it fits."""
        if scheduler.misfits(pod, self.node, self.pods):
            return False
        self.pods.append(pod)
        return True

    def used(self, what: str) -> float:
        """Which part of a resource is requested."""
        whole = parse(self.node["status"]["allocatable"].get(what) or 0)
        asked = sum((request(pod, what) for pod in self.pods), Fraction(0))
        return float(asked / whole) if whole else 0.0


@dataclass(frozen=True)
class Option:
    """How far one group would help."""

    group: NodeGroup
    count: int
    """machines to add"""
    pods: Sequence[Object]
    """which would fit on them"""
    waste: float


def taking(scheduler: Scheduler, state: ClusterState) -> dict[str, Room]:
    """The nodes that take pods, by name, each with its pods."""
    return {
        node["metadata"]["name"]: Room(node, list(scheduler.pods_of(node["metadata"]["name"])))
        for node in state.store.list(NODES)
        if is_ready(node)
        and not any(one["key"] == NOT_READY for one in node["spec"].get("taints") or ())
    }


def template(state: ClusterState, group: NodeGroup) -> Room:
    """The group's next node when it is ready, with the pods of its DaemonSets."""
    node = node_object(group.template, state.version)
    taints = [one for one in node["spec"]["taints"] if one["key"] != NOT_READY]
    node["spec"]["taints"] = taints
    node["status"]["conditions"] = ready_conditions()
    room = Room(node)
    for found in state.store.list(DAEMON_SETS):
        probe = {"spec": found["spec"]["template"]["spec"]}
        if admits(probe, node):
            room.pods.append(probe)
    return room


def options(
    scheduler: Scheduler,
    groups: Sequence[NodeGroup],
    empty: Mapping[str, Room],
    pods: Sequence[Object],
    paused: Collection[str],
) -> tuple[list[Option], dict[str, Counter[str]]]:
    """What could be done for pods, and by uid, of those that no group helps, why.

    ``empty`` are the groups' next nodes; ``paused`` are the groups that failed a while ago.
    """
    fitting: dict[str, list[Object]] = {group.name: [] for group in groups}
    reasons: dict[str, Counter[str]] = {}
    for pod in pods:
        why: Counter[str] = Counter()
        for group in groups:
            room = empty[group.name]
            lacking = scheduler.misfits(pod, room.node, room.pods)
            if lacking:
                why.update(lacking)
            elif group.target >= group.most:
                why["max node group size reached"] += 1
            elif group.name in paused:
                why["in backoff after failed scale-up"] += 1
            else:
                fitting[group.name].append(pod)
        if not any(pod in fit for fit in fitting.values()):
            reasons[pod["metadata"]["uid"]] = why
    found = [
        packed(scheduler, group, empty[group.name], fitting[group.name], group.most - group.target)
        for group in groups
        if fitting[group.name]
    ]
    return [option for option in found if option.count], reasons


def packed(
    scheduler: Scheduler, group: NodeGroup, empty: Room, pods: Iterable[Object], most: int
) -> Option:
    """The largest pods first, each where it fits first, on at most so many nodes."""
    rooms: list[Room] = []
    taken = []
    for pod in sorted(pods, key=lambda pod: [-request(pod, what) for what in _MEASURED]):
        if any(room.take(scheduler, pod) for room in rooms):
            taken.append(pod)
            continue
        fresh = Room(empty.node, list(empty.pods))
        if len(rooms) < most and fresh.take(scheduler, pod):
            rooms.append(fresh)
            taken.append(pod)
    used = [room.used(what) for room in rooms for what in _MEASURED]
    waste = 1 - sum(used) / len(used) if used else 1.0
    return Option(group, len(rooms), taken, waste)


def removable(
    scheduler: Scheduler,
    state: ClusterState,
    rules: ScalingRules,
    rooms: Mapping[str, Room],
    mine: Mapping[str, tuple[Room, NodeGroup]],
    leaving: Collection[str],
) -> Iterator[str]:
    """The nodes without which the pods would fit all the same, all of them together.

    ``rooms`` are the nodes that take pods, ``mine`` those of the groups.
    """
    counts = Counter(group.name for _, group in mine.values())
    others = {
        name: replace(room, pods=list(room.pods))
        for name, room in rooms.items()
        if name not in leaving
    }
    for name, (room, group) in sorted(mine.items(), key=lambda one: utilization(one[1][0])):
        if name in leaving or kept(room.node):
            continue
        if counts[group.name] <= group.least or group.target - 1 < group.least:
            continue
        if utilization(room) >= rules.scale_down_utilization_threshold:
            continue
        # with those that would have come here from nodes before it
        moving = [pod for pod in others[name].pods if not stays(pod)]
        if any(blocks(state, pod, rules) for pod in moving):
            continue
        places = {
            key: replace(one, pods=list(one.pods)) for key, one in others.items() if key != name
        }
        if all(any(one.take(scheduler, pod) for one in places.values()) for pod in moving):
            counts[group.name] -= 1
            others = places
            yield name


def utilization(room: Room) -> float:
    """The larger of the parts of CPU and memory that pods request."""
    return max(room.used(what) for what in _MEASURED)


def stays(pod: Object) -> bool:
    """Whether a pod goes with its node: of a DaemonSet, or a mirror of a static one."""
    metadata = pod["metadata"]
    owners = [owner["kind"] for owner in metadata.get("ownerReferences") or ()]
    mirror = "kubernetes.io/config.mirror" in (metadata.get("annotations") or {})
    return "DaemonSet" in owners or mirror


def blocks(state: ClusterState, pod: Object, rules: ScalingRules) -> bool:
    """Whether a pod keeps its node from being removed."""
    metadata = pod["metadata"]
    safe = (metadata.get("annotations") or {}).get(f"{_PREFIX}safe-to-evict")
    if safe == "false":
        return True
    if safe != "true":
        if not any(one.get("controller") for one in metadata.get("ownerReferences") or ()):
            return True
        system = metadata["namespace"] == "kube-system"
        if rules.skip_nodes_with_system_pods and system and not _budgeted(state, pod):
            return True
        if rules.skip_nodes_with_local_storage and _local(pod):
            return True
    try:
        budgets.check(state, pod)
    except Refusal:
        return True
    return False


def kept(node: Object) -> bool:
    """Whether somebody said that the node is to stay."""
    annotations = node["metadata"].get("annotations") or {}
    return bool(annotations.get(f"{_PREFIX}scale-down-disabled") == "true")


def _budgeted(state: ClusterState, pod: Object) -> bool:
    metadata = pod["metadata"]
    return any(
        matches(dig(budget, "spec.selector"), metadata.get("labels"))
        for budget in state.store.list(budgets.BUDGETS, metadata["namespace"])
    )


def _local(pod: Object) -> bool:
    annotations = pod["metadata"].get("annotations") or {}
    safe = annotations.get(f"{_PREFIX}safe-to-evict-local-volumes", "").split(",")
    return any(
        volume["name"] not in safe
        and (
            volume.get("hostPath") is not None
            or (volume.get("emptyDir") is not None and volume["emptyDir"].get("medium") != "Memory")
        )
        for volume in pod["spec"].get("volumes") or ()
    )
