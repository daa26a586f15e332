"""The part of an API server that a build meets, on loopback behind a proxy: a Job, its pod, the
pod's log, and a WebSocket to its standard input (``v5.channel.k8s.io``).
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from clusterkit.kube.api import Access, KubeApi
from clusterkit_sandbox.ca import Authority

HOST = "api.example.test"
JOBS = "/apis/batch/v1/namespaces/builds/jobs"
PODS = "/api/v1/namespaces/builds/pods"
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, 1.3"""
DIGEST = "sha256:" + "ab" * 32


@dataclass
class Kubelet:
    """One cluster with one build in it; what it does is data."""

    waiting: list[dict[str, Any]] = field(default_factory=list)
    """the pod's status at each look until its container runs"""
    log: list[str] = field(default_factory=lambda: ["INFO reading", "INFO pushing"])
    code: int = 0
    message: str = DIGEST
    reason: str = "Completed"
    events: list[dict[str, Any]] = field(default_factory=list)
    no_pod: bool = False
    needs_stdin: bool = False
    """it ends when its standard input does"""
    takes: int | None = None
    """so many bytes of standard input are read; then it ends"""
    breaks: int = 0
    """the log's connection breaks so often, each time one line further"""
    refuse_attach: int = 0
    runs: threading.Event = field(default_factory=threading.Event)
    """set, it may end"""
    job: dict[str, Any] | None = None
    stdin: bytearray = field(default_factory=bytearray)
    ended_stdin: bool = False
    heard: list[tuple[str, str]] = field(default_factory=list)
    protocols: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    """the query of each reading of the log"""

    def __post_init__(self) -> None:
        self.runs.set()

    @property
    def over(self) -> bool:
        """Whether the container has ended."""
        full = self.takes is not None and len(self.stdin) >= self.takes
        return self.runs.is_set() and (not self.needs_stdin or self.ended_stdin or full)

    def pod(self) -> dict[str, Any]:
        """The pod as it is now."""
        if self.waiting:
            status = self.waiting.pop(0)
        elif self.over:
            end = {"exitCode": self.code, "message": self.message, "reason": self.reason}
            status = {"containerStatuses": [{"name": "kaniko", "state": {"terminated": end}}]}
        else:
            status = {"containerStatuses": [{"name": "kaniko", "state": {"running": {}}}]}
        return {"metadata": {"name": "kaniko-pod"}, "status": status}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    """A container that waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "kaniko", "state": state}]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    authority: Authority
    kubelet: Kubelet
    open: list[socket.socket]

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_CONNECT(self) -> None:
        self.send_response_only(200)
        self.end_headers()
        self.close_connection = True
        context = self.authority.context(self.path.rpartition(":")[0])
        with suppress(OSError), context.wrap_socket(self.connection, server_side=True) as tls:
            self.open.append(tls)
            type(self)(tls, self.client_address, self.server)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.kubelet.heard.append(("GET", parts.path))
        if parts.path == PODS:
            self._json({"items": [] if self.kubelet.no_pod else [self.kubelet.pod()]})
        elif parts.path == f"{PODS}/kaniko-pod":
            self._json(self.kubelet.pod())
        elif parts.path.endswith("/log"):
            self._log(parts.query)
        elif parts.path.endswith("/attach"):
            self._attach(parts.query)
        elif parts.path.endswith("/events"):
            self._json({"items": self.kubelet.events})
        else:
            self._refuse(404, "NotFound")

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.kubelet.heard.append(("PATCH", urlsplit(self.path).path))
        self.kubelet.job = body
        for event in self.kubelet.events:
            event["involvedObject"] = {"name": body["metadata"]["name"]}
        self._json(body)

    def do_DELETE(self) -> None:
        self.kubelet.heard.append(("DELETE", urlsplit(self.path).path))
        self.kubelet.job = None
        self._json({"kind": "Status", "status": "Success"})

    def _json(self, body: Any, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _refuse(self, status: int, reason: str) -> None:
        body = {"kind": "Status", "status": "Failure", "reason": reason, "message": "not you"}
        self._json(body, status)

    def _log(self, query: str) -> None:
        """The whole log each time; it ends with the container."""
        kubelet = self.kubelet
        kubelet.read.append(query)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, line in enumerate(kubelet.log):
            stamped = f"2026-11-28T10:00:00.{number:09d}Z {line}\n".encode()
            # in the middle of a line too
            for piece in (stamped[:20], stamped[20:]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            if kubelet.breaks and number >= len(kubelet.read) - 1:
                kubelet.breaks -= 1
                self.close_connection = True
                return
        while "follow=true" in query and not kubelet.over:
            time.sleep(0.01)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _attach(self, query: str) -> None:
        kubelet = self.kubelet
        if kubelet.refuse_attach:
            self._refuse(kubelet.refuse_attach, "Forbidden")
            return
        assert parse_qs(query) == {"container": ["kaniko"], "stdin": ["true"]}
        assert self.headers["Authorization"] == "Bearer t0ken"
        kubelet.protocols.append(self.headers["Sec-WebSocket-Protocol"])
        key = self.headers["Sec-WebSocket-Key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest()).decode()
        self.send_response_only(101)
        for name, value in (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept),
            ("Sec-WebSocket-Protocol", "v5.channel.k8s.io"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        while not kubelet.over:
            opcode, data = self._frame()
            if opcode == 8:
                return
            if opcode != 2:
                continue
            if data[0] == 0:
                kubelet.stdin += data[1:]
            elif data == b"\xff\x00":
                kubelet.ended_stdin = True
        status = json.dumps({"kind": "Status", "status": "Success"}).encode()
        self.wfile.write(bytes((0x82, len(status) + 1)) + b"\x03" + status)
        self.wfile.write(b"\x88\x02\x03\xe8")
        self.wfile.flush()

    def _frame(self) -> tuple[int, bytes]:
        """One frame of the client's (RFC 6455, 5.2), which are masked."""
        first, second = self.rfile.read(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self.rfile.read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self.rfile.read(8))
        assert second & 0x80
        mask = self.rfile.read(4)
        data = self.rfile.read(size)
        whole = int.from_bytes(data, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        return first & 0x0F, whole.to_bytes(size, "big")


@contextmanager
def serving(folder: Path, kubelet: Kubelet, *, direct: bool = False) -> Iterator[KubeApi]:
    """The client of such a cluster; ``direct``: without the proxy."""
    authority, sockets = Authority(folder), []
    made: dict[str, Any] = {"authority": authority, "kubelet": kubelet, "open": sockets}
    handler: Callable[..., Any] = type("Handler", (_Handler,), made)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket, address: Any) -> None:
        with suppress(OSError, ValueError), connection:
            if not direct:
                handler(connection, address, None)
                return
            with authority.context("localhost").wrap_socket(connection, server_side=True) as tls:
                sockets.append(tls)
                handler(tls, address, None)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, address = listener.accept()
                sockets.append(connection)
                threading.Thread(target=serve, args=(connection, address), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port = listener.getsockname()[1]
    access = Access(
        server=f"https://localhost:{port}" if direct else f"https://{HOST}",
        ca=authority.file.read_text(),
        token=lambda: "t0ken",
        proxy=None if direct else f"http://127.0.0.1:{port}",
    )
    try:
        yield KubeApi(lambda: access)
    finally:
        kubelet.runs.set()
        kubelet.ended_stdin = True
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
