"""Where a command prints: consoles, the renderer of progress, questions, and its end."""

from __future__ import annotations

import errno
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console

from clusterkit.cli import report
from clusterkit.cli.heartbeat import Heartbeat
from clusterkit.cli.jsonl import JsonLines
from clusterkit.cli.options import Output
from clusterkit.cli.plain import Plain
from clusterkit.engine import threads
from clusterkit.engine.target import Target
from clusterkit.engine.words import clock
from clusterkit.errors import ClusterkitError, Interrupted

if TYPE_CHECKING:  # most commands draw nothing
    from clusterkit.cli.board import Board
    from clusterkit.cli.live import Live

    Renderer = Live | Plain | JsonLines | Board
FILES = "raise the limit on open files: ulimit -n 1024"


@dataclass(frozen=True)
class UI:
    """Where a command's words go, or those about one of its clusters."""

    out: Console
    err: Console
    mode: Output
    debug: bool
    cluster: Target | None = None
    """what JSON lines name"""
    label: str = ""
    """what the cluster is called among several: then it has no display and no questions of its own
    """

    def about(self, cluster: Target, label: str = "") -> UI:
        """For what is said about one cluster."""
        return replace(self, cluster=cluster, label=label)

    @property
    def json(self) -> bool:
        """Whether the output is JSON lines."""
        return self.mode == "json"

    def renderer(self, total: int = 1) -> Renderer:
        """The renderer of the events of the runs of ``total`` clusters."""
        if self.json:
            return JsonLines()
        if self.mode == "live":
            from clusterkit.cli.board import Board
            from clusterkit.cli.live import Live

            return Live(self.err) if total == 1 else Board(self.err, total)
        return Plain(total=total)

    def line(self, event: str, **values: Any) -> None:
        """A JSON line besides the run's events; nothing for humans."""
        if self.json:
            JsonLines(cluster=self.cluster).line(event, **values)

    def say(self, text: str) -> None:
        """A line about progress, for humans."""
        if not self.json:
            report.labelled(self.err, (f"{self.label}: " if self.label else "", ""), text)

    def ask(self, question: str, *, expect: str | None = None) -> bool:
        """Yes or no; with ``expect``, whether that very word is typed."""
        if sys.stdin is None or not sys.stdin.isatty():
            raise ClusterkitError(
                "cannot ask for confirmation: stdin is not a terminal",
                hint="run it with --yes to go ahead without asking",
            )
        if self.err.is_terminal:
            question = textwrap.fill(question, self.err.width - 1)
        self.err.print(f"{question} ", end="", markup=False)
        sys.stderr.flush()
        answer = ""
        try:
            answer = sys.stdin.readline()
        finally:
            if not answer.endswith("\n"):  # Ctrl-C or Ctrl-D: what follows has its own line
                self.err.print()
        answer = answer.strip()
        if expect is None:
            return answer.lower() in ("y", "yes")
        if answer and answer != expect:
            self.say(f"that was not '{expect}'")
        return answer == expect

    @contextmanager
    def working(self, text: str) -> Iterator[Callable[[str], None]]:
        """A spinner in a terminal while something takes a moment, elsewhere a line a minute; call
        what it gives to change the text.
        """
        if self.label:
            yield lambda _: None
            return
        if self.mode == "live":
            with self.err.status(text) as status:
                yield status.update
            return
        now = [text]

        def tell(seconds: float) -> None:
            self.say(f"still {now[-1]} ({clock(seconds)})")
            self.line("Waiting", what=now[-1], seconds=round(seconds, 1), steps=[])

        with Heartbeat(tell):
            yield now.append


def face(output: Output, *, debug: bool) -> UI:
    """``auto`` is live in a terminal that can redraw, plain elsewhere."""
    err = report.err()
    if output == "auto":
        can = err.is_terminal and os.environ.get("TERM") not in ("dumb", "unknown")
        output = "live" if can else "plain"
    return UI(report.out(), err, output, debug)


def told(error: BaseException) -> BaseException:
    """The error in the words it is told in."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Interrupted("interrupted", hint="run the same command again to continue")
    if isinstance(error, MemoryError | SystemError):  # the latter: without memory for the former
        return threads.out_of_memory()
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return ClusterkitError(str(error), hint=FILES)
    if isinstance(error, ClusterkitError) and os.strerror(errno.EMFILE) in str(error):
        error.hint = FILES  # an SDK has told it as a connection that failed
    return error


def exit_code(error: BaseException) -> int:
    """What a command exits with for it."""
    return error.exit_code if isinstance(error, ClusterkitError) else 1


def leave(code: int) -> int:
    """A command's exit code; 130 ends it here, as typer has the same for a Ctrl-C of which nobody
    has told yet.
    """
    if code == Interrupted.exit_code:
        sys.exit(code)
    return code


def end(error: BaseException, *, json: bool, debug: bool) -> NoReturn:
    """Print the error and leave with its code."""
    error = told(error)
    code = exit_code(error)
    if json:
        JsonLines().line("Error", errors=[error], exit=code)
    report.show_error(report.err(), error, debug=debug)
    sys.exit(code)
