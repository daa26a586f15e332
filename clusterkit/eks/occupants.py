"""What is in the way of a delete: AWS refuses with a code and names nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.tags import read_tags, where
from clusterkit.engine.scope import Scope
from clusterkit.errors import InUse

IN_SUBNET = (
    ("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId", "subnet-id"),
)
IN_VPC = (
    ("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId", "vpc-id"),
    ("describe_subnets", "Subnets", "SubnetId", "vpc-id"),
    ("describe_security_groups", "SecurityGroups", "GroupId", "vpc-id"),
    ("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", "vpc-id"),
    ("describe_route_tables", "RouteTables", "RouteTableId", "vpc-id"),
    ("describe_internet_gateways", "InternetGateways", "InternetGatewayId", "attachment.vpc-id"),
)
"""what keeps a subnet or a VPC from being deleted, and the filter that finds it
(https://docs.aws.amazon.com/vpc/latest/userguide/delete-vpc.html)"""


def occupied(
    scope: Scope[Clients], error: InUse, identifier: str, kinds: Sequence[tuple[str, str, str, str]]
) -> InUse:
    """EC2's refusal, which names nothing, with what is still inside."""
    found = [
        f"{each[key]} ({_about(each) or 'no description'})"
        for operation, items, key, inside in kinds
        for each in pages(scope.client.ec2, operation, items, Filters=[where(inside, identifier)])
        if each.get("GroupName") != "default"
        if not any(link.get("Main") for link in each.get("Associations", ()))
    ]
    return naming(error, found)


def naming(error: InUse, found: Iterable[str]) -> InUse:
    """The refusal of a delete with what is in the way."""
    what = f"{error.what} In it: {', '.join(found) or 'nothing that can be seen'}"
    return InUse(
        what,
        hint=error.hint,
        code=error.code,
        operation=error.operation,
        request_id=error.request_id,
    )


def _about(shown: Any) -> str:
    """What a person knows it by."""
    name = read_tags(shown.get("Tags") or shown.get("TagSet")).get("Name", "")
    return str(shown.get("Description") or shown.get("GroupName") or name)
