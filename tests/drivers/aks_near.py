"""What may lie near an AKS cluster, made over plain REST without clusterkit's driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from clusterkit.naming import CLUSTER, NAME
from tests.drivers.aks import Account
from tests.drivers.aks_cases import FULL_CASE, GIT, MINIMAL, REGION
from tests.drivers.near import Near, Neighbour, States, strip_object
from tests.drivers.world import World

RICH: Mapping[str, Any] = {
    **MINIMAL,
    "ssh_key": "me.pub",
    "registry": {"name": "demo", "repositories": ["app"], "push": ["a/b"], "keep": False},
    "ready": {
        "jenkins_x": {"git_url": GIT, "keep_storage": False},
        "kaniko": {"registry": {"prefix": "me"}},
    },
}
GROUP = f"clusterkit-demo-{REGION}"
"""what the cluster's own group is called"""
TYPES = {
    "identity": "Microsoft.ManagedIdentity/userAssignedIdentities",
    "key-vault": "Microsoft.KeyVault/vaults",
    "nat-gateway": "Microsoft.Network/natGateways",
    "public-ip": "Microsoft.Network/publicIPAddresses",
    "registry": "Microsoft.ContainerRegistry/registries",
    "ssh-public-key": "Microsoft.Compute/sshPublicKeys",
    "storage-account": "Microsoft.Storage/storageAccounts",
    "virtual-network": "Microsoft.Network/virtualNetworks",
}
UNIQUE = ("key-vault", "registry", "storage-account")
"""what has a name that is unique in Azure"""
STANDARD: Mapping[str, Any] = {"sku": {"name": "Standard"}}
ADDRESS: Mapping[str, Any] = {**STANDARD, "properties": {"publicIPAllocationMethod": "Static"}}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "identity": {},
    "key-vault": {"properties": {"sku": {"family": "A", "name": "standard"}, "accessPolicies": []}},
    "nat-gateway": STANDARD,
    "public-ip": ADDRESS,
    "registry": {"sku": {"name": "Basic"}},
    "ssh-public-key": {},
    "storage-account": {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}},
    "virtual-network": {"properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}},
}


# -- the same names -------------------------------------------------------------------------------


def _group(account: Account, name: str, **tags: str) -> str:
    path = f"{account.path}/resourceGroups/{name}"
    account("PUT", path, {"location": account.region, "tags": tags})
    return path


def _resource_group(world: World, _: str) -> str:
    return _group(Account(world), GROUP).lower()


def _twin(kind: str) -> Callable[[World, str], str]:
    """Something of the name of ours in a group that is ours, as an earlier life may leave it."""

    def make(world: World, name: str) -> str:
        account = Account(world)
        group = _group(account, GROUP, **{CLUSTER: "demo", NAME: "main"})
        called = name if kind in UNIQUE else f"clusterkit-demo-{name}"
        path = f"{group}/providers/{TYPES[kind]}/{called}"
        body = {"location": account.region, **BODIES[kind]}
        if kind == "key-vault":
            tenant = account("GET", account.path)["tenantId"]
            body["properties"] = {**body["properties"], "tenantId": tenant}
        account("PUT", path, body)
        return path.lower()

    return make


def _cluster_body(account: Account, **pool: Any) -> Mapping[str, Any]:
    pools = [{"name": "theirs", "count": 1, "vmSize": "Standard_D4s_v5", "mode": "System", **pool}]
    return {
        "location": account.region,
        "identity": {"type": "SystemAssigned"},
        "properties": {"dnsPrefix": "theirs", "agentPoolProfiles": pools},
    }


def _cluster(world: World, name: str) -> str:
    account = Account(world)
    group = _group(account, GROUP, **{CLUSTER: "demo", NAME: "main"})
    path = f"{group}/providers/Microsoft.ContainerService/managedClusters/{name}"
    account("PUT", path, _cluster_body(account))
    return path.lower()


# -- next to ours ---------------------------------------------------------------------------------


def _show(world: World, identifier: str) -> Any:
    shown = Account(world)("GET", identifier)
    return {key: value for key, value in shown.items() if key.lower() != "etag"}


def _remove(world: World, identifier: str) -> None:
    Account(world)("DELETE", identifier)


def _leave(world: World, _: str) -> None:
    """Remove their group, with all that is in it."""
    account = Account(world)
    account("DELETE", f"{account.path}/resourceGroups/theirs")


def _beside(world: World, _: States) -> str:
    """An address in the cluster's own group."""
    account = Account(world)
    path = f"{account.path}/resourceGroups/{GROUP}/providers/{TYPES['public-ip']}/theirs"
    account("PUT", path, {"location": account.region, **ADDRESS})
    return path.lower()


