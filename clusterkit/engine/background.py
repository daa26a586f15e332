"""Calls side by side, for who only asks and decides nothing in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Begins functions on threads of their own; at its end it waits for all of them.

    Not so after Ctrl-C: the threads are daemons, unlike an executor's, so that nothing waits for a
    call that hangs.
    """

    def __init__(self) -> None:
        self._begun: list[Future[Any]] = []

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, Exception):
            wait(self._begun)

    def __call__(self, function: Callable[[], T]) -> Future[T]:
        """Begin ``function``; its result or error is the future's."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self._begun.append(future)
        threading.Thread(target=work, name="clusterkit-aside", daemon=True).start()
        return future
