"""Run a plan: order, calls, waits and ends; what to do about one resource is ``reconcile.py``'s.

On ``up`` a failure starts nothing new, ends every wait at once and lets calls in flight finish, so
that the same command again continues; Ctrl-C takes the same path. On ``destroy`` a failure stops
only what depends on it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
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
from clusterkit.engine.inventory import Inventory
from clusterkit.engine.kind import Env
from clusterkit.engine.operation import Done, Failed, Operation
from clusterkit.engine.outcome import Outcome
from clusterkit.engine.plan import Plan
from clusterkit.engine.poller import Poller
from clusterkit.engine.reconcile import Reconcile
from clusterkit.engine.scheduler import Scheduler, SharedLoop
from clusterkit.engine.scope import Scope
from clusterkit.engine.step import Step
from clusterkit.engine.task import Task
from clusterkit.errors import (
    Absent,
    Busy,
    CloudError,
    ClusterkitError,
    Gone,
    Locked,
    Retryable,
    ServerError,
    TimedOut,
)


class Run:
    """Runs one plan, once."""

    def __init__(
        self,
        scope: Scope[Any],
        plan: Plan,
        emit: Emit,
        *,
        scale: float = 1.0,
        threads: int = 16,
        loop: SharedLoop | None = None,
    ) -> None:
        """``emit`` gets every event, on the thread that calls the run, or on that of the ``loop``
        on which it is started.
        """
        self._scope = scope = replace(scope, destroying=plan.destroy)
        self._plan = plan
        self._emit = emit
        self._scale = scale
        self._scheduler = Scheduler(threads, loop, place=scope.place)
        self._started = 0.0
        self._states = states = dict(plan.snapshot.states)
        lives: dict[str, int] = {}
        run = plan.snapshot.run
        env = Env(
            scope.client,
            scope.cluster,
            scope.region,
            run,
            scale,
            states,
            lives,
            place=scope.place,
            destroying=plan.destroy,
        )
        inventory = Inventory(scope, scale=scale)
        self._reconcile = Reconcile(env, states, lives, inventory, self)
        self._poller = Poller(
            self._scheduler,
            inventory,
            self._reconcile.serve,
            self._look_failed,
        )
        self._steps = {step.key: step for step in plan.steps}
        self._order: TopologicalSorter[str] = TopologicalSorter()
        self._sweeps: list[Task] = []
        self._operating: dict[Task, int] = {}
        self._ended: set[Task] = set()
        self._new: set[str] = set()
        """keys of what this run has made"""
        self._blocked: dict[str, str] = {}
        """kinds that stay because the deletion of what uses them failed, and what that was"""
        self._stopping = False
        self._outcome = Outcome()

    def stop(self) -> None:
        """End the run as a failure would; from any thread or signal handler."""
        self._scheduler.soon(lambda: self._halt(interrupted=True))

    def __call__(self, stop: threading.Event | None = None) -> Outcome:
        """Run the plan to its end, to the first failure, or until ``stop`` is set."""
        self._start()
        self._scheduler.run(partial(self._look, stop))
        return self._end()

    def start(
        self,
        stop: threading.Event,
        then: Callable[[Outcome | None, BaseException | None], None],
    ) -> None:
        """The same on the loop: returns at once, and ``then(outcome, error)`` is called there at
        the end; ``error`` is what ``emit`` or a worker raised.
        """
        self._scheduler.join(
            self._start,
            tick=partial(self._look, stop),
            idle=lambda: then(self._end(), None),
            failed=lambda error: then(None, error),
        )

    def abandon(self) -> None:
        """On the loop: begin nothing more, and report nothing."""
        self._scheduler.leave()

    @property
    def _action(self) -> Literal["up", "destroy"]:
        return "destroy" if self._plan.destroy else "up"

    def _start(self) -> None:
        self._started = self._scheduler.now()
        nodes: dict[str, frozenset[str]] = {step.key: step.deps for step in self._plan.steps}
        self._order = TopologicalSorter({**nodes, **self._plan.barriers})
        self._order.prepare()
        todo = tuple((step.key, step.op) for step in self._plan.todo)
        run = str(self._plan.snapshot.run)
        self._emit(RunStarted(self._action, self._scope.cluster, run, todo))
        self._release()

    def _look(self, stop: threading.Event | None) -> None:
        if stop is not None and stop.is_set():
            self._halt(interrupted=True)

    def _end(self) -> Outcome:
        result = self._outcome
        counts = (result.done, len(result.failed), len(result.stopped))
        took = self._scheduler.now() - self._started
        self._emit(RunEnded(self._action, self._scope.cluster, *counts, took))
        return result

    def _release(self) -> None:
        """Begin every step whose edges are ready."""
        while not self._stopping and self._order.is_active() and (keys := self._order.get_ready()):
            for key in keys:
                step = self._steps.get(key)
                if step is None or step.op == "keep":
                    self._order.done(key)
                elif cause := self._blocked.get(step.kind.kind):
                    if step.found:
                        self._stopped(key, f"not deleted, because {cause} still exists")
                    self._order.done(key)
                else:
                    self._begin(step)

    def _begin(self, step: Step) -> None:
        now = self._scheduler.now()
        limit = backoff.deadline(step.kind.patience, self._scale)
        task = Task(step, started=now, limit=limit, since=now, changed=now)
        task.removing = step.op in ("delete", "replace")
        if step.op == "sweep":
            self._sweeps.append(task)
        self._emit(StepStarted(step.key, step.op, step.typical * self._scale))
        if step.op == "create" and not self._new.isdisjoint(step.made_of):
            self._reconcile.serve(task, {})  # nothing is older than what it needs
        else:
            self.wait(task, 0.0)

    # -- actions.Actions -------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds on the run's clock."""
        return self._scheduler.now()

    def call(
        self,
        task: Task,
        function: Callable[[], object],
        then: Callable[[Task, Any, Exception | None], None],
    ) -> None:
        """Run ``function`` on a worker, then ``then(task, result, error)`` on the run's thread.

        A run that stops begins no call. ``Absent`` reaches ``then`` as ``Gone``.
        """
        if self._stopping:
            self._stop_task(task, "")
            return
        task.calling += 1

        def finished(result: object, error: Exception | None) -> None:
            task.calling -= 1
            if isinstance(error, Absent):
                error = Gone(f"{error} does not exist")
            then(task, result, error)

        self._scheduler.call(function, finished)

    def operate(self, task: Task, operation: Operation[Any]) -> None:
        """Poll the operation to its end, then look."""
        task.operation = operation
        self._poll_later(task, task.poll(self._scheduler.now(), self._scale))

    def _poll_later(self, task: Task, delay: float) -> None:
        if self._stopping:
            self._stop_task(task, task.note)
        elif late := task.late(self._scheduler.now(), self._scale):
            self.fail(task, late)
        elif (operation := task.operation) is not None:
            self._operating[task] = 1
            poll = partial(operation.poll, self._scope)
            self._scheduler.later(delay, lambda: self.call(task, poll, self._polled))

    def _polled(self, task: Task, outcome: Any, error: Exception | None) -> None:
        self._operating.pop(task, None)
        pause = task.poll(self._scheduler.now(), self._scale)
        if isinstance(error, Retryable):
            task.attempts += 1
            task.trouble = error
            delay = max(pause, error.after or 0.0)
            self._emit(StepRetried(task.key, str(error), delay))
            self._poll_later(task, delay)
        elif isinstance(outcome, Done) or isinstance(error, Gone):
            task.operation = task.trouble = None
            task.attempts = 0
            self._touch(task)
            self.wait(task, 0.0)
        elif isinstance(outcome, Failed):
            task.operation = None
            self._reconcile.failed(task, outcome.error)
        elif error is not None:
            self.fail(task, error)
        else:
            was, task.trouble = task.trouble, None
            if outcome.note and outcome.note != task.note:
                self.note(task, outcome.note)
                self._touch(task)
            elif was is not None:
                self._emit(StepNoted(task.key, task.note))  # on the screen again
            self._poll_later(task, max(pause, (outcome.after or 0.0) * self._scale))

    def _touch(self, task: Task) -> None:
        task.changed = self._scheduler.now()

    def sweep_again(self) -> None:
        """Something is in the way of a delete: what the sweeps look for may have come up since."""
        for task in () if self._stopping else self._sweeps:
            if task.finished and not task.calling:
                task.finished = False
                self._touch(task)
                self.wait(task)

    def _look_failed(self, tasks: list[Task], attempt: int, error: Exception) -> None:
        if isinstance(error, Absent):
            for task in tasks:
                self._reconcile.serve(task, {})
        elif isinstance(error, Retryable):
            delay = backoff.delay(attempt, error.after, self._scale)
            self._emit(StepRetried(tasks[0].key, str(error), delay))
            for task in tasks:
                task.trouble = error
                task.not_before = self._scheduler.now() + delay
                self.wait(task, delay, note=str(error))
        else:
            for task in tasks:
                self.fail(task, error)

    def again(self, task: Task, error: Retryable) -> None:
        """The call is worth another try, after a look."""
        task.attempts += 1
        task.trouble = error
        if isinstance(error, Busy):
            delay = backoff.poll(self._scheduler.now() - task.since, self._scale)
        else:
            delay = backoff.delay(task.attempts, error.after, self._scale)
        if isinstance(error, ServerError) and not task.removing:
            delay = max(delay, backoff.SETTLE * self._scale)
        self._emit(StepRetried(task.key, str(error), delay))
        task.not_before = self._scheduler.now() + delay
        self.wait(task, delay, note=str(error))

    def wait(self, task: Task, delay: float | None = None, note: str = "") -> None:
        """Look at the task again in ``delay`` seconds, or (left out) when a poll is due."""
        if self._stopping:
            self._stop_task(task, note or task.note)
            return
        if note:
            self.note(task, note)
        if late := task.late(self._scheduler.now(), self._scale):
            self.fail(task, late)
        else:
            pause = task.poll(self._scheduler.now(), self._scale) if delay is None else delay
            self._poller.add(task, pause)

    def note(self, task: Task, note: str) -> None:
        """Say what the task is doing, if that is news."""
        if note != task.note:
            task.note = note
            task.since = self._scheduler.now()
            self._emit(StepNoted(task.key, note))

    def done(self, task: Task, note: str = "") -> None:
        """The task's desired state is reached; a woken sweep ends a second time, quietly."""
        first = task not in self._ended
        task.finished = True
        self._ended.add(task)
        if not first:
            return
        if task.step.found or task.removed:
            self._outcome.done += 1
        if task.made:
            self._new.add(task.key)
        there = None if task.removing else self._states.get(task.key)
        seconds, identifier = self._scheduler.now() - task.started, getattr(there, "id", "")
        self._emit(StepDone(task.key, task.op, seconds, note, str(identifier)))
        self._order.done(task.key)
        self._release()

    def fail(self, task: Task, error: Exception) -> None:
        """The task has failed, and with it the run (up) or what depends on it (destroy)."""
        if isinstance(error, ClusterkitError) and not error.where:
            error.where = task.key
        if task.kind.optional and isinstance(error, CloudError | TimedOut):
            self._leave_out(task, error)
            return
        if task in self._ended:
            task.finished = True
            return
        self._outcome.failed[task.key] = error
        self._emit(StepFailed(task.key, task.op, self._scheduler.now() - task.started, error))
        bug = not isinstance(error, ClusterkitError)
        if not self._plan.destroy or bug or isinstance(error, Locked):
            self._halt()
            return
        self._ended.add(task)
        task.finished = True
        self._block(task.kind.kind, task.key)
        self._order.done(task.key)
        self._release()

    def _leave_out(self, task: Task, error: ClusterkitError) -> None:
        if task in self._ended:
            task.finished = True
            return
        self._outcome.left_out[task.key] = error
        self._emit(Warned(task.key, "; ".join(filter(None, (error.what, error.hint)))))
        self._ended.add(task)
        task.finished = True
        self._emit(StepStopped(task.key, "left out"))
        self._order.done(task.key)
        self._release()

    def _block(self, kind: str, cause: str) -> None:
        """Everything that a kind uses stays while one of it exists."""
        uses = {step.kind.kind: step.kind.uses for step in self._plan.steps}
        for needed in uses.get(kind, ()):
            if needed not in self._blocked:
                self._blocked[needed] = cause
                self._block(needed, cause)

    def _stop_task(self, task: Task, note: str) -> None:
        if task not in self._ended:  # a sweep that was woken has ended before
            self._stopped(task.key, note)

    def _stopped(self, key: str, note: str) -> None:
        if key not in self._outcome.stopped and key not in self._outcome.failed:
            self._outcome.stopped[key] = note
            self._emit(StepStopped(key, note))

    def _halt(self, *, interrupted: bool = False) -> None:
        self._outcome.interrupted = self._outcome.interrupted or interrupted
        if self._stopping:
            return
        self._stopping = True
        self._scheduler.forget_timers()
        for task in [*self._poller.drop(), *self._operating]:
            if not task.finished and not task.calling:
                self._stop_task(task, task.note)
