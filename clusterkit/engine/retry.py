"""Retry for calls that only read, outside a run.

In a run the engine itself looks again (``run.py``). Everything else that asks a cloud (the account,
preflight, access, credentials) retries each request here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import TypeVar

from clusterkit.engine import backoff
from clusterkit.errors import Interrupted, Retryable

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds a read is retried for. An emptied EC2 bucket for reads (100 tokens, 20 more a second: EC2
Developer Guide, "Request throttling") is full again after 5 s, and a person or kubectl waits for
the answer, so not much longer than a service takes to fail over."""

Told = Callable[[str, float], None]
"""``told(reason, delay)`` before the wait of ``delay`` seconds"""


def here(steps: Generator[float, None, T], pause: Callable[[float], object] = time.sleep) -> T:
    """Go through the steps on this thread, with a ``pause`` of so many seconds after each."""
    try:
        while True:
            pause(next(steps))
    except StopIteration as end:
        found: T = end.value
        return found


class Retry:
    """``retry(read)``: what ``read`` returns; it is called again after each ``Retryable`` error,
    with jittered backoff and the cloud's Retry-After, until ``patience`` is used up; then the last
    error is raised. Safe on many threads.
    """

    def __init__(
        self,
        scale: float = 1.0,
        told: Told | None = None,
        stop: threading.Event | None = None,
        *,
        patience: float = PATIENCE,
    ) -> None:
        """``scale`` is how long a second of the real cloud lasts here; ``stop`` ends a wait with
        ``Interrupted``.
        """
        self._patience = patience
        self._scale = scale
        self._told = told
        self._stop = stop

    def __call__(self, read: Callable[[], T]) -> T:
        """Call ``read`` until it succeeds, fails for good, or time is up."""
        return here(self.steps(read), time.sleep if self._stop is None else self._stop.wait)

    def steps(self, read: Callable[[], T]) -> Generator[float, None, T]:
        """The same for who waits elsewhere: the seconds until each next try."""
        end = time.monotonic() + min(backoff.deadline(self._patience, self._scale), self._patience)
        attempt = 1
        while True:
            try:
                return read()
            except Retryable as error:
                delay = backoff.delay(attempt, error.after, self._scale)
                if time.monotonic() + delay > end:
                    raise
                if self._told:
                    self._told(str(error), delay)
            self._check()
            yield delay
            self._check()
            attempt += 1

    def _check(self) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Interrupted("interrupted", hint="the same command again continues")
