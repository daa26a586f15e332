"""Elastic IP address and NAT gateway, with its SNAT entries.

They are ours and not the cluster's (``snat_entry`` of CreateCluster), so that a second cluster can
live in the VPC and destroy can remove them one by one. SNAT entries and the address's association
carry no tags: they are part of the gateway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar
from uuid import NAMESPACE_OID, uuid5

from clusterkit.alibaba.client import Clients, at_path
from clusterkit.alibaba.network import VpcState, VSwitchState
from clusterkit.alibaba.tags import REPLACE, AlibabaState, Calls, Tagged, shown_name
from clusterkit.engine.edit import Edit, edit, fixed
from clusterkit.engine.kind import Durations, Env, Kind, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope

BANDWIDTH = 100
"""Mbit/s at most; it is billed by traffic, so the limit costs nothing"""


BOUND = {
    "EcsInstance": "instance",
    "Nat": "NAT gateway",
    "NetworkInterface": "network interface",
    "SlbInstance": "load balancer",
}
"""``InstanceType`` of DescribeEipAddresses in plain words"""


class EipState(AlibabaState):
    """An elastic IP address."""

    address: str
    bound: tuple[str, str] = ("", "")
    """type and id of what has it"""


class Eip(Tagged[EipState]):
    """The nodes' public address for outgoing connections."""

    kind: ClassVar[str] = "eip"
    calls: ClassVar = Calls(
        "vpc", "EIP", "AllocationId", "DescribeEipAddresses", "ReleaseEipAddress"
    )
    usable: ClassVar[frozenset[str]] = frozenset({"Available", "InUse"})
    leaving: ClassVar[frozenset[str]] = frozenset({"Releasing"})
    takes: ClassVar[Durations] = Durations(create=3, delete=3)

    @classmethod
    def state(cls, shown: Any) -> EipState:
        bound = (shown.get("InstanceType") or "", shown.get("InstanceId") or "")
        return EipState(**cls.common(shown), address=shown["IpAddress"], bound=bound)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: EipState) -> Iterator[Occupant]:
        kind, holder = have.bound
        if holder:
            cure = (
                f"aliyun vpc UnassociateEipAddress --AllocationId {have.id} --InstanceId {holder}"
            )
            noun = BOUND.get(kind, kind)
            cure += f" --InstanceType {kind} --region {scope.region}"
            yield Occupant(noun, holder, cure=cure)

    def create(self, env: Env[Clients]) -> None:
        env.client.vpc(
            "AllocateEipAddress",
            Bandwidth=BANDWIDTH,
            InternetChargeType="PayByTraffic",
            InstanceChargeType="PostPaid",
            **self.marked(env),
        )


ENTRY = ("SnatEntryId", "SourceVSwitchId", "SnatIp", "Status")
"""where DescribeSnatTableEntries shows the fields of a ``SnatEntry``"""


@dataclass(frozen=True)
class SnatEntry:
    """A VSwitch whose machines go out through an address."""

    id: str
    vswitch: str
    address: str
    status: str


class NatState(AlibabaState):
    """A NAT gateway with everything that belongs to it."""

    vswitch: str
    table: str
    """of its SNAT entries"""
    addresses: Mapping[str, str]
    """allocation ids to addresses"""
    entries: tuple[SnatEntry, ...] = ()


