"""What is in the way of a delete: AWS refuses with a code and names nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.tags import read_tags, where
from clusterkit.engine.scope import Scope

INTERFACES = ("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId")
IN_SUBNET = ((*INTERFACES, "subnet-id"),)
IN_VPC = (
    (*INTERFACES, "vpc-id"),
    ("describe_subnets", "Subnets", "SubnetId", "vpc-id"),
    ("describe_security_groups", "SecurityGroups", "GroupId", "vpc-id"),
    ("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", "vpc-id"),
    ("describe_route_tables", "RouteTables", "RouteTableId", "vpc-id"),
    ("describe_internet_gateways", "InternetGateways", "InternetGatewayId", "attachment.vpc-id"),
)
"""what keeps a subnet or a VPC from being deleted, and the filter that finds it
(https://docs.aws.amazon.com/vpc/latest/userguide/delete-vpc.html)"""


def inside(
    scope: Scope[Clients], identifier: str, kinds: Sequence[tuple[str, str, str, str]]
) -> Iterator[str]:
    """Ids of what is in a subnet or a VPC, each with what a person knows it by."""
    for operation, items, key, filtered in kinds:
        filters = [where(filtered, identifier)]
        for each in pages(scope.client.ec2, operation, items, Filters=filters):
            main = any(link.get("Main") for link in each.get("Associations", ()))
            if each.get("GroupName") != "default" and not main:
                yield f"{each[key]} ({_about(each) or 'no description'})"


def _about(shown: Any) -> str:
    """What a person knows it by."""
    name = read_tags(shown.get("Tags") or shown.get("TagSet")).get("Name", "")
    return str(shown.get("Description") or shown.get("GroupName") or name)
