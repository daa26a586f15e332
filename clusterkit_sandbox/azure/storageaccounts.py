"""Storage accounts, the containers in them, and the names that are free.

Names are unique in the world: three to 24 figures and small letters (the reference). A new account
is polled at its ``Location`` only, as the SDK that Microsoft generates expects it
(azure-mgmt-storage: ``final-state-via: location``). Refusals: facts/azure.tsv.
"""

from __future__ import annotations

import base64
import re
import secrets

from clusterkit_sandbox.azure import arm
from clusterkit_sandbox.azure.arm import Kind, register
from clusterkit_sandbox.azure.failure import Failure, Json, refusal
from clusterkit_sandbox.azure.resources import BlobContainer, BlobService, Resource, StorageAccount
from clusterkit_sandbox.azure.running import rfc3339
from clusterkit_sandbox.azure.service import Call, Reply, operation
from clusterkit_sandbox.azure.tables import table
from clusterkit_sandbox.kit.operations import Error

_TYPE = "Microsoft.Storage/storageAccounts"
_NAME = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]|\$root|\$web")
_SERVICES = ("blob", "dfs", "file", "queue", "table", "web")
_KEY = 64
"""bytes of a key"""


def _refused(call: Call, name: str) -> Failure | None:
    """Why a name cannot be had; None if it can."""
    if not _NAME.fullmatch(name):
        return refusal("AccountNameInvalid", name=name)
    mine = next((one for one in call.store.all(StorageAccount) if one.name == name), None)
    if mine is not None and mine.parsed.subscription.lower() == call.subscription:
        return refusal("StorageAccountInAnotherResourceGroup", name=name)
    if mine is not None or name in call.store.conditions.taken:
        return refusal("StorageAccountAlreadyTaken", name=name)
    return None


@operation("storage:StorageAccounts_CheckNameAvailability")
def _check(call: Call) -> object:
    name = str(call.body["name"])
    why = _refused(call, name)
    if why is None:
        return {"nameAvailable": True}
    if why.code == "AccountNameInvalid":
        return {"nameAvailable": False, "reason": "AccountNameInvalid", "message": why.message}
    taken = refusal("StorageAccountAlreadyTaken", name=name)
    return {"nameAvailable": False, "reason": "AlreadyExists", "message": taken.message}


def _prepare(call: Call, new: Resource, old: Resource | None) -> None:
    why = _refused(call, new.name) if old is None else None
    if why is not None:
        raise why
    before = {} if old is None else old.properties
    properties, shown, name = new.properties, new.shown, new.name
    shown["sku"] = _sku(shown["sku"])
    for key, value in table("defaults")["storage"].items():
        if properties.get(key) is None:
            properties[key] = before.get(key, value)
    now = rfc3339()
    made = before.get("creationTime", now)
    properties |= {
        "creationTime": made,
        "keyCreationTime": before.get("keyCreationTime", {"key1": made, "key2": made}),
        "primaryLocation": new.location,
        "statusOfPrimary": "available",
        "primaryEndpoints": {
            one: f"https://{name}.{'z13.' if one == 'web' else ''}{one}.core.windows.net/"
            for one in _SERVICES
        },
        "privateEndpointConnections": [],
        "provisioningState": "Succeeded",
    }


def _sku(given: Json) -> Json:
    premium = str(given["name"]).startswith("Premium")
    return {"name": given["name"], "tier": "Premium" if premium else "Standard"}


def _arrived(call: Call, one: Resource) -> Error | None:
    if not isinstance(one, StorageAccount):
        return None
    place = f"{one.shown['id']}/blobServices/default"
    if call.store.find(BlobService, place) is None:
        keep = {"deleteRetentionPolicy": {"enabled": False, "allowPermanentDelete": False}}
        shown: Json = {
            "id": place,
            "name": "default",
            "type": f"{_TYPE}/blobServices",
            "sku": one.shown["sku"],
            "properties": {"cors": {"corsRules": []}, **keep},
        }
        call.store.put(BlobService(shown=shown))
    one.keys = one.keys or tuple(_new_key() for _ in range(2))
    return None


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY)).decode()


_ACCOUNTS = register(
    Kind(
        name=_TYPE,
        record=StorageAccount,
        prepare=_prepare,
        arrived=_arrived,
        create="storage/create",
    )
)
register(Kind(name=f"{_TYPE}/blobServices", record=BlobService, located=False))


def _settled(call: Call) -> None:
    """Refuse a change of an account that is being made."""
    if call.store.operations.busy(call.path) is not None:
        raise refusal("StorageAccountBeingCreated")


@operation("storage:StorageAccounts_Create")
def _create(call: Call) -> object:
    """At its end the account itself is at the ``Location``; one that is there already is answered
    at once.
    """
    _settled(call)
    found = arm.put(call, _ACCOUNTS)
    if not isinstance(found, Reply) or found.status != 201:
        return found
    running = call.store.operations.busy(call.path)
    if running is None:
        return found
    headers = call.running(running, location=True)
    del headers["Azure-AsyncOperation"]
    return Reply(202, None, headers)


@operation("storage:StorageAccounts_Update")
def _update(call: Call) -> object:
    _ = call.group
    found = call.require(StorageAccount)
    _settled(call)
    for key, value in (call.body.get("properties") or {}).items():
        found.properties[key] = value
    for key in ("identity", "kind"):
        if call.body.get(key) is not None:
            found.shown[key] = call.body[key]
    if call.body.get("sku"):
        found.shown["sku"] = _sku(call.body["sku"])
    return arm.patch(call, _ACCOUNTS)


