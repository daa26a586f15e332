"""What the commands print besides progress: plans, results, what is left, and errors."""

from __future__ import annotations

import textwrap
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from clusterkit.cli.terminal import SafeConsole
from clusterkit.cluster import Kept, Observation, Plan, Step
from clusterkit.engine import words
from clusterkit.engine.seen import about
from clusterkit.engine.target import Target
from clusterkit.engine.words import brief
from clusterkit.errors import CloudError, ClusterkitError, Finding, PreflightError, ProfileError

MARKS = {"create": "+", "update": "~", "replace": "±", "wait": "…", "delete": "-", "sweep": "-"}
_WHOLE_WORDS: Any = {"break_long_words": False, "break_on_hyphens": False}
"""a path or a command stays in one piece, to be copied"""
_UNDER = (" " * len("error: "), "")
STYLES = {
    "create": "green",
    "update": "yellow",
    "replace": "yellow",
    "delete": "red",
    "sweep": "red",
}


def out() -> Console:
    """The console for results."""
    return SafeConsole(highlight=False, soft_wrap=True)


def err() -> Console:
    """The console for progress and errors."""
    return SafeConsole(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """A result for humans, on stdout."""
    out().print(Text(text))


def tell(text: str) -> None:
    """Progress for humans, on stderr."""
    err().print(Text(text))


def show_plan(console: Console, cluster: str, plan: Plan) -> None:
    """Every step with something to do, grouped by what is done, with old and new values."""
    if plan.empty:
        console.print(Text(f"{cluster}: nothing to do"))
        return
    for op in ("create", "wait", "update", "replace", "delete", "sweep"):
        steps = [step for step in plan.todo if step.op == op]
        for step in sorted(steps, key=lambda s: s.key) if op == "create" else steps:
            _show_step(console, step)
            for told in [str(change) for change in step.changes] + [step.why]:
                if told:
                    labelled(console, (" " * 6, ""), brief(told, 200), "dim")
    console.print(Text(f"{cluster}: {counts(plan.todo)}"))


def _show_step(console: Console, step: Step) -> None:
    more = f"  {about(step)}" if step.details else ""
    if step.op == "sweep":
        more = f"  {step.found} there now"
    elif step.op == "wait":
        more = "  not ready yet"
    label = (f"  {MARKS.get(step.op, ' ')} ", STYLES.get(step.op, ""))
    labelled(console, label, f"{step.key}{more}", "dim", plain=len(step.key))


def counts(steps: Iterable[Step]) -> str:
    """How many there are of each kind: ``3 to create, 1 to update``."""
    return words.counts((step.key, step.op) for step in steps)


def show_findings(console: Console, findings: Iterable[Finding]) -> None:
    """Warnings: what the user should know but may ignore."""
    for finding in findings:
        labelled(console, ("warning: ", "yellow"), str(finding))
        if finding.hint:
            labelled(console, (" " * 9, ""), finding.hint, "dim")


def labelled(
    console: Console, label: tuple[str, str], text: str, style: str = "", *, plain: int = 0
) -> None:
    """A labelled message; a terminal breaks its lines between words and under the first, what
    reads a pipe gets them whole. The first ``plain`` characters are without ``style``.
    """
    room = max(console.width - len(label[0]), 1)
    for line in text.splitlines() or [""]:
        parts = textwrap.wrap(line, room, **_WHOLE_WORDS) if console.is_terminal else [line]
        for part in parts or [""]:
            console.print(Text.assemble(label, part[:plain], (part[plain:], style)))
            label, plain = (" " * len(label[0]), ""), 0


def show_blocked(console: Console, blocked: Iterable[Kept]) -> None:
    """What a destroy cannot delete, why, and what it can do about it."""
    for item in blocked:
        labelled(console, ("  stays ", "yellow"), f"{item.key}: {item.reason}")
        if item.hint:
            labelled(console, (" " * 8, ""), item.hint, "dim")


def show_kept(console: Console, cluster: str, kept: Sequence[Kept]) -> None:
    """The end of a destroy: what was kept, why, and what it costs."""
    show_kept_things(console, kept)
    told = f"deleted, except for the {len(kept)} kept" if kept else "nothing is left"
    console.print(Text(f"{cluster}: {told}"))


def show_kept_things(console: Console, kept: Sequence[Kept], of: str = "") -> None:
    """What a destroy keeps, ``of`` which cluster if there are several."""
    for item in kept:
        labelled(console, ("  kept  ", ""), f"{f'{of}: ' if of else ''}{item.key}: {item.reason}")
        if item.hint:
            labelled(console, (" " * 8, ""), item.hint, "dim")


def show_error(console: Console, error: BaseException, *, debug: bool) -> None:
    """What went wrong, where, why, and what to do next."""
    if debug:
        console.print(Text("".join(traceback.format_exception(error))))
    if isinstance(error, ProfileError | PreflightError):
        for finding in error.findings:
            labelled(console, ("error: ", "bold red"), str(finding))
            if finding.hint:
                labelled(console, _UNDER, finding.hint)
        return
    labelled(console, ("error: ", "bold red"), _what(error))
    if isinstance(error, ClusterkitError):
        if isinstance(error, CloudError) and error.origin:
            labelled(console, _UNDER, f"({error.origin})", "dim")
        if error.hint:
            labelled(console, _UNDER, error.hint)
    elif not debug:
        console.print(
            Text("       this is a bug in clusterkit; run it with --debug and report the traceback")
        )


def _what(error: BaseException) -> str:
    return str(error) if isinstance(error, ClusterkitError) else f"{type(error).__name__}: {error}"


def show_stopped(console: Console, stopped: Mapping[str, str], again: str, destroy: str) -> None:
    """After Ctrl-C or a failure: what is still in progress, how to continue or clean up."""
    show_going(console, stopped)
    console.print(Text(f"To continue: {again}"))
    if destroy != again:
        console.print(Text(f"To delete everything: {destroy}"))


def show_going(console: Console, stopped: Mapping[str, str]) -> None:
    """After Ctrl-C or a failure: what is still in progress."""
    going = {key: note for key, note in stopped.items() if note}
    if going:
        console.print("Not finished, and possibly still in progress in the cloud:")
        for key, note in going.items():
            console.print(Text(f"  {key}: {brief(note)}"))


def show_status(console: Console, target: Target, found: Observation) -> None:
    """What exists of a cluster, with the cloud's word for its state."""
    where = f"{target.cloud}, {target.region}, account {found.account}"
    if not found.things:
        of = " of what could be listed" if found.warnings else ""
        console.print(Text(f"{target.name}: nothing{of} carries its tags ({where})"))
        return
    console.print(Text(f"{target.name} ({where})", style="bold"))
    width = max(len(thing.key) for thing in found.things)
    for thing in found.things:
        more = f"  {about(thing.state)}" if about(thing.state) else ""
        label = (f"  {thing.key:<{width}}  ", "")
        labelled(console, label, f"{brief(thing.status, 100)}{more}")
