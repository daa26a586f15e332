"""The sandbox within one process: proxy, emulators, pace, faults and request log.

The daemon runs a ``Sandbox``; tests use it directly::

    with Sandbox(directory=tmp_path, pace=Pace(math.inf)) as sandbox:
        subprocess.run(["aws", "eks", "list-clusters"], env={**os.environ, **sandbox.environment()})
"""

from __future__ import annotations

import logging
import secrets
import shutil
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from clusterkit_sandbox import control
from clusterkit_sandbox.answer import Wsgi
from clusterkit_sandbox.ca import Authority
from clusterkit_sandbox.emulator import Emulator, SandboxContext
from clusterkit_sandbox.fault_injection import FaultInjection
from clusterkit_sandbox.fault_targets import Operations
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kaniko.container import Door
from clusterkit_sandbox.kube.interfaces import KubeServer
from clusterkit_sandbox.kube.operations import KubeOperations
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.permissions import Limited, Permissions
from clusterkit_sandbox.proxy import Proxy
from clusterkit_sandbox.registry.hub import DockerHub
from clusterkit_sandbox.registry.server import Registries, RegistryOperations
from clusterkit_sandbox.requestlog import RequestLog
from clusterkit_sandbox.state_dir import HOST

_LOG = logging.getLogger(__name__)

EMULATORS = ("alibaba", "eks", "gke", "aks")
"""The emulated clouds."""
Make = Callable[[SandboxContext], Emulator]

_CA_VARIABLES = (
    "AWS_CA_BUNDLE",  # aws, boto3, terraform's AWS provider
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",  # gcloud
    "CURL_CA_BUNDLE",  # curl; requests reads it too
    "GIT_SSL_CAINFO",  # git
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",  # gRPC
    "HTTPLIB2_CA_CERTS",  # Google's older Python client
    "NIX_SSL_CERT_FILE",  # programs packaged by Nix
    "NODE_EXTRA_CA_CERTS",  # Node.js
    "REQUESTS_CA_BUNDLE",  # requests: az, gcloud, the kubernetes client
    "SSL_CERT_FILE",  # OpenSSL and Go: kubectl, terraform
)
_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY")
_WARM_WITHIN = 30.0
_NO_PROXY = "localhost,127.0.0.1,::1"


