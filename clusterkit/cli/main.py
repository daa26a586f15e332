"""The command line. Every command's help has an example, and tests run them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from clusterkit.cli import options as o
from clusterkit.cli.sandbox import app as sandbox_app

app = typer.Typer(
    name="clusterkit",
    help="One YAML profile in, one working Kubernetes cluster out, and nothing left when it goes.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(sandbox_app, name="sandbox")


def _version(value: bool) -> None:
    if value:
        from clusterkit import __version__

        typer.echo(f"clusterkit {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Nothing before the command."""


def run() -> NoReturn:
    """The console script: errors become words and exit codes, here and nowhere else."""
    try:
        result = app(standalone_mode=False)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except SystemExit:
        raise
    except BaseException as error:
        _end(error)
    sys.exit(result if isinstance(result, int) else 0)


def _end(error: BaseException) -> NoReturn:
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # or Python complains about it while it shuts down
        sys.exit(141)
    show = getattr(error, "show", None)
    if callable(show):  # typer's own: a wrong option, an unknown command
        show()
        sys.exit(int(getattr(error, "exit_code", 2)))
    from clusterkit.cli.ui import end

    end(error, json="json" in _after("--output"), debug="--debug" in sys.argv)


def _after(option: str) -> list[str]:
    """What the command line says for an option, before anything has parsed it."""
    words = [word.partition("=")[2] for word in sys.argv if word.startswith(f"{option}=")]
    pairs = zip(sys.argv, sys.argv[1:], strict=False)
    return words + [after for word, after in pairs if word == option]


@app.command(epilog="Example: clusterkit up profiles/eks-minimal.yaml --sandbox --yes")
def up(
    profile: o.ProfileArg = None,
    yes: o.Yes = False,
    prune: o.Prune = True,
    adopt: o.Adopt = None,
    use: Annotated[
        bool, typer.Option("--use/--no-use", help="Make the new context kubectl's current one.")
    ] = True,
    activate: Annotated[
        bool,
        typer.Option(
            "--activate",
            help="Switch on the cloud services and make the service roles the account lacks.",
        ),
    ] = False,
    cloud_profile: o.CloudProfile = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    output: o.OutputOpt = "auto",
    debug: o.Debug = False,
) -> int:
    """Make the profile true: show the plan, ask, build, write the kubeconfig.

    Run it again after a failure, a Ctrl-C or a change of the profile: it does what is missing.
    """
    from clusterkit.cli import commands
    from clusterkit.cli.target import Choice
    from clusterkit.cli.ui import face

    choice = Choice(profile, cloud_profile=cloud_profile, sandbox=sandbox, trace=trace)
    shown = face(output, debug=debug)
    return commands.up(
        choice, shown, yes=yes, prune=prune, adopt=adopt or [], use=use, activate=activate
    )


@app.command(epilog="Example: clusterkit plan profiles/eks-minimal.yaml --sandbox")
def plan(
    profile: o.ProfileArg = None,
    prune: o.Prune = True,
    cloud_profile: o.CloudProfile = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    output: o.OutputOpt = "auto",
    debug: o.Debug = False,
) -> int:
    """Show what `up` would do and change nothing; exits 0 for nothing to do, 20 for changes."""
    from clusterkit.cli import commands
    from clusterkit.cli.target import Choice
    from clusterkit.cli.ui import face

    choice = Choice(profile, cloud_profile=cloud_profile, sandbox=sandbox, trace=trace)
    return commands.plan(choice, face(output, debug=debug), prune=prune)


@app.command(epilog="Example: clusterkit destroy profiles/eks-minimal.yaml --sandbox --yes")
def destroy(
    profile: o.ProfileArg = None,
    cloud: o.Cloud = None,
    region: o.Region = None,
    name: o.Name = None,
    yes: o.Yes = False,
    cloud_profile: o.CloudProfile = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    output: o.OutputOpt = "auto",
    debug: o.Debug = False,
) -> int:
    """Remove the cluster and everything that came with it, and say what is left.

    Everything is found by its tags: the profile may be lost or broken as long as cloud, region and
    name are known, and Kubernetes may be dead.
    """
    from clusterkit.cli import commands
    from clusterkit.cli.target import Choice
    from clusterkit.cli.ui import face

    choice = Choice(profile, cloud, region, name, cloud_profile, sandbox, trace)
    return commands.destroy(choice, face(output, debug=debug), yes=yes)


