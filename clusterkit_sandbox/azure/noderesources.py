"""What a cluster makes for itself: the node resource group, ``MC_…``, and what is in it.

The vendor's pages "Core concepts for AKS" (node resource group) and "Use a managed identity"; names
as public outputs of ``az resource list`` show them.
"""

from __future__ import annotations

from clusterkit_sandbox.azure import ids
from clusterkit_sandbox.azure.clusterrules import kubelet_profile
from clusterkit_sandbox.azure.failure import Json
from clusterkit_sandbox.azure.groups import new_group
from clusterkit_sandbox.azure.identities import new_identity
from clusterkit_sandbox.azure.resources import (
    Cluster,
    Group,
    LoadBalancer,
    NatGateway,
    PublicIp,
    Resource,
    SecurityGroup,
    Subnet,
    VirtualNetwork,
)
from clusterkit_sandbox.azure.store import Store

_OWN_NETWORK, _OWN_SUBNET = "10.224.0.0/12", "10.224.0.0/16"


def node_group(store: Store, cluster: Cluster) -> Group | None:
    """The node resource group."""
    name = cluster.properties["nodeResourceGroup"]
    return store.find(Group, ids.group_id(cluster.parsed.subscription, name))


def _make(
    store: Store, one: type[Resource], type_: str, group: Group, name: str, **properties: object
) -> Resource:
    shown: Json = {
        "id": f"{group.shown['id']}/providers/{type_}/{name}",
        "name": name,
        "type": type_,
        "location": group.location,
        "tags": dict(group.tags),
        "etag": "",
        "properties": {"provisioningState": "Succeeded", **properties},
    }
    return store.put(one(shown))


def furnish(store: Store, cluster: Cluster) -> Group:
    """Make the node resource group with what every cluster has in it."""
    properties = cluster.properties
    tags = {
        **cluster.tags,
        "aks-managed-cluster-name": cluster.name,
        "aks-managed-cluster-rg": cluster.parsed.group,
    }
    group = new_group(
        store, cluster.parsed.subscription, properties["nodeResourceGroup"], cluster.location,
        tags=tags, managedBy=cluster.shown["id"],
    )  # fmt: skip
    number = store.new_number()
    cluster.number = number
    network = "Microsoft.Network"
    _make(
        store, SecurityGroup, f"{network}/networkSecurityGroups", group,
        f"aks-agentpool-{number}-nsg",
    )  # fmt: skip
    if not cluster.own_subnet and not cluster.brought:
        vnet = _make(
            store, VirtualNetwork, f"{network}/virtualNetworks", group, f"aks-vnet-{number}",
            addressSpace={"addressPrefixes": [_OWN_NETWORK]},
        )  # fmt: skip
        subnet = Subnet(
            {
                "id": f"{vnet.shown['id']}/subnets/aks-subnet",
                "name": "aks-subnet",
                "type": f"{network}/virtualNetworks/subnets",
                "etag": "",
                "properties": {"addressPrefix": _OWN_SUBNET, "provisioningState": "Succeeded"},
            }
        )
        cluster.own_subnet = store.put(subnet).shown["id"]
    identity: Json = dict(properties.get("identityProfile") or {})
    if "kubeletidentity" not in identity:
        made = new_identity(store, group, f"{cluster.name}-agentpool", cluster.location)
        properties["identityProfile"] = {"kubeletidentity": kubelet_profile(made)}
    _outbound(store, cluster, group)
    return group


def _outbound(store: Store, cluster: Cluster, group: Group) -> None:
    """Make the way out that the cluster is asked to have for itself."""
    network = cluster.properties["networkProfile"]
    if network["outboundType"] == "loadBalancer":
        given = network.get("loadBalancerProfile") or {}
        count = (given.get("managedOutboundIPs") or {}).get("count", 1)
        fronts = [_address(store, group, store.new_uuid()) for _ in range(count)]
        balancer = new_balancer(store, cluster, "kubernetes")
        for front in fronts:
            balancer.properties["frontendIPConfigurations"].append(
                _front(balancer, front.name, front)
            )
        ips = [{"id": front.shown["id"]} for front in fronts]
        network["loadBalancerProfile"] = {
            "allocatedOutboundPorts": 0, "backendPoolType": "nodeIPConfiguration",
            "idleTimeoutInMinutes": 30, **given,
            "managedOutboundIPs": {"count": count}, "effectiveOutboundIPs": ips,
        }  # fmt: skip
    elif network["outboundType"] == "managedNATGateway":
        address = _address(store, group, store.new_uuid())
        type_ = "Microsoft.Network/natGateways"
        gateway = _make(
            store, NatGateway, type_, group, f"aks-nat-{cluster.number}",
            publicIpAddresses=[{"id": address.shown["id"]}],
        )  # fmt: skip
        subnet = store.find(Subnet, cluster.own_subnet)
        if subnet is not None:
            subnet.properties["natGateway"] = {"id": gateway.shown["id"]}
        network["natGatewayProfile"] = {
            "idleTimeoutInMinutes": 4, **(network.get("natGatewayProfile") or {}),
            "effectiveOutboundIPs": [{"id": address.shown["id"]}],
        }  # fmt: skip


