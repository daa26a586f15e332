"""What EKS checks about a node group, and why its instances would not join the cluster."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from clusterkit_sandbox.aws import instances
from clusterkit_sandbox.aws.catalog import CNI_ADDON
from clusterkit_sandbox.aws.records import Addon, ClusterRecord, Shown
from clusterkit_sandbox.aws.refusals import Refusal, invalid
from clusterkit_sandbox.aws.service import Eks

NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKSWorkerNodeMinimalPolicy")


def template(
    ec2: Any, template: dict[str, Any], asked: dict[str, Any], where: dict[str, Any]
) -> None:
    if asked.get("diskSize"):
        raise invalid("Disk size must be specified within the launch template.", **where)
    if asked.get("remoteAccess"):
        raise invalid("Remote access configuration cannot be specified with a launch template.")
    if template.get("id") and template.get("name"):
        raise invalid("Launch template must have either an id or a name, not both", **where)
    known = [
        t
        for t in ec2.launch_templates.values()
        if template.get("id") == t.id or template.get("name") == t.name
    ]
    if not known:
        raise invalid("Launch template was not found", **where)
    number = template.get("version") or "$Default"
    if number not in ("$Default", "$Latest") and not any(
        str(v.number) == number for v in known[0].versions
    ):
        raise invalid(f"Launch template version {number} was not found", **where)
    template["id"], template["name"] = known[0].id, known[0].name
    named = {"$Latest": known[0].latest_version_number, "$Default": known[0].default_version_number}
    template["version"] = str(named.get(number, number))


def version(version: str, record: ClusterRecord) -> None:
    here, there = (int(v.partition(".")[2]) for v in (record.shown["version"], version))
    if there > here or here - there > 3:
        raise invalid(
            f"Requested Nodegroup release version {version} is invalid for cluster version "
            f"{record.shown['version']}"
        )


def types(eks: Eks, types: list[str], ami: str, subnets: list[Any], where: dict[str, Any]) -> None:
    known = instances.instance_types()
    for name in types:
        kind = known.get(name)
        if kind is None:
            raise invalid(f"The following supplied instance types do not exist: [{name}]", **where)
        arm = kind["ProcessorInfo"]["SupportedArchitectures"] == ["arm64"]
        if arm != ("ARM_64" in ami):
            raise invalid(f"[{name}] is not a valid instance type for requested amiType {ami}")
        if not any(instances.offered(eks.name, name, s.availability_zone) for s in subnets):
            raise invalid(f"Instance type {name} is not offered in the subnets' zones", **where)


def scaling(scaling: dict[str, Any], where: dict[str, Any]) -> None:
    low, high, size = scaling["minSize"], scaling["maxSize"], scaling["desiredSize"]
    if low > size:
        raise invalid(f"Minimum capacity {low} can't be greater than desired size {size}", **where)
    if size > high:
        raise invalid(f"Desired capacity {size} can't be greater than max size {high}", **where)


def refused(eks: Eks, shown: Shown, subnets: list[Any]) -> dict[str, str] | None:
    """Why there are no machines, or None."""
    if eks.context.faults.terminal("eks:CreateNodegroup"):
        return {
            "code": "AsgInstanceLaunchFailures",
            "message": "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We "
            "currently do not have sufficient capacity in the Availability Zone you requested.",
        }
    for subnet in subnets if shown["scalingConfig"]["desiredSize"] else ():
        gateway = eks.account.default_route(eks.name, subnet) or ""
        dark = str(subnet.map_public_ip_on_launch).lower() != "true"
        if gateway.startswith("igw-") and dark:
            return {
                "code": "Ec2SubnetInvalidConfiguration",
                "message": "One or more Amazon EC2 Subnets of "
                f"[{subnet.id}] for node group {shown['nodegroupName']} does not automatically "
                "assign public IP addresses to instances launched into it.",
            }
    return None


def trouble(eks: Eks, record: ClusterRecord, shown: Shown) -> dict[str, str] | None:
    """Why the machines do not join at the moment, or None."""
    lost = {
        "code": "NodeCreationFailure",
        "message": "Instances failed to join the kubernetes cluster",
    }
    role = next((r for r in eks.account.iam().roles.values() if r.arn == shown["nodeRole"]), None)
    names = {arn.rpartition("/")[2] for arn in (role.managed_policies if role else ())}
    if not names & set(NODE_POLICIES):
        return {
            "code": "AccessDenied",
            "message": "The node role lacks AmazonEKSWorkerNodePolicy",
        }
    if shown["scalingConfig"]["desiredSize"] == 0:
        return None
    network = eks.store.get(Addon, CNI_ADDON, record.key)
    if network is None and not record.shown.get("selfManaged"):
        return {
            **lost,
            "message": "Unhealthy nodes in the kubernetes cluster: no CNI plugin",
        }
    try:
        subnets = eks.account.subnets(record.region, shown["subnets"], 1, frozenset())
    except Refusal as refusal:  # somebody has deleted one meanwhile
        return {"code": "Ec2SubnetNotFound", "message": refusal.message}
    return None if all(_reaches(eks, record, subnet) for subnet in subnets) else lost


def _reaches(eks: Eks, record: ClusterRecord, subnet: Any) -> bool:
    """Whether machines of a subnet get out, and to the cluster's endpoint.

    EKS User Guide, "Cluster API server endpoint": without private access the address that they have
    outside, the NAT gateway's, has to be in the public access CIDRs.
    """
    gateway = eks.account.default_route(eks.name, subnet)
    network = record.shown["resourcesVpcConfig"]
    if gateway is None or network["endpointPrivateAccess"]:
        return gateway is not None
    nat = eks.account.ec2(eks.name).nat_gateways.get(gateway)
    allowed = [ip_network(block, strict=False) for block in network["publicAccessCidrs"]]
    if nat is None or not nat.address_set:  # an address of each machine's own
        return any(block.prefixlen < block.max_prefixlen for block in allowed)
    address = ip_address(nat.address_set[0]["publicIp"])
    return any(address in block for block in allowed)
