"""What differs between the desired state and the cloud's, and what removes the difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple


class Edit(NamedTuple):
    """A difference and what removes it: a call, a replacement, or (neither) a refusal.

    Edits that share ``apply`` are made by one call.
    """

    field: str
    have: object
    want: object
    apply: Callable[[], object] | None = None
    """an ``Operation`` that it returns is polled; anything else is ignored"""
    replace: bool = False
    why: str = ""
    """for a refusal: what to do instead"""

    @property
    def refused(self) -> bool:
        """Whether it cannot be made."""
        return self.apply is None and not self.replace

    def __str__(self) -> str:
        return f"{self.field}: {shown(self.have)} -> {shown(self.want)}"


def shown(value: object) -> str:
    """A compared value for people: sets in order, ``none`` for nothing, ``yes`` and ``no``."""
    if isinstance(value, frozenset | set):
        value = sorted(value, key=str)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={shown(item)}" for key, item in sorted(value.items())) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, "") else str(value)


def edit(what: str, have: object, want: object, call: Callable[[], object]) -> Iterator[Edit]:
    """An edit in place, if the two differ."""
    if have != want:
        yield Edit(what, have, want, call)


def fixed(what: str, have: object, want: object, why: str) -> Iterator[Edit]:
    """A refusal, if the two differ; ``why`` says what to do instead."""
    if have != want:
        yield Edit(what, have, want, why=why)
