"""How often an API of an account is asked, learned from its throttling.

A cloud counts the requests of an account, not those of a cluster: of many clusters that each back
off alone, each finds out again what the others have. So they share a rate. There is none before
the first refusal; that halves the rate there was, further refusals halve it again, and it grows
slowly until it limits nothing (additive increase, multiplicative decrease: Chiu and Jain, "Analysis
of the Increase and Decrease Algorithms for Congestion Avoidance in Computer Networks", 1989).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from clusterkit.errors import Throttled

T = TypeVar("T")

WINDOW = 5.0
"""seconds over which the rate is counted that a first refusal halves; refusals of requests that
left before the rate was halved last say nothing new"""
LEAST = 2.0
"""requests a second, however often it is refused"""
GROWS = 0.1
"""share of the halved rate that is added each second: it is whole again after 10 s, and forgotten
when it is twice that, after 30 s"""
HOLDS = 0.5
"""seconds that a request waits for its turn on its thread; if it would be longer it is refused, and
its run looks again later"""


_OF_THREAD = threading.local()


@contextmanager
def urgent() -> Iterator[None]:
    """What this thread asks here does not wait for its turn: a lock must be renewed in time."""
    before, _OF_THREAD.urgent = getattr(_OF_THREAD, "urgent", False), True
    try:
        yield
    finally:
        _OF_THREAD.urgent = before


class Rate:
    """The rate limit of one API of an account. Safe on many threads."""

    def __init__(
        self,
        scale: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``scale``: how long a second of the cloud lasts here; 0 for one without time, and then
        without a rate.
        """
        self._scale = scale
        self._clock = clock
        self._sleep = sleep
        self._guard = threading.Lock()
        self._left: deque[float] = deque(maxlen=1000)
        """when requests left"""
        self._start = 0.0
        """requests a second after the last refusal; 0: no limit"""
        self._since = 0.0
        self._free = 0.0
        """when the next request may leave"""

    @property
    def limit(self) -> float | None:
        """Requests a second of the cloud now; None for no limit."""
        if not self._scale:
            return None
        with self._guard:
            return self._limit(self._now())

    def _now(self) -> float:
        return self._clock() / self._scale

    def __call__(self, send: Callable[[], T]) -> T:
        """``send()`` in its turn; ``Throttled`` without asking, with the seconds to wait, if that
        does not come soon.
        """
        if not self._scale:
            return send()
        began = self._turn()
        try:
            return send()
        except Throttled:
            self._refused(began)
            raise

    def _turn(self) -> float:
        with self._guard:
            now = self._now()
            limit = self._limit(now)
            pause = 0.0
            if limit is not None:
                if not getattr(_OF_THREAD, "urgent", False):
                    pause = max(0.0, self._free - now)
                if pause * self._scale > HOLDS:
                    what = f"this account's requests are throttled to {limit:.1f} a second"
                    raise Throttled(what, code="Throttled", after=pause)
                self._free = max(now, self._free) + 1 / limit
            self._left.append(now + pause)
        if pause:
            self._sleep(pause * self._scale)
        return now + pause

    def _limit(self, now: float) -> float | None:
        if not self._start:
            return None
        limit = self._start * (1 + GROWS * (now - self._since))
        if limit >= 4 * self._start:  # twice what it was when it was refused
            self._start = 0.0
            return None
        return limit

    def _refused(self, began: float) -> None:
        with self._guard:
            if began <= self._since:
                return
            now = self._now()
            limit = self._limit(now)
            recent = sum(left > now - WINDOW for left in self._left) / WINDOW
            self._start = max(LEAST, (recent if limit is None else limit) / 2)
            self._since = now
            self._free = max(self._free, now + 1 / self._start)
