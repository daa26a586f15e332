"""Run independent read-only calls concurrently on daemon threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any, TypeVar

from clusterkit.engine import threads
from clusterkit.errors import ClusterkitError

T = TypeVar("T")


class Background:
    """Starts each function on its own thread and, as a context manager, waits for all at the end.

    After Ctrl-C it waits for none: unlike an executor's, the threads are daemons, so a call that
    hangs does not keep the process alive.
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
        """Start ``function``; the future gets its result or its error.

        Where no thread can be started it is called here.
        """
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
            finally:
                future.cancel()  # without effect, unless memory for the above was missing

        self._begun.append(future)
        try:
            threads.start(work, "clusterkit-background")
        except ClusterkitError:
            work()  # one after the other, then
        return future
