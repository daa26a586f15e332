"""Progress of several clusters in a terminal: counts, and a line for each that runs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from clusterkit.cli.live import ECHO, FRAMES, warn
from clusterkit.cli.running import Row, Running
from clusterkit.engine.events import (
    Emit,
    Event,
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
from clusterkit.engine.target import Target
from clusterkit.engine.words import brief, clock, place

LATE = 1.5
"""times what a step usually takes; from then on it is told before the others"""


@dataclass
class _Line:
    """A cluster that is being worked on."""

    began: float = field(default_factory=time.monotonic)
    total: int = 0
    done: int = 0
    failed: int = 0
    running: Running = field(default_factory=Running)
    note: str = "begins"
    """what it does while no step runs"""

    @property
    def longest(self) -> tuple[str, Row] | None:
        """The step that is told: of those that run, the one the others wait for longest."""
        rows = list(self.running.rows.items())
        return max(rows, key=lambda row: (row[1].typical, row[1].seconds), default=None)

    @property
    def urgency(self) -> tuple[int, int, float]:
        """What somebody who cannot see all wants to see: failures, what is late, the oldest."""
        rows = list(self.running.rows.values())
        late = sum(row.typical > 1 and row.seconds > LATE * row.typical for row in rows)
        return (-self.failed, -late, self.began)

    @property
    def doing(self) -> str:
        """Its step and what that waits for."""
        found = self.longest
        if found is None:
            return self.note
        key, row = found
        usual = f" of {clock(row.typical)}" if row.typical >= 1 else ""
        return f"{key}: {brief(row.doing)}, {clock(row.seconds)}{usual}"


class Board:
    """The counts, and one line for each cluster that runs, as many as fit; those that have ended
    are told above it. Safe on many threads.
    """

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._live = RichLive(self, console=console, refresh_per_second=8, transient=True)
        self._guard = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._total = total
        self._well = self._failed = 0
        self._over = False
        self._started = time.monotonic()

    def of(self, target: Target, label: str = "") -> Emit:
        """Where the events of a cluster go, which begins now."""
        with self._guard:
            self._lines[label] = _Line()
        return lambda event: self._see(label, target.name, event)

    def result(self, label: str, word: str, reason: str, *, ok: bool) -> None:
        """How a cluster has ended."""
        with self._guard:
            line = self._lines.pop(label, None)
            if ok:
                self._well += 1
            else:
                self._failed += 1
        told = Text("✓" if ok else "✗", style="green" if ok else "red")
        told.append(f" {label}", style="default")
        after = f" after {clock(time.monotonic() - line.began)}" if line else ""
        why = f": {brief(reason)}" if reason else ""
        told.append(f"  {word}{after}{why}", style="dim default")
        if not self._over:  # after a second Ctrl-C runs go on until the process has ended
            self._console.print(told, soft_wrap=False, no_wrap=True, overflow="ellipsis")

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The counts, and as many clusters as there is room for."""
        now = time.monotonic()
        room = max(1, options.size.height - 4)
        with self._guard:
            lines = list(self._lines.items())
            ended = self._well + self._failed
        if len(lines) > room:
            lines.sort(key=lambda each: each[1].urgency)
        table = Table.grid(padding=(0, 1))
        table.width = max(1, options.max_width - ECHO)
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=28)
        table.add_column(no_wrap=True, justify="right", width=7)
        table.add_column(no_wrap=True, justify="right", width=9)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for label, line in lines[:room]:
            mark = Text("✗", style="red") if line.failed else FRAMES[int(now * 8) % len(FRAMES)]
            share = f"{line.done}/{line.total}" if line.total else ""
            table.add_row(mark, Text(label), share, clock(now - line.began), Text(line.doing))
        counts = {"running": len(lines), "done": self._well, "failed": self._failed}
        counts["waiting"] = self._total - len(lines) - ended
        told = [f"{count} {word}" for word, count in counts.items() if count or word == "running"]
        head = f"{self._total} clusters: {', '.join(told)}, {clock(now - self._started)}"
        more = len(lines) - room
        yield Group(
            Text(head, style="bold", no_wrap=True, overflow="ellipsis"),
            table,
            *([Text(f"  and {more} more running", style="dim")] if more > 0 else []),
        )

    def _see(self, label: str, name: str, event: Event) -> None:
        with self._guard:
            line = self._lines.get(label)
            if line is not None:
                _take(line, event)
        if isinstance(event, Warned) and not self._over:
            warn(self._console, place(label, name, event.where), event.what)


def _take(line: _Line, event: Event) -> None:
    line.running.see(event)
    match event:
        case RunStarted(_, _, _, steps):
            line.total = len(steps)
        case StepDone(_, op, _, note):
            if op != "sweep" or note not in ("", "none"):
                line.done += 1
                line.total = max(line.total, line.done)
        case StepFailed():
            line.failed += 1
        case Warned(_, what):
            line.note = what
        case RunEnded():
            line.note = "finishing"
        case StepStarted() | StepNoted() | StepRetried() | StepStopped():
            return
