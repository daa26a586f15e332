"""Times as clouds write them."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def utc(text: object) -> datetime | None:
    """A time by ISO 8601, in UTC unless it says otherwise; None for anything else."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def ago(seconds: float) -> str:
    """A time in seconds since the epoch: ``06:20:11 UTC, 3 min ago``."""
    told = datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S UTC")
    passed = max(0, int(time.time() - seconds))
    return f"{told}, {passed // 60} min ago" if passed >= 60 else f"{told}, {passed} s ago"
