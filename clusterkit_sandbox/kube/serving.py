"""What every kind of Kubernetes side needs to answer on loopback: one event loop in a thread, and a
TLS port for each cluster.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.certificates import ClusterAuthority
from clusterkit_sandbox.kube.fault_injection import fault_injection

LOOPBACK = "127.0.0.1"
_CLOSE_SECONDS = 0.2

T = TypeVar("T")
Public = Callable[[str], ssl.SSLContext | None]
"""What answers under a name of a cluster whose certificate is not of the cluster's own authority
but of one that clients trust anyway.
"""


def no_public(_: str) -> ssl.SSLContext | None:
    """Every certificate is of the cluster's own authority."""
    return None


class EventLoop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._workers = ThreadPoolExecutor(thread_name_prefix="sandbox-kube")
        self._loop.set_default_executor(self._workers)
        self._thread = threading.Thread(target=self._serve, name="sandbox-kube", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Have the loop do something, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the thread; may be repeated."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        if not self._loop.is_closed():
            self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        # asyncio would start a thread for it, which Python 3.12 refuses while the process ends
        self._workers.shutdown()


class Listener:
    """One cluster's TLS port."""

    def __init__(
        self,
        authority: ClusterAuthority,
        hosts: Sequence[str],
        directory: Path,
        faults: Faults,
        public: Public = no_public,
    ) -> None:
        """``hosts`` are the names of its certificate; the key passes through ``directory``."""
        self._public = public
        self.hosts = tuple(hosts)
        self.address = (LOOPBACK, 0)
        """where it listens, once it is started"""
        self.authority = authority
        self._directory = directory
        self._faults = faults

    async def start(self, application: web.Application) -> None:
        """Listen; faults are drawn before ``application`` sees a request."""
        application.middlewares.append(fault_injection(self._faults))
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=_CLOSE_SECONDS, auto_decompress=False
        )
        await self._runner.setup()
        context = self.authority.server_context(self.hosts, self._directory)
        context.sni_callback = self._choose
        self._context = context
        self._server = await asyncio.get_running_loop().create_server(
            self._handler(), LOOPBACK, 0, ssl=context, ssl_shutdown_timeout=_CLOSE_SECONDS
        )
        self.address = (LOOPBACK, self._server.sockets[0].getsockname()[1])

    def rename(self, hosts: Sequence[str]) -> None:
        """Answer under these names from now on."""
        self.authority.renew(self._context, hosts, self._directory)
        self.hosts = tuple(hosts)

    async def close(self) -> None:
        """Refuse connections, and end those there are."""
        self._server.close()
        for connection in self._handler().connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()
        # the transports of TLS go one turn of the loop after they are told to
        await asyncio.sleep(0)

    def _choose(self, connection: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
        if host is not None and (context := self._public(host)) is not None:
            connection.context = context

    def _handler(self) -> web.Server:
        if self._runner.server is None:
            raise RuntimeError("the listener is not set up")
        return self._runner.server
