"""The tasks of Container Service and their events, which say why something failed."""

from __future__ import annotations

import time

from clusterkit_sandbox.alibaba.models import Cluster, Event, Task
from clusterkit_sandbox.alibaba.store import Store

_TASKS, _EVENTS = 5_000, 20_000
"""How many are kept: a sandbox may run for weeks."""


def begin(store: Store, kind: str, cluster: Cluster, target: str = "") -> Task:
    """Start a task."""
    task = Task(
        id=f"T-{store.new_hex(24)}",
        region=cluster.region,
        kind=kind,
        cluster=cluster.id,
        target=target or cluster.id,
    )
    store.add(task)
    store.trim(Task, _TASKS, lambda old: old.state != "running")
    store.trim(Event, _EVENTS)
    _note(store, task, "info", f"{kind}Started", f"The task {kind} of {task.target} has started.")
    return task


def end(store: Store, task: Task, error: tuple[str, str] | None = None) -> None:
    """End the task as done, or as failed with code and message."""
    task.updated = time.time()
    if error is None:
        task.state = "success"
        _note(store, task, "info", f"{task.kind}Succeeded", f"{task.target} is ready.")
    else:
        task.state, task.error = "fail", {"code": error[0], "message": error[1]}
        _note(store, task, "err", f"{task.kind}Failed", f"{error[0]}: {error[1]}")


def cancel(store: Store, cluster: Cluster) -> None:
    """End the running tasks of a deleted cluster."""
    for task in store.all(Task):
        if task.cluster == cluster.id and task.state == "running":
            end(store, task, ("TaskCanceled", f"The cluster {cluster.id} is deleted."))


def _note(store: Store, task: Task, level: str, reason: str, message: str) -> None:
    store.add(
        Event(
            id=f"{store.new_hex(8)}-{store.new_hex(12)}",
            region=task.region,
            cluster=task.cluster,
            task=task.id,
            subject=task.target,
            kind=task.kind,
            level=level,
            reason=reason,
            message=message,
        )
    )
