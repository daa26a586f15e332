"""JSON over HTTPS, for APIs without an SDK worth its weight.

One request is one call: retrying is the engine's. Whatever goes wrong becomes one of
``clusterkit.errors`` here, and the observer is told of every request and answer.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from clusterkit.engine.exchange import Exchange, Observe
from clusterkit.engine.target import CloudConnection, proxy_of_environment
from clusterkit.engine.workers import MOST
from clusterkit.errors import ClusterkitError, Rejected, Unreachable

if TYPE_CHECKING:
    import urllib3

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""name the authorities to trust to the clouds' own command lines, which use ``requests``"""
CONNECTIONS = MOST
"""as many as the process has threads for calls"""
CONNECT_TIMEOUT = 5.0
CHUNK = 16 * 1024
"""bytes of a piece of a long answer, at most"""
READ_TIMEOUT = 65.0
"""seconds; a Kubernetes API server gives up a request after 60 (``--request-timeout``)"""


FORM = "application/x-www-form-urlencoded"


class Bearer(NamedTuple):
    """An access token."""

    token: str
    expires: datetime
    """UTC"""


class Answer(NamedTuple):
    """An answer that is not 2xx."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    operation: str

    @property
    def after(self) -> float | None:
        """Seconds of ``Retry-After`` (RFC 9110, 10.2.3); None for a date or none."""
        seconds = self.headers.get("Retry-After", "")
        return float(seconds) if seconds.isdigit() else None


class Reply(NamedTuple):
    """An answer that is 2xx."""

    status: int
    body: Any
    """its JSON; None if it has none"""
    headers: Mapping[str, str]
    """looked up without regard to case"""


Refusal = Callable[[Answer], ClusterkitError]
"""what an answer that is not 2xx means; a driver's is in its ``errors.py``"""