@operation("storage:StorageAccounts_Delete")
def _delete(call: Call) -> object:
    _settled(call)
    found = call.store.find(StorageAccount, call.path)
    if found is not None:
        taken = [key for key in call.store.leaving if key.startswith(f"{found.id}/")]
        for key in taken:
            del call.store.leaving[key]
    return arm.delete(call, _ACCOUNTS)


def _keys(one: StorageAccount) -> Json:
    made = one.properties["keyCreationTime"]
    return {
        "keys": [
            {
                "keyName": name,
                "value": value,
                "permissions": "FULL",
                "creationTime": made[name],
            }
            for name, value in zip(("key1", "key2"), one.keys, strict=True)
        ]
    }


def _above(call: Call) -> StorageAccount:
    """The account that an action is of; ``Failure`` if it is not there or not yet."""
    _ = call.group
    found = call.require(StorageAccount, call.path.rpartition("/")[0])
    if not found.keys:
        raise refusal("StorageAccountIsNotProvisioned")
    return found


@operation("storage:StorageAccounts_ListKeys")
def _list_keys(call: Call) -> object:
    return _keys(_above(call))


@operation("storage:StorageAccounts_RegenerateKey")
def _new_keys(call: Call) -> object:
    found, name = _above(call), str(call.body["keyName"])
    if name not in ("key1", "key2"):
        raise Failure("InvalidValues", f"The key name {name} is not valid.")
    first, second = found.keys
    found.keys = (_new_key(), second) if name == "key1" else (first, _new_key())
    found.properties["keyCreationTime"] = {**found.properties["keyCreationTime"], name: rfc3339()}
    return _keys(found)


# -- blobs -----------------------------------------------------------------------------------------


@operation("storage:BlobServices_GetServiceProperties")
def _blobs(call: Call) -> object:
    _ = call.group
    return call.require(BlobService).shown


@operation("storage:BlobServices_List")
def _services(call: Call) -> object:
    _ = call.group
    account = call.require(StorageAccount, call.path.rpartition("/")[0])
    return call.page([one.shown for one in call.store.under(BlobService, account.id)])


@operation("storage:BlobServices_SetServiceProperties")
def _set_blobs(call: Call) -> object:
    _ = call.group
    found = call.require(BlobService)
    found.properties.update(call.body.get("properties") or {})
    return found.shown


def _prepare_container(_: Call, new: Resource, old: Resource | None) -> None:
    if not _CONTAINER.fullmatch(new.name):
        raise refusal("InvalidParameter#container", name=new.name)
    before = {} if old is None else old.properties
    usual = {"publicAccess": "None", "defaultEncryptionScope": "$account-encryption-key",
             "denyEncryptionScopeOverride": False, "deleted": False, "hasImmutabilityPolicy": False,
             "hasLegalHold": False, "leaseState": "Available", "leaseStatus": "Unlocked",
             "remainingRetentionDays": 0}  # fmt: skip
    new.shown["properties"] = {
        **usual,
        **before,
        **new.properties,
        "lastModifiedTime": rfc3339(),
    }
    new.shown["etag"] = ""


def _account(path: str) -> str:
    return path[: path.lower().index("/blobservices/")]


_CONTAINERS = register(
    Kind(
        name=f"{_TYPE}/blobServices/containers",
        record=BlobContainer,
        prepare=_prepare_container,
        located=False,
    )
)


def _container(call: Call) -> BlobContainer:
    _ = call.group
    call.require(StorageAccount, _account(call.path))
    found = call.store.find(BlobContainer, call.path)
    if found is None:
        raise refusal("ContainerNotFound", request=call.store.new_uuid(), time=rfc3339())
    return found


@operation("storage:BlobContainers_Create")
def _put_container(call: Call) -> object:
    _ = call.group
    if not call.require(StorageAccount, _account(call.path)).keys:
        raise refusal("StorageAccountIsNotProvisioned")
    if call.store.leaving.get(call.path.lower(), 0) > call.store.clock.now:
        raise refusal("ContainerOperationFailure#deleting")
    return arm.put(call, _CONTAINERS)


@operation("storage:BlobContainers_Get")
def _get_container(call: Call) -> object:
    return _container(call).shown


@operation("storage:BlobContainers_List")
def _list_containers(call: Call) -> object:
    account = call.require(StorageAccount, _account(call.path + "/"))
    found = sorted(call.store.under(BlobContainer, account.id), key=lambda one: one.name)
    return call.page([one.shown for one in found])


@operation("storage:BlobContainers_Update")
def _change_container(call: Call) -> object:
    found = _container(call)
    found.properties.update(call.body.get("properties") or {})
    found.properties["lastModifiedTime"] = rfc3339()
    return call.store.put(found).shown


@operation("storage:BlobContainers_Delete")
def _delete_container(call: Call) -> object:
    _ = call.group
    call.require(StorageAccount, _account(call.path))
    found = call.store.find(BlobContainer, call.path)
    if found is None:
        return Reply(204)
    arm.remove(call.store, found)
    call.store.leaving[found.id] = call.store.clock.due("azure/container/delete")
    return Reply(200)
