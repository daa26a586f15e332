"""Runs the controllers: each change enqueues objects, which are reconciled one at a time.

Everything happens on the event loop except the calls to the cloud, which may take their time and go
to threads. A controller is a level-triggered loop as in Kubernetes: what it does depends on what
there is, not on what happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Protocol, TypeVar

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.controllers.events import Recorder
from clusterkit_sandbox.kube.interfaces import CloudHooks
from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.refusals import Refusal
from clusterkit_sandbox.kube.state import ClusterState
from clusterkit_sandbox.kube.store import Change
from clusterkit_sandbox.kube.writes import Writer
from clusterkit_sandbox.pace import Pace

_LOG = logging.getLogger(__name__)
_BATCH = 100
_RETRY_SECONDS = 5.0
_SHORTEST_RETRY = 0.02  # so that nothing spins when nothing else waits

Ref = tuple[GroupPlural, str, str]
"""resource, namespace, name"""

T = TypeVar("T")


def ref_of(key: GroupPlural, found: Object) -> Ref:
    """Where an object is."""
    metadata = found["metadata"]
    return key, metadata.get("namespace", ""), metadata["name"]


class Controller(Protocol):
    """One controller."""

    def concerns(self, change: Change) -> Iterable[Ref]:
        """The objects to look at after this change."""

    def reconcile(self, ref: Ref) -> float | None:
        """Reconcile one object; return the seconds until the next attempt, or None."""


class Runtime:
    """Runs the controllers of one cluster on the running event loop."""

    def __init__(
        self,
        state: ClusterState,
        writer: Writer,
        pace: Pace,
        hooks: CloudHooks,
        threads: Executor,
        faults: Faults,
    ) -> None:
        self.faults = faults
        self.state = state
        self.writer = writer
        self.pace = pace
        self.hooks = hooks
        self.events = Recorder(state, writer)
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._controllers: list[Controller] = []
        self._pending: dict[tuple[Controller, Ref], None] = {}
        self._timers: dict[tuple[Controller, Ref], asyncio.TimerHandle] = {}
        self._due: dict[Hashable, float] = {}
        self._calls: set[Hashable] = set()
        self._scheduled = False
        self._closed = False

    def start(self, controllers: Sequence[Controller]) -> None:
        """Reconcile all objects, and every object that changes."""
        self._controllers = list(controllers)
        self.state.store.listen(self._changed)
        for key, found in self.state.store.all():
            revision = int(found["metadata"]["resourceVersion"])
            self._changed(Change(revision, "ADDED", key, found, None))
        while self._pending and not self._closed:
            # what needs no time is done before the first client asks
            self._work()

    def close(self) -> None:
        """Stop; calls to the cloud that are under way end by themselves."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._pending.clear()

    def left(self, mark: Hashable, what: str) -> float:
        """Seconds left of ``what`` (a duration of the pace's table) since it was first asked for
        ``mark``; 0 when it is over, and then the mark is forgotten.
        """
        return self.left_of(mark, self.pace.seconds(what))

    def left_of(self, mark: Hashable, seconds: float) -> float:
        """The same for a duration that is paced already."""
        left = self._due.setdefault(mark, self._loop.time() + seconds) - self._loop.time()
        if left > 0:
            return left
        del self._due[mark]
        return 0.0

    def retry(self) -> float:
        """When to try again what failed."""
        return max(_SHORTEST_RETRY, self.pace.scaled(_RETRY_SECONDS))

    def later(self, controller: Controller, ref: Ref, seconds: float | None = None) -> None:
        """Look at an object again after so many real seconds, else when it is time to retry."""
        if not self._closed and (controller, ref) not in self._timers:
            wait = self.retry() if seconds is None else seconds
            timer = self._loop.call_later(wait, self._wake, controller, ref)
            self._timers[controller, ref] = timer

    def enqueue(self, controller: Controller, ref: Ref) -> None:
        """Look at an object soon."""
        if self._closed:
            return
        self._pending[controller, ref] = None
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def call(
        self,
        mark: Hashable,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[str], None],
    ) -> None:
        """Call the cloud on a thread, unless a call of this mark is under way.

        ``done`` or ``failed`` (with the cloud's words) follows on the event loop.
        """
        if mark in self._calls or self._closed:
            return
        self._calls.add(mark)
        future = self._loop.run_in_executor(self._threads, work)

        def finished(result: asyncio.Future[T]) -> None:
            self._calls.discard(mark)
            if self._closed or result.cancelled():
                return
            error = result.exception()
            if error is None:
                done(result.result())
            else:
                if not isinstance(error, RuntimeError):
                    _LOG.error("a call to the cloud failed", exc_info=error)
                failed(str(error))

        future.add_done_callback(finished)

    async def ask(self, work: Callable[[], T]) -> T:
        """What the cloud says; asked on a thread."""
        return await self._loop.run_in_executor(self._threads, work)

    def _changed(self, change: Change) -> None:
        for controller in self._controllers:
            for ref in controller.concerns(change):
                self.enqueue(controller, ref)

    def _turn(self) -> None:
        self._scheduled = False
        self._work()
        if self._pending and not self._scheduled and not self._closed:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _work(self) -> None:
        for item in list(self._pending)[:_BATCH]:
            self._pending.pop(item, None)
            self._reconcile(*item)

    def _reconcile(self, controller: Controller, ref: Ref) -> None:
        timer = self._timers.pop((controller, ref), None)
        if timer:
            timer.cancel()
        try:
            again = controller.reconcile(ref)
        except Refusal as refusal:
            _LOG.info("%s %s: %s", type(controller).__name__, ref, refusal)
            again = self.retry()
        except Exception:
            _LOG.exception("%s %s", type(controller).__name__, ref)
            again = _RETRY_SECONDS
        if again is not None and not self._closed:
            later = self._loop.call_later(again, self._wake, controller, ref)
            self._timers[controller, ref] = later

    def _wake(self, controller: Controller, ref: Ref) -> None:
        self._timers.pop((controller, ref), None)
        self.enqueue(controller, ref)
