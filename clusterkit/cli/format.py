"""Words for operations, durations and reasons, shared by all renderers."""

from __future__ import annotations

from typing import assert_never

from clusterkit.engine.events import Op

NOTED = 5.0
"""seconds from which on a wait is worth a line in a log"""


def verb(op: Op) -> str:
    """What a step is doing."""
    match op:
        case "create":
            return "creating"
        case "update":
            return "updating"
        case "replace":
            return "replacing"
        case "wait":
            return "waiting"
        case "keep":
            return "keeping"
        case "delete":
            return "deleting"
        case "sweep":
            return "sweeping"
        case _:
            assert_never(op)


def done_word(op: Op) -> str:
    """What a step has done."""
    match op:
        case "create":
            return "created"
        case "update":
            return "updated"
        case "replace":
            return "replaced"
        case "wait":
            return "ready"
        case "keep":
            return "kept"
        case "delete":
            return "deleted"
        case "sweep":
            return "swept"
        case _:
            assert_never(op)


def clock(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``9:05 min``, ``1:02 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"


def size(count: int) -> str:
    """``512 bytes``, ``3.4 kB``, ``120 MB``."""
    if count < 1000:
        return f"{count} bytes"
    number, units = float(count), iter(("kB", "MB", "GB", "TB"))
    unit = ""
    while number >= 1000 and (following := next(units, "")):
        number, unit = number / 1000, following
    return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"


def brief(text: str, limit: int = 160) -> str:
    """One line, cut at ``limit``."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
