"""``destroy``: remove everything that carries a cluster's tags, and say what is left."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from clusterkit.cli import receipt, report, summary
from clusterkit.cli.clusters import Clusters, Job, Result, opened
from clusterkit.cli.connect import stop_on_signals
from clusterkit.cli.kubeconfig import forget_context
from clusterkit.cli.page import writing
from clusterkit.cli.runs import operated, plan_line, run, tell_waiting, unfinished
from clusterkit.cli.target import Choice, Choices, completed, refuse_for_several
from clusterkit.cli.ui import UI, leave
from clusterkit.cluster import Outcome, Plan
from clusterkit.engine.cache import Survey
from clusterkit.errors import Interrupted
from clusterkit.fleet import BEFORE, Waiting


def destroy(
    choices: Choices,
    shown: UI,
    *,
    yes: bool,
    adopt: Sequence[str],
    take_over: bool,
    page: Path | None = None,
) -> int:
    """Remove what belongs to each of the clusters."""
    if choices.several:
        refuse_for_several({"--adopt": adopt, "--take-over": take_over}, "is for one cluster")
    writing.check("--report", page)
    with (
        opened(choices, shown, whole=False, strict=True, receipts=False) as clusters,
        writing.written(page, "destroy", clusters, shown),
    ):
        busy: list[Job] = []
        survey = Survey() if clusters.several else None

        def look(job: Job) -> None:
            found = operated(job.here.cluster.plan_destroy(adopt, survey), job.target.name)
            job.plan = _about(job.choice, found)
            job.account = job.plan.account
            # by a run that builds, or one that died at its end
            if job.plan.empty and job.here.cluster.locked():
                busy.append(job)

        with clusters.working("looking for what belongs to"):
            clusters.each(look)
        clusters.check_accounts()
        if busy:
            _wait(clusters, shown, busy, take_over=take_over)
        clusters.each(lambda job: _tell(clusters, job), at_once=1)
        clusters.tell_errors()
        todo = [job for job in clusters.open if not job.plan.empty]
        if todo and not yes and not _asked(clusters, shown, todo):
            shown.say("nothing was changed")
            return 1
        with stop_on_signals(shown.say) as stop, clusters.running():
            clusters.each(
                lambda job: _remove(clusters, job, stop, take_over=take_over, asked=not yes),
                stop=stop,
            )
        if clusters.several and not shown.json:
            for job in clusters.jobs:
                if job.result is not None and not job.result.errors:
                    report.show_kept_things(shown.out, job.plan.kept, job.label)
        code = clusters.end("destroy")
        if code and clusters.several:
            again = choices.command("destroy")
            report.show_stopped(shown.err, {}, again, again)
        return leave(code)


def _wait(clusters: Clusters, shown: UI, busy: list[Job], *, take_over: bool) -> None:
    """For the runs that work on what shows nothing yet; interrupted, nothing more is begun."""
    with stop_on_signals(shown.say) as stop:

        def wait(job: Job) -> Waiting[None]:
            cluster = job.here.cluster
            lock = yield cluster.hold(
                lambda told: tell_waiting(clusters, job, told), stop, take_over=take_over
            )
            try:
                job.plan = _about(job.choice, cluster.plan_destroy())
            finally:
                yield cluster.let_go(lock, well=True)

        clusters.each(wait, busy, stop=stop)
        if stop.is_set():
            for job in clusters.open:
                job.result = Result.of(Interrupted(BEFORE))


def _tell(clusters: Clusters, job: Job) -> None:
    """The plan, before the question."""
    shown, found, name = job.shown, job.plan, job.target.name
    plan_line(shown, found)
    if clusters.several and not shown.json and not (found.empty and not found.warnings):
        summary.heading(shown.err, job.label, job.where)
    report.show_findings(shown.err, found.warnings)
    if not shown.json:
        report.show_blocked(shown.err, found.blocked)
    moved = receipt.moved(job.here.receipts, job.target, job.here.profile)
    if moved and found.empty and not found.blocked:
        raise moved
    if not found.empty and not shown.json:
        report.show_plan(shown.err, job.label if clusters.several else name, found)
        if clusters.several:
            report.show_kept_things(shown.err, found.kept)


def _asked(clusters: Clusters, shown: UI, todo: Sequence[Job]) -> bool:
    if not clusters.several:
        job = todo[0]
        question = (
            f"This removes everything listed ({job.target.cloud}, {job.target.region}, "
            f"account {job.plan.account}).\n"
            "Type the cluster's name to go on:"
        )
        return shown.ask(question, expect=job.target.name)
    words = f"destroy {len(todo)} cluster{'s' if len(todo) > 1 else ''}"
    shown.err.print("This removes everything listed of")
    summary.places(shown.err, [(job.label, job.where, f"{len(job.plan.todo)} to delete")
                               for job in todo])  # fmt: skip
    return clusters.ask(f"Type '{words}' to go on:", expect=words)


def _remove(
    clusters: Clusters, job: Job, stop: threading.Event, *, take_over: bool, asked: bool
) -> Waiting[Result]:
    shown, here, found = job.shown, job.here, job.plan
    target, cluster = job.target, here.cluster
    if not found.empty:
        # after another run's changes: whoever typed the name means all that carries its tags
        ran = yield from run(
            clusters, job, cluster.plan_destroy, stop, take_over=take_over, asked=asked
        )
        found, outcome = ran or (found, Outcome())
        found = _about(job.choice, found)
        if not outcome.ok:
            return unfinished(clusters, job, "destroy", outcome)
    job.plan = found
    if found.blocked:
        raise found.stuck(target.name)
    # the run has seen each thing go; what it could not see it has warned about
    with shown.working("removing the context from the kubeconfig"):
        left = yield from forget_context(here, here.known.kubeconfig if here.known else None)
    left += receipt.remove(here.receipts, target, found.account)
    report.show_findings(shown.err, left)
    shown.line("Result", cluster=target.name, kept=[asdict(k) for k in found.kept])
    nothing = found.empty and not found.kept
    if not (clusters.several or shown.json):
        if nothing:
            where = f"{target.region}, account {found.account}"
            report.say(f"{target.name}: nothing to delete: nothing carries its tags in {where}")
        else:
            report.show_kept(shown.out, target.name, found.kept)
    kept = f", {len(found.kept)} kept" if found.kept else ""
    return Result("nothing to delete" if nothing else f"deleted{kept}")


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
