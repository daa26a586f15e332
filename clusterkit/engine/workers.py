"""The threads that make the calls of all plans and runs of a process: a fixed number, however many
clusters it works on. They are started as calls need them and end soon after the last.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from clusterkit.engine import threads
from clusterkit.errors import ClusterkitError

MOST = 28
"""threads; with that of the loop and ``fleet.AT_ONCE`` a process stays below 64"""
IDLE = 0.5
"""seconds without work after which a thread ends"""

Job = Callable[[], object]


class Workers:
    """Does jobs on at most ``most`` threads, in the order they came. Safe on many threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._threads = self._idle = self._serial = 0
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._refused = threads.out_of_memory()

    def put(self, job: Job, *, urgent: bool = False) -> None:
        """Do it when a thread is free, an ``urgent`` one before the others; ``ClusterkitError`` if
        not one can be started.
        """
        if self.now(job):
            return
        with self._changed:
            if not self._threads:
                raise self._refused
            (self._jobs.appendleft if urgent else self._jobs.append)(job)
            self._changed.notify()

    def now(self, job: Job) -> bool:
        """Do it at once; False, and it is not done, if no thread is free and none can be started.

        So whoever is on one of the threads may wait for what it gave to others.
        """
        with self._changed:
            if self._idle > len(self._jobs):
                self._jobs.append(job)
                self._changed.notify()
                return True
            if self._threads >= self._most:
                return False
            self._threads += 1
            self._serial += 1
            name = f"clusterkit-call-{self._serial}"
        try:
            threads.start(partial(self._work, [job]), name)
        except ClusterkitError as error:
            self._refused = error
            with self._changed:
                self._threads -= 1
            return False
        return True

    def _work(self, jobs: list[Job]) -> None:
        while jobs:
            with suppress(Exception):  # jobs report their errors themselves
                jobs.pop()()  # and nobody keeps them: a cluster goes with its last job
            jobs += self._next()

    def _next(self) -> list[Job]:
        with self._changed:
            self._idle += 1
            with suppress(MemoryError):  # then without waiting
                self._changed.wait_for(lambda: self._jobs, IDLE)
            self._idle -= 1
            if self._jobs:
                return [self._jobs.popleft()]
            self._threads -= 1
            return []


SHARED = Workers()
"""those of this process"""