def _address(store: Store, group: Group, name: str, **tags: str) -> PublicIp:
    found = _make(
        store, PublicIp, "Microsoft.Network/publicIPAddresses", group, name,
        ipAddress=store.new_address(), publicIPAllocationMethod="Static",
        publicIPAddressVersion="IPv4",
    )  # fmt: skip
    found.shown["sku"] = {"name": "Standard", "tier": "Regional"}
    found.shown["tags"].update(tags)
    assert isinstance(found, PublicIp)
    return found


def _front(balancer: Resource, name: str, address: PublicIp) -> Json:
    return {
        "name": name,
        "id": f"{balancer.shown['id']}/frontendIPConfigurations/{name}",
        "properties": {
            "provisioningState": "Succeeded",
            "publicIPAddress": {"id": address.shown["id"]},
        },
    }


def new_balancer(store: Store, cluster: Cluster, name: str) -> LoadBalancer:
    """The load balancer of a cluster with this name, made if there is none."""
    group = node_group(store, cluster)
    assert group is not None
    type_ = "Microsoft.Network/loadBalancers"
    found = store.find(LoadBalancer, f"{group.id}/providers/{type_}/{name}")
    if found is None:
        made = _make(
            store, LoadBalancer, type_, group, name, frontendIPConfigurations=[],
            backendAddressPools=[], loadBalancingRules=[], probes=[],
        )  # fmt: skip
        assert isinstance(made, LoadBalancer)
        made.shown["sku"] = {"name": "Standard", "tier": "Regional"}
        found = made
    return found


def add_public_front(store: Store, cluster: Cluster, name: str, tags: dict[str, str]) -> str:
    """A front end with a public address of its own; returns the address."""
    balancer, group = new_balancer(store, cluster, "kubernetes"), node_group(store, cluster)
    assert group is not None
    address = _address(store, group, f"kubernetes-{name}", **tags)
    balancer.properties["frontendIPConfigurations"].append(_front(balancer, name, address))
    store.put(balancer)
    return str(address.properties["ipAddress"])


def add_private_front(
    store: Store, cluster: Cluster, name: str, subnet: Resource, address: str
) -> str:
    """A front end with a private address in a subnet."""
    balancer = new_balancer(store, cluster, "kubernetes-internal")
    front = {
        "name": name,
        "id": f"{balancer.shown['id']}/frontendIPConfigurations/{name}",
        "properties": {
            "provisioningState": "Succeeded",
            "privateIPAddress": address,
            "privateIPAllocationMethod": "Dynamic",
            "subnet": {"id": subnet.shown["id"]},
        },
    }
    balancer.properties["frontendIPConfigurations"].append(front)
    store.put(balancer)
    return address


def front(store: Store, cluster: Cluster, name: str) -> tuple[LoadBalancer, Json] | None:
    """The load balancer and the front end with this name."""
    group = node_group(store, cluster)
    for balancer in store.under(LoadBalancer, group.id) if group is not None else ():
        for one in balancer.properties["frontendIPConfigurations"]:
            if one["name"] == name:
                return balancer, one
    return None


def address_of(store: Store, front: Json) -> str:
    """The address of a front end."""
    properties = front["properties"]
    if "privateIPAddress" in properties:
        return str(properties["privateIPAddress"])
    found = store.find(PublicIp, properties["publicIPAddress"]["id"])
    return "" if found is None else str(found.properties["ipAddress"])


def remove_front(store: Store, cluster: Cluster, name: str) -> None:
    """Remove a front end with its address; an internal load balancer goes with its last one."""
    found = front(store, cluster, name)
    if found is None:
        return
    balancer, one = found
    balancer.properties["frontendIPConfigurations"].remove(one)
    public = one["properties"].get("publicIPAddress")
    address = store.find(PublicIp, public["id"]) if public else None
    if address is not None:
        store.remove(address)
    store.put(balancer)
    if not balancer.properties["frontendIPConfigurations"]:
        store.remove(balancer)
