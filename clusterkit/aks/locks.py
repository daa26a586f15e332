"""Locks of Resource Manager: what somebody has put on a thing, so that nobody deletes it.

A lock holds for all below its scope, role assignments and federated credentials included
(https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources,
MicrosoftDocs/azure-docs#110791, Azure/azure-cli#28242), and what has a locked thing in it cannot be
deleted either. A lock that stops a delete half-way leaves half a cluster, so they are looked for
first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from clusterkit.aks import ids
from clusterkit.aks.client import Clients
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope
from clusterkit.errors import CloudError

TYPE = "/providers/Microsoft.Authorization/locks"
READ_ONLY = "ReadOnly"


class ManagementLock(NamedTuple):
    """A lock."""

    path: str
    level: str
    """``CanNotDelete`` or ``ReadOnly``"""
    scope: str
    """key of what it was put on: a subscription, a group, a resource"""

    @property
    def name(self) -> str:
        return ids.last(self.path)

    @property
    def cure(self) -> str:
        """The command that takes it off."""
        return f"az lock delete --ids {self.path}"

    def covers(self, identifier: str) -> bool:
        """Whether a thing cannot be changed because of it."""
        return f"{ids.key(identifier)}/".startswith(f"{self.scope}/")

    def keeps(self, identifier: str) -> bool:
        """Whether a thing cannot be deleted because of it."""
        return self.covers(identifier) or f"{self.scope}/".startswith(f"{ids.key(identifier)}/")


def locks(client: Clients) -> Iterator[ManagementLock]:
    """Every lock of the subscription and below it."""
    for shown in client.pages(f"{client.path}{TYPE}"):
        scope = ids.key(shown["id"]).partition(TYPE.lower())[0]
        yield ManagementLock(shown["id"], str(shown["properties"].get("level") or ""), scope)


def on(scope: Scope[Clients], *identifiers: str) -> Iterator[Occupant]:
    """The locks that keep something from being deleted. Where they may not be read, the delete
    tells.
    """
    try:
        found = [lock for lock in locks(scope.client) if any(map(lock.keeps, identifiers))]
    except CloudError:
        return
    for lock in found:
        yield Occupant("lock", ids.key(lock.path), lock.level, lock.cure)
