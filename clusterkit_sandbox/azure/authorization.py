"""Which actions a call needs, and who may do them where.

"Azure permissions" lists the actions of each resource provider; they follow a rule, which is here:
the type, then ``read``, ``write``, ``delete`` or the name of the action. A request that makes one
resource use another needs an action on that one too ("Linked access checks"). A role that has just
been given takes effect later ("Troubleshoot Azure RBAC").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from clusterkit_sandbox.azure import ids, roles
from clusterkit_sandbox.azure.account import Caller
from clusterkit_sandbox.azure.failure import refusal
from clusterkit_sandbox.azure.model import Asked
from clusterkit_sandbox.azure.resources import RoleAssignment, RoleDefinition
from clusterkit_sandbox.azure.store import Store

_VERBS: Mapping[str, str] = {
    "DELETE": "delete",
    "GET": "read",
    "HEAD": "read",
    "PATCH": "write",
    "PUT": "write",
}
_OTHERS: Mapping[str, str] = {
    "containerregistry:Registries_CheckNameAvailability": (
        "Microsoft.ContainerRegistry/checkNameAvailability/read"
    ),
    "keyvault:Vaults_CheckNameAvailability": "Microsoft.KeyVault/checkNameAvailability/read",
    "resources:Providers_Get": "Microsoft.Resources/subscriptions/providers/read",
    "resources:Providers_List": "Microsoft.Resources/subscriptions/providers/read",
    "resources:Resources_List": "Microsoft.Resources/subscriptions/resources/read",
    "storage:StorageAccounts_CheckNameAvailability": (
        "Microsoft.Storage/checknameavailability/read"
    ),
    "subscriptions:Subscriptions_CheckZonePeers": "Microsoft.Resources/checkZonePeers/action",
}
_FREE = frozenset(
    {
        "resources:Providers_GetAtTenantScope",
        "resources:Providers_ListAtTenantScope",
        "subscriptions:Subscriptions_List",
        "subscriptions:Tenants_List",
    }
)
"""What everybody may do: lists of what is one's own."""
_LINKED: Mapping[str, str] = {
    "microsoft.managedidentity/userassignedidentities": "assign/action",
    "microsoft.network/natgateways": "join/action",
    "microsoft.network/networksecuritygroups": "join/action",
    "microsoft.network/publicipaddresses": "join/action",
    "microsoft.network/routetables": "join/action",
    "microsoft.network/virtualnetworks/subnets": "join/action",
}
_NAMES: Mapping[str, str] = {
    "microsoft.managedidentity/userassignedidentities": (
        "Microsoft.ManagedIdentity/userAssignedIdentities"
    ),
    "microsoft.network/natgateways": "Microsoft.Network/natGateways",
    "microsoft.network/networksecuritygroups": "Microsoft.Network/networkSecurityGroups",
    "microsoft.network/publicipaddresses": "Microsoft.Network/publicIPAddresses",
    "microsoft.network/routetables": "Microsoft.Network/routeTables",
    "microsoft.network/virtualnetworks/subnets": "Microsoft.Network/virtualNetworks/subnets",
}


def needed(asked: Asked, method: str) -> str:
    """The action that a call needs; empty if it needs none."""
    if asked.operation in _FREE:
        return ""
    if asked.operation in _OTHERS:
        return _OTHERS[asked.operation]
    path = re.sub(r"{\+?namespace}", asked.path.get("namespace", ""), asked.template)
    if asked.name in ("Providers_Register", "Providers_Unregister"):
        return f"{asked.path['resourceProviderNamespace']}/{path.rpartition('/')[2]}/action"
    if "/providers/" in path:
        namespace, *rest = path.rpartition("/providers/")[2].strip("/").split("/")
    else:
        namespace, rest = "Microsoft.Resources", path.strip("/").split("/")
    kept = [one for one in rest if not one.startswith("{") and one != "default"]
    if method == "POST":
        return "/".join((namespace, *kept, "action"))
    return "/".join((namespace, *kept, _VERBS[method]))


def scope_of(asked: Asked, path: str) -> str:
    """Where the action is needed: the resource, or what a list is of."""
    template = asked.template
    if template.endswith("}") or path.count("/") <= 2:
        return path.rstrip("/")
    if "/providers/" in path.lower():
        above = ids.parse(path)
        if not above.names:
            return path.lower().rpartition("/providers/")[0]
    return path.rstrip("/").rpartition("/")[0]


def linked(body: object, own: str) -> Iterator[tuple[str, str]]:
    """The actions that the body of a PUT needs on what it refers to, and there."""
    for reference in sorted(set(ids.references(body))):
        kind = ids.parse(reference).type
        if kind in _LINKED and not reference.startswith(own.lower()):
            yield f"{_NAMES[kind]}/{_LINKED[kind]}", reference


def may(
    store: Store,
    caller: Caller,
    action: str,
    scope: str,
    *,
    data: bool = False,
    meant: Callable[[RoleAssignment], bool] = lambda _: True,
) -> bool:
    """Whether a caller may do something somewhere, by the role assignments that are ``meant``."""
    if caller.limits is not None:
        return caller.limits.missing((action,)) is None
    return caller.owner or any(
        role.allows_data(action) if data else role.allows(action)
        for role in roles_at(store, caller, scope, meant)
    )


def roles_at(
    store: Store,
    caller: Caller,
    scope: str,
    meant: Callable[[RoleAssignment], bool] = lambda _: True,
) -> Iterator[roles.Role]:
    """The roles that a caller has at a scope, there or above, as far as they have taken effect."""
    where = scope.lower().rstrip("/")
    for one in store.all(RoleAssignment):
        properties = one.properties
        above = properties["scope"].lower().rstrip("/")
        if properties["principalId"] not in (caller.object_id, *caller.groups) or not meant(one):
            continue
        if (where == above or where.startswith(f"{above}/")) and one.begins <= store.clock.now:
            role = definition(store, properties["roleDefinitionId"])
            if role is not None:
                yield role


def definition(store: Store, identifier: str) -> roles.Role | None:
    """A role by the id of its definition."""
    name = identifier.lower().rpartition("/")[2]
    if name in roles.BUILT_IN:
        return roles.BUILT_IN[name]
    for one in store.all(RoleDefinition):
        if one.name.lower() == name:
            sets = one.properties.get("permissions") or ()
            permissions = tuple(roles.Permission.read(given or {}) for given in sets)
            return roles.Role(one.name, one.properties.get("roleName", ""), permissions)
    return None


def check(store: Store, caller: Caller, action: str, scope: str) -> None:
    """Raise Resource Manager's refusal if the caller may not do this."""
    if action and not may(store, caller, action, scope):
        raise refusal("AuthorizationFailed", client=client(caller), action=action, scope=scope)


def check_linked(store: Store, caller: Caller, action: str, scope: str, body: object) -> None:
    """The same for what a body refers to."""
    for wanted, where in linked(body, scope):
        if not may(store, caller, wanted, where):
            raise refusal(
                "LinkedAuthorizationFailed",
                client=client(caller),
                action=action,
                scope=scope,
                wanted=wanted,
                where=where,
            )


def client(caller: Caller) -> str:
    """How refusals call a principal."""
    return f"The client '{caller.client_id}' with object id '{caller.object_id}'"