class Sandbox:
    """One sandbox in this process: a context manager that can be started once."""

    def __init__(
        self,
        *,
        directory: Path,
        pace: Pace,
        kube: str = "embedded",
        faults: Faults | None = None,
        emulators: Sequence[str | Make] | None = None,
        on_stop: Callable[[], None] | None = None,
    ) -> None:
        """Does nothing until ``start``.

        ``directory/run`` is emptied by ``start`` and removed by ``stop``. ``emulators`` are names
        from ``EMULATORS`` (default: all) or callables that create one. ``on_stop`` is called, on a
        thread of the proxy, when a client asks the sandbox to stop. ``ValueError`` for an unknown
        emulator.
        """
        self.pace = pace
        self.kube = kube
        self.faults = faults if faults is not None else Faults()
        self.requests = RequestLog()
        self.token = secrets.token_urlsafe(32)
        """the bearer token of the control host"""
        self._makes = [
            _make(emulator) for emulator in (EMULATORS if emulators is None else emulators)
        ]
        self._on_stop = on_stop
        self._directory = directory.absolute() / "run"
        self._server: KubeServer | None = None
        self._proxy: Proxy | None = None
        self._emulators: list[Emulator] = []
        self._middleware: list[tuple[Emulator, FaultInjection]] = []
        self._hub: DockerHub | None = None
        self._registries: Registries | None = None
        self._warming: list[threading.Thread] = []
        self._control: Wsgi = control.Control(self, self.token)

    def start(self) -> None:
        """Start the proxy; the emulators go on loading in the background.

        ``ValueError`` for a fault that names no operation of these emulators.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        from clusterkit_sandbox.kube import kube_server

        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(mode=0o700, parents=True)
        authority = Authority(self._directory)

        def public(host: str) -> ssl.SSLContext | None:
            known = any(emulator.certified(host) for emulator in self._emulators)
            return authority.context(host) if known else None

        self._server = kube_server(
            self.kube,
            self.pace,
            self._directory,
            self.faults,
            public,
            lambda: Door(self.proxy, self.ca_file),
        )
        context = SandboxContext(
            self.pace, self.faults, self.requests, self._server, self._directory
        )
        for make in self._makes:
            emulator = make(context)
            self._emulators.append(emulator)
            self._middleware.append(
                (emulator, FaultInjection(emulator, self.faults, self.requests))
            )
        self._hub = DockerHub(context.content)
        clouds = [emulator.registry for emulator in self._emulators]
        services = [self._hub, *(one for one in clouds if one is not None)]
        self._registries = Registries(services, context.content, self.faults, self.requests)
        operations = [emulator.operations for emulator in self._emulators]
        self.faults.check_against([*operations, KubeOperations(), RegistryOperations()])
        self._proxy = Proxy(
            authority, self._application, self._server.hosts, self._contents, self._barred
        )
        self._proxy.start()
        for emulator in self._emulators:
            thread = threading.Thread(
                target=_warm, args=(emulator,), name="sandbox-warm", daemon=True
            )
            self._warming.append(thread)
            thread.start()

    def stop(self) -> None:
        """Stop the proxy; remove every resource, the CA and all files. May be called again."""
        # callbacks run in reverse order, each even if another fails
        with ExitStack() as last:
            last.callback(shutil.rmtree, self._directory, ignore_errors=True)
            if self._server is not None:
                last.callback(self._server.close)
            if self._registries is not None:
                last.callback(self._registries.clear)
            for emulator in self._emulators:
                last.callback(emulator.reset)
            for thread in self._warming:
                last.callback(thread.join, _WARM_WITHIN)
            if self._proxy is not None:
                last.callback(self._proxy.stop)
            self._proxy = self._server = self._registries = self._hub = None
            self._warming, self._emulators, self._middleware = [], [], []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def reset(self) -> None:
        """Remove every resource and clear the request log; faults stay, with their counts at 0."""
        for emulator in self._emulators:
            emulator.reset()
        if self._registries is not None:
            self._registries.clear()
        self.faults.set(self.faults.rules)
        self.requests.clear()

    def request_stop(self) -> None:
        """Ask whoever runs the sandbox to stop it."""
        if self._on_stop is not None:
            self._on_stop()

    @property
    def port(self) -> int:
        """The proxy's port on 127.0.0.1; ``RuntimeError`` unless started."""
        if self._proxy is None:
            raise RuntimeError("the sandbox is not started")
        return self._proxy.port

    @property
    def proxy(self) -> str:
        """The proxy's URL: ``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The CA bundle for clients."""
        return self._directory / "ca.pem"

    def environment(self) -> dict[str, str]:
        """The environment variables that make a program use the sandbox."""
        return self._variables([emulator.environment() for emulator in self._emulators])

    def identity(self, actions: Iterable[str]) -> Limited:
        """Make a user of every emulated account who may only call what needs these actions.

        ``actions`` as policies name them, with ``*`` as a wildcard: ``ec2:Describe*``, ``vpc:*``.
        Users stay until the sandbox stops. ``ValueError`` for what cannot be an action.
        """
        permissions = Permissions(actions)
        made = [emulator.identity(permissions) for emulator in self._emulators]
        return Limited(permissions, self._variables(made))

    def _variables(self, clouds: Iterable[Mapping[str, str]]) -> dict[str, str]:
        found = {"NO_PROXY": _NO_PROXY, "no_proxy": _NO_PROXY}
        for name in _PROXY_VARIABLES:
            found[name] = found[name.lower()] = self.proxy
        found |= dict.fromkeys(_CA_VARIABLES, str(self.ca_file))
        for cloud in clouds:
            found |= cloud
        if self._hub is not None:
            found |= self._hub.environment()
        return found

    def describe(self) -> Mapping[str, object]:
        """Settings and contents, as JSON values."""
        return {
            "pace": str(self.pace),
            "kube": self.kube,
            "faults": str(self.faults),
            "emulators": [emulator.name for emulator in self._emulators],
            "clusters": sorted(self._server.hosts()) if self._server is not None else [],
            "requests": self.requests.count(),
        }

    def _application(self, host: str) -> Wsgi | None:
        if host == HOST:
            return self._control
        if self._registries is not None and self._registries.claims(host):
            return self._registries
        return next(
            (middleware for emulator, middleware in self._middleware if emulator.claims(host)), None
        )

    def _barred(self, host: str) -> str:
        return next(filter(None, (emulator.barred(host) for emulator in self._emulators)), "")

    def _contents(self) -> str:
        names = ", ".join(emulator.name for emulator in self._emulators) or "no cloud"
        clusters = ", ".join(sorted(self._server.hosts())) if self._server is not None else ""
        return f"It emulates: {names}. Clusters: {clusters or 'none yet'}."


def _make(emulator: str | Make) -> Make:
    if not isinstance(emulator, str):
        return emulator
    match emulator:
        case "aks":

            def make_azure(context: SandboxContext) -> Emulator:
                from clusterkit_sandbox.azure.gateway import AzureCloud

                return AzureCloud(context)

            return make_azure
        case "alibaba":

            def make_alibaba(context: SandboxContext) -> Emulator:
                from clusterkit_sandbox.alibaba.gateway import AlibabaCloud

                return AlibabaCloud(context)

            return make_alibaba
        case "eks":

            def make_aws(context: SandboxContext) -> Emulator:
                from clusterkit_sandbox.aws.emulator import AwsEmulator

                return AwsEmulator(context)

            return make_aws
        case "gke":

            def make_google(context: SandboxContext) -> Emulator:
                from clusterkit_sandbox.google.gateway import GoogleCloud

                return GoogleCloud(context)

            return make_google
        case _:
            raise ValueError(f"there is no emulator {emulator!r}; one of {', '.join(EMULATORS)}")


def operations_of(emulators: Sequence[str] = EMULATORS) -> list[Operations]:
    """The operations of these emulators and of Kubernetes, without starting a sandbox."""
    found: list[Operations] = [KubeOperations(), RegistryOperations()]
    if "aks" in emulators:
        from clusterkit_sandbox.azure.operations import AzureOperations

        found.append(AzureOperations())
    if "alibaba" in emulators:
        from clusterkit_sandbox.alibaba.operations import AlibabaOperations

        found.append(AlibabaOperations())
    if "eks" in emulators:
        from clusterkit_sandbox.aws.operations import AwsOperations

        found.append(AwsOperations())
    if "gke" in emulators:
        from clusterkit_sandbox.google.operations import GoogleOperations

        found.append(GoogleOperations())
    return found


def _warm(emulator: Emulator) -> None:
    try:
        emulator.warm()
    except Exception:
        # the first request will fail with the same error, and report it
        _LOG.exception("%s: the emulator did not load", emulator.name)
