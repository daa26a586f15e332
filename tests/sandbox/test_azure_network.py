"""Resource groups, virtual networks, NAT gateways, addresses and what else a cluster stands on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.azurecloud import (
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
VNET = f"{NET}/virtualNetworks/demo"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDdUNHqvWGvyxXl1KbMzEB5eqhSSXaYBnR1rYoCGMzQv demo"


def nat(cloud: Azure) -> str:
    """A NAT gateway with an address."""
    body = {"location": REGION, "sku": {"name": "Standard"},
            "properties": {"publicIPAllocationMethod": "Static"}}  # fmt: skip
    cloud.done("PUT", f"{NET}/publicIPAddresses/nat", body)
    properties = {"publicIpAddresses": [{"id": f"{NET}/publicIPAddresses/nat"}]}
    body = {"location": REGION, "sku": {"name": "Standard"}, "properties": properties}
    cloud.done("PUT", f"{NET}/natGateways/demo", body)
    return f"{NET}/natGateways/demo"


def test_a_group_and_its_tags(cloud: Azure) -> None:
    status, found, _ = cloud.send("PUT", RG, {"location": REGION, "tags": {"team": "ci"}})
    assert (status, found["tags"]) == (200, {"team": "ci"})
    assert cloud.refused("PUT", RG, {"location": "westus"}) == (409, "InvalidResourceGroupLocation")
    cloud("PATCH", RG, {"tags": {"team": "qa"}})
    assert cloud("GET", RG)["tags"] == {"team": "qa"}
    query = {"$filter": "tagName eq 'team' and tagValue eq 'qa'"}
    assert [g["name"] for g in cloud("GET", f"{SUB}/resourcegroups", **query)["value"]] == ["demo"]
    query = {"$filter": "tagName eq 'team' and tagValue eq 'ci'"}
    assert cloud("GET", f"{SUB}/resourcegroups", **query)["value"] == []
    assert cloud.send("HEAD", RG)[0] == 204
    assert cloud.send("HEAD", f"{SUB}/resourcegroups/none")[0] == 404


def test_tags_of_any_resource(cloud: Azure) -> None:
    cloud("PUT", f"{UAI}/one", {"location": REGION, "tags": {"a": "1"}})
    place = f"{UAI}/one/providers/Microsoft.Resources/tags/default"
    assert cloud("GET", place)["properties"] == {"tags": {"a": "1"}}
    body = {"operation": "Merge", "properties": {"tags": {"b": "2"}}}
    cloud("PATCH", place, body)
    assert cloud("GET", f"{UAI}/one")["tags"] == {"a": "1", "b": "2"}
    cloud("PATCH", place, {"operation": "Delete", "properties": {"tags": {"a": "1"}}})
    assert cloud("GET", f"{UAI}/one")["tags"] == {"b": "2"}
    cloud("PUT", place, {"properties": {"tags": {"c": "3"}}})
    query = {"$filter": "tagName eq 'c' and tagValue eq '3'"}
    found = cloud("GET", f"{SUB}/resources", **query)["value"]
    assert [(one["name"], one["tags"]) for one in found] == [("one", {"c": "3"})]
    cloud("DELETE", place)
    assert cloud("GET", f"{UAI}/one")["tags"] == {}
    assert cloud.refused("GET", place.replace("/one/", "/none/"))[0] == 404


def test_a_group_goes_with_everything_in_it(cloud: Azure) -> None:
    cloud.network(natGateway={"id": nat(cloud)})
    principal = cloud.identity()["properties"]["principalId"]
    cloud.assign("Network Contributor", VNET, principal)
    found = cloud("GET", f"{RG}/resources")["value"]
    assert {one["type"] for one in found} == {
        "Microsoft.ManagedIdentity/userAssignedIdentities",
        "Microsoft.Network/natGateways",
        "Microsoft.Network/publicIPAddresses",
        "Microsoft.Network/virtualNetworks",
    }
    assert cloud.failed("DELETE", RG) is None
    assert cloud.refused("GET", RG) == (404, "ResourceGroupNotFound")
    assert cloud("GET", f"{SUB}/resources")["value"] == []
    where = f"{SUB}/providers/Microsoft.Authorization/roleAssignments"
    assert cloud("GET", where)["value"] == []


def test_a_group_that_is_going(tmp_path: Path) -> None:
    with account(tmp_path, pace=100) as cloud:
        cloud.group()
        status, _, headers = cloud.send("DELETE", RG)
        assert status == 202
        assert float(headers["x-ms-retry-after-ms"]) == 100
        assert cloud("GET", RG)["properties"]["provisioningState"] == "Deleting"
        body = {"location": REGION}
        assert cloud.refused("PUT", f"{UAI}/one", body) == (409, "ResourceGroupBeingDeleted")
        assert cloud.refused("PUT", RG, body) == (409, "ResourceGroupBeingDeleted")
        poll = headers["Location"]
        assert cloud.send("GET", poll)[0] == 202
        eventually(lambda: cloud.send("GET", poll)[0], lambda status: status == 200)


def test_a_network_with_subnets(cloud: Azure) -> None:
    gateway = nat(cloud)
    subnet = cloud.network(natGateway={"id": gateway})
    found = cloud("GET", VNET)
    assert found["etag"].startswith('W/"')
    assert [one["name"] for one in found["properties"]["subnets"]] == ["nodes"]
    assert cloud("GET", subnet)["properties"]["natGateway"] == {"id": gateway}
    assert cloud("GET", gateway)["properties"]["subnets"] == [{"id": subnet}]
    more = {"properties": {"addressPrefix": "10.1.16.0/20"}}
    cloud.done("PUT", f"{VNET}/subnets/more", more)
    names = [one["name"] for one in cloud("GET", f"{VNET}/subnets")["value"]]
    assert names == ["nodes", "more"]
    # a PUT of the network without its subnets replaces them
    body = {
        "location": REGION,
        "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}, "subnets": []},
    }
    cloud.done("PUT", VNET, body)
    assert cloud("GET", f"{VNET}/subnets")["value"] == []


@pytest.mark.parametrize(
    ("path", "properties", "code"),
    [
        ("subnets/more", {"addressPrefix": "10.2.0.0/20"}, "NetcfgInvalidSubnet"),
        ("subnets/more", {"addressPrefix": "10.1.8.0/24"}, "NetcfgSubnetRangesOverlap"),
        ("subnets/more", {"addressPrefix": "10.1.8.1/24"}, "InvalidAddressPrefixFormat"),
        (
            "subnets/more",
            {"addressPrefix": "10.1.16.0/20", "natGateway": {"id": f"{NET}/natGateways/none"}},
            "InvalidResourceReference",
        ),
    ],
)
def test_subnets_that_are_refused(cloud: Azure, path: str, properties: Any, code: str) -> None:
    cloud.network()
    assert cloud.refused("PUT", f"{VNET}/{path}", {"properties": properties}) == (400, code)


def test_what_is_in_use_stays(cloud: Azure) -> None:
    gateway = nat(cloud)
    rules = {"location": REGION, "properties": {"securityRules": []}}
    cloud.done("PUT", f"{NET}/networkSecurityGroups/demo", rules)
    table = {"location": REGION, "properties": {"routes": []}}
    cloud.done("PUT", f"{NET}/routeTables/demo", table)
    cloud.network(
        natGateway={"id": gateway},
        networkSecurityGroup={"id": f"{NET}/networkSecurityGroups/demo"},
        routeTable={"id": f"{NET}/routeTables/demo"},
    )
    for path, code in (
        (gateway, "CannotDeleteNatGatewayAssociatedToSubnet"),
        (f"{NET}/publicIPAddresses/nat", "PublicIPAddressCannotBeDeleted"),
        (f"{NET}/networkSecurityGroups/demo", "InUseNetworkSecurityGroupCannotBeDeleted"),
        (f"{NET}/routeTables/demo", "InUseRouteTableCannotBeDeleted"),
    ):
        assert cloud.refused("DELETE", path) == (400, code)
    cloud.done("DELETE", VNET)
    for path in (gateway, f"{NET}/publicIPAddresses/nat", f"{NET}/networkSecurityGroups/demo"):
        cloud.done("DELETE", path)
        assert cloud.send("DELETE", path)[0] == 204


def test_one_change_of_a_network_at_a_time(tmp_path: Path) -> None:
    with account(tmp_path, pace=50) as cloud:
        cloud.group()
        cloud.network()
        first = {"properties": {"addressPrefix": "10.1.16.0/20"}}
        cloud.send("PUT", f"{VNET}/subnets/one", first)
        second = {"properties": {"addressPrefix": "10.1.32.0/20"}}
        refused = cloud.refused("PUT", f"{VNET}/subnets/two", second)
        assert refused == (409, "AnotherOperationInProgress")
        assert cloud("GET", f"{VNET}/subnets/one")["properties"]["provisioningState"] == "Creating"
        eventually(
            lambda: cloud("GET", f"{VNET}/subnets/one")["properties"]["provisioningState"],
            lambda state: state == "Succeeded",
        )
        cloud.done("PUT", f"{VNET}/subnets/two", second)


def test_etags(cloud: Azure) -> None:
    path = f"{NET}/applicationSecurityGroups/one"
    body: dict[str, Any] = {"location": REGION, "tags": {"a": "1"}}
    cloud.done("PUT", path, body, headers={"If-None-Match": "*"})
    again = cloud.refused("PUT", path, body, headers={"If-None-Match": "*"})
    assert again == (412, "PreconditionFailed")
    before = cloud("GET", path)["etag"]
    cloud.done("PUT", path, body, headers={"If-Match": before})
    assert cloud.refused("PUT", path, body, headers={"If-Match": before})[0] == 412
    assert cloud.refused("DELETE", path, headers={"If-Match": before})[0] == 412
    cloud.done("DELETE", path, headers={"If-Match": cloud("GET", path)["etag"]})
    assert cloud.refused("PUT", path, body, headers={"If-Match": "*"})[0] == 412


def test_a_scale_set_without_machines(cloud: Azure) -> None:
    path = f"{RG}/providers/Microsoft.Compute/virtualMachineScaleSets/lock"
    properties = {"orchestrationMode": "Flexible", "platformFaultDomainCount": 1}
    body = {"location": REGION, "tags": {"holder": "a"}, "properties": properties}
    cloud.done("PUT", path, body, headers={"If-None-Match": "*"})
    assert cloud.refused("PUT", path, body, headers={"If-None-Match": "*"})[0] == 412
    etag = cloud("GET", path)["etag"]
    cloud("PATCH", path, {"tags": {"holder": "b"}}, headers={"If-Match": etag})
    assert cloud.refused("PATCH", path, {"tags": {}}, headers={"If-Match": etag})[0] == 412
    assert cloud("GET", path)["tags"] == {"holder": "b"}
    cloud.done("DELETE", path)
    with_machines = {**body, "sku": {"name": "Standard_D2s_v5", "capacity": 1}}
    assert cloud.refused("PUT", path, with_machines)[0] == 501


def test_rules_of_a_security_group(cloud: Azure) -> None:
    path = f"{NET}/networkSecurityGroups/demo"
    rule = {"protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": 100,
            "sourceAddressPrefix": "*", "destinationAddressPrefix": "*",
            "sourcePortRange": "*", "destinationPortRange": "443"}  # fmt: skip
    rules = [{"name": "one", "properties": rule}]
    cloud.done("PUT", path, {"location": REGION, "properties": {"securityRules": rules}})
    cloud.done("PUT", f"{path}/securityRules/two", {"properties": {**rule, "priority": 200}})
    found = cloud("GET", path)["properties"]["securityRules"]
    assert [one["name"] for one in found] == ["one", "two"]
    cloud.done("DELETE", f"{path}/securityRules/one")
    assert [o["name"] for o in cloud("GET", f"{path}/securityRules")["value"]] == ["two"]


def test_an_ssh_key(cloud: Azure) -> None:
    path = f"{RG}/providers/Microsoft.Compute/sshPublicKeys/demo"
    cloud("PUT", path, {"location": REGION, "properties": {"publicKey": KEY}})
    assert cloud("GET", path)["properties"] == {"publicKey": KEY}
    bad = {"location": REGION, "properties": {"publicKey": "nonsense"}}
    assert cloud.refused("PUT", path, bad) == (400, "InvalidParameter")
    made = cloud("POST", f"{path}/generateKeyPair", {})
    assert made["privateKey"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    cloud("DELETE", path)
    assert cloud.send("DELETE", path)[0] == 204


def test_a_resource_stays_in_its_region(cloud: Azure) -> None:
    cloud("PUT", f"{UAI}/one", {"location": REGION})
    moved = cloud.refused("PUT", f"{UAI}/one", {"location": "westus"})
    assert moved == (409, "InvalidResourceLocation")


def test_sizes_and_quotas(cloud: Azure) -> None:
    compute = f"{SUB}/providers/Microsoft.Compute"
    conditions = cloud.cloud.store.conditions
    conditions.restricted.add(("Standard_D4s_v5", REGION))
    query = {"$filter": f"location eq '{REGION}'"}
    found = {one["name"]: one for one in cloud("GET", f"{compute}/skus", **query)["value"]}
    reasons = {one["reasonCode"] for one in found["Standard_D4s_v5"]["restrictions"]}
    assert reasons == {"NotAvailableForSubscription"}
    size = found["Standard_D2ps_v5"]
    abilities = {one["name"]: one["value"] for one in size["capabilities"]}
    assert (abilities["vCPUs"], abilities["MemoryGB"]) == ("2", "8")
    assert abilities["CpuArchitectureType"] == "Arm64"
    assert size["locationInfo"][0]["zones"] == ["1", "2", "3"]
    found = {
        one["name"]["value"]: one
        for one in cloud("GET", f"{compute}/locations/{REGION}/usages")["value"]
    }
    assert found["cores"]["limit"] == 100
    assert found["standardDSv5Family"]["currentValue"] == 0
    networks = cloud("GET", f"{SUB}/providers/Microsoft.Network/locations/{REGION}/usages")
    assert "PublicIPAddresses" in [one["name"]["value"] for one in networks["value"]]


def test_regions(cloud: Azure) -> None:
    found = {one["name"]: one for one in cloud("GET", f"{SUB}/locations")["value"]}
    assert found["eastus"]["displayName"] == "East US"
    assert len(found["eastus"]["availabilityZoneMappings"]) == 3
    assert "availabilityZoneMappings" not in found["westus"]
