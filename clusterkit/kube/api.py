"""The few calls clusterkit makes to a Kubernetes API server, over urllib3 and with known paths.

The official client is not used: importing any part of it loads all of it (0.7 s of processor time
and 40 MiB on top of boto3, which loads urllib3 anyway), and its dynamic client asks for the
discovery documents before the first call. Here a look is one request.

Paths are the API's own, as in ``/apis/storage.k8s.io/v1/storageclasses``; objects are its JSON.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from clusterkit.engine.exchange import Exchange, Observe
from clusterkit.engine.rest import Answer, Refusal, RestClient, pool, tls
from clusterkit.errors import Absent, ClusterkitError, Denied, Gone, Unreachable, UsageError
from clusterkit.kube.channels import Channels, channels
from clusterkit.kube.errors import refusal

FIELD_MANAGER = "clusterkit"
PAGE = 500
"""objects per page of a list; what kubectl asks for (``--chunk-size``)"""
TOKEN_LIFE = 300.0
"""seconds a token is used before a new one is asked for; the shortest-lived one lasts 900
(facts/durations.tsv, "token for the Kubernetes API")
"""
GRACE = 120.0
"""seconds for which a new cluster may refuse who made it: rights take effect some time after they
are given (facts/durations.tsv, "access entry takes effect")
"""

_ODD = re.compile(r"/\.{0,2}(/|$)|[?#%\\\s]")
"""segments that are empty or lead elsewhere, and what ends or encodes a path"""

UNREACHABLE = (
    "run it where the cluster's endpoint can be reached, or add this machine's network to "
    "endpoint.allowed"
)

Object = dict[str, Any]
"""a Kubernetes object as JSON"""
Objects = list[Object]


@dataclass(frozen=True)
class Credential:
    """What ``clusterkit token`` hands to kubectl: a bearer token, or a client certificate."""

    expires: datetime
    """UTC"""
    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    """PEM"""
    key: str = field(default="", repr=False)
    """PEM"""


@dataclass(frozen=True)
class Access:
    """How to reach one cluster's API server, and as whom."""

    server: str
    """``https://host[:port]``"""
    ca: str
    """PEM of the only certificate authority to trust; empty: those of the system"""
    token: Callable[[], str] | None = None
    """a bearer token, good for at least ``TOKEN_LIFE`` seconds from now"""
    client_certificate: str | None = None
    """PEM"""
    client_key: str | None = field(default=None, repr=False)
    """PEM"""
    proxy: str | None = None
    """``http://host:port``; left out, what ``HTTPS_PROXY`` and ``NO_PROXY`` say"""
    until: datetime | None = None
    """when the client certificate has to be replaced by asking for the access again (UTC)"""
    grace: float | None = None
    """seconds for which a new cluster may refuse who made it; None: ``GRACE``"""
    new: bool = False
    """whether it may still do so, though it was there when it was first asked for"""
    rights: str = ""
    """where the cloud gives rights in Kubernetes: what to do about a refusal"""


