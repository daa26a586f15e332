"""The machines of agent pools: scale sets in the node resource group, and what Kubernetes sees.

Names and labels of nodes: the vendor's page "Use labels in an AKS cluster" and public outputs of
``kubectl get nodes``. Codes of what goes wrong: facts/azure.tsv.
"""

from __future__ import annotations

import string

from clusterkit_sandbox.azure import networks
from clusterkit_sandbox.azure.catalogue import SIZES, minor
from clusterkit_sandbox.azure.failure import Json
from clusterkit_sandbox.azure.resources import AgentPool, Cluster, Group, Machine, ScaleSet, Subnet
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.kit.operations import Error
from clusterkit_sandbox.kube.interfaces import Node

_DIGITS = string.digits + string.ascii_lowercase
_NO_CAPACITY = (
    "The requested VM size {} is not available{}. To fulfill the request, please try a different"
    " size{}. See https://aka.ms/allocation-guidance"
)


def scale_set(store: Store, pool: AgentPool) -> ScaleSet | None:
    """The scale set of a pool."""
    return next((one for one in store.all(ScaleSet) if one.pool == pool.id), None)


def new_scale_set(store: Store, cluster: Cluster, pool: AgentPool, group: Group) -> ScaleSet:
    """The scale set of a pool, made if there is none."""
    found = scale_set(store, pool)
    if found is not None:
        return found
    number = cluster.number
    name = f"aks-{pool.name}-{number}-vmss"
    place = f"{group.shown['id']}/providers/Microsoft.Compute/virtualMachineScaleSets"
    subnet = str(pool.properties.get("vnetSubnetID") or cluster.own_subnet)
    properties: Json = {"provisioningState": "Succeeded"}
    version = pool.properties["currentOrchestratorVersion"]
    if pool.properties.get("scaleSetPriority") == "Spot":
        properties["priority"] = "Spot"
    shown = {
        "id": f"{place}/{name}",
        "name": name,
        "type": "Microsoft.Compute/virtualMachineScaleSets",
        "location": cluster.location,
        "sku": {"name": pool.properties["vmSize"], "tier": "Standard", "capacity": 0},
        "zones": pool.properties.get("availabilityZones"),
        "tags": {
            **cluster.tags,
            **(pool.properties.get("tags") or {}),
            "aks-managed-poolName": pool.name,
            "aks-managed-orchestrator": f"Kubernetes:{version}",
        },
        "properties": properties,
    }
    return store.put(ScaleSet(shown, pool=pool.id, subnet=subnet.lower()))


def settle(store: Store, cluster: Cluster, pool: AgentPool, group: Group) -> Error | None:
    """Make or remove machines until the pool has as many as it should; say why it could not."""
    machines = new_scale_set(store, cluster, pool, group)
    lost = _locked_out(store, cluster, pool, machines)
    del machines.machines[pool.wanted :]
    error: Error | None = None
    while error is None and len(machines.machines) < pool.wanted:
        error = add(store, pool, machines, joining=lost is None)
    machines.shown["sku"]["capacity"] = len(machines.machines)
    return error or (lost if machines.machines else None)


def add(store: Store, pool: AgentPool, machines: ScaleSet, *, joining: bool = True) -> Error | None:
    """Make one machine; say why it could not be made."""
    zones = machines.shown.get("zones") or [""]
    load = [one.zone for one in machines.machines]
    size = machines.shown["sku"]["name"]
    out = store.conditions.sold_out
    subnet = store.find(Subnet, machines.subnet)
    if subnet is None:
        text = f"Resource {machines.subnet} referenced by resource {machines.id} was not found."
        return "InvalidResourceReference", text
    zone = min(zones, key=lambda one: (load.count(one), one))
    if (size, zone) in out or ("*", zone) in out:
        where, or_zone = (f" in zone {zone}", " or zone") if zone else ("", "")
        code = "ZonalAllocationFailed" if zone else "AllocationFailed"
        return code, _NO_CAPACITY.format(size, where, or_zone)
    address = networks.next_address(store, subnet)
    if address is None:
        return "SubnetIsFull", f"Subnet {subnet.shown['id']} does not have enough capacity."
    number = max((one.number for one in machines.machines), default=-1) + 1
    version = pool.properties["currentOrchestratorVersion"]
    joined = joining and store.conditions.joining
    machines.machines.append(Machine(number, zone, address, version, joined))
    return None


