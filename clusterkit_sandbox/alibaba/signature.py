"""Verifies the three kinds of signature that the vendor's SDKs make.

- RPC, version 1.0: HMAC-SHA1 over method and sorted parameters, keyed with secret + ``&``
  (vendor: "Request signatures", RPC);
- ROA, version 1.0: HMAC-SHA1 over method, Accept, Content-MD5, Content-Type, Date, the ``x-acs-``
  headers and the resource with its *unencoded* query (vendor: "Request signatures", ROA);
- ACS3-HMAC-SHA256 (vendor: "V3 request body and signature mechanism"), of all newer SDKs.

The old SDK compares the string in the refusal with its own, so ``SignatureDoesNotMatch`` carries
it.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import re
import secrets
import string
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from clusterkit_sandbox.alibaba.failure import Failure, unauthorised
from clusterkit_sandbox.alibaba.request import Request
from clusterkit_sandbox.permissions import Permissions

SKEW = 15 * 60
"""Seconds that a request's date may differ from the clock (vendor: 15 minutes)."""
_REMEMBERED = 2 * SKEW
"""Seconds a nonce is remembered: a request from a clock that is fast is valid for so long."""
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True)
class AccessKey:
    """An access key, permanent or temporary."""

    id: str
    secret: str
    arn: str
    token: str = ""
    """the security token that goes with a temporary key"""
    expires: float | None = None
    """seconds since the epoch"""
    permissions: Permissions | None = None
    """what its user may do; None: everything"""
    role: str = ""
    """the name of the role whose policies say what it may do, if one was assumed"""


def random_key(prefix: str, arn: str, seconds: float | None = None) -> AccessKey:
    """A new key; with ``seconds`` a temporary one with its token."""
    return AccessKey(
        id=prefix + "".join(secrets.choice(_LETTERS) for _ in range(18)),
        secret="".join(secrets.choice(_LETTERS) for _ in range(30)),
        arn=arn,
        token="" if seconds is None else "CAIS" + secrets.token_urlsafe(120),
        expires=None if seconds is None else time.time() + seconds,
    )


