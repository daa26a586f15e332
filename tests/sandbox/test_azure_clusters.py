"""Managed clusters and their agent pools, as Resource Manager shows and changes them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from clusterkit_sandbox.azure.account import TENANT
from clusterkit_sandbox.faults import Rule
from tests.sandbox.azurecloud import (
    AKS,
    NET,
    REGION,
    RG,
    SUB,
    UAI,
    Azure,
    account,
    cloud,
    eventually,
    shared,
)

__all__ = ["cloud", "shared"]
DEMO = f"{AKS}/demo"
SYSTEM = {"name": "system", "mode": "System", "count": 1, "vmSize": "Standard_D4s_v5"}


def pool(cloud: Azure, name: str = "more", **properties: Any) -> Any:
    """A pool that is up."""
    body = {"properties": {"count": 1, "vmSize": "Standard_D2s_v5", **properties}}
    return cloud.done("PUT", f"{DEMO}/agentPools/{name}", body)


def own(cloud: Azure, **properties: Any) -> dict[str, Any]:
    """The body of a cluster with identities and a subnet of one's own."""
    control, kubelet = cloud.identity("control"), cloud.identity("kubelet")
    cloud.assign("Identity Operator", f"{UAI}/kubelet", control["properties"]["principalId"])
    body = cloud.wanted(
        identityProfile={"kubeletidentity": {"resourceId": kubelet["id"]}}, **properties
    )
    body["properties"]["agentPoolProfiles"][0]["vnetSubnetID"] = cloud.network()
    identity = {"type": "UserAssigned", "userAssignedIdentities": {control["id"]: {}}}
    return {**body, "identity": identity}


def test_a_cluster(cloud: Azure) -> None:
    status, made, headers = cloud.send(
        "PUT", DEMO, cloud.wanted(oidcIssuerProfile={"enabled": True})
    )
    assert status == 201
    assert made["properties"]["provisioningState"] == "Creating"
    poll = headers["Azure-AsyncOperation"]
    assert re.search("/Microsoft.ContainerService/locations/eastus/operations/", poll)
    assert "Location" not in headers
    eventually(lambda: cloud("GET", poll)["status"], lambda status: status == "Succeeded")
    found = cloud("GET", DEMO)
    # as the service writes them
    assert found["id"] == DEMO.replace("resourceGroups", "resourcegroups")
    assert found["type"] == "Microsoft.ContainerService/ManagedClusters"
    properties = found["properties"]
    assert properties["provisioningState"] == "Succeeded"
    assert properties["kubernetesVersion"] == "1.35"
    assert properties["currentKubernetesVersion"].startswith("1.35.")
    assert properties["fqdn"].endswith(".hcp.eastus.azmk8s.io")
    assert properties["nodeResourceGroup"] == "MC_demo_demo_eastus"
    issuer = properties["oidcIssuerProfile"]["issuerURL"]
    assert re.fullmatch(rf"https://eastus.oic.prod-aks.azure.com/{TENANT}/[0-9a-f-]+/", issuer)
    assert found["sku"] == {"name": "Base", "tier": "Free"}
    assert [one["name"] for one in properties["agentPoolProfiles"]] == ["system"]
    assert [one["name"] for one in cloud("GET", AKS)["value"]] == ["demo"]
    everywhere = f"{SUB}/providers/Microsoft.ContainerService/managedClusters"
    assert [one["name"] for one in cloud("GET", everywhere)["value"]] == ["demo"]


def test_pools_in_the_body_are_resources(cloud: Azure) -> None:
    cloud.cluster()
    found = cloud("GET", f"{DEMO}/agentPools")["value"]
    assert [(one["name"], one["properties"]["mode"]) for one in found] == [("system", "System")]
    assert found[0]["properties"]["nodeImageVersion"].startswith("AKSUbuntu-")
    assert (
        cloud("GET", f"{DEMO}/agentPools/system")["properties"]["provisioningState"] == "Succeeded"
    )


