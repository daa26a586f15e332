"""Run independent read-only calls concurrently, on the threads that the process has for calls."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any, TypeVar

from clusterkit.engine import threads, workers

T = TypeVar("T")


POLL = 1.0
"""seconds after which it is looked whether a result is lost"""


class _Aside(Future[T]):
    """A result that also comes when there was no memory to report it."""

    lost = False

    def settle(self) -> None:
        """Wait for the end."""
        while not wait([self], POLL).done:
            if self.lost and not self.done():
                self.set_exception(threads.out_of_memory())

    def result(self, timeout: float | None = None) -> T:
        """As ``Future.result``."""
        if timeout is None:
            self.settle()
        return super().result(timeout)


class Background:
    """Starts each function on a thread and, as a context manager, waits for all at the end.

    After Ctrl-C it waits for none: unlike an executor's, the threads are daemons, so a call that
    hangs does not keep the process alive.
    """

    def __init__(self) -> None:
        self._begun: list[_Aside[Any]] = []

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, Exception):
            for future in self._begun:
                future.settle()

    def __call__(self, function: Callable[[], T]) -> Future[T]:
        """Start ``function``; the future gets its result or its error.

        Where no thread is free or can be started it is called here.
        """
        future: _Aside[T] = _Aside()

        def work() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
            finally:
                future.lost = not future.done()

        self._begun.append(future)
        if not workers.SHARED.now(work):
            work()  # one after the other, then
        return future
