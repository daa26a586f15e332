"""Time in the emulated clouds: one monotonic clock, and what happens to an object when it is due.

Due changes are made by whoever comes first: the next request, which then sees them made, or a
thread of the clock, so that nodes appear and clusters go although nobody asks. Whoever comes while
a change is being made waits for it. A change is called with no other lock held than that.

Recorded durations of the real services (``pace.RECORDED``) are divided by the pace; seconds that a
user gave are real ones.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from clusterkit_sandbox.pace import Pace

_LOG = logging.getLogger(__name__)
Change = Callable[[], None]


class Clock:
    """Pending changes, by due time. Its thread starts with the first change that has to wait.

    Call ``advance`` before taking the lock that changes take, never while holding it.
    """

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._wake = threading.Condition()
        self._making = threading.RLock()
        self._calling = threading.RLock()
        self._calls: deque[Change] = deque()
        """what is to be asked of somebody who may ask back, once no change is under way"""
        self._heap: list[tuple[float, int, Change]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._life = 0

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def due(self, what: str) -> float:
        """When something with this recorded duration is done, if it starts now."""
        return self.now + self.pace.seconds(what)

    def later(self, what: str, change: Change) -> None:
        """Apply ``change`` after the recorded duration of ``what``."""
        self.after(self.pace.seconds(what), change)

    def after(self, seconds: float, change: Change) -> None:
        """Apply ``change`` after so many seconds."""
        with self._wake:
            heapq.heappush(self._heap, (self.now + seconds, next(self._numbers), change))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, args=(self._life,), name="sandbox-clock", daemon=True
                )
                self._thread.start()
            self._wake.notify()

    def aside(self, call: Change) -> None:
        """Make a call with the next advance, when no change is under way: who answers it may have
        to know what is true by now (``settle``).
        """
        self.after(0, lambda: self._calls.append(call))

    def advance(self) -> None:
        """Apply every change that is due, in order, and make the calls put aside."""
        self.settle()
        with self._calling:
            while self._calls:
                call = self._calls.popleft()
                try:
                    call()
                except Exception:
                    _LOG.exception("a call of an emulated cloud failed")

    def settle(self) -> None:
        """Apply every change that is due and make no call: for whoever answers one."""
        with self._making:
            while True:
                with self._wake:
                    if not self._heap or self._heap[0][0] > self.now:
                        return
                    change = heapq.heappop(self._heap)[2]
                try:
                    change()
                except Exception:
                    _LOG.exception("a change of an emulated cloud failed")

    def clear(self) -> None:
        """Drop pending changes, wait for a running one, and end the thread."""
        with self._calling, self._making, self._wake:
            self._heap.clear()
            self._calls.clear()
            self._life += 1
            thread, self._thread = self._thread, None
            self._wake.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(5)

    def _run(self, life: int) -> None:
        while True:
            with self._wake:
                if self._life != life:
                    return
                wait = self._heap[0][0] - self.now if self._heap else None
                if wait is None or wait > 0:
                    self._wake.wait(wait)
                    continue
            self.advance()


@dataclass
class Living:
    """An object of the API that passes through the vendor's states."""

    shown: dict[str, Any]
    """the object as the API shows it"""
    then: str | None = None
    """the state it is going to; changes to it count until it gets there"""
    passage: int = 0
    """the number of the passage it is on"""


class Life:
    """Takes objects through their states. Call it with the lock held."""

    def __init__(self, clock: Clock, lock: AbstractContextManager[Any], *field: str) -> None:
        """``field`` is where the API shows the state: ``"properties", "provisioningState"``."""
        self._clock = clock
        self._lock = lock
        self._field = field

    def show(self, thing: Living, state: str) -> None:
        """Show another state, and let the passage that the object is on go on."""
        *above, last = self._field
        place = thing.shown
        for name in above:
            place = place[name]
        place[last] = state

    def go(
        self,
        thing: Living,
        state: str,
        what: str,
        then: str | None,
        arrived: Callable[[], None] | None = None,
    ) -> None:
        """Show ``state`` now and ``then`` after the recorded duration of ``what``.

        ``arrived`` is called just before ``then`` is shown, with the lock; ``then`` is None for an
        object that ``arrived`` removes. An earlier passage that has not ended ends unfinished.
        """
        self.show(thing, state)
        thing.then = then
        thing.passage = passage = thing.passage + 1

        def arrive() -> None:
            with self._lock:
                if thing.passage != passage:
                    return
                if arrived is not None:
                    arrived()
                if thing.then is not None:
                    self.show(thing, thing.then)
                    thing.then = None

        self._clock.later(what, arrive)