def test_the_node_resource_group(cloud: Azure) -> None:
    cloud.cluster()
    group = f"{SUB}/resourceGroups/MC_demo_demo_eastus"
    assert cloud("GET", group)["managedBy"].lower() == DEMO.lower()
    kinds = {one["type"].partition("/")[2] for one in cloud("GET", f"{group}/resources")["value"]}
    assert kinds == {
        "loadBalancers", "networkSecurityGroups", "publicIPAddresses", "userAssignedIdentities",
        "virtualMachineScaleSets", "virtualNetworks",
    }  # fmt: skip
    balancer = cloud("GET", f"{group}/providers/Microsoft.Network/loadBalancers/kubernetes")
    assert len(balancer["properties"]["frontendIPConfigurations"]) == 1
    profile = cloud("GET", DEMO)["properties"]["networkProfile"]["loadBalancerProfile"]
    address = profile["effectiveOutboundIPs"][0]["id"]
    assert cloud.refused("DELETE", address) == (400, "PublicIPAddressCannotBeDeleted")
    cloud.done("DELETE", DEMO)
    assert cloud.refused("GET", group)[0] == 404
    assert cloud.send("DELETE", DEMO)[0] == 204


def test_identities_and_a_subnet_of_ones_own(cloud: Azure) -> None:
    body = own(cloud)
    found = cloud.done("PUT", DEMO, body)
    kubelet = cloud("GET", f"{UAI}/kubelet")["properties"]
    profile = found["properties"]["identityProfile"]["kubeletidentity"]
    assert profile["objectId"] == kubelet["principalId"]
    mine = found["identity"]["userAssignedIdentities"]
    assert list(mine) == [f"{UAI}/control"]
    assert cloud.refused("DELETE", f"{NET}/virtualNetworks/demo") == (
        400,
        "InUseSubnetCannotBeDeleted",
    )
    cloud.done("PUT", DEMO, body)
    status, found, _ = cloud.send("DELETE", RG)
    assert status == 202
    eventually(lambda: cloud.send("GET", RG)[0], lambda status: status == 404)
    assert cloud("GET", f"{SUB}/resources")["value"] == []


def test_the_kubelet_identity_needs_a_role(cloud: Azure) -> None:
    body = own(cloud)
    where = f"{UAI}/kubelet/providers/Microsoft.Authorization/roleAssignments"
    name = cloud("GET", where)["value"][0]["name"]
    cloud("DELETE", f"{where}/{name}")
    refused = cloud.refused("PUT", DEMO, body)
    assert refused == (400, "CustomKubeletIdentityMissingPermissionError")
    body["identity"] = {"type": "SystemAssigned"}
    code = "CustomKubeletIdentityOnlySupportedOnUserAssignedMSICluster"
    assert cloud.refused("PUT", DEMO, body) == (400, code)


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"agentPoolProfiles": []}, "InvalidParameter"),
        ({"agentPoolProfiles": [{**SYSTEM, "mode": "User"}]}, "InvalidParameter"),
        ({"agentPoolProfiles": [{**SYSTEM, "name": "Big-Name"}]}, "InvalidParameter"),
        ({"agentPoolProfiles": [{**SYSTEM, "vmSize": "Standard_X1"}]}, "BadRequest"),
        ({"agentPoolProfiles": [{**SYSTEM, "osSKU": "Plan9"}]}, "InvalidParameter"),
        (
            {"agentPoolProfiles": [{**SYSTEM, "availabilityZones": ["9"]}]},
            "AvailabilityZoneNotSupported",
        ),
        ({"agentPoolProfiles": [{**SYSTEM, "count": 40}]}, "ErrCode_InsufficientVCPUQuota"),
        ({"agentPoolProfiles": [{**SYSTEM, "enableAutoScaling": True}]}, "InvalidParameter"),
        ({"agentPoolProfiles": [{**SYSTEM, "scaleSetPriority": "Spot"}]}, "InvalidParameter"),
        ({"agentPoolProfiles": [{**SYSTEM, "count": "one"}]}, "UnmarshalError"),
        ({"kubernetesVersion": "1.20"}, "K8sVersionNotSupported"),
        ({"kubernetesVersion": "1.33"}, "K8sVersionNotSupported"),
        ({"supportPlan": "AKSLongTermSupport"}, "InvalidParameter"),
        (
            {"networkProfile": {"serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.9.0.10"}},
            "DnsServiceIpOutOfServiceCidr",
        ),
        ({"networkProfile": {"podCidr": "10.0.0.1/8"}}, "InvalidParameter"),
        ({"disableLocalAccounts": True}, "BadRequest"),
        ({"apiServerAccessProfile": {"authorizedIPRanges": ["x"]}}, "InvalidParameter"),
        ({"unknown": {}}, "UnmarshalError"),
    ],
)
def test_clusters_that_are_refused(cloud: Azure, properties: Any, code: str) -> None:
    assert cloud.refused("PUT", DEMO, cloud.wanted(**properties)) == (400, code)
    assert cloud("GET", AKS)["value"] == []


