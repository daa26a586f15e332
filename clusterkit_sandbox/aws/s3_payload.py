"""The body of a request to S3: its hash, its checksums, and how it is cut into signed chunks.

S3 API Reference, "Authenticating Requests (AWS Signature Version 4)" and "Checking object
integrity". CRC32C and CRC64NVME are taken as given: Python's library has neither.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from clusterkit_sandbox.answer import Environ
from clusterkit_sandbox.aws.refusals import MISMATCH, Refusal
from clusterkit_sandbox.aws.signature import Scope, signed

HASH = "HTTP_X_AMZ_CONTENT_SHA256"
_STREAMED = "STREAMING-"
_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_CHECKSUMS: Mapping[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: zlib.crc32(body).to_bytes(4),
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
}
_EMPTY = hashlib.sha256(b"").hexdigest()


def payload(environ: Environ, body: bytes, scope: Scope, secret: str) -> tuple[Environ, bytes]:
    """The content of a request, and the request as it would be if it had been sent in one piece.
    ``Refusal`` if a hash or a checksum is not that of the content.
    """
    told = str(environ.get(HASH, ""))
    if not told:
        text = "Missing required header for this request: x-amz-content-sha256"
        raise Refusal("InvalidRequest", text)
    plain = {name: value for name, value in environ.items() if name != HASH}
    if told.startswith(_STREAMED):
        body, trailer = _joined(environ, body, scope, secret if told.startswith(_SIGNED) else "")
        plain |= {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in trailer.items()}
        coding = str(plain.pop("HTTP_CONTENT_ENCODING", ""))
        kept = [one.strip() for one in coding.split(",") if one.strip() not in ("", "aws-chunked")]
        if kept:
            plain["HTTP_CONTENT_ENCODING"] = ",".join(kept)
        plain.pop("HTTP_X_AMZ_TRAILER", None)
    elif told != "UNSIGNED-PAYLOAD" and told != hashlib.sha256(body).hexdigest():
        raise Refusal(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    _whole(plain, body)
    return plain, body


def _whole(environ: Environ, body: bytes) -> None:
    given = environ.get("HTTP_CONTENT_MD5")
    if given and _digest(given) != hashlib.md5(body, usedforsecurity=False).digest():
        text = "The Content-MD5 you specified did not match what we received."
        raise Refusal("BadDigest", text)
    for name, computed in _CHECKSUMS.items():
        given = environ.get(f"HTTP_X_AMZ_CHECKSUM_{name.upper()}")
        if given and base64.b64encode(computed(body)).decode() != given:
            text = f"The {name.upper()} you specified did not match the calculated checksum."
            raise Refusal("BadDigest", text)


def _digest(text: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error:
        found = b""
    if len(found) != 16:
        raise Refusal("InvalidDigest", "The Content-MD5 you specified was invalid.")
    return found


def _joined(
    environ: Environ, body: bytes, scope: Scope, secret: str
) -> tuple[bytes, dict[str, str]]:
    """The chunks in one piece, and what follows them; the chunks are signed if there is a
    secret.
    """
    parts: list[bytes] = []
    before = str(environ["HTTP_AUTHORIZATION"]).rpartition("Signature=")[2]
    place = 0
    while True:
        line, place = _line(body, place)
        size, _, extension = line.partition(b";")
        try:
            length = int(size, 16)
        except ValueError:
            raise _incomplete() from None
        chunk = body[place : place + length]
        if len(chunk) < length:
            raise _incomplete()
        if secret:
            before = _verified(environ, chunk, extension, scope, secret, before)
        if not length:
            break
        parts.append(chunk)
        place += length + 2
    content = b"".join(parts)
    told = str(environ.get("HTTP_X_AMZ_DECODED_CONTENT_LENGTH", len(content)))
    if told != str(len(content)):
        raise _incomplete()
    trailer: dict[str, str] = {}
    while place < len(body):
        line, place = _line(body, place)
        name, _, text = line.decode("latin-1").partition(":")
        if name and name.lower() != "x-amz-trailer-signature":
            trailer[name.strip().lower()] = text.strip()
    return content, trailer


def _line(body: bytes, place: int) -> tuple[bytes, int]:
    end = body.find(b"\n", place)
    if end < 0:
        raise _incomplete()
    return body[place:end].rstrip(b"\r"), end + 1


def _incomplete() -> Refusal:
    text = "The request body terminated unexpectedly"
    return Refusal("IncompleteBody", text)


def _verified(
    environ: Environ, chunk: bytes, extension: bytes, scope: Scope, secret: str, before: str
) -> str:
    """A chunk's signature, which is that of the chunk and of the signature before it."""
    given = extension.decode("latin-1").partition("chunk-signature=")[2]
    stamp: Any = environ.get("HTTP_X_AMZ_DATE", "")
    hashed = hashlib.sha256(chunk).hexdigest()
    wanted = signed(
        secret, scope, f"AWS4-HMAC-SHA256-PAYLOAD\n{stamp}", f"{before}\n{_EMPTY}\n{hashed}"
    )
    if not hmac.compare_digest(wanted, given):
        raise Refusal("SignatureDoesNotMatch", MISMATCH, 403)
    return wanted
