"""The resources that the account has, each as Resource Manager shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from clusterkit_sandbox.azure import ids

RUNNING, STOPPED = "Running", "Stopped"
"""the codes of ``powerState``"""


@dataclass
class Resource:
    """One resource; ``shown`` is what the API shows, but for what follows from other resources."""

    shown: dict[str, Any]
    etag: str = ""
    changed: float = field(default_factory=time.time)
    scope = ""
    """ids are unique in the account"""

    @cached_property
    def id(self) -> str:
        """The id in lower case."""
        return str(self.shown["id"]).lower()

    @cached_property
    def parsed(self) -> ids.Id:
        """The parts of the id."""
        return ids.parse(self.shown["id"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.shown["name"])

    @property
    def location(self) -> str:
        """The region, ``eastus``; empty for what is in a resource that has one."""
        return str(self.shown.get("location", ""))

    @property
    def tags(self) -> dict[str, str]:
        """The tags."""
        found: dict[str, str] = self.shown.get("tags") or {}
        return found

    @property
    def properties(self) -> dict[str, Any]:
        """The members of ``properties``."""
        found: dict[str, Any] = self.shown.setdefault("properties", {})
        return found

    @property
    def state(self) -> str:
        """The provisioning state; empty for a kind that has none."""
        return str(self.properties.get("provisioningState", ""))

    def needs(self) -> Iterable[str]:
        """The ids of the resources that its body refers to."""
        return set(ids.references(self.properties)) - {self.id}

    def under(self, other: str) -> bool:
        """Whether it is in the resource or group with this id in lower case."""
        return self.id.startswith(f"{other}/")


class Group(Resource):
    """A resource group."""


class VirtualNetwork(Resource):
    """Its subnets are resources of their own."""


class Subnet(Resource):
    """A subnet of a virtual network."""


class NatGateway(Resource):
    """A NAT gateway."""


class PublicIp(Resource):
    """A public IP address."""


class SecurityGroup(Resource):
    """A network security group."""


class SecurityRule(Resource):
    """One rule of a network security group."""


class RouteTable(Resource):
    """A route table."""


class LoadBalancer(Resource):
    """A load balancer."""


class ApplicationSecurityGroup(Resource):
    """An application security group."""


class IpGroup(Resource):
    """A list of addresses."""


class Identity(Resource):
    """A user-assigned managed identity."""


class FederatedCredential(Resource):
    """Who may act as a managed identity."""


class SshPublicKey(Resource):
    """An SSH public key."""


class Disk(Resource):
    """A managed disk."""


@dataclass
class Machine:
    """One machine of a scale set."""

    number: int
    zone: str
    """``1``; empty for none"""
    address: str
    version: str
    """of Kubernetes"""
    joined: bool


@dataclass
class ScaleSet(Resource):
    """A virtual machine scale set of an agent pool."""

    pool: str = ""
    """the pool's id"""
    subnet: str = ""
    """the subnet's id, in lower case"""
    machines: list[Machine] = field(default_factory=list)

    def needs(self) -> Iterable[str]:
        """The subnet that its machines are in."""
        return (self.subnet, *super().needs())


@dataclass
class Cluster(Resource):
    """A managed cluster; its agent pools are resources of their own."""

    number: str = ""
    """what is in the names of what it makes"""
    own_subnet: str = ""
    """the id of the subnet that it made; empty if it was given one"""
    brought: bool = False
    """whether it was given a subnet"""

    @property
    def stopped(self) -> bool:
        """Whether it has been stopped."""
        return bool(self.properties["powerState"]["code"] == STOPPED)


class AgentPool(Resource):
    """An agent pool of a managed cluster."""

    @property
    def wanted(self) -> int:
        """The number of machines that it should have: its count, none if it is stopped."""
        stopped = self.properties["powerState"]["code"] == STOPPED
        return 0 if stopped else int(self.properties["count"])


@dataclass
class Registry(Resource):
    """A container registry."""

    passwords: tuple[str, ...] = ()

    def secrets(self, new: Callable[[int], str]) -> tuple[str, ...]:
        """The passwords of its administrator, made at the first use."""
        self.passwords = self.passwords or (new(32), new(32))
        return self.passwords


class CacheRule(Resource):
    """What a registry caches of another one."""


class CredentialSet(Resource):
    """With what a registry authenticates to another one."""


@dataclass
class StorageAccount(Resource):
    """A storage account; its blob service and its containers are resources of their own."""

    keys: tuple[str, ...] = ()
    """in base64"""

    def needs(self) -> Iterable[str]:
        """Nothing: whom its rules of access name may go."""
        return ()


class BlobService(Resource):
    """The blob service of a storage account."""


class BlobContainer(Resource):
    """A container of blobs."""


class Vault(Resource):
    """A key vault."""

    def needs(self) -> Iterable[str]:
        """Nothing: whom its rules of access name may go."""
        return ()


@dataclass
class DeletedVault(Resource):
    """A key vault that was deleted, and may be restored until it is purged."""

    vault: Vault = field(default_factory=lambda: Vault({}))

    @property
    def group(self) -> str:
        """The resource group that it was in, by its id in lower case."""
        return ids.parent(self.vault.id)


class DnsZone(Resource):
    """A DNS zone."""


@dataclass
class RoleAssignment(Resource):
    """A role that a principal has at a scope."""

    begins: float = 0.0
    """when by the clock it takes effect"""


class Lock(Resource):
    """A management lock."""

    @property
    def locked(self) -> str:
        """The id of the subscription, group or resource that it is on, in lower case."""
        return self.id[: self.id.rindex("/providers/")]

    def needs(self) -> Iterable[str]:
        """Nothing, whatever its notes say."""
        return ()


class RoleDefinition(Resource):
    """A role of the account's own."""


KINDS: tuple[type[Resource], ...] = (
    AgentPool,
    ApplicationSecurityGroup,
    BlobContainer,
    BlobService,
    CacheRule,
    Cluster,
    CredentialSet,
    Disk,
    DnsZone,
    FederatedCredential,
    Identity,
    IpGroup,
    LoadBalancer,
    NatGateway,
    PublicIp,
    Registry,
    RouteTable,
    ScaleSet,
    SecurityGroup,
    SecurityRule,
    SshPublicKey,
    StorageAccount,
    Subnet,
    Vault,
    VirtualNetwork,
)
"""What a resource group may have in it."""
