"""Where a command prints: consoles, the renderer of progress, questions, and its end."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import typer
from rich.console import Console

from clusterkit.cli import report
from clusterkit.cli.format import clock
from clusterkit.cli.heartbeat import Heartbeat
from clusterkit.cli.jsonl import JsonLines
from clusterkit.cli.live import Live
from clusterkit.cli.options import Output
from clusterkit.cli.plain import Plain
from clusterkit.cluster import Outcome
from clusterkit.engine import threads
from clusterkit.errors import ClusterkitError, Interrupted

Renderer = Live | Plain | JsonLines


@dataclass(frozen=True)
class UI:
    """Where a command's words go."""

    out: Console
    err: Console
    mode: Output
    debug: bool

    @property
    def json(self) -> bool:
        """Whether the output is JSON lines."""
        return self.mode == "json"

    def renderer(self) -> Renderer:
        """The renderer of the run's events."""
        if self.json:
            return JsonLines()
        if self.mode == "live":
            return Live(self.err)
        return Plain()

    def line(self, name: str, **values: Any) -> None:
        """A JSON line besides the run's events; nothing for humans."""
        if self.json:
            JsonLines().line(name, **values)

    def say(self, text: str) -> None:
        """A line about progress, for humans."""
        if not self.json:
            self.err.print(text, markup=False)

    def ask(self, question: str, *, expect: str | None = None) -> bool:
        """Yes or no; with ``expect``, whether that very word is typed."""
        if sys.stdin is None or not sys.stdin.isatty():
            raise ClusterkitError(
                "cannot ask for confirmation: stdin is not a terminal",
                hint="run it with --yes to go ahead without asking",
            )
        self.err.print(f"{question} ", end="", markup=False)
        sys.stderr.flush()
        answer = ""
        try:
            answer = sys.stdin.readline()
        finally:
            if not answer.endswith("\n"):  # Ctrl-C or Ctrl-D: what follows has its own line
                self.err.print()
        answer = answer.strip()
        return answer == expect if expect else answer.lower() in ("y", "yes")

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """A spinner in a terminal while something takes a moment, elsewhere a line a minute."""
        if self.mode == "live":
            with self.err.status(text):
                yield
            return

        def tell(seconds: float) -> None:
            self.say(f"still {text} ({clock(seconds)})")
            self.line("Waiting", what=text, seconds=round(seconds, 1), steps=[])

        with Heartbeat(tell):
            yield


def face(output: Output, *, debug: bool) -> UI:
    """``auto`` is live in a terminal that can redraw, plain elsewhere."""
    err = report.err()
    if output == "auto":
        can = err.is_terminal and os.environ.get("TERM") not in ("dumb", "unknown")
        output = "live" if can else "plain"
    return UI(report.out(), err, output, debug)


def end(error: BaseException, *, json: bool, debug: bool) -> NoReturn:
    """Print the error and leave with its code."""
    code = error.exit_code if isinstance(error, ClusterkitError) else 1
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        code = Interrupted.exit_code
        error = Interrupted("interrupted", hint="run the same command again to continue")
    if isinstance(error, MemoryError | SystemError):  # the latter: without memory for the former
        error = threads.out_of_memory()
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        error = ClusterkitError(str(error), hint="raise the limit on open files: ulimit -n 256")
    if json:
        JsonLines().line("Error", errors=[error], exit=code)
    report.show_error(report.err(), error, debug=debug)
    sys.exit(code)


def failed(shown: UI, outcome: Outcome, again: str, destroy: str) -> NoReturn:
    """After a run that failed or was interrupted: every reason, what is still in progress in the
    cloud, how to continue.
    """
    for error in outcome.failed.values():
        report.show_error(shown.err, error, debug=shown.debug)
    if not outcome.failed:
        report.show_error(shown.err, Interrupted("interrupted"), debug=False)
    report.show_stopped(shown.err, outcome.stopped, again, destroy)
    codes = [e.exit_code if isinstance(e, ClusterkitError) else 1 for e in outcome.failed.values()]
    code = codes[0] if codes else Interrupted.exit_code
    shown.line("Error", errors=list(outcome.failed.values()), exit=code)
    sys.exit(code)
