"""What there is of a cluster, whatever its profile says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clusterkit.engine import ownership
from clusterkit.engine.compare import usable
from clusterkit.engine.inventory import Inventory
from clusterkit.engine.kind import AnyKind, Kind, Leftover
from clusterkit.engine.look import look
from clusterkit.engine.scope import Scope
from clusterkit.engine.seen import reason
from clusterkit.errors import Finding


@dataclass(frozen=True)
class Seen:
    """One thing in the cloud that carries the cluster's tags."""

    key: str
    """``vpc/main``; two things with the same tags have the same key"""
    id: str
    """the cloud's"""
    status: str
    """the cloud's own status in lower case, or ``ready``, ``not ready``, ``failed: …``"""
    state: Any
    """the driver's frozen dataclass"""
    ready: bool = True
    """whether it can be used, and the cloud says nothing against it"""


@dataclass(frozen=True)
class Observation:
    """What there is of a cluster, whatever its profile says; in creation order of the kinds."""

    account: str
    things: tuple[Seen, ...]
    warnings: tuple[Finding, ...] = ()
    """what could not be listed"""


def observation(
    account: str, kinds: Sequence[AnyKind], scope: Scope[Any], scale: float
) -> Observation:
    """List everything that carries the cluster's tags; leftovers are not among it."""
    owned = [kind for kind in kinds if not isinstance(kind, Leftover)]
    seen = look(owned, Inventory(scope, scale=scale), scale=scale)
    things = [
        Seen(f"{kind.kind}/{name}", state.id, _status(kind, state), state, _ready(kind, state))
        for kind in owned
        for name, states in sorted(seen.found[kind].items())
        for state in states
    ]
    left = (Finding(each.reason, each.key, each.hint) for each in ownership.strangers(seen.found))
    return Observation(account, tuple(things), (*seen.warnings, *left))


def _ready(kind: type[Kind[Any, Any]], state: Any) -> bool:
    return usable(kind, state) and state.status not in kind.failed | kind.unhealthy


def _status(kind: type[Kind[Any, Any]], state: Any) -> str:
    if state.status in (kind.failed | kind.unhealthy):
        return reason(state)
    if state.status:
        return str(state.status).lower()
    return "ready" if usable(kind, state) else "not ready"
