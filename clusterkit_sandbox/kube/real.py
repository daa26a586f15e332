"""Clusters of a sandbox whose API server is a real one, behind a proxy (``auth_proxy.py``)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.auth_proxy import AuthProxy
from clusterkit_sandbox.kube.certificates import ClusterAuthority
from clusterkit_sandbox.kube.interfaces import TokenReview
from clusterkit_sandbox.kube.serving import EventLoop, Listener, Public, no_public

_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_PLURALS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "StorageClass": "storageclasses",
    "ClusterRoleBinding": "clusterrolebindings",
}
"""kinds that emulators give their clusters"""


class RealClusters:
    """The open clusters of one sandbox, and the event loop their fronts run on."""

    def __init__(self, directory: Path, faults: Faults, public: Public | None = None) -> None:
        """``directory`` is private to the sandbox; keys pass through it."""
        self.directory = directory
        self.faults = faults
        self.public = public or no_public
        self._clusters: dict[str, RealCluster] = {}
        self._lock = threading.Lock()
        self.loop = EventLoop()

    def add(self, key: str, cluster: RealCluster) -> None:
        """Remember an open cluster."""
        with self._lock:
            self._clusters[key] = cluster

    def forget(self, key: str) -> None:
        """It was closed."""
        with self._lock:
            self._clusters.pop(key, None)

    def hosts(self) -> Mapping[str, tuple[str, int]]:
        """Host name to address, of every open cluster."""
        with self._lock:
            listeners = [cluster.listener for cluster in self._clusters.values()]
        return {host: listener.address for listener in listeners for host in listener.hosts}

    def close(self) -> None:
        """Close every cluster and end the thread; may be repeated."""
        with self._lock:
            clusters = list(self._clusters.values())
        for cluster in clusters:
            cluster.close()
        self.loop.close()


class RealCluster:
    """One cluster: a proxy of its own before an API server."""

    def __init__(
        self,
        clusters: RealClusters,
        hosts: Sequence[str],
        connect: Callable[[], aiohttp.ClientSession],
        base: str,
        closed: Callable[[], None],
    ) -> None:
        """``connect`` makes, on the loop, the session that reaches ``base`` as administrator."""
        self._authority = ClusterAuthority()
        self.listener = Listener(
            self._authority, hosts, clusters.directory, clusters.faults, clusters.public
        )
        self.loop = clusters.loop
        self.base = base
        self._connect = connect
        self._on_close = closed
        self._closed = False

    @property
    def ca_pem(self) -> str:
        """The authority of the proxy's certificate."""
        return self._authority.pem

    @property
    def address(self) -> tuple[str, int]:
        """Where the proxy listens."""
        return self.listener.address

    def start(self, review: TokenReview, objects: Sequence[Mapping[str, object]]) -> None:
        """Apply the objects, then listen; ``RuntimeError`` with the server's words."""

        async def work() -> None:
            self.session = self._connect()
            try:
                for body in objects:
                    await self._apply(dict(body))
                proxy = AuthProxy(self.session, self.base, review)
                await self.listener.start(proxy.application())
            except BaseException:
                await self.session.close()
                raise

        self.loop.run(work())

    async def request(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Ask the API server as administrator; ``RuntimeError`` with its words."""
        async with self.session.request(method, self.base + path, **more) as response:
            body: dict[str, Any] = await response.json(content_type=None)
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {body.get('message', response.status)}")
            return body

    async def _apply(self, body: dict[str, Any]) -> None:
        version, metadata = body["apiVersion"], body["metadata"]
        root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        if "namespace" in metadata:
            root += f"/namespaces/{metadata['namespace']}"
        path = f"{root}/{_PLURALS[body['kind']]}/{metadata['name']}"
        query = "fieldManager=clusterkit-sandbox&force=true"
        await self.request("PATCH", f"{path}?{query}", json=body, headers=_APPLY)

    def rename(self, hosts: Sequence[str]) -> None:
        """Be reached under these names instead."""
        self.listener.rename(hosts)

    def client_certificate(
        self, username: str, groups: Sequence[str], seconds: float
    ) -> tuple[str, str]:
        """A new client certificate and its key (PEM), which the proxy knows."""
        return self._authority.client(username, groups, seconds)

    def close(self) -> None:
        """The proxy refuses connections; may be repeated."""
        if self._closed:
            return
        self._closed = True

        async def work() -> None:
            await self.listener.close()
            await self.session.close()
            await asyncio.sleep(0)

        self.loop.run(work())
        self._on_close()
