"""The vendor's own SDK and az against the emulated Azure, unchanged.

az has some hundred packages that other versions of the SDK need: it is looked for, never installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.mgmt.containerservice import ContainerServiceClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.storage import StorageManagementClient

from clusterkit_sandbox.azure.account import SUBSCRIPTION, TENANT
from tests.sandbox.azurecloud import Azure, cloud, shared

__all__ = ["cloud", "shared"]


def credential(cloud: Azure, secret: str = "") -> ClientSecretCredential:
    return ClientSecretCredential(
        cloud.environ["AZURE_TENANT_ID"],
        cloud.environ["AZURE_CLIENT_ID"],
        secret or cloud.environ["AZURE_CLIENT_SECRET"],
        proxies={"https": cloud.sandbox.proxy},
        connection_verify=str(cloud.sandbox.ca_file),
    )


@pytest.fixture
def aks(cloud: Azure) -> Any:
    with ContainerServiceClient(
        credential(cloud),
        SUBSCRIPTION,
        proxies={"https": cloud.sandbox.proxy},
        connection_verify=str(cloud.sandbox.ca_file),
        polling_interval=0.05,
    ) as client:
        yield client


def test_the_life_of_a_cluster(cloud: Azure, aks: Any) -> None:
    made = aks.managed_clusters.begin_create_or_update("demo", "demo", cloud.wanted()).result()
    assert made.provisioning_state == "Succeeded"
    assert made.agent_pool_profiles[0].name == "system"
    assert [one.name for one in aks.managed_clusters.list()] == ["demo"]
    found = aks.managed_clusters.list_cluster_admin_credentials("demo", "demo")
    assert b"clusterAdmin_demo_demo" in bytes(found.kubeconfigs[0].value)
    pool = {"properties": {"count": 1, "vmSize": "Standard_D2s_v5"}}
    more = aks.agent_pools.begin_create_or_update("demo", "demo", "more", pool).result()
    assert (more.name, more.count) == ("more", 1)
    aks.agent_pools.begin_delete("demo", "demo", "more").result()
    aks.managed_clusters.begin_update_tags("demo", "demo", {"tags": {"a": "b"}}).result()
    assert aks.managed_clusters.get("demo", "demo").tags == {"a": "b"}
    versions = aks.managed_clusters.list_kubernetes_versions("eastus")
    assert [one.version for one in versions.values_property if one.is_default] == ["1.35"]
    aks.managed_clusters.begin_delete("demo", "demo").result()
    with pytest.raises(ResourceNotFoundError):
        aks.managed_clusters.get("demo", "demo")


def settings(cloud: Azure) -> dict[str, Any]:
    return {
        "proxies": {"https": cloud.sandbox.proxy},
        "connection_verify": str(cloud.sandbox.ca_file),
        "polling_interval": 0.05,
    }


def test_a_storage_account_with_a_container(cloud: Azure) -> None:
    login = credential(cloud)
    with StorageManagementClient(login, SUBSCRIPTION, **settings(cloud)) as storage:
        body: Any = {"location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        made = storage.storage_accounts.begin_create("demo", "demologs", body).result()
        assert made.primary_endpoints.blob == "https://demologs.blob.core.windows.net/"
        container: Any = {"properties": {"publicAccess": "None"}}
        storage.blob_containers.create("demo", "demologs", "logs", container)
        assert [one.name for one in storage.blob_containers.list("demo", "demologs")] == ["logs"]
        kind = "Microsoft.Storage/storageAccounts"
        asked: Any = {"name": "demologs", "type": kind}
        assert not storage.storage_accounts.check_name_availability(asked).name_available
        storage.storage_accounts.delete("demo", "demologs")
        assert list(storage.storage_accounts.list()) == []


def test_a_vault_that_is_deleted_and_recovered(cloud: Azure) -> None:
    cloud.cloud.store.registered[SUBSCRIPTION, "microsoft.keyvault"] = "Registered"
    login = credential(cloud)
    with KeyVaultManagementClient(login, SUBSCRIPTION, **settings(cloud)) as keyvault:
        properties = {"tenantId": TENANT, "sku": {"family": "A", "name": "standard"}}
        body: Any = {"location": "eastus", "properties": properties}
        made = keyvault.vaults.begin_create_or_update("demo", "demo-vault", body).result()
        assert made.properties.provisioning_state == "Succeeded"
        assert made.properties.enable_rbac_authorization
        keyvault.vaults.delete("demo", "demo-vault")
        assert [one.name for one in keyvault.vaults.list_deleted()] == ["demo-vault"]
        again: Any = {**body, "properties": {**properties, "createMode": "recover"}}
        keyvault.vaults.begin_create_or_update("demo", "demo-vault", again).result()
        keyvault.vaults.delete("demo", "demo-vault")
        keyvault.vaults.begin_purge_deleted("demo-vault", "eastus").result()
        assert list(keyvault.vaults.list_deleted()) == []


def test_errors_of_the_sdk(cloud: Azure, aks: Any) -> None:
    with pytest.raises(HttpResponseError) as caught:
        aks.managed_clusters.begin_create_or_update("demo", "demo", {**cloud.wanted(), "x": 1})
    assert caught.value.status_code == 400
    assert 'unknown field "x"' in str(caught.value)
    cloud.cloud.store.conditions.sold_out.add(("*", ""))
    with pytest.raises(HttpResponseError) as caught:
        aks.managed_clusters.begin_create_or_update("demo", "demo", cloud.wanted()).result()
    assert "AllocationFailed" in str(caught.value)
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        credential(cloud, "wrong").get_token("https://management.azure.com/.default")


# -- az --------------------------------------------------------------------------------------------


class Az:
    """az, with nothing but the sandbox's environment."""

    def __init__(self, cloud: Azure, home: Path) -> None:
        self._environ = {**os.environ, **cloud.sandbox.environment(), "HOME": str(home),
                         "AZURE_CONFIG_DIR": str(home / "az")}  # fmt: skip
        self._home = home
        self.run("login", "--service-principal", "-u", self._environ["AZURE_CLIENT_ID"], "-p",
                 self._environ["AZURE_CLIENT_SECRET"], "--tenant",
                 self._environ["AZURE_TENANT_ID"])  # fmt: skip

    def run(self, *words: str, good: bool = True) -> str:
        """What a command prints, or says where it fails."""
        done = subprocess.run(
            ["az", *words, *(["-o", "tsv"] if "-o" not in words else [])],
            env=self._environ, cwd=self._home, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) is good, done.stderr
        return done.stdout.strip() if good else done.stderr


