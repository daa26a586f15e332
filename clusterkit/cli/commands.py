"""``up``, ``plan``, ``destroy`` and ``status``: the commands that talk to a cloud and change it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

from clusterkit.cli import receipt, report, session
from clusterkit.cli.format import clock
from clusterkit.cli.kubeconfig import forget_context, write_context
from clusterkit.cli.target import Choice, find_target, profile_path, read_profile
from clusterkit.cli.ui import UI, failed
from clusterkit.engine.plan import Plan
from clusterkit.engine.target import Target

CHANGES = 20
"""exit code of ``plan`` when there is something to do"""


def _plan_line(shown: UI, plan: Plan) -> None:
    steps = [
        {"op": s.op, "key": s.key, "changes": [asdict(c) for c in s.changes], "why": s.why}
        for s in plan.todo
    ]
    shown.line("Plan", steps=steps, kept=[asdict(k) for k in plan.kept])


def _command(verb: str, choice: Choice) -> str:
    """The command line that does ``verb`` to this cluster again."""
    words = ["clusterkit", verb]
    if path := profile_path(choice):
        words.append(str(path))
    elif choice.name:
        words += ["--cloud", str(choice.cloud), "--region", str(choice.region)]
        words += ["--name", choice.name]
    if choice.cloud_profile:
        words += ["--cloud-profile", choice.cloud_profile]
    return " ".join(words + (["--sandbox"] if choice.sandbox else []))


def _prepare(
    choice: Choice, shown: UI, *, prune: bool, adopt: Sequence[str], activate: bool = False
) -> session.Prepared:
    profile, _ = read_profile(choice)
    target = Target(profile.cloud, profile.name, profile.region, choice.cloud_profile)
    with shown.working(f"looking at {target.name} in {target.region}"):
        connected = session.connect_quietly(target, sandbox=choice.sandbox)
        consent = shown.say if activate else None
        prepared = session.prepare(connected, profile, prune=prune, adopt=adopt, activate=consent)
    warnings = (*prepared.facts.warnings, *prepared.plan.warnings)
    if shown.json:
        shown.line("Warnings", warnings=[asdict(w) for w in warnings])
    else:
        report.show_findings(shown.err, warnings)
    return prepared


def plan(choice: Choice, shown: UI, *, prune: bool) -> int:
    """Print what ``up`` would do; 0 for nothing, 20 for changes."""
    prepared = _prepare(choice, shown, prune=prune, adopt=())
    _plan_line(shown, prepared.plan)
    if not shown.json:
        report.show_plan(shown.out, prepared.session.target.name, prepared.plan)
    return 0 if prepared.plan.empty else CHANGES


def up(
    choice: Choice,
    shown: UI,
    *,
    yes: bool,
    prune: bool,
    adopt: Sequence[str],
    use: bool,
    activate: bool,
) -> int:
    """Make the profile true, then write the kubeconfig."""
    prepared = _prepare(choice, shown, prune=prune, adopt=adopt, activate=activate)
    here, steps, cx = prepared.session, prepared.plan, prepared.cx
    name = here.target.name
    _plan_line(shown, steps)
    if not steps.empty:
        if not shown.json:
            report.show_plan(shown.err, name, steps)
        if not yes and not shown.ask(
            f"Do this in account {here.account}{_usual(steps, cx.scale)}? [y/N]"
        ):
            shown.say("nothing was changed")
            return 1
        session.write_receipt(here, cx, profile=profile_path(choice), kubeconfig=None)
        with shown.renderer() as render:
            outcome = session.execute(cx, steps, "up", render, lambda: _stopping(shown))
        if not outcome.ok:
            failed(shown, outcome, _command("up", choice), _command("destroy", choice))
    elif not shown.json:
        shown.say(f"{name}: nothing to do")
    written = write_context(here, use=use)
    session.write_receipt(here, cx, profile=profile_path(choice), kubeconfig=written.file)
    shown.line("Result", cluster=name, context=written.context, kubeconfig=str(written.file))
    if not shown.json:
        shown.out.print(f"kubectl --context {written.context} get nodes", markup=False)
    return 0


def _usual(steps: Plan, scale: float) -> str:
    seconds = steps.typical * scale
    return f" (usually {clock(seconds)})" if seconds >= 1 else ""


def _stopping(shown: UI) -> None:
    shown.say("stopping: letting calls in flight finish; Ctrl-C again leaves at once")


def destroy(choice: Choice, shown: UI, *, yes: bool) -> int:
    """Remove everything that carries the cluster's mark, and say what is left."""
    target = find_target(choice)
    with shown.working(f"looking for what belongs to {target.name} in {target.region}"):
        here = session.connect(target, sandbox=choice.sandbox)
        known = receipt.read(here.receipts, target.cloud, target.name)
        cx, steps = session.prepare_destroy(here)
    _plan_line(shown, steps)
    report.show_findings(shown.err, steps.warnings)
    if known and steps.empty and (moved := receipt.moved(known, target, here.account)):
        raise moved
    if not steps.empty:
        if not shown.json:
            report.show_plan(shown.err, target.name, steps)
        question = f"This removes all of it from account {here.account}. Type the cluster's name:"
        if not yes and not shown.ask(question, expect=target.name):
            shown.say("nothing was changed")
            return 1
        with shown.renderer() as render:
            outcome = session.execute(cx, steps, "destroy", render, lambda: _stopping(shown))
        if not outcome.ok:
            again = _command("destroy", choice)
            failed(shown, outcome, again, again)
    # the run has seen each thing go; what it could not see it has warned about
    forget_context(here, known.kubeconfig if known else None)
    receipt.remove(here.receipts, target.cloud, target.name)
    shown.line("Result", cluster=target.name, kept=[asdict(k) for k in steps.kept])
    if not shown.json:
        report.show_kept(shown.out, target.name, steps.kept)
    return 0


def status(choice: Choice, shown: UI) -> int:
    """What is there, by its marks, whatever the profile says; 1 if there is nothing."""
    target = find_target(choice)
    with shown.working(f"looking at {target.name} in {target.region}"):
        here = session.connect(target, sandbox=choice.sandbox)
        cx = here.context()
        kinds = [kind for kind in here.cloud.KINDS if not kind.only_on_destroy]
        session.look_at(kinds, cx)
    shown.line("Status", cluster=target.name, account=here.account, resources=cx.seen)
    if not shown.json:
        report.show_status(shown.out, target, here.account, kinds, cx.seen)
    sys.stdout.flush()
    return 0 if cx.seen else 1
