"""``clusterkit ready``: values for the charts of what the cluster is made ready for."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clusterkit.cli import options as o
from clusterkit.clouds import EXAMPLES

if TYPE_CHECKING:
    from clusterkit.cli.connect import Connected

app = typer.Typer(
    help="Print the values of the charts the cluster is made ready for.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

GIT_TOKEN = "CLUSTERKIT_GIT_TOKEN"
TOKEN_OPTION = "--git-token-stdin"
_HELM = "https://helm.sh/docs/intro/install/"


@app.command("jenkins-x", epilog=f"Example: clusterkit ready jenkins-x {EXAMPLES.builds} --sandbox")
def jenkins_x(
    profile: o.ProfileArg = None,
    install: Annotated[
        bool,
        typer.Option("--install", help="Install or upgrade the operator with helm."),
    ] = False,
    git_user: Annotated[
        str | None,
        typer.Option(
            "--git-user",
            envvar="CLUSTERKIT_GIT_USER",
            help="The user that Jenkins X logs in as, at the server of ready.jenkins_x.git_url.",
        ),
    ] = None,
    git_token_stdin: Annotated[
        bool,
        typer.Option(
            TOKEN_OPTION,
            help=f"Read the user's token from standard input. Default: ${GIT_TOKEN}.",
        ),
    ] = False,
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    debug: o.Debug = False,
) -> int:
    """Print the Jenkins X operator's values, or install it.

    There is no secret in what is printed. With `--install` the token goes to helm on its standard
    input, and from there into the Secret jx-git-operator/jx-boot.
    """
    from clusterkit.cli import report
    from clusterkit.cli.connect import connected
    from clusterkit.cli.target import Choice, profile_target, read_profile
    from clusterkit.ready import jenkinsx, yaml

    secrets = _git_login(git_user, stdin=git_token_stdin) if install else {}
    choice = Choice(
        profile, cloud_profile=cloud_profile, account=account, sandbox=sandbox, trace=trace
    )
    wanted, _ = read_profile(choice)
    with connected(profile_target(wanted, choice), choice, _say) as here:
        platform = here.cluster.platform(wanted, here.known.account if here.known else None)
        assert wanted.ready.jenkins_x is not None  # or there would be no platform
        report.show_findings(report.err(), jenkinsx.notes(wanted.ready.jenkins_x))
        values = jenkinsx.operator_values(platform, wanted.ready.jenkins_x)
        words = [
            *("upgrade", "--install", jenkinsx.RELEASE, jenkinsx.OPERATOR),
            *("--repo", jenkinsx.REPOSITORY, "--version", jenkinsx.VERSION),
            *("--namespace", jenkinsx.OPERATOR, "--create-namespace"),
        ]
        if install:
            _helm(here, words, {**values, **secrets})
            _say(f"its log: kubectl logs -f -n {jenkinsx.OPERATOR} deploy/{jenkinsx.OPERATOR}")
            return 0
    typer.echo(yaml.dump(values), nl=False)
    _say(
        "give username and password in a second file, or run this command with --install:\n"
        f"{_shown(words, 'VALUES')} --values SECRETS"
    )
    return 0


@app.command(epilog=f"Example: clusterkit ready jenkins {EXAMPLES.builds} --sandbox")
def jenkins(
    profile: o.ProfileArg = None,
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    debug: o.Debug = False,
) -> int:
    """Print Jenkins's values: an agent that builds with kaniko.

    There is no secret in them.
    """
    from clusterkit.cli import report
    from clusterkit.cli.connect import connected
    from clusterkit.cli.target import Choice, profile_target, read_profile
    from clusterkit.errors import UsageError
    from clusterkit.ready import jenkins as chart
    from clusterkit.ready import yaml

    choice = Choice(
        profile, cloud_profile=cloud_profile, account=account, sandbox=sandbox, trace=trace
    )
    wanted, _ = read_profile(choice)
    agents = wanted.ready.agents
    if agents is None:
        what = "the profile does not prepare the cluster for Jenkins"
        raise UsageError(
            what, where=wanted.name, hint="add ready: {jenkins: {}} and run clusterkit up"
        )
    with connected(profile_target(wanted, choice), choice, _say) as here:
        access = here.cluster.push_access(wanted, here.known.account if here.known else None)
    report.show_findings(report.err(), chart.notes(agents))
    typer.echo(yaml.dump(chart.values(agents, access)), nl=False)
    image = wanted.registry.repositories[0] if wanted.registry else "NAME"
    words = ["upgrade", "--install", "jenkins", "jenkins", "--repo", chart.REPOSITORY]
    _say(
        f"a pipeline:\n{chart.pipeline(access, image)}"
        f"{_shown([*words, '--namespace', agents.namespace], 'VALUES')}"
    )
    return 0


def _git_login(user: str | None, *, stdin: bool) -> dict[str, str]:
    """The values that are secrets; ``UsageError`` for none or half of one."""
    from clusterkit.errors import UsageError

    token = os.environ.get(GIT_TOKEN, "")
    if stdin:
        if sys.stdin is None or sys.stdin.isatty():
            what = "standard input is a terminal"
            raise UsageError(
                what, where=TOKEN_OPTION, hint=f"pipe the token in, or set {GIT_TOKEN}"
            )
        token = sys.stdin.read().strip()
    if not token:
        what, hint = "the token of the git user is missing", f"pipe it in, or set {GIT_TOKEN}"
        raise UsageError(what, where=TOKEN_OPTION, hint=hint)
    if not token.isprintable() or " " in token:
        what = "the token has spaces, line breaks or control characters in it"
        raise UsageError(what, where=TOKEN_OPTION, hint="pipe in the token alone")
    if not user:
        raise UsageError("the git user is missing", where="--git-user", hint="--git-user NAME")
    if "@" in user or ":" in user:  # it becomes a part of a URL
        what = "has a character that Jenkins X cannot use, @ or a colon"
        raise UsageError(what, where="--git-user", hint="the user's name, not an email address")
    return {"username": user, "password": token}


def _helm(here: Connected, words: list[str], values: dict[str, Any]) -> None:
    """Run helm for this cluster, with the values on its standard input, so that no secret is in a
    file or an argument; ``ClusterkitError`` if there is none or it fails.
    """
    from clusterkit.cli.kubeconfig import entry
    from clusterkit.errors import ClusterkitError
    from clusterkit.kube import kubeconfig as files
    from clusterkit.ready import yaml

    command = shutil.which("helm")
    if command is None:
        run = _shown(words, "VALUES")
        hint = f"install it ({_HELM}), or run elsewhere: {run} --values SECRETS"
        raise ClusterkitError("helm is not on PATH", hint=hint)
    with TemporaryDirectory(prefix="clusterkit-") as folder:
        config = Path(folder) / "kubeconfig"
        # it holds no secret: helm asks for a credential as kubectl does
        config.write_text(files.render(entry(here)), encoding="utf-8")
        call = [command, *words, "--kubeconfig", str(config), "--values", "-"]
        sys.stdout.flush()
        done = subprocess.run(
            call, input=yaml.dump(values).encode(), stdout=sys.stderr.fileno(), check=False
        )
    if done.returncode:
        what = f"helm failed with exit code {done.returncode}"
        raise ClusterkitError(what, where=here.target.name, hint="its message is above")


def _shown(words: list[str], values: str) -> str:
    return shlex.join(["helm", *words, "--values", values])


def _say(text: str) -> None:
    from clusterkit.cli import report

    report.err().print(text, markup=False, highlight=False, soft_wrap=True)
