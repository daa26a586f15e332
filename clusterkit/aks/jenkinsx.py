"""What Jenkins X is told of a cluster on AKS.

All its pods are to the cloud what their node is: the kubelets' identity
(https://github.com/jenkins-x/jx3-versions, ``charts/*/*/values.yaml.gotmpl``,
``cluster.azure.clusterNodes``). So that one pushes to the registry, and writes the containers, the
vault and the DNS zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clusterkit.aks.blobs import StorageAccount
from clusterkit.aks.client import Clients
from clusterkit.aks.iam import kubelet_of
from clusterkit.aks.keyvault import KeyVault
from clusterkit.aks.profile import AksProfile
from clusterkit.aks.registry import server_of
from clusterkit.aks.tags import Resource
from clusterkit.aks.zones import ZoneState, zone_of
from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent, Denied
from clusterkit.naming import CLUSTER
from clusterkit.ready.jenkinsx import LOGS, STORAGE, Platform, secret_storage


@dataclass(frozen=True)
class Named:
    """What is there, by the names that Jenkins X is told."""

    kubelet: str
    """client id of the kubelets' identity"""
    server: str = ""
    """the registry's login server"""
    storage: str = ""
    """the storage account"""
    vault: str = ""
    """the key vault"""
    zone: ZoneState | None = None


def platform_of(profile: AksProfile, clients: Clients, named: Named) -> Platform:
    """The cluster as Jenkins X names it."""
    registry = profile.registry
    account = {"tenantId": clients.tenant, "subscriptionId": clients.subscription}
    azure: dict[str, Any] = {"clusterNodes": {"clientID": named.kubelet}}
    if named.storage:
        azure["storage"] = {"storageAccountName": named.storage}
    if named.vault:
        azure["secretStorage"] = {"keyVaultName": named.vault}
    if named.zone:
        azure["dns"] = {**account, "resourceGroup": named.zone.group}
    return Platform(
        provider="aks",
        cluster=profile.name,
        registry=named.server,
        organization=registry.name if registry else "",
        region=profile.region,
        secret_storage=secret_storage(profile.ready, "azurekeyvault"),
        storage={name: _url(name, named.storage) for name in STORAGE if named.storage},
        cluster_extra={"azure": azure},
        boot_env=_environment(account, named) if named.vault else {},
        external_dns=named.zone is not None,
    )


def _url(name: str, account: str) -> str:
    """Of a container. Who writes and shows logs gets the account from ``cluster.azure.storage``;
    who keeps artifacts (bucketrepo) from the URL alone (gocloud.dev ``blob/azureblob``).
    """
    return f"azblob://{name}" if name == LOGS else f"azblob://{name}?storage_account={account}"


def _environment(account: dict[str, str], named: Named) -> dict[str, str]:
    """How the boot job reaches the vault (jenkins-x-terraform/terraform-jx-azure ``local.tf``)."""
    return {
        "AZURE_TENANT_ID": account["tenantId"],
        "AZURE_SUBSCRIPTION_ID": account["subscriptionId"],
        "AZURE_CLIENT_ID": named.kubelet,
    }


def platform(profile: AksProfile, clients: Clients, _: str | None) -> Platform:
    """``Cloud.platform``: what it names is read."""
    scope = Scope(clients, profile.name, profile.region)
    kubelet = kubelet_of(scope)
    if not kubelet:
        raise Absent("identity")
    wanted = profile.ready.jenkins_x
    named = Named(
        kubelet=kubelet,
        server=server_of(scope) if profile.registry else "",
        storage=_ours(StorageAccount, scope) if profile.keeps_files else "",
        vault=_ours(KeyVault, scope) if profile.keeps_secrets else "",
        zone=_zone(wanted.domain, clients) if wanted and wanted.domain else None,
    )
    return platform_of(profile, clients, named)


def _ours(kind: type[Resource[Any]], scope: Scope[Clients]) -> str:
    for have in kind.there(scope):
        if have.tags.get(CLUSTER) == scope.cluster:
            return str(have.name)
    raise Absent(kind.kind)


def _zone(domain: str, clients: Clients) -> ZoneState | None:
    try:
        return zone_of(domain, clients)
    except Denied:
        return None