@pytest.fixture
def az(cloud: Azure, tmp_path: Path) -> Az:
    if shutil.which("az") is None:
        pytest.skip(
            "az is not installed: pip install azure-cli in an environment of its own, on PATH"
        )
    return Az(cloud, tmp_path)


@pytest.mark.client
@pytest.mark.deep
@pytest.mark.timeout(1200)
def test_the_commands_of_a_first_cluster(cloud: Azure, az: Az, tmp_path: Path) -> None:
    cloud.cloud.store.registered.clear()
    for name in ("ContainerService", "ContainerRegistry", "Network", "Compute"):
        az.run("provider", "register", "-n", f"Microsoft.{name}")
    here = ("-g", "kaniko")
    az.run("group", "create", "-n", "kaniko", "-l", "eastus")
    assert az.run("acr", "check-name", "-n", "kanikodemo", "--query", "nameAvailable") == "true"
    said = az.run("acr", "create", *here, "-n", "kaniko-demo", "--sku", "Basic", good=False)
    assert "dashes" in said
    az.run("acr", "create", *here, "-n", "kanikodemo", "--sku", "Basic")
    server = ("--expose-token", "--query", "loginServer")
    assert az.run("acr", "login", "-n", "kanikodemo", *server) == "kanikodemo.azurecr.io"
    az.run(
        "aks", "create", *here, "-n", "demo", "--generate-ssh-keys", "--attach-acr", "kanikodemo"
    )
    az.run("aks", "get-credentials", *here, "-n", "demo", "--admin", "--file", "admin")
    assert "demo-admin" in (tmp_path / "admin").read_text()
    az.run("aks", "get-credentials", *here, "-n", "demo", "--file", "user")
    assert "current-context: demo\n" in (tmp_path / "user").read_text()
    assert az.run("resource", "list", *here, "--query", "length(@)") == "2"
    pool = (*here, "--cluster-name", "demo", "-n", "more")
    az.run("aks", "nodepool", "add", *pool, "-c", "1", "--labels", "a=b", "--mode", "User")
    az.run("aks", "nodepool", "scale", *pool, "-c", "2")
    az.run("aks", "nodepool", "update", *pool, "--tags", "a=b")
    count = ("--query", "[?name=='more'].count")
    assert az.run("aks", "nodepool", "list", *here, "--cluster-name", "demo", *count) == "2"
    az.run("aks", "update", *here, "-n", "demo", "--tags", "c=d")
    assert az.run("aks", "show", *here, "-n", "demo", "--query", "tags.c") == "d"
    az.run("aks", "nodepool", "delete", *pool)
    az.run("aks", "delete", *here, "-n", "demo", "-y")
    assert az.run("aks", "list", "--query", "length(@)") == "0"
    az.run("acr", "delete", *here, "-n", "kanikodemo", "-y")
    az.run("group", "delete", "-n", "kaniko", "-y")


