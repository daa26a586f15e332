"""Elastic IP addresses and NAT gateways.

Durations: published Terraform logs (90 to 120 s up, 50 to 60 s down).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import call, gone_is_fine, pages
from clusterkit.eks.network import REFUSED, SubnetState
from clusterkit.eks.tags import Ec2Marked, Tags, name_of, ours, read_tags, specification
from clusterkit.engine.resource import Change, Ctx, Durations, Resource, one_each
from clusterkit.errors import Rejected


@dataclass(frozen=True)
class AddressState:
    """An Elastic IP address."""

    id: str
    address: str
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class ElasticIp(Ec2Marked[AddressState]):
    """A public address for a NAT gateway."""

    kind: ClassVar[str] = "elastic-ip"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, AddressState]:
        # DescribeAddresses has no pages
        found = call(cx.clients.ec2.describe_addresses, Filters=[ours(cx)])["Addresses"]
        states = (
            AddressState(a["AllocationId"], a["PublicIp"], read_tags(a["Tags"])) for a in found
        )
        return one_each((name_of(state.tags), state) for state in states)

    def create(self, cx: Ctx[Clients]) -> None:
        marks = specification(cx, self, "elastic-ip")
        call(cx.clients.ec2.allocate_address, Domain="vpc", TagSpecifications=marks)

    def diff(self, cx: Ctx[Clients], have: AddressState) -> list[Change]:
        return self.tag_changes(have.tags)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: AddressState) -> None:
        gone_is_fine(cx.clients.ec2.release_address, AllocationId=have.id)


@dataclass(frozen=True)
class NatState:
    """A NAT gateway."""

    id: str
    status: str
    subnet: str
    reason: str = ""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class NatGateway(Ec2Marked[NatState]):
    """Lets private nodes reach the Internet."""

    kind: ClassVar[str] = "nat-gateway"
    patience: ClassVar[float] = 900.0
    takes: ClassVar[Durations] = Durations(create=105, delete=60)
    subnet: Resource[Clients, SubnetState]
    address: Resource[Clients, AddressState]

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, NatState]:
        listed = pages(cx.clients.ec2, "describe_nat_gateways", "NatGateways", Filters=[ours(cx)])
        states = (
            NatState(
                g["NatGatewayId"],
                g["State"],
                g["SubnetId"],
                g.get("FailureMessage", ""),
                read_tags(g["Tags"]),
            )
            for g in listed
            if g["State"] != "deleted"
        )
        return one_each((name_of(state.tags), state) for state in states)

    def create(self, cx: Ctx[Clients]) -> None:
        call(
            cx.clients.ec2.create_nat_gateway,
            SubnetId=cx[self.subnet].id,
            AllocationId=cx[self.address].id,
            ClientToken=cx.token(self),
            TagSpecifications=specification(cx, self, "natgateway"),
        )

    @classmethod
    def ready(cls, have: NatState) -> bool:
        if have.status == "failed":
            raise Rejected(have.reason or "the NAT gateway failed", code="failed", remake=True)
        return have.status == "available"

    def diff(self, cx: Ctx[Clients], have: NatState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        subnet = cx[self.subnet].id
        if have.subnet != subnet:
            changes.append(Change("subnet", have.subnet, subnet, "refuse", REFUSED))
        return changes

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: NatState) -> None:
        if have.status != "deleting":
            gone_is_fine(cx.clients.ec2.delete_nat_gateway, NatGatewayId=have.id)
