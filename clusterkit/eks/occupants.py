"""What others put into things of ours, and what keeps those from being deleted.

AWS refuses such a delete with a code that names nothing (``DependencyViolation``). What goes with
the cluster is no occupant: its nodes, the interfaces of its control plane, gateways and load
balancers, and what a row of ``leftovers.py`` removes. Requests are by VPC, so that the looks at its
subnets share them. What keeps a VPC:
https://docs.aws.amazon.com/vpc/latest/userguide/delete-vpc.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.tags import of_cluster, read_tags, where
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope
from clusterkit.errors import Gone
from clusterkit.naming import CLUSTER

GUARD_DUTY = ("GuardDutyManaged", "true")
"""the tag of the endpoint and the group that GuardDuty makes in a VPC, and leaves there until it is
switched off (https://docs.aws.amazon.com/guardduty/latest/ug/\
using-iac-with-gdu-automated-agents-runtime-monitoring.html; hashicorp/terraform-provider-aws#46953
removes them with a VPC)"""
NODE = "eks:nodegroup-name"
"""on machines of managed node groups, put there by EKS"""
SCALED = "aws:autoscaling:groupName"
"""on machines of Auto Scaling groups, which replace one that is terminated"""
ENDED = ("shutting-down", "terminated")


class Listing(NamedTuple):
    """A Describe operation of EC2's on what may lie in a VPC."""

    noun: str
    operation: str
    items: str
    key: str
    filter: str = "vpc-id"
    cure: str = ""
    """the words of the AWS CLI that remove one, before its id; ``{vpc}`` is the VPC it is in"""


INTERFACES = Listing(
    "network interface",
    "describe_network_interfaces",
    "NetworkInterfaces",
    "NetworkInterfaceId",
    cure="delete-network-interface --network-interface-id",
)
NATS = Listing(
    "NAT gateway",
    "describe_nat_gateways",
    "NatGateways",
    "NatGatewayId",
    cure="delete-nat-gateway --nat-gateway-id",
)
ENDPOINTS = Listing(
    "VPC endpoint",
    "describe_vpc_endpoints",
    "VpcEndpoints",
    "VpcEndpointId",
    cure="delete-vpc-endpoints --vpc-endpoint-ids",
)
SUBNETS = Listing(
    "subnet", "describe_subnets", "Subnets", "SubnetId", cure="delete-subnet --subnet-id"
)
GROUPS = Listing(
    "security group",
    "describe_security_groups",
    "SecurityGroups",
    "GroupId",
    cure="delete-security-group --group-id",
)
OTHERS = (
    Listing(
        "route table",
        "describe_route_tables",
        "RouteTables",
        "RouteTableId",
        cure="delete-route-table --route-table-id",
    ),
    Listing(
        "network ACL",
        "describe_network_acls",
        "NetworkAcls",
        "NetworkAclId",
        cure="delete-network-acl --network-acl-id",
    ),
    Listing(
        "internet gateway",
        "describe_internet_gateways",
        "InternetGateways",
        "InternetGatewayId",
        "attachment.vpc-id",
        "detach-internet-gateway --vpc-id {vpc} --internet-gateway-id",
    ),
    Listing(
        "VPN gateway",
        "describe_vpn_gateways",
        "VpnGateways",
        "VpnGatewayId",
        "attachment.vpc-id",
        "detach-vpn-gateway --vpc-id {vpc} --vpn-gateway-id",
    ),
)


def shown(scope: Scope[Clients], listing: Listing, value: str) -> list[Any]:
    """All that the listing's filter finds."""
    filters = [where(listing.filter, value)]
    return [*pages(scope.client.ec2, listing.operation, listing.items, Filters=filters)]


def tags_of(item: Any) -> dict[str, str]:
    """The tags of what EC2 shows; for an interface it calls them otherwise."""
    return read_tags(item.get("Tags") or item.get("TagSet"))


