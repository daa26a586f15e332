"""Storage accounts and their containers in the emulated Azure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.azurecloud import (
    REGION,
    ROLES,
    STORAGE,
    SUB,
    Azure,
    account,
    cloud,
    eventually,
    shared,
)

__all__ = ["cloud", "shared"]
BODY: dict[str, Any] = {
    "location": REGION,
    "kind": "StorageV2",
    "sku": {"name": "Standard_LRS"},
    "tags": {"team": "ci"},
}
LOGS = f"{STORAGE}/demologs/blobServices/default/containers/logs"
CHECK = f"{SUB}/providers/Microsoft.Storage/checkNameAvailability"
KIND = "Microsoft.Storage/storageAccounts"


def test_an_account_lives_and_dies(cloud: Azure) -> None:
    status, body, headers = cloud.send("PUT", f"{STORAGE}/demologs", BODY)
    assert (status, body) == (202, None)
    assert "Azure-AsyncOperation" not in headers
    assert headers["Location"]
    assert cloud.failed("PUT", f"{STORAGE}/demologs", BODY) is None
    made = cloud("GET", f"{STORAGE}/demologs")
    assert made["sku"] == {"name": "Standard_LRS", "tier": "Standard"}
    blobs = made["properties"]["primaryEndpoints"]["blob"]
    assert blobs == "https://demologs.blob.core.windows.net/"
    assert made["properties"]["allowBlobPublicAccess"] is False
    for listed in (STORAGE, f"{SUB}/providers/Microsoft.Storage/storageAccounts"):
        assert [one["name"] for one in cloud("GET", listed)["value"]] == ["demologs"]
    resources = cloud("GET", f"{SUB}/resourceGroups/demo/resources")["value"]
    assert [one["type"] for one in resources] == [KIND]
    change = {"properties": {"allowSharedKeyAccess": False}, "tags": {"team": "web"}}
    changed = cloud("PATCH", f"{STORAGE}/demologs", change)
    assert changed["tags"] == {"team": "web"}
    assert changed["properties"]["allowSharedKeyAccess"] is False
    keys = cloud("POST", f"{STORAGE}/demologs/listKeys")["keys"]
    assert [one["keyName"] for one in keys] == ["key1", "key2"]
    cloud("DELETE", f"{STORAGE}/demologs")
    assert cloud.refused("GET", f"{STORAGE}/demologs") == (404, "ResourceNotFound")
    assert cloud.send("DELETE", f"{STORAGE}/demologs")[0] == 204
    cloud.done("PUT", f"{STORAGE}/demologs", BODY)


def test_containers(cloud: Azure) -> None:
    assert cloud.refused("PUT", LOGS, {"properties": {}}) == (404, "ResourceNotFound")
    cloud.done("PUT", f"{STORAGE}/demologs", BODY)
    assert cloud.send("PUT", LOGS, {"properties": {}})[0] == 201
    assert cloud.send("PUT", LOGS, {"properties": {"metadata": {"a": "b"}}})[0] == 200
    made = cloud("GET", LOGS)
    assert made["properties"]["publicAccess"] == "None"
    assert made["properties"]["metadata"] == {"a": "b"}
    listed = cloud("GET", LOGS.rpartition("/")[0])["value"]
    assert [one["name"] for one in listed] == ["logs"]
    gone = f"{STORAGE}/demologs/blobServices/default/containers/gone"
    assert cloud.refused("GET", gone) == (404, "ContainerNotFound")
    assert cloud.refused("PUT", gone[:-4] + "Gone", {})[0] == 400
    assert cloud.send("DELETE", gone)[0] == 204
    assert cloud.send("DELETE", LOGS)[0] == 200
    cloud("PUT", LOGS, {})
    cloud("DELETE", f"{STORAGE}/demologs")
    cloud.done("PUT", f"{STORAGE}/demologs", BODY)
    assert cloud("GET", LOGS.rpartition("/")[0])["value"] == []


def test_an_account_that_is_not_ready(tmp_path: Path) -> None:
    with account(tmp_path, 10) as cloud:
        cloud.group()
        cloud.send("PUT", f"{STORAGE}/demologs", BODY)
        assert cloud("GET", f"{STORAGE}/demologs")["properties"]["provisioningState"] == "Creating"
        early = (409, "StorageAccountIsNotProvisioned")
        assert cloud.refused("PUT", LOGS, {}) == early
        assert cloud.refused("POST", f"{STORAGE}/demologs/listKeys") == early
        busy = (409, "StorageAccountBeingCreated")
        assert cloud.refused("PUT", f"{STORAGE}/demologs", BODY) == busy
        assert cloud.refused("DELETE", f"{STORAGE}/demologs") == busy


def test_the_name_of_a_deleted_container_is_taken_for_a_while(tmp_path: Path) -> None:
    with account(tmp_path, 60) as cloud:
        cloud.group()
        cloud.done("PUT", f"{STORAGE}/demologs", BODY)
        cloud("PUT", LOGS, {})
        cloud("DELETE", LOGS)
        status, found, _ = cloud.send("PUT", LOGS, {})
        assert (status, found["error"]["code"]) == (409, "ContainerOperationFailure")
        assert "is being deleted" in found["error"]["message"]
        eventually(lambda: cloud.send("PUT", LOGS, {}), lambda answer: answer[0] == 201)


@pytest.mark.parametrize("name", ["ab", "demo-logs", "Demologs", "a" * 25])
def test_a_bad_name_is_refused(cloud: Azure, name: str) -> None:
    assert cloud.refused("PUT", f"{STORAGE}/{name}", BODY) == (400, "AccountNameInvalid")
    answer = cloud("POST", CHECK, {"name": name, "type": KIND})
    assert (answer["nameAvailable"], answer["reason"]) == (False, "AccountNameInvalid")


def test_names_are_unique_in_the_world(cloud: Azure) -> None:
    cloud.cloud.store.conditions.taken.add("somebodys")
    assert cloud.refused("PUT", f"{STORAGE}/somebodys", BODY) == (409, "StorageAccountAlreadyTaken")
    answer = cloud("POST", CHECK, {"name": "somebodys", "type": KIND})
    assert (answer["nameAvailable"], answer["reason"]) == (False, "AlreadyExists")
    cloud.done("PUT", f"{STORAGE}/demologs", BODY)
    cloud.group("other")
    elsewhere = f"{STORAGE}/demologs".replace("/demo/", "/other/")
    twice = (409, "StorageAccountInAnotherResourceGroup")
    assert cloud.refused("PUT", elsewhere, BODY) == twice
    assert not cloud("POST", CHECK, {"name": "demologs", "type": KIND})["nameAvailable"]
    assert cloud("POST", CHECK, {"name": "demofree", "type": KIND}) == {"nameAvailable": True}


def test_a_role_on_an_account_goes_with_it(cloud: Azure) -> None:
    cloud.done("PUT", f"{STORAGE}/demologs", BODY)
    principal = cloud.identity("nodes")["properties"]["principalId"]
    cloud.assign("Blob Contributor", f"{STORAGE}/demologs", principal)
    roles = f"{STORAGE}/demologs/providers/Microsoft.Authorization/roleAssignments"
    found = cloud("GET", roles, **{"$filter": "atScope()"})["value"]
    definition = found[0]["properties"]["roleDefinitionId"]
    assert definition.endswith(ROLES["Blob Contributor"])
    cloud("DELETE", f"{STORAGE}/demologs")
    cloud.done("PUT", f"{STORAGE}/demologs", BODY)
    assert cloud("GET", roles, **{"$filter": "atScope()"})["value"] == []