def test_names_and_identities_that_are_refused(cloud: Azure) -> None:
    assert cloud.refused("PUT", f"{AKS}/demo-", cloud.wanted()) == (400, "InvalidParameter")
    body = {**cloud.wanted(), "identity": None}
    assert cloud.refused("PUT", DEMO, body) == (400, "InvalidParameter")
    identity = {"type": "UserAssigned", "userAssignedIdentities": {f"{UAI}/none": {}}}
    body = {**cloud.wanted(), "identity": identity}
    assert cloud.refused("PUT", DEMO, body) == (400, "FailedIdentityOperation")


def test_a_subnet_must_fit(cloud: Azure) -> None:
    body = own(cloud)
    body["properties"]["networkProfile"] = {
        "serviceCidr": "10.1.0.0/16",
        "dnsServiceIP": "10.1.0.10",
    }
    assert cloud.refused("PUT", DEMO, body) == (400, "ServiceCidrOverlapExistingSubnetsCidr")
    subnet = f"{NET}/virtualNetworks/demo/subnets/small"
    cloud.done("PUT", subnet, {"properties": {"addressPrefix": "10.1.16.0/29"}})
    del body["properties"]["networkProfile"]
    profile = body["properties"]["agentPoolProfiles"][0]
    profile.update(vnetSubnetID=subnet, count=4)
    assert cloud.refused("PUT", DEMO, body) == (400, "InsufficientSubnetSize")
    profile.update(vnetSubnetID=subnet.replace("small", "none"), count=1)
    assert cloud.failed("PUT", DEMO, body)["code"] == "InvalidResourceReference"
    assert cloud("GET", DEMO)["properties"]["provisioningState"] == "Failed"
    profile.update(vnetSubnetID=subnet)


def test_nodes_need_a_way_out(cloud: Azure) -> None:
    body = own(cloud, networkProfile={"outboundType": "userAssignedNATGateway"})
    assert cloud.failed("PUT", DEMO, body)["code"] == "VMExtensionProvisioningError"


def test_a_failed_cluster_is_repaired_by_the_same_body(cloud: Azure) -> None:
    conditions = cloud.cloud.store.conditions
    conditions.sold_out.add(("Standard_D4s_v5", ""))
    assert cloud.failed("PUT", DEMO, cloud.wanted())["code"] == "AllocationFailed"
    assert cloud("GET", DEMO)["properties"]["provisioningState"] == "Failed"
    conditions.sold_out.clear()
    found = cloud.done("PUT", DEMO, cloud.wanted())
    assert found["properties"]["provisioningState"] == "Succeeded"


def test_a_zone_without_capacity(cloud: Azure) -> None:
    cloud.cloud.store.conditions.sold_out.add(("*", "2"))
    body = cloud.wanted()
    body["properties"]["agentPoolProfiles"][0].update(availabilityZones=["1", "2"], count=2)
    assert cloud.failed("PUT", DEMO, body)["code"] == "ZonalAllocationFailed"


def test_a_cluster_that_is_made_to_fail(cloud: Azure) -> None:
    faults = cloud.sandbox.faults
    faults.set([Rule("containerservice:ManagedClusters_CreateOrUpdate", "terminal", times=1)])
    try:
        assert cloud.failed("PUT", DEMO, cloud.wanted())["code"] == "InternalServerError"
        refused = cloud.refused("POST", f"{DEMO}/listClusterAdminCredential")
        assert refused[0] == 404
        cloud.done("PUT", DEMO, cloud.wanted())
    finally:
        faults.set([])


def test_changes_in_place(cloud: Azure) -> None:
    cloud.cluster()
    body = cloud.wanted(autoUpgradeProfile={"upgradeChannel": "patch"})
    found = cloud.done("PUT", DEMO, {**body, "sku": {"name": "Base", "tier": "Standard"}})
    assert found["sku"]["tier"] == "Standard"
    assert found["properties"]["autoUpgradeProfile"]["upgradeChannel"] == "patch"
    status, found, headers = cloud.send("PATCH", DEMO, {"tags": {"a": "b"}})
    assert (status, found["tags"]) == (200, {"a": "b"})
    eventually(
        lambda: cloud("GET", headers["Azure-AsyncOperation"])["status"], lambda s: s == "Succeeded"
    )
    assert cloud("GET", DEMO)["tags"] == {"a": "b"}


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"dnsPrefix": "other"}, "PropertyChangeNotAllowed"),
        ({"networkProfile": {"podCidr": "10.99.0.0/16"}}, "PropertyChangeNotAllowed"),
        (
            {"agentPoolProfiles": [{**SYSTEM, "vmSize": "Standard_D2s_v5"}]},
            "PropertyChangeNotAllowed",
        ),
        ({"agentPoolProfiles": [{**SYSTEM, "name": "new"}]}, "BadRequest"),
        ({"kubernetesVersion": "1.34"}, "OperationNotAllowed"),
    ],
)
def test_changes_that_are_refused(cloud: Azure, properties: Any, code: str) -> None:
    cloud.cluster()
    assert cloud.refused("PUT", DEMO, cloud.wanted(**properties)) == (400, code)


