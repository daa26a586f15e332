"""The machines of a node pool: where they are made, and what Kubernetes sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network

from clusterkit_sandbox.alibaba.catalogue import INSTANCE_TYPES
from clusterkit_sandbox.alibaba.models import (
    API_PORT,
    Cluster,
    Disk,
    Instance,
    NetworkInterface,
    NodePool,
    Rule,
    SecurityGroup,
    VSwitch,
)
from clusterkit_sandbox.alibaba.stock import in_stock, over_limit
from clusterkit_sandbox.alibaba.store import Store
from clusterkit_sandbox.kube.interfaces import Node

_ARCHITECTURES = {"X86": "amd64", "ARM": "arm64"}
_NO_STOCK = (
    "OperationDenied.NoStock",
    "The requested resource is sold out in the specified zone; try other types of resources or"
    " other regions and zones.",
)
"""The vendor's own words for it (ECS RunInstances)."""


def settle(store: Store, pool: NodePool, *, joining: bool) -> tuple[str, str] | None:
    """Make or remove machines until the pool has as many as it should; say why it could not.

    Machines that were not ``joining`` stay, counted as failed, as they do at the vendor's.
    """
    machines = [i for i in store.all(Instance) if i.pool == pool.id]
    for instance in machines[pool.desired :]:
        remove_instance(store, instance)
    error: tuple[str, str] | None = None
    locked_out = _locked_out(store, pool)
    joining = joining and locked_out is None
    silent = joining and not store.conditions.joining
    joining = joining and not silent
    for _ in range(pool.desired - len(machines)):
        made = _make(store, pool, joining)
        if isinstance(made, tuple):
            error = made
            break
    tried = pool.desired > len(machines)
    if error is None and not (joining or silent) and (tried or locked_out is None):
        error = (
            "OperationDenied",
            locked_out or "The machines did not become nodes of the cluster in time.",
        )
    absent = sum(i.pool == pool.id and not i.joined for i in store.all(Instance))
    pool.failed = 0 if silent else absent
    pool.failure = "" if error is None else f"{error[0]}: {error[1]}"
    return error


def remove_instance(store: Store, instance: Instance) -> None:
    """The machine is gone with its system disk; data disks stay."""
    for disk in store.all(Disk):
        if disk.instance == instance.id:
            if disk.system:
                store.remove(disk)
            disk.instance = ""
    for interface in store.all(NetworkInterface):
        if interface.instance == instance.id:
            store.remove(interface)
    store.remove(instance)


def detach(store: Store, instance: Instance) -> None:
    """The machine leaves its pool and cluster, and stays."""
    if store.get(Instance, instance.id) is instance:
        instance.cluster = instance.pool = ""
        instance.joined = False


def _locked_out(store: Store, pool: NodePool) -> str | None:
    """Why machines in a security group of their own cannot reach the API server, if they cannot.

    The group that Container Service makes lets in nothing but ICMP and, if it is a normal one, its
    own members (as an operator met it in 2026, three times; for clusters made after September the
    vendor says that this is fixed).
    """
    cluster = store.get(Cluster, pool.cluster)
    own = pool.body["scaling_group"].get("security_group_ids") or []
    group = store.get(SecurityGroup, cluster.security_group) if cluster is not None else None
    if group is None or not own or group.id in own:
        return None
    vswitches = [store.get(VSwitch, i) for i in pool.body["scaling_group"]["vswitch_ids"]]
    nets = [vswitch.cidr for vswitch in vswitches if vswitch is not None]
    if any(_lets_in(rule, own, nets) for rule in group.rules):
        return None
    return f"Security group {group.id} does not let the machines in to port {API_PORT}."


def _lets_in(rule: Rule, groups: Sequence[str], nets: Sequence[IPv4Network]) -> bool:
    """Whether a rule opens the API server's port to all these machines."""
    fields = rule.fields
    low, _, high = fields["PortRange"].partition("/")
    port = fields["IpProtocol"] == "TCP" and int(low) <= API_PORT <= int(high)
    if rule.direction != "ingress" or fields.get("Policy", "accept") != "accept":
        return False
    if not (port or fields["IpProtocol"] == "ALL"):
        return False
    source = fields.get("SourceCidrIp")
    if source:
        block = IPv4Network(source)
        return all(net.subnet_of(block) for net in nets)
    return fields.get("SourceGroupId") in groups


