"""One request to a cloud or to Kubernetes and its answer, as the clients report them.

Bodies are redacted when they are asked for, so that only an observer pays
for it. ``request()`` and ``answer()`` are safe to write to a file; the raw bodies are private.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

REDACTED = "[redacted]"

_SECRET = re.compile(
    r"password|passwd|secret|signature|credential|privatekey|accesskey|keymaterial|authorization"
    r"|kubeconfig|clientkey|userdata|dockerconfig|^config$|token|assertion|jwt"
)
"""in the names of fields, without case and punctuation. ``config`` is the kubeconfig of Container
Service's DescribeClusterUserKubeconfig"""
_HARMLESS = re.compile(r"^(next|nextpage|page|client|clientrequest|continue|pagination)token$")
"""page and idempotency tokens grant nothing"""
_TEXTS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|k8s-[a-z]+-v1\.[\w-]+"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bLTAI\w{12,}"
    r"|\beyJ[\w-]+\.[\w-]+(?:\.[\w-]+)?"
    r"|\bya29\.[\w.-]+|\b1//0[\w-]{10,}"
    r"|(?i:(?:signature|accesskeyid|securitytoken|x-amz-(?:credential|signature|security-token))"
    r"(?:=|%3D)[^&\s\"']+)",
    re.DOTALL,
)
"""in values: private keys, bearer and refresh tokens, access key ids, the parameters that sign a
URL
"""
_BOOT = "compute#metadata"
"""``kind`` of what a machine boots with: scripts of anybody's, and the credentials of nodes"""
_URL = re.compile(r"https?://\S+\?\S+")
_serial = itertools.count(1)


@dataclass(frozen=True)
class Exchange:
    """A request that is about to leave (``before``), or the same with its answer (``after``)."""

    phase: Literal["before", "after"]
    service: str
    """``ec2``, ``VPC``, ``kubernetes``: the vendor's name of the API"""
    operation: str
    mutating: bool
    method: str
    url: str
    """without credentials and signatures"""
    status: int | None = None
    """HTTP status; None before the answer, or if none came"""
    error: str = ""
    """the refusal or why no answer came, redacted"""
    seconds: float = 0.0
    """from the request to its answer"""
    number: int = field(default_factory=lambda: next(_serial))
    """pairs a request with its answer; unique in this process"""
    started: float = field(default_factory=monotonic, repr=False)
    sent: Any = field(default=None, repr=False, compare=False)
    received: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _safe_url(self.url))
        object.__setattr__(self, "error", _safe_text(self.error))

    def answered(
        self, status: int | None, received: Any = None, error: str | BaseException = ""
    ) -> Exchange:
        """The same exchange with its answer, or with the reason that there is none."""
        return replace(
            self,
            phase="after",
            status=status,
            received=received,
            error=str(error),
            seconds=monotonic() - self.started,
        )

    def request(self) -> Any:
        """The request's body or parameters as JSON-like data, redacted."""
        return redacted(self.sent, secret=self._of_secrets)

    def answer(self) -> Any:
        """The answer's body as JSON-like data, redacted."""
        return redacted(self.received, secret=self._of_secrets)

    @property
    def _of_secrets(self) -> bool:
        return "/secrets" in urlsplit(self.url).path


T = TypeVar("T")

Observe = Callable[[Exchange], None]
"""Called on the thread that makes the call, so it must be thread-safe; what it raises ends the
call."""


def redacted(value: Any, *, secret: bool = False) -> Any:
    """A copy without keys, tokens, passwords, kubeconfigs, signed URLs and data of Secrets.

    ``secret``: ``value`` is a Kubernetes Secret or a part of one.
    """
    if isinstance(value, Mapping):
        secret = secret or value.get("kind") in ("Secret", "SecretList")
        if value.get("kind") == _BOOT and "items" in value:
            value = {**value, "items": REDACTED}
        return {str(key): _field(str(key), inner, secret) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(inner, secret=secret) for inner in value]
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode(errors="replace")
    if isinstance(value, str):
        if value[:1] in ("{", "["):
            try:
                return redacted(json.loads(value), secret=secret)
            except ValueError:
                pass
        return _safe_text(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _field(key: str, value: Any, secret: bool) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    name = re.sub(r"[^a-z]", "", key.lower())
    if secret and key in ("data", "stringData", "kubectl.kubernetes.io/last-applied-configuration"):
        return REDACTED
    if _SECRET.search(name) and not _HARMLESS.search(name):
        # a structure whose name sounds secret (``secretRef``) is looked into
        return redacted(value, secret=secret) if isinstance(value, Mapping) else REDACTED
    return redacted(value, secret=secret)


def _safe_text(text: str) -> str:
    text = _URL.sub(lambda found: _safe_url(found[0]), text)
    return _TEXTS.sub(REDACTED, text)


def _safe_url(url: str) -> str:
    parts = urlsplit(url)
    if not parts.query and not parts.username:
        return url
    query = [
        (name, str(_field(name, value, secret=False)))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    host = parts.netloc.rpartition("@")[2]
    safe = urlencode(query, safe="[]/:,=")
    return urlunsplit((parts.scheme, host, parts.path, safe, parts.fragment))


class _Asking(threading.local):
    observe: Observe | None = None


_asking = _Asking()


def asked_by(observe: Observe | None, send: Callable[[], T]) -> T:
    """``send()``, whose requests go over connections that several clusters share; this cluster's
    observer is told of them.
    """
    if observe is tell_asker:  # by one of the connections themselves
        return send()
    before, _asking.observe = _asking.observe, observe
    try:
        return send()
    finally:
        _asking.observe = before


def tell_asker(exchange: Exchange) -> None:
    """The observer of shared connections: tells that of the cluster for which this thread asks."""
    if _asking.observe is not None:
        _asking.observe(exchange)
