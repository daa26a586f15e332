"""What a fault can hit: the operations of each emulated cloud and of Kubernetes.

A rule that names something else is refused when it is set, instead of silently doing nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Protocol

KUBE = "kube:"
"""Operations of a cluster's own API begin with this: ``kube:create/namespaces``."""


class Operations(Protocol):
    """The operations of one cloud, so that a fault that could never hit anything is refused."""

    @property
    def services(self) -> Collection[str]:
        """``ec2``, ``iam``, …"""

    def names(self, service: str) -> Collection[str]:
        """Every operation of one of the services: ``ec2:CreateVpc``; Google's are method ids,
        ``compute.networks.insert``.
        """

    def other(self, pattern: str) -> bool:
        """Whether the pattern may match an operation that ``names`` cannot list."""

    @property
    def terminal(self) -> Collection[str]:
        """The operations whose outcome can be made to fail: ``eks:CreateCluster``."""

    @property
    def late(self) -> Collection[str]:
        """The creates whose resource can be made to appear late: ``ec2:CreateVpc``."""


def matches(pattern: str, operation: str) -> bool:
    """Whether a rule's pattern means this operation; ``*`` does not mean a cluster's own API."""
    if operation.startswith(KUBE) and not pattern.startswith(KUBE):
        return False
    return fnmatchcase(operation, pattern)


def why_no_effect(kind: str, pattern: str, clouds: Sequence[Operations]) -> str | None:
    """Why a fault of this kind on this pattern could not hit anything; None if it could."""
    if kind in ("terminal", "late"):
        able = {
            name
            for cloud in clouds
            for name in (cloud.terminal if kind == "terminal" else cloud.late)
        }
        if any(matches(pattern, name) for name in able):
            return None
        of_service = {name for name in able if _head(name) == _head(pattern)}
        works = ", ".join(sorted(of_service or able)) or "no operation here"
        return f"{kind} has no effect on {pattern}; it works on {works}"
    if pattern == "*" or any(_known(pattern, cloud) for cloud in clouds):
        return None
    return _unknown(pattern, clouds)


def _known(pattern: str, cloud: Operations) -> bool:
    if cloud.other(pattern):
        return True
    return any(
        matches(pattern, name)
        for service in cloud.services
        if _may_match(pattern, service)
        for name in cloud.names(service)
    )


def _may_match(pattern: str, service: str) -> bool:
    """Whether to look into a service at all: its description takes time to load."""
    head = _head(pattern)
    return head == pattern or fnmatchcase(service, head) or "[" in head


def _head(pattern: str) -> str:
    """``ec2`` of ``ec2:CreateVpc``, ``compute`` of ``compute.networks.insert``."""
    return re.split("[:.]", pattern, maxsplit=1)[0]


def _unknown(pattern: str, clouds: Sequence[Operations]) -> str:
    services = sorted({service for cloud in clouds for service in cloud.services})
    service = _head(pattern)
    if service not in services:
        return f"no service matches {service!r}; the sandbox has {', '.join(services)}"
    names = [n for cloud in clouds if service in cloud.services for n in cloud.names(service)]
    close = get_close_matches(pattern, names, 1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"{service} has no operation that matches {pattern}{meant}"