def _make(store: Store, pool: NodePool, joining: bool) -> Instance | tuple[str, str]:
    group = pool.body["scaling_group"]
    cluster = store.get(Cluster, pool.cluster)
    assert cluster is not None
    vswitches = [v for i in group["vswitch_ids"] if (v := store.get(VSwitch, i)) is not None]
    if group.get("multi_az_policy") == "BALANCE":
        load = [i.vswitch for i in store.all(Instance) if i.pool == pool.id]
        vswitches.sort(key=lambda v: load.count(v.id))
    categories = group.get("system_disk_categories") or [group["system_disk_category"]]
    kinds = {
        kind: category
        for kind in group["instance_types"]
        for category in reversed(categories)
        if category in INSTANCE_TYPES[kind].disks
    }
    if not kinds:
        return (
            "InvalidSystemDiskCategory.ValueNotSupported",  # the vendor's: ECS RunInstances
            f"No instance type of the pool takes a system disk of {', '.join(categories)}.",
        )
    full, limit = False, None
    spot = group.get("spot_strategy", "NoSpot") != "NoSpot"
    for vswitch in vswitches:
        for kind, category in kinds.items():
            if not in_stock(store, kind, vswitch.zone):
                continue
            limit = over_limit(store, cluster.region, kind, spot=spot)
            if limit is not None:
                continue
            address = store.private_address(vswitch)
            if address is None:
                full = True
                break
            instance = _instance(store, pool, cluster, vswitch, kind, address, joining)
            _system_disk(store, pool, instance, category)
            return instance
    if limit is not None:
        return limit
    if full:
        return "InvalidVSwitchId.IpNotEnough", "The specified vSwitch has not enough addresses."
    return _NO_STOCK


def _instance(
    store: Store,
    pool: NodePool,
    cluster: Cluster,
    vswitch: VSwitch,
    kind: str,
    address: str,
    joining: bool,
) -> Instance:
    group = pool.body["scaling_group"]
    instance = Instance(
        id=store.new_id("i"),
        region=cluster.region,
        name=f"worker-k8s-for-cs-{cluster.id}-{pool.id[2:8]}",
        tags={
            "ack.aliyun.com": cluster.id,
            "ack.alibabacloud.com/nodepool-id": pool.id,
            **{t["key"]: t.get("value", "") for t in group.get("tags", [])},
        },
        resource_group=pool.resource_group,
        kind=kind,
        zone=vswitch.zone,
        vpc=vswitch.vpc,
        vswitch=vswitch.id,
        address=address,
        security_group=(group.get("security_group_ids") or [cluster.security_group])[0],
        key_pair=group.get("key_pair", ""),
        spot=group.get("spot_strategy", "NoSpot"),
        cluster=cluster.id,
        pool=pool.id,
        joined=joining,
        cordoned=bool((pool.body.get("kubernetes_config") or {}).get("unschedulable", False)),
    )
    label(instance, pool)
    store.add(instance)
    return instance


def _system_disk(store: Store, pool: NodePool, instance: Instance, category: str) -> None:
    group = pool.body["scaling_group"]
    store.add(
        Disk(
            id=store.new_id("d"),
            region=instance.region,
            tags=dict(instance.tags),
            category=category,
            level=group.get("system_disk_performance_level", ""),
            size=group.get("system_disk_size", 120),
            zone=instance.zone,
            system=True,
            instance=instance.id,
        )
    )


def group_id(pool: NodePool) -> str:
    """The id of a pool's scaling group, which only looks like the pool's here."""
    return f"asg-{pool.id[2:]}"


def label(instance: Instance, pool: NodePool) -> None:
    """Give the machine the pool's labels and taints of now."""
    instance.labels, instance.taints = _marks(pool, instance.zone)


def _marks(pool: NodePool, zone: str) -> tuple[dict[str, str], tuple[tuple[str, str, str], ...]]:
    kubernetes = pool.body.get("kubernetes_config", {})
    labels = {
        "alibabacloud.com/nodepool-id": pool.id,
        "ack.aliyun.com": pool.cluster,
        "topology.diskplugin.csi.alibabacloud.com/zone": zone,
        **{one["key"]: one.get("value", "") for one in kubernetes.get("labels", [])},
    }
    taints = tuple(
        (one["key"], one.get("value", ""), one["effect"]) for one in kubernetes.get("taints", [])
    )
    return labels, taints


def template(store: Store, pool: NodePool) -> Node:
    """A node as the pool's next one would be: of its first type, in its first zone."""
    group = pool.body["scaling_group"]
    kind = INSTANCE_TYPES[group["instance_types"][0]]
    vswitch = store.get(VSwitch, group["vswitch_ids"][0])
    zone = vswitch.zone if vswitch is not None else ""
    labels, taints = _marks(pool, zone)
    return Node(
        name=f"template-node-for-{group_id(pool)}",
        provider_id=f"{pool.region}.template",
        instance_type=kind.name,
        zone=zone,
        region=pool.region,
        cpu=kind.cpu,
        memory=kind.memory * 1024,
        architecture=_ARCHITECTURES[kind.architecture],
        labels=labels,
        taints=taints,
    )


def node_name(instance: Instance) -> str:
    """``ap-southeast-1.10.0.0.5``, as ACK names nodes."""
    return f"{instance.region}.{instance.address}"


def node(instance: Instance) -> Node:
    """The machine as the cloud controller manager describes it."""
    kind = INSTANCE_TYPES[instance.kind]
    return Node(
        name=node_name(instance),
        provider_id=f"{instance.region}.{instance.id}",
        instance_type=kind.name,
        zone=instance.zone,
        region=instance.region,
        cpu=kind.cpu,
        memory=kind.memory * 1024,
        architecture=_ARCHITECTURES[kind.architecture],
        internal_ip=instance.address,
        labels=instance.labels,
        taints=instance.taints,
        unschedulable=instance.cordoned,
    )
