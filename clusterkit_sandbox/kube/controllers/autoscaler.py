"""The cluster autoscaler: a node more where a pod fits none, one less where one idles.

Sources: kubernetes/autoscaler, cluster-autoscaler/FAQ.md, core/static_autoscaler.go,
core/scaleup/orchestrator, processors/status (the words of its events) and clusterstate/api (its
ConfigMap). Whose autoscaler it is, and what it may do, is the cloud's (``CloudHooks.scaling``).

It looks when pods or nodes change, and again after a scan interval while something waits; what
changes only the cloud is followed by ``Autoscaler.look``. Expander: least-waste.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from clusterkit_sandbox.kube import budgets
from clusterkit_sandbox.kube.accounts import TokenIssuer
from clusterkit_sandbox.kube.conditions import current
from clusterkit_sandbox.kube.controllers.nodes import NODES
from clusterkit_sandbox.kube.controllers.rooms import (
    Option,
    Room,
    options,
    removable,
    stays,
    taking,
    template,
    utilization,
)
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime
from clusterkit_sandbox.kube.controllers.scalerpod import NAME, as_scaler, installed
from clusterkit_sandbox.kube.controllers.scalerstatus import ScalerStatus
from clusterkit_sandbox.kube.controllers.scheduler import Scheduler, waits
from clusterkit_sandbox.kube.interfaces import NodeGroup, Scaling, ScalingRules
from clusterkit_sandbox.kube.kinds import PODS, Object
from clusterkit_sandbox.kube.refusals import Refusal
from clusterkit_sandbox.kube.store import Change

_ALL: Ref = (NODES, "", "")
_TAINT = "ToBeDeletedByClusterAutoscaler"
_AT_LEAST = 0.5
"""Real seconds between two looks for the same pods, at any pace."""
_PATIENCE = 5.0
"""Least real seconds for machines to become nodes, at any pace."""
_LOG = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass
class _Seen:
    """What one look has found."""

    cloud: Scaling
    groups: Sequence[NodeGroup]
    pod: Object | None


@dataclass
class _Memory:
    """What is kept between looks; times are those of the monotonic clock."""

    unneeded: dict[str, float] = field(default_factory=dict)
    """nodes by name, since when"""
    leaving: dict[str, float] = field(default_factory=dict)
    """nodes that are being emptied, until when"""
    backoff: dict[str, float] = field(default_factory=dict)
    """groups that could not grow, until when"""
    asked: dict[str, float] = field(default_factory=dict)
    """groups whose machines are not all nodes yet, since when"""
    told: dict[str, str] = field(default_factory=dict)
    """by uid of a pod, why nothing was done for it"""
    grown: float = float("-inf")
    failed: float = float("-inf")


class Autoscaler:
    """Scales the node groups of one cluster."""

    def __init__(self, runtime: Runtime, scheduler: Scheduler, issuer: TokenIssuer) -> None:
        self._runtime = runtime
        self._scheduler = scheduler
        self._issuer = issuer
        self._status = ScalerStatus(runtime)
        self._memory = _Memory()
        self._low = ScalingRules().scale_down_utilization_threshold
        self._busy = self._again = self._moving = False

    def look(self) -> None:
        """Look again: something about the machines may have changed."""
        self._runtime.enqueue(self, _ALL)

    def concerns(self, change: Change) -> Iterable[Ref]:
        """Pods and nodes."""
        if change.key in (PODS, NODES):
            yield _ALL

    def reconcile(self, _: Ref) -> float | None:
        """Ask the cloud what there is, if there may be something to do."""
        if self._busy:
            self._again = True
            return None
        if not (self._moving or self._memory.leaving or self._pending() or self._idle()):
            self._memory.unneeded.clear()
            return None
        pod = installed(self._runtime.state)
        asked = as_scaler(self._runtime.state, self._issuer, pod) if pod is not None else None
        hooks = self._runtime.hooks

        def ask() -> _Seen | None:
            cloud = hooks.scaling(asked)
            return _Seen(cloud, cloud.groups(), pod) if cloud is not None else None

        self._call(ask, self._seen, lambda told: self._broken(pod, told))
        return None

    def _call(
        self, work: Callable[[], T], done: Callable[[T], None], failed: Callable[[str], None]
    ) -> None:
        """One call to the cloud at a time; what changed meanwhile is looked at after it."""
        self._busy = True

        def over(then: Callable[[], None]) -> None:
            self._busy = False
            then()
            if self._again and not self._busy:
                self._again = False
                self.look()

        self._runtime.call(
            NAME, work, lambda got: over(lambda: done(got)), lambda told: over(lambda: failed(told))
        )

    # -- what there is ---------------------------------------------------------------------------

    def _pending(self) -> list[Object]:
        return [
            pod
            for pod in self._runtime.state.store.list(PODS)
            if waits(pod) and current(pod, "PodScheduled").get("reason") == "Unschedulable"
        ]

    def _idle(self) -> bool:
        return any(
            utilization(room) < self._low
            for room in taking(self._scheduler, self._runtime.state).values()
        )

    # -- one look --------------------------------------------------------------------------------

    def _broken(self, pod: Object | None, told: str) -> None:
        """The autoscaler cannot work."""
        self._moving = False
        self._status.broken(pod, told)
        if self._pending():
            self._later(ScalingRules().scan_interval)

    def _seen(self, seen: _Seen | None) -> None:
        if seen is None:
            self._memory, self._moving = _Memory(), False
            return
        self._low = seen.cloud.rules.scale_down_utilization_threshold
        rooms = taking(self._scheduler, self._runtime.state)
        groups = {machine: one for one in seen.groups for machine in one.machines}
        mine = {
            name: (room, groups[room.node["spec"]["providerID"]])
            for name, room in rooms.items()
            if room.node["spec"].get("providerID") in groups
        }
        waiting = self._moving = self._help(seen, [group.name for _, group in mine.values()])
        if self._busy:
            return
        again = self._shrink(seen, rooms, mine)
        if self._busy:
            return
        self._status.show(seen.groups, Counter(group.name for _, group in mine.values()))
        if waiting:
            self._later(seen.cloud.rules.scan_interval)
        elif again is not None:
            self._runtime.later(self, _ALL, again)

    def _later(self, seconds: float) -> None:
        paced = self._runtime.pace.scaled(seconds)
        self._runtime.later(self, _ALL, max(_AT_LEAST, paced))

    def _scaled(self, seconds: float) -> float:
        return self._runtime.pace.scaled(seconds)

    # -- more ------------------------------------------------------------------------------------

    def _help(self, seen: _Seen, ready: Sequence[str]) -> bool:
        """Add machines for pods that fit no node; whether pods are waiting."""
        pending = [pod for pod in self._pending() if not self._scheduler.claims_problem(pod)]
        if not pending:
            self._memory.told.clear()
            return False
        for group in seen.groups:
            if self._overdue(seen.cloud.rules, group, ready.count(group.name)):
                self._give_up(seen, group, ready.count(group.name))
                return True
        state = self._runtime.state
        empty = {group.name: template(state, group) for group in seen.groups}
        upcoming = [
            Room(empty[group.name].node, list(empty[group.name].pods))
            for group in seen.groups
            for _ in range(max(0, group.target - ready.count(group.name)))
        ]
        left = [
            pod for pod in pending if not any(room.take(self._scheduler, pod) for room in upcoming)
        ]
        now = time.monotonic()
        paused = {name for name, until in self._memory.backoff.items() if until > now}
        found, reasons = options(self._scheduler, seen.groups, empty, left, paused)
        for pod in left:
            if pod["metadata"]["uid"] in reasons:
                self._refuse(pod, reasons[pod["metadata"]["uid"]])
        if found:
            self._grow(seen, min(found, key=lambda one: (one.waste, one.group.name)))
        return True

    def _overdue(self, rules: ScalingRules, group: NodeGroup, ready: int) -> bool:
        """Whether machines that were asked for should be nodes by now."""
        if group.target <= ready:
            self._memory.asked.pop(group.name, None)
            return False
        now = time.monotonic()
        since = self._memory.asked.setdefault(group.name, now)
        return now - since > max(_PATIENCE, self._scaled(rules.max_node_provision_time))

    def _give_up(self, seen: _Seen, group: NodeGroup, ready: int) -> None:
        """Ask for no more machines than have become nodes, and leave the group alone."""
        minutes = seen.cloud.rules.max_node_provision_time / 60
        told = f"Nodes added to group {group.name} failed to register within {minutes:g}m0s"
        self._memory.asked.pop(group.name, None)

        def over(_: object) -> None:
            self._pause(seen, group, "ScaleUpTimedOut", told)

        self._call(lambda: seen.cloud.grow(group.name, max(ready, group.least)), over, over)

    def _pause(self, seen: _Seen, group: NodeGroup, reason: str, told: str) -> None:
        """Say why a group does not grow, and leave it alone for a while."""
        pause = seen.cloud.rules.initial_node_group_backoff_duration
        self._memory.backoff[group.name] = time.monotonic() + self._scaled(pause)
        self._status.note(seen.pod, "Warning", reason, told)
        self._later(seen.cloud.rules.scan_interval)

    def _refuse(self, pod: Object, why: Counter[str]) -> None:
        reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in why.items()))
        told = f"pod didn't trigger scale-up: {reasons}"
        uid = pod["metadata"]["uid"]
        if self._memory.told.get(uid) != told:
            self._memory.told[uid] = told
            self._runtime.events.normal(pod, "NotTriggerScaleUp", told, NAME)

    def _grow(self, seen: _Seen, option: Option) -> None:
        group, size = option.group, option.group.target + option.count
        change = f"group {group.name} size set to {size} instead of {group.target}"

        def done(_: None) -> None:
            told = f"{{{group.name} {group.target}->{size} (max: {group.most})}}"
            for pod in option.pods:
                self._memory.told.pop(pod["metadata"]["uid"], None)
                text = f"pod triggered scale-up: [{told}]"
                self._runtime.events.normal(pod, "TriggeredScaleUp", text, NAME)
            self._memory.grown = time.monotonic()
            self._memory.backoff.pop(group.name, None)
            self._memory.unneeded.clear()
            told = f"Scale-up: {change} (max: {group.most})"
            self._status.note(seen.pod, "Normal", "ScaledUpGroup", told)
            self._later(seen.cloud.rules.scan_interval)

        def failed(told: str) -> None:
            text = f"Scale-up failed for group {group.name}: {told}"
            self._pause(seen, group, "FailedToScaleUpGroup", text)

        self._call(lambda: seen.cloud.grow(group.name, size), done, failed)

    # -- less ------------------------------------------------------------------------------------

    def _shrink(
        self, seen: _Seen, rooms: dict[str, Room], mine: dict[str, tuple[Room, NodeGroup]]
    ) -> float | None:
        """Remove machines that have been unneeded for long; return when to look again."""
        memory, rules, now = self._memory, seen.cloud.rules, time.monotonic()
        state = self._runtime.state
        for gone in memory.leaving.keys() - mine.keys():
            del memory.leaving[gone]
        empty = [name for name in memory.leaving if not self._moving_from(mine[name][0])]
        if empty:
            self._remove(seen, empty, mine)
            return None
        for name in [name for name, until in memory.leaving.items() if until <= now]:
            self._keep(name, mine[name][0].node, "failed to drain node, aborting")
        for name in memory.leaving:
            for pod in self._moving_from(mine[name][0]):
                self._evict(pod)
        if not rules.scale_down_enabled:
            return None
        unneeded = list(removable(self._scheduler, state, rules, rooms, mine, memory.leaving))
        memory.unneeded = {name: memory.unneeded.get(name, now) for name in unneeded}
        if not unneeded:
            return None
        ready = max(
            memory.grown + self._scaled(rules.scale_down_delay_after_add),
            memory.failed + self._scaled(rules.scale_down_delay_after_failure),
        )
        wait = self._scaled(rules.scale_down_unneeded_time)
        due = [max(ready, memory.unneeded[name] + wait) for name in unneeded]
        for name, when in zip(unneeded, due, strict=True):
            if when <= now and not memory.leaving:
                self._leave(name, rules, mine[name][0])
        return max(0.0, min(memory.leaving.values() or due) - now)

    def _leave(self, name: str, rules: ScalingRules, room: Room) -> None:
        """Let no more pods onto a node, and evict those that are there."""
        taint = {"key": _TAINT, "value": str(int(time.time())), "effect": "NoSchedule"}
        until = time.monotonic() + max(10.0, self._scaled(rules.max_graceful_termination))
        self._memory.leaving[name] = until
        self._runtime.writer.edit(
            NODES, room.node, lambda new: new["spec"].setdefault("taints", []).append(taint), NAME
        )
        moving = self._moving_from(room)
        if moving:
            names = ", ".join(
                f"{p['metadata']['namespace']}/{p['metadata']['name']}" for p in moving
            )
            told = (
                f"Scale-down: removing node {name}, utilization: {utilization(room):.2g},"
                f" pods to reschedule: {names}"
            )
            self._status.note(None, "Normal", "ScaleDown", told)
        else:
            told = f'Scale-down: removing empty node "{name}"'
            self._status.note(None, "Normal", "ScaleDownEmpty", told)
        for pod in moving:
            told = "deleting pod for node scale down"
            self._runtime.events.normal(pod, "ScaleDown", told, NAME)
            self._evict(pod)
        self.look()

    def _evict(self, pod: Object) -> None:
        try:
            budgets.check(self._runtime.state, pod)
            self._runtime.writer.drop(PODS, pod)
        except Refusal as refusal:
            _LOG.info("%s stays: %s", pod["metadata"]["name"], refusal)

    def _moving_from(self, room: Room) -> list[Object]:
        """The pods that have to go before the node does."""
        return [pod for pod in room.pods if not stays(pod)]

    def _keep(self, name: str, node: Object, told: str) -> None:
        """Let a node stay that was to go, and say why."""
        self._memory.failed = time.monotonic()
        self._memory.leaving.pop(name, None)
        self._memory.unneeded.pop(name, None)
        self._runtime.events.warning(node, "ScaleDownFailed", told, NAME)
        self._runtime.writer.edit(NODES, node, _untaint, NAME)

    def _remove(
        self, seen: _Seen, names: Sequence[str], mine: dict[str, tuple[Room, NodeGroup]]
    ) -> None:
        group = mine[names[0]][1]
        some = {name: mine[name][0].node for name in names if mine[name][1] is group}
        machines = [node["spec"]["providerID"] for node in some.values()]

        def done(_: None) -> None:
            for name, node in some.items():
                self._memory.leaving.pop(name, None)
                self._memory.unneeded.pop(name, None)
                told = "node removed by cluster autoscaler"
                self._runtime.events.normal(node, "ScaleDown", told, NAME)
            self.look()

        def failed(told: str) -> None:
            for name, node in some.items():
                self._keep(name, node, f"failed to delete node: {told}")
            self._status.note(seen.pod, "Warning", "ScaleDownFailed", told)
            self._later(seen.cloud.rules.scale_down_delay_after_failure)

        self._call(lambda: seen.cloud.remove(group.name, machines), done, failed)


def _untaint(node: Object) -> None:
    node["spec"]["taints"] = [one for one in node["spec"]["taints"] if one["key"] != _TAINT]
