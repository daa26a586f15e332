"""``up``, ``plan``, ``status`` and ``validate``, each for one cluster or several."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from clusterkit.cli import receipt, report, summary
from clusterkit.cli.clusters import Clusters, Job, Result, opened
from clusterkit.cli.connect import check_files, stop_on_signals, write_receipt
from clusterkit.cli.kubeconfig import write_context
from clusterkit.cli.login import check_one_registry
from clusterkit.cli.page import writing
from clusterkit.cli.runs import operated, plan_line, run, unfinished
from clusterkit.cli.target import (
    Choices,
    check_different,
    command,
    profile_path,
    profile_target,
    read_profile,
    refuse_for_several,
)
from clusterkit.cli.ui import UI, leave
from clusterkit.cluster import Plan
from clusterkit.engine.cache import Survey
from clusterkit.engine.seen import details
from clusterkit.engine.target import Target
from clusterkit.engine.words import clock
from clusterkit.errors import ClusterkitError, Finding, Locked, ProfileError
from clusterkit.fleet import Waiting

CHANGES = 20
"""exit code of ``plan`` when there is something to do"""


def _look(
    job: Job,
    *,
    prune: bool,
    adopt: Sequence[str] = (),
    activate: bool = False,
    survey: Survey | None = None,
) -> None:
    here = job.here
    if moved := receipt.moved(here.receipts, here.target, here.profile):
        raise moved
    consent = job.shown.say if activate else None
    found = here.cluster.plan(
        job.profile, adopt=adopt, activate=consent, prune=prune, survey=survey
    )
    job.plan = operated(found, job.target.name)
    job.account = job.plan.account


def _look_at_all(clusters: Clusters, look: partial[None]) -> None:
    with clusters.working("looking at"):
        survey = Survey() if clusters.several else None
        clusters.each(partial(look, survey=survey))
    clusters.check_accounts()
    clusters.check_quotas()
    _tell(clusters.shown, clusters.open, several=clusters.several)


def _tell(shown: UI, jobs: Sequence[Job], *, several: bool) -> None:
    """The warnings, and the plan for machines."""
    for job in jobs:
        if shown.json:
            job.shown.line("Warnings", warnings=[asdict(w) for w in job.plan.warnings])
        plan_line(job.shown, job.plan)
    if not shown.json:
        found = [(job.label, warning) for job in jobs for warning in job.plan.warnings]
        warnings = summary.joined(found) if several else [warning for _, warning in found]
        report.show_findings(shown.err, warnings)


def plan(choices: Choices, shown: UI, *, prune: bool) -> int:
    """Print what ``up`` would do; 0 for nothing, 20 for changes."""
    with opened(choices, shown, whole=True) as clusters:
        _look_at_all(clusters, partial(_look, prune=prune))
        for job in clusters.open:
            if not shown.json:
                name = job.label if clusters.several else job.target.name
                if clusters.several and not job.plan.empty:
                    summary.heading(shown.out, job.label, job.where)
                report.show_plan(shown.out, name, job.plan)
            job.result = Result("unchanged")
            if not job.plan.empty:
                job.result = Result("to change", CHANGES, detail=report.counts(job.plan.todo))
        return clusters.end("plan", changed=CHANGES)


def up(
    choices: Choices,
    shown: UI,
    *,
    yes: bool,
    prune: bool,
    adopt: Sequence[str],
    use: bool | None,
    activate: bool,
    take_over: bool,
    page: Path | None = None,
) -> int:
    """Create or update each cluster to match its profile, then write the kubeconfig."""
    if choices.several:
        one = {"--adopt": adopt, "--take-over": take_over, "--activate": activate}
        refuse_for_several(one, "is for one cluster")
        hint = "name the current context with: kubectl config use-context"
        refuse_for_several({"--use": use}, "makes one cluster the current one", hint)
    writing.check("--report", page)
    with (
        opened(choices, shown, whole=True, strict=True, receipts=False) as clusters,
        writing.written(page, "up", clusters, shown),
    ):
        check_one_registry((job.profile for job in clusters.open), choices.each[0].login)
        with shown.working("reading the kubeconfig"):
            wrong = check_files([job.here for job in clusters.open])

            def check(job: Job) -> None:
                if error := wrong.get(job.target):
                    raise error

            clusters.each(check, at_once=1)
        _look_at_all(clusters, partial(_look, prune=prune, adopt=adopt, activate=activate))
        clusters.tell_errors()
        todo = [job for job in clusters.open if not job.plan.empty]
        if not shown.json:
            _show_plans(clusters, shown, todo)
        if todo and not yes and not clusters.ask(_question(clusters, todo)):
            shown.say("nothing was changed")
            return 1
        use = not clusters.several if use is None else use
        build = partial(_build, clusters, yes=yes, prune=prune, use=use, take_over=take_over)
        with stop_on_signals(shown.say) as stop, clusters.running():
            clusters.each(lambda job: build(job, stop=stop), stop=stop)
        code = clusters.end("up")
        if clusters.several:
            _what_next(clusters, shown, code)
        return leave(code)


def _show_plans(clusters: Clusters, shown: UI, todo: Sequence[Job]) -> None:
    if not clusters.several:
        for job in todo:
            report.show_plan(shown.err, job.target.name, job.plan)
        return
    if len(todo) <= summary.MOST:
        for job in todo:
            summary.heading(shown.err, job.label, job.where)
            report.show_plan(shown.err, job.label, job.plan)
    else:
        summary.places(shown.err, [(job.label, job.where, report.counts(job.plan.todo))
                                   for job in todo])  # fmt: skip
        shown.say(f"every step: {clusters.choices.command('plan')}")


def _question(clusters: Clusters, todo: Sequence[Job]) -> str:
    typical = max(job.plan.typical * job.here.cluster.connection.scale for job in todo)
    usual = f" (usually {clock(typical)})" if typical >= 1 else ""
    if not clusters.several:
        target, account = todo[0].target, todo[0].plan.account
        where = f"{target.name} ({target.cloud}, {target.region}, account {account})"
        return f"Apply this to {where}{usual}? [y/N]"
    return f"Apply this to {len(todo)} cluster{'s' if len(todo) > 1 else ''}{usual}? [y/N]"


def _build(
    clusters: Clusters,
    job: Job,
    *,
    stop: threading.Event,
    yes: bool,
    prune: bool,
    use: bool,
    take_over: bool,
) -> Waiting[Result]:
    here, shown, found = job.here, job.shown, job.plan
    name, path = job.target.name, profile_path(job.choice)
    if not found.empty:

        def again() -> Plan | None:
            """The plan after another run's changes; None if it is not what was agreed to."""
            with shown.working(f"looking at {name} in {job.target.region}"):
                _look(job, prune=prune)
            new = job.plan
            _tell(shown, [job], several=clusters.several)
            if yes or _steps(new) == _steps(found):
                return new
            if clusters.several and not new.empty:
                what = "another run has changed what there is to do; this one changed nothing"
                raise Locked(what, where=name, hint="clusterkit plan shows it")
            report.show_plan(shown.err, name, new)
            return new if new.empty or shown.ask(_question(clusters, [job])) else None

        ran = yield from run(
            clusters,
            job,
            again,
            stop,
            lambda run: write_receipt(here, found.account, run, profile=path, kubeconfig=None),
            take_over=take_over,
        )
        if ran is None:
            shown.say("nothing was changed")
            return Result("declined", 1)
        found, outcome = ran
        if not outcome.ok:
            return unfinished(clusters, job, "up", outcome)
    elif not (shown.json or clusters.several):
        shown.say(f"{name}: nothing to do")
    try:
        with shown.working("writing the kubeconfig"):
            written = yield from write_context(here, use=use)
    except ClusterkitError as error:
        write_receipt(here, found.account, "", profile=path, kubeconfig=None)
        shown.line("Result", cluster=name, context=None, kubeconfig=None)
        error.what = f"{name} is up, but there is no context for it: {error.what}"
        then = f"then run: {command('kubeconfig', job.choice)}"
        error.hint = f"{error.hint}; {then}" if error.hint else then
        raise
    write_receipt(here, found.account, "", profile=path, kubeconfig=written.file)
    shown.line("Result", cluster=name, context=written.context, kubeconfig=str(written.file))
    if not (shown.json or clusters.several):
        shown.out.print(f"kubectl --context {written.context} get nodes", markup=False)
    return Result("unchanged" if found.empty else "up", context=written.context)


