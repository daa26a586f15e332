"""What an account has: the objects of the API, by kind, scope and id.

An object is what a cloud's emulator makes of it: a record that holds what the API shows, or has its
attributes. The store asks it for its id and for the ids of what it needs. Ids are unique in their
scope: a region, a project, a cluster; none for ids that are unique in the account.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, cast


class Kept(Protocol):
    """What a store keeps."""

    @property
    def id(self) -> str:
        """Unique among the objects of its kind and scope."""

    @property
    def scope(self) -> str:
        """Where its id is unique; it does not change."""

    def needs(self) -> Iterable[str]:
        """The ids of the objects that cannot go before it."""


T = TypeVar("T", bound=Kept)


class Store:
    """The objects of one account. Hold ``lock`` to read or write, but not while calling Kubernetes.

    The fault ``late`` hides new objects from reading calls for a while.
    """

    def __init__(self, lock: threading.RLock | None = None) -> None:
        """``lock`` guards what else the account has."""
        self.lock = lock or threading.RLock()
        self._tables: dict[type[Kept], dict[tuple[str, str], Kept]] = {}
        self._added: list[Kept] = []
        self._unseen: list[tuple[Kept, float]] = []
        """hidden objects, and until when (time.monotonic)"""
        self._reading = False

    def clear(self) -> None:
        """Remove every object."""
        with self.lock:
            self._tables.clear()
            self._unseen.clear()

    @contextmanager
    def call(self, *, reading: bool) -> Iterator[None]:
        """Hold the lock for one operation; a ``reading`` one does not find hidden objects."""
        with self.lock:
            self._added.clear()
            self._unseen = [one for one in self._unseen if one[1] > time.monotonic()]
            self._reading = reading
            try:
                yield
            finally:
                self._reading = False

    def hide_added(self, kind: type[Kept], seconds: float) -> None:
        """Hide the objects of a kind that this call added from reads, for ``seconds``."""
        until = time.monotonic() + seconds
        self._unseen += [(thing, until) for thing in self._added if isinstance(thing, kind)]

    def hidden(self, thing: Kept) -> bool:
        """Whether reading calls do not find it at the moment."""
        now = time.monotonic()
        return any(thing is one and until > now for one, until in self._unseen)

    def _seen(self, thing: Kept) -> bool:
        return not self._reading or not self.hidden(thing)

    def all(self, kind: type[T], scope: str | None = None) -> Iterator[T]:
        """Every object of a kind, or of a kind in a scope, oldest first."""
        things = cast("list[T]", list(self._tables.get(kind, {}).values()))
        if scope is not None:
            things = [thing for thing in things if thing.scope == scope]
        return iter([thing for thing in things if self._seen(thing)])

    def get(self, kind: type[T], identifier: str, scope: str = "") -> T | None:
        """One object by id."""
        found = cast("T | None", self._tables.get(kind, {}).get((scope, identifier)))
        return found if found is not None and self._seen(found) else None

    def users(self, identifier: str, *kinds: type[T]) -> list[T]:
        """The objects of these kinds that need the one with this id, oldest first."""
        return [one for kind in kinds for one in self.all(kind) if identifier in one.needs()]

    def add(self, thing: T) -> T:
        """Add it. ``KeyError`` if its id is taken: look before."""
        table = self._tables.setdefault(type(thing), {})
        if (thing.scope, thing.id) in table:
            raise KeyError(f"there is a {type(thing).__name__} {thing.id} already")
        table[thing.scope, thing.id] = thing
        self._added.append(thing)
        return thing

    def trim(self, kind: type[T], most: int, gone: Callable[[T], bool] = lambda _: True) -> None:
        """Remove the oldest of a kind beyond ``most``, but only those that are ``gone``."""
        table = self._tables.get(kind, {})
        if len(table) > most + most // 10:
            old = [key for key, thing in table.items() if gone(cast("T", thing))]
            for key in old[: len(table) - most]:
                del table[key]

    def remove(self, thing: Kept) -> None:
        """Remove it, if it is there."""
        self._tables.get(type(thing), {}).pop((thing.scope, thing.id), None)

    def empty(self, scope: str) -> None:
        """Remove every object of a scope that is gone."""
        for table in self._tables.values():
            for key in [key for key in table if key[0] == scope]:
                del table[key]

    def counts(self) -> dict[str, int]:
        """The number of objects of each kind, by class name."""
        return {kind.__name__: len(table) for kind, table in self._tables.items() if table}


def fingerprint(value: Any) -> str:
    """The same text for the same JSON value: an etag, or what a client token was used with."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
