"""Progress as plain lines: for logs, pipes and terminals that cannot redraw."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from typing import Self, TextIO

from clusterkit.cli.heartbeat import Heartbeat
from clusterkit.cli.running import Running
from clusterkit.cli.terminal import clean
from clusterkit.engine.events import (
    Emit,
    Event,
    RunEnded,
    RunStarted,
    StepFailed,
    Warned,
)
from clusterkit.engine.target import Target
from clusterkit.engine.words import brief, line, place

MANY = 8
"""clusters whose steps are told one by one"""
MOST = 5
"""steps that are listed after a minute of silence"""


class Plain:
    """One line per step when it begins to matter and when it ends; of many clusters, only their
    ends and what is wrong.
    """

    def __init__(self, stream: TextIO | None = None, total: int = 1) -> None:
        """``total``: the clusters there are."""
        self._stream = stream or sys.stderr
        self._total = total
        self._begun = self._well = self._failed = 0
        self._running = Running()
        self._heartbeat = Heartbeat(self._still)

    def of(self, target: Target, label: str = "") -> Emit:
        """Where the events of a cluster go; ``label`` is what it is called among others."""
        self._begun += 1
        return (lambda event: self(_labelled(event, label, target.name))) if label else self

    @property
    def _many(self) -> bool:
        return self._total > MANY

    def result(self, label: str, word: str, reason: str, *, ok: bool) -> None:
        """The end of one of several clusters."""
        if ok:
            self._well += 1
        else:
            self._failed += 1
        self._say(f"{label}: {word}{f': {brief(reason)}' if reason else ''}")

    def __enter__(self) -> Self:
        self._heartbeat.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._heartbeat.__exit__()

    def _say(self, line: str) -> None:
        if self._heartbeat.over:  # after a second Ctrl-C runs go on until the process has ended
            return
        self._heartbeat.heard()
        with suppress(OSError):  # a full disk or a closed pipe is no reason to stop a run
            self._stream.write(f"{clean(line)}\n")  # in one piece: two threads write
            self._stream.flush()

    def _still(self, _: float) -> None:
        """What is waited for, after a minute without a word."""
        if self._many:
            running = self._begun - self._well - self._failed
            counts = f"{running} running, {self._well} done, {self._failed} failed"
            self._say(f"{self._total} clusters: {counts}")
            return
        rows = list(self._running.rows.items())
        for key, row in rows[:MOST]:
            self._say(f"  {key}: still {row}")
        if len(rows) > MOST:
            self._say(f"  and {len(rows) - MOST} more")

    def __call__(self, event: Event) -> None:
        """Say it."""
        if self._many and not isinstance(event, StepFailed | Warned):
            return
        self._running.see(event)
        told = line(event)
        if told is not None:
            self._say(told)


def _labelled(event: Event, label: str, name: str) -> Event:
    """The event with what the cluster is called where its lines begin."""
    match event:
        case RunStarted() | RunEnded():
            return replace(event, cluster=label)
        case Warned(where):
            return replace(event, where=place(label, name, where))
        case _:
            return replace(event, key=f"{label}: {event.key}")
