"""What is said of a thing by its state: status, reason, cure, details."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def reason(have: Any) -> str:
    """The cloud's status word, with its reason where it gives one."""
    why = getattr(have, "reason", "")
    return f"{have.status}: {why}" if why and have.status else str(why or have.status)


def hint(have: Any) -> str:
    """What to do about its status; empty if the driver does not know."""
    return str(getattr(have, "hint", ""))


def details(have: Any) -> Mapping[str, str]:
    """What ``status`` says of a state or a desired thing, beside its status."""
    found: Mapping[str, str] = getattr(have, "details", {})
    return found


def about(have: Any) -> str:
    """The same in words."""
    return ", ".join(f"{key} {value}" for key, value in details(have).items())


def range_of(least: int, most: int) -> str:
    """``2``, ``1 to 5``"""
    return f"{least} to {most}" if most > least else str(least)
