"""Where a kind's calls go."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", covariant=True)


@dataclass(frozen=True)
class Scope(Generic[K]):
    """Enough to list, read and delete; the same for a plan and a run."""

    client: K
    cluster: str
    region: str = ""
    place: Hashable = field(default=None, kw_only=True)
    """what it shares connections, and threads for calls, with (``CloudConnection.reached``)"""
    destroying: bool = field(default=False, kw_only=True)
    """the whole cluster is being destroyed: nothing in it needs care, and nothing is overlooked"""
