"""Threads, which a process may be unable to start: ``ulimit -v``, ``ulimit -u``, containers."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable

from clusterkit.errors import ClusterkitError

RAISE = "raise its limits on memory and processes (ulimit -v, ulimit -u, a container's)"
BEGINS = 10.0
"""seconds until a thread that has not begun counts as failed, on a machine with much else to do"""


class Started:
    """A thread that was started."""

    begun = False
    ended = False


def start(work: Callable[[], object], name: str) -> Started:
    """Run ``work`` on a thread of its own, which does not keep the process alive: a second Ctrl-C
    must not wait for a call that hangs. ``ClusterkitError`` if no thread can be started.

    ``threading.Thread.start`` is not used: it waits for ever for a thread that finds no memory for
    its first steps.
    """
    first, thread = threading.Event(), Started()

    def begin() -> None:
        try:
            threading.current_thread().name = name
            if not thread.ended:
                thread.begun = True
                first.set()
                work()
        finally:
            thread.ended = True
            first.set()

    try:
        _thread.start_new_thread(begin, ())
    except RuntimeError as error:
        raise _refused(str(error)) from error
    first.wait(BEGINS)
    if not thread.begun:
        thread.ended = True  # if it begins later, it has nothing to do
        raise _refused("it ended before it began")
    return thread


def _refused(why: str) -> ClusterkitError:
    return ClusterkitError(f"this process may not start another thread: {why}", hint=RAISE)


def out_of_memory() -> ClusterkitError:
    """For a thread that ended without a result."""
    return ClusterkitError("this process ran out of memory", hint=RAISE)
