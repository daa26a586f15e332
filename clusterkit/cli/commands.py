"""``up``, ``plan``, ``destroy`` and ``status``: the commands that talk to a cloud and change it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

from clusterkit.cli import receipt, report
from clusterkit.cli.connect import (
    Connected,
    check_files,
    connected,
    stop_on_signals,
    write_receipt,
)
from clusterkit.cli.format import clock
from clusterkit.cli.kubeconfig import forget_context, write_context
from clusterkit.cli.target import (
    Choice,
    command,
    complete,
    completed,
    find_target,
    profile_path,
    profile_target,
    read_profile,
)
from clusterkit.cli.ui import UI, failed
from clusterkit.cluster import Edit, Outcome, Plan
from clusterkit.engine.events import Event, RunStarted
from clusterkit.engine.target import Target
from clusterkit.errors import Blocked, ClusterkitError

if TYPE_CHECKING:
    from clusterkit.profile.model import BaseProfile

CHANGES = 20
"""exit code of ``plan`` when there is something to do"""


def _plan_line(shown: UI, plan: Plan) -> None:
    steps = [
        {
            "op": s.op, "key": s.key, "about": s.about,
            "changes": [_change(edit) for edit in s.changes], "why": s.why,
        }
        for s in plan.todo
    ]  # fmt: skip
    stay = {"kept": [asdict(k) for k in plan.kept], "blocked": [asdict(k) for k in plan.blocked]}
    shown.line("Plan", steps=steps, **stay)


def _change(edit: Edit) -> dict[str, object]:
    how = "refuse" if edit.refused else "replace" if edit.replace else "update"
    return {
        "field": edit.field, "have": edit.have, "want": edit.want, "how": how, "why": edit.why,
    }  # fmt: skip


def _planned(
    here: Connected,
    profile: BaseProfile,
    shown: UI,
    *,
    prune: bool,
    adopt: Sequence[str] = (),
    activate: bool = False,
) -> Plan:
    if moved := receipt.moved(here.receipts, here.target, here.profile):
        raise moved
    with shown.working(f"looking at {here.target.name} in {here.target.region}"):
        consent = shown.say if activate else None
        found = here.cluster.plan(profile, adopt=adopt, activate=consent, prune=prune)
    if shown.json:
        shown.line("Warnings", warnings=[asdict(w) for w in found.warnings])
    else:
        report.show_findings(shown.err, found.warnings)
    _plan_line(shown, found)
    return found


def plan(choice: Choice, shown: UI, *, prune: bool) -> int:
    """Print what ``up`` would do; 0 for nothing, 20 for changes."""
    profile, _ = read_profile(choice)
    with connected(profile_target(profile, choice), choice, shown.say) as here:
        found = _planned(here, profile, shown, prune=prune)
    if not shown.json:
        report.show_plan(shown.out, here.target.name, found)
    return 0 if found.empty else CHANGES


def up(
    choice: Choice,
    shown: UI,
    *,
    yes: bool,
    prune: bool,
    adopt: Sequence[str],
    use: bool,
    activate: bool,
    take_over: bool,
) -> int:
    """Create or update the cluster to match the profile, then write the kubeconfig."""
    profile, _ = read_profile(choice, receipts=False)
    with connected(profile_target(profile, choice), choice, shown.say) as here:
        with shown.working("reading the kubeconfig"):
            check_files(here)
        found = _planned(here, profile, shown, prune=prune, adopt=adopt, activate=activate)
        name, path, scale = here.target.name, profile_path(choice), here.cluster.connection.scale
        if not found.empty:
            if not shown.json:
                report.show_plan(shown.err, name, found)
            question = f"Apply this to account {found.account}{_usual(found, scale)}? [y/N]"
            if not yes and not shown.ask(question):
                shown.say("nothing was changed")
                return 1

            def again() -> Plan | None:
                """The plan after another run's changes; None if it is not what was agreed to."""
                new = _planned(here, profile, shown, prune=prune)
                if not yes and _steps(new) != _steps(found):
                    report.show_plan(shown.err, name, new)
                    return new if new.empty or shown.ask(question) else None
                return new

            ran = _locked(
                here,
                shown,
                found,
                again,
                lambda run: write_receipt(here, found.account, run, profile=path, kubeconfig=None),
                take_over=take_over,
            )
            if ran is None:
                shown.say("nothing was changed")
                return 1
            found, outcome = ran
            if not outcome.ok:
                complete(choice, *outcome.failed.values())
                failed(shown, outcome, command("up", choice), command("destroy", choice))
        elif not shown.json:
            shown.say(f"{name}: nothing to do")
        try:
            with shown.working("writing the kubeconfig"):
                written = write_context(here, use=use)
        except ClusterkitError as error:
            write_receipt(here, found.account, "", profile=path, kubeconfig=None)
            shown.line("Result", cluster=name, context=None, kubeconfig=None)
            error.what = f"{name} is up, but there is no context for it: {error.what}"
            then = f"then run: {command('kubeconfig', choice)}"
            error.hint = f"{error.hint}; {then}" if error.hint else then
            raise
        write_receipt(here, found.account, "", profile=path, kubeconfig=written.file)
    shown.line("Result", cluster=name, context=written.context, kubeconfig=str(written.file))
    if not shown.json:
        shown.out.print(f"kubectl --context {written.context} get nodes", markup=False)
    return 0


def _steps(plan: Plan) -> set[tuple[str, str, str]]:
    """What a plan would do, to compare it with another."""
    return {(step.op, step.key, "; ".join(map(str, step.changes))) for step in plan.todo}


