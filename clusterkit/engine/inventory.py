"""What exists with our tags: one list call per kind, details read once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from clusterkit.engine.kind import AnyKind, Found, Kind, Leftover
from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent, Gone, Propagating
from clusterkit.naming import CLUSTER

MAX_AGE = 60.0
"""seconds of the real cloud after which details are read again"""
LISTS = 3
"""lists in a row that may fail because one of the listed things was deleted meanwhile"""

Named = dict[str, list[Any]]
"""states by their name within a kind; more than one of a name are twins"""


class Inventory:
    """What a cluster owns. Belongs to one plan or one run; safe on many threads."""

    def __init__(self, scope: Scope[Any], *, scale: float = 1.0) -> None:
        """``scale``: how long a second of the real cloud lasts here."""
        self.scope = scope
        self._age = max(1.0, MAX_AGE * scale)
        self._lock = threading.Lock()
        self._details: dict[tuple[str, str], tuple[float, Any]] = {}
        self._changed: dict[tuple[str, str], float] = {}
        """when we last changed a thing: details that were asked for earlier are not kept"""

    def owned(self, kind: AnyKind) -> Named:
        """Everything of the kind with this cluster's tag, by name; leftovers by id."""
        if isinstance(kind, Leftover):
            return {have.id: [have] for have in self._left(kind)}
        listed = [
            self._read(kind, found)
            for found in self._listed(kind)
            if found.tags is None or found.tags.get(CLUSTER) == self.scope.cluster
        ]
        return self._named(kind, [state for state in listed if state is not None])

    def _named(self, kind: type[Kind[Any, Any]], states: Iterable[Any]) -> Named:
        """Those with this cluster's tag, by name."""
        ours = (s for s in states if (s.tags or {}).get(CLUSTER) == self.scope.cluster)
        out: Named = {}
        for state in {each.id: each for each in ours}.values():  # a thing may be on two pages
            out.setdefault(kind.name_of(state), []).append(state)
        return out

    def again(self, kind: AnyKind, known: Sequence[Any]) -> Named:
        """What has become of these states of a kind, or all of the kind; None: not seen yet."""
        if isinstance(kind, Leftover) or not kind.by_id or None in known:
            return self.owned(kind)
        read = (self._read(kind, Found(have.id)) for have in known)
        return self._named(kind, [state for state in read if state is not None])

    def forget(self, kind: AnyKind, identifier: str) -> None:
        """We are changing this thing: read its details again."""
        with self._lock:
            self._details.pop((kind.kind, identifier), None)
            self._changed[kind.kind, identifier] = time.monotonic()

    def _left(self, row: Leftover[Any]) -> list[Any]:
        def ask() -> list[Any]:
            return [have for have in row.list(self.scope) if row.belongs(self.scope, have)]

        return _patient(ask)

    def _listed(self, kind: type[Kind[Any, Any]]) -> list[Any]:
        try:
            return _patient(lambda: list(kind.list(self.scope)))
        except Propagating:
            if kind.dies_with:  # what it lies in does not exist
                return []
            raise

    def _read(self, kind: type[Kind[Any, Any]], found: Any) -> Any:
        """The details; None for what was deleted since the list."""
        if kind.read.__func__ is Kind.read.__func__:  # type: ignore[attr-defined]
            return found
        key, now = (kind.kind, found.id), time.monotonic()
        with self._lock:
            read, known = self._details.get(key, (0.0, None))
        if known is not None and now - read < self._age:
            return known
        try:
            state = kind.read(self.scope, found)
        except Gone:
            return None
        if kind.ready(state):
            with self._lock:
                if self._changed.get(key, 0.0) < now:
                    self._details[key] = (now, state)
        return state


def _patient(ask: Callable[[], list[Any]]) -> list[Any]:
    """What ``ask`` lists; nothing where the kind cannot exist yet."""
    for attempt in range(1, LISTS + 1):
        try:
            return ask()
        except Absent:
            return []
        except Gone as error:
            if attempt == LISTS:
                raise Propagating(error.what, code=error.code, operation=error.operation) from error
    return []
