"""A VPC, its subnets and its internet gateway.

What cannot carry a tag is part of what it hangs on: DNS attributes of the VPC, the attachment of
the internet gateway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import pages
from clusterkit.eks.tags import REPLACE, Ec2, ours, read_tags, where
from clusterkit.engine.kind import Edit, Env, Kind, Tags, edit, fixed
from clusterkit.engine.scope import Scope
from clusterkit.errors import InUse

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import ResourceTypeType
    from mypy_boto3_ec2.type_defs import FilterTypeDef

OCCUPANTS = (
    ("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    ("describe_subnets", "Subnets", "SubnetId"),
    ("describe_security_groups", "SecurityGroups", "GroupId"),
    ("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
)
"""what keeps a VPC from being deleted; a subnet only the first"""


@dataclass(frozen=True)
class VpcState:
    """A VPC as DescribeVpcs and DescribeVpcAttribute show it."""

    id: str
    cidr: IPv4Network
    hostnames: bool
    status: str = "available"
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Vpc(Ec2[VpcState]):
    """A VPC with DNS on, which nodes and private endpoints need."""

    kind: ClassVar[str] = "vpc"
    type: ClassVar[ResourceTypeType] = "vpc"
    usable: ClassVar[frozenset[str]] = frozenset({"available"})
    leaving: ClassVar[frozenset[str]] = frozenset({"deleting"})
    cidr: IPv4Network

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[VpcState]:
        found = pages(scope.client.ec2, "describe_vpcs", "Vpcs", Filters=[ours(scope)])
        return [vpc_state(shown) for shown in found]

    @classmethod
    def read(cls, scope: Scope[Clients], found: VpcState) -> VpcState:
        return replace(found, hostnames=dns_hostnames(scope.client, found.id))

    def create(self, env: Env[Clients]) -> VpcState:
        made = env.client.ec2.create_vpc(
            CidrBlock=str(self.cidr), TagSpecifications=self.specification(env)
        )
        return VpcState(made["Vpc"]["VpcId"], self.cidr, hostnames=False, tags=self.marks(env))

    def edits(self, env: Env[Clients], have: VpcState) -> Iterator[Edit]:
        def enable() -> None:
            # DNS support is on in every new VPC; hostnames are not
            env.client.ec2.modify_vpc_attribute(VpcId=have.id, EnableDnsHostnames={"Value": True})

        yield from fixed("cidr", have.cidr, self.cidr, REPLACE)
        yield from edit("DNS hostnames", have.hostnames, True, enable)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: VpcState) -> None:
        try:
            scope.client.ec2.delete_vpc(VpcId=have.id)
        except InUse as error:
            raise _occupied(scope, error, where("vpc-id", have.id), OCCUPANTS) from error


def vpc_state(shown: Any) -> VpcState:
    """A VPC as DescribeVpcs shows it, which says nothing of DNS."""
    return VpcState(
        shown["VpcId"],
        IPv4Network(shown["CidrBlock"]),
        hostnames=False,
        status=shown["State"],
        tags=read_tags(shown.get("Tags")),
    )


def dns_hostnames(clients: Clients, vpc: str) -> bool:
    """Whether machines in the VPC get host names."""
    shown = clients.ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")
    return bool(shown["EnableDnsHostnames"].get("Value"))


@dataclass(frozen=True)
class SubnetState:
    """A subnet as DescribeSubnets shows it."""

    id: str
    cidr: IPv4Network
    zone: str
    vpc: str
    public_addresses: bool
    status: str = "available"
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Subnet(Ec2[SubnetState]):
    """One zone's subnet; the profile's tags hold the role by which load balancers find it.

    https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html, "Subnet tagging".
    """

    kind: ClassVar[str] = "subnet"
    type: ClassVar[ResourceTypeType] = "subnet"
    usable: ClassVar[frozenset[str]] = frozenset({"available"})
    failed: ClassVar[frozenset[str]] = frozenset(
        {"failed", "failed-insufficient-capacity", "unavailable"}
    )
    uses: ClassVar[tuple[str, ...]] = ("vpc",)
    vpc: Kind[Clients, VpcState]
    cidr: IPv4Network
    zone: str
    public_addresses: bool = False

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[SubnetState]:
        found = pages(scope.client.ec2, "describe_subnets", "Subnets", Filters=[ours(scope)])
        return [subnet_state(shown) for shown in found]

    def create(self, env: Env[Clients]) -> SubnetState:
        made = env.client.ec2.create_subnet(
            VpcId=env[self.vpc].id,
            CidrBlock=str(self.cidr),
            AvailabilityZone=self.zone,
            TagSpecifications=self.specification(env),
        )
        return subnet_state(made["Subnet"])

    def edits(self, env: Env[Clients], have: SubnetState) -> Iterator[Edit]:
        def assign() -> None:
            env.client.ec2.modify_subnet_attribute(
                SubnetId=have.id, MapPublicIpOnLaunch={"Value": self.public_addresses}
            )

        yield from fixed("cidr", have.cidr, self.cidr, REPLACE)
        yield from fixed("zone", have.zone, self.zone, REPLACE)
        yield from edit("public addresses", have.public_addresses, self.public_addresses, assign)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: SubnetState) -> None:
        try:
            scope.client.ec2.delete_subnet(SubnetId=have.id)
        except InUse as error:
            raise _occupied(scope, error, where("subnet-id", have.id), OCCUPANTS[:1]) from error

    def taken(self, env: Env[Clients]) -> SubnetState | None:
        # two subnets of a VPC cannot have the same range
        same = [where("vpc-id", env[self.vpc].id), where("cidr-block", str(self.cidr))]
        found = pages(env.client.ec2, "describe_subnets", "Subnets", Filters=same)
        return next(map(subnet_state, found), None)

    @classmethod
    def within(cls, have: SubnetState) -> Mapping[str, str]:
        return {"vpc": have.vpc}


def subnet_state(shown: Any) -> SubnetState:
    """A subnet as EC2 shows it."""
    return SubnetState(
        id=shown["SubnetId"],
        cidr=IPv4Network(shown["CidrBlock"]),
        zone=shown["AvailabilityZone"],
        vpc=shown["VpcId"],
        public_addresses=bool(shown.get("MapPublicIpOnLaunch")),
        status=shown["State"],
        tags=read_tags(shown.get("Tags")),
    )


@dataclass(frozen=True)
class GatewayState:
    """An internet gateway and the VPC it is attached to."""

    id: str
    vpc: str | None
    status: str = ""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class InternetGateway(Ec2[GatewayState]):
    """The VPC's way to the internet."""

    kind: ClassVar[str] = "internet-gateway"
    type: ClassVar[ResourceTypeType] = "internet-gateway"
    uses: ClassVar[tuple[str, ...]] = ("vpc",)
    vpc: Kind[Clients, VpcState]

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[GatewayState]:
        return _gateways(scope, Filters=[ours(scope)])

    def create(self, env: Env[Clients]) -> GatewayState:
        made = env.client.ec2.create_internet_gateway(TagSpecifications=self.specification(env))
        return _gateway(made["InternetGateway"])

    def edits(self, env: Env[Clients], have: GatewayState) -> Iterator[Edit]:
        vpc = env[self.vpc].id

        def attach() -> None:
            env.client.ec2.attach_internet_gateway(InternetGatewayId=have.id, VpcId=vpc)

        if have.vpc is None:
            yield Edit("attached to", None, vpc, attach)
        else:
            yield from fixed("attached to", have.vpc, vpc, f"detach it from {have.vpc}")

    @classmethod
    def delete(cls, scope: Scope[Clients], have: GatewayState) -> None:
        ec2 = scope.client.ec2
        if have.vpc:
            ec2.detach_internet_gateway(InternetGatewayId=have.id, VpcId=have.vpc)
        ec2.delete_internet_gateway(InternetGatewayId=have.id)

    def taken(self, env: Env[Clients]) -> GatewayState | None:
        # a VPC has one internet gateway at most
        attached = where("attachment.vpc-id", env[self.vpc].id)
        return next(iter(_gateways(env, Filters=[attached])), None)

    @classmethod
    def within(cls, have: GatewayState) -> Mapping[str, str]:
        return {"vpc": have.vpc} if have.vpc else {}


def _gateways(scope: Scope[Clients], **parameters: Any) -> list[GatewayState]:
    ec2 = scope.client.ec2
    found = pages(ec2, "describe_internet_gateways", "InternetGateways", **parameters)
    return [_gateway(shown) for shown in found]


def _gateway(shown: Any) -> GatewayState:
    vpcs = [each["VpcId"] for each in shown["Attachments"] if each["State"] != "detached"]
    tags = read_tags(shown.get("Tags"))
    return GatewayState(shown["InternetGatewayId"], vpcs[0] if vpcs else None, tags=tags)


def _occupied(
    scope: Scope[Clients],
    error: InUse,
    inside: FilterTypeDef,
    kinds: Iterable[tuple[str, str, str]],
) -> InUse:
    """EC2's refusal, which names nothing, with what is still inside."""
    found = [
        f"{each[key]} ({each.get('Description') or each.get('GroupName') or 'no description'})"
        for operation, items, key in kinds
        for each in pages(scope.client.ec2, operation, items, Filters=[inside])
        if each.get("GroupName") != "default"
    ]
    what = f"{error.what} In it: {', '.join(found) or 'nothing that can be seen'}"
    return InUse(what, code=error.code, operation=error.operation, request_id=error.request_id)