def _locked(
    here: Connected,
    shown: UI,
    found: Plan,
    again: Callable[[], Plan | None],
    started: Callable[[str], None] = lambda _: None,
    *,
    take_over: bool,
    asked: bool = False,
) -> tuple[Plan, Outcome] | None:
    """Run the plan while no other run works on the cluster; the plan that ``again`` makes, if
    another run worked on it before, or may have while a question was ``asked``. The plan and how
    it ended; None if there is none.
    """
    tell = partial(_tell_waiting, shown, here.target.name)
    with (
        stop_on_signals(shown.say) as stop,
        here.cluster.lock(tell, stop, take_over=take_over) as lock,
    ):
        plan: Plan | None = found
        if lock.waited or lock.inherited or asked:
            plan = again()
        if plan is None:
            return None
        return plan, _applied(here, shown, plan, stop, started)


def _tell_waiting(shown: UI, name: str, told: str) -> None:
    shown.line("Warned", where=name, what=told)
    shown.say(f"{name}: {told}")


def _applied(
    here: Connected,
    shown: UI,
    found: Plan,
    stop: threading.Event,
    started: Callable[[str], None],
) -> Outcome:
    """Run the plan, rendered; ``started`` is told the run's id before any change."""
    with shown.renderer() as render:

        def emit(event: Event) -> None:
            if isinstance(event, RunStarted):
                started(event.run_id)
            render(event)

        return here.cluster.apply(found, emit, stop)


def _usual(steps: Plan, scale: float) -> str:
    seconds = steps.typical * scale
    return f" (usually {clock(seconds)})" if seconds >= 1 else ""


def destroy(choice: Choice, shown: UI, *, yes: bool, adopt: Sequence[str], take_over: bool) -> int:
    """Remove everything that carries the cluster's tags, and say what is left."""
    target = find_target(choice, receipts=False)
    with connected(target, choice, shown.say) as here:
        known, cluster = here.known, here.cluster
        with shown.working(f"looking for what belongs to {target.name} in {target.region}"):
            found = _about(choice, cluster.plan_destroy(adopt))
        if found.empty and cluster.locked():  # by a run that builds, or one that died at its end
            tell = partial(_tell_waiting, shown, target.name)
            with stop_on_signals(shown.say) as stop, cluster.lock(tell, stop, take_over=take_over):
                found = _about(choice, cluster.plan_destroy())
        _plan_line(shown, found)
        report.show_findings(shown.err, found.warnings)
        if not shown.json:
            report.show_blocked(shown.err, found.blocked)
        moved = receipt.moved(here.receipts, target, here.profile)
        if moved and found.empty and not found.blocked:
            raise moved
        if not found.empty:
            if not shown.json:
                report.show_plan(shown.err, target.name, found)
            question = (
                f"This removes everything listed from account {found.account}. "
                "Type the cluster's name to go on:"
            )
            if not yes and not shown.ask(question, expect=target.name):
                shown.say("nothing was changed")
                return 1

            # after another run's changes: whoever typed the name means all that carries its tags
            ran = _locked(
                here, shown, found, cluster.plan_destroy, take_over=take_over, asked=not yes
            )
            found, outcome = ran or (found, Outcome())
            found = _about(choice, found)
            if not outcome.ok:
                again = command("destroy", choice)
                complete(choice, *outcome.failed.values())
                failed(shown, outcome, again, again)
        if found.blocked:
            raise _blocked(target, found)
        # the run has seen each thing go; what it could not see it has warned about
        with shown.working("removing the context from the kubeconfig"):
            left = forget_context(here, known.kubeconfig if known else None)
        report.show_findings(
            shown.err, [*left, *receipt.remove(here.receipts, target, found.account)]
        )
    shown.line("Result", cluster=target.name, kept=[asdict(k) for k in found.kept])
    if not shown.json:
        if found.empty and not found.kept:
            where = f"{target.region}, account {found.account}"
            report.say(f"{target.name}: nothing to delete: nothing carries its tags in {where}")
        else:
            report.show_kept(shown.out, target.name, found.kept)
    return 0


def _about(choice: Choice, plan: Plan) -> Plan:
    """The plan with hints whose commands can be pasted."""

    def told(hint: str) -> str:
        return completed(choice, hint)

    return replace(
        plan,
        warnings=tuple(replace(each, hint=told(each.hint)) for each in plan.warnings),
        kept=tuple(replace(each, hint=told(each.hint)) for each in plan.kept),
        blocked=tuple(replace(each, hint=told(each.hint)) for each in plan.blocked),
    )


def _blocked(target: Target, plan: Plan) -> Blocked:
    keys = ", ".join(each.key for each in plan.blocked)
    # the last of creation first: a security group goes after the instance in it
    cures = dict.fromkeys(each.hint for each in reversed(plan.blocked) if each.hint)
    return Blocked(
        f"{len(plan.blocked)} not deleted, because of what is not this cluster's: {keys}",
        where=target.name,
        hint="\n".join((*cures, "when nothing is in the way any more: clusterkit destroy")),
    )


def status(choice: Choice, shown: UI) -> int:
    """What exists, by its tags, whatever the profile says; 1 if there is nothing."""
    target = find_target(choice)
    with (
        connected(target, choice, shown.say) as here,
        shown.working(f"looking at {target.name} in {target.region}"),
    ):
        found = here.cluster.observe()
    # a list: two things with the same tags have the same key
    resources = [asdict(thing) for thing in found.things]
    shown.line("Status", cluster=target.name, account=found.account, resources=resources)
    if not shown.json:
        report.show_findings(shown.err, found.warnings)
        report.show_status(shown.out, target, found)
    return 0 if found.things else 1
