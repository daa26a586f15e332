"""VPC, subnets, gateways and routes.

What cannot carry a tag is part of what it hangs on: DNS attributes of the VPC, the attachment of
the internet gateway. Durations: published Terraform logs (NAT gateway 90 to 120 s up, 50 to 60 s
down).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import call, gone_is_fine, pages
from clusterkit.eks.tags import Ec2Marked, Tags, name_of, ours, read_tags, specification
from clusterkit.engine.resource import Change, Ctx, Resource, one_each

REFUSED = "destroy the cluster and make it anew, or change the profile back"


@dataclass(frozen=True)
class VpcState:
    """A VPC as DescribeVpcs and DescribeVpcAttribute show it."""

    id: str
    cidr: str
    hostnames: bool
    tags: Tags = field(default_factory=dict)
    status: str = "available"


@dataclass(frozen=True, kw_only=True, eq=False)
class Vpc(Ec2Marked[VpcState]):
    """A VPC with DNS on, which nodes and private endpoints need."""

    kind: ClassVar[str] = "vpc"
    cidr: str

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, VpcState]:
        ec2 = cx.clients.ec2
        found = []
        for vpc in pages(ec2, "describe_vpcs", "Vpcs", Filters=[ours(cx)]):
            dns = call(
                ec2.describe_vpc_attribute, VpcId=vpc["VpcId"], Attribute="enableDnsHostnames"
            )
            tags = read_tags(vpc["Tags"])
            hostnames = bool(dns["EnableDnsHostnames"].get("Value"))
            state = VpcState(vpc["VpcId"], vpc["CidrBlock"], hostnames, tags, vpc["State"])
            found.append((name_of(tags), state))
        return one_each(found)

    def create(self, cx: Ctx[Clients]) -> None:
        marks = specification(cx, self, "vpc")
        made = call(cx.clients.ec2.create_vpc, CidrBlock=self.cidr, TagSpecifications=marks)
        tags = self.wanted_tags(cx)
        self.finish(cx, VpcState(made["Vpc"]["VpcId"], self.cidr, hostnames=False, tags=tags))

    @classmethod
    def ready(cls, have: VpcState) -> bool:
        return have.status == "available"

    def diff(self, cx: Ctx[Clients], have: VpcState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        if have.cidr != self.cidr:
            changes.append(Change("cidr", have.cidr, self.cidr, "refuse", REFUSED))
        if not have.hostnames:
            changes.append(Change("DNS hostnames", False, True))
        return changes

    def update(self, cx: Ctx[Clients], have: VpcState, changes: list[Change]) -> None:
        ec2 = cx.clients.ec2
        if not have.hostnames:
            # DNS support is on in every new VPC; hostnames are not
            call(ec2.modify_vpc_attribute, VpcId=have.id, EnableDnsHostnames={"Value": True})
        super().update(cx, have, changes)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: VpcState) -> None:
        gone_is_fine(cx.clients.ec2.delete_vpc, VpcId=have.id)


@dataclass(frozen=True)
class SubnetState:
    """A subnet as DescribeSubnets shows it."""

    id: str
    cidr: str
    zone: str
    public_addresses: bool
    tags: Tags = field(default_factory=dict)
    status: str = "available"


@dataclass(frozen=True, kw_only=True, eq=False)
class Subnet(Ec2Marked[SubnetState]):
    """One zone's subnet; ``role`` is the tag by which load balancers find it.

    https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html, "Subnet tagging".
    """

    kind: ClassVar[str] = "subnet"
    vpc: Resource[Clients, VpcState]
    cidr: str
    zone: str
    public_addresses: bool = False

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, SubnetState]:
        found = pages(cx.clients.ec2, "describe_subnets", "Subnets", Filters=[ours(cx)])
        return one_each((name_of(read_tags(s["Tags"])), subnet_state(s)) for s in found)

    def create(self, cx: Ctx[Clients]) -> None:
        made = call(
            cx.clients.ec2.create_subnet,
            VpcId=cx[self.vpc].id,
            CidrBlock=self.cidr,
            AvailabilityZone=self.zone,
            TagSpecifications=specification(cx, self, "subnet"),
        )
        self.finish(cx, subnet_state(made["Subnet"]))

    @classmethod
    def ready(cls, have: SubnetState) -> bool:
        return have.status == "available"

    def diff(self, cx: Ctx[Clients], have: SubnetState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        for name, is_, wanted in (("cidr", have.cidr, self.cidr), ("zone", have.zone, self.zone)):
            if is_ != wanted:
                changes.append(Change(name, is_, wanted, "refuse", REFUSED))
        if have.public_addresses != self.public_addresses:
            change = Change("public addresses", have.public_addresses, self.public_addresses)
            changes.append(change)
        return changes

    def update(self, cx: Ctx[Clients], have: SubnetState, changes: list[Change]) -> None:
        ec2 = cx.clients.ec2
        if have.public_addresses != self.public_addresses:
            call(
                ec2.modify_subnet_attribute,
                SubnetId=have.id,
                MapPublicIpOnLaunch={"Value": self.public_addresses},
            )
        super().update(cx, have, changes)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: SubnetState) -> None:
        gone_is_fine(cx.clients.ec2.delete_subnet, SubnetId=have.id)


def subnet_state(shown: Any) -> SubnetState:
    return SubnetState(
        id=shown["SubnetId"],
        cidr=shown["CidrBlock"],
        zone=shown["AvailabilityZone"],
        public_addresses=bool(shown.get("MapPublicIpOnLaunch")),
        tags=read_tags(shown.get("Tags", ())),
        status=shown["State"],
    )


@dataclass(frozen=True)
class GatewayState:
    """An internet gateway and the VPC it is attached to."""

    id: str
    vpc: str | None
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class InternetGateway(Ec2Marked[GatewayState]):
    """The VPC's way to the Internet."""

    kind: ClassVar[str] = "internet-gateway"
    vpc: Resource[Clients, VpcState]

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, GatewayState]:
        listed = pages(
            cx.clients.ec2, "describe_internet_gateways", "InternetGateways", Filters=[ours(cx)]
        )
        found = []
        for gateway in listed:
            vpcs = [a["VpcId"] for a in gateway["Attachments"] if a["State"] != "detached"]
            tags = read_tags(gateway["Tags"])
            state = GatewayState(gateway["InternetGatewayId"], vpcs[0] if vpcs else None, tags)
            found.append((name_of(tags), state))
        return one_each(found)

    def create(self, cx: Ctx[Clients]) -> None:
        marks = specification(cx, self, "internet-gateway")
        made = call(cx.clients.ec2.create_internet_gateway, TagSpecifications=marks)
        gateway = made["InternetGateway"]["InternetGatewayId"]
        self.finish(cx, GatewayState(gateway, None, self.wanted_tags(cx)))

    def diff(self, cx: Ctx[Clients], have: GatewayState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        vpc = cx[self.vpc].id
        if have.vpc is None:
            changes.append(Change("attached to", None, vpc))
        elif have.vpc != vpc:
            changes.append(Change("attached to", have.vpc, vpc, "refuse", "detach it by hand"))
        return changes

    def update(self, cx: Ctx[Clients], have: GatewayState, changes: list[Change]) -> None:
        if have.vpc is None:
            attach = cx.clients.ec2.attach_internet_gateway
            call(attach, InternetGatewayId=have.id, VpcId=cx[self.vpc].id)
        super().update(cx, have, changes)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: GatewayState) -> None:
        ec2 = cx.clients.ec2
        if have.vpc:
            gone_is_fine(ec2.detach_internet_gateway, InternetGatewayId=have.id, VpcId=have.vpc)
        gone_is_fine(ec2.delete_internet_gateway, InternetGatewayId=have.id)
