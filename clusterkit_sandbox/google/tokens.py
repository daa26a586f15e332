"""Service-account keys, the token endpoint, and who a bearer token belongs to.

A key signs an assertion that ``oauth2.googleapis.com/token`` exchanges for an access token
(RFC 7523; developers.google.com/identity/protocols/oauth2/service-account), or signs a JWT that is
itself the bearer token (the same page, "Service account authorization without OAuth"; AIP-4111).
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.google.failure import Failure, error_info, json_answer, rpc
from clusterkit_sandbox.google.model import TOKENS, hosts
from clusterkit_sandbox.kit.wire import Request
from clusterkit_sandbox.permissions import Permissions

LIFE = 3600
"""Seconds that an access token is valid, and that an assertion may be at most (the page above)."""
URI = f"https://{TOKENS}/token"
_AUDIENCES = (URI, "https://www.googleapis.com/oauth2/v4/token", f"https://{TOKENS}/")
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SKEW = 600


@dataclass(frozen=True)
class Caller:
    """Who makes a call: a service account."""

    email: str
    unique_id: str
    owner: bool = False
    """the sandbox's own, which may do everything"""
    limits: Permissions | None = None
    """what one of ``Sandbox.identity`` may do; None with no ``owner``: what its roles allow"""
    principals: tuple[str, ...] = ()
    """as policies name an identity of a workload pool, which is no service account"""

    @property
    def member(self) -> str:
        """As policies name it."""
        return self.principals[0] if self.principals else f"serviceAccount:{self.email}"


@dataclass(frozen=True)
class _Key:
    caller: Caller
    public: rsa.RSAPublicKey


@dataclass(frozen=True)
class _Token:
    caller: Caller
    expires: float


class Tokens:
    """The keys and access tokens that are good. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, _Key] = {}
        self._tokens: dict[str, _Token] = {}

    def add_key(self, caller: Caller, project: str) -> dict[str, str]:
        """Make a key of a service account; returns its key file."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        identifier = secrets.token_hex(20)
        with self._lock:
            self._keys[identifier] = _Key(caller, private.public_key())
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": project,
            "private_key_id": identifier,
            "private_key": pem.decode("ascii"),
            "client_email": caller.email,
            "client_id": caller.unique_id,
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": URI,
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": (
                f"https://www.googleapis.com/robot/v1/metadata/x509/{caller.email}"
            ),
            "universe_domain": "googleapis.com",
        }

    def remove(self, email: str, key: str = "") -> None:
        """Forget one key of a service account, or all of its keys and tokens; but not the
        sandbox's own, without which nobody could use it.
        """
        with self._lock:
            if any(o.caller.owner for o in self._keys.values() if o.caller.email == email):
                return
            mine = [i for i, one in self._keys.items() if one.caller.email == email]
            for identifier in mine:
                if key in ("", identifier):
                    del self._keys[identifier]
            if not key:
                tokens = self._tokens.items()
                self._tokens = {t: one for t, one in tokens if one.caller.email != email}

    def grant(self, caller: Caller, seconds: float = LIFE) -> str:
        """A new access token."""
        token = f"ya29.c.{secrets.token_urlsafe(90)}"
        now = time.time()
        with self._lock:
            self._tokens = {t: one for t, one in self._tokens.items() if one.expires > now}
            self._tokens[token] = _Token(caller, now + seconds)
        return token

    def caller(self, bearer: str) -> Caller | None:
        """Whose access token or self-signed JWT this is; None for no good one."""
        with self._lock:
            token = self._tokens.get(bearer)
        if token is not None:
            return token.caller if token.expires > time.time() else None
        try:
            key, claims = self._verified(bearer)
        except ValueError:
            return None
        audience = str(claims.get("aud", "")).removeprefix("https://").partition("/")[0]
        meant = "scope" in claims or audience in hosts()
        return key.caller if meant and claims.get("sub") == key.caller.email else None

    def holder(self, text: str) -> Caller | None:
        """Whose key file this is; None for no good one."""
        try:
            file = json.loads(text)
            private = serialization.load_pem_private_key(file["private_key"].encode(), None)
            with self._lock:
                key = self._keys.get(file["private_key_id"])
        except (ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm):
            return None
        if key is None or not isinstance(private, rsa.RSAPrivateKey):
            return None
        same = private.public_key().public_numbers() == key.public.public_numbers()
        return key.caller if same else None

    def verify(self, request: Request, service: str, method: str) -> Caller:
        """Who makes this request; 401 for a missing or bad token.

        The words and reasons are those of recorded answers (cloud.google.com, "Troubleshoot
        authentication"; google-auth-library issues).
        """
        metadata = {"service": f"{service}.googleapis.com", "method": method}
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not token:
            raise _unauthenticated(
                "Request is missing required authentication credential.", "required",
                error_info("CREDENTIALS_MISSING", **metadata),
            )  # fmt: skip
        caller = self.caller(token.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            raise _unauthenticated(
                "Request had invalid authentication credentials.", "authError",
                error_info("ACCESS_TOKEN_TYPE_UNSUPPORTED", **metadata),
            )  # fmt: skip
        return caller

    # -- the token endpoint ------------------------------------------------------------------------

    def exchange(self, request: Request) -> Answer:
        """Answer ``POST /token`` (RFC 6749, section 5)."""
        form = request.form
        if form.get("grant_type") != _GRANT:
            return _refused(
                "unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}"
            )
        try:
            key, claims = self._verified(form.get("assertion", ""))
        except ValueError as error:
            return _refused("invalid_grant", str(error))
        if claims.get("aud") not in _AUDIENCES:
            return _refused("invalid_grant", "Invalid JWT: Failed audience check.")
        if not claims.get("scope"):
            text = "Invalid OAuth scope or ID token audience provided."
            return _refused("invalid_scope", text)
        body = {
            "access_token": self.grant(key.caller),
            "expires_in": LIFE - 1,
            "token_type": "Bearer",
        }
        return json_answer(200, body)

    def _verified(self, text: str) -> tuple[_Key, Mapping[str, Any]]:
        """The key that signed a JWT, and its claims; ``ValueError`` in the vendor's words."""
        parts = text.split(".")
        if len(parts) != 3:
            raise ValueError("The assertion is not a JWT.")
        try:
            header, claims = (json.loads(_decoded(one)) for one in parts[:2])
            signature = _decoded(parts[2])
            identifier, issuer = str(header.get("kid", "")), claims.get("iss")
            begun, ends = float(claims["iat"]), float(claims["exp"])
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError("Invalid JWT: it cannot be read.") from None
        with self._lock:
            key = self._keys.get(identifier)
            known = any(one.caller.email == issuer for one in self._keys.values())
        if not known:
            raise ValueError("Invalid grant: account not found")
        if key is None or key.caller.email != issuer or header.get("alg") != "RS256":
            raise ValueError("Invalid JWT Signature.")
        signed = ".".join(parts[:2]).encode()
        try:
            key.public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise ValueError("Invalid JWT Signature.") from None
        now = time.time()
        if not (begun - _SKEW <= now < ends and ends - begun <= LIFE + _SKEW):
            raise ValueError(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable"
                " timeframe. Check your iat and exp values in the JWT claim."
            )
        return key, claims


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(text) from error


def _refused(error: str, description: str) -> Answer:
    return json_answer(400, {"error": error, "error_description": description})


def _unauthenticated(what: str, reason: str, detail: dict[str, Any]) -> Failure:
    text = (
        f"{what} Expected OAuth 2 access token, login cookie or other valid authentication"
        " credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    return rpc("UNAUTHENTICATED", text, reason=reason, details=[detail])