class NatGateway(Tagged[NatState]):
    """The nodes' way to the Internet: ``NatType=Enhanced``, the only type there is today."""

    kind: ClassVar[str] = "nat-gateway"
    grouped: ClassVar[bool] = False
    calls: ClassVar = Calls(
        "vpc", "NATGATEWAY", "NatGatewayId", "DescribeNatGateways", "DeleteNatGateway"
    )
    usable: ClassVar[frozenset[str]] = frozenset({"Available"})
    leaving: ClassVar[frozenset[str]] = frozenset({"Deleting"})
    patience: ClassVar[float] = 900.0
    takes: ClassVar[Durations] = Durations(create=60, delete=60)
    uses: ClassVar[tuple[str, ...]] = ("eip", "vswitch", "vpc")
    vpc: Kind[Any, VpcState]
    vswitch: Kind[Any, VSwitchState]
    """in a zone that has NAT gateways"""
    address: Kind[Any, EipState]
    sources: tuple[Kind[Any, VSwitchState], ...]
    """whose machines it serves"""

    @classmethod
    def state(cls, shown: Any) -> NatState:
        addresses = at_path(shown, "IpLists.IpList") or ()
        return NatState(
            **cls.common(shown),
            vswitch=at_path(shown, "NatGatewayPrivateInfo.VswitchId") or "",
            table=next(iter(at_path(shown, "SnatTableIds.SnatTableId") or ()), ""),
            addresses={one["AllocationId"]: one.get("IpAddress", "") for one in addresses},
        )

    @classmethod
    def read(cls, scope: Scope[Clients], found: NatState) -> NatState:
        """With its SNAT entries; not usable while one of them changes."""
        if not found.table:
            return found
        listed = scope.client.every("DescribeSnatTableEntries", SnatTableId=found.table)
        entries = tuple(SnatEntry(*(item.get(key) or "" for key in ENTRY)) for item in listed)
        changing = (entry.status for entry in entries if entry.status not in ("Available", ""))
        status = next(changing, found.status) if found.status == "Available" else found.status
        return replace(found, entries=entries, status=status)

    @classmethod
    def within(cls, have: NatState) -> Tags:
        return {"vpc": have.vpc, "vswitch": have.vswitch, "eip": next(iter(have.addresses), "")}

    def taken(self, env: Env[Clients]) -> NatState | None:
        """A gateway in the same VSwitch, which would serve the same machines."""
        if self.vswitch not in env:
            return None
        there = self.there(env, VpcId=env[self.vpc].id)
        return next((one for one in there if one.vswitch == env[self.vswitch].id), None)

    def create(self, env: Env[Clients]) -> None:
        env.client.vpc(
            "CreateNatGateway",
            VpcId=env[self.vpc].id,
            VSwitchId=env[self.vswitch].id,
            NatType="Enhanced",
            NetworkType="internet",
            InstanceChargeType="PostPaid",
            InternetChargeType="PayByLcu",
            **self.marked(env),
        )

    def edits(self, env: Env[Clients], have: NatState) -> Iterator[Edit]:
        where, address = env[self.vswitch].id, env[self.address]
        if have.vswitch:
            yield from fixed("vswitch", have.vswitch, where, REPLACE)

        if address.id not in have.addresses:
            asked = {"AllocationId": address.id, "InstanceId": have.id, "InstanceType": "Nat"}
            associate = partial(env.client.vpc, "AssociateEipAddress", **asked)
            yield Edit("address", None, address.address, associate)
        wanted = frozenset((env[source].id, address.address) for source in self.sources)
        there = frozenset((entry.vswitch, entry.address) for entry in have.entries)

        def serve() -> None:
            for entry in have.entries:
                if (entry.vswitch, entry.address) not in wanted:
                    env.client.vpc("DeleteSnatEntry", SnatTableId=have.table, SnatEntryId=entry.id)
            for vswitch, _ in sorted(wanted - there):
                # for some seconds after the association this is refused, and tried again
                env.client.vpc(
                    "CreateSnatEntry",
                    SnatTableId=have.table,
                    SourceVSwitchId=vswitch,
                    SnatIp=address.address,
                    SnatEntryName=shown_name(env, self.name),
                    ClientToken=str(uuid5(NAMESPACE_OID, f"{env.token(self)}/{vswitch}")),
                )

        yield from edit("SNAT", there, wanted, serve)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: NatState) -> None:
        # Force: with its SNAT entries and without its addresses
        # (https://www.alibabacloud.com/help/en/nat-gateway/developer-reference/api-vpc-2016-04-28-deletenatgateway)
        scope.client.vpc(cls.calls.delete, NatGatewayId=have.id, Force=True)
