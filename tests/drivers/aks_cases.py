"""AKS profiles for the generic suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.drivers import profiles
from tests.drivers.aks import Account, inventory
from tests.drivers.world import Case, Edits, World, occupy

REGION = "westeurope"
GIT = "https://github.com/a/b"

MINIMAL: Mapping[str, Any] = {
    "cloud": "aks",
    "name": "demo",
    "region": REGION,
    "kubernetes": "1.35",
    "pools": [{"name": "default", "machine": "Standard_D4s_v5"}],
}

FULL: Mapping[str, Any] = {
    **MINIMAL,
    "network": {"cidr": "10.20.0.0/20", "zones": 3},
    "tier": "standard",
    "ssh_key": "me.pub",
    "pools": [
        {**profiles.BUILD, "count": {"min": 1, "max": 6}},
        {"name": "small", "machine": "Standard_D2s_v5", "count": 3, "os": "ubuntu"},
    ],
    "registry": {
        "name": "demo",
        "repositories": ["app", "web"],
        "push": ["builds/kaniko", "builds/other"],
        "keep": False,
    },
    "ready": {"jenkins_x": {"git_url": GIT, "keep_storage": False}},
    "tags": {"team": "ci"},
}
DOMAIN = "example.com"
JENKINS_X = {"git_url": GIT, "keep_storage": False, "domain": f"apps.{DOMAIN}"}

UNMARKED = (
    "node-group",
    "disk-of-nodes",
    "load-balancer-of-nodes",
    "network-security-group-of-nodes",
    "public-ip-of-nodes",
    "scale-set-of-nodes",
    "identity-of-nodes",
    "route-table-of-nodes",
)


def _activated(world: World) -> Edits:
    """What ``up --activate`` does: a new subscription has few providers registered."""
    world.cloud.activate(world.profile, world.clients())
    return {}


def bare(world: World) -> Edits:
    """A subscription with none of the resource providers registered."""
    account = Account(world)
    for name in (
        "Compute",
        "ContainerService",
        "KeyVault",
        "ManagedIdentity",
        "Network",
        "Storage",
    ):
        account("POST", f"{account.path}/providers/Microsoft.{name}/unregister")
    return {}


def network(account: Account, name: str = "theirs", cidr: str = "10.9") -> str:
    """A network of somebody else's in a group of theirs; its id."""
    group = f"{account.path}/resourceGroups/{name}"
    account("PUT", group, {"location": account.region})
    path = f"{group}/providers/Microsoft.Network/virtualNetworks/{name}"
    subnets = [
        {"name": f"{name}-{letter}", "properties": {"addressPrefix": f"{cidr}.{index * 16}.0/20"}}
        for index, letter in enumerate("ab")
    ]
    space = {"addressPrefixes": [f"{cidr}.0.0/16"]}
    body = {"location": account.region, "properties": {"addressSpace": space, "subnets": subnets}}
    account("PUT", path, body)
    return path


def _vnet(world: World) -> Edits:
    """A network and a group of somebody else's, the one outside the other."""
    _activated(world)
    account = Account(world)
    path = network(account)
    account("PUT", f"{account.path}/resourceGroups/home", {"location": account.region})
    existing = {"vpc": path, "subnet": "theirs-a"}
    return {"network": {"existing": existing}, "resource_group": "home"}


def zone(world: World) -> Edits:
    """A DNS zone of somebody else's."""
    _activated(world)
    account = Account(world)
    group = f"{account.path}/resourceGroups/names"
    account("PUT", group, {"location": account.region})
    account("PUT", f"{group}/providers/Microsoft.Network/dnsZones/{DOMAIN}", {"location": "global"})
    return {}


def administered(world: World) -> Edits:
    """Entra ID, with whoever runs this as the administrator."""
    _activated(world)
    return {"entra": {"admins": [Account(world).who]}}


