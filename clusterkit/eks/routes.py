"""Route tables, with the default route and the subnets that use them as parts of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import call, gone_is_fine, pages
from clusterkit.eks.nat import NatState
from clusterkit.eks.network import GatewayState, SubnetState, VpcState
from clusterkit.eks.tags import Ec2Marked, Tags, name_of, ours, read_tags, specification
from clusterkit.engine.resource import Change, Ctx, Resource, one_each
from clusterkit.errors import Retryable

EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class RouteTableState:
    """A route table: where the default route leads, and whom it serves."""

    id: str
    default: str | None
    """id of the gateway of 0.0.0.0/0"""
    stale: bool
    """the gateway of the default route is gone (a blackhole)"""
    subnets: Mapping[str, str]
    """subnet id to association id"""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class RouteTable(Ec2Marked[RouteTableState]):
    """Sends what leaves the VPC through a gateway, for the subnets named; None: nowhere."""

    kind: ClassVar[str] = "route-table"
    vpc: Resource[Clients, VpcState]
    gateway: Resource[Clients, GatewayState | NatState] | None
    subnets: tuple[Resource[Clients, SubnetState], ...]

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, RouteTableState]:
        found = pages(cx.clients.ec2, "describe_route_tables", "RouteTables", Filters=[ours(cx)])
        states = map(_state, found)
        return one_each((name_of(state.tags), state) for state in states)

    def create(self, cx: Ctx[Clients]) -> None:
        made = call(
            cx.clients.ec2.create_route_table,
            VpcId=cx[self.vpc].id,
            ClientToken=cx.token(self),
            TagSpecifications=specification(cx, self, "route-table"),
        )
        self.finish(cx, _state(made["RouteTable"]))

    def _gateway(self, cx: Ctx[Clients]) -> str | None:
        if self.gateway is None:
            return None
        return cx[self.gateway].id

    def _missing(self, cx: Ctx[Clients], have: RouteTableState) -> list[str]:
        return [cx[s].id for s in self.subnets if cx[s].id not in have.subnets]

    def diff(self, cx: Ctx[Clients], have: RouteTableState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        gateway = self._gateway(cx)
        if have.default != gateway or have.stale:
            changes.append(Change("default route", have.default, gateway))
        if missing := self._missing(cx, have):
            changes.append(Change("subnets", sorted(have.subnets), missing))
        return changes

    def update(self, cx: Ctx[Clients], have: RouteTableState, changes: list[Change]) -> None:
        ec2 = cx.clients.ec2
        gateway = self._gateway(cx)
        table: dict[str, Any] = {
            "RouteTableId": have.id,
            "DestinationCidrBlock": EVERYWHERE,
        }
        if have.default != gateway or have.stale:
            if gateway is None:
                gone_is_fine(ec2.delete_route, **table)
            else:
                way = "NatGatewayId" if gateway.startswith("nat-") else "GatewayId"
                change: Any = ec2.replace_route if have.default else ec2.create_route
                call(change, **table, **{way: gateway})
        for subnet in self._missing(cx, have):
            call(ec2.associate_route_table, RouteTableId=have.id, SubnetId=subnet)
        super().update(cx, have, changes)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: RouteTableState) -> None:
        ec2 = cx.clients.ec2
        try:
            gone_is_fine(ec2.delete_route_table, RouteTableId=have.id)
        except Retryable:
            # subnets take their associations along; these are of subnets that stay
            for association in have.subnets.values():
                gone_is_fine(ec2.disassociate_route_table, AssociationId=association)
            raise


def _state(table: Any) -> RouteTableState:
    default: Any = next(
        (route for route in table["Routes"] if route.get("DestinationCidrBlock") == EVERYWHERE), {}
    )
    associations = {
        a["SubnetId"]: a["RouteTableAssociationId"]
        for a in table["Associations"]
        if a.get("SubnetId")
        and a.get("AssociationState", {}).get("State", "associated") != "disassociated"
    }
    return RouteTableState(
        id=table["RouteTableId"],
        default=default.get("NatGatewayId") or default.get("GatewayId"),
        stale=default.get("State") == "blackhole",
        subnets=associations,
        tags=read_tags(table["Tags"]),
    )
