"""A real kube-apiserver with etcd under every cluster of a sandbox: ``--kube envtest``.

As controller-runtime's envtest runs them (kubebuilder book, "Configuring envtest for integration
tests"): no scheduler, no controllers, no kubelet.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.accounts import ISSUER
from clusterkit_sandbox.kube.certificates import ClusterAuthority
from clusterkit_sandbox.kube.clusters import Clusters, Wanted
from clusterkit_sandbox.kube.real import RealCluster
from clusterkit_sandbox.kube.roles import admin_binding
from clusterkit_sandbox.kube.serving import LOOPBACK, Listener, Public
from clusterkit_sandbox.kube.state import SERVICES

_ASSETS = "KUBEBUILDER_ASSETS"
_WITHIN = 60.0
_POLL = 0.1
_STOP_WITHIN = 10.0
_YEAR = 365 * 86400.0
_RSA_BITS = 2048
_TIED = 'exec 3<&0; (read _ <&3 || kill -9 $$) & exec "$@" 3<&- </dev/null'
"""runs a program that is killed when the pipe to its standard input breaks: a sandbox that is
killed leaves none (a parent's death signal would come with the end of a thread)
"""


class EnvtestKube(Clusters[RealCluster]):
    """Starts an API server for each cluster."""

    def __init__(self, directory: Path, faults: Faults, public: Public | None = None) -> None:
        """``ValueError`` if the programs are not found."""
        self._etcd, self._server = _program("etcd"), _program("kube-apiserver")
        super().__init__(directory, faults, public)

    def start(self, wanted: Wanted, listener: Listener, forget: Callable[[], None]) -> RealCluster:
        """Start etcd and an API server, whatever its version; requests wait until they are up."""
        processes = _Processes(Path(tempfile.mkdtemp(dir=self.directory, prefix="envtest-")))

        def begin() -> tuple[str, Callable[[], aiohttp.ClientSession]]:
            try:
                base, context = processes.start(
                    self._etcd, self._server, wanted.issuer or ISSUER, wanted.services or SERVICES
                )
            except BaseException:
                processes.stop()
                raise

            def connect() -> aiohttp.ClientSession:
                return aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=context),
                    timeout=aiohttp.ClientTimeout(total=None),
                    auto_decompress=False,
                )

            return base, connect

        cluster = RealCluster(listener, self.loop, forget, begin, processes.stop)
        cluster.start(wanted.review, [*wanted.objects, *admin_binding(wanted.admins)])
        return cluster


class _Processes:
    """etcd and the API server of one cluster."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._stopped = False
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self, etcd: str, server: str, issuer: str, services: str
    ) -> tuple[str, ssl.SSLContext]:
        """Where the API server answers, and how an administrator reaches it."""
        store, peers, port = _free_port(), _free_port(), _free_port()
        address = f"http://{LOOPBACK}:{store}"
        peer = f"http://{LOOPBACK}:{peers}"
        self._run(
            "etcd",
            etcd,
            f"--data-dir={self._home / 'etcd'}",
            f"--listen-client-urls={address}",
            f"--advertise-client-urls={address}",
            f"--listen-peer-urls={peer}",
            "--unsafe-no-fsync",
        )
        authority = ClusterAuthority()
        certificate, key = authority.server([LOOPBACK])
        admin = authority.client("clusterkit-sandbox", ["system:masters"], _YEAR)
        files = {
            "ca.pem": authority.pem,
            "server.pem": certificate,
            "server.key": key,
            "admin.pem": "".join(reversed(admin)),
            "accounts.key": _signing_key(),
        }
        for name, text in files.items():
            descriptor = os.open(self._home / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)
        self._run(
            "kube-apiserver",
            server,
            f"--etcd-servers={address}",
            f"--bind-address={LOOPBACK}",
            f"--advertise-address={LOOPBACK}",
            f"--secure-port={port}",
            f"--cert-dir={self._home}",
            f"--tls-cert-file={self._home / 'server.pem'}",
            f"--tls-private-key-file={self._home / 'server.key'}",
            f"--client-ca-file={self._home / 'ca.pem'}",
            f"--service-account-issuer={issuer}",
            f"--api-audiences={ISSUER}",
            f"--service-account-key-file={self._home / 'accounts.key'}",
            f"--service-account-signing-key-file={self._home / 'accounts.key'}",
            "--authorization-mode=RBAC",
            # nobody makes the accounts it would ask for
            "--disable-admission-plugins=ServiceAccount",
            f"--service-cluster-ip-range={services}",
        )
        context = ssl.create_default_context(cafile=str(self._home / "ca.pem"))
        context.load_cert_chain(str(self._home / "admin.pem"))
        base = f"https://{LOOPBACK}:{port}"
        self._await(base, context)
        return base, context

    def stop(self) -> None:
        """Stop both, the API server first, and remove their files; they do not start any more."""
        with self._lock:
            self._stopped = True
        for process in reversed(self._running.values()):
            process.terminate()
            try:
                process.wait(_STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(b"\n")
                    process.stdin.close()
        self._running.clear()
        shutil.rmtree(self._home, ignore_errors=True)

    def _run(self, name: str, *command: str) -> None:
        with self._lock, (self._home / f"{name}.log").open("wb") as log:
            if self._stopped:
                raise RuntimeError("the cluster is closed")
            self._running[name] = subprocess.Popen(
                ("/bin/sh", "-c", _TIED, name, *command),
                cwd=self._home,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _await(self, base: str, context: ssl.SSLContext) -> None:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        end = time.monotonic() + _WITHIN
        while True:
            for name, process in list(self._running.items()):
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended: {self._last_words()}")
            try:
                with opener.open(f"{base}/readyz", timeout=_WITHIN):
                    return
            except OSError as error:
                if time.monotonic() > end:
                    raise RuntimeError(f"kube-apiserver does not get ready: {error}") from error
            time.sleep(_POLL)

    def _last_words(self) -> str:
        found = []
        for log in self._home.glob("*.log"):
            lines = log.read_text(errors="replace").splitlines()
            found += lines[-1:]
        return " / ".join(found)


def _program(name: str) -> str:
    folder = os.environ.get(_ASSETS)
    found = shutil.which(name, path=folder) if folder else None
    found = found or shutil.which(name)
    if found is None:
        raise ValueError(
            f"--kube envtest: there is no {name} in {_ASSETS} or PATH: get it with setup-envtest,"
            " or use --kube embedded"
        )
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _signing_key() -> str:
    # the API server signs with RSA or ECDSA; PKCS #1 is what every version of it reads
    key = rsa.generate_private_key(65537, _RSA_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode("ascii")
