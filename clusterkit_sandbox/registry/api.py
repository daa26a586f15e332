"""The distribution API (OCI distribution specification 1.1) on ``Content``.

Words of refusals are those of distribution (registry/api/errcode and registry/api/v2/errors.go),
which registries without words of their own answer with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import quote, unquote, urlencode

from clusterkit_sandbox.answer import Environ
from clusterkit_sandbox.content import DIGEST, PART, Content
from clusterkit_sandbox.kit.wire import Request
from clusterkit_sandbox.registry.manifests import LARGEST, OCI_INDEX, check_accepted, read
from clusterkit_sandbox.registry.service import (
    CATALOG,
    RIGHTS,
    VERSION,
    Asked,
    Refusal,
    Service,
)

_NAME = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_LONGEST_NAME = 255
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_PAGE = 1000
_PATHS: tuple[tuple[re.Pattern[str], Mapping[str, str]], ...] = tuple(
    (re.compile(pattern), operations)
    for pattern, operations in (
        (r"/v2/?", {"GET": "CheckApi", "HEAD": "CheckApi"}),
        (r"/v2/_catalog", {"GET": "GetCatalog"}),
        (r"/v2/(?P<name>.+)/blobs/uploads/?", {"POST": "StartUpload"}),
        (
            r"/v2/(?P<name>.+)/blobs/uploads/(?P<reference>[^/]+)",
            {"GET": "GetUpload", "PATCH": "UploadChunk", "PUT": "FinishUpload",
             "DELETE": "CancelUpload"},
        ),
        (
            r"/v2/(?P<name>.+)/blobs/(?P<reference>[^/]+)",
            {"HEAD": "CheckBlob", "GET": "GetBlob", "DELETE": "DeleteBlob"},
        ),
        (
            r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)",
            {"HEAD": "CheckManifest", "GET": "GetManifest", "PUT": "PutManifest",
             "DELETE": "DeleteManifest"},
        ),
        (r"/v2/(?P<name>.+)/tags/list", {"GET": "ListTags"}),
        (r"/v2/(?P<name>.+)/referrers/(?P<reference>[^/]+)", {"GET": "ListReferrers"}),
    )
)  # fmt: skip


@dataclass
class Reply:
    """A response whose body may be long."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()
    length: int = 0
    """of the body, which a response to HEAD does not have"""


def find(request: Request) -> Asked:
    """What a request asks for; ``Refusal`` for what is no part of the API."""
    path = unquote(request.path)
    for pattern, operations in _PATHS:
        found = pattern.fullmatch(path)
        if found is None:
            continue
        operation = operations.get(request.method)
        if operation is None:
            raise Refusal(405, "UNSUPPORTED", "The operation is unsupported.")
        given = found.groupdict()
        name = given.get("name", "")
        return Asked(request, operation, name, given.get("reference", ""), RIGHTS[operation])
    raise Refusal(404, "UNSUPPORTED", "404 page not found")


