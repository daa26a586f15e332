"""Docker Hub: one account, whose user and password the sandbox's owner may choose.

docs.docker.com, "Docker Hub API" and distribution, docs/spec/auth/token.md: the registry sends
clients to ``auth.docker.io``, where anybody gets tokens to pull, and the user one to push to their
own. Repositories come into being by a push, public, and have at most two names
(GoogleContainerTools/kaniko, docs/registries.md). A manifest cannot be deleted here
(docker/hub-feedback#2360).
"""

from __future__ import annotations

import os
import secrets

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.content import Content, Manifest
from clusterkit_sandbox.kit.wire import Request
from clusterkit_sandbox.registry.bearer import (
    Granted,
    Scope,
    allows,
    basic,
    challenge,
    credentials,
    narrowed,
    scopes,
    token_answer,
    unauthorized,
)
from clusterkit_sandbox.registry.service import DELETE, PULL, PUSH, Asked, Refusal, place

USER = "CLUSTERKIT_SANDBOX_DOCKER_USER"
PASSWORD = "CLUSTERKIT_SANDBOX_DOCKER_PASSWORD"
"""environment variables: they choose user and password when the sandbox starts, and tell them to
programs that use it
"""
_REGISTRIES = ("registry-1.docker.io", "index.docker.io")
_AUTH = "auth.docker.io"
_SERVICE = "registry.docker.io"
_LIFE = 300
"""Seconds that a token is good (``expires_in`` of auth.docker.io in distribution#1203)."""


class DockerHub:
    """Implements ``service.Service``."""

    name = "hub"
    throttled = (
        "You have reached your pull rate limit. You may increase the limit by authenticating and"
        " upgrading: https://www.docker.com/increase-rate-limit"
    )
    made = False

    def __init__(self, content: Content) -> None:
        self._content = content
        self._tokens = Granted[tuple[Scope, ...]]()
        self._user = os.environ.get(USER) or "sandbox"
        self._password = os.environ.get(PASSWORD) or f"dckr_pat_{secrets.token_urlsafe(20)}"

    def environment(self) -> dict[str, str]:
        """User and password, for programs."""
        return {USER: self._user, PASSWORD: self._password}

    def claims(self, host: str) -> bool:
        """The hosts of the registry and of its token service."""
        return host in (*_REGISTRIES, _AUTH)

    def operation(self, request: Request) -> str:
        """``Token`` for everything on the host of the token service."""
        return "Token" if request.host == _AUTH else ""

    def answer(self, request: Request) -> Answer:
        """A token for what the user, or anybody, may do."""
        if request.path != "/token":
            raise Refusal(404, "UNSUPPORTED", "404 page not found")
        user = self._login(request)
        granted = narrowed(scopes(request), lambda one, action: self._may(user, one, action))
        return token_answer(self._tokens.issue(granted, _LIFE), _LIFE)

    def _login(self, request: Request) -> str:
        """The user who asks; empty for anybody."""
        given, form = basic(request), request.form
        if form.get("grant_type") == "password":
            given = form.get("username", ""), form.get("password", "")
        if given is None:
            return ""
        good = secrets.compare_digest(given[1].encode(), self._password.encode())
        if given[0] != self._user or not good:
            raise Refusal(401, "UNAUTHORIZED", "incorrect username or password")
        return self._user

    def _may(self, user: str, scope: Scope, action: str) -> bool:
        if scope.kind != "repository" or scope.name.count("/") > 1:
            return False
        if action == PULL and self._content.places(place("hub", scope.name)):
            return True
        return action in (PULL, PUSH) and user != "" and scope.name.startswith(f"{user}/")

    def admit(self, asked: Asked) -> str:
        """Everybody with a token for it."""
        scheme, token = credentials(asked.request)
        granted = self._tokens.read(token) if scheme == "bearer" else None
        if granted is not None and asked.right == DELETE:
            raise Refusal(405, "UNSUPPORTED", "The operation is unsupported.")
        if granted is None or not allows(granted, asked):
            error = "" if granted is None else "insufficient_scope"
            headers = challenge(f"https://{_AUTH}/token", _SERVICE, asked.scope, error)
            raise unauthorized(asked, headers, "authentication required")
        return place("hub", asked.repository)

    def check(self, asked: Asked, place: str, manifest: Manifest, tag: str) -> None:
        """Tags may be moved."""

    def changed(self, asked: Asked, place: str) -> None:
        """Nothing follows."""
