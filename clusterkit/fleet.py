"""Several clusters in one process: the same work on each, one's failure not stopping the others.

    plans = fleet.each(clusters, lambda cluster: cluster.plan())

Work that takes long is a generator, which yields what it waits for and holds no thread meanwhile:

    def up(cluster):
        plan = cluster.plan()
        return (yield cluster.start(plan, emit))

``Cluster`` is safe on many threads; the calls of all of them share the threads of
``engine/workers.py``, and all runs one thread that decides (``engine/scheduler.py``). What is
neither, such as plans, is done here by ``AT_ONCE`` threads, which keeps the process below 64.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from clusterkit.engine import threads
from clusterkit.errors import ClusterkitError, Interrupted

A = TypeVar("A")
R = TypeVar("R")

Waiting = Generator[Future[Any], Any, R]
"""work that yields what it waits for, gets its result or error, and returns its own result"""
BEFORE = "interrupted before it began"
AT_ONCE = 16
"""clusters on which threads work at a time; the others wait for a cloud or for their turn"""


def each(
    items: Sequence[A],
    work: Callable[[A], R | Waiting[R]],
    *,
    stop: threading.Event | None = None,
    at_once: int = AT_ONCE,
) -> list[R | Exception]:
    """What ``work`` returns for each item, or the error it raised, in the items' order.

    One item alone is worked on here, several on threads of their own, ``at_once`` at a time. Once
    ``stop`` is set no other is begun (``Interrupted``); what is begun has to look at it itself.
    """
    desk = _Desk(items, work, stop)
    over: SimpleQueue[None] = SimpleQueue()

    def lane() -> None:
        try:
            while (piece := desk.next()) is not None:
                piece()
        finally:
            over.put(None)

    lanes = _lanes(lane, min(at_once, len(items)))
    for _ in range(lanes):
        over.get()
    begun = stop is None or not stop.is_set()
    missing = threads.out_of_memory() if begun else Interrupted(BEFORE)
    return [desk.results.get(number, missing) for number in range(len(items))]


def alone(work: Waiting[R]) -> R:
    """Do work that waits, on this thread; whoever interrupts a wait interrupts the work."""
    try:
        future = next(work)
        while True:
            try:
                found = future.result()
            except BaseException as error:
                future = work.throw(error)
            else:
                future = work.send(found)
    except StopIteration as end:
        result: R = end.value
        return result


class _Desk(Generic[A, R]):
    """Hands out pieces of work: what has waited long enough first, then the next item."""

    def __init__(
        self,
        items: Sequence[A],
        work: Callable[[A], R | Waiting[R]],
        stop: threading.Event | None,
    ) -> None:
        self.results: dict[int, R | Exception] = {}
        self._work = work
        self._stop = stop
        self._items: Iterator[tuple[int, A]] = enumerate(items)
        self._ready: deque[Callable[[], None]] = deque()
        self._open = 0
        """works that have begun and not ended"""
        self._changed = threading.Condition()

    def next(self) -> Callable[[], None] | None:
        """Something to do now; waits for it; None when there will be nothing any more."""
        with self._changed:
            while True:
                if self._ready:
                    return self._ready.popleft()
                if self._stop is None or not self._stop.is_set():
                    for number, item in self._items:
                        self._open += 1
                        return partial(self._begin, number, item)
                if not self._open:
                    return None
                self._changed.wait()

    def _begin(self, number: int, item: A) -> None:
        try:
            found = self._work(item)
        except Exception as error:
            self._end(number, error)
        except BaseException:
            self._end(number, threads.out_of_memory())
            raise
        else:
            if isinstance(found, Generator):
                self._go_on(number, found, partial(found.send, None))
            else:
                self._end(number, found)

    def _go_on(self, number: int, work: Waiting[R], piece: Callable[[], Future[Any]]) -> None:
        try:
            future = piece()
        except StopIteration as end:
            self._end(number, end.value)
        except Exception as error:
            self._end(number, error)
        except BaseException:
            self._end(number, threads.out_of_memory())
            raise
        else:
            future.add_done_callback(partial(self._came, number, work))

    def _came(self, number: int, work: Waiting[R], future: Future[Any]) -> None:
        error = future.exception()
        piece = partial(work.throw, error) if error else partial(work.send, future.result(0))
        with self._changed:
            self._ready.append(partial(self._go_on, number, work, piece))
            self._changed.notify()

    def _end(self, number: int, result: R | Exception) -> None:
        self.results[number] = result
        with self._changed:
            self._open -= 1
            self._changed.notify_all()


def _lanes(lane: Callable[[], None], wanted: int) -> int:
    """How many were begun: fewer where no more threads can be started, then one of them here."""
    if wanted <= 1:
        lane()
        return 1
    for number in range(wanted):
        try:
            threads.start(lane, f"clusterkit-cluster-{number + 1}")
        except ClusterkitError:
            lane()
            return number + 1
    return wanted
