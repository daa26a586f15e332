"""``clusterkit verify``: whether a cluster is ready for what it is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clusterkit.cli import options as o
from clusterkit.clouds import EXAMPLES

if TYPE_CHECKING:
    from clusterkit.cli.target import Choice
    from clusterkit.cli.ui import UI
    from clusterkit.kube.context import Context
    from clusterkit.ready.verify import Verdict, Wanted

Table = Literal["table", "json"]
_LIST = "Separated by commas; can be repeated."


def verify(
    profile: o.ProfileArg = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Also make claims, a load balancer and pods for a moment, and remove them.",
        ),
    ] = False,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            "--kubeconfig",
            help="The kubeconfig of the cluster to check, which may be any cluster.",
        ),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            "--context", help="The context to use. Default: the kubeconfig's current one."
        ),
    ] = None,
    purposes: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="PURPOSE",
            help="kaniko, jenkins-x, jenkins or progressive-delivery. "
            f"Default: what the profile prepares the cluster for. {_LIST}",
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ID", help=f"Only these checks. {_LIST}")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", metavar="ID", help=f"All but these. {_LIST}")
    ] = None,
    output: Annotated[
        Table, typer.Option("--output", help="For people, or one JSON document.")
    ] = "table",
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Also write JUnit's XML.")
    ] = None,
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    debug: o.Debug = False,
) -> int:
    """Check that a cluster is ready for builds; exits 1 if not.

    Nothing is changed without --probe, and what --probe makes is removed again. With --kubeconfig
    or --context, or where there is no profile, it checks any cluster by the current context.
    """
    from clusterkit.cli import verdicts
    from clusterkit.cli.target import Choice
    from clusterkit.cli.ui import face
    from clusterkit.ready.verify import Wanted

    choice = Choice(
        profile, cloud_profile=cloud_profile, account=account, sandbox=sandbox, trace=trace
    )
    wanted = Wanted(probe, _words(purposes) if purposes else None, _words(only), _words(skip))
    shown = face("auto", debug=debug)
    name, found = _verified(choice, wanted, kubeconfig, context, shown)
    if output == "json":
        typer.echo(verdicts.as_json(name, found))
    else:
        verdicts.show(shown.out, name, found)
    if junit is not None:
        verdicts.write_junit(junit, name, found)
    return int(any(verdict.status == "failed" for verdict in found))


def _words(given: Sequence[str] | None) -> tuple[str, ...]:
    words = (word.strip() for each in given or () for word in each.split(","))
    return tuple(filter(None, words))


def _verified(
    choice: Choice, wanted: Wanted, kubeconfig: Path | None, context: str | None, shown: UI
) -> tuple[str, tuple[Verdict, ...]]:
    """What the cluster is called, and what was found."""
    from clusterkit.cli.connect import connected, stop_on_signals
    from clusterkit.cli.target import completed, profile_target, read_profile
    from clusterkit.kube.api import KubeApi
    from clusterkit.ready.verify import subject_of, verify

    kube = None
    if kubeconfig or context or not _has_profile(choice):
        found = _context(kubeconfig, context)
        shown.say(f"context {found.name}")
        kube = KubeApi(found)
        if choice.profile is None:
            with stop_on_signals(shown.say) as stop, shown.working(f"verifying {found.name}"):
                subject = subject_of(kube, wanted, stop=stop)
                return found.name, verify(subject, wanted)
    profile, _ = read_profile(choice)
    with (
        connected(profile_target(profile, choice), choice, shown.say) as here,
        stop_on_signals(shown.say) as stop,
        shown.working(f"verifying {profile.name}"),
    ):
        verdicts = here.cluster.verify(profile, wanted, stop=stop, kube=kube)
    return profile.name, tuple(
        replace(
            verdict,
            results=tuple(
                replace(result, cure=completed(choice, result.cure)) for result in verdict.results
            ),
        )
        for verdict in verdicts
    )


def _has_profile(choice: Choice) -> bool:
    from clusterkit.cli.target import find_profile

    return find_profile(choice) is not None


def _context(kubeconfig: Path | None, context: str | None) -> Context:
    """The context; without a profile and a kubeconfig there is nothing to verify."""
    from clusterkit.errors import UsageError
    from clusterkit.kube.context import Context
    from clusterkit.kube.kubeconfig import paths

    try:
        return Context([kubeconfig] if kubeconfig else paths(), context)
    except UsageError as error:
        if not (kubeconfig or context):
            error.hint = f"name a profile, as {EXAMPLES.builds}, or a file with --kubeconfig"
        raise
