"""CBOR (RFC 8949) as Smithy RPC v2 uses it, and its requests as the ``json`` protocol has them.

https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html: the path names service and
operation, the bodies are maps. The same services still take JSON, which is what answers here.
"""

from __future__ import annotations

import json
import re
import struct
from typing import Any

from clusterkit_sandbox.answer import Answer, Environ
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.kit.wire import target

CBOR = "application/cbor"
_PATH = re.compile(r"/service/([^/]+)/operation/([^/]+)")
_BREAK = object()
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}


def spoken(environ: Environ) -> bool:
    """Whether a request is RPC v2 with CBOR."""
    return environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor"


def target_of(environ: Environ) -> str:
    """``Service.Operation``, as ``X-Amz-Target`` would say it."""
    found = _PATH.fullmatch(target(environ)[0])
    return f"{found[1]}.{found[2]}" if found else ""


def as_json(environ: Environ, body: bytes) -> tuple[Environ, bytes]:
    """The same request in JSON; ``Refusal`` if the body is no CBOR."""
    try:
        value = decode(body) if body else {}
        text = json.dumps(value).encode()
    except (ValueError, TypeError, IndexError, KeyError, struct.error) as error:
        raise Refusal("SerializationException", "the body is not valid CBOR") from error
    return {**environ, "HTTP_X_AMZ_TARGET": target_of(environ)}, text


def answered(status: int, value: object) -> Answer:
    """An answer in CBOR."""
    headers = (("Content-Type", CBOR), ("smithy-protocol", "rpc-v2-cbor"))
    return Answer(status, headers, encode(value))


def encode(value: object) -> bytes:
    """What JSON can say, in CBOR."""
    match value:
        case bool() | None:
            return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case str():
            sent = value.encode()
            return _head(3, len(sent)) + sent
        case list():
            return _head(4, len(value)) + b"".join(map(encode, value))
        case dict():
            parts = (encode(key) + encode(one) for key, one in value.items())
            return _head(5, len(value)) + b"".join(parts)
        case _:
            raise TypeError(f"{type(value).__name__} is not in the sandbox's CBOR")


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    size = next(one for one in range(4) if number < 1 << (8 << one))
    return bytes([major << 5 | 24 + size]) + number.to_bytes(1 << size, "big")


def decode(data: bytes) -> Any:
    """The value that these bytes are; ``ValueError`` and others for what is no CBOR."""
    value, end = _item(data, 0)
    if end != len(data) or value is _BREAK:
        raise ValueError("not one value")
    return value


def _item(data: bytes, at: int) -> tuple[Any, int]:
    major, more = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7 and more not in _FLOATS:
        return (_BREAK if more == 31 else _SIMPLE[more]), at
    number: int | None = more
    if 24 <= more < 28:
        size = 1 << (more - 24)
        if major == 7:
            return struct.unpack(_FLOATS[more], data[at : at + size])[0], at + size
        number, at = int.from_bytes(data[at : at + size], "big"), at + size
    elif more == 31:
        number = None
    elif more > 27:
        raise ValueError("reserved")
    return _of(data, at, major, number)


def _of(data: bytes, at: int, major: int, number: int | None) -> tuple[Any, int]:
    """A value of a major type that is so long; of None up to the break."""
    if major in (0, 1) and number is not None:
        return (number if major == 0 else -1 - number), at
    if major in (2, 3) and number is not None:
        if at + number > len(data):
            raise ValueError("too short")
        found = data[at : at + number]
        return (found.decode() if major == 3 else found), at + number
    if major in (2, 3, 4, 5):
        parts: list[Any] = []
        wanted = None if number is None else number * (2 if major == 5 else 1)
        while wanted is None or len(parts) < wanted:
            value, at = _item(data, at)
            if value is _BREAK:
                break
            parts.append(value)
        if major == 5:
            return dict(zip(parts[::2], parts[1::2], strict=True)), at
        if major == 4:
            return parts, at
        return ("" if major == 3 else b"").join(parts), at
    if major == 6:
        return _item(data, at)
    raise ValueError("not CBOR")
