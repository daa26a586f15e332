"""``clusterkit repair``: set right one part of a cluster."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import typer

from clusterkit.cli import options as o
from clusterkit.clouds import EXAMPLES

if TYPE_CHECKING:
    from clusterkit.cli.clusters import Clusters, Job, Result
    from clusterkit.cli.target import Choices
    from clusterkit.cli.ui import UI
    from clusterkit.cluster import Plan
    from clusterkit.fleet import Waiting

NO_CURE = "this cannot be repaired automatically: do what is said above"

app = typer.Typer(
    help="Repair one part of a cluster and change nothing else.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _repair() -> None:
    """Or Typer would make the only command the group itself."""


@app.command(
    "registry-auth", epilog=f"Example: clusterkit repair registry-auth {EXAMPLES.profile} --sandbox"
)
def registry_auth(
    profile: o.ProfileArg = None,
    yes: o.Yes = False,
    take_over: o.TakeOver = False,
    registry_user: o.RegistryUser = None,
    registry_password_stdin: o.RegistryPassword = False,
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    output: o.OutputOpt = "auto",
    debug: o.Debug = False,
) -> int:
    """Let builds push to the registry again.

    Names why they cannot, shows what would be done, asks, and does it: roles that belong to deleted
    accounts are removed, identities are bound again, keys and passwords that are no longer valid
    are replaced in their Secrets. Where nothing is wrong it changes nothing.
    """
    from clusterkit.cli.login import registry_login
    from clusterkit.cli.target import Choice, choices
    from clusterkit.cli.ui import face

    login = registry_login(registry_user, stdin=registry_password_stdin)
    options = Choice(
        cloud_profile=cloud_profile, account=account, sandbox=sandbox, trace=trace, login=login
    )
    shown = face(output, debug=debug)
    given = choices([profile] if profile else None, options)
    return _repaired(given, shown, yes=yes, take_over=take_over)


def _repaired(choices: Choices, shown: UI, *, yes: bool, take_over: bool) -> int:
    from clusterkit.cli import report
    from clusterkit.cli.clusters import opened
    from clusterkit.cli.connect import stop_on_signals
    from clusterkit.cli.runs import plan_line
    from clusterkit.cli.ui import leave

    with opened(choices, shown, whole=True, strict=True) as clusters:
        with clusters.working("looking at"):
            clusters.each(_look)
        [job] = clusters.jobs
        wrong = _tell(job)
        plan_line(job.shown, job.plan)
        if job.plan.empty:
            shown.say(f"{job.target.name}: {NO_CURE if wrong else 'nothing to repair'}")
            return 1 if wrong else 0
        if not shown.json:
            report.show_plan(shown.err, job.target.name, job.plan)
        question = f"Do this in account {job.plan.account}? [y/N]"
        if not yes and not clusters.ask(question):
            shown.say("nothing was changed")
            return 1
        with stop_on_signals(shown.say) as stop:
            clusters.each(lambda job: _run(clusters, job, stop, take_over=take_over), stop=stop)
        code = clusters.end("repair registry-auth")
        if not code and _tell(job):
            shown.say(f"{job.target.name}: {NO_CURE}")
            code = 1
        return leave(code)


def _look(job: Job) -> None:
    job.plan = job.here.cluster.plan_repair(job.profile)
    job.account = job.plan.account


def _tell(job: Job) -> bool:
    """Say why pushes are refused; whether they are."""
    from dataclasses import asdict

    from clusterkit.cli import report
    from clusterkit.errors import Finding

    verdicts = job.here.cluster.why_refused(job.profile)
    found = [each for verdict in verdicts for each in verdict.results if each.status == "failed"]
    job.shown.line("Causes", causes=[asdict(each) for each in found])
    if not job.shown.json:
        causes = (Finding(each.what, each.where, each.cure) for each in found)
        report.show_findings(job.shown.err, causes)
    return bool(found)


def _run(
    clusters: Clusters, job: Job, stop: threading.Event, *, take_over: bool
) -> Waiting[Result]:
    from clusterkit.cli.clusters import Result
    from clusterkit.cli.runs import run, unfinished

    def again() -> Plan:
        """Another run has worked on the cluster since."""
        _look(job)
        return job.plan

    ran = yield from run(clusters, job, again, stop, take_over=take_over)
    assert ran is not None  # a plan is always made
    _, outcome = ran
    if not outcome.ok:
        return unfinished(clusters, job, "repair registry-auth", outcome)
    return Result("repaired")
