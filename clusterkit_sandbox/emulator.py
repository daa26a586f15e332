"""The interface between the sandbox and its emulators.

The proxy (``proxy.py``) terminates TLS and passes each request to the emulator that ``claims()``
its host name. An emulator is a WSGI application that knows nothing of TLS, the daemon or
clusterkit's drivers. What it shares with the rest of the sandbox is in its ``SandboxContext``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from clusterkit_sandbox.answer import Answer, Environ, StartResponse
from clusterkit_sandbox.content import Content
from clusterkit_sandbox.fault_targets import Operations

if TYPE_CHECKING:
    from clusterkit_sandbox.faults import Faults, Rule
    from clusterkit_sandbox.kube.interfaces import KubeServer
    from clusterkit_sandbox.pace import Pace
    from clusterkit_sandbox.permissions import Permissions
    from clusterkit_sandbox.registry.service import Service
    from clusterkit_sandbox.requestlog import RequestLog


@dataclass(frozen=True)
class SandboxContext:
    """What the sandbox provides to every emulator."""

    pace: Pace
    faults: Faults
    requests: RequestLog
    kube: KubeServer
    directory: Path
    """The sandbox's private directory (0700), removed when it stops."""

    @cached_property
    def content(self) -> Content:
        """What the registries hold."""
        return Content(self.directory / "registry")


class Emulator(Protocol):
    """One cloud."""

    @property
    def name(self) -> str:
        """The cloud's name in profiles: ``eks``, ``alibaba``, ..."""

    @property
    def operations(self) -> Operations:
        """What faults can name."""

    @property
    def registry(self) -> Service | None:
        """The cloud's registry, whose hosts are not among those that ``claims`` knows."""

    def claims(self, host: str) -> bool:
        """Whether this emulator serves the host name (lower case, no port)."""

    def certified(self, host: str) -> bool:
        """Whether the certificate of this host of a cluster is of an authority that clients trust
        anyway, not of the cluster's own.
        """

    def barred(self, host: str) -> str:
        """Why this machine may not connect to the endpoint of an emulated cluster with this host
        name; empty if it may, or if the host is none of this cloud's.
        """

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""

    def operation(self, environ: Environ, body: bytes) -> str:
        """The operation requested, as faults and the request log name it: ``ec2:CreateVpc``."""

    def refusal(self, environ: Environ, body: bytes, kind: str) -> Answer:
        """The vendor's response for an injected fault.

        ``kind`` is ``throttle`` (the service's throttling error), ``error`` (its 5xx) or
        ``unimplemented`` (501 in the service's error format).
        """

    def refused(self, environ: Environ, body: bytes, rule: Rule) -> Answer:
        """The error that a rule of kind ``refuse`` asks for, in the service's wire format."""

    def environment(self) -> Mapping[str, str]:
        """The variables that this cloud's clients need besides the proxy and the CA: keys, region,
        configuration files.
        """

    def identity(self, permissions: Permissions) -> Mapping[str, str]:
        """Make a user of the account with these permissions, and return its ``environment``. A
        call that needs more is refused in the service's words.
        """

    def warm(self) -> None:
        """Load what the first request needs; called once, on a separate thread."""

    def reset(self) -> None:
        """Remove every resource."""
