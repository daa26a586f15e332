"""The command line. Every command's help ends with an example that the tests run."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from clusterkit.cli import options as o
from clusterkit.cli.kaniko import app as kaniko_app
from clusterkit.cli.operator import app as operator_app
from clusterkit.cli.ready import app as ready_app
from clusterkit.cli.repair import app as repair_app
from clusterkit.cli.sandbox import app as sandbox_app
from clusterkit.cli.streams import lost, open_missing, unwritable
from clusterkit.cli.verify import verify
from clusterkit.clouds import CLOUDS, EXAMPLES

app = typer.Typer(
    name="clusterkit",
    help="Create a working Kubernetes cluster from one YAML profile, and remove all of it again.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(kaniko_app, name="kaniko")
app.add_typer(repair_app, name="repair")
app.add_typer(ready_app, name="ready")
app.add_typer(operator_app, name="operator")

INTERRUPTED = 130
"""what ``app`` returns after Ctrl-C outside a run (typer.core, ``except KeyboardInterrupt``)"""


def _version(value: bool) -> None:
    if value:
        from clusterkit.version import __version__

        typer.echo(f"clusterkit {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options that come before a command."""


def run() -> NoReturn:
    """The program: the only place where errors become messages and exit codes."""
    open_missing()
    code = _run()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left that a Ctrl-C could interrupt
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            code = lost(stream, error)
    sys.exit(code)


def _run() -> int:
    try:
        result = app(standalone_mode=False)
        if result == INTERRUPTED:  # typer makes Ctrl-C a silent exit code
            _end(KeyboardInterrupt())
    except typer.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer makes it a plain 1
            return lost(sys.stdout, stop.__context__)
        return stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:
        try:
            _end(error)
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 1
    return result if isinstance(result, int) else 0


def _end(error: BaseException) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C now has nothing to say
    if isinstance(error, OSError) and unwritable(error):
        sys.exit(lost(sys.stdout, error))
    show = getattr(error, "show", None)
    if callable(show):  # typer's own: a wrong option, an unknown command
        show()
        sys.exit(int(getattr(error, "exit_code", 2)))
    from clusterkit.cli.ui import end

    end(error, json="json" in _after("--output"), debug="--debug" in sys.argv)


def _after(option: str) -> list[str]:
    """The values of an option on the command line, before it is parsed."""
    words = [word.partition("=")[2] for word in sys.argv if word.startswith(f"{option}=")]
    pairs = zip(sys.argv, sys.argv[1:], strict=False)
    return words + [after for word, after in pairs if word == option]


@app.command(epilog=f"Example: clusterkit up {EXAMPLES.profile} --sandbox --yes")
def up(
    profiles: o.ProfileArgs = None,
    yes: o.Yes = False,
    prune: o.Prune = True,
    adopt: o.Adopt = None,
    use: Annotated[
        bool | None,
        typer.Option(
            "--use/--no-use",
            help="Make the cluster kubectl's current context. With several clusters it stays.",
            show_default="use",
        ),
    ] = None,
    activate: Annotated[
        bool,
        typer.Option(
            "--activate",
            help="Enable the cloud services and create the service roles that the account lacks.",
        ),
    ] = False,
    take_over: o.TakeOver = False,
    registry_user: o.RegistryUser = None,
    registry_password_stdin: o.RegistryPassword = False,
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    report: o.Report = None,
    output: o.OutputOpt = "auto",
    debug: o.Debug = False,
) -> int:
    """Create or update clusters to match their profiles.

    Shows the plan, asks, applies it and writes the kubeconfig. After a failure, a Ctrl-C or a
    change of the profile, run it again: it continues from what exists.

    Of several profiles, one that fails does not stop the others; the exit code is that of the
    first that failed. All contexts are written, and kubectl's current one stays what it is.
    """
    from clusterkit.cli import commands
    from clusterkit.cli.login import registry_login
    from clusterkit.cli.target import Choice, choices
    from clusterkit.cli.ui import face

    login = registry_login(registry_user, stdin=registry_password_stdin)
    options = Choice(
        cloud_profile=cloud_profile, account=account, sandbox=sandbox, trace=trace, login=login
    )
    shown = face(output, debug=debug)
    return commands.up(
        choices(profiles, options),
        shown,
        yes=yes,
        prune=prune,
        adopt=adopt or [],
        use=use,
        activate=activate,
        take_over=take_over,
        page=report,
    )


