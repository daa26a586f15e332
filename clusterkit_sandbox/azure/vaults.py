"""Key vaults, those that were deleted, and the names that are free; not what is in a vault.

Names are unique in the world. A vault that is deleted, alone or with its group, keeps its name
until it is purged ("Azure Key Vault soft-delete overview"); in the same group and region it is
restored by a PUT with ``createMode: recover``. Here nothing is purged because time has passed.
Since version 2026-02-01 a vault that does not say so is governed by roles ("Prepare for Key Vault
API version 2026-02-01"). Refusals: facts/azure.tsv.
"""

from __future__ import annotations

import re
import time

from clusterkit_sandbox.azure import arm, ids
from clusterkit_sandbox.azure.arm import Kind, register
from clusterkit_sandbox.azure.failure import Failure, Json, refusal
from clusterkit_sandbox.azure.resources import DeletedVault, Resource, Vault
from clusterkit_sandbox.azure.running import rfc3339
from clusterkit_sandbox.azure.service import Call, Reply, operation
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.kit.operations import Error

_TYPE = "Microsoft.KeyVault/vaults"
_NAME = re.compile(r"(?!.*--)[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]")
_DAYS, _LEAST, _MOST = 90, 7, 90
"""for which a deleted vault is kept"""
_DAY = 86400
_BY_ROLES = "2026-02-01"
"""the version since which roles are the usual"""
_READY, _NEW = "Succeeded", "RegisteringDns"
_SWITCHES = ("enabledForDeployment", "enabledForDiskEncryption", "enabledForTemplateDeployment")


def _deleted(store: Store, name: str) -> DeletedVault | None:
    lower = name.lower()
    return next((one for one in store.all(DeletedVault) if one.name.lower() == lower), None)


def _same_place(call: Call, gone: DeletedVault, location: str) -> bool:
    here = ids.parent(call.path).lower()
    return gone.group.lower() == here and gone.vault.location == location


def _refused(call: Call, name: str) -> Failure | None:
    """Why a name cannot be had, in whatever group; None if it can."""
    if not _NAME.fullmatch(name):
        return refusal("VaultNameNotValid", name=name)
    lower, store = name.lower(), call.store
    live = any(one.name.lower() == lower for one in store.all(Vault))
    if live or _deleted(store, name) is not None or lower in store.conditions.taken:
        return refusal("VaultAlreadyExists", name=name)
    return None


@operation("keyvault:Vaults_CheckNameAvailability")
def _check(call: Call) -> object:
    why = _refused(call, str(call.body["name"]))
    if why is None:
        return {"nameAvailable": True}
    word = "AccountNameInvalid" if why.code == "VaultNameNotValid" else "AlreadyExists"
    return {"nameAvailable": False, "reason": word, "message": why.message}


def _prepare(call: Call, new: Resource, old: Resource | None) -> None:
    properties, before = new.properties, {} if old is None else old.properties
    properties.pop("createMode", None)
    if old is None:
        gone = _deleted(call.store, new.name)
        if gone is not None and _same_place(call, gone, new.location):
            raise refusal("ConflictError#deleted")
        why = _refused(call, new.name)
        if why is not None:
            raise why
    days = properties.get("softDeleteRetentionInDays")
    if days is not None and not _LEAST <= int(days) <= _MOST:
        raise refusal("BadRequest#retention", days=days)
    _irreversible(properties, before)
    roles = before.get("enableRbacAuthorization", call.version >= _BY_ROLES)
    usual: Json = {
        "accessPolicies": [],
        "enableRbacAuthorization": roles,
        "enableSoftDelete": True,
        "publicNetworkAccess": "Enabled",
        "softDeleteRetentionInDays": before.get("softDeleteRetentionInDays", _DAYS),
        **dict.fromkeys(_SWITCHES, False),
    }
    for key, value in usual.items():
        if properties.get(key) is None:
            properties[key] = value
    if before.get("enablePurgeProtection"):
        properties["enablePurgeProtection"] = True
    properties["vaultUri"] = f"https://{new.name.lower()}.vault.azure.net/"
    properties["provisioningState"] = before.get("provisioningState", _NEW)


def _irreversible(properties: Json, before: Json) -> None:
    """Refuse to switch off what cannot be, and to change what is set once."""
    if properties.get("enablePurgeProtection") is False:
        raise refusal("BadRequest#purge-protection")
    if properties.get("enableSoftDelete") is False:
        raise refusal("BadRequest#soft-delete")
    days = properties.get("softDeleteRetentionInDays")
    if before and days not in (None, before["softDeleteRetentionInDays"]):
        raise refusal("BadRequest#retention-set")


def _arrived(call: Call, one: Resource) -> Error | None:
    if one.properties["provisioningState"] == _NEW:

        def registered() -> None:
            with call.store.lock:
                one.properties["provisioningState"] = _READY

        call.store.clock.later("azure/vault/create", registered)
    return None


