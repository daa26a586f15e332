"""The EKS emulator's records: each has its API object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clusterkit_sandbox.kit.life import Living
from clusterkit_sandbox.kit.operations import LongRunning

Shown = dict[str, Any]
"""an API object, with the members botocore's description names"""


@dataclass
class Record(Living):
    """A resource with a status."""

    @property
    def status(self) -> str:
        """The status the API shows."""
        return str(self.shown["status"])


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
    access: dict[str, Access] = field(default_factory=dict)
    identities: dict[str, Shown] = field(default_factory=dict)
    interfaces: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """What tells its API server from others."""
        return f"{self.region}/{self.shown['name']}"


@dataclass(kw_only=True)
class Update(LongRunning):
    """An update; its ``parent`` is the cluster's ARN."""

    shown: Shown


@dataclass
class Region:
    """One region's clusters."""

    clusters: dict[str, ClusterRecord] = field(default_factory=dict)
