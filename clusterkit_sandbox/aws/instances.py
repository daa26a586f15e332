"""What EKS creates in EC2: a cluster's security group and interfaces, and its nodes' instances."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

from clusterkit_sandbox.aws import images
from clusterkit_sandbox.aws.moto_fixes import CNI
from clusterkit_sandbox.kube.interfaces import Node

DESCRIPTION = (
    "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, "
    "as well as any managed workloads."
)
ROOT, DISK = "/dev/xvda", 20
"""the root volume of Amazon Linux: its name, and its size in GiB unless one is given"""


def cluster_group(ec2: Any, cluster: str, vpc: str) -> str:
    """Create the cluster's security group. Besides what every group lets out, its members may talk
    to each other (https://docs.aws.amazon.com/eks/latest/userguide/sec-group-reqs.html, default
    rules).
    """
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
    own = [{"GroupId": group.id}]
    for admit in (ec2.authorize_security_group_ingress, ec2.authorize_security_group_egress):
        admit(group.id, "-1", None, None, [], source_groups=own, vpc_id=vpc)
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


def add_template(ec2: Any, group: Any, security_groups: list[str], version: str) -> None:
    """Make the launch template by which EKS launches a group's instances: the user's, completed.

    EKS User Guide, "Customize managed nodes with launch templates"; awslabs/amazon-eks-ami.
    """
    shown = group.shown
    used, tags = shown.get("launchTemplate") or {}, _tags(shown)
    theirs = ec2.launch_templates.get(used.get("id"))
    data: dict[str, Any] = {}
    if theirs is not None:
        number = int(used["version"])
        data = deepcopy(next(v.data for v in theirs.versions if v.number == number))
    data.setdefault("ImageId", images.of_group(ec2.region_name, shown["amiType"], version))
    linked = [
        one for card in data.get("NetworkInterfaces") or () for one in card.get("Groups") or ()
    ]
    data.setdefault("SecurityGroupIds", linked or security_groups)
    data.setdefault("MetadataOptions", {"HttpPutResponseHopLimit": 2})
    if key := (shown.get("remoteAccess") or {}).get("ec2SshKey"):
        data["KeyName"] = key
    if not data.get("BlockDeviceMappings"):
        size = shown.get("diskSize") or DISK
        disk = {"VolumeSize": size, "VolumeType": "gp3", "DeleteOnTermination": True}
        data["BlockDeviceMappings"] = [{"DeviceName": ROOT, "Ebs": disk}]
    name = f"eks-{shown['nodegroupArn'].rpartition('/')[2]}"
    if ec2.launch_template_name_to_ids.get(name):
        ec2.delete_launch_template(name, None)
    group.template = ec2.create_launch_template(name, "", data, {"launch-template": tags}).id


def remove_template(ec2: Any, group: Any) -> None:
    """Delete the launch template of EKS."""
    if group.template in ec2.launch_templates:
        ec2.delete_launch_template(None, group.template)


def add_nodes(ec2: Any, group: Any, subnets: list[Any], count: int) -> None:
    """Launch instances of a node group. Each has an interface of its own, and one of the CNI."""
    shown = group.shown
    template = ec2.launch_templates[group.template]
    data = template.versions[-1].data
    for _ in range(count):
        # Auto Scaling keeps the zones in balance
        subnet = subnets[len(group.machines) % len(subnets)]
        spot = {"MarketType": "spot"} if shown["capacityType"] == "SPOT" else None
        [machine] = ec2.run_instances(
            data["ImageId"],
            1,
            None,
            [],
            instance_type=_chosen(group, ec2.region_name, subnet.availability_zone),
            is_instance_type_default=False,
            subnet_id=subnet.id,
            security_group_ids=list(data["SecurityGroupIds"]),
            key_name=data.get("KeyName"),
            region_name=ec2.region_name,
            associate_public_ip=None,
            metadata_options=data["MetadataOptions"],
            block_device_mappings=[_disk(one) for one in data["BlockDeviceMappings"]],
            instance_market_options=spot,
            launch_template={"LaunchTemplateId": template.id, "Version": "1"},
            tags={"instance": group.tags_of_machines(), "volume": _of_volumes(data)},
        ).instances
        interface = ec2.create_network_interface(
            subnet,
            None,
            group_ids=list(data["SecurityGroupIds"]),
            description=f"{CNI}{machine.id}",
        )
        interface.add_tags(
            {
                "cluster.k8s.amazonaws.com/name": shown["clusterName"],
                "node.k8s.amazonaws.com/instance_id": machine.id,
            }
        )
        machine.attach_eni(interface, 1)
        group.machines[machine.id] = machine


def _disk(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A volume of a launch template, as moto takes it."""
    disk = {"VolumeSize": DISK, "VolumeType": "gp3", **(asked.get("Ebs") or {})}
    ends = str(disk.get("DeleteOnTermination", True)).lower() == "true"
    crypt = str(disk.get("Encrypted", False)).lower() == "true"
    return {**asked, "Ebs": {**disk, "DeleteOnTermination": ends, "Encrypted": crypt}}


def _of_volumes(data: Mapping[str, Any]) -> dict[str, str]:
    """The tags that a launch template gives to volumes."""
    given = [one for one in data.get("TagSpecifications") or () if one["ResourceType"] == "volume"]
    return {tag["Key"]: tag["Value"] for one in given for tag in one.get("Tags") or ()}


def _tags(shown: Mapping[str, Any]) -> dict[str, str]:
    names = {"eks:cluster-name": "clusterName", "eks:nodegroup-name": "nodegroupName"}
    return {tag: shown[name] for tag, name in names.items()}


def _chosen(group: Any, region: str, zone: str) -> str:
    """The type of the next instance (EKS User Guide, "Managed node group capacity types").

    On-Demand takes the first of the list that there is; Spot spreads over the pools with most
    capacity, here those with fewest instances of the group.
    """
    types: list[str] = group.shown.get("instanceTypes") or ["t3.medium"]
    there = [one for one in types if offered(region, one, zone)] or types
    if group.shown["capacityType"] != "SPOT":
        return there[0]
    held = [machine.instance_type for machine in group.machines.values()]
    return min(there, key=held.count)


def remove_nodes(group: Any, some: Collection[str]) -> None:
    """Terminate these instances, with their interfaces and volumes."""
    for instance in some:
        machine = group.machines.pop(instance, None)
        if machine is not None and machine.instance_state.name == "running":
            machine.terminate()


Taints = tuple[tuple[str, str, str], ...]
_EFFECTS = {
    "NO_SCHEDULE": "NoSchedule",
    "PREFER_NO_SCHEDULE": "PreferNoSchedule",
    "NO_EXECUTE": "NoExecute",
}


def labels_of(shown: Mapping[str, Any], image: str) -> dict[str, str]:
    """The labels of a node group's nodes."""
    return {
        **(shown.get("labels") or {}),
        "eks.amazonaws.com/nodegroup": shown["nodegroupName"],
        "eks.amazonaws.com/capacityType": shown["capacityType"],
        "eks.amazonaws.com/nodegroup-image": image,
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


def nodes_of(region: str, group: Any) -> list[Node]:
    """The node objects of a group's instances."""
    shown = group.shown
    return [
        machine(
            one.instance_type,
            str(one.availability_zone),
            region,
            name=one.private_dns_name,
            provider_id=f"aws:///{one.availability_zone}/{one.id}",
            internal_ip=one.private_ip,
            labels=labels_of(shown, one.image_id),
            taints=taints_of(shown),
        )
        for one in group.machines.values()
        if one.instance_state.name == "running"
    ]


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
