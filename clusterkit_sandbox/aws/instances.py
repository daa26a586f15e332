"""What EKS creates in EC2: a cluster's security group and interfaces, and its nodes' instances."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

from clusterkit_sandbox.kube.interfaces import Node

DESCRIPTION = (
    "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, "
    "as well as any managed workloads."
)


def cluster_group(ec2: Any, cluster: str, vpc: str) -> str:
    """Create the cluster's security group."""
    number = secrets.randbelow(10**9)
    group = ec2.create_security_group(
        f"eks-cluster-sg-{cluster}-{number}", DESCRIPTION, vpc_id=vpc, force=True
    )
    group.add_tags(
        {
            "Name": f"eks-cluster-sg-{cluster}-{number}",
            f"kubernetes.io/cluster/{cluster}": "owned",
            "aws:eks:cluster-name": cluster,
        }
    )
    return str(group.id)


def control_plane(ec2: Any, cluster: str, subnets: list[Any], group: str) -> list[str]:
    """Create the control plane's interfaces, one in each zone."""
    zones: set[str] = set()
    made = []
    for subnet in subnets:
        if subnet.availability_zone not in zones:
            zones.add(subnet.availability_zone)
            interface = ec2.create_network_interface(
                subnet, None, group_ids=[group], description=f"Amazon EKS {cluster}"
            )
            interface.status = "in-use"
            made.append(interface.id)
    return made


def remove_group(ec2: Any, group: str) -> None:
    """Delete the cluster's security group unless something still uses it, as EKS does."""
    used = any(group in [g.id for g in eni.group_set] for eni in ec2.enis.values())
    referred = any(
        (rule.source_group or {}).get("GroupId") == group
        for other in ec2.describe_security_groups()
        if other.id != group
        for rule in (*other.ingress_rules, *other.egress_rules)
    )
    if not used and not referred:
        ec2.delete_security_group(group_id=group)


def add_nodes(ec2: Any, group: Any, subnets: list[Any], security_group: str, count: int) -> None:
    """Create the interfaces of a node group's instances and name the instances."""
    shown = group.shown
    for _ in range(count):
        # Auto Scaling keeps the zones in balance
        subnet = subnets[len(group.instances) % len(subnets)]
        instance = "i-" + uuid4().hex[:17]
        interface = ec2.create_network_interface(
            subnet, None, group_ids=[security_group], description=f"aws-K8S-{instance}"
        )
        interface.add_tags(
            {
                "eks:cluster-name": shown["clusterName"],
                "eks:nodegroup-name": shown["nodegroupName"],
                "node.k8s.amazonaws.com/instance_id": instance,
            }
        )
        interface.status = "in-use"
        zone = subnet.availability_zone
        group.kinds[instance] = _chosen(group, ec2.region_name, zone)
        group.instances.append(instance)
        group.interfaces.append(interface.id)


def _chosen(group: Any, region: str, zone: str) -> str:
    """The type of the next instance (EKS User Guide, "Managed node group capacity types").

    On-Demand takes the first of the list that there is; Spot spreads over the pools with most
    capacity, here those with fewest instances of the group.
    """
    types: list[str] = group.shown.get("instanceTypes") or ["t3.medium"]
    there = [one for one in types if offered(region, one, zone)] or types
    if group.shown["capacityType"] != "SPOT":
        return there[0]
    held = list(group.kinds.values())
    return min(there, key=held.count)


def remove_nodes(ec2: Any, group: Any, some: Collection[str]) -> None:
    """Terminate these instances, with their interfaces."""
    kept = []
    for instance, interface in zip(group.instances, group.interfaces, strict=True):
        if instance in some:
            ec2.enis.pop(interface, None)
            group.kinds.pop(instance, None)
        else:
            kept.append((instance, interface))
    group.instances[:] = [instance for instance, _ in kept]
    group.interfaces[:] = [interface for _, interface in kept]


Taints = tuple[tuple[str, str, str], ...]
_EFFECTS = {
    "NO_SCHEDULE": "NoSchedule",
    "PREFER_NO_SCHEDULE": "PreferNoSchedule",
    "NO_EXECUTE": "NoExecute",
}


def labels_of(shown: Mapping[str, Any]) -> dict[str, str]:
    """The labels of a node group's nodes."""
    return {
        **(shown.get("labels") or {}),
        "eks.amazonaws.com/nodegroup": shown["nodegroupName"],
        "eks.amazonaws.com/capacityType": shown["capacityType"],
        "eks.amazonaws.com/nodegroup-image": "ami-" + "0" * 17,
    }


def taints_of(shown: Mapping[str, Any]) -> Taints:
    """The taints of a node group's nodes, as Kubernetes writes them."""
    taints = shown.get("taints") or []
    return tuple((t["key"], t.get("value", ""), _EFFECTS[t["effect"]]) for t in taints)


def machine(kind: str, zone: str, region: str, **more: Any) -> Node:
    """A node of this type."""
    known = instance_types().get(kind, {})
    architectures = known.get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    return Node(
        instance_type=kind,
        zone=zone,
        region=region,
        cpu=known.get("VCpuInfo", {}).get("DefaultVCpus", 2),
        memory=known.get("MemoryInfo", {}).get("SizeInMiB", 4096),
        architecture="arm64" if architectures == ["arm64"] else "amd64",
        **more,
    )


def nodes_of(ec2: Any, region: str, group: Any) -> list[Node]:
    """The node objects of a group's instances."""
    shown, found = group.shown, []
    for instance, identifier in zip(group.instances, group.interfaces, strict=True):
        interface = ec2.enis.get(identifier)
        if interface is None:
            continue
        address = interface.private_ip_address
        zone = interface.subnet.availability_zone
        found.append(
            machine(
                group.kinds[instance],
                zone,
                region,
                name=f"ip-{address.replace('.', '-')}.{region}.compute.internal",
                provider_id=f"aws:///{zone}/{instance}",
                internal_ip=address,
                labels=labels_of(shown),
                taints=taints_of(shown),
            )
        )
    return found


def instance_types() -> dict[str, Any]:
    """EC2's instance types by name, as DescribeInstanceTypes shows them."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    found: dict[str, Any] = INSTANCE_TYPES
    return found


def offered(region: str, name: str, zone: str) -> bool:
    """Whether a zone offers a type."""
    from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS

    zones = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, [])
    return any(o["InstanceType"] == name and o["Location"] == zone for o in zones)
