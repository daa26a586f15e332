"""The steps of a run that are under way, for whoever draws or lists them."""

from __future__ import annotations

import time
from dataclasses import dataclass

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
from clusterkit.engine.words import brief, clock, verb


@dataclass
class Row:
    """One step under way."""

    op: Op
    started: float
    """``time.monotonic()``"""
    typical: float
    note: str = ""

    @property
    def doing(self) -> str:
        """What it does now."""
        return self.note or verb(self.op)

    @property
    def seconds(self) -> float:
        """How long it has been under way."""
        return time.monotonic() - self.started

    def __str__(self) -> str:
        usual = f", usually {clock(self.typical)}" if self.typical >= 1 else ""
        return f"{brief(self.doing)} ({clock(self.seconds)}{usual})"


class Running:
    """Keeps ``rows`` by step, the oldest first; ``see`` every event."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def see(self, event: Event) -> None:
        """Take the event into account."""
        match event:
            case StepStarted(key, op, typical):
                self.rows[key] = Row(op, time.monotonic(), typical)
            case StepNoted(key, note):
                self._note(key, note)
            case StepRetried(key, reason, _):
                self._note(key, f"retrying: {brief(reason)}")
            case StepDone(key) | StepFailed(key) | StepStopped(key):
                self.rows.pop(key, None)
            case RunStarted() | Warned() | RunEnded():
                return

    def _note(self, key: str, note: str) -> None:
        if row := self.rows.get(key):
            row.note = note
