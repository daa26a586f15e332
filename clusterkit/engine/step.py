"""One line of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit.engine.edit import Edit
from clusterkit.engine.events import Op
from clusterkit.engine.kind import AnyKind, Kind


@dataclass(frozen=True)
class Step:
    """What is to be done about one resource, or (``sweep``) about all leftovers of a kind."""

    op: Op
    key: str
    kind: AnyKind
    wish: Kind[Any, Any] | None = None
    changes: tuple[Edit, ...] = ()
    deps: frozenset[str] = frozenset()
    """keys of steps, or of barriers (``Plan.barriers``), that come first"""
    found: int = 1
    """for ``sweep``: how many there are at the moment"""
    why: str = ""
    """why it is replaced, or what it takes the place of"""
    name: str = ""
    """the name within the kind"""
    id: str = ""
    """for ``delete``: which one, where several have the name"""
    stays: frozenset[str] = frozenset()
    """for ``sweep``: ids of those that are blocked"""

    @property
    def details(self) -> Mapping[str, str]:
        """What was chosen for a resource that is created."""
        return self.wish.details if self.wish and self.op in ("create", "replace") else {}

    @property
    def made_of(self) -> frozenset[str]:
        """Keys of what it is made after and cannot exist without: its edges but those that are
        order only; none if what it lies in may have made it too.
        """
        if self.wish is None or self.wish.made_with:
            return frozenset()
        return frozenset(n.key for n in self.wish.needs()) - {n.key for n in self.wish.after}

    @property
    def typical(self) -> float:
        """Seconds of the real cloud the step usually takes; 0 unknown."""
        takes = self.kind.takes
        match self.op:
            case "create" | "wait":
                return takes.create
            case "delete" | "sweep":
                return takes.delete if self.found else 0.0
            case "replace":
                return takes.create + takes.delete
            case "update" | "keep":
                return 0.0


@dataclass(frozen=True)
class Kept:
    """Something of ours that destroy leaves alone."""

    key: str
    reason: str
    state: object
    hint: str = ""
