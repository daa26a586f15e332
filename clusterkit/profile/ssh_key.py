"""The SSH public key a profile names: found, read and checked before any cloud sees it.

The file holds one line ``<algorithm> <base64> [comment]``, the base64 being length-prefixed fields
of which the first repeats the algorithm (RFC 4253 §6.6; Ed25519: RFC 8709 §4). The comment is
dropped: it is the user's own and some clouds refuse what people write there. A private key given by
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

from clusterkit.naming import digest
from clusterkit.profile.problems import refuse, shown

LARGEST = 16_384
"""bytes of a public key file; RSA of 16,384 bits, the most OpenSSH makes, has under 3 KiB"""

SMALLEST_RSA = 2048
"""bits; shorter keys are refused by current OpenSSH policy in most distributions"""

_MAKE = "ssh-keygen -t ed25519 -f ~/.ssh/clusterkit makes one; give the .pub file"
_SECURITY_KEYS = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")


@dataclass(frozen=True)
class PublicKey:
    """A checked OpenSSH public key."""

    path: str
    """as the profile spells it"""
    algorithm: str
    """``ssh-ed25519`` or ``ssh-rsa``"""
    text: str
    """``<algorithm> <base64>``, without a comment"""


def fingerprint(public_key: str) -> str:
    """A name for ``<algorithm> <base64>``: another key, another name."""
    _, _, blob = public_key.partition(" ")
    return digest(hashlib.sha256(base64.b64decode(blob)).hexdigest())


def parse(text: str, path: str) -> PublicKey:
    """A public key from the text of its file; raises ``Refused``, whose words never hold the
    text."""
    upper = text.upper()
    if "PRIVATE KEY" in upper or upper.startswith("PUTTY-USER-KEY-FILE"):
        raise refuse(f"{shown(path)} holds a private key", f"give {path}.pub, its public half")
    if "BEGIN" in upper and "PUBLIC KEY" in upper:
        raise refuse(
            f"{shown(path)} is a public key in PEM or RFC 4716 form, OpenSSH's form is needed",
            f"ssh-keygen -i -f {path} converts RFC 4716; add -m PKCS8 for PEM",
        )
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise refuse(f"{shown(path)} must hold one public key, holds {len(lines)} lines", _MAKE)
    words = lines[0].split()
    algorithm = words[0]
    if algorithm == "ssh-dss":
        raise refuse(f"{shown(path)} is a DSA key, which no OpenSSH accepts any more", _MAKE)
    if algorithm.startswith("ecdsa-sha2-"):
        raise refuse(f"{shown(path)} is an ECDSA key; RSA and Ed25519 are supported", _MAKE)
    if algorithm in _SECURITY_KEYS:
        raise refuse(
            f"{shown(path)} is a security key ({algorithm}); RSA and Ed25519 are supported", _MAKE
        )
    if algorithm not in ("ssh-rsa", "ssh-ed25519") or len(words) < 2:
        raise refuse(f"{shown(path)} is not an OpenSSH public key", _MAKE)
    try:
        fields = _fields(base64.b64decode(words[1], validate=True))
    except (binascii.Error, ValueError):
        raise refuse(f"{shown(path)} is damaged: its base64 part cannot be read", _MAKE) from None
    _check(algorithm, fields, path)
    return PublicKey(path, algorithm, f"{algorithm} {words[1]}")


def _check(algorithm: str, fields: list[bytes], path: str) -> None:
    expected = 2 if algorithm == "ssh-ed25519" else 3
    if len(fields) != expected or fields[0] != algorithm.encode():
        raise refuse(f"{shown(path)} is damaged: its parts do not make an {algorithm} key", _MAKE)
    if algorithm == "ssh-ed25519":
        if len(fields[1]) != 32:
            raise refuse(f"{shown(path)} is damaged: an Ed25519 key has 32 bytes", _MAKE)
    elif (bits := int.from_bytes(fields[2], "big").bit_length()) < SMALLEST_RSA:
        raise refuse(
            f"{shown(path)} is an RSA key of {bits} bits; at least {SMALLEST_RSA} are needed", _MAKE
        )


def _fields(blob: bytes) -> list[bytes]:
    fields = []
    while blob:
        size = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + size:
            raise ValueError("a field is longer than the rest")
        fields.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return fields


def read(path: str, folder: Path) -> PublicKey:
    """The key in the file ``path``: ``~`` is the home directory, relative paths start at
    ``folder``."""
    if path.lstrip().startswith(("ssh-", "ecdsa-", "sk-", "-----BEGIN")) or "\n" in path.strip():
        raise refuse("must be the path of a public key file, is a key itself", _MAKE)
    try:
        file = folder / Path(path).expanduser()
        if not file.is_file():
            what = "is not a file" if file.exists() else "does not exist"
            raise refuse(f"{shown(path)} {what}", _MAKE)
        with file.open("rb") as stream:
            raw = stream.read(LARGEST + 1)
    except RuntimeError:
        raise refuse(f"{shown(path)}: there is no such user's home directory") from None
    except OSError as error:
        raise refuse(f"{shown(path)} cannot be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise refuse(f"{shown(path)} is larger than a public key can be", _MAKE)
    try:
        return parse(raw.decode(), path)
    except UnicodeDecodeError:
        raise refuse(f"{shown(path)} is not text, so not an OpenSSH public key", _MAKE) from None


def _validate(value: object, info: ValidationInfo) -> PublicKey:
    if isinstance(value, PublicKey):
        return value
    if not isinstance(value, str) or not value:
        raise refuse("must be the path of an OpenSSH public key file")
    folder = (info.context or {}).get("folder", Path())
    return read(value, folder)


SshKey = Annotated[
    PublicKey,
    BeforeValidator(_validate),
    PlainSerializer(lambda key: key.path, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
"""a field that names a public key file; the validation context's ``folder`` is where relative paths
start"""
