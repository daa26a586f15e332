"""Progress as JSON lines on stdout: one object per event, ``event`` names its class."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict, is_dataclass
from typing import Any, Self, TextIO

from clusterkit.cli.heartbeat import Heartbeat
from clusterkit.cli.running import Running
from clusterkit.engine.events import Emit, Event
from clusterkit.engine.target import Target
from clusterkit.errors import ClusterkitError


class JsonLines:
    """Writes every event as it comes."""

    _writing = threading.Lock()

    def __init__(self, stream: TextIO | None = None, cluster: Target | None = None) -> None:
        """``cluster``: what the lines are about; each names it."""
        self._stream = stream or sys.stdout
        self._about: dict[str, str] = {}
        if cluster is not None:
            self._about = {"cloud": cluster.cloud, "region": cluster.region, "name": cluster.name}
        self._running = Running()
        self._parts: list[JsonLines] = []
        self._heartbeat = Heartbeat(self._still)

    def of(self, cluster: Target, _: str = "") -> Emit:
        """Where the events of a cluster go."""
        part = JsonLines(self._stream, cluster)
        part._heartbeat = self._heartbeat
        self._parts.append(part)
        return part

    def result(self, label: str, word: str, reason: str, *, ok: bool) -> None:
        """A cluster's end: it has lines of its own."""

    def __enter__(self) -> Self:
        self._heartbeat.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._heartbeat.__exit__()

    def _still(self, seconds: float) -> None:
        """What is waited for, after a minute without a word."""
        for part in [*self._parts] or [self]:
            steps = [
                {"key": key, "op": row.op, "note": row.note, "seconds": round(row.seconds, 1)}
                for key, row in list(part._running.rows.items())
            ]
            if steps or part is self or len(self._parts) == 1:
                part.line("Waiting", what="the run", seconds=round(seconds, 1), steps=steps)

    def __call__(self, event: Event) -> None:
        """Write it."""
        self._running.see(event)
        self.line(type(event).__name__, **asdict(event))

    def line(self, event: str, **values: Any) -> None:
        """Write a line that is no event of a run (``Plan``, ``Result``)."""
        if self._heartbeat.over:  # after a second Ctrl-C runs go on until the process has ended
            return
        self._heartbeat.heard()
        text = json.dumps({"event": event, **self._about, **values}, default=plain)
        with self._writing:
            self._stream.write(f"{text}\n")
            self._stream.flush()


def plain(value: object) -> object:
    """What JSON lacks: errors as their parts, dataclasses as objects, the rest as text."""
    if isinstance(value, ClusterkitError):
        parts = {"what": value.what, "where": value.where, "hint": value.hint}
        code = getattr(value, "code", "")
        all_of = [asdict(each) for each in getattr(value, "findings", ())]
        found = {"findings": all_of} if all_of else {}
        return {**parts, "code": code, "exit": value.exit_code, **found}
    if isinstance(value, BaseException):
        return {"what": f"{type(value).__name__}: {value}", "where": "", "hint": "", "exit": 1}
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
