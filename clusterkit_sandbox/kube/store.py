"""What a cluster has: objects by resource, one counter of revisions, and who is told of changes.

Stored objects are never changed in place: whoever writes gives a new one. So a reader may keep
what it got, and the log of changes costs nothing but the references. Everything happens on the one
event loop; there are no locks.
"""

from __future__ import annotations

import builtins
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.refusals import expired

Name = tuple[str, str]
"""namespace (``""`` for what has none) and name"""

_KEPT = 5000


@dataclass(frozen=True)
class Change:
    """One write."""

    revision: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    key: GroupPlural
    object: Object
    previous: Object | None


def name_of(found: Object) -> Name:
    """Where an object is stored within its resource."""
    metadata = found["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


class Store:
    """The objects of one cluster."""

    def __init__(self) -> None:
        self.revision = 1
        self._objects: dict[GroupPlural, dict[Name, Object]] = {}
        self._log: deque[Change] = deque(maxlen=_KEPT)
        self._listeners: list[Callable[[Change], None]] = []

    def get(self, key: GroupPlural, namespace: str, name: str) -> Object | None:
        """One object."""
        return self._objects.get(key, {}).get((namespace, name))

    def list(self, key: GroupPlural, namespace: str = "") -> builtins.list[Object]:
        """All objects, or those of one namespace, by namespace and name."""
        return _ordered(self._objects.get(key, {}), namespace)

    def count(self, key: GroupPlural) -> int:
        """How many objects there are."""
        return len(self._objects.get(key, {}))

    def list_at(self, key: GroupPlural, namespace: str, revision: int) -> builtins.list[Object]:
        """The same as it was at an earlier revision; ``Refusal`` 410 if that is forgotten."""
        found = dict(self._objects.get(key, {}))
        for change in reversed(self.changes(revision)):
            if change.key != key:
                continue
            if change.previous is None:
                found.pop(name_of(change.object), None)
            else:
                found[name_of(change.object)] = change.previous
        return _ordered(found, namespace)

    def all(self) -> Iterator[tuple[GroupPlural, Object]]:
        """Every object of every resource."""
        for key, objects in list(self._objects.items()):
            for found in list(objects.values()):
                yield key, found

    def put(self, key: GroupPlural, new: Object) -> Object:
        """Store a new object or a new version; its resourceVersion is set. The caller gives it
        away.
        """
        objects = self._objects.setdefault(key, {})
        name = name_of(new)
        previous = objects.get(name)
        self.revision += 1
        new["metadata"]["resourceVersion"] = str(self.revision)
        objects[name] = new
        self._tell(Change(self.revision, "MODIFIED" if previous else "ADDED", key, new, previous))
        return new

    def remove(self, key: GroupPlural, old: Object) -> Object:
        """Remove an object; return its last version, as watchers see it."""
        self._objects[key].pop(name_of(old))
        self.revision += 1
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.revision)}}
        self._tell(Change(self.revision, "DELETED", key, last, old))
        return last

    def changes(self, revision: int) -> builtins.list[Change]:
        """Everything after this revision; ``Refusal`` 410 if that is forgotten."""
        forgotten = self._log[0].revision - 1 if len(self._log) == _KEPT else 0
        if revision < forgotten:
            raise expired(f"too old resource version: {revision} ({self.revision})")
        past = itertools.takewhile(lambda change: change.revision > revision, reversed(self._log))
        return [*past][::-1]

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``listener`` for every change from now on; the answer ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self, change: Change) -> None:
        self._log.append(change)
        for listener in list(self._listeners):
            listener(change)


def _ordered(objects: dict[Name, Object], namespace: str) -> list[Object]:
    return [objects[name] for name in sorted(objects) if not namespace or name[0] == namespace]
