"""An object that a controller works on: read, told of, and let go.

Each write names the version of the object that was read for it, so that none reaches another object
that has the name by now, and merges what is told into the status there is, which another replica
may have written. (A patch of a status ignores the uid in it:
k8s.io/apiextensions-apiserver/pkg/registry/customresource/status_strategy.go.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clusterkit.errors import Busy, Gone
from clusterkit.kube.api import KubeApi, Object
from clusterkit.kube.conditions import Condition, merged

TRIES = 5
"""of a write, when somebody changes the object between reading and writing it"""


class Record:
    """One object, by its path and uid; safe on many threads."""

    def __init__(self, kube: KubeApi, path: str, body: Object) -> None:
        self._kube = kube
        self._path = path
        self._writing = threading.Lock()
        self.uid: str = body["metadata"]["uid"]
        self.status: Object = body.get("status") or {}
        self._generation = 0
        """of the spec that was read last: what is told is of that one"""

    def there(self) -> Object | None:
        """The object; None once it is gone, whatever has its name."""
        body = self._kube.get(self._path)
        return body if body is not None and body["metadata"]["uid"] == self.uid else None

    def read(self) -> Object | None:
        """The same, for a look at what it describes."""
        body = self.there()
        if body is not None:
            self.status, self._generation = body.get("status") or {}, body["metadata"]["generation"]
        return body

    def finalizer(self, name: str, *, add: bool) -> None:
        """Put a finalizer on the object, or take it off; ``Gone`` once there is no object."""

        def change(body: Object) -> Object:
            there = body["metadata"].get("finalizers") or ()
            kept = [each for each in there if each != name]
            return {"metadata": {"finalizers": [*kept, name] if add else kept}}

        self._write("", change)

    def tell(
        self, conditions: Sequence[Condition], fields: Mapping[str, Any] | None = None
    ) -> list[Condition]:
        """Write conditions and other fields of the status; returns the conditions whose reason is
        another than before. ``Gone`` once there is no object.
        """
        before: dict[str, str] = {}

        def change(body: Object) -> Object:
            old = body.get("status") or {}
            have = old.get("conditions") or []
            before.update({each["type"]: each.get("reason", "") for each in have})
            new = {**old, **(fields or {}), "observedGeneration": self._generation}
            new["conditions"] = merged(have, conditions, self._generation)
            return {} if new == old else {"status": new}

        self.status = self._write("/status", change).get("status") or {}
        return [each for each in conditions if before.get(each.type) != each.reason]

    def _write(self, part: str, change: Callable[[Object], Object]) -> Object:
        """``change`` says what to write over an object, nothing if that is in it."""
        with self._writing:
            for _ in range(TRIES - 1):
                try:
                    return self._write_once(part, change)
                except Busy:  # it has just been changed
                    continue
            return self._write_once(part, change)

    def _write_once(self, part: str, change: Callable[[Object], Object]) -> Object:
        body = self.there()
        if body is None:
            raise Gone("does not exist any more", where=self._path)
        if not (new := change(body)):
            return body
        version = {"resourceVersion": body["metadata"]["resourceVersion"]}
        new["metadata"] = {**new.get("metadata", {}), **version}
        return self._kube.patch(f"{self._path}{part}", new)
