"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from clusterkit.clouds import CLOUDS, EXAMPLES

Output = Literal["auto", "live", "plain", "json"]

ProfileArg = Annotated[
    Path | None,
    typer.Argument(
        metavar="PROFILE",
        help="The profile. Default: $CLUSTERKIT_PROFILE, ./profile.yaml, or the only cluster that "
        "has a receipt.",
        show_default=False,
    ),
]
ProfileArgs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PROFILE",
        help="Profiles, and folders whose *.yaml and *.yml files are profiles. Default: "
        "$CLUSTERKIT_PROFILE, ./profile.yaml, or the only cluster that has a receipt.",
        show_default=False,
    ),
]
Cloud = Annotated[
    str | None, typer.Option("--cloud", help=f"Instead of a profile: {', '.join(CLOUDS)}.")
]
Region = Annotated[str | None, typer.Option("--region", help="Instead of a profile: the region.")]
Name = Annotated[
    str | None, typer.Option("--name", help="Instead of a profile: the cluster's name.")
]
CloudProfile = Annotated[
    str | None,
    typer.Option(
        "--cloud-profile", help="Named credentials from the vendor's own configuration file."
    ),
]
Account = Annotated[
    str | None,
    typer.Option(
        "--account",
        help="The account, project or subscription that is meant; where the credentials reach "
        "several, the one to use. Default: the profile's, or the credentials' own.",
    ),
]
Sandbox = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        envvar="CLUSTERKIT_SANDBOX",
        help="Use the emulated clouds on this machine.",
    ),
]
Minutes = Annotated[
    int | None,
    typer.Option(
        "--minutes",
        help="Lifetime of kubectl's credentials, on clouds that let you choose "
        f"({EXAMPLES.minutes}).",
    ),
]
Trace = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="FILE",
        help="Write every request and answer to FILE as JSON lines, without secrets.",
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write what happened to FILE as a web page: the graph, the timeline and what took "
        "longest. Also after a failure or Ctrl-C.",
    ),
]
OutputOpt = Annotated[
    Output,
    typer.Option(
        "--output",
        help="Progress: live in a terminal, plain lines, or JSON lines on stdout.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Prune = Annotated[
    bool,
    typer.Option("--prune/--no-prune", help="Delete what the profile no longer contains."),
]
Adopt = Annotated[
    list[str] | None,
    typer.Option(
        "--adopt",
        metavar="KIND/NAME=ID",
        help="Take over something that exists: put the cluster's tags on it. Can be repeated.",
    ),
]
TakeOver = Annotated[
    bool,
    typer.Option(
        "--take-over",
        help="Take the cluster over from a run that works on it, which then changes nothing more.",
    ),
]
RegistryUser = Annotated[
    str | None,
    typer.Option(
        "--registry-user",
        envvar="CLUSTERKIT_REGISTRY_USER",
        help="User name at the registry of ready.kaniko.registry or, for Jenkins X, at a cloud's "
        "registry to which pods cannot log in by an identity.",
    ),
]
RegistryPassword = Annotated[
    bool,
    typer.Option(
        "--registry-password-stdin",
        help="Read the password for it from standard input. Default: "
        "$CLUSTERKIT_REGISTRY_PASSWORD.",
    ),
]