class KubeApi:
    """One cluster's API; connects at the first call, and may be shared by threads.

    Every call raises what ``access`` raises (``Absent`` while there is no running cluster), and
    otherwise ``Retryable`` (unreachable, overloaded, in conflict), ``Denied`` or ``Rejected``, in
    the server's own words.
    """

    def __init__(self, access: Callable[[], Access], *, observe: Observe | None = None) -> None:
        """``access`` is asked at the first call, and again after the server could not be reached
        or did not know the token. ``observe`` is told of every request and answer.
        """
        self._access = access
        self._observe = observe
        self._lock = threading.Lock()
        self._line: _Line | None = None
        self._new_until: float | None = None
        self._was_absent = False
        self._has_let_in = False

    def list(self, path: str, labels: Mapping[str, str] | None = None) -> Objects:
        """Every object of a collection that carries the labels, to the last page."""
        query = {"limit": str(PAGE)}
        if labels:
            query["labelSelector"] = ",".join(f"{key}={value}" for key, value in labels.items())

        def ask(line: _Line) -> Objects:
            return [
                *line.rest.pages(
                    f"GET {path}",
                    line.url(path),
                    token="metadata.continue",
                    parameter="continue",
                    query=query,
                )
            ]

        found: Objects = self._with_line(ask)
        return found

    def get(self, path: str) -> Object | None:
        """The object, or None if there is none."""
        try:
            return self._call("GET", path)
        except Gone:
            return None

    @contextmanager
    def reading(self, path: str, query: Mapping[str, str]) -> Iterator[Iterator[bytes]]:
        """An answer that goes on for long, as a log that is followed."""
        line = self._connected()
        try:
            with line.rest.reading(f"GET {path}", line.url(path), query) as pieces:
                yield pieces
        except Unreachable:
            self._drop(line)
            raise

    def attach(self, path: str, query: Mapping[str, str]) -> Channels:
        """A WebSocket to a container (``…/pods/NAME/attach``)."""
        line = self._connected()
        access, operation = line.access, f"GET {path}"
        url = f"{line.url(path)}?{urlencode(query)}"
        asked = Exchange("before", "kubernetes", operation, mutating=True, method="GET", url=url)
        self._tell(asked)
        try:
            context = tls(access.ca or None, access.client_certificate, access.client_key)
            opened = channels(url, line.who(), context, access.proxy, self._refusal)
        except ClusterkitError as error:
            self._tell(asked.answered(None, error=error))
            raise
        self._tell(asked.answered(101))
        return opened

    def _tell(self, exchange: Exchange) -> None:
        if self._observe is not None:
            self._observe(exchange)

    def apply(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Create or change one of our own objects by server-side apply; with ``dry_run`` only say
        what it would be.

        What ``body`` no longer has is removed; what others changed of what it has is put back
        (https://kubernetes.io/docs/reference/using-api/server-side-apply/).
        """
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        if dry_run:
            query["dryRun"] = "All"
        return self._call("PATCH", path, query, body, "application/apply-patch+yaml")

    def create(self, path: str, body: Mapping[str, Any]) -> Object:
        """Create an object in a collection; ``Exists`` if one of its name is there."""
        return self._call("POST", path, {"fieldManager": FIELD_MANAGER}, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Object:
        """Change parts of an object by JSON merge patch (RFC 7386); None removes a key."""
        query = {"fieldManager": FIELD_MANAGER}
        return self._call("PATCH", path, query, body, "application/merge-patch+json")

    def delete(self, path: str, *, grace: int | None = None) -> None:
        """Delete the object and, in the background, what it owns; not found is success.

        ``grace``: the seconds a pod has to end, in place of what its own spec says.
        """
        query = {"propagationPolicy": "Background"}
        if grace is not None:
            query["gracePeriodSeconds"] = str(grace)
        with suppress(Gone):
            self._call("DELETE", path, query)

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "",
    ) -> Object:
        def ask(line: _Line) -> Any:
            return line.rest.call(
                f"{method} {path}",
                method,
                line.url(path),
                body,
                content_type=content_type,  # JSON is YAML, so it serves for apply too
                mutating=method != "GET" and "dryRun" not in (query or {}),
                query=query,
            )

        found: Object = self._with_line(ask)
        return found

    def _with_line(self, ask: Callable[[_Line], Any]) -> Any:
        line = self._connected()
        try:
            found = ask(line)
        except Unreachable as error:
            self._drop(line)
            error.hint = UNREACHABLE
            raise
        self._new_until = None
        self._was_absent = False
        self._has_let_in = True
        return found

    def _refusal(self, answer: Answer) -> ClusterkitError:
        line = self._line
        if answer.status == 401:
            self._drop(line)
        new = answer.status in (401, 403) and self._is_new(line)
        told = (answer.status, answer.body, answer.headers, answer.operation)
        error = refusal(*told, new=new)
        if isinstance(error, Denied) and line is not None and line.access.rights:
            error.hint = line.access.rights
        return error

    def close(self) -> None:
        """Close the connections that wait for another call; that would open new ones. What is asked
        of hundreds of clusters would keep some for each.
        """
        with self._lock:
            line = self._line
        if line is not None:
            line.connections.clear()

    # -- the connection and the token -------------------------------------------------------------

    def _connected(self) -> _Line:
        """The line to the server."""
        with self._lock:
            if self._line is not None and self._line.old():
                self._line = None
            if self._line is None:
                try:
                    access = self._access()
                except Absent:
                    self._was_absent = True
                    raise
                self._line = _Line(access, self._refusal, self._observe)
            return self._line

    def _drop(self, line: _Line | None) -> None:
        """Ask for the access, and with it for a token, again at the next call."""
        with self._lock:
            if self._line is line:
                self._line = None

    def _is_new(self, line: _Line | None) -> bool:
        """Whether a refusal may be for the cluster's youth: it was not there when we first asked,
        or is new, has not let us in yet, and has refused us for less than its time of grace.
        """
        with self._lock:
            young = line is not None and line.access.new and not self._has_let_in
            if not (self._was_absent or young):
                return False
            now = time.monotonic()
            if self._new_until is None:
                self._new_until = now + ((line.access.grace if line else None) or GRACE)
            return now < self._new_until


class _Line:
    """A connection to the server, and the token in use on it."""

    def __init__(self, access: Access, refusal: Refusal, observe: Observe | None) -> None:
        self.access = access
        self.connections = pool(
            access.server,
            ca=access.ca or None,
            certificate=access.client_certificate,
            key=access.client_key,
            proxy=access.proxy,
        )
        self.rest = RestClient(
            self.connections, refusal, service="kubernetes", headers=self.who, observe=observe
        )
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def url(self, path: str) -> str:
        """The whole address of a path; ``UsageError`` for one that would be another on the way:
        names in it may come from whoever may name one thing and not the others.
        """
        if _ODD.search(path):
            what = f"{path} is not a path of a Kubernetes API"
            hint = "a name in it has odd characters"
            raise UsageError(what, hint=hint)
        return self.access.server.rstrip("/") + path

    def old(self) -> bool:
        """Whether the certificate has had its time."""
        until = self.access.until
        return until is not None and datetime.now(UTC) >= until

    def who(self) -> dict[str, str]:
        """The header that says who asks; none with a client certificate."""
        if self.access.token is None:
            return {}
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                self._token = self.access.token()
                self._until = now + TOKEN_LIFE
            return {"Authorization": f"Bearer {self._token}"}


class HasKube(Protocol):
    """Clients that reach a Kubernetes API: all that the resources of this package need."""

    @property
    def kube(self) -> KubeApi:
        """The cluster's API."""
