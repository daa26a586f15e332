"""The HTTP proxy through which clients reach the sandbox; it never connects to the internet.

Clients use the vendors' real host names, this proxy, and ``ca.pem`` as their trusted authorities.
``CONNECT host:443`` is handled in one of three ways:

- an emulator serves the host: TLS is terminated here and requests go to its WSGI application;
- the host is the endpoint of an emulated cluster: the bytes are relayed, because the cluster
  terminates TLS itself, unless the cluster does not let this machine in;
- anything else is refused with 403. The reason is also in the status line, because most clients
  (Go, urllib3, curl) show nothing else of a proxy's refusal.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping

from clusterkit_sandbox.answer import Wsgi
from clusterkit_sandbox.ca import Authority
from clusterkit_sandbox.relay import relay
from clusterkit_sandbox.wsgi import HttpConnection

_LOG = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT = 15.0
"""Seconds for a client to send its CONNECT request, and again to complete its TLS handshake."""
_HEAD = 65536
_BACKLOG = 512
_LINGER = 0.5


class Proxy:
    """Listens on 127.0.0.1, one thread per connection."""

    def __init__(
        self,
        authority: Authority,
        application: Callable[[str], Wsgi | None],
        clusters: Callable[[], Mapping[str, tuple[str, int]]],
        contents: Callable[[], str],
        barred: Callable[[str], str] = lambda _: "",
    ) -> None:
        """``application`` and ``clusters`` find who serves a host name (lower case, no port).

        ``contents`` describes in a sentence what the sandbox emulates, for refusals; ``barred``
        says why this machine may not connect to a cluster's host, empty if it may.
        """
        self._authority = authority
        self._application = application
        self._clusters = clusters
        self._contents = contents
        self._barred = barred
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, list[socket.socket]] = {}
        self._closing = False
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Where it listens; ``RuntimeError`` before ``start``."""
        if self._listener is None:
            raise RuntimeError("the proxy is not started")
        port: int = self._listener.getsockname()[1]
        return port

    def start(self) -> None:
        """Listen on a free port."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self._acceptor = threading.Thread(
            target=self._accept, args=(self._listener,), name="sandbox-proxy", daemon=True
        )
        self._acceptor.start()

    def stop(self) -> None:
        """Close every connection and stop listening; waits up to 5 s for requests in work."""
        if self._listener is None or self._acceptor is None:
            return
        self._closing = True
        # closing a listening socket does not wake the thread that accepts on it; a connection does
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), timeout=1).close()
        self._acceptor.join(5)
        self._listener.close()
        self._listener = self._acceptor = None
        with self._lock:
            threads = list(self._open)
            for connections in self._open.values():
                for connection in connections:
                    _shut(connection)
        deadline = time.monotonic() + 5
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                if self._closing:
                    return
                _LOG.warning("the proxy cannot accept a connection", exc_info=True)
                time.sleep(0.1)
                continue
            if self._closing:
                connection.close()
                return
            thread = threading.Thread(
                target=self._serve, args=(connection,), name="sandbox-connection", daemon=True
            )
            with self._lock:
                self._open[thread] = [connection]
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._handle(connection)
        except OSError as error:
            _LOG.debug("a connection broke: %s", error)
        finally:
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _handle(self, connection: socket.socket) -> None:
        connection.settimeout(HANDSHAKE_TIMEOUT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = _head(connection).split(b"\r\n", 1)[0].decode("latin-1")
        if not line:
            return
        found = _REQUEST.fullmatch(line)
        if found is None:
            _refuse(connection, 400, "not an HTTP request", _USE)
        elif found["method"] == "CONNECT":
            self._connect(connection, found["target"])
        elif found["target"].startswith("/"):
            _refuse(connection, 400, "this is a proxy, not a server", _USE)
        else:
            why = "The sandbox emulates only HTTPS, not plain HTTP.\n"
            _refuse(connection, 403, "only HTTPS is emulated", why + self._contents() + "\n")

    def _connect(self, connection: socket.socket, target: str) -> None:
        found = _TARGET.fullmatch(target)
        if found is None:
            _refuse(connection, 400, "CONNECT needs HOST:PORT", _USE)
            return
        host = found["host"].lower().rstrip(".")
        address = self._clusters().get(host)
        if address is not None and (why := self._barred(host)):
            # the real one drops the packets; a proxy says so once its own attempt has timed out
            _refuse(connection, 504, why, why + "\n")
            return
        if address is not None:
            self._relay(connection, host, address)
            return
        application = self._application(host)
        if application is None or found["port"] != "443":
            named = host if application is None else target
            why = f"The sandbox does not emulate {named} and does not connect to the internet.\n"
            _refuse(
                connection,
                403,
                f"the sandbox does not emulate {named}",
                why + self._contents() + "\n",
            )
            return
        connection.sendall(_ESTABLISHED)
        self._terminate_tls(connection, host, application)

    def _terminate_tls(self, connection: socket.socket, host: str, application: Wsgi) -> None:
        context = self._authority.context(host)
        with context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        ) as secure:
            self._track(secure)  # wrap_socket took the descriptor over
            secure.do_handshake()
            HttpConnection(secure, application, host)
            secure.settimeout(_LINGER)
            secure.unwrap()

    def _track(self, *connections: socket.socket) -> None:
        """Register what ``stop`` must close for this thread; ``OSError`` if ``stop`` has run."""
        with self._lock:
            self._open[threading.current_thread()] = list(connections)
            if self._closing:
                raise ConnectionAbortedError("the proxy is closing")

    def _relay(self, connection: socket.socket, host: str, address: tuple[str, int]) -> None:
        try:
            cluster = socket.create_connection(address, timeout=HANDSHAKE_TIMEOUT)
        except OSError as error:
            why = f"The API server of the cluster behind {host} does not answer: {error}\n"
            _refuse(connection, 502, "the cluster does not answer", why)
            return
        with cluster:
            self._track(connection, cluster)
            connection.sendall(_ESTABLISHED)
            relay(connection, cluster)


_REQUEST = re.compile(r"(?P<method>[A-Z]+) (?P<target>\S+) HTTP/1\.[01]")
_TARGET = re.compile(r"\[?(?P<host>[A-Za-z0-9._:-]+?)\]?:(?P<port>[0-9]{1,5})")
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_USE = (
    "This is the HTTP proxy of a clusterkit sandbox. It takes CONNECT requests only.\n"
    'To use it, set the variables printed by: eval "$(clusterkit sandbox env)"\n'
)
_PHRASE = 120


def _head(connection: socket.socket) -> bytes:
    """Read up to the blank line, not further: TLS may follow. Empty if the client closes first."""
    head = b""
    while len(head) < _HEAD:
        ahead = connection.recv(4096, socket.MSG_PEEK)
        if not ahead:
            return b""
        end = (head + ahead).find(b"\r\n\r\n")
        if end >= 0:
            return head + connection.recv(end + 4 - len(head))
        if not head and not ahead[:1].isalpha():
            return ahead  # not HTTP (a TLS handshake, say): no blank line would follow
        head += connection.recv(len(ahead))
    return head


def _refuse(connection: socket.socket, status: int, phrase: str, text: str) -> None:
    body = text.encode()
    connection.sendall(
        f"HTTP/1.1 {status} {phrase[:_PHRASE]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode("latin-1")
        + body
    )
    # closing with unread bytes would reset the connection before the client has read the answer
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(_LINGER)
    deadline = time.monotonic() + _LINGER
    while time.monotonic() < deadline and connection.recv(65536):
        pass


def _shut(connection: socket.socket) -> None:
    # SSLSocket.shutdown would drop the TLS state under the thread that is reading
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