class Signatures:
    """Known keys and used nonces. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, AccessKey] = {}
        self._used: set[str] = set()
        self._nonces: deque[tuple[float, str]] = deque()

    def add(self, key: AccessKey) -> None:
        """Accept this key."""
        now = time.time()
        with self._lock:
            self._keys = {
                i: old
                for i, old in self._keys.items()
                if old.expires is None or now - old.expires < _REMEMBERED
            }
            self._keys[key.id] = key

    def forget_temporary(self) -> None:
        """Forget all temporary keys."""
        with self._lock:
            self._keys = {i: key for i, key in self._keys.items() if key.expires is None}

    def verify(self, request: Request) -> AccessKey:
        """The key that signed the request; else a gateway failure."""
        authorization = request.headers.get("authorization", "")
        if authorization.startswith("ACS3"):
            return self._acs3(request, authorization)
        if request.style == "RPC":
            return self._rpc(request)
        return self._roa(request, authorization)

    def _key(self, identifier: str | None, token: str | None) -> AccessKey:
        if not identifier:
            raise _missing("AccessKeyId")
        with self._lock:
            key = self._keys.get(identifier)
        if key is None:
            raise unauthorised(
                "InvalidAccessKeyId.NotFound", "Specified access key is not found.", 404
            )
        if (token or "") != key.token:
            raise unauthorised(
                "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed."
            )
        if key.expires is not None and key.expires < time.time():
            raise unauthorised(
                "InvalidSecurityToken.Expired", "Specified SecurityToken is expired."
            )
        return key

    def _once(self, nonce: str) -> None:
        now = time.monotonic()
        with self._lock:
            # oldest first; none is walked over twice, however many there are
            while self._nonces and now - self._nonces[0][0] > _REMEMBERED:
                self._used.discard(self._nonces.popleft()[1])
            if nonce in self._used:
                raise unauthorised(
                    "SignatureNonceUsed", "Specified signature nonce was used already."
                )
            self._used.add(nonce)
            self._nonces.append((now, nonce))

    def _rpc(self, request: Request) -> AccessKey:
        flat = request.flat
        needed = ("Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp")
        for name in needed:
            if not flat.get(name):
                raise _missing(name)
        if (flat["SignatureMethod"], flat["SignatureVersion"]) != ("HMAC-SHA1", "1.0"):
            raise unauthorised(
                "InvalidSignatureMethod", "Specified signature method is not supported."
            )
        key = self._key(flat.get("AccessKeyId"), flat.get("SecurityToken"))
        _fresh(_iso(flat["Timestamp"]))
        pairs = sorted((name, value) for name, value in flat.items() if name != "Signature")
        joined = "&".join(f"{_pct(name)}={_pct(value)}" for name, value in pairs)
        text = f"{request.method}&%2F&{_pct(joined)}"
        _compare(flat["Signature"], [text], key.secret + "&")
        self._once(flat["SignatureNonce"])
        return key

    def _roa(self, request: Request, authorization: str) -> AccessKey:
        headers = request.headers
        found = re.fullmatch(r"acs ([^:]+):(.+)", authorization)
        if found is None:
            raise unauthorised(
                "IncompleteSignature",
                "The request signature does not conform to Aliyun standards.",
            )
        key = self._key(found[1], headers.get("x-acs-security-token"))
        digest = base64.b64encode(hashlib.md5(request.body, usedforsecurity=False).digest())
        if request.body and headers.get("content-md5", digest.decode()) != digest.decode():
            raise unauthorised("ContentMD5NotMatched", "Specified Content-MD5 is not matched.")
        _fresh(_http_date(headers.get("date", "")))
        lines = [request.method]
        lines += [headers.get(n, "") for n in ("accept", "content-md5", "content-type", "date")]
        lines += [f"{n}:{v}" for n, v in sorted(headers.items()) if n.startswith("x-acs-")]
        texts = ["\n".join([*lines, resource]) for resource in _resources(request)]
        _compare(found[2], texts, key.secret)
        if "x-acs-signature-nonce" in headers:
            self._once(headers["x-acs-signature-nonce"])
        return key

    def _acs3(self, request: Request, authorization: str) -> AccessKey:
        headers = request.headers
        found = re.fullmatch(
            r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]+)",
            authorization,
        )
        if found is None:
            raise unauthorised(
                "IncompleteSignature",
                "The request signature does not conform to Aliyun standards.",
            )
        for name in ("x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"):
            if not headers.get(name):
                raise _missing(name)
        unsigned = _to_be_signed(headers) - set(found[2].split(";"))
        if unsigned:
            raise unauthorised(
                "IncompleteSignature", f"These headers must be signed: {', '.join(unsigned)}."
            )
        key = self._key(found[1], headers.get("x-acs-security-token"))
        _fresh(_iso(headers["x-acs-date"]))
        if hashlib.sha256(request.body).hexdigest() != headers["x-acs-content-sha256"]:
            raise unauthorised("IncompleteSignature", "x-acs-content-sha256 is not the body's.")
        query = "&".join(f"{_pct(name)}={_pct(value)}" for name, value in sorted(request.query))
        signed = "".join(f"{n}:{headers.get(n, '').strip()}\n" for n in found[2].split(";"))
        canonical = "\n".join(
            (
                request.method,
                request.path or "/",
                query,
                signed,
                found[2],
                headers["x-acs-content-sha256"],
            )
        )
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        right = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(found[3], right):
            raise _mismatch(canonical)
        self._once(headers["x-acs-signature-nonce"])
        return key


def _to_be_signed(headers: Mapping[str, str]) -> set[str]:
    """Vendor: "V3 request body and signature mechanism", SignedHeaders: host, content-type and
    whatever begins with x-acs-.
    """
    return {n for n in headers if n.startswith("x-acs-") or n in ("host", "content-type")}


def _missing(name: str) -> Failure:
    return unauthorised(f"Missing{name}", f"{name} is mandatory for this action.")


def _pct(text: str) -> str:
    return quote(text, safe="-_.~")


def _resources(request: Request) -> list[str]:
    """Path and query as ROA signs them; SDKs differ in whether an empty value keeps its ``=``."""
    if not request.query:
        return [request.path]
    pairs = sorted(request.query)
    full = "&".join(f"{name}={value}" for name, value in pairs)
    short = "&".join(f"{name}={value}" if value else name for name, value in pairs)
    return [f"{request.path}?{full}", f"{request.path}?{short}"]


def _compare(got: str, texts: Sequence[str], secret: str) -> None:
    for text in texts:
        made = hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()
        if hmac.compare_digest(got.encode(), base64.b64encode(made)):
            return
    raise _mismatch(texts[0])


def _mismatch(text: str) -> Failure:
    return unauthorised(
        "SignatureDoesNotMatch",
        f"Specified signature is not matched with our calculation. server string to sign is:{text}",
    )


def _fresh(at: float) -> None:
    if abs(time.time() - at) > SKEW:
        raise unauthorised(
            "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."
        )


def _iso(text: str) -> float:
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        raise _malformed() from None


def _http_date(text: str) -> float:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        raise _malformed() from None


def _malformed() -> Failure:
    return unauthorised(
        "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."
    )
