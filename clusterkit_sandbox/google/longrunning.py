"""Operations of google.longrunning: those of Artifact Registry and Service Usage.

Recorded of the real services (Config Connector's traffic): neither ``done`` nor ``response`` before
the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from clusterkit_sandbox.google.failure import Json, rpc
from clusterkit_sandbox.google.service import Call, method
from clusterkit_sandbox.google.store import Store

MOST = 2000
"""How many are kept."""
INTERNAL = {"code": 13, "message": "The sandbox was asked to let this fail."}
"""google/rpc/code.proto, INTERNAL"""


@dataclass(kw_only=True, eq=False)
class LongRunning:
    """One operation; implements ``kit.store.Kept``."""

    id: str
    """its name"""
    parent: str
    """what is changed by one of them at a time"""
    metadata: Json
    response: Json = field(default_factory=dict)
    error: Json | None = None
    done: bool = False
    scope: str = ""

    def needs(self) -> Iterable[str]:
        """Nothing."""
        return ()

    def shown(self) -> Json:
        """As the API shows it."""
        found: Json = {"name": self.id, "metadata": self.metadata}
        if not self.done:
            return found
        result = {"error": self.error} if self.error else {"response": self.response}
        return {**found, "done": True, **result}


def begin(
    store: Store,
    operation: LongRunning,
    what: str,
    change: Callable[[], Json],
    *,
    terminal: bool = False,
) -> Json:
    """Start it; after the recorded duration of ``what``, ``change`` is called with the lock and
    says how it is answered. A ``terminal`` one fails, and changes nothing.
    """
    store.add(operation)
    store.trim(LongRunning, MOST, lambda one: one.done)

    def ended() -> None:
        with store.lock:
            if terminal:
                operation.error = INTERNAL
            else:
                operation.response = change()
            operation.done = True

    store.clock.later(what, ended)
    return operation.shown()


def running(store: Store, parent: str) -> bool:
    """Whether an operation on this has not ended."""
    return any(one.parent == parent and not one.done for one in store.all(LongRunning))


@method("artifactregistry.projects.locations.operations.get", "serviceusage.operations.get")
def _get(call: Call) -> object:
    found = call.store.get(LongRunning, call["name"])
    if found is None:
        raise rpc("NOT_FOUND", "Requested entity was not found.")
    return found.shown()
