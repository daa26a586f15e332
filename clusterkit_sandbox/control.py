"""The sandbox's own API, on its own host name behind the proxy, protected by a bearer token.

- ``GET /status``: settings and contents
- ``GET /environment``: the environment variables for a shell
- ``POST /identity``: the same for a new user who may do only what the body, a JSON list of actions,
  names
- ``GET /requests``: the request log, oldest first
- ``PUT /faults``: replace the faults (``throttle=0.1,pages=1``; an empty body removes them)
- ``POST /reset``: remove every resource
- ``POST /stop``: stop the sandbox

Responses are JSON; an error is ``{"error": "..."}``.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Protocol

from clusterkit_sandbox.answer import Environ, StartResponse
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.permissions import Limited
from clusterkit_sandbox.requestlog import RequestLog


class Controlled(Protocol):
    """What the control API acts on: a ``Sandbox``."""

    faults: Faults
    requests: RequestLog

    def describe(self) -> Mapping[str, object]:
        """Settings and contents, as JSON values."""

    def environment(self) -> Mapping[str, str]:
        """The environment variables that make a program use the sandbox."""

    def identity(self, actions: Iterable[str]) -> Limited:
        """Make a user who may only call what needs these actions."""

    def reset(self) -> None:
        """Remove every resource."""

    def request_stop(self) -> None:
        """Ask whoever runs the sandbox to stop it."""


class Control:
    """The WSGI application of the control host."""

    def __init__(self, sandbox: Controlled, token: str) -> None:
        """``token`` is the bearer token that every request must carry."""
        self._sandbox = sandbox
        self._expected = f"Bearer {token}".encode()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        given = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1")
        if hmac.compare_digest(given, self._expected):
            status, value = self._answer(environ)
        else:
            status, value = (
                HTTPStatus.UNAUTHORIZED,
                _error("the sandbox's bearer token is missing or wrong"),
            )
        body = json.dumps(value).encode()
        start_response(
            f"{status.value} {status.phrase}",
            [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
        )
        return [body]

    def _answer(self, environ: Environ) -> tuple[HTTPStatus, object]:
        sandbox = self._sandbox
        match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
            case "GET", "/status":
                return HTTPStatus.OK, sandbox.describe()
            case "GET", "/environment":
                return HTTPStatus.OK, sandbox.environment()
            case "POST", "/identity":
                return self._identity(environ["wsgi.input"].read())
            case "GET", "/requests":
                return HTTPStatus.OK, [asdict(entry) for entry in sandbox.requests.entries()]
            case "PUT", "/faults":
                return self._set_faults(environ["wsgi.input"].read())
            case "POST", "/reset":
                sandbox.reset()
                return HTTPStatus.OK, sandbox.describe()
            case "POST", "/stop":
                sandbox.request_stop()
                return HTTPStatus.ACCEPTED, {}
            case method, path:
                return HTTPStatus.NOT_FOUND, _error(f"unknown request {method} {path}")

    def _identity(self, body: bytes) -> tuple[HTTPStatus, object]:
        try:
            made = self._sandbox.identity([str(action) for action in json.loads(body)])
        except (ValueError, TypeError) as error:
            return HTTPStatus.BAD_REQUEST, _error(str(error))
        return HTTPStatus.OK, made.environment

    def _set_faults(self, body: bytes) -> tuple[HTTPStatus, object]:
        try:
            self._sandbox.faults.take(Faults.parse(body.decode()))
        except ValueError as error:
            return HTTPStatus.BAD_REQUEST, _error(str(error))
        return HTTPStatus.OK, self._sandbox.describe()


def _error(text: str) -> dict[str, str]:
    return {"error": text}
