"""A cloud that says back what it heard: enough to test the sandbox around the emulators."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping

from clusterkit_sandbox.answer import Answer, Environ, StartResponse
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.permissions import Permissions

DOMAIN = "cloud.example"
HOST = f"api.{DOMAIN}"


class EchoOperations:
    services = ("echo",)
    terminal = ("echo:Create",)
    late = ("echo:Create",)

    def names(self, service: str) -> list[str]:
        return [f"echo:{name}" for name in ("Broken", "Create", "Describe", "ListThings")]

    def other(self, pattern: str) -> bool:
        return False


class Echo:
    """Answers ``/NAME`` as operation ``echo:NAME``; ``/Crash`` raises, ``/Create`` counts."""

    name = "echo"
    operations = EchoOperations()
    registry = None

    def __init__(self, context: SandboxContext | None = None) -> None:
        self.created = 0
        self.resets = 0
        self.warmed = threading.Event()

    def claims(self, host: str) -> bool:
        return host.endswith(f".{DOMAIN}")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/Crash":
            raise RuntimeError("a bug in the emulator")
        if path == "/Create":
            self.created += 1
        body = environ["wsgi.input"].read()
        heard = {
            "method": environ["REQUEST_METHOD"],
            "host": environ["HTTP_HOST"],
            "path": path,
            "raw": environ["RAW_URI"],
            "query": environ["QUERY_STRING"],
            "length": environ["CONTENT_LENGTH"],
            "body": body.decode(),
            "headers": {k: v for k, v in environ.items() if k.startswith("HTTP_")},
        }
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(heard).encode()]

    def operation(self, environ: Environ, body: bytes) -> str:
        return f"echo:{environ['PATH_INFO'].strip('/')}"

    def refusal(self, environ: Environ, body: bytes, kind: str) -> Answer:
        status = {"throttle": 429, "error": 503, "unimplemented": 501}[kind]
        return Answer(status, (("Content-Type", "text/plain"),), kind.encode())

    def refused(self, environ: Environ, body: bytes, rule: Rule) -> Answer:
        text = f"{rule.code}: {rule.text}"
        return Answer(rule.status or 400, (("Content-Type", "text/plain"),), text.encode())

    def environment(self) -> Mapping[str, str]:
        return {"ECHO_KEY": "it's secret"}

    def identity(self, permissions: Permissions) -> Mapping[str, str]:
        return {"ECHO_KEY": " ".join(permissions.allowed)}

    def warm(self) -> None:
        self.warmed.set()

    def certified(self, _: str) -> bool:
        return False

    def barred(self, _: str) -> str:
        return ""

    def reset(self) -> None:
        self.created = 0
        self.resets += 1
