"""Whether what has a name that is unique in Azure can have it: asked before anything is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from clusterkit.aks import blobs, keyvault, registry
from clusterkit.aks.client import Clients
from clusterkit.aks.names import in_group
from clusterkit.aks.profile import AksProfile
from clusterkit.aks.tags import Resource
from clusterkit.engine.preflight import Report
from clusterkit.engine.scope import Scope


def registry_name(profile: AksProfile, scope: Scope[Clients], report: Report) -> str:
    """The registry's name; an error if somebody else has it."""
    if profile.registry is None:
        return ""
    client = scope.client
    made = registry.registry_name(client.subscription, profile.region, profile.name)
    name = profile.registry.acr or made
    hint = "set registry.acr to a name that nobody in Azure has"
    why = _taken(registry.Registry, name, scope, registry.available)
    if why:
        report.error(f"the registry cannot be called {name}: {why}", "registry.acr", hint)
    return name


def storage_name(profile: AksProfile, scope: Scope[Clients], report: Report) -> str:
    """The storage account's name; an error if somebody else has it."""
    if not profile.keeps_files:
        return ""
    name = in_group(scope)
    if why := _taken(blobs.StorageAccount, name, scope, blobs.available):
        what = f"the storage account cannot be called {name}: {why}"
        # 15 minutes and more: hashicorp/terraform#6702
        hint = "if destroy has just deleted it, its name is free in a quarter of an hour; else "
        report.error(what, "ready.jenkins_x.storage", f"{hint}choose another name of the cluster")
    return name


def vault_name(profile: AksProfile, scope: Scope[Clients], report: Report) -> str:
    """The key vault's name; an error if somebody else has it, or had it. One of ours that was
    deleted comes back.
    """
    if not profile.keeps_secrets:
        return ""
    name, field = keyvault.vault_name(scope), "ready.jenkins_x.secrets"
    if any(have.name.lower() == name for have in keyvault.KeyVault.there(scope)):
        return name
    there = keyvault.deleted(scope, name)
    if there is None:
        if why := _taken(keyvault.KeyVault, name, scope, keyvault.available):
            what = f"the key vault cannot be called {name}: {why}"
            report.error(what, field, "choose another name of the cluster, or secrets: vault")
    elif not keyvault.ours(scope, there):
        report.error(keyvault.foreign(there), field, keyvault.purge(scope, name))
    return name


def _taken(
    kind: type[Resource[Any]],
    name: str,
    scope: Scope[Clients],
    available: Callable[[Clients, str], str | None],
) -> str | None:
    """Why nothing of a kind can have a name that is unique in Azure; None if it can, or has it."""

    def there(scope: Scope[Clients]) -> bool:
        return any(have.name.lower() == name for have in kind.there(scope))

    if there(scope) or not (why := available(scope.client, name)):
        return None
    # another run may have made it between the two questions
    return None if there(replace(scope, client=scope.client.fresh())) else why
