"""What goes on in Container Service after a call: tasks, and the events that say why
something failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clusterkit.alibaba.client import Clients, at_path
from clusterkit.alibaba.errors import ERRORS, redacted
from clusterkit.engine.dates import utc
from clusterkit.engine.operation import Done, Failed, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.errors import CloudError

SUCCEEDED = ("success", "Success")
"""the spelling differs from task to task"""
FAILED = ("fail", "failed", "canceled")
MOST = 3
"""reasons shown"""


@dataclass(frozen=True)
class Task:
    """A task, as the answers of CreateCluster, DeleteCluster, ModifyClusterNodePool … name it."""

    id: str
    operation: str
    """whose task it is, for errors"""

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """How far it is, from DescribeTaskInfo."""
        found = scope.client.cs("DescribeTaskInfo", "GET", f"/tasks/{self.id}") or {}
        state = str(found.get("state") or "")
        if state in SUCCEEDED:
            return Done()
        if state not in FAILED:
            return Running(str(found.get("current_stage") or state).replace("_", " "))
        return Failed(ERRORS.final(*_error(found), f"CS.{self.operation}"))


def task(operation: str, answer: Any) -> Task | None:
    """The task a call began; None if it began none."""
    identifier = at_path(answer, "task_id")
    return Task(str(identifier), operation) if identifier else None


def begin(
    scope: Scope[Clients], action: str, method: str, path: str, body: Any = None, **query: object
) -> Task | None:
    """Call Container Service, for the task that begins."""
    return task(action, scope.client.cs(action, method, path, body, **query))


def _error(found: Any) -> tuple[str, str]:
    """Code and message of a task that failed."""
    error = found.get("error") or {}
    stages = [stage.get("message") for stage in found.get("stages") or ()]
    words = error.get("message") or next(filter(None, reversed(stages)), "")
    return str(error.get("code") or "TaskFailed"), str(words or "the task failed without a reason")


def events(
    scope: Scope[Clients], cluster: str, subject: str = "", since: datetime | None = None
) -> list[str]:
    """The last errors and warnings of a cluster, or of the pool whose id is ``subject``, newest
    first, each once. Empty if they cannot be read: that must not hide what they are about.
    """
    try:
        path, first = f"/clusters/{cluster}/events", {"page_number": 1, "page_size": 50}
        page = scope.client.cs("DescribeClusterEvents", "GET", path, **first)
    except CloudError:
        return []
    return list(dict.fromkeys(_told(page, subject, since)))


def _told(page: Any, subject: str, since: datetime | None) -> Iterator[str]:
    for event in (page or {}).get("events") or ():
        when = utc(event.get("time"))
        if since and when and when < since:
            continue
        data = event.get("data") or {}
        bad = str(data.get("level") or "").lower() in ("error", "err", "warning")
        if bad and subject in f"{event.get('subject') or ''} {data.get('message') or ''}":
            yield f"{data.get('reason')}: {redacted(str(data.get('message') or ''))}"


def reason(scope: Scope[Clients], cluster: str, subject: str = "") -> str:
    """Why a cluster, or a pool of it, does not work; empty if no event says."""
    return "; ".join(events(scope, cluster, subject)[:MOST])
