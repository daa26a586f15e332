"""The EKS emulator's records: each has its API object and its next state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clusterkit_sandbox.kube.interfaces import KubeCluster

Shown = dict[str, Any]
"""an API object, with the members botocore's description names"""


@dataclass
class Record:
    """A resource with a status: at ``due`` it becomes ``then`` (None: removed)."""

    shown: Shown
    due: float | None = None
    then: str | None = None
    arrived: Callable[[], None] | None = None
    """called when ``then`` is reached"""

    @property
    def status(self) -> str:
        """The status the API shows."""
        return str(self.shown["status"])

    def go(
        self,
        status: str,
        due: float,
        then: str | None,
        arrived: Callable[[], None] | None = None,
    ) -> None:
        """Set a status now and another at ``due``."""
        self.shown["status"] = status
        self.due, self.then, self.arrived = due, then, arrived


@dataclass
class Group(Record):
    """A node group, with its machines in EC2."""

    instances: list[str] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    security_group: str | None = None


@dataclass
class Access:
    """An access entry and its policies by ARN."""

    shown: Shown
    policies: dict[str, Shown] = field(default_factory=dict)


@dataclass
class ClusterRecord(Record):
    """A cluster with everything in it."""

    region: str = ""
    host: str = ""
    groups: dict[str, Group] = field(default_factory=dict)
    addons: dict[str, Record] = field(default_factory=dict)
    fargate: dict[str, Record] = field(default_factory=dict)
    access: dict[str, Access] = field(default_factory=dict)
    identities: dict[str, Shown] = field(default_factory=dict)
    updates: dict[str, Shown] = field(default_factory=dict)
    interfaces: list[str] = field(default_factory=list)
    kube: KubeCluster | None = None
    running: list[tuple[float, Shown, Callable[[], None]]] = field(default_factory=list)
    """running updates: when they end, the update, and what to call then"""


@dataclass
class Region:
    """One region's clusters and client request tokens."""

    clusters: dict[str, ClusterRecord] = field(default_factory=dict)
    tokens: dict[str, tuple[str, Shown]] = field(default_factory=dict)
    """client request token to (the parameters' digest, the answer's object)"""
