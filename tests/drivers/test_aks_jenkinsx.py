"""What Jenkins X gets on Azure, from one life of a cluster to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterkit.aks import keyvault
from clusterkit.aks.names import in_group
from clusterkit.aks.tags import resource_name
from clusterkit.errors import PreflightError
from clusterkit.naming import CLUSTER, NAME
from clusterkit.ready.jenkinsx import KEY, requirements
from tests.drivers.aks import Account
from tests.drivers.aks_cases import DOMAIN, JENKINS_X, MINIMAL_CASE, bare, zone
from tests.drivers.world import World, edited, world

PROFILE = edited(
    MINIMAL_CASE.profile,
    {
        "registry": {"name": "demo", "repositories": ["app"], "keep": False},
        "ready": {"jenkins_x": JENKINS_X},
    },
)
CASE = replace(MINIMAL_CASE, label="jenkins-x", profile=PROFILE, prepare=zone)
GROUP = "clusterkit-demo-westeurope"


def _told(found: World) -> Any:
    path = "/api/v1/namespaces/default/configmaps/terraform-jx-requirements"
    shown = found.clients().kube.get(path)
    return yaml.safe_load(shown["data"][KEY])


def _of(found: World, kind: str) -> list[Any]:
    return [each for each in found.things().values() if each.kind == kind]


def test_jenkins_x_is_told_what_there_is(tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        found.settle(found.up())
        account, told = Account(found), _told(found)["spec"]
        (kubelet,) = (
            each.shown["properties"]["clientId"]
            for each in _of(found, "identity")
            if each.id.endswith(resource_name(found.scope(), "kubelet"))
        )
        (files,), (vault,) = _of(found, "storage-account"), _of(found, "key-vault")
        azure = told["cluster"]["azure"]
        assert azure["clusterNodes"] == {"clientID": kubelet}
        assert azure["storage"] == {"storageAccountName": files.shown["name"]}
        assert azure["secretStorage"] == {"keyVaultName": vault.shown["name"]}
        tenant = account("GET", account.path)["tenantId"]
        assert azure["dns"] == {
            "tenantId": tenant,
            "subscriptionId": account.subscription,
            "resourceGroup": "names",
        }
        assert (told["secretStorage"], told["ingress"]["externalDNS"]) == ("azurekeyvault", True)
        # go-cloud's azureblob takes the account of what is not the logs from the query
        name = files.shown["name"]
        assert told["storage"] == [
            {"name": "logs", "url": "azblob://logs"},
            {"name": "reports", "url": f"azblob://reports?storage_account={name}"},
            {"name": "repository", "url": f"azblob://repository?storage_account={name}"},
        ]
        containers = account.every(f"{files.id}/blobServices/default/containers")
        assert {each["name"] for each in containers} == {"logs", "reports", "repository"}
        # who asks later is told the same
        platform = found.cloud.platform(found.profile, found.clients(), None)
        assert requirements(platform, found.profile.ready.jenkins_x) == _told(found)
        assert platform.boot_env["AZURE_CLIENT_ID"] == kubelet
        assert platform.boot_env["AZURE_TENANT_ID"] == tenant


def test_nothing_opens_the_account_but_identities(tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        found.settle(found.up())
        (files,) = _of(found, "storage-account")
        loose = {"allowSharedKeyAccess": True, "allowBlobPublicAccess": True}
        account = Account(found)
        account("PATCH", files.id, {"properties": loose})
        plan = found.cluster().plan(found.profile)
        (step,) = plan.todo
        assert sorted(change.field for change in step.changes) == sorted(loose)
        found.settle(found.cluster().apply(plan, found.events.append))
        properties = account("GET", files.id)["properties"]
        assert {name: properties[name] for name in loose} == dict.fromkeys(loose, False)


def test_containers_of_others_stay(tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        found.settle(found.up())
        (files,) = _of(found, "storage-account")
        account, containers = Account(found), f"{files.id}/blobServices/default/containers"
        account("PUT", f"{containers}/theirs", {"properties": {}})
        account("DELETE", f"{containers}/logs")
        found.settle(found.up())
        there = {each["name"] for each in account.every(containers)}
        assert there == {"theirs", "logs", "reports", "repository"}
        assert found.cluster().plan(found.profile).empty


def test_a_deleted_vault_comes_back_with_the_next_life(tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        found.settle(found.up())
        (vault,) = _of(found, "key-vault")
        found.settle(found.destroy())
        account = Account(found)
        assert not _of(found, "key-vault")
        deleted = [*account.every(f"{account.path}/providers/Microsoft.KeyVault/deletedVaults")]
        assert [each["name"] for each in deleted] == [vault.shown["name"]]
        cluster = found.cluster()
        found.settle(cluster.apply(cluster.plan(found.profile), found.events.append))
        (again,) = _of(found, "key-vault")
        assert again.id == vault.id
        assert not [*account.every(f"{account.path}/providers/Microsoft.KeyVault/deletedVaults")]
        # its roles went with it, and are given anew
        assert found.cluster().plan(found.profile).empty
        on = [each.shown["properties"]["scope"].lower() for each in _of(found, "role-assignment")]
        assert vault.id in on


def test_a_deleted_vault_of_somebody_elses_is_named(tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        account = Account(found)
        name = keyvault.vault_name(found.scope())
        path = f"{account.path}/resourceGroups/{GROUP}"
        tags = {CLUSTER: "demo", NAME: "main"}
        account("PUT", path, {"location": account.region, "tags": tags})
        path += f"/providers/Microsoft.KeyVault/vaults/{name}"
        tenant = account("GET", account.path)["tenantId"]
        properties = {"tenantId": tenant, "sku": {"family": "A", "name": "standard"}}
        properties |= {"accessPolicies": []}
        account("PUT", path, {"location": account.region, "properties": properties})
        account("DELETE", path)
        with pytest.raises(PreflightError) as caught:
            found.cluster().plan(found.profile)
        (told,) = caught.value.findings
        assert "was deleted, keeps its name" in told.what
        assert f"az keyvault purge --name {name}" in told.hint
        where = f"{account.path}/providers/Microsoft.KeyVault/locations/{account.region}"
        account("POST", f"{where}/deletedVaults/{name}/purge")
        found.settle(found.cluster().apply(found.cluster().plan(found.profile), lambda _: None))


@pytest.mark.parametrize("kind", ["key vault", "storage account"])
def test_a_name_that_is_taken_is_told_before_anything_is_made(kind: str, tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        account, scope = Account(found), found.scope()
        path = f"{account.path}/resourceGroups/theirs"
        account("PUT", path, {"location": account.region})
        body: dict[str, Any] = {"location": account.region, "tags": {CLUSTER: "demo"}}
        if kind == "key vault":
            name = keyvault.vault_name(scope)
            path += f"/providers/Microsoft.KeyVault/vaults/{name}"
            tenant = account("GET", account.path)["tenantId"]
            properties = {"tenantId": tenant, "sku": {"family": "A", "name": "standard"}}
            body["properties"] = {**properties, "accessPolicies": []}
        else:
            name = in_group(scope)
            path += f"/providers/Microsoft.Storage/storageAccounts/{name}"
            body |= {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        account("PUT", path, body)
        with pytest.raises(PreflightError) as caught:
            found.cluster().plan(found.profile)
        assert f"the {kind} cannot be called {name}" in str(caught.value)


def test_what_is_kept_is_there_for_the_next_life(tmp_path: Path) -> None:
    kept = edited(PROFILE, {"ready.jenkins_x.keep_storage": True})
    with world(replace(CASE, profile=kept), tmp_path) as found:
        found.settle(found.up())
        (files,) = _of(found, "storage-account")
        found.settle(found.destroy())
        assert [each.id for each in _of(found, "storage-account")] == [files.id]
        cluster = found.cluster()
        found.settle(cluster.apply(cluster.plan(found.profile), found.events.append))
        assert [each.id for each in _of(found, "storage-account")] == [files.id]
        found.profile = found.load(PROFILE)
        found.settle(found.up())
        found.settle(found.destroy())
        assert not _of(found, "storage-account")


def test_the_nearest_zone_is_taken_and_none_is_a_warning(tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        account = Account(found)
        zones = f"{account.path}/resourceGroups/names/providers/Microsoft.Network/dnsZones"
        for name in (f"apps.{DOMAIN}", f"more.apps.{DOMAIN}", f"notapps.{DOMAIN}"):
            account("PUT", f"{zones}/{name}", {"location": "global"})
        facts = found.cluster().preflight(found.profile)
        assert facts.zone.name == f"apps.{DOMAIN}"
        other = found.load(edited(PROFILE, {"ready.jenkins_x.domain": "example.org"}))
        facts = found.cluster().preflight(other)
        assert facts.zone is None
        assert any("no DNS zone of example.org" in str(each) for each in facts.warnings)
        cluster = found.cluster()
        found.settle(cluster.apply(cluster.plan(other), found.events.append))
        told = _told(found)["spec"]
        assert not told["ingress"].get("externalDNS")
        assert "dns" not in told["cluster"]["azure"]


def test_a_new_subscription_knows_neither_storage_nor_vaults(tmp_path: Path) -> None:
    with world(replace(CASE, prepare=bare), tmp_path) as found:
        with pytest.raises(PreflightError) as caught:
            found.cluster().plan(found.profile)
        assert "Microsoft.Storage, Microsoft.KeyVault" in str(caught.value)
        cluster, told = found.cluster(), list[str]()
        plan = cluster.plan(found.profile, activate=told.append)
        found.settle(cluster.apply(plan, found.events.append))
        assert "Microsoft.KeyVault" in "".join(told)
