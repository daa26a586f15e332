"""The tasks of Container Service and their events, which say why something failed."""

from __future__ import annotations

from collections.abc import Callable

from clusterkit_sandbox.alibaba.models import Cluster, Event, Task
from clusterkit_sandbox.kit.life import Clock
from clusterkit_sandbox.kit.operations import Operations
from clusterkit_sandbox.kit.store import Store

_EVENTS = 20_000
"""How many are kept: a sandbox may run for weeks."""
_REASONS = {
    "running": ("info", "Started"),
    "done": ("info", "Succeeded"),
    "failed": ("err", "Failed"),
}


class Tasks(Operations[Task]):
    """The tasks of an account."""

    def __init__(self, store: Store, clock: Clock, new_hex: Callable[[int], str]) -> None:
        """``new_hex(length)`` makes an id."""
        super().__init__(clock, store.lock, self._note)
        self._store = store
        self._new_hex = new_hex

    def start(self, kind: str, cluster: Cluster, target: str = "") -> Task:
        """Start a task of a cluster, or of the ``target`` in it."""
        name = f"T-{self._new_hex(24)}"
        target = target or cluster.id
        return self.begin(
            Task(id=name, kind=kind, parent=cluster.id, target=target, region=cluster.region)
        )

    def cancel(self, cluster: Cluster) -> None:
        """End the running tasks of a deleted cluster."""
        for task in self.running(cluster.id):
            self.end(task, ("OperationDenied", f"The cluster {cluster.id} is deleted."))

    def _note(self, task: Task) -> None:
        level, reason = _REASONS[task.state]
        message = {
            "running": f"The task {task.kind} of {task.target} has started.",
            "done": f"{task.target} is ready.",
            "failed": ": ".join(task.error or ()),
        }[task.state]
        self._store.trim(Event, _EVENTS)
        self._store.add(
            Event(
                id=f"{self._new_hex(8)}-{self._new_hex(12)}",
                region=task.region,
                cluster=task.parent,
                task=task.id,
                subject=task.target,
                kind=task.kind,
                level=level,
                reason=f"{task.kind}{reason}",
                message=message,
            )
        )
