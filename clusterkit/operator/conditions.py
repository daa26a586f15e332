"""Conditions of a CloudCluster: what is true of it, why, since when, and of which generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clusterkit.engine.plan import Plan
from clusterkit.engine.words import brief, counts
from clusterkit.errors import ClusterkitError, PreflightError, ProfileError

MOST = 20
"""steps of a plan that the status lists"""
LONGEST = 1024
"""characters of a message; the API's limit is 32,768 (``metav1.Condition``), a table's far less"""


@dataclass(frozen=True)
class Condition:
    """One of them."""

    type: str
    ok: bool
    reason: str
    message: str = ""


def merged(
    old: Sequence[dict[str, Any]], new: Sequence[Condition], generation: int
) -> list[dict[str, Any]]:
    """``old`` with ``new`` in their places; the time of one whose status stays does not change."""
    found = {each["type"]: dict(each) for each in old}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for each in new:
        before, status = found.get(each.type, {}), str(each.ok)
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


def reason(error: BaseException) -> str:
    """The error's class, which is a word that a program can go by."""
    return type(error).__name__ if isinstance(error, ClusterkitError) else "InternalError"


def told(error: BaseException) -> str:
    """The words of the command line, with what to do next."""
    if isinstance(error, ProfileError | PreflightError):
        return "; ".join(
            f"{each} ({each.hint})" if each.hint else str(each) for each in error.findings
        )
    if not isinstance(error, ClusterkitError):
        return f"this is a bug in clusterkit ({type(error).__name__}); the operator's log has it"
    details = [str(getattr(error, part, "")) for part in ("operation", "code")]
    request = str(getattr(error, "request_id", ""))
    said = " ".join(filter(None, details)) + (f", request {request}" if request else "")
    more = f" ({said})" if said else ""
    return brief(f"{error}{more}" + (f"; {error.hint}" if error.hint else ""), LONGEST)


def true(status: Mapping[str, Any], kind: str) -> bool:
    """Whether a condition is."""
    found = status.get("conditions") or ()
    return any(each["type"] == kind and each["status"] == "True" for each in found)


def summary(plan: Plan) -> dict[str, Any]:
    """What it would do, for the status."""
    steps = [f"{step.op} {step.key}" for step in plan.todo]
    more = [f"and {len(steps) - MOST} more"] if len(steps) > MOST else []
    words = counts((step.key, step.op) for step in plan.todo) or "nothing to do"
    return {"summary": words, "steps": steps[:MOST] + more}