@app.command(epilog="Example: clusterkit status profiles/eks-minimal.yaml --sandbox")
def status(
    profile: o.ProfileArg = None,
    cloud: o.Cloud = None,
    region: o.Region = None,
    name: o.Name = None,
    cloud_profile: o.CloudProfile = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    output: o.OutputOpt = "auto",
    debug: o.Debug = False,
) -> int:
    """List everything that carries the cluster's mark; exits 1 if there is nothing."""
    from clusterkit.cli import commands
    from clusterkit.cli.target import Choice
    from clusterkit.cli.ui import face

    choice = Choice(profile, cloud, region, name, cloud_profile, sandbox, trace)
    return commands.status(choice, face(output, debug=debug))


@app.command(epilog="Example: clusterkit validate profiles/eks-minimal.yaml")
def validate(profile: o.ProfileArg = None, debug: o.Debug = False) -> int:
    """Check a profile without touching the network; every error with its line, all at once."""
    from clusterkit.cli.target import Choice, read_profile

    found, path = read_profile(Choice(profile))
    typer.echo(f"{path}: {found.name} on {found.cloud} in {found.region} is a valid profile")
    return 0


@app.command(epilog="Example: clusterkit init --cloud eks --name demo --region eu-west-1")
def init(
    cloud: Annotated[str, typer.Option("--cloud", help="The cloud to write a profile for.")],
    name: Annotated[str, typer.Option("--name", help="The cluster's name.")] = "demo",
    region: Annotated[str | None, typer.Option("--region", help="The cloud's region.")] = None,
    file: Annotated[
        Path, typer.Option("--file", help="Where to write it; - for standard output.")
    ] = Path("profile.yaml"),
    debug: o.Debug = False,
) -> int:
    """Write a commented profile to begin with."""
    from clusterkit.clouds import template
    from clusterkit.errors import ClusterkitError

    text = template(cloud, name, region)
    if str(file) == "-":
        typer.echo(text, nl=False)
        return 0
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise ClusterkitError(
            "is there already", where=str(file), hint="name another with --file"
        ) from None
    except OSError as error:
        raise ClusterkitError(
            f"cannot be written: {error.strerror}", where=str(file), hint="name another with --file"
        ) from error
    typer.echo(f"{file} is written; look it through, then: clusterkit up {file}")
    return 0


@app.command(epilog="Example: clusterkit schema > profile.schema.json")
def schema(debug: o.Debug = False) -> int:
    """Print the JSON Schema of profiles, for editors."""
    import json

    from clusterkit.clouds import CLOUDS, model
    from clusterkit.profile.schema import json_schema

    typer.echo(json.dumps(json_schema({cloud: model(cloud) for cloud in CLOUDS}), indent=2))
    return 0


@app.command(epilog="Example: clusterkit kubeconfig profiles/eks-minimal.yaml --sandbox --stdout")
def kubeconfig(
    profile: o.ProfileArg = None,
    cloud: o.Cloud = None,
    region: o.Region = None,
    name: o.Name = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Write here instead of where kubectl looks.")
    ] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print it, write nothing.")] = False,
    context: Annotated[str | None, typer.Option("--context", help="The context's name.")] = None,
    use: Annotated[
        bool, typer.Option("--use/--no-use", help="Make it kubectl's current context.")
    ] = True,
    auth: Annotated[
        str,
        typer.Option(
            "--auth", help="Who gives kubectl its tokens: clusterkit, or the vendor's tool (aws)."
        ),
    ] = "clusterkit",
    minutes: o.Minutes = None,
    cloud_profile: o.CloudProfile = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    debug: o.Debug = False,
) -> int:
    """Add the cluster to the kubeconfig kubectl uses: atomically, keeping everything else in it."""
    from clusterkit.cli import kubeconfig as contexts
    from clusterkit.cli.target import Choice

    choice = Choice(profile, cloud, region, name, cloud_profile, sandbox, trace)
    return contexts.kubeconfig(
        choice, file=file, stdout=stdout, name=context, use=use, auth=auth, minutes=minutes
    )


@app.command(
    epilog="Example: clusterkit token --cloud eks --region eu-west-1 --name demo --sandbox"
)
def token(
    profile: o.ProfileArg = None,
    cloud: o.Cloud = None,
    region: o.Region = None,
    name: o.Name = None,
    minutes: o.Minutes = None,
    cloud_profile: o.CloudProfile = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    debug: o.Debug = False,
) -> int:
    """Print a short-lived credential as kubectl wants it (an ExecCredential)."""
    from clusterkit.cli import kubeconfig as contexts
    from clusterkit.cli.target import Choice

    choice = Choice(profile, cloud, region, name, cloud_profile, sandbox, trace)
    return contexts.token(choice, minutes=minutes)
