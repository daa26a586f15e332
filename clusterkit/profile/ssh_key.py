"""The SSH public key a profile names: read and checked before it is sent to a cloud.

The file contains one line ``<algorithm> <base64> [comment]``, the base64 being length-prefixed
fields of which the first repeats the algorithm (RFC 4253 §6.6; Ed25519: RFC 8709 §4). The comment
is dropped: it is private, and some clouds refuse what people write there. A private key given by
mistake is refused and never printed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from clusterkit import localfile
from clusterkit.naming import digest
from clusterkit.profile.problems import refuse, shown

LARGEST = 16_384
"""bytes of a public key file; RSA of 16,384 bits, the most OpenSSH makes, has under 3 KiB"""

SMALLEST_RSA = 2048
"""bits; shorter keys are refused by current OpenSSH policy in most distributions"""

_MAKE = "ssh-keygen -t ed25519 -f ~/.ssh/clusterkit creates a key pair; use the .pub file"
_TEXTS = ("ssh-", "ecdsa-", "sk-", "-----BEGIN")
"""how a key begins, where a path was expected"""
_SECURITY_KEYS = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")


@dataclass(frozen=True)
class PublicKey:
    """A checked OpenSSH public key."""

    path: str
    """as written in the profile"""
    algorithm: str
    """``ssh-ed25519`` or ``ssh-rsa``"""
    text: str
    """``<algorithm> <base64>``, without a comment"""


def fingerprint(public_key: str) -> str:
    """A short hash of ``<algorithm> <base64>``, to name the key."""
    _, _, blob = public_key.partition(" ")
    return digest(hashlib.sha256(base64.b64decode(blob)).hexdigest())


def parse(text: str, path: str) -> PublicKey:
    """A public key from the text of its file; raises ``Refused``, whose message never
    contains the text."""
    upper = text.upper()
    if "PRIVATE KEY" in upper or upper.startswith("PUTTY-USER-KEY-FILE"):
        raise refuse(
            f"{shown(path)} is a private key",
            f"use the public key, {path}.pub",
        )
    if "BEGIN" in upper and "PUBLIC KEY" in upper:
        raise refuse(
            f"{shown(path)} is in PEM or RFC 4716 format, but must be in OpenSSH format",
            f"ssh-keygen -i -f {path} converts RFC 4716; add -m PKCS8 for PEM",
        )
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise refuse(
            f"{shown(path)} must contain one public key, but has {len(lines)} lines", _MAKE
        )
    words = lines[0].split()
    algorithm = words[0]
    if algorithm == "ssh-dss":
        raise refuse(f"{shown(path)} is a DSA key, which OpenSSH no longer accepts", _MAKE)
    if algorithm.startswith("ecdsa-sha2-"):
        raise refuse(f"{shown(path)} is an ECDSA key; only RSA and Ed25519 are supported", _MAKE)
    if algorithm in _SECURITY_KEYS:
        raise refuse(
            f"{shown(path)} is a security key ({algorithm}); only RSA and Ed25519 are supported",
            _MAKE,
        )
    if algorithm not in ("ssh-rsa", "ssh-ed25519") or len(words) < 2:
        raise refuse(f"{shown(path)} is not an OpenSSH public key", _MAKE)
    try:
        fields = _fields(base64.b64decode(words[1], validate=True))
    except (binascii.Error, ValueError):
        raise refuse(
            f"{shown(path)} is damaged: its base64 part cannot be decoded", _MAKE
        ) from None
    _check(algorithm, fields, path)
    return PublicKey(path, algorithm, f"{algorithm} {words[1]}")


def _check(algorithm: str, fields: list[bytes], path: str) -> None:
    expected = 2 if algorithm == "ssh-ed25519" else 3
    if len(fields) != expected or fields[0] != algorithm.encode():
        raise refuse(f"{shown(path)} is damaged: it does not contain an {algorithm} key", _MAKE)
    if algorithm == "ssh-ed25519":
        if len(fields[1]) != 32:
            raise refuse(f"{shown(path)} is damaged: an Ed25519 key has 32 bytes", _MAKE)
    elif (bits := int.from_bytes(fields[2], "big").bit_length()) < SMALLEST_RSA:
        raise refuse(
            f"{shown(path)} is an RSA key of {bits} bits, but must have at least {SMALLEST_RSA}",
            _MAKE,
        )


def _fields(blob: bytes) -> list[bytes]:
    """The first four: no key has more, and each copies the rest."""
    fields: list[bytes] = []
    while blob and len(fields) < 4:
        size = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + size:
            raise ValueError("a field is longer than the rest")
        fields.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return fields


def read(path: str, folder: Path) -> PublicKey:
    """The key in the file ``path``: ``~`` is the home directory, other paths are
    relative to ``folder``."""
    if path.lstrip().startswith(_TEXTS) or "\n" in path.strip():
        raise refuse("must be the path of a public key file, but is a key", _MAKE)
    try:
        file = folder / Path(path).expanduser()
        raw = localfile.read(file, LARGEST + 1)
    except FileNotFoundError:
        raise refuse(f"{shown(path)} does not exist", _MAKE) from None
    except RuntimeError:
        raise refuse(f"{shown(path)}: the home directory of this user is unknown") from None
    except OSError as error:
        raise refuse(f"{shown(path)} cannot be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise refuse(f"{shown(path)} is larger than a public key can be", _MAKE)
    try:
        return parse(raw.decode(), path)
    except UnicodeDecodeError:
        raise refuse(f"{shown(path)} is not an OpenSSH public key: it is not text", _MAKE) from None


def _validate(value: object, info: ValidationInfo) -> PublicKey:
    if isinstance(value, PublicKey):
        return value
    if not isinstance(value, str) or not value:
        raise refuse("must be the path of an OpenSSH public key file")
    folder = (info.context or {}).get("folder", Path())
    if folder is not None:
        return read(value, folder)
    if not value.startswith(_TEXTS):
        raise refuse(
            "must be the text of an OpenSSH public key, not a path: no files are read here",
            "ssh_key: ssh-ed25519 AAAA…",
        )
    return parse(value, "ssh_key")


SshKey = Annotated[
    PublicKey,
    BeforeValidator(_validate),
    PlainSerializer(lambda key: key.path, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
"""a field with the path of a public key file, relative to ``folder`` of the validation context;
with the key itself where that is None, because whoever wrote the profile may read no files here
"""
