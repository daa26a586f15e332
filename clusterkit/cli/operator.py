"""``clusterkit operator``: CloudClusters of a management cluster, kept by a process in it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusterkit.cli import options as o
from clusterkit.operator.names import NAMESPACE

if TYPE_CHECKING:
    from clusterkit.engine.target import CloudConnection
    from clusterkit.kube.api import Access
    from clusterkit.operator.run import Options

app = typer.Typer(
    help="Manage clusters as Kubernetes objects, with kubectl apply.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Namespace = Annotated[
    str, typer.Option("--namespace", help="The operator's own namespace, where its Leases are.")
]


@app.command(epilog="Example: clusterkit operator run --sandbox")
def run(
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            "--kubeconfig",
            help="The management cluster's. Default: the cluster of the pod this runs in, else "
            "kubectl's own; with --sandbox one on this machine that ends with the command.",
        ),
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", help="A context of it. Default: the current one.")
    ] = None,
    namespace: Namespace = NAMESPACE,
    watch: Annotated[
        list[str] | None,
        typer.Option(
            "--watch",
            metavar="NAMESPACE",
            help="Reconcile only the CloudClusters of this namespace. Can be repeated.",
        ),
    ] = None,
    interval: Annotated[
        float, typer.Option("--interval", help="Seconds between two looks at a cluster.", min=1)
    ] = 600.0,
    takeover: Annotated[
        float,
        typer.Option(
            "--takeover",
            help="Seconds without a renewed Lease after which others take over a replica's work.",
            min=1,
        ),
    ] = 15.0,
    port: Annotated[
        int,
        typer.Option(
            "--port", help="For /metrics, /healthz and /readyz; 0 for none.", min=0, max=65535
        ),
    ] = 8080,
    default_credentials: Annotated[
        bool,
        typer.Option(
            "--default-credentials",
            help="Let every namespace use the operator's own credentials, not only those with the "
            "annotation clusterkit.dev/default-credentials=true.",
        ),
    ] = False,
    sandbox: o.Sandbox = False,
    debug: o.Debug = False,
) -> int:
    """Reconcile all CloudClusters until Ctrl-C.

    Replicas share the work by themselves: start as many as you like. With --sandbox alone it is a
    demonstration on one machine: the clouds are emulated, and so is the management cluster.
    """
    from tempfile import TemporaryDirectory

    from clusterkit.cli import report
    from clusterkit.clouds import sandbox_connection, sandbox_management
    from clusterkit.engine.target import CloudConnection
    from clusterkit.kube.context import Context, in_cluster
    from clusterkit.kube.kubeconfig import paths

    options = _options(namespace, watch, interval, takeover, port, default_credentials)
    _check_port(port)
    alone = sandbox and kubeconfig is None and context is None
    if alone:
        report.tell("starting the emulated clouds and a management cluster")
    base = sandbox_connection() if sandbox else CloudConnection()
    if alone:
        with (
            TemporaryDirectory(prefix="clusterkit-management-") as folder,
            sandbox_management(Path(folder)) as file,
        ):
            access = Context([file])()
            _prepare(access, namespace)
            typer.echo(f"export KUBECONFIG={file}")
            report.tell("paste this line into another terminal; Ctrl-C ends the operator")
            try:
                return _serve(access, base, options, debug=debug)
            finally:
                report.tell(_AFTERWARDS)
    inside = in_cluster() if kubeconfig is None and context is None else None
    found: Callable[[], Access] = Context([kubeconfig] if kubeconfig else paths(), context)
    return _serve(inside or found(), base, options, debug=debug)


@app.command(epilog="Example: clusterkit operator manifests | kubectl apply -f -")
def manifests(
    image: Annotated[
        str,
        typer.Option("--image", help="The operator's image; none is published: docs/operator.md."),
    ] = "clusterkit-operator:latest",
    namespace: Namespace = NAMESPACE,
    replicas: Annotated[
        int, typer.Option("--replicas", help="Replicas, which share the work.", min=1)
    ] = 1,
    default_credentials: Annotated[
        bool, typer.Option("--default-credentials", help="As for operator run.")
    ] = False,
    crd_only: Annotated[
        bool, typer.Option("--crd", help="Print the CustomResourceDefinition alone.")
    ] = False,
    debug: o.Debug = False,
) -> int:
    """Print what a cluster needs to run the operator, as YAML."""
    import yaml

    from clusterkit.operator.manifests import manifests

    more = ["--default-credentials"] if default_credentials else []
    found = manifests(image, namespace, replicas, more)
    typer.echo(yaml.safe_dump_all(found[:1] if crd_only else found, sort_keys=False), nl=False)
    return 0


def _options(
    namespace: str,
    watch: list[str] | None,
    interval: float,
    takeover: float,
    port: int,
    default_credentials: bool,
) -> Options:
    """``ClusterkitError`` where the extra is not installed."""
    from clusterkit.errors import lacks

    try:
        from clusterkit.operator.run import Options
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("clusterkit"):
            raise
        raise lacks("the operator", error.name or "", "operator") from error
    return Options(namespace, watch or (), interval, takeover, port, default_credentials)


def _prepare(access: Access, namespace: str) -> None:
    """What ``kubectl apply`` of the manifests would do, as far as it needs no node."""
    from clusterkit.kube.api import KubeApi
    from clusterkit.operator.crd import crd
    from clusterkit.operator.names import DEFAULT_CREDENTIALS

    kube, definition = KubeApi(lambda: access), crd()
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    kube.apply(f"{path}/{definition['metadata']['name']}", definition)
    for name, trust in ((namespace, "false"), ("default", "true")):
        metadata = {"name": name, "annotations": {DEFAULT_CREDENTIALS: trust}}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        kube.apply(f"/api/v1/namespaces/{name}", body)


_AFTERWARDS = (
    "the management cluster is gone; clusters that it still had stay in the sandbox, and no other "
    "one takes them over: clusterkit sandbox reset removes them"
)


def _check_port(port: int) -> None:
    """``UsageError`` if nobody may listen there, before anything is started."""
    import socket

    from clusterkit.errors import UsageError

    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        what, hint = os.strerror(error.errno or 0).lower(), "name another port, or 0 for none"
        raise UsageError(what, where=f"--port {port}", hint=hint) from error


def _serve(access: Access, base: CloudConnection, options: Options, *, debug: bool) -> int:
    """Until the first signal; the second ends the process at once."""
    import asyncio
    import logging

    from clusterkit.cli import report
    from clusterkit.cli.connect import stop_on_signals
    from clusterkit.engine import threads
    from clusterkit.operator.run import serve

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("clusterkit").setLevel(logging.DEBUG if debug else logging.INFO)
    logging.getLogger("kopf").setLevel(logging.DEBUG if debug else logging.ERROR)
    failed: list[BaseException] = []
    with stop_on_signals(report.tell) as stop:

        def work() -> None:
            try:
                asyncio.run(serve(access, base, options, stop))
            except BaseException as error:
                failed.append(error)

        # signals are for this thread, and kopf takes them where it has it
        thread = threads.start(work, "clusterkit-operator")
        while not thread.ended:
            time.sleep(0.1)
    if failed:
        raise failed[0]
    return 0