def _locked_out(
    store: Store, cluster: Cluster, pool: AgentPool, machines: ScaleSet
) -> Error | None:
    """Why machines have no way out, without which none becomes a node (Azure/AKS#1607)."""
    subnet = store.find(Subnet, machines.subnet)
    outbound = cluster.properties["networkProfile"]["outboundType"]
    if (
        subnet is None
        or outbound != "userAssignedNATGateway"
        or subnet.properties.get("natGateway")
    ):
        return None
    return (
        "VMExtensionProvisioningError",
        f"Unable to establish outbound connection from agents of pool {pool.name}, please see"
        " https://aka.ms/aks-required-ports-and-addresses for more information. Details: VMSS"
        " extension failed: vmssCSE exit status=50.",
    )


def node_name(machines: ScaleSet, machine: Machine) -> str:
    """``aks-np-12345678-vmss000000``, with the number in base 36."""
    text, left = "", machine.number
    for _ in range(6):
        left, digit = divmod(left, 36)
        text = _DIGITS[digit] + text
    return f"{machines.name}{text}"


def node(cluster: Cluster, pool: AgentPool, machines: ScaleSet, machine: Machine) -> Node:
    """A machine as Kubernetes sees it."""
    properties = pool.properties
    size = SIZES[str(machines.shown["sku"]["name"]).lower()]
    labels = {
        "agentpool": pool.name,
        "kubernetes.azure.com/agentpool": pool.name,
        "kubernetes.azure.com/cluster": _label(cluster.properties["nodeResourceGroup"]),
        "kubernetes.azure.com/mode": properties["mode"].lower(),
        "kubernetes.azure.com/node-image-version": properties["nodeImageVersion"],
        "kubernetes.azure.com/os-sku": properties["osSKU"],
        "kubernetes.azure.com/role": "agent",
        "kubernetes.azure.com/storageprofile": "managed",
        "storageprofile": "managed",
        "topology.disk.csi.azure.com/zone": f"{cluster.location}-{machine.zone}"
        if machine.zone
        else "",
        **(properties.get("nodeLabels") or {}),
    }
    place = machines.shown["id"]
    return Node(
        name=node_name(machines, machine),
        provider_id=f"azure://{place}/virtualMachines/{machine.number}",
        instance_type=size.name,
        # what has no zone shows its fault domain (cloud-provider-azure, GetZoneByNodeName)
        zone=f"{cluster.location}-{machine.zone}" if machine.zone else "0",
        region=cluster.location,
        cpu=size.cpus,
        memory=int(size.memory * 1024),
        architecture="arm64" if size.arm else "amd64",
        internal_ip=machine.address,
        labels=labels,
        taints=tuple(_taint(text) for text in properties.get("nodeTaints") or ()),
    )


def template(cluster: Cluster, pool: AgentPool, machines: ScaleSet) -> Node:
    """A node as the next one of a pool would be."""
    zones = machines.shown.get("zones") or [""]
    number = max((one.number for one in machines.machines), default=-1) + 1
    version = pool.properties["currentOrchestratorVersion"]
    return node(cluster, pool, machines, Machine(number, zones[0], "10.0.0.1", version, True))


def _taint(text: str) -> tuple[str, str, str]:
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return key, value, effect


def nodes(store: Store, cluster: Cluster) -> list[Node]:
    """The nodes of a cluster."""
    return [
        node(cluster, pool, machines, machine)
        for pool in store.under(AgentPool, cluster.id)
        if (machines := scale_set(store, pool)) is not None
        for machine in machines.machines
        if machine.joined
    ]


def kubernetes_version(cluster: Cluster) -> str:
    """The minor version that the API server serves."""
    return minor(cluster.properties["currentKubernetesVersion"])


def _label(group: str) -> str:
    """The name of a resource group as a label's value: 63 characters at most, and none at the end
    that a label cannot end with (Azure/AgentBaker, ``normalizeResourceGroupNameForLabel``).
    """
    plain = group.replace("(", "-").replace(")", "-")[:63]
    return f"{plain[:62]}z" if plain.endswith(("-", "_", ".")) else plain
