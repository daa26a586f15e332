"""The options that several commands share, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Output = Literal["auto", "live", "plain", "json"]

ProfileArg = Annotated[
    Path | None,
    typer.Argument(
        metavar="[PROFILE]",
        help="The profile; left out: $CLUSTERKIT_PROFILE, ./profile.yaml, or the only cluster "
        "there is a receipt of.",
        show_default=False,
    ),
]
Cloud = Annotated[str | None, typer.Option("--cloud", help="Instead of a profile: the cloud.")]
Region = Annotated[str | None, typer.Option("--region", help="Instead of a profile: the region.")]
Name = Annotated[str | None, typer.Option("--name", help="Instead of a profile: the cluster.")]
CloudProfile = Annotated[
    str | None,
    typer.Option("--cloud-profile", help="Named credentials of the vendor's own configuration."),
]
Sandbox = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        envvar="CLUSTERKIT_SANDBOX",
        help="Run against the emulated clouds on this machine.",
    ),
]
Minutes = Annotated[
    int | None,
    typer.Option(
        "--minutes",
        help="How long kubectl's credentials live, where the cloud lets one say: 15 to 4320 on "
        "alibaba (60 if left out).",
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
OutputOpt = Annotated[
    Output,
    typer.Option(
        "--output",
        help="How progress is shown: live in a terminal, plain lines, or JSON lines on stdout.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Prune = Annotated[
    bool,
    typer.Option("--prune/--no-prune", help="Remove what the profile no longer has."),
]
Adopt = Annotated[
    list[str] | None,
    typer.Option(
        "--adopt",
        metavar="KIND/NAME=ID",
        help="Put our mark on something that is there already; may be given again.",
    ),
]
