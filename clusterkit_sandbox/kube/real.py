"""Clusters of a sandbox whose API server is a real one, behind a proxy (``auth_proxy.py``)."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.auth_proxy import AuthProxy, Server
from clusterkit_sandbox.kube.certificates import ClusterAuthority
from clusterkit_sandbox.kube.interfaces import TokenReview
from clusterkit_sandbox.kube.serving import EventLoop, Listener, Public, no_public

_LOG = logging.getLogger(__name__)
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
        begin: Callable[[], tuple[str, Callable[[], aiohttp.ClientSession]]],
        closed: Callable[[], None],
    ) -> None:
        """``begin`` starts the API server, on a thread; it returns its URL and what makes, on the
        loop, the session that reaches it as administrator. ``closed`` ends it, or its start.
        """
        self._authority = ClusterAuthority()
        self.listener = Listener(
            self._authority, hosts, clusters.directory, clusters.faults, clusters.public
        )
        self.loop = clusters.loop
        self._begin = begin
        self._on_close = closed
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sandbox-kube-start")
        self._tasks: list[asyncio.Task[None]] = []
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
        """Listen, and have a thread start the API server and apply the objects: emulators hold
        their account's lock here, and a real server takes seconds. Requests wait for it.
        """

        def begin() -> Server:
            base, connect = self._begin()
            return self.loop.run(self._fill(base, connect, objects))

        self._server = self._worker.submit(begin)
        self._server.add_done_callback(_log_failure)
        proxy = AuthProxy(review, self._server)
        self.loop.run(self.listener.start(proxy.application()))

    async def _fill(
        self,
        base: str,
        connect: Callable[[], aiohttp.ClientSession],
        objects: Sequence[Mapping[str, object]],
    ) -> Server:
        server = Server(base, connect())
        try:
            for body in objects:
                await self._apply(server, dict(body))
        except BaseException:
            await server.session.close()
            raise
        self._tasks += [asyncio.ensure_future(work) for work in self.controllers(server)]
        return server

    def controllers(self, server: Server) -> Iterable[Coroutine[Any, Any, None]]:
        """What runs beside the API server until the cluster is closed."""
        return ()

    def later(self, work: Callable[[Server], Coroutine[Any, Any, None]]) -> None:
        """Do something once the API server is up, in the order of the calls."""
        if not self._closed:
            done = self._worker.submit(lambda: self.loop.run(work(self._server.result())))
            done.add_done_callback(_log_failure)

    async def _apply(self, server: Server, body: dict[str, Any]) -> None:
        version, metadata = body["apiVersion"], body["metadata"]
        root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        if "namespace" in metadata:
            root += f"/namespaces/{metadata['namespace']}"
        path = f"{root}/{_PLURALS[body['kind']]}/{metadata['name']}"
        query = "fieldManager=clusterkit-sandbox&force=true"
        await request(server, "PATCH", f"{path}?{query}", json=body, headers=_APPLY)

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

        self._on_close()
        self._worker.shutdown(cancel_futures=True)

        async def work() -> None:
            for task in self._tasks:
                task.cancel()
            await self.listener.close()
            if not self._server.cancelled() and self._server.exception() is None:
                await self._server.result().session.close()
            await asyncio.sleep(0)

        self.loop.run(work())


async def request(server: Server, method: str, path: str, **more: Any) -> dict[str, Any]:
    """Ask the API server as administrator; ``RuntimeError`` with its words."""
    async with server.session.request(method, server.base + path, **more) as response:
        body: dict[str, Any] = await response.json(content_type=None)
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {body.get('message', response.status)}")
        return body


def _log_failure(work: Future[Any]) -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        _LOG.error("a real API server: %s", error)
