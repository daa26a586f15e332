"""How objects are sent to Cloud Storage: alone, with their metadata, or in parts (vendor: "Uploads
and downloads", "Perform resumable uploads").
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.google.failure import Json, storage
from clusterkit_sandbox.kit.wire import Request

_PATH = re.compile(r"/+(resumable/)?upload/storage/v1/")
_RANGE = re.compile(r"bytes (?:(?P<first>[0-9]+)-(?P<last>[0-9]+)|\*)/(?P<size>[0-9]+|\*)")
_BOUNDARY = re.compile(r"boundary=(\"[^\"]+\"|'[^']+'|[^;\s]+)")


@dataclass
class Session:
    """A resumable upload that has begun."""

    request: Request
    """what began it"""
    content: bytearray = field(default_factory=bytearray)
    done: bool = False


Sessions = dict[str, Session]
"""By ``upload_id``."""


def is_upload(request: Request) -> bool:
    """Whether a request sends an object, or a part of one."""
    return _PATH.match(request.path) is not None


def begun(request: Request, sessions: Sessions) -> Answer | None:
    """The address for the parts, if this begins a resumable upload."""
    query = dict(request.query)
    if not is_upload(request) or query.get("uploadType") != "resumable" or "upload_id" in query:
        return None
    name = secrets.token_urlsafe(60)
    sessions[name] = Session(request)
    where = f"https://{request.host}{request.path}?uploadType=resumable&upload_id={name}"
    headers = (("Location", where), ("X-GUploader-UploadID", name))
    return Answer(200, headers, b"")


def unpacked(request: Request, sessions: Sessions) -> Answer | tuple[Request, bytes | None]:
    """A request with its metadata as its body, and the content of an object, if it has come whole;
    what is to be answered before that.
    """
    query = dict(request.query)
    if not is_upload(request) or request.method not in ("POST", "PUT"):
        return request, None
    if "upload_id" in query:
        return _part(request, sessions.get(query["upload_id"]))
    kind = request.headers.get("content-type", "")
    match query.get("uploadType"):
        case "media":
            return _with(request, {"contentType": kind} if kind else {}), request.body
        case "multipart":
            return _related(request, kind)
        case _:
            return request, None


def _with(request: Request, metadata: Json) -> Request:
    return replace(request, body=json.dumps(metadata).encode())


def _related(request: Request, kind: str) -> tuple[Request, bytes]:
    """The two parts of a ``multipart/related`` body (RFC 2387): metadata and content."""
    found = _BOUNDARY.search(kind)
    mark = re.escape(found[1].strip("\"'").encode()) if found is not None else b"$."
    parts = re.split(rb"(?:^|\r?\n)--" + mark + rb"(?:--)?[ \t]*(?:\r?\n|$)", request.body)
    if len(parts) < 4:
        raise storage("invalid", "Invalid multipart request with 0 mime parts.")
    (_, metadata), (headers, content) = (_headed(one) for one in parts[1:3])
    try:
        known = json.loads(metadata or b"{}")
    except ValueError:
        raise storage("invalid", "Parse Error") from None
    if isinstance(known, dict) and "content-type" in headers:
        known.setdefault("contentType", headers["content-type"])
    return _with(request, known), content


def _headed(part: bytes) -> tuple[Mapping[str, str], bytes]:
    """Headers and body of a part, with either kind of line ends."""
    ends = (b"\r\n\r\n", b"\n\n")
    head, body = min((part.partition(one)[::2] for one in ends), key=lambda one: len(one[0]))
    lines = [line.partition(":") for line in head.decode("latin-1").splitlines()]
    return {name.strip().lower(): value.strip() for name, _, value in lines}, body


def _part(request: Request, session: Session | None) -> Answer | tuple[Request, bytes]:
    if session is None:
        raise storage("notFound", "Not Found")
    found = _RANGE.fullmatch(request.headers.get("content-range", ""))
    if found is None:
        session.content[:] = request.body
    elif found["first"] is not None and not session.done:
        first = int(found["first"])
        if first > len(session.content):
            raise storage("invalid", "Invalid request. There were gaps between the parts.")
        session.content[first:] = request.body
    size = "" if found is None else found["size"]
    if size == "*" or (size and int(size) > len(session.content)):
        last = len(session.content) - 1
        headers = (("Range", f"bytes=0-{last}"),) if last >= 0 else ()
        return Answer(308, headers, b"")
    session.done = True
    return session.request, bytes(session.content)
