"""What EKS creates in EC2: a cluster's security group and interfaces, and its nodes' instances."""

from __future__ import annotations

import secrets
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


def add_nodes(
    ec2: Any,
    cluster: str,
    group_name: str,
    subnets: list[Any],
    security_group: str,
    count: int,
) -> tuple[list[str], list[str]]:
    """Create the interfaces of a node group's instances and name the instances."""
    instances, interfaces = [], []
    for index in range(count):
        subnet = subnets[index % len(subnets)]
        instance = "i-" + uuid4().hex[:17]
        interface = ec2.create_network_interface(
            subnet, None, group_ids=[security_group], description=f"aws-K8S-{instance}"
        )
        interface.add_tags(
            {
                "eks:cluster-name": cluster,
                "eks:nodegroup-name": group_name,
                "node.k8s.amazonaws.com/instance_id": instance,
            }
        )
        interface.status = "in-use"
        instances.append(instance)
        interfaces.append(interface.id)
    return instances, interfaces


def nodes_of(ec2: Any, region: str, group: Any, types: dict[str, Any]) -> list[Node]:
    """The node objects of a group's instances."""
    shown, found = group.shown, []
    name = (shown.get("instanceTypes") or ["t3.medium"])[0]
    kind = types.get(name, {})
    arm = "ARM_64" in shown["amiType"]
    for instance, identifier in zip(group.instances, group.interfaces, strict=True):
        interface = ec2.enis.get(identifier)
        if interface is None:
            continue
        address = interface.private_ip_address
        zone = interface.subnet.availability_zone
        labels = {
            **(shown.get("labels") or {}),
            "eks.amazonaws.com/nodegroup": shown["nodegroupName"],
            "eks.amazonaws.com/capacityType": shown["capacityType"],
            "eks.amazonaws.com/nodegroup-image": "ami-" + "0" * 17,
        }
        effects = {
            "NO_SCHEDULE": "NoSchedule",
            "PREFER_NO_SCHEDULE": "PreferNoSchedule",
            "NO_EXECUTE": "NoExecute",
        }
        taints = tuple(
            (t["key"], t.get("value", ""), effects[t["effect"]]) for t in shown.get("taints") or []
        )
        found.append(
            Node(
                name=f"ip-{address.replace('.', '-')}.{region}.compute.internal",
                provider_id=f"aws:///{zone}/{instance}",
                instance_type=name,
                zone=zone,
                region=region,
                cpu=kind.get("VCpuInfo", {}).get("DefaultVCpus", 2),
                memory=kind.get("MemoryInfo", {}).get("SizeInMiB", 4096),
                architecture="arm64" if arm else "amd64",
                internal_ip=address,
                labels=labels,
                taints=taints,
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