def _removed(store: Store, one: Resource) -> None:
    """A vault that is deleted can be restored."""
    if not isinstance(one, Vault):
        return
    now, properties = time.time(), one.properties
    place = f"/subscriptions/{one.parsed.subscription}/providers/Microsoft.KeyVault/locations"
    days = int(properties["softDeleteRetentionInDays"])
    shown: Json = {
        "id": f"{place}/{one.location}/deletedVaults/{one.name}",
        "name": one.name,
        "type": "Microsoft.KeyVault/deletedVaults",
        "properties": {
            "vaultId": one.shown["id"],
            "location": one.location,
            "tags": dict(one.tags),
            "deletionDate": rfc3339(now),
            "scheduledPurgeDate": rfc3339(now + days * _DAY),
        },
    }
    if properties.get("enablePurgeProtection"):
        shown["properties"]["purgeProtectionEnabled"] = True
    store.put(DeletedVault(shown=shown, vault=one))


def _changed(call: Call, one: Resource) -> None:
    given = call.body.get("properties") or {}
    _irreversible(given, one.properties)
    one.properties.update({k: v for k, v in given.items() if k != "createMode"})


_VAULTS = register(
    Kind(
        name=_TYPE,
        record=Vault,
        prepare=_prepare,
        arrived=_arrived,
        removed=_removed,
        tagged=_changed,
    )
)


@operation("keyvault:Vaults_CreateOrUpdate")
def _put(call: Call) -> object:
    if (call.body.get("properties") or {}).get("createMode") == "recover":
        return _recover(call)
    return arm.put(call, _VAULTS)


def _recover(call: Call) -> object:
    group = call.group
    if group.state == "Deleting":
        raise arm.deprovisioning(group)
    name = ids.parse(call.path).name
    gone = _deleted(call.store, name)
    location = arm.check_location(str(call.body.get("location", "")), "ResourceType")
    if gone is None or not _same_place(call, gone, location):
        raise refusal("SoftDeletedVaultDoesNotExist")
    call.store.remove(gone)
    vault = gone.vault
    vault.properties["provisioningState"] = _NEW
    call.store.put(vault)
    _arrived(call, vault)
    return Reply(201, vault.shown)


@operation("keyvault:Vaults_UpdateAccessPolicy")
def _policies(call: Call) -> object:
    _ = call.group
    vault = call.require(Vault, call.path.rpartition("/")[0].rpartition("/")[0])
    given = (call.body.get("properties") or {}).get("accessPolicies") or []
    kept = {_whose(one): one for one in vault.properties["accessPolicies"]}
    match str(call["operationKind"]).lower():
        case "add":
            for one in given:
                kept[_whose(one)] = _joined(kept.get(_whose(one)), one)
        case "remove":
            for one in given:
                kept.pop(_whose(one), None)
        case _:
            kept = {_whose(one): one for one in given}
    vault.properties["accessPolicies"] = list(kept.values())
    call.store.put(vault)
    return {
        "id": f"{vault.shown['id']}/accessPolicies/",
        "type": f"{_TYPE}/accessPolicies",
        "location": vault.location,
        "properties": {"accessPolicies": vault.properties["accessPolicies"]},
    }


def _whose(policy: Json) -> tuple[str, ...]:
    names = ("tenantId", "objectId", "applicationId")
    return tuple(str(policy.get(name) or "").lower() for name in names)


def _joined(before: Json | None, more: Json) -> Json:
    """Both together: ``add`` takes nothing away (the reference)."""
    if before is None:
        return more
    found: Json = {**before, "permissions": dict(before.get("permissions") or {})}
    for kind, names in (more.get("permissions") or {}).items():
        known = found["permissions"].get(kind) or []
        found["permissions"][kind] = list(dict.fromkeys((*known, *names)))
    return found


# -- deleted vaults --------------------------------------------------------------------------------


@operation("keyvault:Vaults_ListDeleted")
def _list_deleted(call: Call) -> object:
    found = call.store.under(DeletedVault, f"/subscriptions/{call.subscription}")
    return call.page([one.shown for one in found])


def _gone(call: Call, path: str) -> DeletedVault:
    found = call.store.find(DeletedVault, path)
    if found is None:
        raise refusal("DeletedVaultNotFound", name=ids.parse(path).name)
    return found


@operation("keyvault:Vaults_GetDeleted")
def _get_deleted(call: Call) -> object:
    return _gone(call, call.path).shown


@operation("keyvault:Vaults_PurgeDeleted")
def _purge(call: Call) -> object:
    found = _gone(call, call.path.rpartition("/")[0])
    if found.properties.get("purgeProtectionEnabled"):
        raise refusal("MethodNotAllowed#purge")

    def done() -> None:
        call.store.remove(found)

    running = call.store.operations.busy(found.id)
    running = running or call.start("Purging", found, "vault/purge", done)
    headers = call.running(running, location=True)
    del headers["Azure-AsyncOperation"]
    return Reply(202, None, headers)
