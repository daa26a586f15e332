"""Words for operations, durations, reasons and events: the same in a terminal, a log and a
Kubernetes Event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from clusterkit.engine.events import (
    Event,
    Op,
    RunEnded,
    RunStarted,
    StepDone,
    StepFailed,
    StepNoted,
    StepRetried,
    StepStarted,
    StepStopped,
    Warned,
)

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


def place(label: str, name: str, where: str) -> str:
    """Where a warning about one of several clusters is: about itself, or about a thing of it."""
    return label if where == name else f"{label}: {where}"


def line(event: Event) -> str | None:
    """An event as one line for logs and pipes; None for what such a reader need not know."""
    match event:
        case RunStarted(action, cluster, _, steps):
            return f"{action} {cluster}: {len(steps)} to do"
        case StepStarted(key, op, typical):
            return f"  {key}: {verb(op)} (usually {clock(typical)})" if typical >= NOTED else None
        case StepRetried(key, reason, delay):
            return f"  {key}: {brief(reason)}; again in {clock(delay)}" if delay >= NOTED else None
        case StepNoted():
            return None
        case StepDone(key, op, seconds, note):
            if op == "sweep" and note in ("", "none"):
                return None
            more = f", {note}" if note else ""
            return f"  {key}: {done_word(op)} in {clock(seconds)}{more}"
        case StepFailed(key, _, seconds, _):
            return f"  {key}: failed after {clock(seconds)}"
        case StepStopped(key, note):
            return f"  {key}: unfinished{f' ({note})' if note else ''}"
        case Warned(where, what):
            return f"  warning: {where}: {brief(what)}"
        case RunEnded(action, cluster, done, failed, stopped, seconds):
            parts = [f"{done} done"]
            parts += [f"{failed} failed"] if failed else []
            parts += [f"{stopped} unfinished"] if stopped else []
            return f"{action} {cluster}: {', '.join(parts)} in {clock(seconds)}"


def counts(steps: Iterable[tuple[str, Op]]) -> str:
    """How many there are of each kind: ``3 to create, 1 to update``."""
    words = {"create": "create", "update": "update", "replace": "replace", "wait": "wait for"}
    words |= {"delete": "delete", "sweep": "sweep"}
    count: dict[str, int] = {}
    for _, op in steps:
        count[op] = count.get(op, 0) + 1
    return ", ".join(f"{number} to {words[op]}" for op, number in count.items())
