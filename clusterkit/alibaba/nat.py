"""Elastic IP addresses and the NAT gateway, with its SNAT entries.

They are ours and not the cluster's (``snat_entry`` of CreateCluster), so that a second cluster may
live in the VPC and destroy can take them away one by one. SNAT entries and the address's
association carry no tags: they are part of the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import NAMESPACE_OID, uuid5

from clusterkit.alibaba import tags
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import gone_is_fine
from clusterkit.alibaba.network import VpcState, VSwitchState
from clusterkit.alibaba.tags import Marked, Tags, name_of, ours, read_tags, shown_name, write_tags
from clusterkit.engine.resource import Change, Ctx, Durations, Resource, one_each

BANDWIDTH = 100
"""Mbit/s at most; it is paid by traffic, so the limit costs nothing"""


@dataclass(frozen=True)
class EipState:
    """An elastic IP address."""

    id: str
    address: str
    status: str = "Available"
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Eip(Marked[Clients, EipState]):
    """The address the nodes come from on the Internet."""

    kind: ClassVar[str] = "eip"
    takes: ClassVar[Durations] = Durations(create=3, delete=3)

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, EipState]:
        clients, path = cx.clients, "EipAddresses.EipAddress"
        found = clients.pages(
            clients.vpc, "DescribeEipAddresses", path, RegionId=clients.region, Tag=ours(cx)
        )
        states = (
            EipState(e["AllocationId"], e["IpAddress"], e["Status"], read_tags(e)) for e in found
        )
        return one_each((name_of(state.tags), state) for state in states)

    def create(self, cx: Ctx[Clients]) -> None:
        cx.clients.vpc(
            "AllocateEipAddress",
            RegionId=cx.clients.region,
            Name=shown_name(cx, self.name),
            Bandwidth=BANDWIDTH,
            InternetChargeType="PayByTraffic",
            InstanceChargeType="PostPaid",
            ClientToken=cx.token(self),
            Tag=write_tags(self.wanted_tags(cx)),
        )

    @classmethod
    def ready(cls, have: EipState) -> bool:
        return have.status in ("Available", "InUse")

    def diff(self, cx: Ctx[Clients], have: EipState) -> list[Change]:
        return self.tag_changes(have.tags)

    def update(self, cx: Ctx[Clients], have: EipState, changes: list[Change]) -> None:
        tags.retag(cx, self, "vpc", "EIP", have.id, changes)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: EipState) -> None:
        where = cx.clients.region
        gone_is_fine(cx.clients.vpc, "ReleaseEipAddress", RegionId=where, AllocationId=have.id)

    @classmethod
    def adopt(cls, cx: Ctx[Clients], name: str, identifier: str) -> None:
        tags.adopt(cx, "vpc", "EIP", name, identifier)


@dataclass(frozen=True)
class SnatEntry:
    """A VSwitch whose machines go out under an address."""

    id: str
    vswitch: str
    address: str
    status: str


@dataclass(frozen=True)
class NatState:
    """A NAT gateway with everything that hangs on it."""

    id: str
    status: str
    vswitch: str
    table: str
    """of its SNAT entries"""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """allocation ids to addresses"""
    entries: tuple[SnatEntry, ...] = ()
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class NatGateway(Marked[Clients, NatState]):
    """The nodes' way to the Internet: ``NatType=Enhanced``, the only kind there is today."""

    kind: ClassVar[str] = "nat-gateway"
    patience: ClassVar[float] = 900.0
    takes: ClassVar[Durations] = Durations(create=60, delete=60)
    vpc: Resource[Clients, VpcState]
    vswitch: Resource[Clients, VSwitchState]
    """in a zone that has NAT gateways"""
    address: Resource[Clients, EipState]
    sources: tuple[Resource[Clients, VSwitchState], ...]
    """whose machines it serves"""

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, NatState]:
        clients, path = cx.clients, "NatGateways.NatGateway"
        found = clients.pages(
            clients.vpc, "DescribeNatGateways", path, RegionId=clients.region, Tag=ours(cx)
        )
        states = [_state(cx, item) for item in found]
        return one_each((name_of(state.tags), state) for state in states)

    def create(self, cx: Ctx[Clients]) -> None:
        cx.clients.vpc(
            "CreateNatGateway",
            RegionId=cx.clients.region,
            VpcId=cx[self.vpc].id,
            VSwitchId=cx[self.vswitch].id,
            NatType="Enhanced",
            NetworkType="internet",
            InstanceChargeType="PostPaid",
            InternetChargeType="PayByLcu",
            Name=shown_name(cx, self.name),
            ClientToken=cx.token(self),
            Tag=write_tags(self.wanted_tags(cx)),
        )

    @classmethod
    def ready(cls, have: NatState) -> bool:
        settled = all(entry.status in ("Available", "") for entry in have.entries)
        return have.status == "Available" and settled

    def diff(self, cx: Ctx[Clients], have: NatState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        where, address = cx[self.vswitch].id, cx[self.address]
        if have.vswitch and have.vswitch != where:
            changes.append(Change("vswitch", have.vswitch, where, "refuse", tags.REFUSED))
        if address.id not in have.addresses:
            changes.append(Change("address", None, address.address))
        wanted = {cx[source].id for source in self.sources}
        served = self._served(have, address)
        changes += [Change(f"SNAT of {one}", False, True) for one in sorted(wanted - served)]
        extra = sorted({entry.vswitch for entry in have.entries} - wanted)
        return changes + [Change(f"SNAT of {one}", True, False) for one in extra]

    @staticmethod
    def _served(have: NatState, address: EipState) -> set[str]:
        return {entry.vswitch for entry in have.entries if entry.address == address.address}

    def update(self, cx: Ctx[Clients], have: NatState, changes: list[Change]) -> None:
        vpc, region, address = cx.clients.vpc, cx.clients.region, cx[self.address]
        tags.retag(cx, self, "vpc", "NATGATEWAY", have.id, changes)
        if address.id not in have.addresses:
            vpc(
                "AssociateEipAddress",
                RegionId=region,
                AllocationId=address.id,
                InstanceId=have.id,
                InstanceType="Nat",
            )
        wanted = {cx[source].id for source in self.sources}
        for entry in have.entries:
            if entry.vswitch not in wanted:
                _remove(cx, have, entry)
        for vswitch in sorted(wanted - self._served(have, address)):
            # for some seconds after the association this is refused as busy, and asked again
            vpc(
                "CreateSnatEntry",
                RegionId=region,
                SnatTableId=have.table,
                SourceVSwitchId=vswitch,
                SnatIp=address.address,
                SnatEntryName=shown_name(cx, self.name),
                ClientToken=str(uuid5(NAMESPACE_OID, f"{cx.token(self)}/{vswitch}")),
            )

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: NatState) -> None:
        if have.status == "Deleting":
            return
        vpc, region = cx.clients.vpc, cx.clients.region
        for entry in have.entries:
            if entry.status != "Deleting":
                _remove(cx, have, entry)
        for allocation in have.addresses:
            gone_is_fine(
                vpc,
                "UnassociateEipAddress",
                RegionId=region,
                AllocationId=allocation,
                InstanceId=have.id,
                InstanceType="Nat",
            )
        # refused as busy until entries and addresses are off, and then asked again
        gone_is_fine(vpc, "DeleteNatGateway", RegionId=region, NatGatewayId=have.id)

    @classmethod
    def adopt(cls, cx: Ctx[Clients], name: str, identifier: str) -> None:
        tags.adopt(cx, "vpc", "NATGATEWAY", name, identifier)


