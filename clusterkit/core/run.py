"""Run a plan: one converge loop per resource is first run, retry, wait, resume and adoption at
once.

look → absent? create : failed in an earlier life? remove, then create : not ready? come back later
: differs? update : done. Every create is preceded by a look. A failure starts nothing new, ends
every wait at once and lets calls in flight finish; Ctrl-C takes the same path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any, Literal

from clusterkit.core import patience
from clusterkit.core.errors import (
    Absent,
    ClusterkitError,
    Diverged,
    NotOurs,
    Rejected,
    Retryable,
    Stopped,
)
from clusterkit.core.events import (
    Emit,
    RunEnded,
    RunStarted,
    StepDone,
    StepFailed,
    StepNoted,
    StepRetried,
    StepStarted,
    StepStopped,
    Warned,
)
from clusterkit.core.loop import Loop
from clusterkit.core.plan import Plan, Step, refuse
from clusterkit.core.resource import Change, Ctx
from clusterkit.core.task import Task
from clusterkit.core.watch import Watch

MOST_UPDATES = 3
MOST_DELETES = 3


@dataclass
class Outcome:
    """How a run ended."""

    failed: dict[str, Exception] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    """key to what goes on in the cloud without us"""
    interrupted: bool = False
    done: int = 0

    @property
    def ok(self) -> bool:
        """Whether the wish is true."""
        return not (self.failed or self.stopped or self.interrupted)


class Run:
    """Runs one plan, once."""

    def __init__(self, cx: Ctx[Any], emit: Emit, *, threads: int = 16) -> None:
        """``emit`` gets every event, on the thread that calls the run."""
        self._cx = cx
        self._emit = emit
        self._loop = Loop(threads)
        self._watch = Watch(self._loop, cx, self._serve, self._look_failed)
        self._steps: dict[str, Step] = {}
        self._order: TopologicalSorter[str] = TopologicalSorter()
        self._sweeps: list[Task] = []
        self._ended: set[Task] = set()
        self._stopping = False
        self._outcome = Outcome()

    def stop(self) -> None:
        """End the run as a failure would; from any thread or signal handler."""
        self._loop.soon(lambda: self._halt(interrupted=True))

    def __call__(self, plan: Plan, action: Literal["up", "destroy"]) -> Outcome:
        """Run the plan to its end, to the first failure, or until ``stop``."""
        started = self._loop.now()
        self._steps = {step.key: step for step in plan.steps}
        nodes: dict[str, frozenset[str]] = {step.key: step.deps for step in plan.steps}
        self._order = TopologicalSorter({**nodes, **(plan.barriers or {})})
        self._order.prepare()
        todo = tuple((step.key, step.op) for step in plan.todo)
        self._emit(RunStarted(action, self._cx.cluster, str(self._cx.run_id), todo))
        self._release()
        self._loop.run()
        result = self._outcome
        counts = (result.done, len(result.failed), len(result.stopped))
        self._emit(RunEnded(action, self._cx.cluster, *counts, self._loop.now() - started))
        return result

    def _release(self) -> None:
        """Begin every step whose edges are ready."""
        while not self._stopping and self._order.is_active() and (keys := self._order.get_ready()):
            for key in keys:
                step = self._steps.get(key)
                if step is None or step.op == "keep":
                    self._order.done(key)
                else:
                    self._begin(step)

    def _begin(self, step: Step) -> None:
        now = self._loop.now()
        limit = patience.deadline(step.kind.patience, self._cx.scale)
        task = Task(step, started=now, deadline=now + limit, since=now)
        task.removing = step.op in ("delete", "replace")
        if step.op == "sweep":
            self._sweeps.append(task)
        self._emit(StepStarted(step.key, step.op, _typical(step) * self._cx.scale))
        self._wait(task, 0.0)

    # -- what a look says ------------------------------------------------------------------------

    def _serve(self, task: Task, states: Mapping[str, Any]) -> None:
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
                self._wait(task, note="made, not listed yet")
            else:
                self._note(task, "creating")
                self._call(task, lambda: wish.create(self._cx), self._created)
            return
        task.appeared = True
        try:
            if not wish.ready(have):
                self._wait(task, note=task.kind.status(have).lower() or "not ready yet")
                return
            changes = wish.diff(self._cx, have)
            refuse(wish, changes)
        except Rejected as error:
            if error.remake and not task.made:
                self._note(task, f"removing what failed before: {error}")
                task.removing = True
                self._remove(task, have)
            else:
                self._fail(task, error)
            return
        except Exception as error:
            self._fail(task, error)
            return
        if not changes:
            self._cx.seen[task.key] = have
            self._done(task)
        elif any(change.how == "replace" for change in changes):
            task.removing = True
            self._remove(task, have)
        else:
            self._update(task, have, changes)

    def _update(self, task: Task, have: Any, changes: list[Change]) -> None:
        if self._loop.now() < task.settled_after:
            self._wait(task, note="updating")
        elif task.updates == MOST_UPDATES:
            what = f"still differs after {MOST_UPDATES} updates: {'; '.join(map(str, changes))}"
            hint = "this is a bug in clusterkit's driver; please report it with this line"
            self._fail(task, Diverged(what, where=task.key, hint=hint))
        else:
            self._note(task, "updating " + ", ".join(change.field for change in changes))
            self._call(task, lambda: task.wish.update(self._cx, have, changes), self._updated)

    def _remove(self, task: Task, have: Any) -> None:
        if have is None:
            if task.step.wish is None:
                self._done(task)
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
                    self._fail(task, error)
                    return
                task.asked = False
            self._wait(task, note=task.kind.status(have).lower() or "deleting")
            return
        self._note(task, "deleting")
        self._call(task, lambda: task.kind.delete(self._cx, have), self._deleted)

    def _sweep(self, task: Task, states: Mapping[str, Any]) -> None:
        left = {name: have for name, have in states.items() if not task.kind.kept(have)}
        if not left:
            task.removed = len(task.swept)
            self._done(task, note=f"{task.removed} removed" if task.removed else "none")
            return
        fresh = {name: have for name, have in left.items() if name not in task.swept}
        if not fresh:
            self._wait(task, note=f"{len(left)} going")
            return
        self._note(task, f"removing {len(fresh)}")
        for name, have in fresh.items():
            task.swept.add(name)
            self._call(
                task,
                lambda have=have: task.kind.delete(self._cx, have),  # type: ignore[misc]
                lambda task, error, name=name: self._swept(task, name, error),  # type: ignore[misc]
            )

    # -- what a call says ------------------------------------------------------------------------

    def _call(
        self,
        task: Task,
        function: Callable[[], object],
        then: Callable[[Task, Exception | None], None],
    ) -> None:
        task.calling += 1

        def finished(_: object, error: Exception | None) -> None:
            task.calling -= 1
            then(task, error)

        self._loop.call(function, finished)

    def _created(self, task: Task, error: Exception | None) -> None:
        if error is None:
            task.asked = task.made = True
            task.attempts = 0
            self._wait(task, 0.0)
        elif isinstance(error, Retryable):
            task.unsure = task.unsure or error.ambiguous
            self._again(task, error)
        elif isinstance(error, NotOurs) and task.unsure:
            task.asked = True  # our own earlier try took the name; the list lags behind
            self._wait(task, note="made, not listed yet")
        else:
            self._fail(task, error)

    def _updated(self, task: Task, error: Exception | None) -> None:
        if error is None:
            task.updates += 1
            task.attempts = 0
            task.settled_after = self._loop.now() + patience.SETTLE * self._cx.scale
            self._wait(task, 0.0)
        elif isinstance(error, Retryable):
            self._again(task, error)
        else:
            self._fail(task, error)

    def _deleted(self, task: Task, error: Exception | None) -> None:
        if error is None:
            task.asked = True
            task.attempts = 0
            self._wait(task, 0.0)
        elif isinstance(error, Retryable):
            if error.busy:
                self._sweep_again()
            self._again(task, error)
        else:
            self._fail(task, error)

    def _swept(self, task: Task, name: str, error: Exception | None) -> None:
        if error is not None:
            task.swept.discard(name)
            if not isinstance(error, Retryable):
                self._fail(task, error)
                return
            task.note = str(error)
        if not task.calling and not task.finished:
            self._wait(task, 0.0 if error is None else None)

    def _sweep_again(self) -> None:
        """Something is in the way of a delete: what the sweeps look for may have come up since."""
        for task in self._sweeps:
            if task.finished and not task.calling:
                task.finished = False
                task.deadline += self._loop.now() - task.since
                self._wait(task)

    # -- waiting, ending -------------------------------------------------------------------------

    def _look_failed(self, tasks: list[Task], attempt: int, error: Exception) -> None:
        if isinstance(error, Absent):
            for task in tasks:
                self._serve(task, {})
        elif isinstance(error, Retryable):
            delay = patience.backoff(attempt, error.after, self._cx.scale)
            self._emit(StepRetried(tasks[0].key, str(error), delay))
            for task in tasks:
                task.not_before = self._loop.now() + delay
                self._wait(task, delay, note=task.note or str(error))
        else:
            for task in tasks:
                self._fail(task, error)

    def _again(self, task: Task, error: Retryable) -> None:
        """The call is worth another try, after a look."""
        task.attempts += 1
        scale = self._cx.scale
        if error.busy:
            delay = patience.poll(self._loop.now() - task.since, scale)
        else:
            delay = patience.backoff(task.attempts, error.after, scale)
        if error.ambiguous and not task.removing:
            delay = max(delay, patience.SETTLE * scale)
        self._emit(StepRetried(task.key, str(error), delay))
        task.not_before = self._loop.now() + delay
        self._wait(task, delay, note=str(error))

    def _wait(self, task: Task, delay: float | None = None, note: str = "") -> None:
        """Come back to the task after a look, ``delay`` seconds from now (left out: when a poll is
        due).
        """
        now = self._loop.now()
        if self._stopping:
            self._outcome.stopped.setdefault(task.key, note or task.note)
            self._emit(StepStopped(task.key, note or task.note))
        elif now > task.deadline:
            minutes = (now - task.started) / 60
            what = f"no end after {minutes:.0f} min: {note or task.note}"
            hint = "nothing is lost: the same command again continues from here"
            self._fail(task, Stopped(what, where=task.key, hint=hint))
        else:
            if note:
                self._note(task, note)
            waited = now - task.since
            self._watch.add(task, patience.poll(waited, self._cx.scale) if delay is None else delay)

    def _note(self, task: Task, note: str) -> None:
        if note != task.note:
            task.note = note
            task.since = self._loop.now()
            self._emit(StepNoted(task.key, note))

    def _done(self, task: Task, note: str = "") -> None:
        first = task not in self._ended
        task.finished = True
        self._ended.add(task)
        if not first:
            return
        self._outcome.done += 1
        self._emit(StepDone(task.key, task.op, self._loop.now() - task.started, note))
        self._order.done(task.key)
        self._release()

    def _fail(self, task: Task, error: Exception) -> None:
        if task.op in ("delete", "sweep") and task.kind.best_effort:
            self._emit(Warned(task.key, str(error)))
            if not task.finished:
                self._done(task, note="left to the sweep of the cloud")
            return
        if isinstance(error, ClusterkitError) and not error.where:
            error.where = task.key
        self._outcome.failed[task.key] = error
        self._emit(StepFailed(task.key, task.op, self._loop.now() - task.started, error))
        self._halt()

    def _halt(self, *, interrupted: bool = False) -> None:
        self._outcome.interrupted = self._outcome.interrupted or interrupted
        if self._stopping:
            return
        self._stopping = True
        self._loop.forget_timers()
        for task in self._watch.drop():
            if not task.finished and task.key not in self._outcome.failed:
                self._outcome.stopped[task.key] = task.note
                self._emit(StepStopped(task.key, task.note))


def _typical(step: Step) -> float:
    """Seconds of the real cloud the step usually takes; 0 unknown."""
    takes = step.kind.takes
    match step.op:
        case "create" | "wait":
            return takes.create
        case "delete" | "sweep":
            return takes.delete
        case "replace":
            return takes.create + takes.delete
        case "update" | "keep":
            return 0.0
