"""What the registry of a cloud adds to the distribution API: its hosts, who may do what where, and
the words of its refusals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.content import Manifest
from clusterkit_sandbox.kit.wire import Request

VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
PULL, PUSH, DELETE, CATALOG = "pull", "push", "delete", "catalog"
RIGHTS: Mapping[str, str] = {
    "CheckApi": "",
    "GetCatalog": CATALOG,
    "CheckBlob": PULL,
    "GetBlob": PULL,
    "DeleteBlob": DELETE,
    "StartUpload": PUSH,
    "GetUpload": PUSH,
    "UploadChunk": PUSH,
    "FinishUpload": PUSH,
    "CancelUpload": PUSH,
    "CheckManifest": PULL,
    "GetManifest": PULL,
    "PutManifest": PUSH,
    "DeleteManifest": DELETE,
    "ListTags": PULL,
    "ListReferrers": PULL,
}
"""Every operation of the distribution API, and the right that it needs."""


def place(registry: str, name: str) -> str:
    """The key of a repository in a registry; no key begins with that of another repository."""
    return f"{registry}/{name}@"


class Refusal(Exception):
    """A refused request; ``plain`` for a body that is no JSON."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        detail: object = None,
        headers: Mapping[str, str] | None = None,
        plain: bool = False,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.headers = {**VERSION, **(headers or {})}
        self.plain = plain

    def answer(self) -> Answer:
        """As the specification has it (OCI distribution specification, "Error Codes")."""
        if self.plain:
            kind, body = "text/plain; charset=utf-8", f"{self.message}\n"
        else:
            error: dict[str, object] = {"code": self.code, "message": self.message}
            if self.detail is not None:
                error["detail"] = self.detail
            kind, body = "application/json", json.dumps({"errors": [error]}) + "\n"
        return Answer(self.status, (("Content-Type", kind), *self.headers.items()), body.encode())


@dataclass(frozen=True)
class Asked:
    """One request for the distribution API."""

    request: Request
    operation: str
    """a key of ``RIGHTS``"""
    repository: str = ""
    """its name, as it was sent"""
    reference: str = ""
    """the digest, tag or id of an upload that it names"""
    right: str = field(default="")

    @property
    def host(self) -> str:
        """The host that it was sent to."""
        return self.request.host

    @property
    def scope(self) -> str:
        """What a token for it must allow (distribution, docs/spec/auth/scope.md)."""
        if self.right == CATALOG:
            return "registry:catalog:*"
        actions = {PULL: "pull", PUSH: "pull,push", DELETE: "delete"}.get(self.right)
        return f"repository:{self.repository}:{actions}" if actions else ""


class Service(Protocol):
    """One registry service."""

    @property
    def name(self) -> str:
        """As faults name it: ``ecr``."""

    @property
    def throttled(self) -> str:
        """What it says to who asks too often."""

    @property
    def made(self) -> bool:
        """Whether repositories are made before a push, so that there are empty ones."""

    def claims(self, host: str) -> bool:
        """Whether it serves the host name (lower case, no port)."""

    def operation(self, request: Request) -> str:
        """What a request asks for besides the distribution API, ``Token``; empty for that."""

    def answer(self, request: Request) -> Answer:
        """Answer what ``operation`` names; ``Refusal`` otherwise."""

    def admit(self, asked: Asked) -> str:
        """The key of the repository that is asked for, or the beginning of all keys of the registry
        where none is; ``Refusal`` if there is none, or if who asks may not do this.
        """

    def check(self, asked: Asked, place: str, manifest: Manifest, tag: str) -> None:
        """``Refusal`` of a manifest that the repository may not have under this tag."""

    def changed(self, asked: Asked, place: str) -> None:
        """A manifest or a tag was put or deleted."""
