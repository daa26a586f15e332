"""One thread that decides, a few that call, and a heap of due times: waiting holds no thread.

Everything but the calls themselves happens on the thread that is in ``run()``, so the engine needs
no locks. Time in which the process was stopped (Ctrl-Z, SIGSTOP) does not count: nothing could be
seen to change meanwhile, so it is no reason to give up.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from clusterkit.engine import threads, workers

TICK = 0.2
"""seconds the loop waits at most, so that it notices that it is to stop, or was stopped"""
STOPPED = 5.0
"""seconds a wait ends too late until the process counts as stopped; a busy machine is quicker"""

Then = Callable[[Any, Exception | None], None]


class Scheduler:
    """Runs calls on a few threads and everything else on the caller's."""

    def __init__(self, limit: int = 16) -> None:
        """At most ``limit`` calls at a time, on the threads that the process has for calls."""
        self._limit = limit
        self._in_flight = 0
        """calls that are begun or wait for a thread"""
        self._begun = 0
        self._work: deque[tuple[Callable[[], Any], Then]] = deque()
        self._results: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._lost = 0.0
        """seconds in which the process was stopped"""
        self._broken = False
        """there was no memory to report the result of a call"""
        self._over = False
        """after an exception: what is not begun is never begun"""

    def now(self) -> float:
        """Seconds on the clock that ``later`` counts by."""
        return time.monotonic() - self._lost

    def call(self, function: Callable[[], Any], then: Then) -> None:
        """Run ``function`` on a worker, then ``then(result, error)`` on the loop's thread."""
        self._work.append((function, then))
        self._in_flight += 1
        try:
            self._begin()
        except BaseException:
            self._in_flight -= 1
            raise

    def _begin(self) -> None:
        while self._work and self._begun < self._limit:
            function, then = self._work.popleft()
            workers.SHARED.put(partial(self._make, function, then))
            self._begun += 1

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Run ``function`` on the loop's thread, ``seconds`` from now."""
        heapq.heappush(self._due, (self.now() + seconds, next(self._serial), function))

    def forget_timers(self) -> None:
        """End every wait at once."""
        self._due.clear()

    def soon(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the loop's thread; callable from any thread and signal handler."""
        self._results.put(function)

    def run(self, tick: Callable[[], None] = lambda: None) -> None:
        """Work until no call is in flight and no timer is set; ``tick`` is called every now and
        then meanwhile, at least each ``TICK`` seconds.
        """
        try:
            while self._in_flight or self._due:
                tick()
                self._wait()
                if self._broken:
                    raise threads.out_of_memory()
                while self._due and self._due[0][0] <= self.now():
                    heapq.heappop(self._due)[2]()
        except BaseException:
            self._over = True
            raise

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

    def _make(self, function: Callable[[], Any], then: Then) -> None:
        """On a worker: the call, if the loop still waits for it."""
        sound = False
        try:
            if not self._over:
                self._results.put(self._made(function, then))
            sound = True
        finally:
            self._broken = self._broken or not sound

    def _made(self, function: Callable[[], Any], then: Then) -> Callable[[], None]:
        try:
            result, error = function(), None
        except Exception as caught:
            result, error = None, caught
        except BaseException as caught:
            return self._raiser(caught)
        return self._finisher(then, result, error)

    def _finisher(self, then: Then, result: Any, error: Exception | None) -> Callable[[], None]:
        def finish() -> None:
            self._ended()
            then(result, error)

        return finish

    def _raiser(self, error: BaseException) -> Callable[[], None]:
        def finish() -> None:
            self._ended()
            raise error

        return finish

    def _ended(self) -> None:
        self._in_flight -= 1
        self._begun -= 1
        self._begin()
