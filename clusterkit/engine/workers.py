"""The threads that make the calls of all plans and runs of a process: a fixed number, however many
clusters it works on. They are started as calls need them and end soon after the last.

Calls of one account and region get only some of them: an API that answers none for a minute must
not keep other clouds' clusters, and the locks of their runs, waiting.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from clusterkit.engine import threads
from clusterkit.errors import ClusterkitError

MOST = 28
"""threads; with that of the loop and ``fleet.AT_ONCE`` a process stays below 64"""
EACH = 16
"""of them for the calls of one account and region"""
IDLE = 0.5
"""seconds without work after which a thread ends"""

Job = Callable[[], object]


class _Waiting(NamedTuple):
    """A job that has no thread yet."""

    job: Job
    place: Hashable
    counted: bool
    """among those of its place that have a thread: one is free for it"""


class Workers:
    """Does jobs on at most ``most`` threads, in the order they came, ``each`` at most of one place.
    Safe on many threads.
    """

    def __init__(self, most: int = MOST, each: int = EACH) -> None:
        self._most = most
        self._each = each
        self._threads = self._idle = self._serial = 0
        self._jobs: deque[_Waiting] = deque()
        self._at: Counter[Hashable] = Counter()
        """jobs of each place that have a thread"""
        self._changed = threading.Condition()
        self._refused = threads.out_of_memory()

    def put(self, job: Job, place: Hashable = None, *, urgent: bool = False) -> None:
        """Do it when a thread is free, an ``urgent`` one before the others; ``ClusterkitError`` if
        not one can be started.
        """
        if self.now(job, place):
            return
        with self._changed:
            if not self._threads:
                raise self._refused
            waiting = _Waiting(job, place, counted=False)
            (self._jobs.appendleft if urgent else self._jobs.append)(waiting)
            self._changed.notify()

    def now(self, job: Job, place: Hashable = None) -> bool:
        """Do it at once; False, and it is not done, if no thread is free and none can be started.

        So whoever is on one of the threads may wait for what it gave to others.
        """
        with self._changed:
            if self._at[place] >= self._each:
                return False
            if self._idle > len(self._jobs):
                self._at[place] += 1
                self._jobs.append(_Waiting(job, place, counted=True))
                self._changed.notify()
                return True
            if self._threads >= self._most:
                return False
            self._at[place] += 1
            self._threads += 1
            self._serial += 1
            name = f"clusterkit-call-{self._serial}"
        try:
            threads.start(partial(self._work, [job], place), name)
        except ClusterkitError as error:
            self._refused = error
            with self._changed:
                self._threads -= 1
                self._leave(place)
            return False
        return True

    def _work(self, jobs: list[Job], place: Hashable) -> None:
        while jobs:
            with suppress(Exception):  # jobs report their errors themselves
                jobs.pop()()  # and nobody keeps them: a cluster goes with its last job
            place = self._next(jobs, place)

    def _next(self, jobs: list[Job], place: Hashable) -> Hashable:
        """Put the next job into ``jobs``, none if none comes; its place."""
        with self._changed:
            self._leave(place)
            self._idle += 1
            with suppress(MemoryError):  # then without waiting
                self._changed.wait_for(lambda: self._first() is not None, IDLE)
            self._idle -= 1
            found = self._first()
            if found is None:
                self._threads -= 1
                return None
            job, place, counted = self._jobs[found]
            del self._jobs[found]
            jobs.append(job)
            self._at[place] += not counted
            return place

    def _first(self) -> int | None:
        """Where the first is that may have a thread."""
        for index, waiting in enumerate(self._jobs):
            if waiting.counted or self._at[waiting.place] < self._each:
                return index
        return None

    def _leave(self, place: Hashable) -> None:
        self._at[place] -= 1
        if not self._at[place]:
            del self._at[place]
        self._changed.notify()  # one that waits may be of this place


SHARED = Workers()
"""those of this process"""