@app.command(epilog=f"Example: clusterkit plan {EXAMPLES.profile} --sandbox")
def plan(
    profiles: o.ProfileArgs = None,
    prune: o.Prune = True,
    registry_user: o.RegistryUser = None,
    registry_password_stdin: o.RegistryPassword = False,
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    output: o.OutputOpt = "auto",
    debug: o.Debug = False,
) -> int:
    """Show what `up` would change; exits 20 for changes, 0 for none.

    Of several profiles, the exit code is that of the first that failed, else 20 for any changes.
    """
    from clusterkit.cli import commands
    from clusterkit.cli.login import registry_login
    from clusterkit.cli.target import Choice, choices
    from clusterkit.cli.ui import face

    login = registry_login(registry_user, stdin=registry_password_stdin)
    options = Choice(
        cloud_profile=cloud_profile, account=account, sandbox=sandbox, trace=trace, login=login
    )
    return commands.plan(choices(profiles, options), face(output, debug=debug), prune=prune)


@app.command(epilog=f"Example: clusterkit destroy {EXAMPLES.profile} --sandbox --yes")
def destroy(
    profiles: o.ProfileArgs = None,
    cloud: o.Cloud = None,
    region: o.Region = None,
    name: o.Name = None,
    yes: o.Yes = False,
    adopt: o.Adopt = None,
    take_over: o.TakeOver = False,
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    report: o.Report = None,
    output: o.OutputOpt = "auto",
    debug: o.Debug = False,
) -> int:
    """Delete the cluster and everything that belongs to it.

    Everything is found by its tags: cloud, region and name are enough if the profile is lost or
    broken, and the Kubernetes API need not answer. Several profiles are asked for at once; one that
    fails does not stop the others.
    """
    from clusterkit.cli.destroy import destroy
    from clusterkit.cli.target import Choice, choices
    from clusterkit.cli.ui import face

    options = Choice(None, cloud, region, name, cloud_profile, account, sandbox, trace)
    return destroy(
        choices(profiles, options),
        face(output, debug=debug),
        yes=yes,
        adopt=adopt or [],
        take_over=take_over,
        page=report,
    )


@app.command(epilog=f"Example: clusterkit status {EXAMPLES.profile} --sandbox")
def status(
    profiles: o.ProfileArgs = None,
    cloud: o.Cloud = None,
    region: o.Region = None,
    name: o.Name = None,
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Also write it to FILE as a web page: the graph of what exists and, with a "
            "profile, of what is missing.",
        ),
    ] = None,
    output: o.OutputOpt = "auto",
    debug: o.Debug = False,
) -> int:
    """List what carries the cluster's tags; exits 1 for nothing.

    Of several, the exit code is that of the first which failed or of which there is nothing.
    """
    from clusterkit.cli import commands
    from clusterkit.cli.target import Choice, choices
    from clusterkit.cli.ui import face

    options = Choice(None, cloud, region, name, cloud_profile, account, sandbox, trace)
    return commands.status(choices(profiles, options), face(output, debug=debug), html)


@app.command(epilog=f"Example: clusterkit validate {EXAMPLES.profile}")
def validate(
    profiles: o.ProfileArgs = None, output: o.OutputOpt = "auto", debug: o.Debug = False
) -> int:
    """Check profiles offline; reports all errors with their lines."""
    from clusterkit.cli import commands
    from clusterkit.cli.target import Choice, choices
    from clusterkit.cli.ui import face

    return commands.validate(choices(profiles, Choice()), face(output, debug=debug))


