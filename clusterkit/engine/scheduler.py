"""One thread that decides, a few that call, and a heap of due times: waiting holds no thread.

A ``Scheduler`` is the lane of one run or one plan: its calls, its timers, its end. Lanes lie on a
``Loop``, and everything but the calls themselves happens on the thread that runs the loop, so the
engine needs no locks. A plan runs a loop of its own on its caller's thread (``run``); all runs of a
process share ``SHARED`` (``join``), whose thread lasts as long as there are lanes.

Time in which the process was stopped (Ctrl-Z, SIGSTOP) does not count: nothing could be seen to
change meanwhile, so it is no reason to give up.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from clusterkit.engine import threads, workers

TICK = 0.2
"""seconds the loop waits at most, so that it notices that it is to stop, or was stopped"""
STOPPED = 5.0
"""seconds a wait ends too late until the process counts as stopped; a busy machine is quicker"""
BATCH = 100
"""results in a row, before timers have their turn"""

Then = Callable[[Any, Exception | None], None]


def _nothing(*_: object) -> None:
    return


class Loop:
    """The due times and the results of some lanes; only for the thread that runs it, but for
    ``soon``.
    """

    def __init__(self) -> None:
        self._results: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._due: list[tuple[float, int, Scheduler, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._lost = 0.0
        """seconds in which the process was stopped"""

    def now(self) -> float:
        """Seconds on the clock that timers count by."""
        return time.monotonic() - self._lost

    def soon(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the loop's thread; callable from any thread and signal handler."""
        self._results.put(function)

    def later(self, seconds: float, lane: Scheduler, function: Callable[[], None]) -> None:
        """Run ``function`` on the loop's thread, ``seconds`` from now."""
        heapq.heappush(self._due, (self.now() + seconds, next(self._serial), lane, function))

    def forget(self, lane: Scheduler) -> None:
        """Drop the timers of a lane."""
        self._due = [each for each in self._due if each[2] is not lane]
        heapq.heapify(self._due)

    def wait(self) -> None:
        """Take the results there are, or wait until there are some or a timer is due, at most
        ``TICK``.
        """
        until = self._due[0][0] - self.now() if self._due else TICK
        timeout = max(0.0, min(until, TICK))
        began = time.monotonic()
        with suppress(Empty):
            try:
                finish = self._results.get(timeout=timeout)
            finally:
                late = time.monotonic() - began - timeout
                self._lost += late if late > STOPPED else 0.0
            finish()
            del finish  # while it waits it keeps nobody's cluster
            for _ in range(BATCH):
                self._results.get_nowait()()

    def fire(self) -> None:
        """Run what is due."""
        while self._due and self._due[0][0] <= self.now():
            _, _, lane, function = heapq.heappop(self._due)
            lane.ring(function)
            del lane, function


class SharedLoop(Loop):
    """One for all runs of a process; its thread lasts from the first lane to the last."""

    def __init__(self) -> None:
        super().__init__()
        self._lanes: set[Scheduler] = set()
        self._guard = threading.Lock()
        self._thread: threads.Thread | None = None

    @property
    def ended(self) -> bool:
        """Whether its thread has come to an end; with lanes left only for want of memory."""
        thread = self._thread
        return thread is None or thread.ended

    @property
    def here(self) -> bool:
        """Whether this thread is the loop's."""
        return threading.current_thread() is self._thread

    def join(self, lane: Scheduler) -> None:
        """Take a lane in; ``ClusterkitError`` if the thread cannot be started."""
        with self._guard:
            self._lanes.add(lane)
            if not self.ended:
                return
            try:
                self._thread = threads.start(self._run, "clusterkit-loop")
            except BaseException:
                self._lanes.discard(lane)
                raise

    def leave(self, lane: Scheduler) -> None:
        """The lane has come to its end."""
        self._lanes.discard(lane)

    def _run(self) -> None:
        try:
            tick = time.monotonic()
            while self._needed():
                self.wait()
                self.fire()
                if (now := time.monotonic()) - tick >= TICK:
                    tick = now
                    for lane in tuple(self._lanes):
                        lane.decide(_nothing)
        except BaseException as error:
            with self._guard:
                lanes, self._lanes, self._thread = self._lanes, set(), None
            for lane in lanes:
                lane.fail(threads.out_of_memory() if isinstance(error, MemoryError) else error)
            raise

    def _needed(self) -> bool:
        with self._guard:
            if not self._lanes:
                self._thread = None
            return bool(self._lanes)


