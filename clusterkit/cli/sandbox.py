"""``clusterkit sandbox``: the emulated clouds on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clusterkit.cli import options as o
from clusterkit.clouds import EXAMPLES

if TYPE_CHECKING:
    from clusterkit_sandbox.state_dir import Info

app = typer.Typer(
    help="Emulated clouds on this machine: real SDKs, no account.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Pace = Annotated[
    str | None,
    typer.Option("--pace", help="How many times faster than the real cloud; max for no waiting."),
]
Kube = Annotated[
    str | None,
    typer.Option("--kube", help="Kubernetes behind the clusters: embedded or envtest."),
]
Faults = Annotated[
    str,
    typer.Option(
        "--faults",
        help=f"Faults to inject, for example throttle=0.1,lost=0.05,{EXAMPLES.fault}",
    ),
]

Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="ACTION|FILE",
        help="Make a user who may do only this: actions, or a file with a policy. Can be repeated.",
    ),
]


_ENV = (
    "Print shell variables that point other tools at the sandbox.\n\n"
    f"They are for {EXAMPLES.tools} and others. Starts the sandbox if it is not running."
)


def _running() -> Info:
    from clusterkit.clouds import load_sandbox
    from clusterkit.errors import ClusterkitError

    info: Info | None = load_sandbox().status()
    if info is None:
        raise ClusterkitError(
            "the sandbox is not running",
            where="sandbox",
            hint="start it with: clusterkit sandbox start",
        )
    return info


def _describe(info: Info) -> str:
    return (
        f"sandbox: {', '.join(info.emulators)} at {info.proxy}, pace {info.pace}, "
        f"Kubernetes {info.kube}, process {info.pid}"
    )


@app.command(epilog="Example: clusterkit sandbox start --pace max")
def start(pace: Pace = None, kube: Kube = None, faults: Faults = "", debug: o.Debug = False) -> int:
    """Start the sandbox; any command with --sandbox does so too."""
    from clusterkit.clouds import load_sandbox, sandbox_errors

    daemon = load_sandbox()
    with sandbox_errors():
        speed = daemon.Pace.parse(pace) if pace else daemon.DEFAULT_PACE
        info = daemon.start(speed, kube or daemon.DEFAULT_KUBE, faults)
    typer.echo(_describe(info))
    return 0


@app.command(epilog="Example: clusterkit sandbox stop")
def stop(debug: o.Debug = False) -> int:
    """Stop the sandbox and delete everything in it."""
    from clusterkit.clouds import load_sandbox, sandbox_errors

    with sandbox_errors():
        stopped = load_sandbox().stop()
    typer.echo("sandbox: stopped" if stopped else "sandbox: not running")
    return 0


@app.command(epilog="Example: clusterkit sandbox status")
def status(debug: o.Debug = False) -> int:
    """Show whether it is running, where and how fast; exits 1 if not."""
    from clusterkit.clouds import load_sandbox, sandbox_errors

    with sandbox_errors():
        info = load_sandbox().status()
    typer.echo(_describe(info) if info else "sandbox: not running")
    return 0 if info else 1


@app.command(epilog='Example: eval "$(clusterkit sandbox env)"', help=_ENV)
def env(
    unset: Annotated[
        bool, typer.Option("--unset", help="Print the commands that remove them again.")
    ] = False,
    allow: Allow = None,
    debug: o.Debug = False,
) -> int:
    """Print the variables."""
    from clusterkit.clouds import LIMITED, load_sandbox, sandbox_errors

    daemon = load_sandbox()
    with sandbox_errors():
        info = daemon.ensure()
        # clusterkit itself too: or it would take the sandbox for a real account
        own = {"CLUSTERKIT_SANDBOX": "1", "CLUSTERKIT_SANDBOX_DIR": str(info.directory)}
        own[LIMITED] = "1" if allow else ""
        variables = daemon.environment(info, allow or ()) | own
        if unset:
            typer.echo(f"unset {' '.join(sorted(variables))}")
        else:
            typer.echo(daemon.shell_exports(variables), nl=False)
    return 0


@app.command(epilog="Example: clusterkit sandbox reset")
def reset(debug: o.Debug = False) -> int:
    """Delete every resource in it, but keep it running."""
    from clusterkit.clouds import load_sandbox, sandbox_errors

    with sandbox_errors():
        load_sandbox().reset(_running())
    typer.echo("sandbox: empty")
    return 0


@app.command(epilog="Example: clusterkit sandbox faults throttle=0.2,lost=0.1")
def faults(
    rules: Annotated[
        str, typer.Argument(metavar="RULES", help="The rules; omit to stop all faults.")
    ] = "",
    debug: o.Debug = False,
) -> int:
    """Inject faults: throttling, refusals, lost answers, failures."""
    from clusterkit.clouds import load_sandbox, sandbox_errors

    with sandbox_errors():
        load_sandbox().set_faults(_running(), rules)
    typer.echo(f"sandbox: faults {rules or 'none'}")
    return 0


@app.command(epilog="Example: clusterkit sandbox requests")
def requests(debug: o.Debug = False) -> int:
    """List the requests it received.

    One line each: status, duration, operation, client.
    """
    from clusterkit.clouds import load_sandbox, sandbox_errors

    with sandbox_errors():
        for entry in load_sandbox().requests(_running()):
            took = f"{1000 * entry.seconds:7.1f} ms"
            typer.echo(f"{entry.status} {took}  {entry.operation:44} {entry.user_agent[:32]}")
    return 0
