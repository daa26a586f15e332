"""Versions of Kubernetes: their order, and how a control plane moves from one to another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from clusterkit.engine.edit import Edit, edit, fixed


def number(version: str) -> tuple[int, ...]:
    """The numbers in a version, by which versions are ordered: ``1.35.7-x.1`` is (1, 35, 7, 1)."""
    return tuple(map(int, re.findall(r"\d+", version)))


def minor(version: str) -> tuple[int, ...]:
    """``1.35.7-x.1`` is (1, 35)."""
    return number(version)[:2]


def upgrade(vendor: str, have: str, want: str, call: Callable[[], object]) -> Iterator[Edit]:
    """The edit to another minor version: forward and one at a time, as every cloud's control plane
    goes. Patches are the cloud's business.
    """
    there, to = minor(have), minor(want)
    if to < there:
        why = f"{vendor} does not go back: set kubernetes to '{there[0]}.{there[1]}' or newer"
        yield from fixed("version", have, want, why)
    elif to > (there[0], there[1] + 1):
        why = f"one minor version at a time: set kubernetes to '{there[0]}.{there[1] + 1}' first"
        yield from fixed("version", have, want, why)
    elif to != there:
        yield from edit("version", have, want, call)
