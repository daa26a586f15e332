"""The sandbox of one process: emulators behind the door, with their pace, faults and request log.

``Sandbox`` is what the daemon runs and what tests use directly::

    with Sandbox(directory=tmp_path, pace=Pace(math.inf)) as sandbox:
        subprocess.run(["aws", "eks", "list-clusters"], env={**os.environ, **sandbox.environment()})
"""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from clusterkit_sandbox import control
from clusterkit_sandbox.ca import Authority
from clusterkit_sandbox.emulator import Emulator, Surroundings, Wsgi
from clusterkit_sandbox.fault_injection import FaultInjection
from clusterkit_sandbox.fault_targets import Operations
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.interfaces import KubeServer
from clusterkit_sandbox.kube.operations import KubeOperations
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.proxy import Proxy
from clusterkit_sandbox.requestlog import RequestLog

_LOG = logging.getLogger(__name__)

EMULATORS = ("alibaba", "eks")
"""Every cloud there is an emulator for."""
Make = Callable[[Surroundings], Emulator]

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
    """One sandbox in this process. A context manager; may be started once."""

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
        """Nothing happens before ``start``.

        ``directory/run`` is the sandbox's alone: emptied at the start, removed at the end.
        ``emulators`` are names of ``EMULATORS`` (all if left out) or callables that make one.
        ``on_stop`` is called, on a thread of the door, when somebody asks the sandbox to stop.
        ``ValueError`` for an unknown emulator.
        """
        self.pace = pace
        self.kube = kube
        self.faults = faults if faults is not None else Faults()
        self.requests = RequestLog()
        self.token = secrets.token_urlsafe(32)
        """what the control host wants to see as bearer token"""
        self._makes = [
            _make(emulator) for emulator in (EMULATORS if emulators is None else emulators)
        ]
        self._on_stop = on_stop
        self._directory = directory.absolute() / "run"
        self._server: KubeServer | None = None
        self._door: Proxy | None = None
        self._emulators: list[Emulator] = []
        self._gates: list[tuple[Emulator, FaultInjection]] = []
        self._warming: list[threading.Thread] = []
        self._control: Wsgi = control.Control(self, self.token)

    def start(self) -> None:
        """Open the door; returns at once, while the emulators still load in the background."""
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
        self._server = kube_server(self.kube, self.pace, self._directory, self.faults)
        surroundings = Surroundings(
            self.pace, self.faults, self.requests, self._server, self._directory
        )
        for make in self._makes:
            emulator = make(surroundings)
            self._emulators.append(emulator)
            self._gates.append((emulator, FaultInjection(emulator, self.faults, self.requests)))
        self.faults.check_against(
            [*(emulator.operations for emulator in self._emulators), KubeOperations()]
        )
        self._door = Proxy(authority, self._application, self._server.hosts, self._contents)
        self._door.start()
        for emulator in self._emulators:
            thread = threading.Thread(
                target=_warm, args=(emulator,), name="sandbox-warm", daemon=True
            )
            self._warming.append(thread)
            thread.start()

    def stop(self) -> None:
        """Close the door, forget every resource, remove the CA and all files; may be repeated."""
        # last in, first out, and each of them whatever becomes of the others
        with ExitStack() as last:
            last.callback(shutil.rmtree, self._directory, ignore_errors=True)
            if self._server is not None:
                last.callback(self._server.close)
            for emulator in self._emulators:
                last.callback(emulator.reset)
            for thread in self._warming:
                last.callback(thread.join, _WARM_WITHIN)
            if self._door is not None:
                last.callback(self._door.stop)
            self._door = self._server = None
            self._warming, self._emulators, self._gates = [], [], []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def reset(self) -> None:
        """Forget every resource and the request log; faults stay in force and count anew."""
        for emulator in self._emulators:
            emulator.reset()
        self.faults.set(self.faults.rules)
        self.requests.clear()

    def request_stop(self) -> None:
        """Pass the wish to stop on to whoever runs the sandbox."""
        if self._on_stop is not None:
            self._on_stop()

    @property
    def port(self) -> int:
        """Where the door listens on 127.0.0.1; ``RuntimeError`` unless started."""
        if self._door is None:
            raise RuntimeError("the sandbox is not started")
        return self._door.port

    @property
    def proxy(self) -> str:
        """The door as clients want it: ``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The bundle that clients are to trust, and nothing else."""
        return self._directory / "ca.pem"

    def environment(self) -> dict[str, str]:
        """The variables that bring any program into the sandbox, and keep it there."""
        found = {"NO_PROXY": _NO_PROXY, "no_proxy": _NO_PROXY}
        for name in _PROXY_VARIABLES:
            found[name] = found[name.lower()] = self.proxy
        found |= dict.fromkeys(_CA_VARIABLES, str(self.ca_file))
        for emulator in self._emulators:
            found |= emulator.environment()
        return found

    def describe(self) -> Mapping[str, object]:
        """How it runs and what is in it, as JSON values."""
        return {
            "pace": str(self.pace),
            "kube": self.kube,
            "faults": str(self.faults),
            "emulators": [emulator.name for emulator in self._emulators],
            "clusters": sorted(self._server.hosts()) if self._server is not None else [],
            "requests": self.requests.count(),
        }

    def _application(self, host: str) -> Wsgi | None:
        if host == control.HOST:
            return self._control
        return next((gate for emulator, gate in self._gates if emulator.claims(host)), None)

    def _contents(self) -> str:
        names = ", ".join(emulator.name for emulator in self._emulators) or "no cloud"
        clusters = ", ".join(sorted(self._server.hosts())) if self._server is not None else ""
        return f"It emulates: {names}. Clusters: {clusters or 'none yet'}."


def _make(emulator: str | Make) -> Make:
    if not isinstance(emulator, str):
        return emulator
    match emulator:
        case "alibaba":

            def make_alibaba(surroundings: Surroundings) -> Emulator:
                from clusterkit_sandbox.alibaba.gateway import AlibabaCloud

                return AlibabaCloud(surroundings)

            return make_alibaba
        case "eks":

            def make_aws(surroundings: Surroundings) -> Emulator:
                from clusterkit_sandbox.aws.emulator import AwsEmulator

                return AwsEmulator(surroundings)

            return make_aws
        case _:
            raise ValueError(f"there is no emulator {emulator!r}; one of {', '.join(EMULATORS)}")


def operations_of(emulators: Sequence[str] = EMULATORS) -> list[Operations]:
    """What faults can name in a sandbox with these emulators, without starting one."""
    found: list[Operations] = [KubeOperations()]
    if "alibaba" in emulators:
        from clusterkit_sandbox.alibaba.operations import AlibabaOperations

        found.append(AlibabaOperations())
    if "eks" in emulators:
        from clusterkit_sandbox.aws.operations import AwsOperations

        found.append(AwsOperations())
    return found


def _warm(emulator: Emulator) -> None:
    try:
        emulator.warm()
    except Exception:
        # the first request will say what is wrong, to somebody who is waiting for an answer
        _LOG.exception("%s: the emulator did not load", emulator.name)
