"""The user's own Kubernetes (kind, say) as the sandbox's clusters: ``--kube kubeconfig:PATH``.

``kubectl proxy`` on a private socket reaches it, so every kind of credential works that kubectl
takes. Its nodes stay what they are, and what Kubernetes makes in the emulated cloud it does not
make: no controller of it knows the sandbox.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.interfaces import CloudHooks, Node, TokenReview
from clusterkit_sandbox.kube.real import RealCluster, RealClusters

_WITHIN = 10.0
_POLL = 0.05
_STOP_WITHIN = 5.0


class ExternalKube:
    """All clusters of the sandbox are this one cluster."""

    def __init__(self, kubeconfig: Path, directory: Path, faults: Faults) -> None:
        """``ValueError`` if the file or kubectl is missing."""
        if not kubeconfig.is_file():
            raise ValueError(f"--kube kubeconfig:{kubeconfig}: there is no such file")
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise ValueError("--kube kubeconfig:PATH needs kubectl: install it, or use embedded")
        self._clusters = RealClusters(directory, faults)
        # the path of a socket is short: 107 bytes (unix(7))
        self._sockets = Path(tempfile.mkdtemp(prefix="ck-"))
        self._socket = self._sockets / "kube"
        command = [kubectl, "proxy", f"--unix-socket={self._socket}"]
        self._proxy = subprocess.Popen(
            command,
            env=os.environ | {"KUBECONFIG": str(kubeconfig.absolute())},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self._await_proxy(kubeconfig)
        except BaseException:
            self.close()
            raise

    def _await_proxy(self, kubeconfig: Path) -> None:
        end = time.monotonic() + _WITHIN
        while not self._socket.exists():
            if self._proxy.poll() is not None:
                said = (
                    self._proxy.stderr.read().decode(errors="replace") if self._proxy.stderr else ""
                )
                raise ValueError(f"--kube kubeconfig:{kubeconfig}: kubectl says: {said.strip()}")
            if time.monotonic() > end:
                raise ValueError(f"--kube kubeconfig:{kubeconfig}: kubectl proxy does not start")
            time.sleep(_POLL)

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
    ) -> ExternalCluster:
        """Start a proxy in front of the cluster, whatever its version."""

        def connect() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._socket)),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
            )

        cluster = ExternalCluster(
            self._clusters,
            hosts,
            connect,
            "http://localhost",
            lambda: self._clusters.forget(key),
        )
        cluster.start(review, objects)
        self._clusters.add(key, cluster)
        return cluster

    def hosts(self) -> Mapping[str, tuple[str, int]]:
        """Host name to address, of every open cluster."""
        return self._clusters.hosts()

    def close(self) -> None:
        """Close the proxies; the cluster itself stays. May be repeated."""
        self._clusters.close()
        if self._proxy.poll() is None:
            self._proxy.terminate()
            try:
                self._proxy.wait(_STOP_WITHIN)
            except subprocess.TimeoutExpired:
                self._proxy.kill()
                self._proxy.wait()
        if self._proxy.stderr:
            self._proxy.stderr.close()
        shutil.rmtree(self._sockets, ignore_errors=True)


class ExternalCluster(RealCluster):
    """The user's cluster as one of the sandbox's."""

    def set_nodes(self, nodes: Sequence[Node]) -> None:
        """It has its own."""
