"""Requests to S3: which operation of which bucket each is, and what the description refuses.

A bucket is in the host name or in the path (S3 User Guide, "Virtual hosting of buckets"). Many
operations share a path, and what tells them apart is the query (``?tagging``), or a header. Queries
and headers that S3 does not know it ignores; a body that is not as the description says is
``MalformedXML`` (S3 API Reference, "Error responses").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree

from clusterkit_sandbox.answer import Environ
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.kit.wire import target

REGION = r"[a-z]{2}(?:-[a-z]+)+-\d"
HOST = re.compile(
    rf"(?:(?P<bucket>[a-z0-9][a-z0-9.-]*)\.)?s3(?:\.dualstack)?(?:[.-](?P<region>{REGION}))?"
    r"\.amazonaws\.com"
)
GLOBAL = "us-east-1"
"""the region of ``s3.amazonaws.com``"""

SERVED = frozenset({
    "AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateBucket",
    "CreateMultipartUpload", "DeleteBucket", "DeleteBucketEncryption", "DeleteBucketLifecycle",
    "DeleteBucketOwnershipControls", "DeleteBucketTagging", "DeleteObject", "DeleteObjectTagging",
    "DeleteObjects", "DeletePublicAccessBlock", "GetBucketAcl", "GetBucketEncryption",
    "GetBucketLifecycleConfiguration", "GetBucketLocation", "GetBucketOwnershipControls",
    "GetBucketTagging", "GetBucketVersioning", "GetObject", "GetObjectTagging",
    "GetPublicAccessBlock", "HeadBucket", "HeadObject", "ListBuckets", "ListMultipartUploads",
    "ListObjectVersions", "ListObjects", "ListObjectsV2", "ListParts", "PutBucketEncryption",
    "PutBucketLifecycleConfiguration", "PutBucketOwnershipControls", "PutBucketTagging",
    "PutBucketVersioning", "PutObject", "PutObjectTagging", "PutPublicAccessBlock", "UploadPart",
    "UploadPartCopy",
})  # fmt: skip
_OLD = frozenset({
    "GetBucketLifecycle", "GetBucketNotification", "PutBucketLifecycle", "PutBucketNotification"
})  # fmt: skip
"""operations of the description that newer ones replace, at the same place"""
_ELSEWHERE = frozenset({"ListDirectoryBuckets", "WriteGetObjectResponse", "CreateSession"})
"""operations of other hosts"""
_CONDITIONS: Mapping[str, tuple[str, str]] = {
    "ListParts": ("query", "uploadId"),
    "AbortMultipartUpload": ("query", "uploadId"),
    "CompleteMultipartUpload": ("query", "uploadId"),
    "UploadPart": ("query", "uploadId"),
    "UploadPartCopy": ("query", "uploadId"),
    "CopyObject": ("header", "x-amz-copy-source"),
    "GetBucketAnalyticsConfiguration": ("query", "id"),
    "GetBucketIntelligentTieringConfiguration": ("query", "id"),
    "GetBucketInventoryConfiguration": ("query", "id"),
    "GetBucketMetricsConfiguration": ("query", "id"),
    "GetObjectAnnotation": ("query", "annotationName"),
}
"""what else an operation has that shares its method and its path with another one"""


@dataclass(frozen=True)
class S3Request:
    """What a request asks of which bucket; ``operation`` is empty if S3 has none such."""

    operation: str
    method: str
    bucket: str
    key: str
    """decoded; empty if it is about the bucket"""
    raw_key: str
    """as sent"""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    region: str
    """of the host; ``GLOBAL`` if it names none"""
    regional: bool
    """whether the host names a region"""
    virtual: bool
    """whether the host names the bucket"""


def is_s3(environ: Environ) -> bool:
    """Whether the host is one of S3's."""
    return HOST.fullmatch(_host(environ)) is not None


def _host(environ: Environ) -> str:
    return str(environ.get("HTTP_HOST", "")).partition(":")[0].lower()