def _steps(plan: Plan) -> set[tuple[str, str, str]]:
    """What a plan would do, to compare it with another."""
    return {(step.op, step.key, "; ".join(map(str, step.changes))) for step in plan.todo}


def _what_next(clusters: Clusters, shown: UI, code: int) -> None:
    contexts = [job.result.context for job in clusters.jobs if job.result and job.result.context]
    if not shown.json and len(contexts) > summary.MOST:
        shown.out.print(f"{len(contexts)} contexts: kubectl config get-contexts", markup=False)
    elif not shown.json:
        for context in contexts:
            shown.out.print(f"kubectl --context {context} get nodes", markup=False)
    if code:
        again, destroy = clusters.choices.command("up"), clusters.choices.command("destroy")
        report.show_stopped(shown.err, {}, again, destroy)


def status(choices: Choices, shown: UI, page: Path | None = None) -> int:
    """What exists, by its tags, whatever the profiles say; 1 if there is nothing."""
    writing.check("--html", page)
    with (
        opened(choices, shown, whole=False) as clusters,
        writing.written(page, "status", clusters, shown),
    ):
        survey = Survey() if clusters.several else None

        def look(job: Job) -> None:
            job.seen = job.here.cluster.observe(survey)
            job.account = job.seen.account
            if job.recording is not None:
                writing.compare(job)

        with clusters.working("looking at"):
            clusters.each(look)
        clusters.check_accounts()
        shown_one_by_one = len(clusters.open) <= summary.MOST
        if not (shown.json or shown_one_by_one):
            warnings = [(job.label, each) for job in clusters.open for each in job.seen.warnings]
            report.show_findings(shown.err, summary.joined(warnings))
        for job in clusters.open:
            found = job.seen
            # a list: two things with the same tags have the same key
            resources = [
                {**asdict(thing), "details": details(thing.state)} for thing in found.things
            ]
            job.shown.line(
                "Status", cluster=job.target.name, account=found.account, resources=resources
            )
            if shown_one_by_one and not shown.json:
                report.show_findings(shown.err, found.warnings)
                report.show_status(shown.out, job.target, found)
            things = len(found.things)
            job.result = Result("there", detail=f"{things} thing{'s' if things > 1 else ''}")
            if not things:
                job.result = Result("not there", 1)
        return clusters.end("status")


def validate(choices: Choices, shown: UI) -> int:
    """Whether every profile is valid; all that is wrong with all of them."""
    findings: list[Finding] = []
    found: list[tuple[Target, str | None, object]] = []
    for choice in choices.each:
        try:
            profile, path = read_profile(choice)
        except ProfileError as error:
            findings += error.findings
            continue
        target = profile_target(profile, choice)
        found.append((target, target.account, path))
        cluster = {"name": profile.name, "cloud": profile.cloud, "region": profile.region}
        shown.line("Valid", profile=path, **cluster)
        if not shown.json:
            name, cloud, region = cluster.values()
            report.say(f"{path}: valid profile of {name} on {cloud} in {region}")
    if findings:
        raise ProfileError(findings)
    check_different(found)
    return 0