class Scheduler:
    """The lane of one run or plan: makes its calls on a few threads, and everything else on that of
    its loop.
    """

    def __init__(
        self,
        limit: int = 16,
        loop: SharedLoop | None = None,
        *,
        place: Hashable = None,
        urgent: bool = False,
    ) -> None:
        """At most ``limit`` calls at a time, on the threads that the process has for calls of that
        ``place``; ``urgent`` ones before those of others. Without a ``loop`` it has its own.
        """
        self._limit = limit
        self._place = place
        self._urgent = urgent
        self._shared = loop
        self._loop: Loop = loop or Loop()
        self._in_flight = 0
        """calls that are begun or wait for a thread"""
        self._begun = 0
        self._timers = 0
        self._work: deque[tuple[Callable[[], Any], Then]] = deque()
        self._broken = False
        """there was no memory to report the result of a call"""
        self._over = False
        """after its end: what is not begun is never begun"""
        self._joined = False
        """whether it has begun to work on a shared loop; until then it is not idle"""
        self._tick: Callable[[], None] = _nothing
        self._idle: Callable[[], None] | None = None
        self._failed: Callable[[BaseException], None] = _nothing

    @property
    def busy(self) -> bool:
        """Whether a call is in flight or a timer set."""
        return bool(self._in_flight or self._timers)

    def now(self) -> float:
        """Seconds on the clock that ``later`` counts by."""
        return self._loop.now()

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
            job = partial(self._make, function, then)
            workers.SHARED.put(job, self._place, urgent=self._urgent)
            self._begun += 1

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Run ``function`` on the loop's thread, ``seconds`` from now."""
        self._loop.later(seconds, self, function)
        self._timers += 1

    def ring(self, function: Callable[[], None]) -> None:
        """A timer is due."""
        self._timers -= 1
        self.decide(function)

    def forget_timers(self) -> None:
        """End every wait at once."""
        self._loop.forget(self)
        self._timers = 0

    def soon(self, function: Callable[[], None]) -> None:
        """Run ``function`` on the loop's thread; callable from any thread and signal handler."""
        self._loop.soon(partial(self.decide, function))

    # -- on its own loop --------------------------------------------------------------------------

    def run(self, tick: Callable[[], None] = _nothing) -> None:
        """Work until no call is in flight and no timer is set; ``tick`` is called every now and
        then meanwhile, at least each ``TICK`` seconds.
        """
        try:
            while self.busy:
                tick()
                self._loop.wait()
                if self._broken:
                    raise threads.out_of_memory()
                self._loop.fire()
        except BaseException:
            self._over = True
            raise

    # -- on the loop of the process ---------------------------------------------------------------

    def join(
        self,
        begin: Callable[[], None],
        *,
        tick: Callable[[], None] = _nothing,
        idle: Callable[[], None] | None = None,
        failed: Callable[[BaseException], None],
    ) -> None:
        """Work on the loop it was made with, beginning with ``begin``; returns at once.

        ``tick`` is called before each decision, at least each ``TICK`` seconds. When no call is in
        flight and no timer set, the lane ends with ``idle``; left out, it stays until it is told to
        ``leave``. What a decision raises ends it with ``failed(error)``.
        """
        assert self._shared is not None
        self._tick, self._idle, self._failed = tick, idle, failed
        self._shared.join(self)

        def first() -> None:
            self._joined = True
            begin()

        self.soon(first)

    def leave(self) -> None:
        """End the lane: what is not begun is never begun, and no result is reported."""
        self._over = True
        self._work.clear()
        self.forget_timers()
        if self._shared is not None:
            self._shared.leave(self)

    def decide(self, function: Callable[[], None]) -> None:
        """Run ``function``, if the lane has not ended; its error is the end of the lane."""
        if self._shared is None:
            function()
            return
        if self._over:
            return
        try:
            if self._broken:
                raise threads.out_of_memory()
            self._tick()
            function()
            if self._idle is not None and self._joined and not (self.busy or self._over):
                self.leave()
                self._idle()
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the lane with an error."""
        self.leave()
        self._failed(error)

    # -- calls ------------------------------------------------------------------------------------

    def _make(self, function: Callable[[], Any], then: Then) -> None:
        """On a worker: the call, if the loop still waits for it."""
        sound = False
        try:
            if not self._over:
                finish = self._made(function, then)
                if not self._over:
                    self._loop.soon(partial(self.decide, finish))
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


SHARED = SharedLoop()
"""the one of this process"""