def _twins(world: World) -> None:
    """Things of the same names in a group of somebody else's."""
    account = Account(world)
    network(account, "clusterkit-demo", "10.11")
    group = f"{account.path}/resourceGroups/clusterkit-demo"
    body = {"location": account.region}
    for kind, name in (
        ("Microsoft.ManagedIdentity/userAssignedIdentities", "clusterkit-demo-kubelet"),
        ("Microsoft.Network/publicIPAddresses", "clusterkit-demo-nat"),
    ):
        more: dict[str, Any] = {}
        if kind.endswith("Addresses"):
            more = {
                "sku": {"name": "Standard"},
                "properties": {"publicIPAllocationMethod": "Static"},
            }
        account("PUT", f"{group}/providers/{kind}/{name}", {**body, **more})


APIECE = (
    "managedidentity:FederatedIdentityCredentials_List",
    # the list of all providers has every type of each
    "resources:Providers_Get",
)

MINIMAL_CASE = Case(
    cloud="aks",
    label="minimal",
    apiece=APIECE,
    calls=3,
    profile=MINIMAL,
    prepare=_activated,
    look=inventory,
    unmarked=UNMARKED,
    twins=_twins,
    busy=occupy,
    used=("disk", "public-ip-of-nodes"),
    terminal=(
        ("containerservice:ManagedClusters_CreateOrUpdate", "cluster/demo"),
        ("network:NatGateways_CreateOrUpdate", "nat-gateway/main"),
    ),
    changes=(
        *profiles.SIZES,
        *profiles.one_more(MINIMAL, "Standard_D2s_v5"),
        ("machine", {"pools.0.machine": "Standard_D8s_v5"}),
        ("system", {"pools.0.os": "ubuntu"}),
        ("tier", {"tier": "standard"}),
        ("version", {"kubernetes": "1.36"}),
        ("key", {"ssh_key": "me.pub"}),
        ("another key", {"ssh_key": "other.pub"}),
        *profiles.WAY_OUT,
        *profiles.TAGS,
        *profiles.PROTECTION,
    ),
    refused=(
        ("cidr", {"network.cidr": "10.7.0.0/16"}, "virtual-network/"),
        ("services", {"network.services": "10.250.0.0/16"}, "cluster/demo"),
        ("private", {"endpoint": {"public": False}}, "cluster/demo"),
        ("back", {"kubernetes": "1.34"}, "cluster/demo"),
    ),
)

FULL_CASE = Case(
    cloud="aks",
    label="full",
    apiece=APIECE,
    calls=3,
    profile=FULL,
    prepare=_activated,
    look=inventory,
    unmarked=UNMARKED,
    changes=(
        *profiles.TAGS,
        *profiles.POOLS,
        ("sku", {"registry.sku": "standard"}),
        ("abac", {"registry.abac": True}),
        ("secrets elsewhere", {"ready.jenkins_x.secrets": "vault"}),
        ("no storage", {"ready.jenkins_x.storage": False}),
        ("secrets in Azure again", {"ready.jenkins_x": {"git_url": GIT}}),
        ("storage goes", {"ready.jenkins_x.keep_storage": False}),
        ("push by node", {"registry.push": "node"}),
        ("push by others", {"registry.push": ["a/b", "c/d"]}),
        ("kaniko", {"ready": {"kaniko": {}}}),
        ("kaniko with a secret", {"registry.abac": False, "registry.push": "secret"}),
        ("kaniko elsewhere", {"ready": {"kaniko": {"registry": {"prefix": "me"}}}}),
        ("long-term", {"tier": "premium", "support": "long-term"}),
    ),
)

EXISTING_CASE = Case(
    cloud="aks",
    label="existing",
    profile={**MINIMAL, "registry": {"name": "demo", "repositories": ["app"]}},
    look=inventory,
    unmarked=UNMARKED,
    prepare=_vnet,
    kept=("registry",),
    changes=(("count", {"pools.0.count": 3}),),
)

CASES = (MINIMAL_CASE, FULL_CASE, EXISTING_CASE)
