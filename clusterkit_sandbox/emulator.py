"""The seam between the sandbox and its emulators: what each side may expect of the other.

The proxy (``proxy.py``) ends TLS and hands every request to the one emulator whose ``claims()``
takes the host name. An emulator is a WSGI application and knows nothing of TLS, of the daemon or of
clusterkit's drivers. It gets a ``Surroundings`` that carries everything it shares with the rest of
the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from clusterkit_sandbox.fault_targets import Operations

if TYPE_CHECKING:
    from clusterkit_sandbox.faults import Faults, Rule
    from clusterkit_sandbox.kube.interfaces import KubeServer
    from clusterkit_sandbox.pace import Pace
    from clusterkit_sandbox.requestlog import RequestLog

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]


@dataclass(frozen=True)
class Answer:
    """One whole HTTP answer, ready to be sent."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class Surroundings:
    """What the sandbox gives every emulator."""

    pace: Pace
    faults: Faults
    requests: RequestLog
    kube: KubeServer
    directory: Path
    """The sandbox's own directory, 0700; it goes with the sandbox."""


class Emulator(Protocol):
    """One cloud."""

    @property
    def name(self) -> str:
        """The cloud's name in profiles: ``eks``, ``alibaba``, ..."""

    @property
    def operations(self) -> Operations:
        """What faults can name."""

    def claims(self, host: str) -> bool:
        """Whether requests to this lower-case host name (no port) are answered here."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""

    def operation(self, environ: Environ, body: bytes) -> str:
        """The name of the operation asked for, as faults and the request log spell it:
        ``ec2:CreateVpc``.
        """

    def refusal(self, environ: Environ, body: bytes, kind: str) -> Answer:
        """The vendor's own answer for an injected fault.

        ``kind`` is ``throttle`` (the service's throttling error), ``error`` (its 5xx) or
        ``unimplemented`` (501 in the service's error format).
        """

    def refused(self, environ: Environ, body: bytes, rule: Rule) -> Answer:
        """The error that a rule of kind ``refuse`` asks for, in the service's wire format."""

    def environment(self) -> Mapping[str, str]:
        """The variables this cloud's own clients need besides the proxy and the CA (keys, region,
        config files).
        """

    def warm(self) -> None:
        """Load what the first request would wait for; called once on a thread of its own."""

    def reset(self) -> None:
        """Forget every resource."""
