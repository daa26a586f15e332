"""The lock of a cluster between machines: a VM scale set without machines.

It must be made by one of two who try at once, and few resources can be made on condition: of the
providers that a cluster needs only Microsoft.Compute documents ``If-None-Match: *``, for machines
and scale sets (azure-mgmt-compute 39, ``begin_create_or_update`` with ``match_condition``). A scale
set in flexible orchestration mode needs no description of a machine
(https://learn.microsoft.com/azure/virtual-machine-scale-sets/flexible-virtual-machine-scale-sets),
and one without machines costs nothing. Its name is unique in the resource group, which is made
first; its ``uniqueId`` tells one life from the next.

A policy may require tags of all that is made (Azure/AKS#4180), so the lock has those of the profile
and of its group. A group that was made for the lock goes with it, unless ``up`` has begun to use
it. Where the group of the profile is gone, what is left of the cluster elsewhere needs a lock all
the same.
"""

from __future__ import annotations

from typing import Any

from clusterkit.aks import group
from clusterkit.aks.client import Clients
from clusterkit.aks.tags import found, resource_name
from clusterkit.engine.cloud_lock import PREFIX, CloudLock, Held
from clusterkit.engine.kind import Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.errors import Gone
from clusterkit.naming import CLUSTER, NAME

EMPTY = {"orchestrationMode": "Flexible", "platformFaultDomainCount": 1}
"""a scale set of no machines"""
OURS = "clusterkit-"
MOST_TAGS = 50
"""(https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources)"""


class ScaleSetLock(CloudLock[Clients]):
    """A scale set that never scales."""

    def read(self, scope: Scope[Clients]) -> Held | None:
        shown = found(scope.client, _path(scope))
        if shown is None or _state(shown) == "Deleting":
            return None
        return Held(_id(shown), shown.get("tags") or {})

    def take(self, scope: Scope[Clients], tags: Tags) -> None:
        own, required = group.own_name(scope.cluster, scope.region), dict(scope.client.target.tags)
        there = group.named(scope.client, _home(scope))
        if there is None and _home(scope) == own:
            made_for_it = {CLUSTER: scope.cluster, NAME: group.MAIN, PREFIX: scope.cluster}
            group.provide(scope, {**required, **made_for_it})
        theirs = {**(there.tags if there else {}), **required}
        kept = [each for each in theirs.items() if not each[0].startswith(OURS)]
        body = {
            "location": scope.region,
            "tags": {**dict(kept[: MOST_TAGS - len(tags)]), **tags},
            "properties": EMPTY,
        }
        scope.client.call("PUT", _path(scope), body, {"If-None-Match": "*"})

    def write(self, scope: Scope[Clients], identifier: str, tags: Tags) -> None:
        shown = _same(scope, identifier)
        body = {"tags": {**(shown.get("tags") or {}), **tags}}
        scope.client.call("PATCH", _path(scope), body, {"If-Match": str(shown.get("etag") or "*")})

    def release(self, scope: Scope[Clients], identifier: str) -> Operation[Clients] | None:
        _same(scope, identifier)
        have = group.named(scope.client, group.own_name(scope.cluster, scope.region))
        if have and PREFIX in have.tags and group.empty(scope, have):
            # the lock in it is held until it is gone
            return scope.client.begin("DELETE", have.path)
        scope.client.call("DELETE", _path(scope))
        return None


def _path(scope: Scope[Clients]) -> str:
    name = resource_name(scope, f"{PREFIX}-{scope.region}")
    place = f"{scope.client.path}/resourceGroups/{_home(scope)}"
    return f"{place}/providers/Microsoft.Compute/virtualMachineScaleSets/{name}"


def _home(scope: Scope[Clients]) -> str:
    """The name of the group that the lock lies in: the cluster's, if it exists, or its own."""

    def look() -> str:
        name = group.home_name(scope)
        known = not scope.client.target.home or group.named(scope.client, name)
        return name if known else group.own_name(scope.cluster, scope.region)

    return scope.client.remembered("lock", look)


def _state(shown: dict[str, Any]) -> str:
    return str((shown.get("properties") or {}).get("provisioningState") or "")


def _id(shown: dict[str, Any]) -> str:
    return str((shown.get("properties") or {}).get("uniqueId") or shown["id"])


def _same(scope: Scope[Clients], identifier: str) -> dict[str, Any]:
    """The scale set, if it is still this one: a name may be used again."""
    shown = scope.client.call("GET", _path(scope))
    if _id(shown) != identifier:
        raise Gone("the lock is another one now", code="NotFound", operation="lock")
    return shown
