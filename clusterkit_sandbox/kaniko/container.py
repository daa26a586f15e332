"""What a container has: its files, its environment, and the network of its node."""

from __future__ import annotations

import posixpath
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

import urllib3

from clusterkit_sandbox.answer import Answer

Nearby = Callable[[str, str, Mapping[str, str]], Answer | None]
"""method, URL and headers of a request to an address that only the node has; None if nothing
answers there"""
_SECONDS = urllib3.Timeout(connect=15, read=60)


class NetworkFailure(Exception):
    """No answer; the text is as Go shows it after the method and the URL."""


class Input(Protocol):
    """Standard input."""

    def read(self) -> bytes:
        """All of it, once it has ended."""


class Stopped(Exception):
    """The container was told to end."""


@dataclass
class Door:
    """The way to everything that has a name: the sandbox's proxy. Thread-safe."""

    proxy: str
    ca_file: Path

    def __post_init__(self) -> None:
        self._pool = urllib3.ProxyManager(
            self.proxy, ca_certs=str(self.ca_file), retries=False, maxsize=4, timeout=_SECONDS
        )

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | BinaryIO | None
    ) -> urllib3.BaseHTTPResponse:
        """One request; ``NetworkFailure`` without an answer."""
        try:
            return self._pool.request(method, url, headers=dict(headers), body=body, redirect=False)
        except urllib3.exceptions.ProxyError as error:
            # Go's transport shows the text of the status line of a proxy's refusal
            text = str(error.original_error)
            found = re.fullmatch(r"Tunnel connection failed: \d+ (.*)", text)
            raise NetworkFailure(found[1] if found else text) from None
        except urllib3.exceptions.HTTPError as error:
            raise NetworkFailure(str(error)) from None


@dataclass
class Container:
    """One container of a pod."""

    arguments: list[str]
    environment: Mapping[str, str]
    files: dict[str, bytes]
    """by absolute path: what is mounted, and what the program writes"""
    folders: tuple[str, ...]
    """where volumes are mounted, which may be empty"""
    door: Door
    nearby: Nearby
    helpers: bool = True
    """whether the image has the credential helpers' programs"""
    stdin: Input | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    """set when the container is to end"""

    def under(self, folder: str) -> Iterator[tuple[str, bytes]]:
        """The files below a folder, with their path relative to it, in order."""
        root = posixpath.normpath(folder).rstrip("/") + "/"
        for path in sorted(self.files):
            if path.startswith(root):
                yield path.removeprefix(root), self.files[path]

    def has_folder(self, folder: str) -> bool:
        """Whether a folder is there."""
        wanted = posixpath.normpath(folder)
        above = any(f"{one}/".startswith(f"{wanted.rstrip('/')}/") for one in self.folders)
        return above or any(True for _ in self.under(wanted))

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | BinaryIO | None = None,
    ) -> Answer:
        """One request; ``NetworkFailure`` without an answer, ``Stopped`` once it is to end."""
        if self.stopped.is_set():
            raise Stopped
        given = dict(headers or {})
        parts = urlsplit(url)
        if parts.scheme == "http":
            found = self.nearby(method, url, given)
            if found is None:
                where = f"{parts.hostname}:{parts.port or 80}"
                raise NetworkFailure(f"dial tcp {where}: connect: connection refused")
            return found
        answer = self.door.request(method, url, given, body)
        return Answer(answer.status, tuple(answer.headers.items()), answer.data)
