"""Kubernetes' protobuf, decoded: kubectl's typed commands send nothing else.

``kubectl create namespace`` and its kind post ``application/vnd.kubernetes.protobuf`` and do not
fall back to JSON when that is refused. A body is the four bytes ``k8s\\0`` and a
``runtime.Unknown`` (Kubernetes API concepts, "Kubernetes Protobuf encoding"); answers stay JSON,
which every client takes. The messages it understands are in ``data/protobuf.txt``, one a line:
``number name:type``, type ``string`` if left out. Numbers are those of the ``generated.proto``
files of k8s.io/api and k8s.io/apimachinery; they never change. ``*`` marks a repeated field, ``%``
a map from strings, ``=`` one whose fields stand in the outer JSON object.
"""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clusterkit_sandbox.kube.kinds import table

MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Undecodable(Exception):
    """A body that is not Kubernetes' protobuf, or a kind that is not in the table."""


@dataclass(frozen=True)
class Field:
    """One field of a message."""

    name: str
    type: str
    repeated: bool
    map: bool
    inline: bool

    @classmethod
    def of(cls, text: str) -> Field:
        """The field as the table writes it."""
        name, _, kind = text.partition(":")
        repeated, mapped, inline = (name.endswith(mark) for mark in "*%=")
        return cls(name.rstrip("*%="), kind or "string", repeated, mapped, inline)


@functools.cache
def messages() -> Mapping[str, Mapping[int, Field]]:
    """Message to field number to field."""
    return {
        message: {
            int(number): Field.of(text)
            for number, _, text in (field.partition(" ") for field in fields.split(", "))
        }
        for message, fields in table("protobuf.txt", ": ")
    }


def decode(body: bytes) -> dict[str, Any]:
    """The object in an enveloped body, as JSON values; ``Undecodable`` if it cannot be told."""
    if not body.startswith(MAGIC):
        raise Undecodable("no protobuf envelope")
    try:
        unknown = dict(_fields(body[len(MAGIC) :]))
        meta = {number: value.decode() for number, value in _fields(unknown.get(1, b""))}
        kind = meta.get(2, "")
        if kind not in messages():
            raise Undecodable(f"protobuf of kind {kind!r}")
        return {"apiVersion": meta.get(1, ""), "kind": kind} | _message(kind, unknown.get(2, b""))
    except (IndexError, struct.error, UnicodeDecodeError, AttributeError, KeyError) as error:
        raise Undecodable(f"damaged protobuf: {error!r}") from error


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == _VARINT:
            value, at = _varint(data, at)
        elif wire == _BYTES:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise Undecodable("damaged protobuf: cut short")
            value, at = data[at : at + length], at + length
        elif wire == _FIXED64:
            value, at = struct.unpack("<q", data[at : at + 8])[0], at + 8
        elif wire == _FIXED32:
            value, at = struct.unpack("<i", data[at : at + 4])[0], at + 4
        else:
            raise Undecodable(f"damaged protobuf: wire type {wire}")
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _message(name: str, data: bytes) -> dict[str, Any]:
    fields = messages()[name]
    found: dict[str, Any] = {}
    for number, value in _fields(data):
        field = fields.get(number)
        if field is None:
            # the Go types also write their empty status, which nobody reads
            continue
        if field.inline:
            found |= _message(field.type, value)
        elif field.map:
            entry = dict(_fields(value))
            found.setdefault(field.name, {})[entry[1].decode()] = _value(field, entry.get(2, b""))
        elif field.repeated:
            found.setdefault(field.name, []).append(_value(field, value))
        else:
            found[field.name] = _value(field, value)
    # proto2 writes every string, empty or not
    return {name: value for name, value in found.items() if value not in ("", {}, None)}


def _value(field: Field, value: Any) -> Any:
    match field.type:
        case "string":
            return value.decode()
        case "bool":
            return bool(value)
        case "int":
            return value - (1 << 64) if value >= 1 << 63 else value
        case "bytes":
            return base64.b64encode(value).decode()
        case "quantity":
            return dict(_fields(value)).get(1, b"").decode()
        case "time":
            seconds = dict(_fields(value)).get(1)
            if not seconds:
                return None
            return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case "intorstring":
            parts = dict(_fields(value))
            return parts[3].decode() if parts.get(1) == 1 else parts.get(2, 0)
        case _:
            return _message(field.type, value)