class RestClient:
    """One API; connects at the first call, and may be shared by threads."""

    def __init__(
        self,
        pool: urllib3.PoolManager,
        refusal: Refusal,
        *,
        service: str,
        headers: Callable[[], Mapping[str, str]] = dict,
        observe: Observe | None = None,
    ) -> None:
        """``headers`` authenticates each request; ``service`` is the vendor's name of
        the API, for the observer and for messages.
        """
        self._pool = pool
        self._refusal = refusal
        self._service = service
        self._headers = headers
        self._observe = observe

    def call(
        self,
        operation: str,
        method: str,
        url: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        mutating: bool | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer's JSON; None if it has no body.

        ``mutating``: whether it changes anything; left out, whether it is no GET.
        """
        asked: dict[str, Any] = {"content_type": content_type, "mutating": mutating, "query": query}
        return self.send(operation, method, url, body, **asked).body

    def send(
        self,
        operation: str,
        method: str,
        url: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        mutating: bool | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """The same with the answer's status and headers; ``headers`` are sent besides those of
        every request.
        """
        from urllib3.exceptions import HTTPError

        every = {"Accept": "application/json", "User-Agent": "clusterkit", **self._headers()}
        sent = {**every, **(headers or {})}
        data = None if body is None else _encoded(body, content_type)
        if data is not None:
            sent["Content-Type"] = content_type
        url += f"?{urlencode(query)}" if query else ""
        changes = method != "GET" if mutating is None else mutating
        asked = Exchange("before", self._service, operation, changes, method, url, sent=body)
        self._tell(asked)
        try:
            answer = self._pool.request(method, url, body=data, headers=sent, redirect=False)
        except HTTPError as error:
            self._tell(asked.answered(None, error=error))
            raise self._unreachable(error, url, operation) from error
        self._tell(asked.answered(answer.status, answer.data))
        if not 200 <= answer.status < 300:
            raise self._refusal(Answer(answer.status, answer.data, answer.headers, operation))
        try:
            found = json.loads(answer.data) if answer.data else None
            return Reply(answer.status, found, answer.headers)
        except ValueError as error:
            raise Rejected(
                f"{self._service} at {_host(url)} answered {answer.status} without JSON",
                code="NotJson",
                operation=operation,
                hint="something on the way answers in its place: check the proxy settings",
            ) from error

    @contextmanager
    def reading(
        self, operation: str, url: str, query: Mapping[str, str] | None = None
    ) -> Iterator[Iterator[bytes]]:
        """The pieces of an answer as they come, for one that does not end soon; the observer is not
        told what it says.
        """
        from urllib3.exceptions import HTTPError

        url += f"?{urlencode(query)}" if query else ""
        asked = Exchange("before", self._service, operation, mutating=False, method="GET", url=url)
        self._tell(asked)
        headers = {"User-Agent": "clusterkit", **self._headers()}
        try:
            answer = self._pool.request(
                "GET", url, headers=headers, redirect=False, preload_content=False
            )
        except HTTPError as error:
            self._tell(asked.answered(None, error=error))
            raise self._unreachable(error, url, operation) from error
        self._tell(asked.answered(answer.status))
        try:
            if not 200 <= answer.status < 300:
                body = answer.read()
                raise self._refusal(Answer(answer.status, body, answer.headers, operation))
            yield answer.stream(CHUNK, decode_content=True)
        except HTTPError as error:
            raise self._unreachable(error, url, operation) from error
        finally:
            # what is left of it is not read, so the connection is of no use any more
            answer.close()

    def pages(
        self,
        operation: str,
        url: str,
        *,
        items: str = "items",
        token: str = "nextPageToken",
        parameter: str = "pageToken",
        query: Mapping[str, str] | None = None,
    ) -> Iterator[Any]:
        """Everything under ``items`` of every page; ``token`` is where a page names the next one
        (``metadata.continue``), ``parameter`` how that is asked for.
        """
        asked = dict(query or {})
        while True:
            page = self.call(operation, "GET", url, query=asked) or {}
            yield from page.get(items) or ()
            following: Any = page
            for step in token.split("."):
                following = (following or {}).get(step)
            if not following:
                return
            asked[parameter] = str(following)

    def _tell(self, exchange: Exchange) -> None:
        if self._observe is not None:
            self._observe(exchange)

    def _unreachable(
        self, error: urllib3.exceptions.HTTPError, url: str, operation: str
    ) -> ClusterkitError:
        """The error for a request that got no answer."""
        host = _host(url)
        reason: BaseException = error
        while inner := reason.__cause__ or reason.__context__:
            reason = inner
        if isinstance(reason, ssl.SSLCertVerificationError):
            return Rejected(
                f"{host} shows a certificate that its authority did not sign: "
                f"{reason.verify_message}",
                code="CertificateVerifyFailed",
                operation=operation,
                hint="something on the way intercepts TLS: exempt this address from it, or from "
                "the proxy with NO_PROXY",
            )
        return Unreachable(
            f"{self._service} at {host} does not answer: {reason}",
            code=type(error).__name__,
            operation=operation,
        )


def _encoded(body: Any, content_type: str) -> bytes:
    return (urlencode(body) if content_type == FORM else json.dumps(body)).encode()


def _host(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))


def pool(
    server: str,
    *,
    ca: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    proxy: str | None = None,
) -> urllib3.PoolManager:
    """Connections to ``server`` that trust ``ca`` and no other authority (left out: the system's)
    and show a client certificate, if there is one (all three PEM). ``proxy`` is ``HTTPS_PROXY``
    unless given. No network.
    """
    import urllib3

    settings: dict[str, Any] = {
        "maxsize": CONNECTIONS,
        "retries": False,
        "ssl_context": tls(ca, certificate, key),
        "timeout": urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
        # through a proxy urllib3 leaves Nagle's algorithm on, and a body waits for the
        # acknowledgement of its headers, 40 ms late
        "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    }
    if proxy := proxy or proxy_of_environment(urlsplit(server).netloc):
        return urllib3.ProxyManager(proxy, **settings)
    return urllib3.PoolManager(**settings)


def cloud_pool(server: str, wire: CloudConnection) -> urllib3.PoolManager:
    """Connections to a cloud as ``wire`` says that it is reached. No network."""
    ca = wire.ca_file.read_text() if wire.ca_file else _authorities()
    return pool(server, ca=ca, proxy=wire.proxy)


def _authorities() -> str | None:
    """Those of a company's proxy that looks into TLS, as the environment names them; None for the
    system's. ``ClusterkitError`` for a file that cannot be read.
    """
    for name in BUNDLES:
        if (named := os.environ.get(name)) and not Path(named).is_dir():
            try:
                return Path(named).read_text()
            except (OSError, UnicodeDecodeError) as error:
                what = f"{named} holds no certificate authorities"
                raise ClusterkitError(what, hint=f"{name} has to name a PEM file") from error
    return None


def near_pool(wire: CloudConnection) -> urllib3.PoolManager:
    """Connections to what answers this machine alone, without TLS, as servers of metadata do.
    ``HTTPS_PROXY`` is not for them: a proxy would be answered as the machine that it runs on.
    """
    import urllib3

    settings: Any = {
        "retries": False,
        "timeout": urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
    }
    if wire.proxy:
        return urllib3.ProxyManager(wire.proxy, **settings)
    return urllib3.PoolManager(**settings)


@cache
def trusting(authorities: str, cure: str) -> ssl.SSLContext:
    """A context that trusts the authorities in a PEM file alone; ``cure`` for one that holds none.

    Read once: a bundle takes longer to read than a connection takes to open.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(authorities)
    except OSError as error:
        what = f"{authorities} holds no certificate authorities: {error.strerror or error}"
        raise ClusterkitError(what, hint=cure) from None
    return context


def tls(ca: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext:
    """What ``pool`` trusts and shows."""
    context = ssl.create_default_context(cadata=ca)
    # some clouds' authorities have no key identifiers, which Python 3.13's strict mode requires
    # (https://github.com/kubernetes-client/python/issues/2394)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificate and key:
        _load(context, f"{certificate}\n{key}\n")
    return context


def _load(context: ssl.SSLContext, pair: str) -> None:
    """The client's certificate and key; the ssl module takes files only."""
    try:
        with tempfile.TemporaryDirectory(prefix="clusterkit-") as folder:  # 0700
            file = Path(folder, "pair.pem")
            file.touch(mode=0o600)
            file.write_text(pair)
            context.load_cert_chain(file)
    except ssl.SSLError:
        raise
    except OSError as error:
        raise ClusterkitError(
            f"the client certificate needs a temporary file: {error.strerror or error}",
            hint="free some disk space, or set TMPDIR to a folder that can be written",
        ) from error
