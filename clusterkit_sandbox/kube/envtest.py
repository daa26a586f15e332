"""A real kube-apiserver with etcd under every cluster of a sandbox: ``--kube envtest``.

As controller-runtime's envtest runs them (kubebuilder book, "Configuring envtest for integration
tests"): no scheduler, no controllers, no kubelet. So nodes appear as the pools say, and nothing
runs on them; a deleted namespace stays ``Terminating``.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.accounts import ISSUER
from clusterkit_sandbox.kube.admission import SERVICES
from clusterkit_sandbox.kube.certificates import ClusterAuthority
from clusterkit_sandbox.kube.controllers.nodes import node_object, ready_conditions
from clusterkit_sandbox.kube.interfaces import CloudHooks, Node, TokenReview
from clusterkit_sandbox.kube.real import RealCluster, RealClusters
from clusterkit_sandbox.kube.serving import LOOPBACK, Public
from clusterkit_sandbox.pace import Pace

_ASSETS = "KUBEBUILDER_ASSETS"
_WITHIN = 60.0
_POLL = 0.1
_STOP_WITHIN = 10.0
_YEAR = 365 * 86400.0
_RSA_BITS = 2048
_MERGE = {"Content-Type": "application/merge-patch+json"}


class EnvtestKube:
    """Starts an API server for each cluster."""

    def __init__(
        self, pace: Pace, directory: Path, faults: Faults, public: Public | None = None
    ) -> None:
        """``ValueError`` if the programs are not found."""
        self._pace = pace
        self._directory = directory
        self._etcd, self._server = _program("etcd"), _program("kube-apiserver")
        self._clusters = RealClusters(directory, faults, public)

    def open(
        self,
        key: str,
        *,
        hosts: Sequence[str],
        version: str,
        review: TokenReview,
        hooks: CloudHooks,
        admins: Sequence[str] = (),
        objects: Sequence[Mapping[str, object]] = (),
        issuer: str = "",
    ) -> EnvtestCluster:
        """Start etcd and an API server, whatever its version; ``RuntimeError`` if that fails."""
        home = Path(tempfile.mkdtemp(dir=self._directory, prefix="envtest-"))
        processes = _Processes(home)
        try:
            base, context = processes.start(self._etcd, self._server, issuer or ISSUER)

            def connect() -> aiohttp.ClientSession:
                return aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=context),
                    timeout=aiohttp.ClientTimeout(total=None),
                    auto_decompress=False,
                )

            def closed() -> None:
                self._clusters.forget(key)
                processes.stop()

            cluster = EnvtestCluster(self._clusters, hosts, connect, base, closed)
            cluster.pace = self._pace
            cluster.start(review, [*objects, *_admins(admins)])
        except BaseException:
            processes.stop()
            raise
        self._clusters.add(key, cluster)
        return cluster

    def hosts(self) -> Mapping[str, tuple[str, int]]:
        """Host name to address, of every open cluster."""
        return self._clusters.hosts()

    def close(self) -> None:
        """End every API server; may be repeated."""
        self._clusters.close()


class EnvtestCluster(RealCluster):
    """One cluster with an API server of its own."""

    pace: Pace

    def set_nodes(self, nodes: Sequence[Node]) -> None:
        """Make the node objects be exactly these; they are Ready as soon as they are made."""

        async def work() -> None:
            version = (await self.request("GET", "/version"))["gitVersion"]
            found = (await self.request("GET", "/api/v1/nodes"))["items"]
            names = {item["metadata"]["name"] for item in found}
            for name in names - {node.name for node in nodes}:
                await self.request("DELETE", f"/api/v1/nodes/{name}")
            for node in nodes:
                if node.name in names:
                    continue
                body = node_object(node, version)
                status = body.pop("status") | {"conditions": ready_conditions()}
                body["spec"]["taints"] = body["spec"]["taints"][1:]
                await self.request("POST", "/api/v1/nodes", json=body)
                path = f"/api/v1/nodes/{node.name}/status"
                await self.request("PATCH", path, json={"status": status}, headers=_MERGE)

        self.loop.run(work())


class _Processes:
    """etcd and the API server of one cluster."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, etcd: str, server: str, issuer: str) -> tuple[str, ssl.SSLContext]:
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
            f"--service-cluster-ip-range={SERVICES}",
        )
        context = ssl.create_default_context(cafile=str(self._home / "ca.pem"))
        context.load_cert_chain(str(self._home / "admin.pem"))
        base = f"https://{LOOPBACK}:{port}"
        self._await(base, context)
        return base, context

    def stop(self) -> None:
        """Stop both, the API server first, and remove their files."""
        for process in reversed(self._running.values()):
            process.terminate()
            try:
                process.wait(_STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
        shutil.rmtree(self._home, ignore_errors=True)

    def _run(self, name: str, *command: str) -> None:
        with (self._home / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self._home, stdout=log, stderr=log, start_new_session=True
            )
        self._running[name] = process

    def _await(self, base: str, context: ssl.SSLContext) -> None:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        end = time.monotonic() + _WITHIN
        while True:
            for name, process in self._running.items():
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


def _admins(admins: Sequence[str]) -> list[Mapping[str, object]]:
    if not admins:
        return []
    group = "rbac.authorization.k8s.io"
    subjects = [{"apiGroup": group, "kind": "User", "name": user} for user in admins]
    return [
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "cluster-creator-admin"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": subjects,
        }
    ]
