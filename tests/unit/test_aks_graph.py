"""From an AKS profile to resources, and to the bodies of the calls that create them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from azure.mgmt.containerservice import models

from clusterkit.aks.cluster import Cluster, merge
from clusterkit.aks.graph import graph
from clusterkit.aks.group import GroupState, own_name
from clusterkit.aks.iam import ROLES, IdentityState, RoleAssignment
from clusterkit.aks.network import (
    GATEWAY,
    NatGatewayState,
    Outside,
    PublicIpState,
    VirtualNetworkState,
)
from clusterkit.aks.nodes import NodePool
from clusterkit.aks.pools import pool_name
from clusterkit.aks.preflight import Facts
from clusterkit.aks.profile import AksProfile
from clusterkit.aks.registry import Registry, registry_name
from clusterkit.aks.workload import FederatedCredential, credential_name
from clusterkit.engine.kind import Env, Kind, closure
from clusterkit.engine.preflight import MachineType
from clusterkit.naming import CLUSTER, MACHINE, NAME

POOL: Mapping[str, Any] = {"name": "default", "machine": "Standard_D4s_v5"}
REGISTRY: Mapping[str, Any] = {"name": "demo", "repositories": ["app"], "push": ["ci/builder"]}
NET = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network"
SUBNET = f"{NET}/virtualNetworks/v/subnets/nodes"
ADMIN = "00000000-0000-0000-0000-000000000001"


def _wanted(
    *pools: Mapping[str, Any], facts: Mapping[str, Any] | None = None, **fields: Any
) -> dict[str, Kind[Any, Any]]:
    document = {"cloud": "aks", "name": "demo", "region": "westeurope", **fields}
    profile = AksProfile.model_validate({**document, "pools": list(pools or (POOL,))})
    known = Facts(
        account="S",
        version="1.35",
        zones=("1", "2"),
        pools={pool.name: MachineType(str(pool.machine)) for pool in profile.pools},
        registry="demo1234",
    )
    return {each.key: each for each in closure(graph(profile, replace(known, **(facts or {}))))}


def _env(found: Mapping[str, Kind[Any, Any]]) -> Env[Any]:
    common = {"status": "Succeeded", "tags": {}}

    def state(kind: type[Any], name: str, **more: Any) -> Any:
        path = f"/subscriptions/S/resourceGroups/G/providers/X/{name}"
        return kind(id=path.lower(), path=path, name=name, **common, **more)

    states = {
        "identity/control-plane": state(
            IdentityState, "cp", principal="p1", client="c1", tenant="t"
        ),
        "identity/kubelet": state(IdentityState, "kl", principal="p2", client="c2", tenant="t"),
        "public-ip/nat": state(PublicIpState, "ip", address="198.51.100.7"),
        "nat-gateway/main": state(NatGatewayState, "nat", addresses=frozenset()),
        "virtual-network/main": state(
            VirtualNetworkState, "v", cidr="10.0.0.0/16", subnet=SUBNET, range="10.0.0.0/16"
        ),
        "resource-group/main": state(GroupState, "G", region="westeurope"),
    }
    return Env(None, "demo", "westeurope", run=UUID(int=1), states=states)


def _body(**fields: Any) -> dict[str, Any]:
    found = _wanted(**fields)
    cluster = found["cluster/demo"]
    assert isinstance(cluster, Cluster)
    return cluster._body(_env(found))


def _known(model: Any, body: Any, where: str = "") -> None:
    """Every field of a body is one that the SDK's model knows."""
    model({})  # which makes the class list its fields
    names = {field._rest_name for field in model._attr_to_rest_field.values()}
    unknown = body.keys() - names
    assert not unknown, f"{where}: {unknown}"


