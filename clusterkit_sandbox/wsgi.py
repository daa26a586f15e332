"""Serves a WSGI application on one connection that is already open.

The proxy terminates TLS, so a WSGI server would have nothing to listen on: the thread of the
connection answers its requests. HTTP/1.1 with keep-alive; request bodies, chunked or not, are read
into memory, and responses are sent with a Content-Length. An application with a true attribute
``streams`` reads a body while it arrives, of any length, and its response is sent in its parts.

Besides what PEP 3333 requires, ``environ`` has the undecoded request target as ``RAW_URI`` and
``REQUEST_URI``: names in AWS paths may contain an encoded slash.
"""

from __future__ import annotations

import io
import math
import socket
import sys
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote_to_bytes, urlsplit

from clusterkit_sandbox.answer import Environ, Wsgi

IDLE = 300.0
"""Seconds without a request after which a connection is closed."""
LARGEST_BODY = 1 << 30
"""Bytes; a larger body is refused with 413, unless the application streams."""
_LINE = 65536
_PART = 65536
_NO_BODY = frozenset({204, 304})


class BadRequest(Exception):
    """A malformed request; ``status`` is the answer."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Stream:
    """A body that is read while it arrives."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or all; fewer only at the end."""
        found = bytearray(self._rest)
        while size < 0 or len(found) < size:
            part = next(self._parts, None)
            if part is None:
                size = len(found)
                break
            found += part
        self._rest = bytes(found[size:])
        return bytes(found[:size])

    def skip(self) -> None:
        """Read what is left, and keep nothing."""
        self._rest = b""
        for _ in self._parts:
            pass


class HttpConnection(BaseHTTPRequestHandler):
    """All requests of one connection. The constructor returns when the connection is closed."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, app: Wsgi, host: str) -> None:
        """Answer the requests on ``connection``, made to ``host``, with ``app`` until it closes.

        Raises ``OSError`` when the connection breaks, and what ``app`` raises.
        """
        self._app = app
        self._host = host
        # the third argument becomes self.server, which is not used here
        super().__init__(connection, ("127.0.0.1", 0), None)  # type: ignore[arg-type]

    def handle_one_request(self) -> None:
        """Answer one request; set ``close_connection`` unless more may follow."""
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(_LINE + 1)
        if not self.raw_requestline:
            return
        if len(self.raw_requestline) > _LINE:
            self.requestline = self.request_version = self.command = ""
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            return
        if not self.parse_request():
            return
        try:
            if getattr(self._app, "streams", False):
                stream = _Stream(self._body(math.inf))
                self._stream(self._environ(stream, self.headers.get("Content-Length", "")), stream)
            else:
                body = b"".join(self._body(LARGEST_BODY))
                self._answer(self._environ(io.BytesIO(body), str(len(body))))
        except BadRequest as error:
            self.close_connection = True
            self.send_error(error.status, explain=str(error))

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: ``fault_injection`` keeps the request log."""

    def _body(self, most: float) -> Iterator[bytes]:
        """The parts of the request's body, which may have so many bytes."""
        coding = self.headers.get("Transfer-Encoding", "").strip().lower()
        if coding == "chunked":
            return self._chunks(most)
        if coding:
            raise BadRequest(HTTPStatus.NOT_IMPLEMENTED, f"transfer coding {coding!r}")
        text = self.headers.get("Content-Length", "0").strip()
        if not (text.isascii() and text.isdigit()):
            raise BadRequest(HTTPStatus.BAD_REQUEST, f"Content-Length {text!r} is not a number")
        if int(text) > most:
            raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
        return self._read(int(text))

    def _chunks(self, most: float) -> Iterator[bytes]:
        while True:
            line = self.rfile.readline(_LINE)
            try:
                size = int(line.split(b";", 1)[0], 16)
            except ValueError:
                raise BadRequest(HTTPStatus.BAD_REQUEST, "a chunk without a size") from None
            if size < 0:
                raise BadRequest(HTTPStatus.BAD_REQUEST, "a chunk of negative size")
            most -= size
            if most < 0:
                raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
            if size == 0:
                break
            yield from self._read(size)
            if self.rfile.readline(3) not in (b"\r\n", b"\n"):
                raise BadRequest(HTTPStatus.BAD_REQUEST, "a chunk longer than its size")
        while self.rfile.readline(_LINE) not in (b"\r\n", b"\n", b""):
            pass  # no emulator reads trailers

    def _read(self, length: int) -> Iterator[bytes]:
        while length > 0:
            part = self.rfile.read(min(_PART, length))
            if not part:
                raise ConnectionResetError("the client disconnected in the middle of a body")
            length -= len(part)
            yield part

    def _environ(self, body: object, length: str) -> Environ:
        # self.path is not the raw target: http.server folds leading slashes
        raw = self.requestline.split()[1]
        target = raw
        if not raw.startswith("/"):
            parts = urlsplit(raw)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        path, _, query = target.partition("?")
        environ: Environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "RAW_URI": raw,
            "REQUEST_URI": raw,
            "SERVER_NAME": self._host,
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": length,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": body,
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            if "_" in name or key in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
                continue
            if key != "CONTENT_TYPE":
                key = f"HTTP_{key}"
            text = value.strip()
            environ[key] = f"{environ[key]},{text}" if key in environ else text
        environ.setdefault("HTTP_HOST", self._host)
        return environ

    def _stream(self, environ: Environ, body: _Stream) -> None:
        """Answer with an application that reads and writes in parts."""
        head: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _exc_info: object = None
        ) -> object:
            head.append((status, headers))
            return None

        parts = self._app(environ, start_response)
        body.skip()  # what was refused early; the next request begins after it
        self._send(*head[-1], b"")
        for part in parts:
            self.wfile.write(part)

    def _answer(self, environ: Environ) -> None:
        head: list[tuple[str, list[tuple[str, str]]]] = []
        written: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _exc_info: object = None
        ) -> object:
            head.append((status, headers))
            return written.append

        parts = self._app(environ, start_response)
        try:
            body = b"".join([*written, *parts])
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        self._send(*head[-1], body)

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        given = {name.lower(): value.strip().lower() for name, value in headers}
        if given.get("connection") == "close":
            self.close_connection = True
        lines = [f"HTTP/1.1 {status}"]
        lines += [f"{name}: {value}" for name, value in headers]
        bodiless = int(status.split(" ", 1)[0]) in _NO_BODY
        if "content-length" not in given and not bodiless:
            lines.append(f"Content-Length: {len(body)}")
        if "date" not in given:
            lines.append(f"Date: {self.date_time_string()}")
        if self.close_connection and "connection" not in given:
            lines.append("Connection: close")
        answer = "\r\n".join([*lines, "", ""]).encode("latin-1")
        if not bodiless and self.command != "HEAD":
            answer += body
        self.wfile.write(answer)
