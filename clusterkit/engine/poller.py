"""One look per kind and poll, for every step of that kind that waits."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from clusterkit.engine import backoff
from clusterkit.engine.plan import Kind
from clusterkit.engine.resource import Ctx
from clusterkit.engine.scheduler import Scheduler
from clusterkit.engine.task import Task


class Poller:
    """Steps that wait for a look; the look that is due first serves all of its kind.

    A look serves only steps that waited when it began, so what a step did before it began to wait
    is seen.
    """

    def __init__(
        self,
        loop: Scheduler,
        cx: Ctx[Any],
        serve: Callable[[Task, Mapping[str, Any]], None],
        failed: Callable[[list[Task], int, Exception], None],
    ) -> None:
        """``serve(task, states)`` per waiting step; ``failed(tasks, attempt, error)`` if the look
        fails.
        """
        self._loop = loop
        self._cx = cx
        self._serve = serve
        self._failed = failed
        self._idle: defaultdict[Kind, set[Task]] = defaultdict(set)
        self._alarm: dict[Kind, float] = {}
        self._looking: set[Kind] = set()
        self._failures: Counter[Kind] = Counter()

    def add(self, task: Task, delay: float) -> None:
        """Wait with this task; it is served ``delay`` seconds from now at the latest."""
        task.due = self._loop.now() + delay
        self._idle[task.kind].add(task)
        self._arm(task.kind, task.due)

    def drop(self) -> list[Task]:
        """Forget every waiting task and return them."""
        tasks = [task for waiting in self._idle.values() for task in waiting]
        self._idle.clear()
        self._alarm.clear()
        return tasks

    def _arm(self, kind: Kind, due: float) -> None:
        if kind in self._looking or self._alarm.get(kind, math.inf) <= due:
            return
        self._alarm[kind] = due
        self._loop.later(due - self._loop.now(), lambda: self._ring(kind, due))

    def _rearm(self, kind: Kind) -> None:
        if waiting := self._idle.get(kind):
            self._arm(kind, min(task.due for task in waiting))

    def _ring(self, kind: Kind, due: float) -> None:
        if self._alarm.get(kind) != due:
            return  # an earlier one took its place
        del self._alarm[kind]
        now = self._loop.now()
        served = [task for task in self._idle[kind] if task.not_before <= now]
        if not served:
            self._rearm(kind)
            return
        if now - self._cx.looked < backoff.FRESH and not any(task.served for task in served):
            self._looked(kind, served, self._planned(kind), None)
            return
        self._looking.add(kind)
        self._loop.call(
            lambda: kind.owned(self._cx),
            lambda states, error: self._looked(kind, served, states, error),
        )

    def _planned(self, kind: Kind) -> dict[str, Any]:
        """What the plan's look saw of a kind, and what has become ready since."""
        prefix = f"{kind.kind}/"
        seen = self._cx.seen.items()
        return {key[len(prefix) :]: state for key, state in seen if key.startswith(prefix)}

    def _looked(self, kind: Kind, served: list[Task], states: Any, error: Exception | None) -> None:
        self._looking.discard(kind)
        waiting = self._idle[kind]
        still = [task for task in served if task in waiting]
        waiting.difference_update(still)
        if error is None:
            self._failures[kind] = 0
            for task in still:
                task.served = True
                self._serve(task, states)
        elif still:
            self._failures[kind] += 1
            self._failed(still, self._failures[kind], error)
        self._rearm(kind)