def _remove(cx: Ctx[Clients], have: NatState, entry: SnatEntry) -> None:
    gone_is_fine(
        cx.clients.vpc,
        "DeleteSnatEntry",
        RegionId=cx.clients.region,
        SnatTableId=have.table,
        SnatEntryId=entry.id,
    )


def _state(cx: Ctx[Clients], found: Any) -> NatState:
    table = next(iter((found.get("SnatTableIds") or {}).get("SnatTableId") or ()), "")
    clients, path = cx.clients, "SnatTableEntries.SnatTableEntry"
    entries = clients.pages(
        clients.vpc, "DescribeSnatTableEntries", path, RegionId=clients.region, SnatTableId=table
    )
    return NatState(
        id=found["NatGatewayId"],
        status=found["Status"],
        vswitch=(found.get("NatGatewayPrivateInfo") or {}).get("VswitchId") or "",
        table=table,
        addresses={
            item["AllocationId"]: item.get("IpAddress", "")
            for item in (found.get("IpLists") or {}).get("IpList") or ()
        },
        entries=tuple(
            SnatEntry(
                entry["SnatEntryId"],
                entry.get("SourceVSwitchId") or "",
                entry["SnatIp"],
                entry.get("Status") or "",
            )
            for entry in (entries if table else ())
        ),
        tags=read_tags(found),
    )
