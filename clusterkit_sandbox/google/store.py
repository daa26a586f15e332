"""The account's resources, and the conditions under which it operates."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from clusterkit_sandbox.content import Content
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.google.account import HOST_PROJECT, PROJECT, PROJECTS
from clusterkit_sandbox.google.catalogue import PROJECT_QUOTAS, REGION_QUOTAS
from clusterkit_sandbox.google.resources import Change
from clusterkit_sandbox.google.tokens import Caller, Tokens
from clusterkit_sandbox.google.uploads import Sessions
from clusterkit_sandbox.kit import calls
from clusterkit_sandbox.kit import store as kept
from clusterkit_sandbox.kit.life import Clock
from clusterkit_sandbox.kit.operations import Operations
from clusterkit_sandbox.kit.quotas import quotas
from clusterkit_sandbox.pace import Pace

ENABLED = ("cloudapis", "logging", "monitoring", "servicemanagement", "serviceusage", "storage")
"""Services that a new project has enabled (Service Usage, "Services enabled by default")."""
ACTIVATED = (
    "artifactregistry", "cloudresourcemanager", "compute", "container", "iam", "iamcredentials"
)  # fmt: skip
"""Those that clusterkit needs besides."""


@dataclass
class Conditions:
    """What differs between accounts; may be changed at any time."""

    activated: bool = True
    """the services in ``ACTIVATED`` are enabled; read by ``reset``"""
    region_quotas: dict[str, int] = field(default_factory=lambda: quotas(REGION_QUOTAS))
    project_quotas: dict[str, int] = field(default_factory=lambda: quotas(PROJECT_QUOTAS))
    sold_out: set[tuple[str, str]] = field(default_factory=set)
    """(machine type, zone); ``*`` is every type"""
    shared: bool = False
    """the second project's networks are shared with the first; read by ``reset``"""
    joining: bool = True
    """new machines become nodes"""
    taken_buckets: set[str] = field(default_factory=set)
    """the names of buckets that belong to somebody else"""
    own_upgrade: bool = False
    """Kubernetes Engine begins an upgrade of its own when a cluster has come up
    (hashicorp/terraform-provider-google#1643)
    """


class Store(kept.Store):
    """All resources of the account's projects, and their clock."""

    def __init__(self, pace: Pace, faults: Faults, content: Content) -> None:
        super().__init__()
        self.faults = faults
        self.content = content
        self.clock = Clock(pace)
        self.conditions = Conditions()
        self.tokens = Tokens()
        self.changes = Operations[Change](self.clock, self.lock, lambda _: None)
        """the operations of Compute Engine"""
        self.requests = calls.Tokens()
        """the ids of requests that have been answered"""
        self.enabled: dict[tuple[str, str], float] = {}
        """(project, service) that is enabled, and when by the clock it begins to be usable"""
        self.shared: dict[str, tuple[str, ...]] = {}
        """host project to the projects that may use its networks"""
        self.granted: Callable[[Caller, str, str], bool] = lambda *_: False
        """whether its roles give a caller a permission on a resource, by its path"""
        self.principal: Callable[[str], Caller | None] = lambda _: None
        """the service account with this address"""
        self.uploads: Sessions = {}
        """objects that are being sent to Cloud Storage in parts"""
        self._random = random.Random()
        self.furnish()

    def furnish(self) -> None:
        """Enable what the projects have enabled at first."""
        for project in PROJECTS:
            for service in ENABLED + (ACTIVATED if self.conditions.activated else ()):
                self.enabled[project, service] = 0.0
        if self.conditions.shared:
            self.shared[HOST_PROJECT] = (PROJECT,)

    def clear(self) -> None:
        """Remove every resource and pending change; keys and conditions stay."""
        self.clock.clear()
        with self.lock:
            super().clear()
            self.changes.clear()
            self.requests.clear()
            self.enabled.clear()
            self.shared.clear()
            self.uploads.clear()
            self.furnish()

    def usable(self, project: str, service: str) -> bool:
        """Whether a service is enabled in a project, and that has taken effect."""
        begins = self.enabled.get((project, service))
        return begins is not None and begins <= self.clock.now

    def new_number(self) -> str:
        """An id as Compute Engine's are."""
        return str(self._random.randrange(10**18, 9 * 10**18))

    def new_hex(self, length: int = 8) -> str:
        """Hexadecimal, as in the names that Kubernetes Engine makes."""
        return uuid.UUID(int=self._random.getrandbits(128)).hex[:length]

    def new_uuid(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
