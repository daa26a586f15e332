"""Progress in a terminal: what runs now in a few redrawn lines, what is done above them."""

from __future__ import annotations

import time
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from clusterkit.cli.report import labelled
from clusterkit.cli.running import Running
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
from clusterkit.engine.words import brief, clock, done_word, line

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
"""what turns while something goes on"""
ECHO = len("^C")
"""columns that stay free: what the terminal shows of a Ctrl-C must not begin another line, or the
frame is not where it is removed
"""


def warn(console: Console, where: str, what: str) -> None:
    """A warning, whole: what it says may be told nowhere else."""
    labelled(console, ("! ", "yellow"), f"{where}  {brief(what)}", "dim", plain=len(where))


class Live:
    """A header and one line per running step; fits the terminal's width and height."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = RichLive(self, console=console, refresh_per_second=8, transient=True)
        self._running = Running()
        self._title = ""
        self._total = self._done = 0
        self._started = time.monotonic()

    def of(self, _: Target, label: str = "") -> Emit:
        """Where the events go."""
        return self

    def result(self, label: str, word: str, reason: str, *, ok: bool) -> None:
        """The cluster's end: the run's own last line tells it."""

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The header, and as many rows as there is room for; the oldest first."""
        now = time.monotonic()
        room = max(1, options.size.height - 4)
        rows = list(self._running.rows.items())
        table = Table.grid(padding=(0, 1))
        table.width = max(1, options.max_width - ECHO)
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", width=30)
        table.add_column(no_wrap=True, justify="right", width=9)
        table.add_column(no_wrap=True, width=11, style="dim")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for key, row in rows[:room]:
            usual = f"of {clock(row.typical)}" if row.typical >= 1 else ""
            frame = FRAMES[int(now * 8) % len(FRAMES)]
            table.add_row(frame, key, clock(now - row.started), usual, Text(brief(row.doing)))
        head = f"{self._title}: {self._done} of {self._total} done, {clock(now - self._started)}"
        more = len(rows) - room
        yield Group(
            Text(head, style="bold", no_wrap=True, overflow="ellipsis"),
            table,
            *([Text(f"  and {more} more", style="dim")] if more > 0 else []),
        )

    def _say(self, mark: str, style: str, key: str, rest: str) -> None:
        told = Text(no_wrap=True, overflow="ellipsis")
        told.append(mark, style=style)
        told.append(f" {key}")
        told.append(f"  {rest}", style="dim")
        self._console.print(told)

    def __call__(self, event: Event) -> None:
        """Draw it."""
        self._running.see(event)
        match event:
            case RunStarted(action, cluster, _, steps):
                self._title, self._total = f"{action} {cluster}", len(steps)
            case StepStarted() | StepNoted() | StepRetried():
                return  # drawn as one of the rows
            case StepDone(key, op, seconds, note):
                if op == "sweep" and note in ("", "none"):
                    return
                self._done += 1
                self._total = max(self._total, self._done)
                more = f", {note}" if note else ""
                self._say("✓", "green", key, f"{done_word(op)} in {clock(seconds)}{more}")
            case StepFailed(key, _, seconds, _):
                self._say("✗", "red", key, f"failed after {clock(seconds)}")
            case StepStopped(key, note):
                self._say("…", "yellow", key, f"unfinished ({note or 'begun'})")
            case Warned(where, what):
                warn(self._console, where, what)
            case RunEnded():
                self._running.rows.clear()
                self._console.print(Text(line(event) or "", style="bold"))
