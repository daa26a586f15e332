"""What may lie near a cluster and is somebody else's; what may happen to what is ours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tests.drivers.world import Case, World

States = Mapping[str, Any]
"""key to state, of everything of ours"""
Make = Callable[[World, States], str]
"""make it with the vendor's SDK; its id"""
Remove = Callable[[World, str], object]


@dataclass(frozen=True)
class Neighbour:
    """Something that a person makes next to ours by hand, called ``theirs``."""

    make: Make
    remove: Remove
    show: Callable[[World, str], Any]
    """the whole of it"""
    stay: Collection[str]
    """the kinds of ours of which something cannot be deleted meanwhile; none: it is in the way of
    nothing"""


@dataclass(frozen=True)
class Near:
    """The tables of a cloud."""

    rich: Case
    """a cluster with everything that has a name of its own"""
    twins: Mapping[str, Callable[[World, str], str]]
    """kind to what makes something of another's under the name of ours; the id to adopt"""
    fixed: Mapping[str, str]
    """of those, what cannot be adopted, and words of the refusal"""
    neighbours: Mapping[str, Neighbour]
    strip: Callable[[World, str, Any], None]
    """take the cluster's tag off a thing of this kind and state"""
    sure: Mapping[str, str]
    """kinds whose things are ours by more than a tag, and why"""
    alone: Collection[str]
    """kinds of which nothing of ours knows the id"""
