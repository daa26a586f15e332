"""Operations: work that goes on in the cloud after a call has been answered.

Clouds call them operations, updates or tasks. A thing is neither there
nor gone before its operation is done, and an operation that fails ends its step at once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from clusterkit.engine.scope import Scope
from clusterkit.errors import Busy, CloudError, Gone

C = TypeVar("C", contravariant=True)


@dataclass(frozen=True)
class Done:
    """The operation has had its effect."""


@dataclass(frozen=True)
class Running:
    """Still in progress; ``note`` is the cloud's own word for how far it is, ``after`` the seconds
    it asks to be left alone (Retry-After).
    """

    note: str = ""
    after: float | None = None


@dataclass(frozen=True)
class Failed:
    """The operation failed, for the cloud's own reason."""

    error: CloudError


Outcome = Done | Running | Failed


@runtime_checkable
class Operation(Protocol[C]):
    """What a create, an edit or a delete began."""

    def poll(self, scope: Scope[C]) -> Outcome:
        """How far it is. ``Gone`` for an operation the cloud no longer remembers, which is done."""


def ended(operation: Operation[C], scope: Scope[C]) -> None:
    """``Busy`` while it runs, its error if it failed: for those who wait by ``Retry``."""
    with suppress(Gone):
        outcome = operation.poll(scope)
        if isinstance(outcome, Failed):
            raise outcome.error
        if isinstance(outcome, Running):
            raise Busy(outcome.note or "still in progress")
