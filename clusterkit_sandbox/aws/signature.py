"""Verifies Signature Version 4, on every request and on EKS tokens.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

SKEW = 900
"""seconds that a request's date may differ from the clock; also the life of EKS tokens"""
S3 = "s3"
"""the service that signs paths as they are, and a hash of the body that a header names"""
TOKEN_PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
_STAMP = "%Y%m%dT%H%M%SZ"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<credential>[^,]+), ?SignedHeaders=(?P<headers>[^,]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


class Unsigned(Exception):
    """Why the signature is refused; ``code`` is AWS's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Scope:
    """The key, region and service of a signature."""

    key: str
    date: str
    region: str
    service: str


def scope_of(environ: Mapping[str, Any]) -> Scope | None:
    """The credential scope that a request claims, not verified."""
    match = _AUTHORIZATION.search(environ.get("HTTP_AUTHORIZATION", ""))
    if match is None:
        return None
    parts = match["credential"].split("/")
    return Scope(*parts[:4]) if len(parts) == 5 else None


def check(
    environ: Mapping[str, Any], raw_path: str, body: bytes, secrets: Mapping[str, str]
) -> Scope:
    """The scope of a request with a valid signature; ``Unsigned`` otherwise."""
    match = _AUTHORIZATION.search(environ.get("HTTP_AUTHORIZATION", ""))
    scope = scope_of(environ)
    if match is None or scope is None:
        raise Unsigned("MissingAuthenticationToken", "Request is missing Authentication Token")
    if scope.key not in secrets:
        raise Unsigned(
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        )
    stamp = environ.get("HTTP_X_AMZ_DATE", "")
    _fresh(stamp)
    path, _, query = raw_path.partition("?")
    names = match["headers"].split(";")
    hashed = hashlib.sha256(body).hexdigest()
    if scope.service == S3:  # its body is checked apart
        hashed, path = str(environ.get("HTTP_X_AMZ_CONTENT_SHA256", "")), unquote(path)
    canonical = "\n".join(
        [
            environ["REQUEST_METHOD"],
            # every service except S3 encodes the path a second time
            quote(path or "/", safe="/-_.~"),
            _query(parse_qsl(query, keep_blank_values=True)),
            "".join(f"{name}:{_header(environ, name)}\n" for name in names),
            match["headers"],
            hashed,
        ]
    )
    wanted = _sign(secrets[scope.key], scope, stamp, canonical)
    if not hmac.compare_digest(wanted, match["signature"]):
        raise Unsigned(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method.",
        )
    return scope


def check_token(token: str, cluster: str, secrets: Mapping[str, str]) -> tuple[str, str]:
    """The access key that made a bearer token for this cluster, and the token of its session, empty
    without one; ``Unsigned`` otherwise.

    As aws-iam-authenticator: the URL's own ``X-Amz-Expires`` does not count, its age does.
    """
    if not token.startswith(TOKEN_PREFIX):
        raise Unsigned("Unauthorized", "not an EKS token")
    raw = token.removeprefix(TOKEN_PREFIX)
    try:
        url = urlsplit(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)).decode())
        pairs = parse_qsl(url.query, keep_blank_values=True)
        query = dict(pairs)
        scope = Scope(*query["X-Amz-Credential"].split("/")[:4])
        names = query["X-Amz-SignedHeaders"].split(";")
        stamp, signature = query["X-Amz-Date"], query["X-Amz-Signature"]
    except (ValueError, KeyError, TypeError) as error:
        raise Unsigned("Unauthorized", f"not a presigned URL: {error}") from error
    if query.get("Action") != "GetCallerIdentity" or CLUSTER_HEADER not in names:
        raise Unsigned("Unauthorized", "not a GetCallerIdentity call that names a cluster")
    host = url.hostname or ""
    if not (host.startswith("sts.") and host.endswith((".amazonaws.com", ".amazonaws.com.cn"))):
        raise Unsigned("Unauthorized", f"{host} is not STS")
    _fresh(stamp)
    if scope.key not in secrets:
        raise Unsigned("Unauthorized", "unknown access key")
    headers = {"host": url.netloc, CLUSTER_HEADER: cluster}
    canonical = "\n".join(
        [
            "GET",
            url.path or "/",
            _query([pair for pair in pairs if pair[0] != "X-Amz-Signature"]),
            "".join(f"{name}:{headers.get(name, '')}\n" for name in names),
            ";".join(names),
            hashlib.sha256(b"").hexdigest(),
        ]
    )
    if not hmac.compare_digest(_sign(secrets[scope.key], scope, stamp, canonical), signature):
        raise Unsigned("Unauthorized", "the signature does not match")
    return scope.key, query.get("X-Amz-Security-Token", "")


def _fresh(stamp: str) -> None:
    try:
        made = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError as error:
        raise Unsigned("IncompleteSignature", f"Date {stamp!r} is not valid") from error
    now = datetime.now(UTC)
    allowed = timedelta(seconds=SKEW)
    if made < now - allowed:
        raise Unsigned(
            "RequestExpired",
            f"Signature expired: {stamp} is now earlier than {now - allowed:{_STAMP}} "
            f"({now:{_STAMP}} - {SKEW // 60} min.)",
        )
    if made > now + allowed:
        raise Unsigned(
            "RequestExpired",
            f"Signature not yet current: {stamp} is still later than {now + allowed:{_STAMP}} "
            f"({now:{_STAMP}} + {SKEW // 60} min.)",
        )


def _query(pairs: Iterable[tuple[str, str]]) -> str:
    encoded = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in pairs)
    return "&".join(f"{key}={value}" for key, value in encoded)


def _header(environ: Mapping[str, Any], name: str) -> str:
    key = name.upper().replace("-", "_")
    value = environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", "")
    return " ".join(str(value).split())


def _sign(secret: str, scope: Scope, stamp: str, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return signed(secret, scope, f"AWS4-HMAC-SHA256\n{stamp}", digest)


def signed(secret: str, scope: Scope, head: str, rest: str) -> str:
    """The signature of a text that begins with the algorithm and the date."""
    where = f"{scope.date}/{scope.region}/{scope.service}/aws4_request"
    key = ("AWS4" + secret).encode()
    for part in where.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"{head}\n{where}\n{rest}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