@app.command(
    epilog=f"Example: clusterkit init --cloud {EXAMPLES.cloud} --name demo "
    f"--region {EXAMPLES.region}"
)
def init(
    cloud: Annotated[str, typer.Option("--cloud", help=f"The cloud: {', '.join(CLOUDS)}.")],
    name: Annotated[str, typer.Option("--name", help="The cluster's name.")] = "demo",
    region: Annotated[str | None, typer.Option("--region", help="The region.")] = None,
    file: Annotated[
        Path, typer.Option("--file", help="The file to write; - for standard output.")
    ] = Path("profile.yaml"),
    debug: o.Debug = False,
) -> int:
    """Write a commented profile to start from."""
    from clusterkit.cli import report
    from clusterkit.clouds import template
    from clusterkit.errors import ClusterkitError, UsageError

    text = template(cloud, name, region)
    if str(file) == "-":
        typer.echo(text, nl=False)
        return 0
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise UsageError(
            "already exists", where=str(file), hint="choose another file with --file"
        ) from None
    except OSError as error:
        raise ClusterkitError(
            f"cannot be written: {error.strerror}",
            where=str(file),
            hint="choose another file with --file",
        ) from error
    report.say(f"wrote {file}; review it, then run: clusterkit up {file}")
    return 0


@app.command(epilog="Example: clusterkit schema > profile.schema.json")
def schema(debug: o.Debug = False) -> int:
    """Print the JSON Schema of profiles, for editors."""
    import json

    from clusterkit.clouds import model
    from clusterkit.profile.schema import json_schema

    typer.echo(json.dumps(json_schema({cloud: model(cloud) for cloud in CLOUDS}), indent=2))
    return 0


@app.command(epilog=f"Example: clusterkit kubeconfig {EXAMPLES.profile} --sandbox --stdout")
def kubeconfig(
    profile: o.ProfileArg = None,
    cloud: o.Cloud = None,
    region: o.Region = None,
    name: o.Name = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Write to this file, not to kubectl's.")
    ] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print it and write no file.")] = False,
    context: Annotated[str | None, typer.Option("--context", help="Name of the context.")] = None,
    use: Annotated[
        bool, typer.Option("--use/--no-use", help="Make the cluster kubectl's current context.")
    ] = True,
    auth: Annotated[
        str,
        typer.Option(
            "--auth",
            help="The command kubectl gets its credentials from: clusterkit, or the vendor's own "
            f"tool ({EXAMPLES.native_auth}); admin writes the certificate of the cluster's own "
            "administrator, where it has one.",
        ),
    ] = "clusterkit",
    minutes: o.Minutes = None,
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    debug: o.Debug = False,
) -> int:
    """Add the cluster to kubectl's kubeconfig and keep the rest."""
    from clusterkit.cli import kubeconfig as contexts
    from clusterkit.cli.target import Choice

    choice = Choice(profile, cloud, region, name, cloud_profile, account, sandbox, trace)
    return contexts.kubeconfig(
        choice, file=file, stdout=stdout, name=context, use=use, auth=auth, minutes=minutes
    )


@app.command(
    epilog=f"Example: clusterkit token --cloud {EXAMPLES.cloud} --region {EXAMPLES.region} "
    "--name demo --sandbox"
)
def token(
    profile: o.ProfileArg = None,
    cloud: o.Cloud = None,
    region: o.Region = None,
    name: o.Name = None,
    minutes: o.Minutes = None,
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    debug: o.Debug = False,
) -> int:
    """Print a short-lived credential for kubectl (ExecCredential)."""
    from clusterkit.cli import kubeconfig as contexts
    from clusterkit.cli.target import Choice

    choice = Choice(profile, cloud, region, name, cloud_profile, account, sandbox, trace)
    return contexts.token(choice, minutes=minutes)


app.command(epilog=f"Example: clusterkit verify {EXAMPLES.profile} --sandbox")(verify)
