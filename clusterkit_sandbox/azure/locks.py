"""Management locks, on a subscription, a group or a resource.

What they do: the vendor's page "Lock your resources"; answers: a recorded session of the JavaScript
SDK (Azure/azure-sdk-for-js, resources-locks). A list has the locks at, above and below its scope,
with the filter ``atScope()`` those at and above it (Azure/azure-powershell, Get-AzResourceLock). A
scope that is not there is not found (hashicorp/terraform-provider-azurerm#20923).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clusterkit_sandbox.azure.assignments import require_group, require_scope
from clusterkit_sandbox.azure.failure import Json, not_emulated, not_found, refusal
from clusterkit_sandbox.azure.ids import parse
from clusterkit_sandbox.azure.resources import Lock
from clusterkit_sandbox.azure.service import Call, Reply, operation
from clusterkit_sandbox.azure.store import Store

CAN_NOT_DELETE, READ_ONLY = "CanNotDelete", "ReadOnly"
_LEVELS = {one.lower(): one for one in (CAN_NOT_DELETE, READ_ONLY, "NotSpecified")}
_NAME = re.compile(r"[^<>%&:\\?/\x00-\x1f]{1,260}")
"""The page of "Management Locks - Create Or Update At Resource Group Level", as is the length of
the notes; how others are refused was not read.
"""
_NOTES = 512


def at(store: Store, scope: str) -> Iterator[Lock]:
    """The locks that hold at a scope: those at it and above it. ``scope`` is in lower case."""
    for lock in store.all(Lock):
        if scope == lock.locked or scope.startswith(f"{lock.locked}/"):
            yield lock


def below(store: Store, scope: str) -> Iterator[Lock]:
    """The locks of what is in a scope, which is in lower case."""
    for lock in store.all(Lock):
        if lock.locked.startswith(f"{scope}/"):
            yield lock


@operation(
    "locks:ManagementLocks_CreateOrUpdateAtResourceGroupLevel",
    "locks:ManagementLocks_CreateOrUpdateAtSubscriptionLevel",
    "locks:ManagementLocks_CreateOrUpdateByScope",
)
def _put(call: Call) -> object:
    scope, _, name = call.path.rpartition("/")
    scope = scope[: scope.lower().rindex("/providers/")]
    name, sent = str(call["lockName"]), call.body["properties"]
    level = _LEVELS.get(str(sent["level"]).lower())
    if level is None:
        why = f"Error converting value \"{sent['level']}\". Path 'properties.level'."
        raise refusal("InvalidRequestContent", why=why)
    if level not in (CAN_NOT_DELETE, READ_ONLY):
        raise not_emulated(f"a lock of level {level}")
    if not _NAME.fullmatch(name) or len(sent.get("notes") or "") > _NOTES:
        raise not_emulated("a lock with a name or notes that are not allowed")
    require_scope(call, scope)
    properties = {key: one for key, one in {**sent, "level": level}.items() if one is not None}
    shown: Json = {
        "id": f"{scope}/providers/Microsoft.Authorization/locks/{name}",
        "name": name,
        "type": "Microsoft.Authorization/locks",
        "properties": properties,
    }
    old = call.store.find(Lock, shown["id"])
    if old is not None:
        old.shown["properties"] = properties
        return old.shown
    return Reply(201, call.store.put(Lock(shown)).shown)


@operation(
    "locks:ManagementLocks_GetAtResourceGroupLevel",
    "locks:ManagementLocks_GetAtSubscriptionLevel",
    "locks:ManagementLocks_GetByScope",
)
def _get(call: Call) -> object:
    found = call.store.find(Lock, call.path)
    if found is None:
        place = parse(call.path)
        raise not_found(place.namespace, place.place, place.group)
    return found.shown


@operation(
    "locks:ManagementLocks_DeleteAtResourceGroupLevel",
    "locks:ManagementLocks_DeleteAtSubscriptionLevel",
    "locks:ManagementLocks_DeleteByScope",
)
def _delete(call: Call) -> object:
    found = call.store.find(Lock, call.path)
    if found is None:
        return Reply(204)
    call.store.remove(found)
    return Reply(200)


@operation(
    "locks:ManagementLocks_ListAtResourceGroupLevel",
    "locks:ManagementLocks_ListAtSubscriptionLevel",
    "locks:ManagementLocks_ListByScope",
)
def _list(call: Call) -> object:
    scope = call.path.lower().rpartition("/providers/")[0]
    require_group(call, scope)
    found = list(at(call.store, scope))
    if "atscope()" not in str(call.get("$filter", "")).lower():
        found += below(call.store, scope)
    return call.page([lock.shown for lock in found])
