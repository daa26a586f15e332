"""One cluster whose API server is a real one, behind a proxy (``auth_proxy.py``).

Without a scheduler, controllers and a kubelet nodes appear as the pools say, and nothing runs on
them: no load balancer, volume or pod ever comes. Only deleted namespaces are emptied.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import aiohttp

from clusterkit_sandbox.kube.auth_proxy import AuthProxy, Server
from clusterkit_sandbox.kube.clusters import Cluster
from clusterkit_sandbox.kube.controllers.nodes import node_object, ready_conditions
from clusterkit_sandbox.kube.interfaces import Node, TokenReview
from clusterkit_sandbox.kube.serving import EventLoop, Listener

_LOG = logging.getLogger(__name__)
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_PLURALS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "StorageClass": "storageclasses",
    "ClusterRoleBinding": "clusterrolebindings",
}
"""kinds that emulators give their clusters"""
_LOOK = 1.0
"""seconds between two looks for deleted namespaces"""
_AGGREGATED = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
_MERGE = {"Content-Type": "application/merge-patch+json"}


class RealCluster(Cluster):
    """A proxy of its own before an API server."""

    def __init__(
        self,
        listener: Listener,
        loop: EventLoop,
        forget: Callable[[], None],
        begin: Callable[[], tuple[str, Callable[[], aiohttp.ClientSession]]],
        end: Callable[[], None],
    ) -> None:
        """``begin`` starts the API server, on a thread; it returns its URL and what makes, on the
        loop, the session that reaches it as administrator. ``end`` ends it, or its start.
        """
        super().__init__(listener, loop, forget)
        self._begin = begin
        self._on_end = end
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sandbox-kube-start")
        self._task: asyncio.Task[None] | None = None

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
        self._task = asyncio.ensure_future(_finalize(server))
        return server

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

    def later(self, work: Callable[[Server], Coroutine[Any, Any, None]]) -> None:
        """Do something once the API server is up, in the order of the calls."""
        if not self.closed:
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

    def end(self) -> None:
        """The proxy refuses connections; the API server, or its start, ends."""
        self._on_end()
        self._worker.shutdown(cancel_futures=True)

        async def work() -> None:
            await self.listener.close()
            if not self._server.cancelled() and self._server.exception() is None:
                if self._task is not None:
                    self._task.cancel()
                await self._server.result().session.close()
            await asyncio.sleep(0)

        self.loop.run(work())


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
