"""A cluster as AKS shows it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from clusterkit.aks import ids
from clusterkit.aks.errors import ERRORS, told
from clusterkit.aks.keypair import same_key
from clusterkit.aks.network import BALANCED
from clusterkit.aks.tags import BROKEN
from clusterkit.engine.kind import Record, Tags

PROTECT = "clusterkit-protect"
"""tag of a cluster that destroy refuses to touch"""
STOPPED = "Stopped"
CHANGING = frozenset({"Scaling", "Updating", "Upgrading", "UpgradingNodeImageVersion"})
"""AKS changes it, maybe by itself and for hours: what exists is in use meanwhile, and a change
of it is refused until then (facts/states.tsv)"""
CHANNELS = ("upgradeChannel", "nodeOSUpgradeChannel")
VERSIONS = ("currentKubernetesVersion", "kubernetesVersion")
SUPPORT = {"standard": "KubernetesOfficial", "long-term": "AKSLongTermSupport"}


class ClusterState(Record):
    """A cluster as ``managedClusters`` shows it."""

    id: str
    """in lower case"""
    path: str
    name: str
    status: str
    """``provisioningState``; ``Stopped`` for one that was stopped"""
    tags: Tags
    version: str
    tier: str
    support: str
    subnet: str
    """key of the subnet of its pools"""
    pods: str
    services: str
    outbound: str
    private: bool
    allowed: frozenset[IPv4Network]
    identity: str
    """key of the control plane's identity"""
    principal: str
    """the object id by which the cluster knows it"""
    kubelet: str
    kubelet_client: str
    """the application id by which the cluster knows it"""
    issuer: str
    workload_identity: bool
    upgrades: tuple[str, ...]
    """``CHANNELS`` of its upgrades"""
    entra: bool
    azure_rbac: bool
    local_accounts: bool
    ssh_user: str
    ssh_keys: frozenset[str]
    reason: str = ""
    pools: tuple[Mapping[str, Any], ...] = ()
    """its pools as they are shown"""

    @property
    def details(self) -> Mapping[str, str]:
        """Its version, tier and ranges."""
        ranges = {"pods": self.pods, "services": self.services}
        return {"Kubernetes": self.version, "tier": self.tier, **ranges}

    @property
    def protected(self) -> bool:
        return self.tags.get(PROTECT) == "true"

    @property
    def hint(self) -> str:
        return ERRORS.cure(self.reason)


def why(shown: Mapping[str, Any]) -> str:
    """What AKS says is wrong with a cluster or a pool."""
    error = (shown.get("status") or {}).get("provisioningError")
    return told(error)[1] if error else ""


def _status(properties: Mapping[str, Any]) -> str:
    """Stopped is no state of provisioning (``powerState``)."""
    state = str(properties.get("provisioningState") or "")
    power = (properties.get("powerState") or {}).get("code")
    return STOPPED if power == STOPPED and state in ("Succeeded", *BROKEN) else state


def state(shown: Mapping[str, Any]) -> ClusterState:
    properties = shown.get("properties") or {}
    network, aad = properties.get("networkProfile") or {}, properties.get("aadProfile") or {}
    access = properties.get("apiServerAccessProfile") or {}
    pools = tuple(properties.get("agentPoolProfiles") or ())
    kubelet = (properties.get("identityProfile") or {}).get("kubeletidentity") or {}
    linux, issuer = properties.get("linuxProfile") or {}, properties.get("oidcIssuerProfile") or {}
    workload = (properties.get("securityProfile") or {}).get("workloadIdentity") or {}
    ranges = access.get("authorizedIPRanges") or ()
    channels = properties.get("autoUpgradeProfile") or {}
    return ClusterState(
        id=ids.key(shown["id"]),
        path=shown["id"],
        name=shown["name"],
        status=_status(properties),
        tags=shown.get("tags") or {},
        version=next(filter(None, map(properties.get, VERSIONS)), ""),
        tier=(shown.get("sku") or {}).get("tier") or "",
        support=properties.get("supportPlan") or SUPPORT["standard"],
        subnet=next((ids.key(pool.get("vnetSubnetID")) for pool in pools), ""),
        pods=network.get("podCidr") or "",
        services=network.get("serviceCidr") or "",
        outbound=network.get("outboundType") or BALANCED,
        private=bool(access.get("enablePrivateCluster")),
        allowed=frozenset(IPv4Network(each, strict=False) for each in ranges),
        identity=next(map(ids.key, _identities(shown)), ""),
        principal=next((each.get("principalId") or "" for each in _identities(shown).values()), ""),
        kubelet=ids.key(kubelet.get("resourceId")),
        kubelet_client=kubelet.get("clientId") or "",
        issuer=(issuer.get("issuerURL") or "") if issuer.get("enabled") else "",
        workload_identity=bool(workload.get("enabled")),
        upgrades=tuple(str(channels.get(name) or "") for name in CHANNELS),
        entra=bool(aad.get("managed")),
        azure_rbac=bool(aad.get("enableAzureRBAC")),
        local_accounts=not properties.get("disableLocalAccounts"),
        ssh_user=linux.get("adminUsername") or "",
        ssh_keys=frozenset(
            same_key(each.get("keyData") or "")
            for each in (linux.get("ssh") or {}).get("publicKeys") or ()
        ),
        reason=why(properties),
        pools=pools,
    )


def _identities(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    """Id to object id and application id of what the control plane acts as."""
    return (shown.get("identity") or {}).get("userAssignedIdentities") or {}
