"""Role assignments and role definitions, and what the caller may do.

Codes: facts/azure.tsv. A managed identity that has just been made is not known everywhere in the
directory: an assignment that does not say what its principal is answers PrincipalNotFound then
("Troubleshoot Azure RBAC", new principal).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clusterkit_sandbox.azure import ids
from clusterkit_sandbox.azure.account import GROUP, TENANT
from clusterkit_sandbox.azure.authorization import definition, roles_at
from clusterkit_sandbox.azure.failure import Json, no_group, refusal
from clusterkit_sandbox.azure.resources import Group, RoleAssignment, RoleDefinition
from clusterkit_sandbox.azure.roles import BUILT_IN, Permission, Role
from clusterkit_sandbox.azure.running import rfc3339
from clusterkit_sandbox.azure.service import Call, Reply, operation

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_EQUALS = re.compile(r"(principalId|roleName|type) eq '([^']*)'")
_ASSIGNED = re.compile(r"assignedTo\('([^']*)'\)")


@operation("authorization:RoleAssignments_Create")
def _create(call: Call) -> object:
    store, body = call.store, call.body["properties"]
    scope, name = f"/{call['scope']}", str(call["roleAssignmentName"])
    if not _GUID.fullmatch(name):
        raise refusal("InvalidRoleAssignmentId", name=name)
    require_scope(call, scope)
    role, principal = str(body["roleDefinitionId"]), str(body["principalId"]).lower()
    if definition(store, role) is None:
        raise refusal("RoleDefinitionDoesNotExist", role=role.rpartition("/")[2])
    _require_principal(call, principal, bool(body.get("principalType")))
    old = store.find(RoleAssignment, call.path)
    wanted = _key(scope, role, principal)
    for one in store.all(RoleAssignment):
        if one is not old and _key_of(one) == wanted:
            raise refusal("RoleAssignmentExists")
    if old is not None and _key_of(old) != wanted:
        raise refusal("RoleAssignmentUpdateNotPermitted")
    shown: Json = {
        "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}",
        "name": name,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "roleDefinitionId": role,
            "principalId": principal,
            "principalType": body.get("principalType", "ServicePrincipal"),
            "scope": scope,
            "condition": body.get("condition"),
            "conditionVersion": body.get("conditionVersion"),
            "description": body.get("description"),
            "delegatedManagedIdentityResourceId": body.get("delegatedManagedIdentityResourceId"),
            "createdOn": rfc3339(),
            "updatedOn": rfc3339(),
            "createdBy": call.caller.object_id,
            "updatedBy": call.caller.object_id,
        },
    }
    if old is not None:
        shown["properties"]["createdOn"] = old.properties["createdOn"]
        old.shown = shown
        return shown
    begins = store.clock.due("azure/role-assignment/effect")
    store.add(RoleAssignment(shown, begins=begins))
    return Reply(201, shown)


def _key(scope: str, role: str, principal: str) -> tuple[str, str, str]:
    return scope.lower(), role.lower().rpartition("/")[2], principal


def _key_of(one: RoleAssignment) -> tuple[str, str, str]:
    properties = one.properties
    return _key(properties["scope"], properties["roleDefinitionId"], properties["principalId"])


def require_group(call: Call, scope: str) -> None:
    """Refuse a scope whose group is not there."""
    place = ids.parse(scope)
    if (
        place.group
        and call.store.find(Group, ids.group_id(place.subscription, place.group)) is None
    ):
        raise no_group(place.group)


def require_scope(call: Call, scope: str) -> None:
    """Refuse a scope that is not there."""
    require_group(call, scope)
    place = ids.parse(scope)
    if place.names and call.store.any(scope) is None:
        raise refusal(
            "ResourceNotFound", namespace=place.namespace, place=place.place, group=place.group
        )


def _require_principal(call: Call, principal: str, typed: bool) -> None:
    known = principal == GROUP or call.store.principal(principal) is not None
    young = call.store.born.get(principal, 0.0) > call.store.clock.now
    if not known or (young and not typed):
        raise refusal("PrincipalNotFound", id=principal.replace("-", ""), tenant=TENANT)


@operation("authorization:RoleAssignments_Get")
def _get(call: Call) -> object:
    return _found(call).shown


def _found(call: Call) -> RoleAssignment:
    found = call.store.find(RoleAssignment, call.path)
    if found is None:
        name = call["roleAssignmentName"]
        raise refusal("RoleAssignmentNotFound", name=name)
    return found


@operation("authorization:RoleAssignments_Delete")
def _delete(call: Call) -> object:
    found = call.store.find(RoleAssignment, call.path)
    if found is None:
        return Reply(204)
    call.store.remove(found)
    return found.shown


@operation(
    "authorization:RoleAssignments_ListForResource",
    "authorization:RoleAssignments_ListForScope",
    "authorization:RoleAssignments_ListForSubscription",
    "authorization:RoleAssignments_ListForResourceGroup",
)
def _list(call: Call) -> object:
    """Those at the scope, above it and below it, as the filter says."""
    scope = call.path.lower().partition("/providers/microsoft.authorization")[0]
    asked = str(call.get("$filter", ""))
    equals, assigned = _EQUALS.search(asked), _ASSIGNED.search(asked)
    found = []
    for one in call.store.all(RoleAssignment):
        where = one.properties["scope"].lower()
        above = scope == where or scope.startswith(f"{where}/")
        below = where.startswith(f"{scope}/") and "atscope()" not in asked.lower()
        principal = one.properties["principalId"]
        if equals is not None and principal != equals[2].lower():
            continue
        if assigned is not None and principal != assigned[1].lower():
            continue
        if above or below:
            found.append(one.shown)
    return call.page(found)


# -- definitions -----------------------------------------------------------------------------------


def _definitions(call: Call) -> Iterator[Json]:
    for role in BUILT_IN.values():
        yield _shown(role)
    for one in call.store.all(RoleDefinition):
        yield one.shown


def _shown(role: Role) -> Json:
    return {
        "id": f"/providers/Microsoft.Authorization/roleDefinitions/{role.id}",
        "name": role.id,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole",
            "description": "",
            "assignableScopes": ["/"],
            "permissions": [one.shown for one in role.permissions],
        },
    }


@operation("authorization:RoleDefinitions_List")
def _list_definitions(call: Call) -> object:
    wanted = {name: value.lower() for name, value in _EQUALS.findall(call.get("$filter", ""))}
    scope = f"/{call['scope']}"
    place = ids.parse(scope)
    prefix = f"/subscriptions/{place.subscription}" if place.subscription else ""
    found = []
    for one in _definitions(call):
        properties = one["properties"]
        if wanted.get("roleName", properties["roleName"].lower()) != properties["roleName"].lower():
            continue
        if wanted.get("type", properties["type"].lower()) == properties["type"].lower():
            suffix = f"/providers/Microsoft.Authorization/roleDefinitions/{one['name']}"
            found.append({**one, "id": prefix + suffix})
    return call.page(found)


@operation("authorization:RoleDefinitions_Get")
def _get_definition(call: Call) -> object:
    name = str(call["roleDefinitionId"]).lower()
    for one in _definitions(call):
        if one["name"].lower() == name:
            return one
    raise refusal("RoleDefinitionDoesNotExist#asked", name=name)


@operation("authorization:RoleDefinitions_CreateOrUpdate")
def _put_definition(call: Call) -> object:
    name = str(call["roleDefinitionId"])
    if not _GUID.fullmatch(name):
        raise refusal("InvalidRoleDefinitionId", name=name)
    identifier = f"/providers/Microsoft.Authorization/roleDefinitions/{name}"
    properties = {"type": "CustomRole", "roleName": name, **(call.body.get("properties") or {})}
    shown = {"id": identifier, "name": name, "type": "Microsoft.Authorization/roleDefinitions",
             "properties": properties}  # fmt: skip
    old = call.store.get(RoleDefinition, identifier.lower())
    if old is not None:
        old.shown = shown
    else:
        call.store.add(RoleDefinition(shown))
    return Reply(201, shown)


@operation("authorization:RoleDefinitions_Delete")
def _delete_definition(call: Call) -> object:
    name = str(call["roleDefinitionId"]).lower()
    found = next((o for o in call.store.all(RoleDefinition) if o.name.lower() == name), None)
    if found is None:
        return Reply(204)
    users = [o for o in call.store.all(RoleAssignment) if name in o.properties["roleDefinitionId"]]
    if users:
        raise refusal("RoleDefinitionHasAssignments")
    call.store.remove(found)
    return found.shown


@operation("authorization:Permissions_ListForResourceGroup", "Permissions_ListForSubscription")
def _permissions(call: Call) -> object:
    """What the caller may do in the group, or in the subscription."""
    subscription = f"/subscriptions/{call.subscription}"
    place = call.group.id if call.get("resourceGroupName") else subscription
    if call.caller.limits is not None:
        allowed = Permission(actions=tuple(call.caller.limits.allowed))
        return {"value": [allowed.shown]}
    if call.caller.owner:
        return {"value": [Permission(actions=("*",)).shown]}
    roles = roles_at(call.store, call.caller, place)
    return {"value": [one.shown for role in roles for one in role.permissions]}
