"""Service account tokens: signed JWTs that prove a service account, and their verification.

Kubernetes documentation, "Managing Service Accounts" and "Authenticating", service account tokens.
Signed ES256; the public key is at ``/openid/v1/jwks``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from clusterkit_sandbox.kube.interfaces import Identity
from clusterkit_sandbox.kube.kinds import GroupPlural, Object
from clusterkit_sandbox.kube.state import ClusterState

ISSUER = "https://kubernetes.default.svc"
SERVICE_ACCOUNTS: GroupPlural = ("", "serviceaccounts")
_SIZE = 32  # bytes of each coordinate and of each half of a signature on P-256
_SHORTEST, _LONGEST = 600, 1 << 32  # authentication.k8s.io/v1 TokenRequestSpec: at least 10 minutes


class TokenIssuer:
    """Signs and verifies the tokens of one cluster."""

    def __init__(self, state: ClusterState, name: str = ISSUER) -> None:
        """``name`` is the issuer in its tokens; their audience is the usual one's all the same."""
        self._state = state
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        coordinates = [number.to_bytes(_SIZE, "big") for number in (numbers.x, numbers.y)]
        self._id = _encode(hashlib.sha256(b"".join(coordinates)).digest())
        self._jwk = {
            "use": "sig",
            "kty": "EC",
            "kid": self._id,
            "crv": "P-256",
            "alg": "ES256",
            "x": _encode(coordinates[0]),
            "y": _encode(coordinates[1]),
        }

    def keys(self) -> Object:
        """The JSON Web Key Set."""
        return {"keys": [self._jwk]}

    def discovery(self) -> Object:
        """The OpenID discovery document."""
        return {
            "issuer": self._name,
            "jwks_uri": f"{self._name}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def issue(
        self,
        account: Object,
        audiences: Sequence[str] = (),
        seconds: float | None = 3600,
        bound: Object | None = None,
    ) -> tuple[str, int]:
        """A token and when it expires (Unix time, 0 for never); at least ten minutes of life."""
        metadata = account["metadata"]
        issued = int(time.time())
        details: dict[str, Any] = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        }
        if bound:
            details[bound["kind"].lower()] = {"name": bound["name"], "uid": bound.get("uid", "")}
        claims: dict[str, Any] = {
            "aud": list(audiences) or [ISSUER],
            "iat": issued,
            "nbf": issued,
            "iss": self._name,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": details,
            "sub": _username(metadata["namespace"], metadata["name"]),
        }
        expires = 0
        if seconds is not None:
            expires = issued + int(min(max(seconds, _SHORTEST), _LONGEST))
            claims["exp"] = expires
        header = {"alg": "ES256", "kid": self._id}
        signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(_SIZE, "big") + s.to_bytes(_SIZE, "big")
        return f"{signed}.{_encode(signature)}", expires

    def verify(self, token: str, audience: str = ISSUER) -> Identity | None:
        """The identity of a token; None if it is not ours, has expired, is for another audience
        or its account is gone.
        """
        try:
            head, body, tail = token.split(".")
            signature = _decode(tail)
            halves = (
                int.from_bytes(half, "big") for half in (signature[:_SIZE], signature[_SIZE:])
            )
            self._key.public_key().verify(
                encode_dss_signature(*halves), f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256())
            )
            claims = json.loads(_decode(body))
        except (ValueError, binascii.Error, InvalidSignature):
            return None
        if claims.get("exp", 1 << 62) <= time.time() or audience not in claims["aud"]:
            return None
        details = claims["kubernetes.io"]
        namespace, name = details["namespace"], details["serviceaccount"]["name"]
        account = self._state.get(SERVICE_ACCOUNTS, namespace, name)
        uid = details["serviceaccount"]["uid"]
        if account is None or account["metadata"]["uid"] != uid:
            return None
        return service_account(namespace, name, uid)


def service_account(namespace: str, name: str, uid: str = "") -> Identity:
    """The identity of a service account."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return Identity(_username(namespace, name), (*groups, "system:authenticated"), uid)


def _username(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