def ours(scope: Scope[Clients], tags: Mapping[str, str]) -> bool:
    """Whether something in a VPC of ours goes with the cluster, by its tags."""
    return (
        tags.get(CLUSTER) == scope.cluster
        or tags.get("eks:cluster-name") == scope.cluster
        or of_cluster(scope, tags)
        or GUARD_DUTY in tags.items()
    )


def _of(scope: Scope[Clients], listing: Listing, item: Any, vpc: str = "") -> Occupant:
    told = item.get("Description") or item.get("GroupName") or item.get("ServiceName") or ""
    words = listing.cure.format(vpc=vpc)
    cure = f"aws ec2 {words} {item[listing.key]} --region {scope.region}"
    if item.get("RequesterManaged"):  # EC2 lets nobody else delete it (``NetworkInterface``)
        cure = f"delete what {item.get('RequesterId') or 'an AWS service'} made it for"
    name = tags_of(item).get("Name") or told
    return Occupant(listing.noun, item[listing.key], str(name), cure if listing.cure else "")


def in_vpc(scope: Scope[Clients], vpc: str) -> Iterator[Occupant]:
    """What keeps a VPC besides what lies in its subnets (``in_subnet``)."""
    for listing in (SUBNETS, GROUPS, *OTHERS):
        for item in shown(scope, listing, vpc):
            of_vpc = item.get("GroupName") == "default" or item.get("IsDefault")
            main = any(link.get("Main") for link in item.get("Associations", ()))
            left = item.get("State") == "deleted" or not _attached(item, vpc)
            if not (of_vpc or main or left or ours(scope, tags_of(item))):
                yield _of(scope, listing, item, vpc)
    for item in shown(scope, ENDPOINTS, vpc):
        lives = item.get("State", "").lower() not in ("deleting", "deleted")
        if lives and not item.get("SubnetIds") and not ours(scope, tags_of(item)):
            yield _of(scope, ENDPOINTS, item)


def _attached(item: Any, vpc: str) -> bool:
    """EC2 goes on listing a VPN gateway with the VPC it was detached from."""
    links = item.get("VpcAttachments")
    return links is None or {"VpcId": vpc, "State": "detached"} not in links


def in_subnet(scope: Scope[Clients], vpc: str, subnet: str) -> Iterator[Occupant]:
    """What lies in a subnet; nearly everything does so by a network interface."""
    interfaces = shown(scope, INTERFACES, vpc)
    here = [each for each in interfaces if each.get("SubnetId") == subnet]
    yield from holders(scope, vpc, here)


def using(scope: Scope[Clients], vpc: str, subnets: Iterable[str]) -> Iterator[Occupant]:
    """Subnets of others that use a route table of ours."""
    for item in shown(scope, SUBNETS, vpc):
        if item["SubnetId"] in subnets and not ours(scope, tags_of(item)):
            yield _of(scope, SUBNETS, item)._replace(cure="associate it with another route table")


def on_the_internet(scope: Scope[Clients], vpc: str) -> Iterator[Occupant]:
    """What has a public address in a VPC, which keeps its internet gateway attached."""
    interfaces = shown(scope, INTERFACES, vpc)
    mapped = [each for each in interfaces if each.get("Association", {}).get("PublicIp")]
    yield from holders(scope, vpc, mapped)


def holders(scope: Scope[Clients], vpc: str, interfaces: Iterable[Any]) -> Iterator[Occupant]:
    """What these interfaces of a VPC are parts of, each once; an interface that is part of nothing
    is one itself.
    """
    unknown = [each for each in interfaces if not _goes(scope, each)]
    if not unknown:
        return
    gateways = {
        address.get("NetworkInterfaceId"): (NATS, nat)
        for nat in shown(scope, NATS, vpc)
        for address in nat.get("NatGatewayAddresses", ())
    }
    endpoints = {
        interface: (ENDPOINTS, endpoint)
        for endpoint in shown(scope, ENDPOINTS, vpc)
        for interface in endpoint.get("NetworkInterfaceIds", ())
    }
    found = (_holder(scope, vpc, each, {**gateways, **endpoints}) for each in unknown)
    yield from dict.fromkeys(each for each in found if each is not None)


