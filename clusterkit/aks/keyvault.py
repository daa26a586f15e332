"""A key vault for the secrets of Jenkins X (``secretStorage: azurekeyvault``).

Roles decide who reads and writes it, no access policies: Jenkins X and External Secrets ask the
vault itself (jenkins-x-plugins/secretfacade ``pkg/secretstore/azuresecrets``), which looks at
either.

A vault that was deleted keeps its name, and its secrets, for the rest of its retention
(https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview). So the next life of a
cluster takes the deleted one back, with the secrets, tags and settings that it had, whatever the
request says (Azure/azure-rest-api-specs#21306, MicrosoftDocs/azure-docs#103751); its roles are
gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from clusterkit.aks import ids
from clusterkit.aks.client import Clients
from clusterkit.aks.group import home
from clusterkit.aks.names import LONGEST, availability, in_group
from clusterkit.aks.tags import ArmState, Resource
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Record, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied, Gone, NotOurs
from clusterkit.naming import CLUSTER

TYPE = "Microsoft.KeyVault/vaults"
SKU = {"family": "A", "name": "standard"}
RETENTION = 90
"""days, which cannot be changed later (https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview)"""


PREFIX = "kv-"
"""a vault's name begins with a letter"""


class KeyVaultState(ArmState):
    """A key vault."""

    by_roles: bool
    """whether roles decide, or access policies"""


class DeletedVault(Record):
    """A vault that was deleted and not purged."""

    vault: str
    """key of what it was"""
    tags: Tags


class KeyVault(Resource[KeyVaultState]):
    """A key vault; ``name`` is the one that is unique in Azure."""

    kind: ClassVar[str] = "key-vault"
    type: ClassVar[str] = TYPE
    takes: ClassVar[Durations] = Durations(create=30, delete=10)

    @classmethod
    def state(cls, shown: Mapping[str, Any]) -> KeyVaultState:
        properties = shown.get("properties") or {}
        by_roles = bool(properties.get("enableRbacAuthorization"))
        return KeyVaultState(**cls.shown(shown), by_roles=by_roles)

    def called(self, scope: Scope[Any]) -> str:
        return self.name

    def create(self, env: Env[Clients]) -> Operation[Clients] | None:
        properties: dict[str, Any] = {
            "tenantId": env.client.tenant,
            "sku": SKU,
            "accessPolicies": [],
            "enableRbacAuthorization": True,
        }
        there = deleted(env, self.name)
        if there is None:
            properties["softDeleteRetentionInDays"] = RETENTION
        elif not ours(env, there):
            raise NotOurs(foreign(there), where=self.key, hint=purge(env, self.name))
        else:
            properties["createMode"] = "recover"
        return self.put(env, properties=properties)

    def edits(self, env: Env[Clients], have: KeyVaultState) -> Iterator[Edit]:
        yield from super().edits(env, have)
        body = {"properties": {"enableRbacAuthorization": True}}
        change = partial(env.client.begin, "PATCH", have.path, body)
        yield from edit("permissions by roles", have.by_roles, True, change)


def vault_name(scope: Scope[Clients]) -> str:
    """A name that nobody else in Azure has."""
    return PREFIX + in_group(scope, LONGEST - len(PREFIX))


def available(clients: Clients, name: str) -> str | None:
    """Why a new vault cannot have this name; None if it can."""
    return availability(clients, TYPE, name)


def deleted(scope: Scope[Clients], name: str) -> DeletedVault | None:
    """The deleted vault of this name in the cluster's region; None also where the credentials may
    not look (hashicorp/terraform-provider-azurerm ``key_vault_resource.go``).
    """
    where = f"{scope.client.path}/providers/Microsoft.KeyVault/locations/{scope.region}"
    try:
        shown = scope.client.call("GET", f"{where}/deletedVaults/{name}")
    except (Gone, Denied):
        return None
    properties = shown.get("properties") or {}
    return DeletedVault(vault=ids.key(properties.get("vaultId")), tags=properties.get("tags") or {})


def ours(scope: Scope[Clients], there: DeletedVault) -> bool:
    """Whether a deleted vault is this cluster's, and comes back where it is wanted."""
    wanted = ids.key(home(scope))
    return ids.group_of(there.vault) == wanted and there.tags.get(CLUSTER) == scope.cluster


def foreign(there: DeletedVault) -> str:
    """What is wrong with a deleted vault that is not this cluster's."""
    return f"{there.vault} was deleted, keeps its name, and does not carry this cluster's tags"


def purge(scope: Scope[Clients], name: str) -> str:
    """How to remove a deleted vault for good, or bring it back."""
    return (
        f"az keyvault purge --name {name} --location {scope.region} deletes it and its secrets for "
        f"good, az keyvault recover --name {name} brings it back"
    )