def test_pools_come_and_go(cloud: Azure) -> None:
    cloud.cluster()
    found = pool(cloud, nodeLabels={"a": "b"}, nodeTaints=["x=y:NoSchedule"], osSKU="AzureLinux")
    assert found["properties"]["provisioningState"] == "Succeeded"
    assert found["properties"]["nodeImageVersion"].startswith("AKSAzureLinux-")
    names = [one["name"] for one in cloud("GET", DEMO)["properties"]["agentPoolProfiles"]]
    assert names == ["system", "more"]
    status, found, _ = cloud.send(
        "PUT", f"{DEMO}/agentPools/more", {"properties": {"count": 3, "vmSize": "Standard_D2s_v5"}}
    )
    assert (status, found["properties"]["provisioningState"]) == (200, "Scaling")
    eventually(lambda: cloud("GET", f"{DEMO}/agentPools/more")["properties"]["provisioningState"],
               lambda state: state == "Succeeded")  # fmt: skip
    bare = {"count": 3, "vmSize": "Standard_D2s_v5", "nodeLabels": {}, "nodeTaints": []}
    found = cloud.done("PUT", f"{DEMO}/agentPools/more", {"properties": bare})["properties"]
    assert (found.get("nodeLabels"), found.get("nodeTaints")) == ({}, [])
    changed = {"properties": {"count": 3, "vmSize": "Standard_D4s_v5"}}
    refused = cloud.refused("PUT", f"{DEMO}/agentPools/more", changed)
    assert refused == (400, "PropertyChangeNotAllowed")
    assert cloud.refused("DELETE", f"{DEMO}/agentPools/system") == (400, "OperationNotAllowed")
    cloud.done("DELETE", f"{DEMO}/agentPools/more")
    assert cloud.send("DELETE", f"{DEMO}/agentPools/more")[0] == 204
    assert cloud.refused("DELETE", f"{DEMO}/agentPools/system") == (400, "OperationNotAllowed")
    none = cloud.refused("PUT", f"{AKS}/none/agentPools/more", changed)
    assert none == (404, "ResourceNotFound")


def test_a_spot_pool_and_one_that_scales(cloud: Azure) -> None:
    cloud.cluster()
    found = pool(cloud, "spot", scaleSetPriority="Spot")["properties"]
    assert found["nodeTaints"] == ["kubernetes.azure.com/scalesetpriority=spot:NoSchedule"]
    assert found["nodeLabels"] == {"kubernetes.azure.com/scalesetpriority": "spot"}
    assert found["scaleSetEvictionPolicy"] == "Delete"
    found = pool(cloud, "auto", enableAutoScaling=True, minCount=2, maxCount=5)["properties"]
    assert (found["count"], found["minCount"], found["maxCount"]) == (2, 2, 5)


def test_pools_follow_their_cluster(cloud: Azure) -> None:
    body = cloud.wanted(kubernetesVersion="1.34")
    cloud.done("PUT", DEMO, body)
    pool(cloud)
    ahead = {"properties": {"count": 1, "vmSize": "Standard_D2s_v5", "orchestratorVersion": "1.35"}}
    refused = cloud.refused("PUT", f"{DEMO}/agentPools/more", ahead)
    assert refused == (400, "NodePoolMcVersionIncompatible")
    skipped = cloud.refused("PUT", DEMO, cloud.wanted(kubernetesVersion="1.36"))
    assert skipped == (400, "OperationNotAllowed")
    profile = cloud("GET", f"{DEMO}/upgradeProfiles/default")["properties"]["controlPlaneProfile"]
    assert "1.35.6" in [one["kubernetesVersion"] for one in profile["upgrades"]]
    body["properties"]["kubernetesVersion"] = "1.35"
    found = cloud("PUT", DEMO, body)
    assert found["properties"]["provisioningState"] == "Upgrading"
    eventually(
        lambda: cloud("GET", DEMO)["properties"]["provisioningState"], lambda s: s == "Succeeded"
    )
    properties = cloud("GET", f"{DEMO}/agentPools/more")["properties"]
    assert properties["currentOrchestratorVersion"].startswith("1.34.")
    properties = cloud.done("PUT", f"{DEMO}/agentPools/more", ahead)["properties"]
    assert properties["currentOrchestratorVersion"].startswith("1.35.")
    offered = cloud("GET", f"{DEMO}/availableAgentPoolVersions")["properties"]["agentPoolVersions"]
    assert "1.36.2" not in [one["kubernetesVersion"] for one in offered]


