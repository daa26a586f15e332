"""Long-running operations: GKE's and Compute's, ARM's, the updates of EKS, the tasks of ACK.

They are kept in the order in which they began, the newest ones only: a sandbox may run for weeks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from clusterkit_sandbox.kit.life import Clock

Error = tuple[str, str]
"""the vendor's code and message"""


@dataclass(kw_only=True)
class LongRunning:
    """One operation; a cloud whose operations show more adds fields."""

    id: str
    kind: str
    """what it does, in the vendor's word"""
    parent: str
    """the object that is changed by one operation at a time: a cluster"""
    target: str
    """what it changes: the parent itself, or something in it"""
    state: Literal["running", "done", "failed"] = "running"
    error: Error | None = None
    begun: float = field(default_factory=time.time)
    """seconds since the epoch"""
    updated: float = field(default_factory=time.time)
    """seconds since the epoch"""


O = TypeVar("O", bound=LongRunning)  # noqa: E741 - an operation


class Operations(Generic[O]):
    """The operations of one service. Call it with the lock held."""

    def __init__(
        self,
        clock: Clock,
        lock: AbstractContextManager[Any],
        noted: Callable[[O], None],
        most: int = 5_000,
    ) -> None:
        """``noted`` is called when an operation has begun and when it has ended; ``most`` is how
        many are kept, besides those that run.
        """
        self.most = most
        self._clock = clock
        self._lock = lock
        self._noted = noted
        self._all: dict[str, O] = {}

    def begin(self, operation: O) -> O:
        """Start it."""
        self._all[operation.id] = operation
        if len(self._all) > self.most + self.most // 10:
            over = [one.id for one in self._all.values() if one.state != "running"]
            for identifier in over[: len(self._all) - self.most]:
                del self._all[identifier]
        self._noted(operation)
        return operation

    def end(self, operation: O, error: Error | None = None) -> None:
        """End it as done, or as failed."""
        operation.state = "done" if error is None else "failed"
        operation.error, operation.updated = error, time.time()
        self._noted(operation)

    def end_later(self, operation: O, what: str, done: Callable[[], Error | None]) -> None:
        """End it after the recorded duration of ``what``. ``done`` is called before, with the lock;
        it makes the change, or returns why it failed.
        """

        def ended() -> None:
            with self._lock:
                self.end(operation, done())

        self._clock.later(what, ended)

    def get(self, identifier: str) -> O | None:
        """One operation by id."""
        return self._all.get(identifier)

    def every(self) -> list[O]:
        """Every operation that is kept, oldest first."""
        return list(self._all.values())

    def of(self, parent: str) -> list[O]:
        """The operations on an object and on what is in it, oldest first."""
        return [one for one in self._all.values() if one.parent == parent]

    def running(self, parent: str) -> list[O]:
        """The operations that have not ended: vendors refuse another change of the same object."""
        return [one for one in self.of(parent) if one.state == "running"]

    def forget(self, parent: str) -> None:
        """Drop the operations on an object that is gone."""
        self._all = {key: one for key, one in self._all.items() if one.parent != parent}

    def clear(self) -> None:
        """Drop every operation."""
        self._all.clear()

    def __len__(self) -> int:
        return len(self._all)
