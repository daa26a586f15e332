"""One thread that decides, a few that call, and a heap of due times: waiting holds no thread.

Everything but the calls themselves happens on the thread that is in ``run()``, so the engine needs
no locks. Time in which the process was stopped (Ctrl-Z, SIGSTOP) does not count: nothing could be
seen to change meanwhile, so it is no reason to give up.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from clusterkit.engine import threads
from clusterkit.errors import ClusterkitError

TICK = 1.0
"""seconds the loop waits at most, so that it notices that it was stopped"""
STOPPED = 5.0
"""seconds a wait ends too late until the process counts as stopped; a busy machine is quicker"""

Then = Callable[[Any, Exception | None], None]


class Scheduler:
    """Runs calls on a few threads and everything else on the caller's."""

    def __init__(self, limit: int = 16) -> None:
        """At most ``limit`` threads, started only as calls need them; they end with ``run()``."""
        self._limit = limit
        self._threads = 0
        self._in_flight = 0
        self._work: SimpleQueue[tuple[Callable[[], Any], Then] | None] = SimpleQueue()
        self._results: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._lost = 0.0
        """seconds in which the process was stopped"""
        self._broken = False
        """a thread ended before it could report the result of its call"""

    def now(self) -> float:
        """Seconds on the clock that ``later`` counts by."""
        return time.monotonic() - self._lost

    def call(self, function: Callable[[], Any], then: Then) -> None:
        """Run ``function`` on a worker, then ``then(result, error)`` on the loop's thread."""
        if self._in_flight >= self._threads and self._threads < self._limit:
            self._add_thread()
        self._in_flight += 1
        self._work.put((function, then))

    def _add_thread(self) -> None:
        try:
            threads.start(self._worker, f"clusterkit-call-{self._threads + 1}")
        except ClusterkitError:
            if not self._threads:
                raise
            self._limit = self._threads  # slower with those there are, but not stuck
        else:
            self._threads += 1

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Run ``function`` on the loop's thread, ``seconds`` from now."""
        heapq.heappush(self._due, (self.now() + seconds, next(self._serial), function))

    def forget_timers(self) -> None:
        """End every wait at once."""
        self._due.clear()

    def soon(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the loop's thread; callable from any thread and signal handler."""
        self._results.put(function)

    def run(self) -> None:
        """Work until no call is in flight and no timer is set."""
        try:
            while self._in_flight or self._due:
                self._wait()
                if self._broken:
                    raise threads.out_of_memory()
                while self._due and self._due[0][0] <= self.now():
                    heapq.heappop(self._due)[2]()
        finally:
            with suppress(Empty):  # only after an exception: what was queued is not begun
                while True:
                    self._work.get_nowait()
            for _ in range(self._threads):
                self._work.put(None)
            self._threads = 0

    def _wait(self) -> None:
        until = self._due[0][0] - self.now() if self._due else TICK
        timeout = max(0.0, min(until, TICK))
        began = time.monotonic()
        try:
            try:
                finish = self._results.get(timeout=timeout)
            finally:
                late = time.monotonic() - began - timeout
                self._lost += late if late > STOPPED else 0.0
            finish()
            while True:
                self._results.get_nowait()()
        except Empty:
            return

    def _worker(self) -> None:
        sound = False
        try:
            self._work_on()
            sound = True
        finally:
            self._broken = self._broken or not sound

    def _work_on(self) -> None:
        while (work := self._work.get()) is not None:
            function, then = work
            try:
                result, error = function(), None
            except Exception as caught:
                result, error = None, caught
            except BaseException as caught:
                self._results.put(self._raiser(caught))
                return
            self._results.put(self._finisher(then, result, error))

    def _finisher(self, then: Then, result: Any, error: Exception | None) -> Callable[[], None]:
        def finish() -> None:
            self._in_flight -= 1
            then(result, error)

        return finish

    def _raiser(self, error: BaseException) -> Callable[[], None]:
        def finish() -> None:
            self._in_flight -= 1
            raise error

        return finish
