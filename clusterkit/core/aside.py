"""Calls side by side, for who only asks and decides nothing in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def aside(function: Callable[[], T]) -> Future[T]:
    """Begin ``function`` on a thread of its own; its result or error is the future's.

    The thread is a daemon, unlike an executor's: Ctrl-C does not wait for a call that hangs.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="clusterkit-aside", daemon=True).start()
    return future