def test_bodies_have_no_field_that_the_sdk_does_not_know() -> None:
    admins = {"admins": [ADMIN]}
    body = _body(entra=admins, endpoint={"allowed": ["203.0.113.0/24"]})
    _known(models.ManagedCluster, body)
    properties = body["properties"]
    _known(models.ManagedClusterProperties, properties, "properties")
    parts = {
        "networkProfile": models.ContainerServiceNetworkProfile,
        "apiServerAccessProfile": models.ManagedClusterAPIServerAccessProfile,
        "aadProfile": models.ManagedClusterAADProfile,
        "autoUpgradeProfile": models.ManagedClusterAutoUpgradeProfile,
    }
    for name, model in parts.items():
        _known(model, properties[name], name)
    for pool in properties["agentPoolProfiles"]:
        _known(models.ManagedClusterAgentPoolProfile, pool, "agentPoolProfiles")


def test_pools_are_in_the_call_that_creates_the_cluster() -> None:
    found = _wanted(POOL, {**POOL, "name": "other-one", "spot": True, "count": 1})
    cluster = found["cluster/demo"]
    assert isinstance(cluster, Cluster)
    pools = [each for each in found.values() if isinstance(each, NodePool)]
    assert {each.settings for each in pools} == {*cluster.pools}
    body = cluster._body(_env(found))["properties"]["agentPoolProfiles"]
    assert [each["mode"] for each in body] == ["System", "User"]
    assert body[1]["scaleSetPriority"] == "Spot"
    assert body[0]["vnetSubnetID"] == SUBNET
    tags = body[0]["tags"]
    assert (tags[CLUSTER], tags[NAME]) == ("demo", body[0]["name"])
    assert tags[MACHINE] == "Standard_D4s_v5"


def test_the_nodes_reach_the_api_server_by_their_own_address() -> None:
    access = _body(endpoint={"allowed": ["203.0.113.0/24"]})["properties"]["apiServerAccessProfile"]
    assert access["authorizedIPRanges"] == ["198.51.100.7/32", "203.0.113.0/24"]
    assert _body()["properties"]["apiServerAccessProfile"]["authorizedIPRanges"] == []
    private = _body(endpoint={"public": False})["properties"]["apiServerAccessProfile"]
    assert private == {"enablePrivateCluster": True}


@pytest.mark.parametrize("public", [True, False])
def test_the_zone_of_a_private_endpoint_is_linked_to_the_whole_network(public: bool) -> None:
    found = _wanted(endpoint={"public": public})
    right = found["role-assignment/network"]
    assert isinstance(right, RoleAssignment)
    scope, _ = right._wanted(_env(found))
    assert scope == (SUBNET if public else "/subscriptions/S/resourceGroups/G/providers/X/v")


@pytest.mark.parametrize(
    ("network", "outbound"),
    [({}, "userAssignedNATGateway"), ({"nat": False}, "loadBalancer")],
)
def test_ways_out(network: Mapping[str, Any], outbound: str) -> None:
    found = _wanted(network=network)
    assert ("nat-gateway/main" in found) == (outbound == "userAssignedNATGateway")
    cluster = found["cluster/demo"]
    assert isinstance(cluster, Cluster)
    assert cluster._body(_env(found))["properties"]["networkProfile"]["outboundType"] == outbound


def test_an_existing_network_and_group_are_used_and_not_made() -> None:
    given = VirtualNetworkState(
        id="v", path="V", name="shared", cidr="10.0.0.0/8", subnet=SUBNET, nat="nat"
    )
    there = Outside(network=given, outbound=GATEWAY, addresses=("198.51.100.9",))
    group = GroupState(id="g", path="G", name="g", status="", tags={}, region="westeurope")
    found = _wanted(
        facts={"existing": there, "group": group},
        network={"existing": {"vpc": f"{NET}/virtualNetworks/v", "subnet": "nodes"}},
        resource_group="g",
    )
    kinds = {key.partition("/")[0] for key in found}
    assert kinds.isdisjoint({"resource-group", "virtual-network", "nat-gateway", "public-ip"})
    cluster = found["cluster/demo"]
    assert isinstance(cluster, Cluster)
    assert cluster.outbound == "userAssignedNATGateway"
    assert cluster.addresses == ("198.51.100.9",)


