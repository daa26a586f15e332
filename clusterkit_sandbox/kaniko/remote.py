"""A client of registries as the executor has one (google/go-containerregistry, pkg/v1/remote)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.kaniko.container import Container, NetworkFailure
from clusterkit_sandbox.kaniko.failure import Failure
from clusterkit_sandbox.kaniko.keychain import Login
from clusterkit_sandbox.kaniko.reference import Reference

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Remote:
    """One repository, as one login sees it."""

    def __init__(self, container: Container, image: Reference, login: Login, version: str) -> None:
        self._container = container
        self._image = image
        self._login = login
        self._agent = f"kaniko/{version}"
        self._headers: dict[str, str] = {}
        self._scopes = [f"repository:{image.repository}:push,pull"]
        self._base = f"https://{image.host}/v2/"

    def connect(self) -> None:
        """Ask how to log in, and do; ``Failure``."""
        answer = self._send("GET", self._base)
        if answer.status == 200:
            return
        if answer.status != 401:
            raise Failure(told("GET", self._base, answer))
        scheme, _, rest = _header(answer, "www-authenticate").partition(" ")
        if scheme.lower() == "bearer":
            self._headers["Authorization"] = f"Bearer {self._token(dict(_PARAMETER.findall(rest)))}"
        elif self._login.user or self._login.password:
            self._headers["Authorization"] = _basic(self._login)

    def _token(self, challenge: Mapping[str, str]) -> str:
        if self._login.token:
            return self._login.token
        realm = challenge.get("realm", "")
        if not realm:
            raise Failure(f"malformed www-authenticate, missing realm: {dict(challenge)}")
        scope = challenge.get("scope", "")
        if scope and scope not in self._scopes:
            # some registries look only at the first
            self._scopes.insert(0, scope)
        service = challenge.get("service", "")
        if self._login.identity:
            form = {
                "scope": " ".join(self._scopes),
                "service": service,
                "client_id": "go-containerregistry",
                "grant_type": "refresh_token",
                "refresh_token": self._login.identity,
            }
            answer = self._send("POST", realm, _FORM, urlencode(form).encode())
            url, method = realm, "POST"
        else:
            asked = [*(("scope", one) for one in self._scopes), ("service", service)]
            url, method = f"{realm}?{urlencode(asked)}", "GET"
            shown = bool(self._login.user or self._login.password)
            headers = {"Authorization": _basic(self._login)} if shown else {}
            answer = self._send("GET", url, headers)
        if answer.status != 200:
            raise Failure(told(method, url, answer))
        found = json.loads(answer.body)
        return str(found.get("access_token") or found.get("token") or "")

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | BinaryIO | None = None,
    ) -> Answer:
        given = {"User-Agent": self._agent, **(headers or {})}
        try:
            return self._container.request(method, url, given, body)
        except NetworkFailure as error:
            raise Failure(f'{method.capitalize()} "{url}": {error}') from None

    def call(
        self, method: str, url: str, *statuses: int, body: bytes | None = None, kind: str = ""
    ) -> Answer:
        """One call; ``Failure`` for any other status."""
        headers = dict(self._headers)
        if kind:
            headers["Content-Type"] = kind
        answer = self._send(method, url, headers, body)
        scheme, _, rest = _header(answer, "www-authenticate").partition(" ")
        if answer.status == 401 and scheme.lower() == "bearer":
            # once more, with a token for what the registry asks for
            token = self._token(dict(_PARAMETER.findall(rest)))
            headers["Authorization"] = self._headers["Authorization"] = f"Bearer {token}"
            answer = self._send(method, url, headers, body)
        if answer.status not in statuses:
            raise Failure(told(method, url, answer))
        return answer

    # -- writing -----------------------------------------------------------------------------------

    def _begin(self) -> str:
        url = f"{self._base}{self._image.repository}/blobs/uploads/"
        return urljoin(url, _header(self.call("POST", url, 201, 202), "location"))

    def check(self) -> None:
        """Begin an upload, and cancel it."""
        where = self._begin()
        # nobody waits for the answer, whatever it is
        self._send("DELETE", where, self._headers)

    def blob(self, data: bytes) -> str:
        """Upload a blob that is not there yet; its digest."""
        digest = digest_of(data)
        url = f"{self._base}{self._image.repository}/blobs/{digest}"
        if self.call("HEAD", url, 200, 404).status == 200:
            return digest
        where = self._begin()
        kind = "application/octet-stream"
        answer = self.call("PATCH", where, 201, 202, 204, body=data, kind=kind)
        where = urljoin(where, _header(answer, "location"))
        mark = "&" if urlsplit(where).query else "?"
        self.call("PUT", f"{where}{mark}{urlencode({'digest': digest})}", 201, 204)
        return digest

    def manifest(self, reference: str, body: bytes, kind: str) -> str:
        """Upload a manifest; the digest that the registry gives it."""
        url = f"{self._base}{self._image.repository}/manifests/{reference}"
        answer = self.call("PUT", url, 200, 201, 202, body=body, kind=kind)
        return _header(answer, "docker-content-digest") or digest_of(body)

    def has(self, reference: str) -> bool:
        """Whether a manifest is there."""
        url = f"{self._base}{self._image.repository}/manifests/{reference}"
        return self.call("GET", url, 200, 404).status == 200


def digest_of(data: bytes) -> str:
    """A digest as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def told(method: str, url: str, answer: Answer) -> str:
    """A refusal in go-containerregistry's words (pkg/v1/remote/transport/error.go)."""
    return f"{method} {url}: {_why(method, answer)}"


def _why(method: str, answer: Answer) -> str:
    try:
        errors = json.loads(answer.body).get("errors")
    except (ValueError, AttributeError):
        errors = None
    if isinstance(errors, list) and errors:
        shown = [_diagnostic(one) for one in errors]
        return shown[0] if len(shown) == 1 else f"multiple errors returned: {'; '.join(shown)}"
    phrase = HTTPStatus(answer.status).phrase if answer.status in set(HTTPStatus) else ""
    text = f"unexpected status code {answer.status} {phrase}"
    if answer.body:
        return f"{text}: {answer.body.decode(errors='replace')}"
    return (
        f"{text} (HEAD responses have no body, use GET for details)" if method == "HEAD" else text
    )


def _diagnostic(one: Mapping[str, Any]) -> str:
    text = f"{one.get('code', '')}: {one.get('message', '')}"
    return text if one.get("detail") is None else f"{text}; {_go(one['detail'])}"


def _go(value: Any) -> str:
    """A value as ``%v`` of Go's fmt shows it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_go(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_go, value))}]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _basic(login: Login) -> str:
    return f"Basic {base64.b64encode(f'{login.user}:{login.password}'.encode()).decode()}"


def _header(answer: Answer, name: str) -> str:
    return next((value for key, value in answer.headers if key.lower() == name), "")