def _goes(scope: Scope[Clients], interface: Any) -> bool:
    control_plane = interface.get("Description") == f"Amazon EKS {scope.cluster}"
    return control_plane or ours(scope, tags_of(interface))


def _holder(
    scope: Scope[Clients], vpc: str, interface: Any, parts: Mapping[str, tuple[Listing, Any]]
) -> Occupant | None:
    """None if it goes with the cluster."""
    if instance := interface.get("Attachment", {}).get("InstanceId"):
        return _instance(scope, vpc, instance)
    if part := parts.get(interface["NetworkInterfaceId"]):
        listing, item = part
        return None if ours(scope, tags_of(item)) else _of(scope, listing, item)
    kind, _, balancer = interface.get("Description", "").partition(" ")
    if kind == "ELB":
        return _balancer(scope, balancer, interface.get("OwnerId", ""))
    return _of(scope, INTERFACES, interface)


def _instance(scope: Scope[Clients], vpc: str, identifier: str) -> Occupant | None:
    listing = Listing("instance", "describe_instances", "Reservations", "InstanceId")
    for reservation in shown(scope, listing, vpc):
        for item in reservation["Instances"]:
            if item["InstanceId"] != identifier or item["State"]["Name"] in ENDED:
                continue
            tags = tags_of(item)
            group = "" if NODE in tags else tags.get(SCALED, "")
            if ours(scope, tags) and not group:
                return None
            cure = f"ec2 terminate-instances --instance-ids {identifier}"
            if group:
                cure = "autoscaling delete-auto-scaling-group --force-delete "
                cure += f"--auto-scaling-group-name {group}"
            name = tags.get("Name", "")
            return Occupant("instance", identifier, name, f"aws {cure} --region {scope.region}")
    return None


def _balancer(scope: Scope[Clients], name: str, account: str) -> Occupant | None:
    """The load balancer an interface is of; those of the cluster are swept."""
    service = f"arn:{scope.client.partition}:elasticloadbalancing:{scope.region}"
    arn = f"{service}:{account}:loadbalancer/{name}"
    region = f"--region {scope.region}"
    try:
        if "/" in name:  # app/NAME/ID, net/NAME/ID
            found = scope.client.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"]
            cure = f"aws elbv2 delete-load-balancer --load-balancer-arn {arn} {region}"
        else:
            classic = scope.client.elb.describe_tags(LoadBalancerNames=[name])
            found = classic["TagDescriptions"]  # type: ignore[assignment]
            cure = f"aws elb delete-load-balancer --load-balancer-name {name} {region}"
    except Gone:
        return None
    if any(of_cluster(scope, read_tags(each.get("Tags"))) for each in found):
        return None
    return Occupant("load balancer", name, cure=cure)


def referring(scope: Scope[Clients], group: str) -> Iterator[tuple[str, Any]]:
    """The security groups with rules that refer to a group: ``ingress`` or ``egress``, and what EC2
    shows of it.
    """
    for side, prefix in (("ingress", ""), ("egress", "egress.")):
        refers = [where(f"{prefix}ip-permission.group-id", group)]
        ec2 = scope.client.ec2
        for other in pages(ec2, "describe_security_groups", "SecurityGroups", Filters=refers):
            yield side, other


def of_group(scope: Scope[Clients], group: str, vpc: str) -> Iterator[Occupant]:
    """What keeps a security group: other people's rules that refer to it, and what they put into
    it.
    """
    seen = {group}
    for _, other in referring(scope, group):
        identifier = other["GroupId"]
        mine = other.get("VpcId") == vpc and ours(scope, tags_of(other))
        if identifier not in seen and not mine:
            seen.add(identifier)
            cure = f"remove the rules of {identifier} that refer to {group}"
            yield _of(scope, GROUPS, other)._replace(cure=cure)
    members = [where("group-id", group)]
    interfaces = pages(
        scope.client.ec2, "describe_network_interfaces", "NetworkInterfaces", Filters=members
    )
    yield from holders(scope, vpc, [*interfaces])
