"""The WSGI application of every registry host: faults, the request log, and the way to a service.

Bodies are not kept in memory: a request's is read from the connection as it comes (``wsgi.py``),
and a blob is sent in parts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Sequence

from clusterkit_sandbox.answer import Answer, Environ, StartResponse
from clusterkit_sandbox.content import Content
from clusterkit_sandbox.fault_injection import AnswerLost
from clusterkit_sandbox.faults import Faults, Rule
from clusterkit_sandbox.kit.wire import Request, status_line
from clusterkit_sandbox.registry.api import Api, Reply, find
from clusterkit_sandbox.registry.service import RIGHTS, Refusal, Service
from clusterkit_sandbox.requestlog import RequestLog
from clusterkit_sandbox.wsgi import BadRequest

_LOG = logging.getLogger(__name__)
_LARGEST_FORM = 1 << 20
NAMES: dict[str, tuple[str, ...]] = {
    "acr": ("Exchange", "Token", "Repositories", "Other"),
    "aliyun": ("Token",),
    "ecr": (),
    "hub": ("Token",),
    "pkg": ("Token",),
}
"""Every service, and what it serves besides the distribution API."""


class RegistryOperations:
    """What faults can name, ``registry:ecr/PutManifest``; implements ``Operations``."""

    services: Collection[str] = ("registry",)
    terminal: Collection[str] = ()
    late: Collection[str] = ()

    def names(self, service: str) -> Collection[str]:
        """Every operation of every registry."""
        return {
            f"registry:{name}/{operation}"
            for name, more in NAMES.items()
            for operation in (*RIGHTS, *more)
        }

    def other(self, pattern: str) -> bool:
        """None."""
        return False


class Registries:
    """All registries of a sandbox."""

    streams = True
    """the server need not read bodies first, nor collect answers"""

    def __init__(
        self, services: Sequence[Service], content: Content, faults: Faults, requests: RequestLog
    ) -> None:
        self._services = [(one, Api(one, content)) for one in services]
        self._content = content
        self._faults = faults
        self._requests = requests

    def claims(self, host: str) -> bool:
        """Whether the host (lower case, no port) is one of a registry."""
        return any(service.claims(host) for service, _ in self._services)

    def clear(self) -> None:
        """Forget what the registries hold."""
        self._content.clear()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, or raise ``AnswerLost`` after it took effect."""
        started = time.perf_counter()
        request = Request.read(environ, b"")
        service, api = next(pair for pair in self._services if pair[0].claims(request.host))
        operation = service.operation(request)
        reply = Reply(500)
        name = f"registry:{service.name}/{operation or 'Other'}"
        try:
            try:
                asked = None if operation else find(request)
                if asked is not None:
                    name = f"registry:{service.name}/{asked.operation}"
                rule = self._faults.draw(name)
                _before(rule, service)
                if asked is None:
                    form = environ["wsgi.input"].read(_LARGEST_FORM)
                    reply = _reply(service.answer(Request.read(environ, form)))
                else:
                    reply = api.answer(asked, environ)
                if rule is not None and rule.kind == "lost":
                    reply.status = 0
                    raise AnswerLost
            except Refusal as refusal:
                reply = _reply(refusal.answer())
        except (OSError, BadRequest):
            raise
        except Exception:
            # clients retry a 500 for minutes but give up on a 501 at once
            _LOG.exception("the registry failed on %s", name)
            reply = _reply(Refusal(501, "UNSUPPORTED", "This is not in the sandbox.").answer())
        finally:
            self._requests.add(
                "registry",
                name,
                reply.status,
                time.perf_counter() - started,
                environ.get("HTTP_USER_AGENT", ""),
            )
        headers = [*reply.headers.items()]
        if reply.status != 204:
            headers.append(("Content-Length", str(reply.length)))
        start_response(status_line(reply.status), headers)
        return () if request.method == "HEAD" else reply.body


def _reply(answer: Answer) -> Reply:
    return Reply(answer.status, dict(answer.headers), [answer.body], len(answer.body))


def _before(rule: Rule | None, service: Service) -> None:
    """The faults that come before anything happens; codes as in the specification, and 503 as in
    distribution (registry/api/errcode/register.go).
    """
    if rule is None:
        return
    match rule.kind:
        case "throttle":
            raise Refusal(429, "TOOMANYREQUESTS", service.throttled)
        case "error":
            raise Refusal(503, "UNAVAILABLE", "service unavailable")
        case "denied":
            raise Refusal(403, "DENIED", "requested access to the resource is denied")
        case "refuse":
            raise Refusal(rule.status or 400, rule.code, rule.text)
        case "slow":
            time.sleep(rule.seconds)
        case _:
            pass
