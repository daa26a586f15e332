"""What moto answers to a request, with an honest end where it has nothing to say."""

from __future__ import annotations

import io
import logging
import re
from typing import Any

from clusterkit_sandbox.answer import Answer, Environ, Wsgi
from clusterkit_sandbox.aws import refusals

_LOG = logging.getLogger(__name__)
_LENGTH = "content-length"


def ask_moto(application: Wsgi, environ: Environ, body: bytes, service: str) -> Answer:
    """Moto's response; 501 in the service's format for what moto does not implement."""
    inner = {
        **environ,
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
    }
    got: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
        got[:] = [int(status.split()[0]), headers]

    try:
        chunks = application(inner, start)
        data = b"".join(chunks)
    except NotImplementedError as error:
        return refusals.answer(service, "NotImplemented", f"not in the sandbox: {error}", 501)
    status, headers = got
    html = any(k.lower() == "content-type" and "html" in v for k, v in headers)
    if status == 500 or (html and status >= 400 and data.lstrip()[:1] not in (b"", b"{")):
        text = re.sub(rb"<[^>]+>|\s+", b" ", data).decode(errors="replace").strip()[:300]
        # clients do not retry a 501; exceptions of moto are logged by fault_injection
        _LOG.error("moto answered %s to %s: %s", status, service, text)
        return refusals.answer(service, "NotImplemented", f"not in the sandbox: {text}", 501)
    # the answer to HEAD tells the length of what it leaves out
    dropped = {"connection"} if environ["REQUEST_METHOD"] == "HEAD" else {"connection", _LENGTH}
    kept = tuple((k, v) for k, v in headers if k.lower() not in dropped)
    return Answer(status, kept, data)
