"""The sandbox's own API, on its own host name behind the door, for whoever has the bearer token.

- ``GET /status`` how it runs and what is in it
- ``GET /environment`` the variables for a shell
- ``GET /requests`` what was asked of it, oldest first
- ``PUT /faults`` the body replaces the faults in force (``throttle=0.1,pages=1``; empty for none)
- ``POST /reset`` forget every resource
- ``POST /stop`` end the sandbox

Answers are JSON; an error is ``{"error": "..."}``.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Protocol

from clusterkit_sandbox.emulator import Environ, StartResponse
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.requestlog import RequestLog

HOST = "sandbox.clusterkit.internal"
"""The host name that reaches the sandbox itself, through the door like everything else."""


class Controlled(Protocol):
    """What the control host commands: a ``Sandbox``."""

    faults: Faults
    requests: RequestLog

    def describe(self) -> Mapping[str, object]:
        """How it runs and what is in it, as JSON values."""

    def environment(self) -> Mapping[str, str]:
        """The variables that bring any program into the sandbox."""

    def reset(self) -> None:
        """Forget every resource."""

    def request_stop(self) -> None:
        """Ask whoever runs the sandbox to stop it."""


class Control:
    """The WSGI application of the control host."""

    def __init__(self, sandbox: Controlled, token: str) -> None:
        """Whoever shows ``token`` may command ``sandbox``."""
        self._sandbox = sandbox
        self._expected = f"Bearer {token}".encode()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        given = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1")
        if hmac.compare_digest(given, self._expected):
            status, value = self._answer(environ)
        else:
            status, value = HTTPStatus.UNAUTHORIZED, _error("the sandbox's bearer token is needed")
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
                return HTTPStatus.NOT_FOUND, _error(f"there is no {method} {path} here")

    def _set_faults(self, body: bytes) -> tuple[HTTPStatus, object]:
        try:
            self._sandbox.faults.take(Faults.parse(body.decode()))
        except ValueError as error:
            return HTTPStatus.BAD_REQUEST, _error(str(error))
        return HTTPStatus.OK, self._sandbox.describe()


def _error(text: str) -> dict[str, str]:
    return {"error": text}
