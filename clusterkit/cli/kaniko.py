"""``clusterkit kaniko``: builds in the cluster, as manifests or run from here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusterkit.cli import options as o
from clusterkit.clouds import EXAMPLES

if TYPE_CHECKING:
    from clusterkit.cli.target import Choice
    from clusterkit.cluster import Cluster
    from clusterkit.kube.api import KubeApi
    from clusterkit.profile.ready import Kaniko
    from clusterkit.ready.build import Ended, Send
    from clusterkit.ready.kaniko import Build
    from clusterkit.ready.registry import PushAccess

app = typer.Typer(
    help="Build container images in the cluster with kaniko.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Destination = Annotated[
    list[str],
    typer.Option(
        "--destination",
        "-d",
        metavar="IMAGE",
        help="NAME:TAG in the cluster's registry, or a whole name. Can be repeated.",
    ),
]
Dockerfile = Annotated[str, typer.Option("--dockerfile", "-f", help="Path in the context.")]
Cache = Annotated[
    bool | None,
    typer.Option(
        "--cache/--no-cache",
        help="Cache layers in the registry. Default: what registry.cache says.",
        show_default=False,
    ),
]
BuildArgs = Annotated[
    list[str] | None,
    typer.Option("--build-arg", metavar="NAME=VALUE", help="For ARG. Can be repeated."),
]
Image = Annotated[
    str | None, typer.Option("--image", help="kaniko's image. Default: ready.kaniko.image.")
]
Cpu = Annotated[str, typer.Option("--cpu", help="CPU to request.")]
Memory = Annotated[str, typer.Option("--memory", help="Memory to request.")]
MemoryLimit = Annotated[str, typer.Option("--memory-limit", help="Memory at most.")]
Disk = Annotated[str, typer.Option("--disk", help="Disk to request.")]
DiskLimit = Annotated[str, typer.Option("--disk-limit", help="Disk at most.")]
EnvFrom = Annotated[
    list[str] | None,
    typer.Option(
        "--env-from",
        metavar="SECRET",
        help="A Secret whose keys become variables, as GIT_TOKEN. Can be repeated.",
    ),
]
Claim = Annotated[
    str | None,
    typer.Option("--claim", help="The PersistentVolumeClaim with a dir:// or tar:// context."),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option("--arg", metavar="FLAG", help="Another flag of kaniko's. Can be repeated."),
]


@app.command(
    epilog=f"Example: clusterkit kaniko manifest {EXAMPLES.builds} --destination kaniko-demo:1.0 "
    "--context git://github.com/OWNER/REPOSITORY --sandbox"
)
def manifest(
    context: Annotated[
        str,
        typer.Option(
            "--context",
            help="git://…#refs/heads/BRANCH, gs://, s3://, https:// of a .tar.gz or a blob, "
            "dir://, tar://, tar://stdin.",
        ),
    ],
    destination: Destination,
    profile: o.ProfileArg = None,
    dockerfile: Dockerfile = "Dockerfile",
    cache: Cache = None,
    build_arg: BuildArgs = None,
    image: Image = None,
    cpu: Cpu = "500m",
    memory: Memory = "1Gi",
    memory_limit: MemoryLimit = "2Gi",
    disk: Disk = "4Gi",
    disk_limit: DiskLimit = "10Gi",
    env_from: EnvFrom = None,
    claim: Claim = None,
    arg: Arguments = None,
    job: Annotated[bool, typer.Option("--job/--pod", help="Print a Job, or the Pod alone.")] = True,
    name: Annotated[str, typer.Option("--name", help="Name of the object.")] = "kaniko",
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    debug: o.Debug = False,
) -> int:
    """Print the Job or Pod of a build, for the cluster's registry.

    Nothing is created. The cloud is asked only for what the profile and the receipt of the last
    `up` do not tell.
    """
    import yaml

    from clusterkit.cli.target import Choice
    from clusterkit.ready import kaniko as objects

    choice = Choice(
        profile, cloud_profile=cloud_profile, account=account, sandbox=sandbox, trace=trace
    )
    build = objects.Build(
        context,
        tuple(destination),
        dockerfile,
        build_args=tuple(build_arg or ()),
        image=image or "",
        resources=objects.Resources(cpu, memory, memory_limit, disk, disk_limit),
        env_from=tuple(env_from or ()),
        claim=claim or "",
        arguments=tuple(arg or ()),
        name=name,
    )
    with _prepared(choice, build, cache) as (_, whole, kaniko, access):
        made = (objects.job if job else objects.pod)(whole, kaniko, access)
    typer.echo(yaml.safe_dump(made, sort_keys=False), nl=False)
    return 0


@app.command(
    epilog=f"Example: clusterkit kaniko build . {EXAMPLES.builds} --destination kaniko-demo:1.0 "
    "--sandbox"
)
def build(
    context: Annotated[
        str,
        typer.Argument(
            metavar="CONTEXT",
            help="A folder or a .tar.gz of this machine, - for one on standard input, or a URL "
            "that kaniko fetches.",
        ),
    ],
    destination: Destination,
    profile: o.ProfileArg = None,
    dockerfile: Dockerfile = "Dockerfile",
    cache: Cache = None,
    build_arg: BuildArgs = None,
    image: Image = None,
    cpu: Cpu = "500m",
    memory: Memory = "1Gi",
    memory_limit: MemoryLimit = "2Gi",
    disk: Disk = "4Gi",
    disk_limit: DiskLimit = "10Gi",
    env_from: EnvFrom = None,
    claim: Claim = None,
    arg: Arguments = None,
    cloud_profile: o.CloudProfile = None,
    account: o.Account = None,
    sandbox: o.Sandbox = False,
    trace: o.Trace = None,
    debug: o.Debug = False,
) -> int:
    """Build an image in the cluster, push it, and print its digest.

    A folder is sent to the build, without what .dockerignore names. kaniko's log goes to standard
    error, its exit code is the command's, and Ctrl-C removes the build.
    """
    from clusterkit.cli.connect import stop_on_signals
    from clusterkit.cli.target import Choice
    from clusterkit.ready import kaniko as objects
    from clusterkit.ready.build import Runner

    choice = Choice(
        profile, cloud_profile=cloud_profile, account=account, sandbox=sandbox, trace=trace
    )
    source = None if "://" in context else _source(context, dockerfile)
    made = objects.Build(
        context if source is None else objects.STDIN,
        tuple(destination),
        dockerfile,
        build_args=tuple(build_arg or ()),
        image=image or "",
        resources=objects.Resources(cpu, memory, memory_limit, disk, disk_limit),
        env_from=tuple(env_from or ()),
        claim=claim or "",
        arguments=tuple(arg or ()),
    )
    with (
        _prepared(choice, made, cache) as (cluster, whole, kaniko, access),
        stop_on_signals(_say) as stop,
    ):
        api, scale = cluster.kube, cluster.connection.scale
        _renew(api, kaniko, access)
        run = Runner(api, kaniko, access, tell=_say, log=_log, stop=stop, scale=scale)
        return _told(run(whole, source), whole)


@contextmanager
def _prepared(
    choice: Choice, build: Build, cache: bool | None
) -> Iterator[tuple[Cluster, Build, Kaniko, PushAccess]]:
    """The cluster, the build with what the profile says of it, and how it pushes; what will
    probably go wrong is told.
    """
    from clusterkit.cli import report
    from clusterkit.cli.connect import connected
    from clusterkit.cli.target import profile_target, read_profile
    from clusterkit.ready import kaniko as objects

    objects.check(build)
    profile, _ = read_profile(choice)
    registry, kaniko = profile.registry, profile.ready.kaniko
    if cache is None:
        cache = registry is None or registry.cache
    build = replace(build, cache=cache)
    with connected(profile_target(profile, choice), choice, _say) as here:
        access = here.cluster.push_access(profile, here.known.account if here.known else None)
        assert kaniko is not None  # or there would be no access
        report.show_findings(report.err(), objects.notes(build, kaniko, access))
        yield here.cluster, build, kaniko, access


def _source(context: str, dockerfile: str) -> Callable[[Send], None]:
    """What writes the context; it is looked at, and told of, before anything is made."""
    from clusterkit.cli import report
    from clusterkit.engine.words import size
    from clusterkit.errors import Finding
    from clusterkit.ready import context as folders

    if context == "-":
        return partial(folders.stream, sys.stdin.buffer, "standard input")
    path = Path(context)
    if path.is_file():
        return partial(folders.stream_file, path)
    found = folders.look(path, dockerfile)
    left = f" ({found.left_out} left out by {found.ignore})" if found.left_out else ""
    files = "1 file" if found.files == 1 else f"{found.files} files"
    _say(f"context: {files} of {context}, {size(found.size)}{left}")
    if found.secrets:
        names = ", ".join(found.secrets[:5]) + (", …" if len(found.secrets) > 5 else "")
        what = f"files that usually hold secrets are sent too: {names}"
        cure = "name them in .dockerignore, unless the image needs them"
        report.show_findings(report.err(), [Finding(what, context, cure)])
    return partial(folders.pack, found)


def _renew(api: KubeApi, kaniko: Kaniko, access: PushAccess) -> None:
    """A fresh password, if it is time; whoever builds may not be allowed to get one."""
    from clusterkit.cli import report
    from clusterkit.errors import Denied, Finding
    from clusterkit.ready.build import renew

    try:
        if renew(api, kaniko, access):
            _say(f"renewed the password in secret/{access.secret}")
    except Denied as error:
        what = f"the registry's password has expired and cannot be renewed: {error.what}"
        report.show_findings(report.err(), [Finding(what, access.host, error.hint)])


def _told(ended: Ended, build: Build) -> int:
    """Say how it ended: the digest, or what is known of the failure."""
    from clusterkit.cli import report
    from clusterkit.errors import ClusterkitError
    from clusterkit.ready import failures

    if ended.code == 0 and not ended.digest and not _stays(build):
        what = "the build ended well, but kaniko reported no digest: nothing was pushed"
        cure = "--image and ready.kaniko.image have to name an image of kaniko's executor"
        raise ClusterkitError(what, where=f"job/{ended.job}", hint=cure)
    if ended.code == 0:
        if found := failures.uncached(ended.tail):
            report.show_findings(report.err(), [found])
        typer.echo(ended.digest or "the image was not pushed", err=not ended.digest)
        return 0
    cause = failures.explain(ended.tail, ended.reason, ended.code)
    what = cause.what if cause else "the build failed: kaniko's log says why"
    error = ClusterkitError(what, where=f"job/{ended.job}", hint=cause.hint if cause else "")
    report.show_error(report.err(), error, debug=False)
    return ended.code


def _stays(build: Build) -> bool:
    """Whether the build was told to push nothing: ``--arg=--no-push``."""
    return bool({"--no-push", "--no-push=true"} & {*build.arguments})


def _say(text: str) -> None:
    from clusterkit.cli import report

    report.err().print(text, markup=False, highlight=False)


def _log(line: str) -> None:
    typer.echo(line, err=True)
