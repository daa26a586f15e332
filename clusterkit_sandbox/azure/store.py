"""The account's resources, and the conditions under which it operates."""

from __future__ import annotations

import ipaddress
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from clusterkit_sandbox.azure.account import SUBSCRIPTIONS, Caller
from clusterkit_sandbox.azure.catalogue import CORE_QUOTA, FAMILY_QUOTA
from clusterkit_sandbox.azure.resources import KINDS, Group, Lock, Resource, RoleAssignment
from clusterkit_sandbox.azure.running import ArmOperations
from clusterkit_sandbox.azure.throttling import Buckets
from clusterkit_sandbox.azure.tokens import Tokens
from clusterkit_sandbox.content import Content
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kit import store as kept
from clusterkit_sandbox.kit.life import Clock
from clusterkit_sandbox.kit.quotas import quota
from clusterkit_sandbox.pace import Pace

R = TypeVar("R", bound=Resource)
ALWAYS = ("Microsoft.Authorization", "Microsoft.Resources")
"""Namespaces that every subscription has registered (Resource Manager, "Resource providers")."""
IN_USE = (
    "Microsoft.Compute", "Microsoft.ContainerRegistry", "Microsoft.ContainerService",
    "Microsoft.ManagedIdentity", "Microsoft.Network", "Microsoft.Storage",
)  # fmt: skip
"""Namespaces that a subscription has registered in which clusters have been made."""
_PUBLIC = [
    str(address)
    for block in ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24")
    for address in ipaddress.IPv4Network(block).hosts()
]


@dataclass
class Conditions:
    """What differs between accounts; may be changed at any time."""

    registered: tuple[str, ...] = IN_USE
    """the namespaces that are registered at first; read by ``reset``. A new subscription has none
    of these
    """
    cores: int = field(default_factory=lambda: quota(CORE_QUOTA))
    """of all families together, in a region"""
    family_cores: dict[str, int] = field(default_factory=dict)
    """of a family, in a region, where it is not the usual"""
    sold_out: set[tuple[str, str]] = field(default_factory=set)
    """(VM size, zone) without capacity; ``*`` is every size, an empty zone a pool without zones"""
    restricted: set[tuple[str, str]] = field(default_factory=set)
    """(VM size, region) that the subscription may not use; ``*`` is every size"""
    disallowed: set[str] = field(default_factory=set)
    """types of resources that a policy of the organisation does not allow, in lower case"""
    taken: set[str] = field(default_factory=set)
    """names of registries, storage accounts and key vaults that others have, in lower case"""
    labelled: bool = False
    """whether the login server of a new registry has a hash in it"""
    joining: bool = True
    """new machines become nodes"""
    odd_status: str = ""
    """what operations of Kubernetes Service show while they run, where it is not ``InProgress``:
    ``ProvisionControlPlane`` (terraform-provider-azurerm#28878)
    """
    unseen_polls: int = 0
    """how often an operation is not found before it is (go-azure-sdk, poller_lro.go)"""
    lingering: bool = False
    """whether lists of a group's or subscription's resources have deleted ones for a while
    (terraform-provider-azurerm, resource_group_resource.go: up to ten minutes)
    """
    reverting: bool = False
    """whether the cluster's add-on manager restores its default storage class"""

    def family(self, name: str) -> int:
        """The quota of a family."""
        return self.family_cores.get(name, quota(FAMILY_QUOTA))


class Store(kept.Store):
    """All resources of the account's subscriptions, and their clock."""

    def __init__(self, pace: Pace, faults: Faults, content: Content) -> None:
        super().__init__()
        self.faults = faults
        self.content = content
        self.clock = Clock(pace)
        self.conditions = Conditions()
        self.tokens = Tokens()
        self.operations = ArmOperations(self.clock, self.lock)
        self.buckets = Buckets(self.clock)
        self.registered: dict[tuple[str, str], str] = {}
        """(subscription, namespace in lower case) to its registration state"""
        self.ghosts: list[tuple[Resource, float]] = []
        """deleted resources, and until when by the clock lists have them all the same"""
        self.writing: dict[str, float] = {}
        """managed identity whose federated credentials are being written, and until when"""
        self.born: dict[str, float] = {}
        """object id of a managed identity, and when by the clock the directory has it everywhere"""
        self.leaving: dict[str, float] = {}
        """container that was deleted, by its id in lower case, and until when its name is taken"""
        self._random = random.Random()
        self.furnish()

    def furnish(self) -> None:
        """Register what the subscriptions have registered at first."""
        for subscription in SUBSCRIPTIONS:
            for namespace in (*ALWAYS, *self.conditions.registered):
                self.registered[subscription, namespace.lower()] = "Registered"

    def clear(self) -> None:
        """Remove every resource and pending change; credentials and conditions stay."""
        self.clock.clear()
        with self.lock:
            super().clear()
            self.operations.clear()
            self.buckets.clear()
            self.registered.clear()
            self.ghosts.clear()
            self.writing.clear()
            self.born.clear()
            self.leaving.clear()
            self.furnish()

    # finding

    def find(self, kind: type[R], identifier: str) -> R | None:
        """A resource by its id, in any case."""
        return self.get(kind, identifier.lower().rstrip("/"))

    def any(self, identifier: str) -> Resource | None:
        """A resource of any kind by its id, in any case."""
        kinds: tuple[type[Resource], ...] = (Group, *KINDS)
        return next((one for kind in kinds if (one := self.find(kind, identifier))), None)

    def under(self, kind: type[R], place: str) -> list[R]:
        """The resources of a kind in a resource or group, by its id in any case."""
        lower = place.lower()
        return [one for one in self.all(kind) if one.under(lower)]

    def linger(self, one: Resource) -> None:
        """Keep a resource that is gone in lists, where it is so."""
        if self.conditions.lingering:
            self.ghosts.append((one, self.clock.due("azure/list/lag")))

    def listed(self, place: str) -> Iterator[Resource]:
        """What lists of resources have: everything in a group or subscription, and for a while what
        is no more, where deletions take their time to get about.
        """
        now, lower = self.clock.now, place.lower()
        self.ghosts = [(one, until) for one, until in self.ghosts if until > now]
        yield from self.contents(place)
        for one, _ in self.ghosts:
            if one.under(lower) and self.find(type(one), one.id) is None:
                yield one

    def contents(self, place: str) -> Iterator[Resource]:
        """Everything in a resource or group."""
        for kind in KINDS:
            yield from self.under(kind, place)

    def extensions(self, place: str) -> Iterator[Resource]:
        """The role assignments and locks at a scope and in it, which go along with it."""
        yield from self.under(RoleAssignment, place)
        yield from self.under(Lock, place)

    # making

    def put(self, one: R) -> R:
        """Add it, or note that it has changed."""
        if self.get(type(one), one.id) is not one:
            self.add(one)
        one.etag = self.new_uuid()
        if "etag" in one.shown:
            one.shown["etag"] = f'W/"{one.etag}"'
        return one

    def principal(self, object_id: str) -> Caller | None:
        """The principal of the directory with this object id, if it is known."""
        return self.tokens.principal(object_id)

    def new_hex(self, length: int = 8) -> str:
        """Hexadecimal."""
        return uuid.UUID(int=self._random.getrandbits(128)).hex[:length]

    def new_number(self, length: int = 8) -> str:
        """Figures, as in the names of scale sets."""
        return str(self._random.randrange(10 ** (length - 1), 10**length))

    def new_uuid(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def new_address(self) -> str:
        """A public address of the ranges for documentation (RFC 5737); they may repeat."""
        return self._random.choice(_PUBLIC)
