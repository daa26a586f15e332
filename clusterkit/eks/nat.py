"""Elastic IP addresses and NAT gateways.

Durations: published Terraform logs (90 to 120 s up, 37 to 79 s down).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import pages
from clusterkit.eks.network import SubnetState
from clusterkit.eks.tags import REPLACE, Ec2, ours, read_tags, where
from clusterkit.engine.kind import Durations, Edit, Env, Kind, Tags, fixed
from clusterkit.engine.scope import Scope

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import ResourceTypeType
    from mypy_boto3_ec2.type_defs import FilterTypeDef


@dataclass(frozen=True)
class AddressState:
    """An Elastic IP address; ``id`` is its allocation."""

    id: str
    address: str
    status: str = ""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class ElasticIp(Ec2[AddressState]):
    """A public address for a NAT gateway."""

    kind: ClassVar[str] = "elastic-ip"
    type: ClassVar[ResourceTypeType] = "elastic-ip"

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[AddressState]:
        # DescribeAddresses has no pages
        found = scope.client.ec2.describe_addresses(Filters=[ours(scope)])["Addresses"]
        return [
            AddressState(each["AllocationId"], each["PublicIp"], tags=read_tags(each.get("Tags")))
            for each in found
        ]

    def create(self, env: Env[Clients]) -> None:
        env.client.ec2.allocate_address(Domain="vpc", TagSpecifications=self.specification(env))

    @classmethod
    def delete(cls, scope: Scope[Clients], have: AddressState) -> None:
        scope.client.ec2.release_address(AllocationId=have.id)


@dataclass(frozen=True)
class NatState:
    """A NAT gateway."""

    id: str
    vpc: str
    subnet: str
    address: str
    """allocation of its Elastic IP address; empty if it has none"""
    status: str
    reason: str = ""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class NatGateway(Ec2[NatState]):
    """Lets private nodes reach the internet."""

    kind: ClassVar[str] = "nat-gateway"
    type: ClassVar[ResourceTypeType] = "natgateway"
    usable: ClassVar[frozenset[str]] = frozenset({"available"})
    failed: ClassVar[frozenset[str]] = frozenset({"failed"})
    leaving: ClassVar[frozenset[str]] = frozenset({"deleting"})
    takes: ClassVar[Durations] = Durations(create=105, delete=60)
    uses: ClassVar[tuple[str, ...]] = ("elastic-ip", "subnet", "internet-gateway")
    subnet: Kind[Clients, SubnetState]
    address: Kind[Clients, AddressState]

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[NatState]:
        return _gateways(scope, ours(scope))

    def create(self, env: Env[Clients]) -> None:
        env.client.ec2.create_nat_gateway(
            SubnetId=env[self.subnet].id,
            AllocationId=env[self.address].id,
            ClientToken=env.token(self),
            TagSpecifications=self.specification(env),
        )

    def edits(self, env: Env[Clients], have: NatState) -> Iterator[Edit]:
        yield from fixed("subnet", have.subnet, env[self.subnet].id, REPLACE)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: NatState) -> None:
        scope.client.ec2.delete_nat_gateway(NatGatewayId=have.id)

    def taken(self, env: Env[Clients]) -> NatState | None:
        # one that lost its tags would be paid for beside a second one
        found = _gateways(env, where("subnet-id", env[self.subnet].id))
        return next((gateway for gateway in found if gateway.status == "available"), None)

    @classmethod
    def within(cls, have: NatState) -> Mapping[str, str]:
        address = {"elastic-ip": have.address} if have.address else {}
        return {"vpc": have.vpc, "subnet": have.subnet, **address}


def _gateways(scope: Scope[Clients], filter_: FilterTypeDef) -> list[NatState]:
    """Those that are not gone: EC2 lists a deleted one for an hour."""
    found = pages(scope.client.ec2, "describe_nat_gateways", "NatGateways", Filters=[filter_])
    return [
        NatState(
            id=each["NatGatewayId"],
            vpc=each["VpcId"],
            subnet=each["SubnetId"],
            address=_allocation(each.get("NatGatewayAddresses")),
            status=each["State"],
            reason=each.get("FailureMessage", ""),
            tags=read_tags(each.get("Tags")),
        )
        for each in found
        if each["State"] != "deleted"
    ]


def _allocation(addresses: Iterable[Any] | None) -> str:
    """The allocation of the first Elastic IP address; empty for a gateway without one."""
    return next((each["AllocationId"] for each in addresses or () if "AllocationId" in each), "")
