"""Threads, which a process may be unable to start: ``ulimit -v``, ``ulimit -u``, containers."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable

from clusterkit.errors import ClusterkitError

BEGINS = 30.0
"""seconds until a thread that has not begun counts as failed, on a machine with much else to do"""


def start(work: Callable[[], object], name: str) -> None:
    """Run ``work`` on a thread of its own, which does not keep the process alive: a second Ctrl-C
    must not wait for a call that hangs. ``ClusterkitError`` if no thread can be started.

    ``threading.Thread.start`` is not used: it waits for ever for a thread that finds no memory for
    its first steps.
    """
    begun = threading.Event()

    def begin() -> None:
        threading.current_thread().name = name
        begun.set()
        work()

    try:
        _thread.start_new_thread(begin, ())
    except RuntimeError as error:
        raise _refused(str(error)) from error
    if not begun.wait(BEGINS):
        raise _refused("it ended before it began")


def _refused(why: str) -> ClusterkitError:
    return ClusterkitError(
        f"this process may not start another thread: {why}",
        hint="raise its limits on memory and processes (ulimit -v, ulimit -u, a container's)",
    )
