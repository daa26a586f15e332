"""Threads, which a process may be unable to start: ``ulimit -v``, ``ulimit -u``, containers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from clusterkit.errors import ClusterkitError

RAISE = "raise its limits on memory and processes (ulimit -v, ulimit -u, a container's)"
BEGINS = 10.0
"""seconds until a thread that has not begun counts as failed, on a machine with much else to do"""


class _Impatient(threading.Event):
    """What ``Thread.start`` waits for: for ever, if the thread finds no memory to begin."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(BEGINS if timeout is None else timeout)


class Thread(threading.Thread):
    """A thread that does not keep the process alive: a second Ctrl-C must not wait for a call that
    hangs.
    """

    def __init__(self, work: Callable[[], object], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._started = _Impatient()
        self._late = False

    def run(self) -> None:
        """Work, unless ``start`` has given up."""
        if not self._late:
            with suppress(MemoryError):  # whoever waits for the result notices the end
                self._work()

    def start(self) -> None:
        """``ClusterkitError`` if it cannot be started."""
        try:
            super().start()
        except RuntimeError as error:
            raise _refused(str(error)) from error
        if not self._started.is_set():
            self._late = True
            raise _refused("it ended before it began")

    @property
    def ended(self) -> bool:
        """Whether it has come to an end, with its work done or not."""
        return self._started.is_set() and not self.is_alive()


def start(work: Callable[[], object], name: str) -> Thread:
    """Run ``work`` on a thread of its own; ``ClusterkitError`` if none can be started."""
    thread = Thread(work, name)
    thread.start()
    return thread


def _refused(why: str) -> ClusterkitError:
    return ClusterkitError(f"this process cannot start another thread: {why}", hint=RAISE)


def out_of_memory() -> ClusterkitError:
    """For a thread that ended without a result."""
    return ClusterkitError("this process ran out of memory", hint=RAISE)