def read(environ: Environ) -> S3Request:
    """The request of a WSGI environ."""
    found = HOST.fullmatch(_host(environ))
    bucket = (found["bucket"] if found else None) or ""
    region = found["region"] if found else None
    path, raw = target(environ)
    rest, virtual = path.removeprefix("/"), bool(bucket)
    if not virtual:
        bucket, _, rest = rest.partition("/")
        bucket = unquote(bucket)
    query = dict(parse_qsl(raw, keep_blank_values=True))
    headers = {
        name[5:].lower().replace("_", "-"): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    method = str(environ["REQUEST_METHOD"])
    return S3Request(
        operation=_operation(method, bucket, rest, query, headers),
        method=method,
        bucket=bucket,
        key=unquote(rest),
        raw_key=rest,
        query=query,
        headers=headers,
        region=region or GLOBAL,
        regional=bool(region),
        virtual=virtual,
    )


@dataclass(frozen=True)
class _Place:
    name: str
    method: str
    depth: int
    """0 for the account, 1 for a bucket, 2 for an object"""
    query: frozenset[str]
    condition: tuple[str, str] | None


@cache
def model() -> Any:
    """botocore's description."""
    import botocore.session

    return botocore.session.get_session().get_service_model("s3")


@cache
def _places() -> list[_Place]:
    """Every operation, those with the most conditions first."""
    found = []
    for name in model().operation_names:
        if name in _OLD or name in _ELSEWHERE:
            continue
        http = model().operation_model(name).http
        path, _, query = http["requestUri"].partition("?")
        depth = 2 if "{Key+}" in path else 1 if "{Bucket}" in path else 0
        keys = frozenset(part.partition("=")[0] for part in query.split("&") if part)
        found.append(_Place(name, http["method"], depth, keys, _CONDITIONS.get(name)))
    return sorted(found, key=lambda one: -2 * len(one.query) - (one.condition is not None))


@cache
def _parts() -> frozenset[str]:
    """What the query names of a bucket or an object: ``tagging``, ``versions``."""
    return frozenset(name for one in _places() for name in one.query)


def _operation(
    method: str, bucket: str, rest: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> str:
    depth = 2 if rest else 1 if bucket else 0
    copied = "x-amz-copy-source" in headers
    parts = _parts() & query.keys()  # of a bucket or an object; what they have not, nothing has
    for one in _places():
        if (one.method, one.depth) != (method, depth) or not parts <= one.query <= query.keys():
            continue
        if one.condition is not None:
            where, name = one.condition
            if name not in (query if where == "query" else headers):
                continue
        if one.name in ("UploadPart", "UploadPartCopy"):
            return "UploadPartCopy" if copied else "UploadPart"
        return one.name
    return ""


# -- bodies ----------------------------------------------------------------------------------------


def content(operation: str, body: bytes) -> Any:
    """What the body says, by the names of the description: text, lists and objects; None for an
    operation without one, or with one that is no XML. ``Refusal`` for what the description does not
    allow.
    """
    shape = model().operation_model(operation).input_shape
    payload = shape.serialization.get("payload") if shape is not None else None
    if payload is None or shape.members[payload].type_name != "structure":
        return None
    if not body.strip():
        if operation != "CreateBucket":  # the only one that may have none
            text = "Your request was missing a required request body."
            raise Refusal("MissingRequestBodyError", text, 400)
        return None
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise malformed() from None
    inner = shape.members[payload]
    named = inner.serialization.get("name") or payload
    if _local(root.tag) != named:
        raise malformed()
    return _value(root, inner)


def malformed() -> Refusal:
    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
    return Refusal("MalformedXML", text, 400)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _value(element: ElementTree.Element, shape: Any) -> Any:
    if shape.type_name == "structure":
        return _structure(element, shape)
    if shape.type_name == "list":
        named = shape.member.serialization.get("name") or "member"
        if any(_local(one.tag) != named for one in element):
            raise malformed()
        return [_value(one, shape.member) for one in element]
    text = element.text or ""
    rules = shape.metadata
    number = shape.type_name in ("integer", "long")
    if shape.name == "BucketLocationConstraint" and text not in rules["enum"]:
        text = "The specified location-constraint is not valid"
        raise Refusal("InvalidLocationConstraint", text)
    if (
        len(element)
        or (rules.get("enum") and text not in rules["enum"])
        or (shape.type_name == "boolean" and text.strip().lower() not in ("true", "false"))
        or (number and not re.fullmatch(r"\s*-?\d+\s*", text))
    ):
        raise malformed()
    if shape.type_name == "boolean":
        return text.strip().lower() == "true"
    return int(text) if number else text


def _structure(element: ElementTree.Element, shape: Any) -> dict[str, Any]:
    known: dict[str, tuple[str, Any, bool]] = {}
    for name, member in shape.members.items():
        flat = member.type_name == "list" and bool(member.serialization.get("flattened"))
        wire = member.serialization.get("name") or name
        if flat:
            wire = member.serialization.get("name") or member.member.serialization.get("name")
        known[wire] = (name, member, flat)
    found: dict[str, Any] = {}
    for one in element:
        if _local(one.tag) not in known:
            raise malformed()
        name, member, flat = known[_local(one.tag)]
        if flat:
            found.setdefault(name, []).append(_value(one, member.member))
        elif name in found:
            raise malformed()
        else:
            found[name] = _value(one, member)
    if any(name not in found for name in shape.required_members):
        raise malformed()
    return found
