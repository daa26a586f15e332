"""A proxy on loopback that ends TLS for any host and answers with what a test gives it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from clusterkit_sandbox.ca import Authority


@dataclass(frozen=True)
class Heard:
    """A request as it came in."""

    host: str
    secure: bool
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, bytes]


@dataclass
class Loopback:
    """``proxy`` and ``ca_file`` are all a client needs; ``answer`` may be changed at any time."""

    proxy: str
    ca_file: Path
    answer: Callable[[Heard], Answer]
    heard: list[Heard] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """what clients called the server in TLS (SNI), in order"""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "loopback"
    loopback: Loopback
    authority: Authority
    target = ""

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_CONNECT(self) -> None:
        host = self.path.rpartition(":")[0]
        self.send_response_only(200)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        server: Any = self.server
        context = self.authority.context(host)
        context.sni_callback = lambda _tls, name, _context: server.loopback.names.append(name)
        inner = type("Inner", (_Handler,), {"target": host})
        with (
            suppress(OSError),
            context.wrap_socket(
                self.connection, server_side=True, do_handshake_on_connect=False
            ) as tls,
        ):
            server.open.append(tls)
            tls.do_handshake()
            inner(tls, self.client_address, self.server)

    def _go(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        heard = Heard(
            self.target or self.headers.get("Host", ""),
            bool(self.target),
            self.command,
            self.path,
            {key.lower(): value for key, value in self.headers.items()},
            body,
        )
        loopback: Loopback = self.server.loopback  # type: ignore[attr-defined]
        loopback.heard.append(heard)
        status, data = loopback.answer(heard)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _go


class _Server:
    def __init__(self, loopback: Loopback) -> None:
        self.loopback = loopback
        self.open: list[socket.socket] = []


@contextmanager
def loopback(folder: Path, answer: Callable[[Heard], Answer]) -> Iterator[Loopback]:
    """One that listens while the context is open."""
    authority = Authority(folder)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    found = Loopback(f"http://127.0.0.1:{listener.getsockname()[1]}", authority.file, answer)
    handler = type("Handler", (_Handler,), {"authority": authority})
    server: Any = _Server(found)

    threads: list[threading.Thread] = []

    def serve(connection: socket.socket, address: Any) -> None:
        with suppress(OSError), connection:
            handler(connection, address, server)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, address = listener.accept()
                # headers and body are two writes: the second waits for an acknowledgement otherwise
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server.open.append(connection)
                threads.append(
                    threading.Thread(target=serve, args=(connection, address), daemon=True)
                )
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield found
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        acceptor.join()
        listener.close()
        for connection in server.open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