def test_rights_of_the_control_plane_come_before_the_cluster() -> None:
    """Those of pods do not: a registry takes longer than the network."""
    found = _wanted(registry=REGISTRY)
    before = {each.key for each in closure([found["cluster/demo"]])}
    given = {key for key in before if key.startswith("role-assignment/")}
    assert given == {f"role-assignment/{name}" for name in ("disks", "kubelet", "network")}
    assert {"role-assignment/pull", "role-assignment/builds"} <= found.keys()
    assert not any(key.startswith("registry/") for key in before)


@pytest.mark.parametrize(
    ("registry", "pull", "push"),
    [
        ({}, "AcrPull", "AcrPush"),
        (
            {"abac": True},
            "Container Registry Repository Reader",
            "Container Registry Repository Writer",
        ),
    ],
)
def test_roles_in_a_registry(registry: Mapping[str, Any], pull: str, push: str) -> None:
    found = _wanted(registry={**REGISTRY, **registry})
    roles = {k: r.role for k, r in found.items() if isinstance(r, RoleAssignment)}
    assert roles["role-assignment/pull"] == pull
    assert roles["role-assignment/builds"] == push
    assert {*roles.values()} <= {*ROLES}


def test_nodes_may_push() -> None:
    found = _wanted(registry={**REGISTRY, "push": "node"})
    assert "role-assignment/push" in found
    assert "identity/push" not in found


def test_builds() -> None:
    found = _wanted(registry={**REGISTRY, "push": ["ci/b", "ci/a"]}, ready={"kaniko": {}})
    made = [each for each in found.values() if isinstance(each, FederatedCredential)]
    chain = {each.account: [before.name for before in each.after] for each in made}
    assert chain == {
        "builds/kaniko": [],
        "ci/a": [credential_name("builds/kaniko")],
        "ci/b": [credential_name("ci/a")],
    }
    assert {"namespace/ci", "service-account/ci/a", "service-account/builds/kaniko"} <= {*found}


def test_administrators_come_before_anything_in_kubernetes() -> None:
    found = _wanted(entra={"admins": [ADMIN]}, registry=REGISTRY)
    for key in ("storage-class/clusterkit-ssd", "service-account/ci/builder"):
        before = {each.key for each in closure([found[key]])}
        assert any(name.startswith("role-assignment/admin-") for name in before), key


def test_disks_lie_in_the_clusters_group() -> None:
    made: Any = _wanted()["storage-class/clusterkit-ssd"]
    parameters = made.content["parameters"]
    assert parameters["resourceGroup"] == own_name("demo", "westeurope")
    assert parameters["tags"] == f"{CLUSTER}=demo,clusterkit-storage-class=clusterkit-ssd"


@pytest.mark.parametrize(
    ("name", "shown"), [("default", "default"), ("big-build-pool", "bigbuil"), ("1st", "p1st")]
)
def test_names_of_pools_fit(name: str, shown: str) -> None:
    made = pool_name(name, "Standard_D4s_v5", 80)
    assert made.startswith(shown)
    assert len(made) <= 12
    assert made.isalnum()
    assert made != pool_name(name, "Standard_D4s_v5", 100)


def test_names_of_registries_fit() -> None:
    made = registry_name("s", "westeurope", "a-very-long-name-of-a-cluster-as-it-may-be")
    assert made.isalnum()
    assert 5 <= len(made) <= 50
    assert made != registry_name("s", "northeurope", "a-very-long-name-of-a-cluster-as-it-may-be")


def test_merge_leaves_what_it_is_not_told_of() -> None:
    body: dict[str, Any] = {"a": {"b": 1, "c": 2}, "d": [1]}
    merge(body, {"a": {"c": 3}, "d": [2], "e": {"f": 4}})
    assert body == {"a": {"b": 1, "c": 3}, "d": [2], "e": {"f": 4}}


def test_a_registry_is_kept_unless_told() -> None:
    kept = _wanted(registry=REGISTRY)["registry/demo1234"]
    assert isinstance(kept, Registry)
    assert kept.keep
