"""A WebSocket to a container, as ``kubectl attach`` opens one: messages whose first byte names the
stream they belong to.

Only version 5 of the protocol lets standard input end while the connection goes on (a message of
``CLOSE`` and the stream); API servers have it since Kubernetes 1.30. Sources: KEP 4006 and
``tools/remotecommand/websocket.go`` of k8s.io/client-go.

websocket-client is used: it is small, has no dependencies, speaks through HTTP proxies, and the
official Kubernetes client has used it for years.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from clusterkit.engine import threads
from clusterkit.engine.rest import CONNECT_TIMEOUT, Answer, Refusal
from clusterkit.engine.target import proxy_of_environment
from clusterkit.errors import Rejected, Unreachable

if TYPE_CHECKING:
    from websocket import WebSocket

PROTOCOL = "v5.channel.k8s.io"
STDIN, ERROR, CLOSE = 0, 3, 255
"""the first byte of a message"""
SILENCE = 60.0
"""seconds a message may wait to be taken (``writeDeadline`` of client-go)"""
PING = 20.0
"""seconds between two signs of life: load balancers on the way cut what is silent"""


class Channels:
    """The streams of one container. ``send`` may be called by one thread."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._ended = threading.Event()
        self._said = ""
        self._reader = threads.start(self._read, "kubernetes-attach")

    def send(self, data: bytes) -> None:
        """Put it on the container's standard input; ``Unreachable`` if nobody takes it."""
        self._put(bytes((STDIN,)) + data)

    def end(self) -> None:
        """The end of standard input."""
        self._put(bytes((CLOSE, STDIN)))

    def close(self) -> None:
        """Leave; the container goes on."""
        self._ended.set()
        with suppress(Exception):
            self._socket.close(timeout=1)
        with suppress(Exception):
            # ``close`` leaves it open after a close frame of the server's
            self._socket.shutdown()  # type: ignore[no-untyped-call]

    @property
    def said(self) -> str:
        """What the server said went wrong; empty while it has not."""
        return self._said

    def _put(self, message: bytes) -> None:
        from websocket import WebSocketException

        if self._ended.is_set():
            raise Unreachable(self._said or "the container has closed its standard input")
        try:
            self._socket.send_binary(message)
        except (OSError, WebSocketException) as error:
            why = self._said or str(error) or type(error).__name__
            raise Unreachable(f"the container takes no more: {why}") from error

    def _read(self) -> None:
        from websocket import WebSocketException, WebSocketTimeoutException

        while not self._ended.is_set():
            try:
                _, message = self._socket.recv_data()
            except WebSocketTimeoutException:
                with suppress(OSError, WebSocketException):
                    self._socket.ping()
                continue
            except (OSError, WebSocketException, ValueError):
                break
            if message[:1] == bytes((ERROR,)):
                self._said = _failure(message[1:])
        self._ended.set()


def _failure(message: bytes) -> str:
    """The text of a ``Status`` that is no success."""
    try:
        status = json.loads(message)
    except ValueError:
        return message.decode("utf-8", "replace")[:300]
    return "" if status.get("status") == "Success" else str(status.get("message") or "")


def channels(
    url: str,
    headers: Mapping[str, str],
    context: ssl.SSLContext,
    proxy: str | None,
    refusal: Refusal,
) -> Channels:
    """Open one; ``url`` is https, ``proxy`` that of the environment unless given. Raises what the
    server answers if it is no WebSocket.
    """
    import websocket

    parts = urlsplit(url)
    operation = f"GET {parts.path}"
    where: Any = _proxy(proxy or proxy_of_environment(parts.netloc))
    try:
        socket = websocket.create_connection(
            f"wss{url.removeprefix(parts.scheme)}",
            timeout=CONNECT_TIMEOUT,
            header=[f"{name}: {value}" for name, value in headers.items()],
            subprotocols=[PROTOCOL],
            suppress_origin=True,
            redirect_limit=0,
            sslopt={"context": context},
            **where,
        )
    except websocket.WebSocketBadStatusException as error:
        body = error.resp_body or b""
        answer = Answer(error.status_code, body, error.resp_headers or {}, operation)
        raise refusal(answer) from None
    except (OSError, websocket.WebSocketException) as error:
        what = f"kubernetes at {parts.scheme}://{parts.netloc} opens no connection to the container"
        raise Unreachable(f"{what}: {error}", operation=operation) from error
    if socket.getsubprotocol() != PROTOCOL:
        socket.close()
        what = f"the API server does not speak {PROTOCOL}"
        raise Rejected(what, operation=operation, hint="it needs Kubernetes 1.30 or newer")
    socket.settimeout(PING)
    return Channels(socket)


def _proxy(proxy: str | None) -> dict[str, Any]:
    """The arguments for a proxy, or for none whatever the environment says."""
    if proxy is None:
        return {"http_no_proxy": ["*"]}
    parts = urlsplit(proxy)
    found: dict[str, Any] = {
        "http_proxy_host": parts.hostname,
        "http_proxy_port": parts.port or 80,
        "proxy_type": "http",
        # or NO_PROXY would be asked
        "http_no_proxy": ["proxy.invalid"],
    }
    if parts.username:
        found["http_proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    return found