def test_versions_on_offer(cloud: Azure) -> None:
    place = f"{SUB}/providers/Microsoft.ContainerService/locations/{REGION}/kubernetesVersions"
    found = {one["version"]: one for one in cloud("GET", place)["values"]}
    assert found["1.35"]["isDefault"]
    assert found["1.33"]["capabilities"]["supportPlan"] == ["AKSLongTermSupport"]
    assert list(found["1.36"]["patchVersions"]) == ["1.36.2", "1.36.1"]


def test_one_operation_at_a_time(tmp_path: Path) -> None:
    with account(tmp_path, pace=300) as cloud:
        cloud.group()
        cloud.send("PUT", DEMO, cloud.wanted())
        status, found, _ = cloud.send("PUT", DEMO, cloud.wanted())
        assert (status, found["code"]) == (409, "OperationNotAllowed")
        assert "Another operation (Creating) is in progress" in found["message"]
        assert cloud.refused("DELETE", DEMO) == (409, "OperationNotAllowed")
        body = {"properties": {"count": 1, "vmSize": "Standard_D2s_v5"}}
        refused = cloud.refused("PUT", f"{DEMO}/agentPools/one", body)
        assert refused == (409, "OperationNotAllowed")
        eventually(lambda: cloud("GET", DEMO)["properties"]["provisioningState"],
                   lambda state: state == "Succeeded")  # fmt: skip
        cloud("PUT", f"{DEMO}/agentPools/one", body)
        cloud("PUT", f"{DEMO}/agentPools/two", body)
        status, found, _ = cloud.send("PUT", DEMO, cloud.wanted())
        busy = r"Another agentpool operation \((one|two) - Creating\) is in progress"
        assert re.search(busy, found["message"])
        again = cloud.refused("PUT", f"{DEMO}/agentPools/one", body)
        assert again == (409, "OperationNotAllowed")


def test_etags(cloud: Azure) -> None:
    body = cloud.wanted()
    cloud.done("PUT", DEMO, body, headers={"If-None-Match": "*"})
    assert cloud.refused("PUT", DEMO, body, headers={"If-None-Match": "*"})[0] == 412
    etag = cloud("GET", DEMO)["eTag"]
    cloud.done("PUT", DEMO, body, headers={"If-Match": etag})
    refused = cloud.refused("PUT", DEMO, body, headers={"If-Match": etag})
    assert refused == (412, "PreconditionFailed")
    etag = cloud("GET", f"{DEMO}/agentPools/system")["properties"]["eTag"]
    path = f"{DEMO}/agentPools/system"
    cloud.done("PUT", path, {"properties": SYSTEM_ONLY}, headers={"If-Match": etag})


SYSTEM_ONLY = {name: value for name, value in SYSTEM.items() if name != "name"}


def test_a_group_whose_network_is_in_use_stays(cloud: Azure) -> None:
    body = own(cloud)
    cloud.group("other")
    place = f"{SUB}/resourceGroups/other/providers/Microsoft.ContainerService/managedClusters/far"
    cloud.done("PUT", place, body)
    assert cloud.failed("DELETE", RG)["code"] == "ResourceGroupDeletionBlocked"
    assert cloud("GET", RG)["properties"]["provisioningState"] == "Succeeded"
    cloud.done("DELETE", place)
    assert cloud.failed("DELETE", RG) is None


def test_quota_counts_what_runs(cloud: Azure) -> None:
    cloud.cloud.store.conditions.family_cores["standardDSv5Family"] = 8
    cloud.cluster()
    body = {"properties": {"count": 3, "vmSize": "Standard_D2s_v5"}}
    status, found, _ = cloud.send("PUT", f"{DEMO}/agentPools/more", body)
    assert (status, found["code"]) == (400, "ErrCode_InsufficientVCPUQuota")
    assert "requested 6, remaining 4" in found["message"]
    pool(cloud, count=2)
