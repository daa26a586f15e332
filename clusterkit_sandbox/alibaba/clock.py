"""Delayed changes of the emulated cloud.

Due changes are made by whoever comes first: the next request, which then sees them made, or a
thread of the clock, so that nodes appear and clusters go although nobody asks. Whoever comes while
a change is being made waits for it. A change is called with no other lock held than that.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

_LOG = logging.getLogger(__name__)
Change = Callable[[], None]


class Clock:
    """Pending changes, by due time. Its thread starts with the first change that has to wait."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._making = threading.RLock()
        self._heap: list[tuple[float, int, Change]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._life = 0

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def after(self, seconds: float, change: Change) -> None:
        """Apply ``change`` after so many seconds."""
        with self._wake:
            heapq.heappush(self._heap, (self.now + seconds, next(self._numbers), change))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, args=(self._life,), name="alibaba-clock", daemon=True
                )
                self._thread.start()
            self._wake.notify()

    def advance(self) -> None:
        """Apply every change that is due, in order."""
        with self._making:
            while True:
                with self._wake:
                    if not self._heap or self._heap[0][0] > self.now:
                        return
                    change = heapq.heappop(self._heap)[2]
                try:
                    change()
                except Exception:
                    _LOG.exception("a change of the emulated Alibaba Cloud failed")

    def clear(self) -> None:
        """Drop pending changes, wait for a running one, and end the thread."""
        with self._making, self._wake:
            self._heap.clear()
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
