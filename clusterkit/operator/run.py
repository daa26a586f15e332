"""The operator's process: it watches CloudClusters with kopf, and has a reconciler for each of its
own.

kopf brings the watch, its login and the posting of Events. Its handlers are not used: they keep
their progress in annotations, serve one change at a time, and a paused replica of theirs is paused
as a whole.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import kopf
from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as TEXT

from clusterkit.engine.cache import AGE, Survey
from clusterkit.engine.retry import Retry
from clusterkit.engine.target import CloudConnection
from clusterkit.errors import ClusterkitError
from clusterkit.kube.api import Access, KubeApi
from clusterkit.kube.members import BEATS, LIFE, Members
from clusterkit.naming import digest, safe
from clusterkit.operator import names
from clusterkit.operator.credentials import CredentialSource
from clusterkit.operator.metrics import GAUGES, Metrics
from clusterkit.operator.reconcile import Reconciler
from clusterkit.operator.shared import Body, Shared

_LOG = logging.getLogger(__name__)
LOOK = 0.2
"""seconds after which it is seen that the operator is to stop"""
THREADS = 16
"""for questions to the clouds and to the management cluster"""
PATIENCE = 15.0
"""seconds for which a look retries what it asks, on one of those threads: another look follows; an
emptied bucket of EC2's is full again after five (``engine.retry.PATIENCE``)"""
FRESH = 10
"""part of the interval after which what clusters ask alike is asked again"""
RETRIES = (1, 2, 4, *[8] * 10_000)
"""seconds between a watch's tries: kopf ends the process after the last, while a management
cluster may be away for long"""
ENDS_WITHIN = 240.0
"""seconds that runs have to stop: calls in flight end; the Deployment gives 300"""


@dataclass(frozen=True)
class Options:
    """How the operator is run."""

    namespace: str = names.NAMESPACE
    """its own, where its Leases are"""
    watched: Sequence[str] = ()
    """namespaces whose CloudClusters it keeps; none: all"""
    interval: float = 600.0
    """seconds between two looks at a cluster"""
    takeover: float = LIFE
    """seconds of silence after which a replica is taken for dead"""
    port: int = 8080
    """of the metrics and the health checks; 0: none"""
    default_credentials: bool = False
    """whether every namespace may use the operator's own credentials"""


