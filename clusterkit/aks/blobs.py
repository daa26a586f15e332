"""A storage account for what Jenkins X keeps: logs, reports, artifacts.

Containers take no tags, so they are a field of the account that they lie in. Nothing but identities
opens it: no keys, no anonymous reads. Those who read and write are given a role on it (gocloud.dev
``blob/azureblob`` takes the identity of the node where it has no key).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from clusterkit.aks.client import Clients
from clusterkit.aks.names import availability
from clusterkit.aks.tags import ArmState, Resource
from clusterkit.engine.edit import Edit, edit, fixed
from clusterkit.engine.kind import Durations, Env, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.naming import KEEP

TYPE = "Microsoft.Storage/storageAccounts"
KIND = "StorageV2"
SKU = "Standard_LRS"
"""every region has it (https://learn.microsoft.com/azure/storage/common/storage-redundancy)"""
SETTINGS: Mapping[str, object] = {
    "allowBlobPublicAccess": False,
    "allowSharedKeyAccess": False,
    "minimumTlsVersion": "TLS1_2",
    "supportsHttpsTrafficOnly": True,
}
DEFAULTS: Mapping[str, object] = {
    "allowBlobPublicAccess": False,
    "allowSharedKeyAccess": True,
    "minimumTlsVersion": "TLS1_0",
    "supportsHttpsTrafficOnly": True,
}
"""what holds where nothing is shown (azure-mgmt-storage, ``StorageAccountProperties``)"""


class StorageAccountState(ArmState):
    """A storage account."""

    sku: str
    sort: str
    """``StorageV2``"""
    settings: Mapping[str, object]
    """those of ``SETTINGS``"""
    containers: tuple[str, ...] = ()
    """names, sorted"""


class StorageAccount(Resource[StorageAccountState]):
    """A storage account; ``name`` is the one that is unique in Azure."""

    kind: ClassVar[str] = "storage-account"
    type: ClassVar[str] = TYPE
    propagation: ClassVar[float] = 3600.0
    """until containers can be made in an account whose name another one had: about an hour
    (Azure/azure-cli#13406)"""
    takes: ClassVar[Durations] = Durations(create=25, delete=5)
    containers: tuple[str, ...]
    keep: bool = True

    def own_tags(self) -> Tags:
        return {KEEP: str(self.keep).lower()}

    @classmethod
    def state(cls, shown: Mapping[str, Any]) -> StorageAccountState:
        properties = shown.get("properties") or {}
        return StorageAccountState(
            **cls.shown(shown),
            sku=(shown.get("sku") or {}).get("name") or "",
            sort=shown.get("kind") or "",
            settings={name: properties.get(name, DEFAULTS[name]) for name in SETTINGS},
        )

    @classmethod
    def read(cls, scope: Scope[Clients], found: StorageAccountState) -> StorageAccountState:
        if not cls.ready(found):
            return found
        shown = scope.client.pages(_containers(found))
        return replace(found, containers=tuple(sorted(str(each["name"]) for each in shown)))

    def called(self, scope: Scope[Any]) -> str:
        return self.name

    def create(self, env: Env[Clients]) -> Operation[Clients] | None:
        return self.put(env, kind=KIND, sku={"name": SKU}, properties=dict(SETTINGS))

    def edits(self, env: Env[Clients], have: StorageAccountState) -> Iterator[Edit]:
        def add() -> None:
            for name in self.containers:
                if name not in have.containers:
                    path = f"{_containers(have)}/{name}"
                    env.client.call("PUT", path, {"properties": {"publicAccess": "None"}})

        yield from super().edits(env, have)
        change = partial(env.client.begin, "PATCH", have.path, {"properties": dict(SETTINGS)})
        for name, value in SETTINGS.items():
            yield from edit(name, have.settings[name], value, change)
        why = "move what is in it, delete it, and run up again"
        yield from fixed("kind", have.sort, KIND, why)
        # more containers than ours are somebody else's
        wanted = tuple(sorted({*have.containers, *self.containers}))
        yield from edit("containers", have.containers, wanted, add)

    @classmethod
    def kept(cls, have: StorageAccountState) -> str | None:
        why = "the profile keeps it (ready.jenkins_x.keep_storage); its blobs cost by the month"
        return why if have.tags.get(KEEP) == "true" else None


def available(clients: Clients, name: str) -> str | None:
    """Why a new account cannot have this name; None if it can."""
    return availability(clients, TYPE, name)


def _containers(have: StorageAccountState) -> str:
    return f"{have.path}/blobServices/default/containers"
