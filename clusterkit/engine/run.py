"""Run a plan: order, calls, waits and ends; what to do about one resource is ``reconcile.py``'s.

A failure starts nothing new, ends every wait at once and lets calls in flight finish, so that the
same command again continues; Ctrl-C takes the same path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any, Literal

from clusterkit.engine import backoff
from clusterkit.engine.events import (
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
from clusterkit.engine.plan import Plan, Step
from clusterkit.engine.poller import Poller
from clusterkit.engine.reconcile import Reconcile
from clusterkit.engine.resource import Ctx
from clusterkit.engine.scheduler import Scheduler
from clusterkit.engine.task import Task
from clusterkit.errors import Absent, Busy, ClusterkitError, Retryable, ServerError, TimedOut


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
        self._loop = Scheduler(threads)
        self._converge = Reconcile(cx, self)
        self._watch = Poller(self._loop, cx, self._converge.serve, self._look_failed)
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
        limit = backoff.deadline(step.kind.patience, self._cx.scale)
        task = Task(step, started=now, deadline=now + limit, since=now)
        task.removing = step.op in ("delete", "replace")
        if step.op == "sweep":
            self._sweeps.append(task)
        self._emit(StepStarted(step.key, step.op, step.typical * self._cx.scale))
        self.wait(task, 0.0)

    # -- reconcile.Actions ----------------------------------------------------------------------

    def now(self) -> float:
        """Seconds on the run's clock."""
        return self._loop.now()

    def call(
        self,
        task: Task,
        function: Callable[[], object],
        then: Callable[[Task, Exception | None], None],
    ) -> None:
        """Run ``function`` on a worker, then ``then(task, error)`` on the run's thread."""
        task.calling += 1

        def finished(_: object, error: Exception | None) -> None:
            task.calling -= 1
            then(task, error)

        self._loop.call(function, finished)

    def sweep_again(self) -> None:
        """Something is in the way of a delete: what the sweeps look for may have come up since."""
        for task in self._sweeps:
            if task.finished and not task.calling:
                task.finished = False
                task.deadline += self._loop.now() - task.since
                self.wait(task)

    def _look_failed(self, tasks: list[Task], attempt: int, error: Exception) -> None:
        if isinstance(error, Absent):
            for task in tasks:
                self._converge.serve(task, {})
        elif isinstance(error, Retryable):
            delay = backoff.backoff(attempt, error.after, self._cx.scale)
            self._emit(StepRetried(tasks[0].key, str(error), delay))
            for task in tasks:
                task.not_before = self._loop.now() + delay
                self.wait(task, delay, note=task.note or str(error))
        else:
            for task in tasks:
                self.fail(task, error)

    def again(self, task: Task, error: Retryable) -> None:
        """The call is worth another try, after a look."""
        task.attempts += 1
        scale = self._cx.scale
        if isinstance(error, Busy):
            delay = backoff.poll(self._loop.now() - task.since, scale)
        else:
            delay = backoff.backoff(task.attempts, error.after, scale)
        if isinstance(error, ServerError) and not task.removing:
            delay = max(delay, backoff.SETTLE * scale)
        self._emit(StepRetried(task.key, str(error), delay))
        task.not_before = self._loop.now() + delay
        self.wait(task, delay, note=str(error))

    def wait(self, task: Task, delay: float | None = None, note: str = "") -> None:
        """Look at the task again in ``delay`` seconds, or (left out) when a poll is due."""
        now = self._loop.now()
        if self._stopping:
            self._outcome.stopped.setdefault(task.key, note or task.note)
            self._emit(StepStopped(task.key, note or task.note))
        elif now > task.deadline:
            minutes = (now - task.started) / 60
            what = f"no end after {minutes:.0f} min: {note or task.note}"
            hint = "nothing is lost: the same command again continues from here"
            self.fail(task, TimedOut(what, where=task.key, hint=hint))
        else:
            if note:
                self.note(task, note)
            waited = now - task.since
            self._watch.add(task, backoff.poll(waited, self._cx.scale) if delay is None else delay)

    def note(self, task: Task, note: str) -> None:
        """Say what the task is doing, if that is news."""
        if note != task.note:
            task.note = note
            task.since = self._loop.now()
            self._emit(StepNoted(task.key, note))

    def done(self, task: Task, note: str = "") -> None:
        """The task's wish is true; a woken sweep ends a second time, quietly."""
        first = task not in self._ended
        task.finished = True
        self._ended.add(task)
        if not first:
            return
        if task.step.found or task.removed:
            self._outcome.done += 1
        self._emit(StepDone(task.key, task.op, self._loop.now() - task.started, note))
        self._order.done(task.key)
        self._release()

    def fail(self, task: Task, error: Exception) -> None:
        """The task has failed, and the run with it, unless it was only an attempt."""
        if task.op in ("delete", "sweep") and task.kind.best_effort:
            self._emit(Warned(task.key, error.what if isinstance(error, TimedOut) else str(error)))
            if not task.finished:
                self.done(task, note="left to the sweep of the cloud")
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