def _inside(world: World, states: States) -> str:
    """A subnet in our network, whose range has to be made larger for it."""
    account, network = Account(world), states["virtual-network/main"].path
    shown = account("GET", network)
    shown["properties"]["addressSpace"]["addressPrefixes"].append("10.77.0.0/24")
    account("PUT", network, shown)
    path = f"{network}/subnets/theirs"
    account("PUT", path, {"properties": {"addressPrefix": "10.77.0.0/24"}})
    return path.lower()


def _resident(world: World, states: States) -> str:
    """Another cluster in our subnet."""
    account = Account(world)
    group = _group(account, "theirs")
    path = f"{group}/providers/Microsoft.ContainerService/managedClusters/theirs"
    body = _cluster_body(account, vnetSubnetID=states["virtual-network/main"].subnet)
    account("PUT", path, body)
    return path.lower()


def _pool(world: World, states: States) -> str:
    """A pool that somebody added to our cluster."""
    path = f"{states['cluster/demo'].path}/agentPools/theirs"
    properties = {
        "count": 1,
        "vmSize": "Standard_D4s_v5",
        "mode": "User",
        "vnetSubnetID": states["virtual-network/main"].subnet,
    }
    Account(world)("PUT", path, {"properties": properties})
    return path.lower()


def _grant(world: World, states: States) -> str:
    """A role that somebody gave to an identity of theirs, which says nothing of a cluster."""
    account = Account(world)
    group = _group(account, "theirs")
    identity = f"{group}/providers/{TYPES['identity']}/theirs"
    made = account("PUT", identity, {"location": account.region})
    reader = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    name = made["properties"]["clientId"]
    path = f"{group}/providers/Microsoft.Authorization/roleAssignments/{name}"
    definitions = f"{account.path}/providers/Microsoft.Authorization/roleDefinitions"
    properties = {
        "roleDefinitionId": f"{definitions}/{reader}",
        "principalId": made["properties"]["principalId"],
        "principalType": "ServicePrincipal",
    }
    account("PUT", path, {"properties": properties})
    return path


HOLDS = ("nat-gateway", "public-ip", "resource-group", "virtual-network")
"""the network, and what it needs"""
NEIGHBOURS: Mapping[str, Neighbour] = {
    "address in the group": Neighbour(_beside, _remove, _show, ("resource-group",)),
    "subnet": Neighbour(_inside, _remove, _show, HOLDS),
    "node pool": Neighbour(
        _pool,
        _remove,
        _show,
        (*HOLDS, *UNIQUE, "cluster", "identity", "role-assignment"),
    ),
    "role of theirs": Neighbour(_grant, _leave, _show, ()),
}


# -- ours -----------------------------------------------------------------------------------------


def _strip(world: World, kind: str, have: Any) -> None:
    account = Account(world)
    if strip_object(world, kind, have):
        return
    if kind == "role-assignment":
        shown = account("GET", have.path)["properties"]
        kept = ("roleDefinitionId", "principalId", "principalType")
        properties = {**{name: shown[name] for name in kept}, "description": "mine"}
        account("PUT", have.path, {"properties": properties})
    elif kind == "node-pool":
        shown = account("GET", have.id)
        del shown["properties"]["tags"][CLUSTER]
        writable = {key: shown["properties"][key] for key in _POOL if key in shown["properties"]}
        account("PUT", have.id, {"properties": writable})
    else:
        path = f"{have.path}/providers/Microsoft.Resources/tags/default"
        body = {"operation": "Delete", "properties": {"tags": {CLUSTER: have.tags[CLUSTER]}}}
        account("PATCH", path, body)


_POOL = (
    "availabilityZones", "count", "enableAutoScaling", "maxPods", "minCount", "maxCount", "mode",
    "nodeLabels", "nodeTaints", "orchestratorVersion", "osDiskSizeGB", "osDiskType", "osSKU",
    "osType", "tags", "type", "vmSize", "vnetSubnetID",
)  # fmt: skip
"""what may be written of a pool"""

NEAR = Near(
    rich=replace(FULL_CASE, label="rich", profile=RICH),
    twins={
        "cluster": _cluster,
        "resource-group": _resource_group,
        **{kind: _twin(kind) for kind in TYPES},
    },
    fixed={},
    neighbours=NEIGHBOURS,
    strip=_strip,
    sure={"federated-credential": "it lies in what is ours"},
    alone=(),
)
