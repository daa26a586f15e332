"""Threads, which a process may be unable to start: ``ulimit -v``, ``ulimit -u``, containers."""

from __future__ import annotations

import threading
from collections.abc import Callable

from clusterkit.errors import ClusterkitError


def start(work: Callable[[], object], name: str) -> None:
    """Run ``work`` on a thread of its own, which does not keep the process alive: a second Ctrl-C
    must not wait for a call that hangs. ``ClusterkitError`` if no thread can be started.
    """
    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    except RuntimeError as error:
        raise ClusterkitError(
            f"this process may not start another thread: {error}",
            hint="raise its limits on memory and processes (ulimit -v, ulimit -u, a container's)",
        ) from error
