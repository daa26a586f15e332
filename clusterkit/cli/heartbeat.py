"""A sign of life at least once a minute, so that nobody takes a long wait for a hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from clusterkit.engine import threads
from clusterkit.errors import ClusterkitError

SILENCE = 60.0
"""seconds; CI systems end a job that prints nothing for some minutes"""


class Heartbeat:
    """Calls ``tell(seconds)``, from a thread of its own, whenever nothing was said for ``SILENCE``
    seconds; ``seconds`` is how long it has been running.
    """

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell = tell
        self._over = threading.Event()
        self._started = self._said = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._over.is_set()

    def heard(self) -> None:
        """Something was said."""
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._started = self._said = time.monotonic()
        with suppress(ClusterkitError):  # no thread to be had: silence is the smaller evil
            threads.start(self._beat, "clusterkit-heartbeat")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _beat(self) -> None:
        while not self._over.wait(max(0.01, self._said + SILENCE - time.monotonic())):
            now = time.monotonic()
            if now >= self._said + SILENCE:
                self._said = now
                with suppress(OSError, ValueError):  # nobody reads it any more
                    self._tell(now - self._started)
