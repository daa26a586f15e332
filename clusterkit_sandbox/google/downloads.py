"""Objects of Cloud Storage by their short address, ``storage.googleapis.com/BUCKET/OBJECT``: how Go
programs read them (vendor: "Request endpoints", XML API), kaniko among them.

The request is one for the same object by the JSON API; refusals are XML ("HTTP status and error
codes for XML").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.google.failure import Failure
from clusterkit_sandbox.kit.wire import Request

_HOST = "storage.googleapis.com"
_APIS = ("batch", "download", "resumable", "storage", "upload")
"""what the paths of the JSON API begin with; no bucket may have these names here"""
_CODES: Mapping[int, str] = {
    400: "InvalidArgument",
    401: "AuthenticationRequired",
    403: "AccessDenied",
    404: "NoSuchKey",
    412: "PreconditionFailed",
    416: "InvalidRange",
    429: "SlowDown",
    503: "ServiceUnavailable",
}


def meant(request: Request) -> Request | None:
    """The request of the JSON API that this one means; None for another kind of request."""
    bucket, _, name = request.path.lstrip("/").partition("/")
    if request.host != _HOST or request.method != "GET" or not name or bucket in _APIS:
        return None
    path = f"/storage/v1/b/{bucket}/o/{quote(unquote(name), safe='')}"
    query = tuple(pair for pair in request.query if pair[0] == "generation")
    return replace(request, path=path, query=(*query, ("alt", "media")))


def refused(failure: Failure) -> Answer:
    """The refusal as XML."""
    code = _CODES.get(failure.status, "InternalError")
    if "bucket does not exist" in failure.message:
        code = "NoSuchBucket"
    text = f"<Error><Code>{code}</Code><Message>{escape(failure.message)}</Message></Error>"
    head = "<?xml version='1.0' encoding='UTF-8'?>"
    kind = (("Content-Type", "application/xml; charset=UTF-8"),)
    return Answer(failure.status, kind, (head + text).encode())
