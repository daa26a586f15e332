"""What to do about one resource, given what a look said: converge, remove or sweep.

look → absent? create : failed in an earlier life? remove, then create : not ready? come back
later : differs? update : done. It decides; ``run.py`` makes the calls, waits and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from clusterkit.engine import backoff
from clusterkit.engine.plan import refuse
from clusterkit.engine.resource import Change, Ctx
from clusterkit.engine.task import Task
from clusterkit.errors import (
    AlreadyDone,
    Busy,
    Diverged,
    Exists,
    NotOurs,
    Rejected,
    Retryable,
    ServerError,
)

MOST_UPDATES = 3
MOST_DELETES = 3


class Actions(Protocol):
    """What the run does for a decision."""

    def now(self) -> float:
        """Seconds on the run's clock."""

    def call(
        self,
        task: Task,
        function: Callable[[], object],
        then: Callable[[Task, Exception | None], None],
    ) -> None:
        """Run ``function`` on a worker, then ``then(task, error)``."""

    def wait(self, task: Task, delay: float | None = None, note: str = "") -> None:
        """Look at the task again in ``delay`` seconds, or when a poll is due."""

    def again(self, task: Task, error: Retryable) -> None:
        """The call is worth another try, after a look."""

    def note(self, task: Task, note: str) -> None:
        """Say what the task is doing."""

    def done(self, task: Task, note: str = "") -> None:
        """The task's wish is true."""

    def fail(self, task: Task, error: Exception) -> None:
        """The task has failed."""

    def sweep_again(self) -> None:
        """Something is in the way of a delete."""


class Reconcile:
    """Brings one task after the other a step further."""

    def __init__(self, cx: Ctx[Any], desk: Actions) -> None:
        self._cx = cx
        self._desk = desk

    def serve(self, task: Task, states: Mapping[str, Any]) -> None:
        if task.op == "sweep":
            self._sweep(task, states)
        elif task.removing:
            self._remove(task, states.get(task.name))
        else:
            self._converge(task, states.get(task.name))

    def _converge(self, task: Task, have: Any) -> None:
        wish = task.wish
        if have is None:
            if task.asked and task.appeared:
                task.asked = task.appeared = False  # it was there and went: somebody removed it
            if task.asked:
                self._desk.wait(task, note="made, not listed yet")
            else:
                if not task.attempts:
                    self._desk.note(task, "creating")
                self._desk.call(task, lambda: wish.create(self._cx), self._created)
            return
        task.appeared = True
        try:
            if not wish.ready(have):
                self._desk.wait(task, note=task.kind.status(have).lower() or "not ready yet")
                return
            changes = wish.diff(self._cx, have)
            refuse(wish, changes)
        except Rejected as error:
            if error.remake and not task.made:
                self._desk.note(task, f"removing what failed before: {error}")
                task.removing = True
                self._remove(task, have)
            else:
                self._desk.fail(task, error)
            return
        except Exception as error:
            self._desk.fail(task, error)
            return
        if not changes:
            self._cx.seen[task.key] = have
            self._desk.done(task)
        elif any(change.how == "replace" for change in changes):
            task.removing = True
            self._remove(task, have)
        else:
            self._update(task, have, changes)

    def _update(self, task: Task, have: Any, changes: list[Change]) -> None:
        if task.updates and len(changes) < task.differences:
            task.updates = 0  # some services take one change at a time, and this one took it
        task.differences = len(changes)
        if self._desk.now() < task.settled_after:
            self._desk.wait(task, note="updating")
        elif task.updates == MOST_UPDATES:
            what = f"still differs after {MOST_UPDATES} updates: {'; '.join(map(str, changes))}"
            hint = "this is a bug in clusterkit's driver; please report it with this line"
            self._desk.fail(task, Diverged(what, where=task.key, hint=hint))
        else:
            self._desk.note(task, "updating " + ", ".join(change.field for change in changes))
            self._desk.call(task, lambda: task.wish.update(self._cx, have, changes), self._updated)

    def _remove(self, task: Task, have: Any) -> None:
        if have is None:
            if task.step.wish is None:
                self._desk.done(task)
            else:
                task.removing = task.asked = task.appeared = False
                self._cx.remade[task.key] += 1
                self._converge(task, None)
            return
        if task.asked:
            try:
                task.kind.ready(have)
            except Rejected as error:
                task.refusals += 1
                if task.refusals > MOST_DELETES:
                    self._desk.fail(task, error)
                    return
                task.asked = False
            self._desk.wait(task, note=task.kind.status(have).lower() or "deleting")
            return
        if not task.attempts:
            self._desk.note(task, "deleting")
        self._desk.call(task, lambda: task.kind.delete(self._cx, have), self._deleted)

    def _sweep(self, task: Task, states: Mapping[str, Any]) -> None:
        left = {name: have for name, have in states.items() if not task.kind.kept(have)}
        if not left:
            task.removed = len(task.swept)
            none = "gone already" if task.step.found else "none"
            self._desk.done(task, note=f"{task.removed} removed" if task.removed else none)
            return
        fresh = {name: have for name, have in left.items() if name not in task.swept}
        if not fresh:
            self._desk.wait(task, note=f"{len(left)} going")
            return
        self._desk.note(task, f"removing {len(fresh)}")
        for name, have in fresh.items():
            task.swept.add(name)
            self._desk.call(
                task,
                lambda have=have: task.kind.delete(self._cx, have),  # type: ignore[misc]
                lambda task, error, name=name: self._swept(task, name, error),  # type: ignore[misc]
            )

    # -- what a call says ------------------------------------------------------------------------

    def _created(self, task: Task, error: Exception | None) -> None:
        if error is None or isinstance(error, AlreadyDone):
            task.asked = task.made = True
            task.attempts = 0
            self._desk.wait(task, 0.0)
        elif isinstance(error, Retryable):
            task.unsure = task.unsure or isinstance(error, ServerError)
            self._desk.again(task, error)
        elif isinstance(error, Exists | NotOurs) and task.unsure:
            task.asked = True  # our own earlier try took the name; the list lags behind
            self._desk.wait(task, note="made, not listed yet")
        elif isinstance(error, Exists):
            hint = error.hint or f"choose another name, or --adopt {task.key}=ID"
            self._desk.fail(task, NotOurs(error.what, where=task.key, hint=hint))
        else:
            self._desk.fail(task, error)

    def _updated(self, task: Task, error: Exception | None) -> None:
        if error is None or isinstance(error, AlreadyDone):
            task.updates += 1
            task.attempts = 0
            task.settled_after = self._desk.now() + backoff.SETTLE * self._cx.scale
            self._desk.wait(task, 0.0)
        elif isinstance(error, Retryable):
            self._desk.again(task, error)
        else:
            self._desk.fail(task, error)

    def _deleted(self, task: Task, error: Exception | None) -> None:
        if error is None:
            task.asked = True
            task.attempts = 0
            self._desk.wait(task, 0.0)
        elif isinstance(error, Retryable):
            if isinstance(error, Busy):
                self._desk.sweep_again()
            self._desk.again(task, error)
        else:
            self._desk.fail(task, error)

    def _swept(self, task: Task, name: str, error: Exception | None) -> None:
        if error is not None:
            task.swept.discard(name)
            if not isinstance(error, Retryable):
                self._desk.fail(task, error)
                return
            task.note = str(error)
        if not task.calling and not task.finished:
            self._desk.wait(task, 0.0 if error is None else None)
