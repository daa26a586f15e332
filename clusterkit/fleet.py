"""Several clusters in one process: the same work on each, one's failure not stopping the others.

    plans = fleet.each(clusters, lambda cluster: cluster.plan())

``Cluster`` is safe on many threads, and the calls of all of them share the threads of
``engine/workers.py``. Besides, a run keeps the thread that decides and one that renews its lock, so
that a limit here keeps the process at 64 threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

from clusterkit.engine import threads
from clusterkit.errors import ClusterkitError, Interrupted

A = TypeVar("A")
R = TypeVar("R")

AT_ONCE = 16
"""clusters that are worked on at a time; the others wait for their turn"""


def each(
    items: Sequence[A],
    work: Callable[[A], R],
    *,
    stop: threading.Event | None = None,
    at_once: int = AT_ONCE,
) -> list[R | Exception]:
    """What ``work`` returns for each item, or the error it raised, in the items' order.

    One item alone is worked on here, several on threads of their own, ``at_once`` at a time. Once
    ``stop`` is set no other is begun (``Interrupted``); what is begun has to look at it itself.
    """
    results: dict[int, R | Exception] = {}
    numbers, guard = iter(range(len(items))), threading.Lock()
    over: SimpleQueue[None] = SimpleQueue()

    def following() -> int | None:
        with guard:
            return None if stop is not None and stop.is_set() else next(numbers, None)

    def lane() -> None:
        try:
            while (number := following()) is not None:
                results[number] = _done(work, items[number])
        finally:
            over.put(None)

    lanes = _lanes(lane, min(at_once, len(items)))
    for _ in range(lanes):
        over.get()
    begun = stop is None or not stop.is_set()
    missing = threads.out_of_memory() if begun else Interrupted("interrupted before it was begun")
    return [results.get(number, missing) for number in range(len(items))]


def _done(work: Callable[[A], R], item: A) -> R | Exception:
    try:
        return work(item)
    except Exception as error:
        return error


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
