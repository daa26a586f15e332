"""A real kube-apiserver with etcd under every cluster of a sandbox: ``--kube envtest``.

As controller-runtime's envtest runs them (kubebuilder book, "Configuring envtest for integration
tests"): no scheduler, no controllers, no kubelet. So nodes appear as the pools say, and nothing
runs on them: no load balancer, volume or pod ever comes. Only deleted namespaces are emptied.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.accounts import ISSUER
from clusterkit_sandbox.kube.auth_proxy import Server
from clusterkit_sandbox.kube.certificates import ClusterAuthority
from clusterkit_sandbox.kube.controllers.nodes import node_object, ready_conditions
from clusterkit_sandbox.kube.interfaces import CloudHooks, Node, TokenReview
from clusterkit_sandbox.kube.real import RealCluster, RealClusters, request
from clusterkit_sandbox.kube.serving import LOOPBACK, Public
from clusterkit_sandbox.kube.state import SERVICES

_LOG = logging.getLogger(__name__)
_ASSETS = "KUBEBUILDER_ASSETS"
_WITHIN = 60.0
_POLL = 0.1
_STOP_WITHIN = 10.0
_YEAR = 365 * 86400.0
_RSA_BITS = 2048
_LOOK = 1.0
"""seconds between two looks for deleted namespaces"""
_TIED = 'exec 3<&0; (read _ <&3 || kill -9 $$) & exec "$@" 3<&- </dev/null'
"""runs a program that is killed when the pipe to its standard input breaks: a sandbox that is
killed leaves none (a parent's death signal would come with the end of a thread)
"""
_AGGREGATED = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
_MERGE = {"Content-Type": "application/merge-patch+json"}


class EnvtestKube:
    """Starts an API server for each cluster."""

    def __init__(self, directory: Path, faults: Faults, public: Public | None = None) -> None:
        """``ValueError`` if the programs are not found."""
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
        services: str = "",
    ) -> EnvtestCluster:
        """Start etcd and an API server, whatever its version; requests wait until they are up."""
        home = Path(tempfile.mkdtemp(dir=self._directory, prefix="envtest-"))
        processes = _Processes(home)

        def begin() -> tuple[str, Callable[[], aiohttp.ClientSession]]:
            try:
                base, context = processes.start(
                    self._etcd, self._server, issuer or ISSUER, services or SERVICES
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

        def closed() -> None:
            self._clusters.forget(key)
            processes.stop()

        cluster = EnvtestCluster(self._clusters, hosts, begin, closed)
        cluster.start(review, [*objects, *_admins(admins)])
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

    def set_nodes(self, nodes: Sequence[Node]) -> None:
        """Make the node objects be exactly these; they are Ready as soon as they are made."""

        async def work(server: Server) -> None:
            version = (await request(server, "GET", "/version"))["gitVersion"]
            found = (await request(server, "GET", "/api/v1/nodes"))["items"]
            names = {item["metadata"]["name"] for item in found}
            for name in names - {node.name for node in nodes}:
                await request(server, "DELETE", f"/api/v1/nodes/{name}")
            for node in nodes:
                if node.name in names:
                    continue
                body = node_object(node, version)
                status = {"status": body.pop("status") | {"conditions": ready_conditions()}}
                # admission taints every new node, whatever it registers with
                # (TaintNodesByCondition), and the node controller would take the taint away
                ready = {"spec": {"taints": body["spec"]["taints"][1:] or None}}
                await request(server, "POST", "/api/v1/nodes", json=body)
                path = f"/api/v1/nodes/{node.name}"
                await request(server, "PATCH", f"{path}/status", json=status, headers=_MERGE)
                await request(server, "PATCH", path, json=ready, headers=_MERGE)

        self.later(work)

    def controllers(self, server: Server) -> Iterable[Coroutine[Any, Any, None]]:
        """The namespace controller's work."""
        yield _finalize(server)


async def _finalize(server: Server) -> None:
    """Empty deleted namespaces and let them go (Kubernetes documentation, "Namespaces")."""
    while True:
        try:
            for found in (await request(server, "GET", "/api/v1/namespaces"))["items"]:
                if found["metadata"].get("deletionTimestamp") and await _is_empty(server, found):
                    path = f"/api/v1/namespaces/{found['metadata']['name']}/finalize"
                    body = {**found, "spec": {"finalizers": []}}
                    await request(server, "PUT", path, json=body)
        except (aiohttp.ClientError, RuntimeError) as error:
            _LOG.info("a namespace is not finalized yet: %s", error)
        await asyncio.sleep(_LOOK)


async def _is_empty(server: Server, namespace: dict[str, Any]) -> bool:
    """Whether nothing is in a namespace; what is, is deleted."""
    empty = True
    for root in ("/api", "/apis"):
        for group in (await request(server, "GET", root, headers=_AGGREGATED))["items"]:
            prefix = f"{root}/{name}" if (name := group["metadata"].get("name")) else root
            for version in group["versions"][:1]:
                for kind in version["resources"]:
                    if kind["scope"] != "Namespaced" or "deletecollection" not in kind["verbs"]:
                        continue
                    place = f"{prefix}/{version['version']}/namespaces"
                    path = f"{place}/{namespace['metadata']['name']}/{kind['resource']}"
                    if (await request(server, "GET", path))["items"]:
                        empty = False
                        # there is no kubelet that would end a pod's grace
                        await request(server, "DELETE", path, json={"gracePeriodSeconds": 0})
    return empty


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
