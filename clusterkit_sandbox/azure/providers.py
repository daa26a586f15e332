"""Resource providers: which a subscription has registered ("Resource providers and types")."""

from __future__ import annotations

from collections.abc import Mapping

from clusterkit_sandbox.azure.catalogue import REGIONS, display_name
from clusterkit_sandbox.azure.failure import Failure, Json, refusal
from clusterkit_sandbox.azure.service import Call, operation
from clusterkit_sandbox.azure.store import ALWAYS, Store

TYPES: Mapping[str, tuple[str, ...]] = {
    "Microsoft.AlertsManagement": (),
    "Microsoft.Authorization": (
        "locks",
        "permissions",
        "roleAssignments",
        "roleDefinitions",
    ),
    "Microsoft.Compute": ("disks", "sshPublicKeys", "virtualMachineScaleSets"),
    "Microsoft.ContainerRegistry": ("registries", "registries/cacheRules"),
    "Microsoft.ContainerService": ("managedClusters", "managedClusters/agentPools"),
    "Microsoft.Insights": (),
    "Microsoft.KeyVault": ("deletedVaults", "vaults"),
    "Microsoft.ManagedIdentity": ("userAssignedIdentities",),
    "Microsoft.Network": (
        "dnszones",
        "loadBalancers",
        "natGateways",
        "publicIPAddresses",
        "virtualNetworks",
    ),
    "Microsoft.OperationalInsights": (),
    "Microsoft.OperationsManagement": (),
    "Microsoft.PolicyInsights": (),
    "Microsoft.Resources": ("resourceGroups", "subscriptions", "tags"),
    "Microsoft.Storage": ("storageAccounts", "storageAccounts/blobServices"),
}
"""Namespace to the types that are named of it."""


def spelled(namespace: str) -> str:
    """A namespace as the vendor spells it; empty for one that is not known here."""
    return next((one for one in TYPES if one.lower() == namespace.lower()), "")


def state(store: Store, subscription: str, namespace: str) -> str:
    """The registration state of a namespace."""
    return store.registered.get((subscription, namespace.lower()), "NotRegistered")


def require(store: Store, subscription: str, namespace: str) -> None:
    """Refuse what needs a namespace that is not registered."""
    if namespace and state(store, subscription, namespace) != "Registered":
        text = (
            f"The subscription is not registered to use namespace '{namespace}'. See"
            " https://aka.ms/rps-not-found for how to register subscriptions."
        )
        detail = {"code": "MissingSubscriptionRegistration", "target": namespace, "message": text}
        raise Failure("MissingSubscriptionRegistration", text, details=[detail])


def _shown(call: Call, namespace: str, *, state_too: bool = True) -> Json:
    where = f"/subscriptions/{call.subscription}" if call.subscription else ""
    found: Json = {
        "id": f"{where}/providers/{namespace}",
        "namespace": namespace,
        "registrationPolicy": "RegistrationRequired",
        "resourceTypes": [
            {
                "resourceType": one,
                "locations": [display_name(region) for region in REGIONS],
                "apiVersions": [call.version],
                "capabilities": "None",
            }
            for one in TYPES[namespace]
        ],
    }
    if state_too:
        found["registrationState"] = state(call.store, call.subscription, namespace)
    return found


def _named(call: Call) -> str:
    found = spelled(str(call["resourceProviderNamespace"]))
    if not found:
        raise refusal("InvalidResourceNamespace", namespace=call["resourceProviderNamespace"])
    return found


@operation("resources:Providers_Get")
def _get(call: Call) -> object:
    return _shown(call, _named(call))


@operation("resources:Providers_List")
def _list(call: Call) -> object:
    return call.page([_shown(call, one) for one in TYPES])


@operation("resources:Providers_GetAtTenantScope")
def _get_tenant(call: Call) -> object:
    return _shown(call, _named(call), state_too=False)


@operation("resources:Providers_ListAtTenantScope")
def _list_tenant(call: Call) -> object:
    return call.page([_shown(call, one, state_too=False) for one in TYPES])


@operation("resources:Providers_Register")
def _register(call: Call) -> object:
    namespace = _named(call)
    key = (call.subscription, namespace.lower())
    if call.store.registered.get(key) != "Registered":
        call.store.registered[key] = "Registering"

        def registered() -> None:
            with call.store.lock:
                if call.store.registered.get(key) == "Registering":
                    call.store.registered[key] = "Registered"

        call.store.clock.later("azure/provider/register", registered)
    return _shown(call, namespace)


@operation("resources:Providers_Unregister")
def _unregister(call: Call) -> object:
    namespace = _named(call)
    if namespace in ALWAYS:
        raise refusal("Conflict#always", namespace=namespace)
    call.store.registered.pop((call.subscription, namespace.lower()), None)
    return _shown(call, namespace)
