"""Times as clouds write them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(text: object) -> datetime | None:
    """A time by ISO 8601, in UTC unless it says otherwise; None for anything else."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def told(seconds: float) -> str:
    """A time in seconds since the epoch for people: ``2026-11-28 06:20:11 UTC``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
