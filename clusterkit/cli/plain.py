"""Progress as plain lines: for logs, pipes and terminals that cannot redraw."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self, TextIO

from clusterkit.cli.format import NOTED, brief, clock, done_word, verb
from clusterkit.cli.terminal import clean
from clusterkit.engine.events import (
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


class Plain:
    """One line per step when it begins to matter and when it ends."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._noted: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def _say(self, line: str) -> None:
        print(clean(line), file=self._stream, flush=True)

    def __call__(self, event: Event) -> None:
        """Say it."""
        match event:
            case RunStarted(action, cluster, _, steps):
                self._say(f"{action} {cluster}: {len(steps)} to do")
            case StepStarted(key, op, typical):
                usual = f" (usually {clock(typical)})" if typical >= NOTED else ""
                if usual:
                    self._say(f"  {key}: {verb(op)}{usual}")
            case StepNoted(key, note):
                self._noted[key] = note
            case StepRetried(key, reason, delay):
                if delay >= NOTED:
                    self._say(f"  {key}: {brief(reason)}; again in {clock(delay)}")
            case StepDone(key, op, seconds, note):
                if op == "sweep" and note in ("", "none"):
                    return
                more = f", {note}" if note else ""
                self._say(f"  {key}: {done_word(op)} in {clock(seconds)}{more}")
            case StepFailed(key, _, seconds, _):
                self._say(f"  {key}: failed after {clock(seconds)}")
            case StepStopped(key, note):
                self._say(f"  {key}: unfinished{f' ({note})' if note else ''}")
            case Warned(where, what):
                self._say(f"  warning: {where}: {brief(what)}")
            case RunEnded(action, cluster, done, failed, stopped, seconds):
                parts = [f"{done} done"]
                parts += [f"{failed} failed"] if failed else []
                parts += [f"{stopped} unfinished"] if stopped else []
                self._say(f"{action} {cluster}: {', '.join(parts)} in {clock(seconds)}")