class Operator:
    """What a process keeps; on one event loop."""

    def __init__(self, shared: Shared, members: Members) -> None:
        self._shared = shared
        self.members = members
        self._bodies: dict[str, Body] = {}
        self._reconcilers: dict[str, tuple[Reconciler, asyncio.Task[None]]] = {}
        self._context: Context | None = None
        self._moved = time.monotonic()
        """when the replicas changed last, and with them whose work it is"""
        self._renewing = ThreadPoolExecutor(1)
        """its own, since a Lease must not wait until questions to the clouds are answered"""
        self.closing = False
        for gauge in GAUGES:
            shared.metrics.gauge(gauge, partial(self._count, gauge))

    def _count(self, what: str, cloud: str) -> int:
        found = [each for each, task in self._reconcilers.values() if not task.done()]
        mine = [each for each in found if each.body["spec"].get("cloud") == cloud]
        return sum(what == "clusters" or getattr(each, what) for each in mine)

    def see(self, kind: str | None, body: Body) -> None:
        """An event of the watch."""
        self._context = copy_context()  # Events are posted in it
        uid = body["metadata"]["uid"]
        if kind == "DELETED":
            self._bodies.pop(uid, None)
        else:
            self._bodies[uid] = body
        if uid in self._reconcilers:
            self._reconcilers[uid][0].see(body)
        self._share(uid, time.monotonic() if kind == "ADDED" else self._moved)

    def share(self) -> None:
        """Begin with what is this replica's now, and end what is not."""
        for uid in {*self._reconcilers, *self._bodies}:
            self._share(uid, self._moved)

    def _share(self, uid: str, since: float) -> None:
        had = self._reconcilers.get(uid)
        if had and had[1].done():
            del self._reconcilers[uid]
            if had[0].gone:  # the watch does not tell it of what went while it was broken
                self._bodies.pop(uid, None)
        mine = uid in self._bodies and not self.closing and self.members.mine(uid)
        if uid in self._reconcilers and not mine:
            self._reconcilers[uid][0].close()
        elif mine and uid not in self._reconcilers:
            reconciler = Reconciler(self._shared, self._bodies[uid], since)
            work = asyncio.create_task(reconciler.work(), context=self._context)
            self._reconcilers[uid] = reconciler, work

    async def beat(self) -> None:
        """Renew the membership for ever, and take what became this replica's."""
        loop = asyncio.get_running_loop()
        alive = self.members.alive
        while True:
            pause = self.members.life / BEATS
            try:
                await loop.run_in_executor(self._renewing, self.members.renew)
                if alive != self.members.alive:
                    alive, self._moved = self.members.alive, time.monotonic()
            except ClusterkitError as error:
                _LOG.warning("this replica could not renew its Lease: %s", error)
                pause /= 5
            self.share()
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Stop the runs as Ctrl-C does, and let their locks go."""
        self.closing = True
        self.share()
        if tasks := [task for _, task in self._reconcilers.values()]:
            await asyncio.wait(tasks, timeout=ENDS_WITHIN)

    async def leave(self) -> None:
        """Let other replicas take over at once; after the last ``beat``, which may be under way."""
        with suppress(ClusterkitError):
            await asyncio.get_running_loop().run_in_executor(self._renewing, self.members.leave)


async def serve(
    access: Access, base: CloudConnection, options: Options, stop: threading.Event
) -> None:
    """Run until ``stop`` is set. ``access``: the management cluster; ``base``: how the clouds are
    reached. ``ClusterkitError`` if that cluster does not know CloudClusters.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    kube, metrics = KubeApi(lambda: access), Metrics()
    retry = Retry(1.0, partial(_LOG.warning, "the management cluster: %s; again in %.0f s"), stop)
    await asyncio.to_thread(retry, partial(_check_installed, kube))
    system = await asyncio.to_thread(retry, lambda: kube.get("/api/v1/namespaces/kube-system"))
    fleet = str((system or {"metadata": {}})["metadata"].get("uid") or access.server)
    me = f"{names.ACCOUNT}-{safe(socket.gethostname(), 40)}-{digest(os.urandom(8).hex())}"
    group = digest(*sorted(options.watched)) if options.watched else "all"
    members = Members(kube, options.namespace, me, options.takeover, group)
    over = asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="clusterkit-operator-") as folder:
        everybody = options.default_credentials
        base = replace(base, patience=PATIENCE)
        source = CredentialSource(kube, base, Path(folder), everybody=everybody)
        survey = Survey(min(AGE, options.interval / FRESH))
        shared = Shared(kube, source, metrics, fleet, options.interval, base.scale, survey, _post)
        operator = Operator(shared, members)
        await asyncio.to_thread(retry, members.renew)
        pages = await _pages(operator, metrics, options.port)
        settings = kopf.OperatorSettings()
        settings.scanning.disabled = True
        settings.watching.server_timeout = 600
        settings.networking.error_backoffs = RETRIES
        settings.posting.reporting_component = names.GROUP
        watch = kopf.operator(
            registry=_registry(operator, access),
            settings=settings,
            standalone=True,
            clusterwide=not options.watched,
            namespaces=options.watched,
            stop_flag=over,
        )
        works = [asyncio.create_task(watch), asyncio.create_task(operator.beat())]
        try:
            while not (stop.is_set() or any(work.done() for work in works)):
                await asyncio.sleep(LOOK)
            # before kopf's end, which cancels whatever is there still
            await operator.close()
        finally:
            over.set()
            works[-1].cancel()
            await operator.leave()
            await works[0]
            with suppress(asyncio.CancelledError):
                await works[-1]
            await pages.cleanup()


def _check_installed(kube: KubeApi) -> None:
    root = kube.get(f"/apis/{names.GROUP}/{names.VERSION}") or {"resources": []}
    if names.PLURAL not in {each["name"] for each in root["resources"]}:
        what = "the management cluster does not know CloudClusters"
        raise ClusterkitError(what, hint="clusterkit operator manifests | kubectl apply -f -")


def _registry(operator: Operator, access: Access) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(
            server=access.server,
            ca_data=access.ca.encode() or None,
            token=access.token() if access.token else None,
            certificate_data=(access.client_certificate or "").encode() or None,
            private_key_data=(access.client_key or "").encode() or None,
        )

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def seen(event: Mapping[str, Any], **_: Any) -> None:
        operator.see(event["type"], dict(event["object"]))

    return registry


def _post(body: Body, kind: str, reason: str, message: str) -> None:
    about = kopf.Body(cast("kopf.RawBody", body))
    _LOG.info("%s/%s %s: %s", about.metadata.namespace, about.metadata.name, reason, message)
    with suppress(LookupError):  # before the first event of the watch
        kopf.event(about, type=kind, reason=reason, message=message[:1000])


async def _pages(operator: Operator, metrics: Metrics, port: int) -> web.AppRunner:
    async def page(request: web.Request) -> web.Response:
        match request.path:
            case "/metrics":
                return web.Response(text=metrics.text(), headers={"Content-Type": TEXT})
            case "/readyz" if not operator.members.alive:
                return web.Response(status=503, text="its Lease is out of date")
            case _:
                return web.Response(text="ok")

    application = web.Application()
    application.add_routes([web.get(path, page) for path in ("/metrics", "/healthz", "/readyz")])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    if port:
        await web.TCPSite(runner, port=port).start()
    return runner
