"""The one door into the sandbox: an HTTP proxy on loopback that lets nothing out.

A client is given the door as its proxy and ``ca.pem`` as its trusted authorities, and uses the
vendors' real host names. ``CONNECT host:443`` then goes one of three ways:

- an emulator answers for the host: TLS ends here, and the requests go to its WSGI application;
- the host is the endpoint of an emulated cluster: the bytes are passed on, the cluster speaks TLS
  itself;
- anything else is refused with 403. The reason is in the status line too, because most clients
  (Go, urllib3, curl) show no more of a proxy's refusal than that.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping

from clusterkit_sandbox.ca import Authority
from clusterkit_sandbox.emulator import Wsgi
from clusterkit_sandbox.relay import tunnel
from clusterkit_sandbox.wsgi import Conversation

_LOG = logging.getLogger(__name__)

PATIENCE = 15.0
"""Seconds a client has for its CONNECT request, and again for its TLS handshake."""
_HEAD = 65536
_BACKLOG = 512
_FAREWELL = 0.5


class Proxy:
    """Listens on 127.0.0.1, one thread per connection."""

    def __init__(
        self,
        authority: Authority,
        application: Callable[[str], Wsgi | None],
        clusters: Callable[[], Mapping[str, tuple[str, int]]],
        contents: Callable[[], str],
    ) -> None:
        """``application`` and ``clusters`` say who answers for a host name (lower case, no port).

        ``contents`` says in a sentence what the sandbox emulates, for refusals.
        """
        self._authority = authority
        self._application = application
        self._clusters = clusters
        self._contents = contents
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, list[socket.socket]] = {}
        self._closing = False
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Where it listens; ``RuntimeError`` before ``start``."""
        if self._listener is None:
            raise RuntimeError("the door is not open")
        port: int = self._listener.getsockname()[1]
        return port

    def start(self) -> None:
        """Listen on a free port."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self._acceptor = threading.Thread(
            target=self._accept, args=(self._listener,), name="sandbox-door", daemon=True
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
                _LOG.warning("the door cannot accept a connection", exc_info=True)
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
                self._greet(connection)
        except OSError as error:
            _LOG.debug("a connection broke: %s", error)
        finally:
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _greet(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
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
            _refuse(connection, 400, "this is a proxy", _USE)
        else:
            why = "The sandbox emulates HTTPS only; nothing leaves it in clear text.\n"
            _refuse(connection, 403, "only HTTPS is emulated", why + self._contents() + "\n")

    def _connect(self, connection: socket.socket, target: str) -> None:
        found = _TARGET.fullmatch(target)
        if found is None:
            _refuse(connection, 400, "CONNECT needs HOST:PORT", _USE)
            return
        host = found["host"].lower().rstrip(".")
        address = self._clusters().get(host)
        if address is not None:
            self._pass_on(connection, host, address)
            return
        application = self._application(host)
        if application is None or found["port"] != "443":
            named = host if application is None else target
            why = f"{named} is not part of the sandbox, and nothing leaves it.\n"
            _refuse(connection, 403, f"the sandbox has no {named}", why + self._contents() + "\n")
            return
        connection.sendall(_ESTABLISHED)
        self._converse(connection, host, application)

    def _converse(self, connection: socket.socket, host: str, application: Wsgi) -> None:
        context = self._authority.context(host)
        with context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        ) as secure:
            self._holds(secure)  # wrap_socket took the descriptor over
            secure.do_handshake()
            Conversation(secure, application, host)
            secure.settimeout(_FAREWELL)
            secure.unwrap()

    def _holds(self, *connections: socket.socket) -> None:
        """Tell ``stop`` what to close for this thread; ``OSError`` if it has passed already."""
        with self._lock:
            self._open[threading.current_thread()] = list(connections)
            if self._closing:
                raise ConnectionAbortedError("the door is closing")

    def _pass_on(self, connection: socket.socket, host: str, address: tuple[str, int]) -> None:
        try:
            cluster = socket.create_connection(address, timeout=PATIENCE)
        except OSError as error:
            why = f"The API server of the cluster behind {host} does not answer: {error}\n"
            _refuse(connection, 502, "the cluster does not answer", why)
            return
        with cluster:
            self._holds(connection, cluster)
            connection.sendall(_ESTABLISHED)
            tunnel(connection, cluster)


_REQUEST = re.compile(r"(?P<method>[A-Z]+) (?P<target>\S+) HTTP/1\.[01]")
_TARGET = re.compile(r"\[?(?P<host>[A-Za-z0-9._:-]+?)\]?:(?P<port>[0-9]{1,5})")
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_USE = (
    "This is the door of a clusterkit sandbox: an HTTP proxy for CONNECT requests.\n"
    'Use it through the variables of: eval "$(clusterkit sandbox env)"\n'
)
_PHRASE = 120


def _head(connection: socket.socket) -> bytes:
    """Read up to the blank line and no further, for TLS may follow at once; empty if none comes."""
    head = b""
    while len(head) < _HEAD:
        ahead = connection.recv(4096, socket.MSG_PEEK)
        if not ahead:
            return b""
        end = (head + ahead).find(b"\r\n\r\n")
        if end >= 0:
            return head + connection.recv(end + 4 - len(head))
        if not head and not ahead[:1].isalpha():
            return ahead  # a TLS handshake, say: no blank line would ever come
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
    connection.settimeout(_FAREWELL)
    deadline = time.monotonic() + _FAREWELL
    while time.monotonic() < deadline and connection.recv(65536):
        pass


def _shut(connection: socket.socket) -> None:
    # SSLSocket.shutdown would drop the TLS state under the thread that is reading
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
