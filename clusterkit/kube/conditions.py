"""Conditions of an object (``metav1.Condition``): what is true of it, why, since when, and of which
generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LONGEST = 1024
"""characters of a message; the API's limit is 32,768, a table's far less"""


@dataclass(frozen=True)
class Condition:
    """One condition of an object."""

    type: str
    ok: bool | None
    """None: nobody knows"""
    reason: str
    message: str = ""


def merged(
    old: Sequence[dict[str, Any]], new: Sequence[Condition], generation: int
) -> list[dict[str, Any]]:
    """``old`` with ``new`` in their places; the time of one whose status stays does not change."""
    found = {each["type"]: dict(each) for each in old}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for each in new:
        before = found.get(each.type, {})
        status = "Unknown" if each.ok is None else str(each.ok)
        since = before.get("lastTransitionTime", now) if before.get("status") == status else now
        found[each.type] = {
            "type": each.type,
            "status": status,
            "reason": each.reason,
            "message": each.message[:LONGEST],
            "observedGeneration": generation,
            "lastTransitionTime": since,
        }
    return list(found.values())
