"""What the profiles of the generic suite, and what is tried on them, share on every cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Changes = Sequence[tuple[str, Mapping[str, Any]]]
"""fields that may change, as ``Case.changes`` takes them"""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJkKd3JqBUnTc8bDqcAMFCgZpVLv0XYJXtSxZk1rN7Qm me@here"
OTHER_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEaQ0P5zmBfFvHRmTbXoKOyK2j2v5u9lY2s0hXb0yNqd me@there"
)
FILES = {"me.pub": KEY, "other.pub": OTHER_KEY}
"""what lies beside every profile"""

BUILD: Mapping[str, Any] = {
    "name": "build",
    "machine": {"cpu": 4, "memory": 16},
    "count": {"min": 1, "max": 3},
    "spot": True,
    "labels": {"role": "build"},
    "taints": [{"key": "build", "value": "yes", "effect": "NoSchedule"}],
    "disk": {"size": 120},
}
"""a pool with everything that a pool has on each cloud"""

SIZES: Changes = (
    ("count", {"pools.0.count": 3}),
    ("scaling", {"pools.0.count": {"min": 1, "max": 4}}),
    ("labels", {"pools.0.labels": {"a": "b"}}),
)
"""of a profile with one pool"""
WAY_OUT: Changes = (("no way out", {"network.nat": "none"}), ("a way out", {"network.nat": "one"}))
TAGS: Changes = (("tags", {"tags": {"team": "ops"}}),)
PROTECTION: Changes = (
    ("protection", {"deletion_protection": True}),
    ("no protection", {"deletion_protection": False}),
)
POOLS: Changes = (
    ("taints", {"pools.0.taints": [{"key": "x", "effect": "NoExecute"}]}),
    ("labels", {"pools.0.labels": {"role": "other"}}),
    ("disk", {"pools.1.disk": {"size": 50}}),
)
"""of a profile with ``BUILD`` and another pool"""


def one_more(profile: Mapping[str, Any], machine: str) -> Changes:
    """A pool more, and no more."""
    pools = [*profile["pools"], {"name": "more", "machine": machine}]
    return (("another pool", {"pools": pools}), ("no pool more", {"pools": profile["pools"]}))


def scaling(machine: str, *types: str) -> Mapping[str, Any]:
    """Two pools with a range, of which one takes several machine types."""
    default = {"name": "default", "machine": machine, "count": {"min": 1, "max": 3}}
    build = {
        "name": "build",
        "machine": [*types],
        "count": {"min": 0, "max": 4},
        "spot": True,
        "taints": [{"key": "build", "effect": "NoSchedule"}],
    }
    return {"pools": [default, build]}
