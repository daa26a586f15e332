"""One cluster's plan, told and carried out: what ``up`` and ``destroy`` have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

from clusterkit.cli import receipt, report
from clusterkit.cli.clusters import Clusters, Job, Result
from clusterkit.cli.target import command, complete
from clusterkit.cli.ui import UI
from clusterkit.cluster import Edit, Outcome, Plan
from clusterkit.engine.events import Event, RunStarted, Warned
from clusterkit.engine.lock import Lock
from clusterkit.errors import Finding
from clusterkit.fleet import Waiting


def operated(plan: Plan, cluster: str) -> Plan:
    """The plan, with a warning if a CloudCluster has made the cluster: its operator makes again
    what is destroyed.
    """
    if not plan.snapshot.owners(cluster):
        return plan
    what = "a CloudCluster has made it; while that exists, its operator undoes what is done here"
    found = Finding(what, where=cluster, hint="change or delete the CloudCluster, not the cluster")
    return replace(plan, warnings=(*plan.warnings, found))


def plan_line(shown: UI, plan: Plan) -> None:
    """The plan for machines."""
    steps = [
        {
            "op": s.op, "key": s.key, "details": s.details,
            "changes": [_change(edit) for edit in s.changes], "why": s.why,
        }
        for s in plan.todo
    ]  # fmt: skip
    stay = {"kept": [asdict(k) for k in plan.kept], "blocked": [asdict(k) for k in plan.blocked]}
    shown.line("Plan", account=plan.account, steps=steps, **stay)


def _change(edit: Edit) -> dict[str, object]:
    how = "refuse" if edit.refused else "replace" if edit.replace else "update"
    return {
        "field": edit.field, "have": edit.have, "want": edit.want, "how": how, "why": edit.why,
    }  # fmt: skip


def run(
    clusters: Clusters,
    job: Job,
    again: Callable[[], Plan | None],
    stop: threading.Event,
    started: Callable[[str], None] = lambda _: None,
    *,
    take_over: bool,
    asked: bool = False,
) -> Waiting[tuple[Plan, Outcome] | None]:
    """Run the job's plan while no other run works on the cluster; the plan that ``again`` makes, if
    another run worked on it before, as far as this one knows, or may have while a question was
    ``asked``. The plan and how it ended; None if there is none. ``started`` is told the run's id
    before any change.
    """
    cluster = job.here.cluster
    lock = yield cluster.hold(partial(tell_waiting, clusters, job), stop, take_over=take_over)
    try:
        ran = yield from _under(lock, clusters, job, again, stop, started, asked=asked)
    except GeneratorExit:  # the process ends
        raise
    except BaseException:
        yield cluster.let_go(lock, well=False)
        raise
    yield cluster.let_go(lock, well=True)
    return ran


def _under(
    lock: Lock,
    clusters: Clusters,
    job: Job,
    again: Callable[[], Plan | None],
    stop: threading.Event,
    started: Callable[[str], None],
    *,
    asked: bool,
) -> Waiting[tuple[Plan, Outcome] | None]:
    plan: Plan | None = job.plan
    if lock.waited or lock.inherited or asked or _another(job):
        plan = again()
    if plan is None:
        return None
    if job.recording is not None:
        job.recording.plan(plan)
    with clusters.display(job) as render:

        def emit(event: Event) -> None:
            if isinstance(event, RunStarted):
                started(event.run_id)
            if job.recording is not None:
                job.recording(event)
            render(event)

        outcome = yield job.here.cluster.start(plan, emit, stop, lock=lock)
        return plan, outcome


def _another(job: Job) -> bool:
    """Whether a run on this machine has begun or destroyed the cluster since this command began.
    Many plans take a while, so that it may have ended too, and its lock tells nothing.
    """
    here, known = job.here, job.here.known
    now = receipt.read(here.receipts, here.target)
    return (now and now.run) != (known and known.run)


def tell_waiting(clusters: Clusters, job: Job, told: str) -> None:
    """Another run works on the cluster."""
    name = job.target.name
    if job.emit is not None:
        job.emit(Warned(name, told))
        return
    job.shown.line("Warned", where=name, what=told)
    job.shown.say(told if clusters.several else f"{name}: {told}")


def unfinished(clusters: Clusters, job: Job, verb: str, outcome: Outcome) -> Result:
    """The end of a run that failed or was interrupted; a single one's is told at once: every
    reason, what is still in progress in the cloud, how to continue.
    """
    result = Result.ended(outcome)
    complete(job.choice, *outcome.failed.values())
    if clusters.several:
        return result
    job.told = True
    for error in result.errors:
        report.show_error(job.shown.err, error, debug=job.shown.debug)
    again, destroy = command(verb, job.choice), command("destroy", job.choice)
    report.show_stopped(job.shown.err, result.stopped, again, destroy)
    job.shown.line("Error", errors=list(outcome.failed.values()), exit=result.code)
    return result