class Api:
    """The API of one service."""

    def __init__(self, service: Service, content: Content) -> None:
        self._service = service
        self._content = content

    def answer(self, asked: Asked, environ: Environ) -> Reply:
        """Answer one request; ``Refusal`` otherwise."""
        name = asked.repository
        if name and not (_NAME.fullmatch(name) and len(name) <= _LONGEST_NAME):
            raise Refusal(400, "NAME_INVALID", "invalid repository name", detail=name)
        place = self._service.admit(asked)
        try:
            reply = _SERVED[asked.operation](self, asked, place, environ["wsgi.input"])
        except FileNotFoundError:  # another request has ended the upload in the meantime
            raise _unknown_upload() from None
        reply.headers = {**VERSION, **reply.headers}
        return reply

    # -- blobs -------------------------------------------------------------------------------------

    def blob(self, asked: Asked, place: str, _: IO[bytes]) -> Reply:
        """A blob or a part of it (RFC 9110, section 14)."""
        digest = _digest(asked.reference)
        size = self._content.size(place, digest)
        if size is None:
            raise _unknown_blob(digest)
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
            "Accept-Ranges": "bytes",
            "Etag": f'"{digest}"',
        }
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.request.headers.get("range", ""))
        first, last, status = 0, size - 1, 200
        if wanted is not None and any(wanted.groups()):
            if wanted[1]:
                first, last = int(wanted[1]), min(int(wanted[2] or last), last)
            else:
                first = max(0, size - int(wanted[2]))
            if first > last:
                headers = {"Content-Range": f"bytes */{size}"}
                raise Refusal(416, "UNSUPPORTED", "invalid range", headers=headers)
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
            status = 206
        length = last - first + 1
        body = () if asked.operation == "CheckBlob" else self._parts(digest, first, length)
        return Reply(status, headers, body, length)

    def _parts(self, digest: str, first: int, length: int) -> Iterator[bytes]:
        with self._content.open(digest) as file:
            file.seek(first)
            while length > 0 and (part := file.read(min(PART, length))):
                length -= len(part)
                yield part

    def delete_blob(self, asked: Asked, place: str, _: IO[bytes]) -> Reply:
        """Take a blob out of the repository."""
        if not self._content.unlink(place, _digest(asked.reference)):
            raise _unknown_blob(asked.reference)
        return Reply(202)

    # -- uploads -----------------------------------------------------------------------------------

    def start(self, asked: Asked, place: str, body: IO[bytes]) -> Reply:
        """Begin an upload, take a whole blob, or mount one of another repository."""
        query = dict(asked.request.query)
        if "mount" in query and "from" in query:
            digest = _digest(query["mount"])
            other = Asked(asked.request, "GetBlob", query["from"], digest, RIGHTS["GetBlob"])
            try:
                source = self._service.admit(other)
            except Refusal:
                source = ""  # who may not read it gets an upload, as when it is not there
            if source and self._content.link(place, digest, source):
                return _created(asked, "blobs", digest)
        identifier = self._content.begin(place)
        if "digest" in query:
            self._content.append(identifier, body)
            return self._finished(asked, place, identifier, query["digest"])
        return _going(asked, identifier, 0)

    def _upload(self, asked: Asked, place: str) -> tuple[str, int]:
        identifier = asked.reference
        size = self._content.received(place, identifier)
        if size is None:
            raise _unknown_upload()
        return identifier, size

    def upload(self, asked: Asked, place: str, _: IO[bytes]) -> Reply:
        """How far an upload is."""
        return _going(asked, *self._upload(asked, place), status=204)

    def chunk(self, asked: Asked, place: str, body: IO[bytes]) -> Reply:
        """Take the next part of a blob."""
        identifier, size = self._upload(asked, place)
        self._fits(asked, identifier, size)
        return _going(asked, identifier, self._content.append(identifier, body))

    def _fits(self, asked: Asked, identifier: str, size: int) -> None:
        """416 for a chunk that does not follow those that are there."""
        given = asked.request.headers.get("content-range", "")
        if not given:
            return
        found = re.fullmatch(r"(?:bytes )?(\d+)-(\d+)(?:/.*)?", given)
        if found is None or int(found[1]) != size:
            headers = _going(asked, identifier, size).headers
            raise Refusal(416, "BLOB_UPLOAD_INVALID", "blob upload invalid", headers=headers)

    def finish(self, asked: Asked, place: str, body: IO[bytes]) -> Reply:
        """Take the last part of a blob, and check it."""
        identifier, size = self._upload(asked, place)
        self._fits(asked, identifier, size)
        self._content.append(identifier, body)
        return self._finished(asked, place, identifier, dict(asked.request.query).get("digest", ""))

    def _finished(self, asked: Asked, place: str, identifier: str, digest: str) -> Reply:
        if not self._content.finish(place, identifier, _digest(digest)):
            self._content.cancel(identifier)
            raise _wrong_digest(digest)
        return _created(asked, "blobs", digest)

    def cancel(self, asked: Asked, place: str, _: IO[bytes]) -> Reply:
        """Forget an upload."""
        self._content.cancel(self._upload(asked, place)[0])
        return Reply(204)

    # -- manifests ---------------------------------------------------------------------------------

    def manifest(self, asked: Asked, place: str, _: IO[bytes]) -> Reply:
        """A manifest, if the client takes its type."""
        found = self._content.manifest(place, asked.reference)
        if found is None:
            raise _unknown_manifest(asked)
        check_accepted(found, asked.request.headers.get("accept", ""))
        headers = {
            "Content-Type": found.type,
            "Docker-Content-Digest": found.digest,
            "Etag": f'"{found.digest}"',
        }
        return Reply(200, headers, [found.body], len(found.body))

    def put(self, asked: Asked, place: str, body: IO[bytes]) -> Reply:
        """Keep a manifest whose parts are there, and tag it."""
        tag = "" if ":" in asked.reference else asked.reference
        if tag and not _TAG.fullmatch(tag):
            raise Refusal(400, "TAG_INVALID", "manifest tag did not match URI")
        text = body.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise Refusal(413, "SIZE_INVALID", "manifest too large")
        manifest = read(self._content, place, asked.request.headers.get("content-type", ""), text)
        if not tag and _digest(asked.reference) != manifest.digest:
            raise _wrong_digest(asked.reference)
        self._service.check(asked, place, manifest, tag)
        self._content.put(place, manifest, tag)
        self._service.changed(asked, place)
        reply = _created(asked, "manifests", manifest.digest)
        if manifest.subject:
            reply.headers["OCI-Subject"] = manifest.subject
        return reply

    def delete(self, asked: Asked, place: str, _: IO[bytes]) -> Reply:
        """Delete a manifest with its tags, or only a tag."""
        reference = asked.reference
        gone = (
            self._content.delete(place, reference)
            if ":" in reference
            else self._content.untag(place, reference)
        )
        if not gone:
            raise _unknown_manifest(asked)
        self._service.changed(asked, place)
        return Reply(202)

    # -- lists -------------------------------------------------------------------------------------

    def tags(self, asked: Asked, place: str, _: IO[bytes]) -> Reply:
        """The tags of a repository, in order."""
        if not self._service.made and not self._content.places(place):
            raise unknown_name(asked.repository)
        some, headers = _page(asked, list(self._content.tags(place)))
        return _json({"name": asked.repository, "tags": some}, headers)

    def catalog(self, asked: Asked, place: str, _: IO[bytes]) -> Reply:
        """The repositories of a registry, in order."""
        names = [one[len(place) : -1] for one in self._content.places(place)]
        some, headers = _page(asked, names)
        return _json({"repositories": some}, headers)

    def referrers(self, asked: Asked, place: str, _: IO[bytes]) -> Reply:
        """What is about a manifest, which may not be there (specification, "Listing Referrers")."""
        digest, wanted = _digest(asked.reference), dict(asked.request.query).get("artifactType")
        entries = []
        for one in self._content.manifests(place):
            if one.subject != digest or wanted not in (None, one.artifact):
                continue
            entry: dict[str, Any] = {
                "mediaType": one.type,
                "digest": one.digest,
                "size": len(one.body),
                "artifactType": one.artifact,
            }
            annotations = json.loads(one.body).get("annotations")
            entries.append(entry | ({"annotations": annotations} if annotations else {}))
        headers = {"Content-Type": OCI_INDEX}
        if wanted is not None:
            headers["OCI-Filters-Applied"] = "artifactType"
        return _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, headers)

    def base(self, _: Asked, __: str, ___: IO[bytes]) -> Reply:
        """That the API is there."""
        return _json({}, {})


