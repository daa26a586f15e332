"""VPC and VSwitches, one a zone. A new VPC has a route table all its VSwitches share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clusterkit.alibaba import tags
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import gone_is_fine
from clusterkit.alibaba.tags import Marked, Tags, name_of, ours, read_tags, shown_name, write_tags
from clusterkit.engine.resource import Change, Ctx, Durations, Resource, one_each


@dataclass(frozen=True)
class VpcState:
    """A VPC as DescribeVpcs shows it."""

    id: str
    cidr: str
    status: str = "Available"
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Vpc(Marked[Clients, VpcState]):
    """A network of our own."""

    kind: ClassVar[str] = "vpc"
    patience: ClassVar[float] = 900.0
    """on its way out it waits for what the cluster left in it"""
    takes: ClassVar[Durations] = Durations(create=5, delete=5)
    cidr: str

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, VpcState]:
        clients = cx.clients
        found = clients.pages(
            clients.vpc, "DescribeVpcs", "Vpcs.Vpc", RegionId=clients.region, Tag=ours(cx)
        )
        return one_each((name_of(state.tags), state) for state in map(vpc_state, found))

    def create(self, cx: Ctx[Clients]) -> None:
        cx.clients.vpc(
            "CreateVpc",
            RegionId=cx.clients.region,
            CidrBlock=self.cidr,
            VpcName=shown_name(cx, self.name),
            ClientToken=cx.token(self),
            Tag=write_tags(self.wanted_tags(cx)),
        )

    @classmethod
    def ready(cls, have: VpcState) -> bool:
        return have.status == "Available"

    def diff(self, cx: Ctx[Clients], have: VpcState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        if have.cidr != self.cidr:
            changes.append(Change("cidr", have.cidr, self.cidr, "refuse", tags.REFUSED))
        return changes

    def update(self, cx: Ctx[Clients], have: VpcState, changes: list[Change]) -> None:
        tags.retag(cx, self, "vpc", "VPC", have.id, changes)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: VpcState) -> None:
        gone_is_fine(cx.clients.vpc, "DeleteVpc", RegionId=cx.clients.region, VpcId=have.id)

    @classmethod
    def adopt(cls, cx: Ctx[Clients], name: str, identifier: str) -> None:
        tags.adopt(cx, "vpc", "VPC", name, identifier)


def vpc_state(found: Any) -> VpcState:
    """What DescribeVpcs shows of a VPC."""
    status = found.get("Status") or "Available"
    return VpcState(found["VpcId"], found["CidrBlock"], status, read_tags(found))


@dataclass(frozen=True)
class VSwitchState:
    """A VSwitch as DescribeVSwitches shows it."""

    id: str
    cidr: str
    zone: str
    status: str = "Available"
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class VSwitch(Marked[Clients, VSwitchState]):
    """One zone's part of the VPC."""

    kind: ClassVar[str] = "vswitch"
    patience: ClassVar[float] = 900.0
    takes: ClassVar[Durations] = Durations(create=5, delete=10)
    vpc: Resource[Clients, VpcState]
    cidr: str
    zone: str

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, VSwitchState]:
        clients = cx.clients
        path, where = "VSwitches.VSwitch", clients.region
        found = clients.pages(clients.vpc, "DescribeVSwitches", path, RegionId=where, Tag=ours(cx))
        return one_each((name_of(state.tags), state) for state in map(vswitch_state, found))

    def create(self, cx: Ctx[Clients]) -> None:
        cx.clients.vpc(
            "CreateVSwitch",
            RegionId=cx.clients.region,
            VpcId=cx[self.vpc].id,
            ZoneId=self.zone,
            CidrBlock=self.cidr,
            VSwitchName=shown_name(cx, self.name),
            ClientToken=cx.token(self),
            Tag=write_tags(self.wanted_tags(cx)),
        )

    @classmethod
    def ready(cls, have: VSwitchState) -> bool:
        return have.status == "Available"

    def diff(self, cx: Ctx[Clients], have: VSwitchState) -> list[Change]:
        pairs = (("cidr", have.cidr, self.cidr), ("zone", have.zone, self.zone))
        return self.tag_changes(have.tags) + [
            Change(what, is_, want, "refuse", tags.REFUSED)
            for what, is_, want in pairs
            if is_ != want
        ]

    def update(self, cx: Ctx[Clients], have: VSwitchState, changes: list[Change]) -> None:
        tags.retag(cx, self, "vpc", "VSWITCH", have.id, changes)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: VSwitchState) -> None:
        where = cx.clients.region
        gone_is_fine(cx.clients.vpc, "DeleteVSwitch", RegionId=where, VSwitchId=have.id)

    @classmethod
    def adopt(cls, cx: Ctx[Clients], name: str, identifier: str) -> None:
        tags.adopt(cx, "vpc", "VSWITCH", name, identifier)


def vswitch_state(found: Any) -> VSwitchState:
    """What DescribeVSwitches shows of a VSwitch."""
    return VSwitchState(
        found["VSwitchId"],
        found["CidrBlock"],
        found["ZoneId"],
        found.get("Status") or "Available",
        read_tags(found),
    )
