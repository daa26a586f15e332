"""Credentials for Artifact Registry and gcr.io: Application Default Credentials.

cloud.google.com, "How Application Default Credentials works": the file that
``GOOGLE_APPLICATION_CREDENTIALS`` names, else the metadata server. Registries take the access token
as the password of ``_token`` (go-containerregistry, pkg/v1/google/auth.go).
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from clusterkit_sandbox.kaniko.container import Container

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def serves(registry: str) -> bool:
    """Whether a registry is Google's."""
    return registry == "gcr.io" or registry.endswith((".gcr.io", ".pkg.dev", ".google.com"))


def login(container: Container, _: str) -> tuple[str, str]:
    """User and password; ``LookupError`` without."""
    path = container.environment.get("GOOGLE_APPLICATION_CREDENTIALS")
    token = _from_file(container, path) if path else _from_metadata(container)
    return "_token", token


def _from_metadata(container: Container) -> str:
    answer = container.request(
        "GET",
        f"{_METADATA}/default/token?{urlencode({'scopes': _SCOPE})}",
        {"Metadata-Flavor": "Google"},
    )
    if answer.status != 200:
        raise LookupError(f"metadata: {answer.body.decode(errors='replace')}")
    return str(json.loads(answer.body)["access_token"])


def _from_file(container: Container, path: str) -> str:
    if path not in container.files:
        raise LookupError(f"open {path}: no such file or directory")
    try:
        key = json.loads(container.files[path])
        private = serialization.load_pem_private_key(key["private_key"].encode(), None)
        assertion = _signed(key, private)
        where = key["token_uri"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LookupError(f"{path}: {error}") from None
    form = urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = container.request("POST", where, headers, form)
    if answer.status != 200:
        raise LookupError(f"oauth2: {answer.body.decode(errors='replace')}")
    return str(json.loads(answer.body)["access_token"])


def _signed(key: dict[str, Any], private: Any) -> str:
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("private key is invalid")
    now = int(time.time())
    header = {"alg": "RS256", "typ": "JWT", "kid": key["private_key_id"]}
    claims = {
        "iss": key["client_email"],
        "scope": _SCOPE,
        "aud": key["token_uri"],
        "iat": now,
        "exp": now + 3600,
    }
    text = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{_encoded(private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
