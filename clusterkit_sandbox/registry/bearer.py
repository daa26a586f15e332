"""Challenges, and the tokens that answer them.

distribution, docs/spec/auth/token.md (GET with Basic credentials) and oauth.md (POST with a grant);
RFC 6750, section 3.1, for ``error``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.kit.wire import Request
from clusterkit_sandbox.registry.service import DELETE, PULL, PUSH, VERSION, Asked, Refusal

T = TypeVar("T")
_SCOPE = re.compile(r"(?P<kind>repository|registry):(?P<name>[^: ]+):(?P<actions>[a-z_,*]+)")
_KEPT = 10_000


@dataclass(frozen=True)
class Scope:
    """What a token is asked to allow, or allows."""

    kind: str
    """``repository`` or ``registry``"""
    name: str
    actions: tuple[str, ...]

    @property
    def access(self) -> dict[str, object]:
        """As tokens and details of refusals have it."""
        return {"type": self.kind, "name": self.name, "actions": list(self.actions)}


class Granted(Generic[T]):
    """Secrets of this process, and what each stands for until it expires. Thread-safe."""

    def __init__(self, length: int = 48) -> None:
        """``length`` is the number of random bytes."""
        self._length = length
        self._lock = threading.Lock()
        self._known: dict[str, tuple[T, float]] = {}

    def issue(self, value: T, seconds: float) -> str:
        """A new secret."""
        secret = secrets.token_urlsafe(self._length)
        with self._lock:
            if len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[secret] = (value, time.time() + seconds)
        return secret

    def find(self, secret: str) -> tuple[T, bool] | None:
        """What it stands for, and whether it is still good; None for no secret of ours."""
        with self._lock:
            found = self._known.get(secret)
        return (found[0], found[1] > time.time()) if found is not None else None

    def read(self, secret: str) -> T | None:
        """What a secret that is still good stands for."""
        found = self.find(secret)
        return found[0] if found is not None and found[1] else None

    def clear(self) -> None:
        """Forget every one."""
        with self._lock:
            self._known.clear()


def credentials(request: Request) -> tuple[str, str]:
    """Scheme, in lower case, and value of the ``Authorization`` header; both empty without one."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return scheme.lower(), value.strip()


def basic(request: Request) -> tuple[str, str] | None:
    """User and password of Basic credentials (RFC 7617)."""
    scheme, value = credentials(request)
    if scheme != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def scopes(request: Request) -> list[Scope]:
    """What a request for a token asks for: ``scope`` may be repeated, or have several."""
    texts = [value for name, value in request.query if name == "scope"]
    texts.append(request.form.get("scope", ""))
    return [
        Scope(found["kind"], found["name"], tuple(found["actions"].split(",")))
        for found in _SCOPE.finditer(" ".join(texts))
    ]


def challenge(realm: str, service: str = "", scope: str = "", error: str = "") -> dict[str, str]:
    """The header that says where a token is to be had, and for what."""
    parts = {"realm": realm, "service": service, "scope": scope, "error": error}
    text = ",".join(f'{name}="{value}"' for name, value in parts.items() if value)
    return {"Www-Authenticate": f"Bearer {text}"}


def token_answer(token: str, seconds: int, **more: object) -> Answer:
    """A token service's answer."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"token": token, "access_token": token, "expires_in": seconds, "issued_at": now}
    kind = ("Content-Type", "application/json")
    return Answer(200, (kind, *VERSION.items()), json.dumps({**body, **more}).encode())


def allows(granted: Collection[Scope], asked: Asked) -> bool:
    """Whether a token with these scopes allows a request."""
    if not asked.right:
        return True
    for one in granted:
        if asked.right in (PULL, PUSH, DELETE):
            same = (one.kind, one.name) == ("repository", asked.repository)
            if same and (asked.right in one.actions or "*" in one.actions):
                return True
        elif (one.kind, one.name) == ("registry", "catalog") and "*" in one.actions:
            return True
    return False


def unauthorized(asked: Asked, headers: dict[str, str], message: str) -> Refusal:
    """401 as distribution words it (registry/api/errcode/register.go), with what was needed."""
    detail = None
    if asked.repository:
        actions = asked.scope.rpartition(":")[2].split(",")
        detail = [
            {"Type": "repository", "Class": "", "Name": asked.repository, "Action": action}
            for action in actions
        ]
    return Refusal(401, "UNAUTHORIZED", message, detail=detail, headers=headers)


def narrowed(wanted: Iterable[Scope], may: Callable[[Scope, str], bool]) -> tuple[Scope, ...]:
    """The scopes, with the actions that are allowed of each."""
    return tuple(
        Scope(one.kind, one.name, tuple(action for action in one.actions if may(one, action)))
        for one in wanted
    )