_Serve = Callable[[Api, Asked, str, IO[bytes]], Reply]
_SERVED: Mapping[str, _Serve] = {
    "CheckApi": Api.base,
    "GetCatalog": Api.catalog,
    "CheckBlob": Api.blob,
    "GetBlob": Api.blob,
    "DeleteBlob": Api.delete_blob,
    "StartUpload": Api.start,
    "GetUpload": Api.upload,
    "UploadChunk": Api.chunk,
    "FinishUpload": Api.finish,
    "CancelUpload": Api.cancel,
    "CheckManifest": Api.manifest,
    "GetManifest": Api.manifest,
    "PutManifest": Api.put,
    "DeleteManifest": Api.delete,
    "ListTags": Api.tags,
    "ListReferrers": Api.referrers,
}


def _json(body: object, headers: Mapping[str, str]) -> Reply:
    text = json.dumps(body).encode()
    return Reply(200, {"Content-Type": "application/json", **headers}, [text], len(text))


def _url(asked: Asked, *parts: str) -> str:
    return f"https://{asked.host}/v2/{asked.repository}/{'/'.join(quote(p, ':') for p in parts)}"


def _created(asked: Asked, kind: str, digest: str) -> Reply:
    return Reply(201, {"Location": _url(asked, kind, digest), "Docker-Content-Digest": digest})


def _going(asked: Asked, identifier: str, size: int, status: int = 202) -> Reply:
    """An upload that goes on; ``Range`` is ``0-0`` for an empty one, too (distribution)."""
    headers = {
        "Location": _url(asked, "blobs", "uploads", identifier),
        "Range": f"0-{max(0, size - 1)}",
        "Docker-Upload-Uuid": identifier,
    }
    return Reply(status, headers)


def _page(asked: Asked, names: list[str]) -> tuple[list[str], dict[str, str]]:
    """One page, and the header that links to the next one (RFC 5988)."""
    query = dict(asked.request.query)
    asked_for = query.get("n", "")
    if asked_for and not asked_for.isdigit():
        raise Refusal(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
    size = min(int(asked_for or _PAGE), _PAGE)
    after = [name for name in names if name > query.get("last", "")]
    some = after[:size]
    if len(after) <= size or not some:
        return some, {}
    path = "_catalog" if asked.right == CATALOG else f"{asked.repository}/tags/list"
    more = urlencode({"last": some[-1], "n": size})
    return some, {"Link": f'</v2/{path}?{more}>; rel="next"'}


def _digest(text: str) -> str:
    if not DIGEST.fullmatch(text):
        raise _wrong_digest(text)
    return text


def _wrong_digest(digest: str) -> Refusal:
    message = "provided digest did not match uploaded content"
    return Refusal(400, "DIGEST_INVALID", message, detail={"digest": digest})


def _unknown_blob(digest: str) -> Refusal:
    detail = {"digest": digest}
    return Refusal(404, "BLOB_UNKNOWN", "blob unknown to registry", detail=detail)


def _unknown_upload() -> Refusal:
    return Refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")


def _unknown_manifest(asked: Asked) -> Refusal:
    kind = "Digest" if ":" in asked.reference else "Tag"
    detail = {"Name": asked.repository, kind: asked.reference}
    return Refusal(404, "MANIFEST_UNKNOWN", "manifest unknown", detail=detail)


def unknown_name(name: str) -> Refusal:
    """404 for a repository that is not there."""
    message = "repository name not known to registry"
    return Refusal(404, "NAME_UNKNOWN", message, detail={"name": name})
