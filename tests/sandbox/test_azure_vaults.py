"""Key vaults and DNS zones in the emulated Azure."""

from __future__ import annotations

from typing import Any

import pytest

from clusterkit_sandbox.azure.account import TENANT
from tests.sandbox.azurecloud import NET, REGION, SUB, VAULTS, Azure, cloud, eventually, shared

__all__ = ["cloud", "shared"]
KEYVAULT = f"{SUB}/providers/Microsoft.KeyVault"
GONE = f"{KEYVAULT}/locations/{REGION}/deletedVaults/demo-vault"
VAULT = f"{VAULTS}/demo-vault"


def body(**properties: Any) -> dict[str, Any]:
    sku = {"family": "A", "name": "standard"}
    return {
        "location": REGION,
        "tags": {"team": "ci"},
        "properties": {"tenantId": TENANT, "sku": sku, "accessPolicies": [], **properties},
    }


@pytest.fixture
def vaults(cloud: Azure) -> Azure:
    """A subscription that may have key vaults."""
    url = f"{SUB}/providers/Microsoft.KeyVault"
    cloud("POST", f"{url}/register")
    eventually(lambda: cloud("GET", url), lambda one: one["registrationState"] == "Registered")
    return cloud


def made(cloud: Azure, path: str = VAULT, **properties: Any) -> Any:
    assert cloud.send("PUT", path, body(**properties))[0] == 201
    return eventually(
        lambda: cloud("GET", path),
        lambda one: one["properties"]["provisioningState"] == "Succeeded",
    )


def test_a_new_subscription_registers_first(cloud: Azure) -> None:
    assert cloud.refused("PUT", VAULT, body()) == (409, "MissingSubscriptionRegistration")


def test_a_deleted_vault_keeps_its_name(vaults: Azure) -> None:
    first = made(vaults)
    assert first["properties"]["vaultUri"] == "https://demo-vault.vault.azure.net/"
    assert first["properties"]["enableRbacAuthorization"] is False
    assert first["properties"]["softDeleteRetentionInDays"] == 90
    assert vaults.send("DELETE", VAULT)[0] == 200
    assert vaults.send("DELETE", VAULT)[0] == 204
    assert vaults.refused("GET", VAULT) == (404, "ResourceNotFound")
    found = vaults("GET", GONE)
    assert found["properties"]["vaultId"].endswith("/vaults/demo-vault")
    assert found["properties"]["tags"] == {"team": "ci"}
    assert vaults("GET", f"{KEYVAULT}/deletedVaults")["value"] == [found]
    assert vaults.refused("PUT", VAULT, body()) == (409, "ConflictError")
    vaults.group("other")
    elsewhere = VAULT.replace("/demo/", "/other/")
    assert vaults.refused("PUT", elsewhere, body()) == (409, "VaultAlreadyExists")
    lost = (400, "SoftDeletedVaultDoesNotExist")
    assert vaults.refused("PUT", elsewhere, body(createMode="recover")) == lost


def test_a_deleted_vault_is_restored(vaults: Azure) -> None:
    made(vaults, enableRbacAuthorization=True, softDeleteRetentionInDays=7)
    vaults("DELETE", VAULT)
    again = made(vaults, createMode="recover")
    assert again["properties"]["enableRbacAuthorization"] is True
    assert again["properties"]["softDeleteRetentionInDays"] == 7
    assert again["tags"] == {"team": "ci"}
    assert vaults.refused("GET", GONE) == (404, "DeletedVaultNotFound")
    lost = (400, "SoftDeletedVaultDoesNotExist")
    assert vaults.refused("PUT", f"{VAULTS}/never-was", body(createMode="recover")) == lost


def test_a_purged_vault_sets_its_name_free(vaults: Azure) -> None:
    made(vaults)
    vaults("DELETE", VAULT)
    assert vaults.failed("POST", f"{GONE}/purge") is None
    assert vaults.refused("POST", f"{GONE}/purge") == (404, "DeletedVaultNotFound")
    made(vaults, enablePurgeProtection=True)
    vaults("DELETE", VAULT)
    assert vaults.refused("POST", f"{GONE}/purge") == (405, "MethodNotAllowed")


def test_a_group_leaves_its_vaults_behind(vaults: Azure) -> None:
    made(vaults)
    assert vaults.failed("DELETE", f"{SUB}/resourcegroups/demo") is None
    assert vaults("GET", GONE)["name"] == "demo-vault"
    vaults.group()
    made(vaults, createMode="recover")


def test_what_cannot_be_undone(vaults: Azure) -> None:
    made(vaults, enablePurgeProtection=True)
    for wrong in (
        {"enablePurgeProtection": False},
        {"enableSoftDelete": False},
        {"softDeleteRetentionInDays": 30},
    ):
        assert vaults.refused("PATCH", VAULT, {"properties": wrong}) == (400, "BadRequest")
    assert vaults.refused("PUT", f"{VAULTS}/more", body(softDeleteRetentionInDays=6))[0] == 400
    changed = vaults("PATCH", VAULT, {"properties": {"enableRbacAuthorization": True}})
    assert changed["properties"]["enablePurgeProtection"] is True


def test_newer_versions_mean_roles(vaults: Azure) -> None:
    made_new = vaults("PUT", VAULT, body(), version="2026-02-01")
    assert made_new["properties"]["enableRbacAuthorization"] is True
    kept = vaults("PUT", VAULT, body(), version="2024-11-01")
    assert kept["properties"]["enableRbacAuthorization"] is True


def test_access_policies(vaults: Azure) -> None:
    made(vaults)
    one = {"tenantId": TENANT, "objectId": "a", "permissions": {"secrets": ["get"]}}
    more = {**one, "permissions": {"secrets": ["set"]}}
    url = f"{VAULT}/accessPolicies"
    for policy in (one, more):
        vaults("PUT", f"{url}/add", {"properties": {"accessPolicies": [policy]}})
    found = vaults("GET", VAULT)["properties"]["accessPolicies"]
    assert found[0]["permissions"]["secrets"] == ["get", "set"]
    vaults("PUT", f"{url}/remove", {"properties": {"accessPolicies": [one]}})
    assert vaults("GET", VAULT)["properties"]["accessPolicies"] == []


@pytest.mark.parametrize("name", ["ab", "1demo", "demo--x", "demo-", "a" * 25])
def test_a_bad_name_is_refused(vaults: Azure, name: str) -> None:
    assert vaults.refused("PUT", f"{VAULTS}/{name}", body())[0] == 400
    asked = {"name": name, "type": "Microsoft.KeyVault/vaults"}
    assert not vaults("POST", f"{KEYVAULT}/checkNameAvailability", asked)["nameAvailable"]


def test_dns_zones(cloud: Azure) -> None:
    zone = f"{NET}/dnsZones/example.com"
    made = cloud("PUT", zone, {"location": "global"})
    assert made["properties"]["numberOfRecordSets"] == 2
    assert len(made["properties"]["nameServers"]) == 4
    for listed in (f"{NET}/dnsZones", f"{SUB}/providers/Microsoft.Network/dnszones"):
        assert [one["name"] for one in cloud("GET", listed)["value"]] == ["example.com"]
    assert cloud.send("GET", f"{zone}/A/www")[0] == 501
    cloud("DELETE", zone)
    assert cloud.refused("GET", zone) == (404, "ResourceNotFound")
