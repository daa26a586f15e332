"""WSGI middleware around an emulator: injects faults and keeps the request log.

The emulator finds the whole body in ``wsgi.input``, with a correct ``CONTENT_LENGTH``.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterable

from clusterkit_sandbox.answer import Answer, Environ, StartResponse
from clusterkit_sandbox.emulator import Emulator
from clusterkit_sandbox.faults import Faults, Rule
from clusterkit_sandbox.kit.wire import status_line
from clusterkit_sandbox.requestlog import RequestLog

_LOG = logging.getLogger(__name__)


class AnswerLost(ConnectionAbortedError):
    """Drop the connection without an answer."""


class FaultInjection:
    """The middleware of one emulator."""

    def __init__(self, emulator: Emulator, faults: Faults, requests: RequestLog) -> None:
        self._emulator = emulator
        self._faults = faults
        self._requests = requests

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, or raise ``AnswerLost`` after it took effect."""
        body = _buffered(environ)
        started = time.perf_counter()
        operation = "unknown:Unknown"
        status = 500
        try:
            operation = self._emulator.operation(environ, body)
            answer = self._answer(environ, body, self._faults.draw(operation))
            status = answer.status
        except AnswerLost:
            status = 0
            raise
        except Exception:
            # vendor tools retry a 500 for minutes but give up on a 501 at once
            _LOG.exception("%s: the emulator failed on %s", self._emulator.name, operation)
            answer = self._emulator.refusal(environ, body, "unimplemented")
            status = answer.status
        finally:
            self._requests.add(
                self._emulator.name,
                operation,
                status,
                time.perf_counter() - started,
                environ.get("HTTP_USER_AGENT", ""),
            )
        start_response(status_line(answer.status), list(answer.headers))
        return [answer.body]

    def _answer(self, environ: Environ, body: bytes, rule: Rule | None) -> Answer:
        if rule is not None and rule.kind in ("throttle", "error", "denied"):
            return self._emulator.refusal(environ, body, rule.kind)
        if rule is not None and rule.kind == "refuse":
            return self._emulator.refused(environ, body, rule)
        if rule is not None and rule.kind == "slow":
            time.sleep(rule.seconds)
        answer = _collected(self._emulator, environ)
        if rule is not None and rule.kind == "lost":
            raise AnswerLost
        return answer


def _buffered(environ: Environ) -> bytes:
    """Read the whole body and put it back into ``environ`` for the emulator."""
    stream = environ["wsgi.input"]
    if environ.pop("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        # input_terminated is set only by servers that decode the chunks
        body: bytes = stream.read() if environ.get("wsgi.input_terminated") else b""
    else:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = stream.read(length) if length else b""
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
    environ["wsgi.input_terminated"] = True
    return body


def _collected(emulator: Emulator, environ: Environ) -> Answer:
    """Call the emulator and collect its response."""
    head: list[tuple[int, tuple[tuple[str, str], ...]]] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> object:
        head.append((int(status.split(" ", 1)[0]), tuple(headers)))
        return written.append

    parts = emulator(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
    if not head:
        raise RuntimeError("the emulator did not call start_response")
    status, headers = head[-1]
    return Answer(status, headers, b"".join(written) + body)