@pytest.mark.client
@pytest.mark.deep
@pytest.mark.timeout(1200)
def test_the_commands_that_upgrade_stop_and_start(cloud: Azure, az: Az) -> None:
    assert az.run("account", "show", "--query", "id") == SUBSCRIPTION
    versions = az.run("aks", "get-versions", "-l", "eastus", "--query", "values[].version")
    assert {"1.34", "1.35"} <= set(versions.split())
    cloud.cluster(kubernetesVersion="1.34")
    here = ("-g", "demo", "-n", "demo")
    pool = ("-g", "demo", "--cluster-name", "demo", "-n", "system")
    versions = ("--query", "controlPlaneProfile.upgrades[].kubernetesVersion")
    newer = az.run("aks", "get-upgrades", *here, *versions).split()
    version = next(one for one in newer if one.startswith("1.35."))
    az.run("aks", "upgrade", *here, "-k", version, "--control-plane-only", "-y")
    pool_of = ("-g", "demo", "--cluster-name", "demo", "--nodepool-name", "system")
    said = az.run("aks", "nodepool", "get-upgrades", *pool_of, "--query", "kubernetesVersion")
    assert said.startswith("1.34.")
    az.run("aks", "nodepool", "upgrade", *pool, "-k", version)
    current = ("--query", "currentOrchestratorVersion")
    assert az.run("aks", "nodepool", "show", *pool, *current) == version
    az.run("aks", "stop", *here)
    assert az.run("aks", "show", *here, "--query", "powerState.code") == "Stopped"
    assert "stopping cannot be performed" in az.run("aks", "stop", *here, good=False)
    az.run("aks", "start", *here)
    assert az.run("aks", "show", *here, "--query", "powerState.code") == "Running"


@pytest.mark.client
@pytest.mark.deep
@pytest.mark.timeout(1200)
def test_the_commands_of_a_network_and_identities(az: Az) -> None:
    here = ("-g", "demo")
    az.run("network", "public-ip", "create", *here, "-n", "ip", "--sku", "Standard")
    az.run("network", "nat", "gateway", "create", *here, "-n", "nat", "--public-ip-addresses", "ip")
    az.run("network", "vnet", "create", *here, "-n", "net", "--address-prefix", "10.9.0.0/16",
           "--subnet-name", "sub", "--subnet-prefix", "10.9.0.0/24")  # fmt: skip
    subnet = (*here, "--vnet-name", "net", "-n", "sub")
    az.run("network", "vnet", "subnet", "update", *subnet, "--nat-gateway", "nat")
    said = az.run("network", "nat", "gateway", "delete", *here, "-n", "nat", good=False)
    assert "CannotDeleteNatGatewayAssociatedToSubnet" in said
    az.run("identity", "create", *here, "-n", "mine")
    principal = az.run("identity", "show", *here, "-n", "mine", "--query", "principalId")
    az.run("identity", "federated-credential", "create", *here, "--identity-name", "mine", "-n",
           "builder", "--issuer", "https://x/", "--subject", "s", "--audiences", "a")  # fmt: skip
    scope = az.run("group", "show", "-n", "demo", "--query", "id")
    az.run("role", "assignment", "create", "--role", "AcrPush", "--assignee-object-id", principal,
           "--assignee-principal-type", "ServicePrincipal", "--scope", scope)  # fmt: skip
    roles = az.run("role", "assignment", "list", "--scope", scope, "--query",
                   "[].roleDefinitionName")  # fmt: skip
    assert roles == "AcrPush"
    on = ("--resource-name", "nat", "--resource-type", "Microsoft.Network/natGateways")
    az.run("lock", "create", *here, "-n", "stay", "-t", "CanNotDelete", *on)
    assert az.run("lock", "list", *here, *on, "--parent", "", "--query", "[].name") == "stay"
    said = az.run("group", "delete", "-n", "demo", "-y", good=False)
    assert "ScopeLocked" in said
    lock = az.run("lock", "show", *here, "-n", "stay", *on, "--query", "id")
    az.run("lock", "delete", "--ids", lock)
    assert az.run("lock", "list", *here, "--query", "length(@)") == "0"
    az.run("sshkey", "create", *here, "-n", "key")
    size = ("--size", "Standard_D4s_v5", "--query", "[].name")
    assert az.run("vm", "list-skus", "-l", "eastus", *size) == "Standard_D4s_v5"
