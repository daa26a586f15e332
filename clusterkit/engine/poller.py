"""One look per kind and poll, for every step of that kind that waits."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from clusterkit.engine.inventory import Inventory, Named
from clusterkit.engine.kind import AnyKind
from clusterkit.engine.scheduler import Scheduler
from clusterkit.engine.task import Task


class Poller:
    """Steps that wait for a look; the look that is due first serves all of its kind.

    A look serves only steps that waited when it began, so what a step did before it began to wait
    is seen.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        inventory: Inventory,
        serve: Callable[[Task, Named], None],
        failed: Callable[[list[Task], int, Exception], None],
    ) -> None:
        """``serve(task, named)`` per waiting step; ``failed(tasks, attempt, error)`` if the look
        fails.
        """
        self._scheduler = scheduler
        self._inventory = inventory
        self._serve = serve
        self._failed = failed
        self._idle: defaultdict[AnyKind, set[Task]] = defaultdict(set)
        self._alarm: dict[AnyKind, float] = {}
        self._looking: set[AnyKind] = set()
        self._failures: Counter[AnyKind] = Counter()

    def add(self, task: Task, delay: float) -> None:
        """Wait with this task; it is served ``delay`` seconds from now at the latest."""
        task.due = self._scheduler.now() + delay
        self._idle[task.kind].add(task)
        self._arm(task.kind, task.due)

    def drop(self) -> list[Task]:
        """Forget every waiting task and return them."""
        tasks = [task for waiting in self._idle.values() for task in waiting]
        self._idle.clear()
        self._alarm.clear()
        return tasks

    def _arm(self, kind: AnyKind, due: float) -> None:
        if kind in self._looking or self._alarm.get(kind, math.inf) <= due:
            return
        self._alarm[kind] = due
        self._scheduler.later(due - self._scheduler.now(), lambda: self._ring(kind, due))

    def _rearm(self, kind: AnyKind) -> None:
        if waiting := self._idle.get(kind):
            self._arm(kind, min(task.due for task in waiting))

    def _ring(self, kind: AnyKind, due: float) -> None:
        if self._alarm.get(kind) != due:
            return  # an earlier one took its place
        del self._alarm[kind]
        now = self._scheduler.now()
        served = [task for task in self._idle[kind] if task.not_before <= now]
        if not served:
            self._rearm(kind)
            return
        self._looking.add(kind)
        known = [task.last for task in served]
        self._scheduler.call(
            lambda: self._inventory.again(kind, known),
            lambda named, error: self._looked(kind, served, named, error),
        )

    def _looked(
        self, kind: AnyKind, served: list[Task], named: Any, error: Exception | None
    ) -> None:
        self._looking.discard(kind)
        waiting = self._idle[kind]
        still = [task for task in served if task in waiting]
        waiting.difference_update(still)
        if error is None:
            self._failures[kind] = 0
            for task in still:
                self._serve(task, named)
        elif still:
            self._failures[kind] += 1
            self._failed(still, self._failures[kind], error)
        self._rearm(kind)
