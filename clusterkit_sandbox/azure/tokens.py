"""The directory: who there is, with which secrets, and whose an access token is.

Access tokens are JWTs as Entra ID signs them ("Access tokens in the Microsoft identity platform"),
with a key of the sandbox's own.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import threading
import time
import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from clusterkit_sandbox.azure.account import TENANT, Caller

LIFE = 3600
"""Seconds that an access token is valid (60 to 90 minutes at the vendor's, the same page)."""
ISSUER = f"https://sts.windows.net/{TENANT}/"
_KEY = "sandbox"


class Tokens:
    """The principals and their secrets, and the signatures of tokens. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._principals: dict[str, Caller] = {}
        self._secrets: dict[str, str] = {}

    def add(self, caller: Caller) -> None:
        """Add a principal to the directory, or replace it."""
        with self._lock:
            self._principals[caller.object_id] = caller

    def remove(self, object_id: str) -> None:
        """Remove a principal with its secret."""
        with self._lock:
            found = self._principals.pop(object_id, None)
            if found is not None:
                self._secrets.pop(found.client_id, None)

    def add_secret(self, caller: Caller) -> str:
        """Add a principal with a new client secret, which is returned."""
        secret = f"ckS~{secrets.token_urlsafe(27)}"
        self.add(caller)
        with self._lock:
            self._secrets[caller.client_id] = secret
        return secret

    def principal(self, object_id: str) -> Caller | None:
        """The principal with this object id."""
        with self._lock:
            return self._principals.get(object_id.lower())

    def application(self, client_id: str) -> Caller | None:
        """The principal with this client id."""
        with self._lock:
            found = self._principals.values()
            return next((one for one in found if one.client_id == client_id.lower()), None)

    def principals(self) -> list[Caller]:
        """Everybody."""
        with self._lock:
            return list(self._principals.values())

    def has_secret(self, caller: Caller, secret: str) -> bool:
        """Whether this is the principal's secret."""
        with self._lock:
            known = self._secrets.get(caller.client_id)
        return known is not None and secrets.compare_digest(known.encode(), secret.encode())

    # -- tokens ------------------------------------------------------------------------------------

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def keys(self) -> dict[str, Any]:
        """The JSON Web Key Set."""
        numbers = self._key.public_key().public_numbers()
        parts = {
            name: encoded(number.to_bytes((number.bit_length() + 7) // 8, "big"))
            for name, number in (("n", numbers.n), ("e", numbers.e))
        }
        return {"keys": [{"kty": "RSA", "use": "sig", "kid": _KEY, "alg": "RS256", **parts}]}

    def grant(self, caller: Caller, audience: str, seconds: int = LIFE) -> str:
        """A new access token for a resource."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": ISSUER,
            "iat": now,
            "nbf": now - 300,
            "exp": now + seconds,
            "appid": caller.client_id,
            "appidacr": "1",
            "idp": ISSUER,
            "idtyp": "app",
            "oid": caller.object_id,
            "sub": caller.object_id,
            "tid": TENANT,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }
        if caller.groups:
            claims["groups"] = list(caller.groups)
        return self.sign(claims)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT with these claims."""
        header = {"typ": "JWT", "alg": "RS256", "x5t": _KEY, "kid": _KEY}
        text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{encoded(signature)}"

    def read(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that was signed here, expired or not; None for another one."""
        head, _, tail = token.rpartition(".")
        try:
            public = self._key.public_key()
            public.verify(decoded(tail), head.encode(), padding.PKCS1v15(), hashes.SHA256())
            claims: dict[str, Any] = json.loads(decoded(head.partition(".")[2]))
        except (ValueError, InvalidSignature):
            return None
        return claims

    def caller(self, token: str) -> Caller | None:
        """Whose valid access token this is."""
        claims = self.read(token)
        if claims is None or claims["exp"] <= time.time():
            return None
        return self.principal(str(claims.get("oid", "")))


def unsigned(token: str) -> dict[str, Any]:
    """The claims of any JWT; ``ValueError`` for what is none."""
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("not a JWT")
    claims = json.loads(decoded(parts[1]))
    if not isinstance(claims, dict):
        raise ValueError("not a JWT")  # noqa: TRY004 - what was sent is wrong, not the caller
    return claims


def encoded(data: bytes) -> str:
    """base64url, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decoded(text: str) -> bytes:
    """Its opposite; ``ValueError`` for anything else."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(text) from error


def trace_id() -> str:
    """What support asks for."""
    return str(uuid.uuid4())
