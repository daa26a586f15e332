"""Progress as JSON lines on stdout: one object per event, ``event`` names its class."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, is_dataclass
from typing import Any, Self, TextIO

from clusterkit.cli.heartbeat import Heartbeat
from clusterkit.cli.running import Running
from clusterkit.engine.events import Event
from clusterkit.errors import ClusterkitError


class JsonLines:
    """Writes every event as it comes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._running = Running()
        self._heartbeat = Heartbeat(self._still)

    def __enter__(self) -> Self:
        self._heartbeat.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._heartbeat.__exit__()

    def _still(self, seconds: float) -> None:
        """What is waited for, after a minute without a word."""
        steps = [
            {"key": key, "op": row.op, "note": row.note, "seconds": round(row.seconds, 1)}
            for key, row in list(self._running.rows.items())
        ]
        self.line("Waiting", what="the run", seconds=round(seconds, 1), steps=steps)

    def __call__(self, event: Event) -> None:
        """Write it."""
        self._running.see(event)
        self.line(type(event).__name__, **asdict(event))

    def line(self, name: str, **values: Any) -> None:
        """Write a line that is no event of a run (``Plan``, ``Result``)."""
        self._heartbeat.heard()
        text = json.dumps({"event": name, **values}, default=plain)
        self._stream.write(f"{text}\n")  # in one piece: two threads write
        self._stream.flush()


def plain(value: object) -> object:
    """What JSON lacks: errors as their parts, dataclasses as objects, the rest as text."""
    if isinstance(value, ClusterkitError):
        parts = {"what": value.what, "where": value.where, "hint": value.hint}
        code = getattr(value, "code", "")
        return {**parts, "code": code, "exit": value.exit_code}
    if isinstance(value, BaseException):
        return {"what": f"{type(value).__name__}: {value}", "where": "", "hint": "", "exit": 1}
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
