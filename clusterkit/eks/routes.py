"""Route tables, with the default route and the subnets that use them as parts of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import pages
from clusterkit.eks.nat import NatState
from clusterkit.eks.network import GatewayState, SubnetState, VpcState
from clusterkit.eks.tags import Ec2, ours, read_tags, where
from clusterkit.engine.kind import Edit, Env, Kind, Tags, edit
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import ResourceTypeType

EVERYWHERE = str(IPv4Network("0.0.0.0/0"))


@dataclass(frozen=True)
class RouteTableState:
    """A route table: where the default route leads, and which subnets use it."""

    id: str
    vpc: str
    default: str | None
    """id of what 0.0.0.0/0 leads to"""
    blackhole: bool
    """what the default route leads to is gone"""
    subnets: Mapping[str, str]
    """subnet id to association id"""
    status: str = ""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class RouteTable(Ec2[RouteTableState]):
    """Sends what leaves the VPC through a gateway, for the subnets named; None: nowhere."""

    kind: ClassVar[str] = "route-table"
    type: ClassVar[ResourceTypeType] = "route-table"
    uses: ClassVar[tuple[str, ...]] = ("vpc",)
    vpc: Kind[Clients, VpcState]
    gateway: Kind[Clients, GatewayState | NatState] | None
    subnets: tuple[Kind[Clients, SubnetState], ...]

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[RouteTableState]:
        return _tables(scope, Filters=[ours(scope)])

    def create(self, env: Env[Clients]) -> RouteTableState:
        made = env.client.ec2.create_route_table(
            VpcId=env[self.vpc].id,
            ClientToken=env.token(self),
            TagSpecifications=self.specification(env),
        )
        return _table(made["RouteTable"])

    def edits(self, env: Env[Clients], have: RouteTableState) -> Iterator[Edit]:
        gateway = env[self.gateway].id if self.gateway else None
        if have.default != gateway or have.blackhole:
            yield Edit("default route", have.default, gateway, lambda: _lead(env, have, gateway))
        missing = self._subnets(env) - have.subnets.keys()
        yield from edit(
            "subnets without it", missing, frozenset(), lambda: _use(env, have, missing)
        )

    def _subnets(self, env: Env[Clients]) -> frozenset[str]:
        return frozenset(env[subnet].id for subnet in self.subnets)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: RouteTableState) -> None:
        # a subnet that goes takes its association along; these are of subnets that stay
        for association in have.subnets.values():
            scope.client.ec2.disassociate_route_table(AssociationId=association)
        scope.client.ec2.delete_route_table(RouteTableId=have.id)

    def taken(self, env: Env[Clients]) -> RouteTableState | None:
        # a subnet has one route table; that of ours moves over (``_use``)
        found = _tables(env, Filters=[where("association.subnet-id", *self._subnets(env))])
        return next((table for table in found if table.tags.get(CLUSTER) != env.cluster), None)

    @classmethod
    def within(cls, have: RouteTableState) -> Mapping[str, str]:
        return {"vpc": have.vpc}


def _lead(env: Env[Clients], have: RouteTableState, gateway: str | None) -> None:
    """Let the default route lead to this gateway."""
    ec2 = env.client.ec2
    route: dict[str, Any] = {"RouteTableId": have.id, "DestinationCidrBlock": EVERYWHERE}
    if gateway is None:
        ec2.delete_route(**route)
        return
    route["NatGatewayId" if gateway.startswith("nat-") else "GatewayId"] = gateway
    if have.default:
        ec2.replace_route(**route)
    else:
        ec2.create_route(**route)


def _use(env: Env[Clients], have: RouteTableState, subnets: frozenset[str]) -> None:
    """Let these subnets use the table, whatever they used before."""
    ec2 = env.client.ec2
    others = _tables(env, Filters=[where("association.subnet-id", *subnets)])
    used = {subnet: link for table in others for subnet, link in table.subnets.items()}
    for subnet in sorted(subnets):
        if link := used.get(subnet):
            ec2.replace_route_table_association(AssociationId=link, RouteTableId=have.id)
        else:
            ec2.associate_route_table(RouteTableId=have.id, SubnetId=subnet)


def _tables(scope: Scope[Clients], **parameters: Any) -> list[RouteTableState]:
    found = pages(scope.client.ec2, "describe_route_tables", "RouteTables", **parameters)
    return [_table(shown) for shown in found]


def _table(shown: Any) -> RouteTableState:
    routes = (each for each in shown["Routes"] if each.get("DestinationCidrBlock") == EVERYWHERE)
    default: Any = next(routes, {})
    targets = (value for key, value in default.items() if key.endswith("Id"))
    links = {
        each["SubnetId"]: each["RouteTableAssociationId"]
        for each in shown["Associations"]
        if each.get("SubnetId")
        and each.get("AssociationState", {}).get("State", "associated") != "disassociated"
    }
    return RouteTableState(
        id=shown["RouteTableId"],
        vpc=shown["VpcId"],
        default=next(targets, None),
        blackhole=default.get("State") == "blackhole",
        subnets=links,
        tags=read_tags(shown.get("Tags")),
    )
