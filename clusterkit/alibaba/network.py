"""VPC, one VSwitch a zone, and the nodes' security group.

A new VPC has one route table that all its VSwitches share. The group ACK creates by itself has been
seen without access from the nodes to port 6443 of the control plane; ours lets everything in from
the VPC and the pods, nothing from elsewhere. It is an advanced group (``enterprise``): those hold
as many addresses as Terway's pods need, and let nothing out without a rule
(https://www.alibabacloud.com/help/en/ecs/user-guide/basic-security-groups-and-advanced-security-groups).

VPC and group also remember what destroy has to know when the cluster is gone: the cluster's id, by
which its leftovers are found, and whether the profile keeps volumes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.occupants import Neighbours
from clusterkit.alibaba.tags import (
    REPLACE,
    AlibabaState,
    Calls,
    Tagged,
    of_group,
    read_cs_tags,
    write_tags,
)
from clusterkit.engine.edit import Edit, edit, fixed
from clusterkit.engine.kind import Durations, Env, Kind, S, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope
from clusterkit.errors import Finding
from clusterkit.naming import CLUSTER

CLUSTER_ID = "clusterkit-cluster-id"
"""tag: the ids of the clusters in this network, with spaces between them"""
MOST_IDS = 3
"""ids of 33 characters that a tag's value holds (128: TagResources of ECS 2014-05-26)"""
KEEP_VOLUMES = "clusterkit-keep-volumes"
"""tag: whether destroy leaves the disks of claims"""
EVERYWHERE = "0.0.0.0/0"


class _Remembers(Tagged[S]):
    """What destroy removes last; until then it remembers."""

    patience: ClassVar[float] = 900.0
    """destroy waits for what the cluster left in it"""
    keep_volumes: bool = False

    def own_tags(self) -> Tags:
        return {KEEP_VOLUMES: str(self.keep_volumes).lower()}


class VpcState(AlibabaState):
    """A VPC as DescribeVpcs shows it."""

    cidr: str

    @property
    def details(self) -> Mapping[str, str]:
        """Its range."""
        return {"range": self.cidr}


class Vpc(_Remembers[VpcState]):
    """A network of our own."""

    kind: ClassVar[str] = "vpc"
    calls: ClassVar = Calls("vpc", "VPC", "VpcId", "DescribeVpcs", "DeleteVpc")
    usable: ClassVar[frozenset[str]] = frozenset({"Available", ""})
    takes: ClassVar[Durations] = Durations(create=5, delete=5)
    cidr: str

    @property
    def details(self) -> Mapping[str, str]:
        return {"range": self.cidr}

    @classmethod
    def state(cls, shown: Any) -> VpcState:
        return VpcState(**cls.common(shown), cidr=shown["CidrBlock"])

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: VpcState) -> Iterator[Occupant]:
        near = neighbours(scope)
        yield from near.vswitches(have.id)
        yield from near.groups(have.id)
        yield from near.gateways(have.id)
        yield from near.other_clusters(have.id)

    def create(self, env: Env[Clients]) -> None:
        env.client.vpc("CreateVpc", CidrBlock=self.cidr, **self.marked(env, "VpcName"))

    def edits(self, env: Env[Clients], have: VpcState) -> Iterator[Edit]:
        yield from fixed("cidr", have.cidr, self.cidr, REPLACE)
        yield from of_group(env, have.group)


class VSwitchState(AlibabaState):
    """A VSwitch as DescribeVSwitches shows it."""

    cidr: str
    zone: str

    @property
    def details(self) -> Mapping[str, str]:
        """Its range and zone."""
        return {"range": self.cidr, "zone": self.zone}


class VSwitch(Tagged[VSwitchState]):
    """One zone's part of the VPC."""

    kind: ClassVar[str] = "vswitch"
    grouped: ClassVar[bool] = False
    calls: ClassVar = Calls("vpc", "VSWITCH", "VSwitchId", "DescribeVSwitches", "DeleteVSwitch")
    usable: ClassVar[frozenset[str]] = frozenset({"Available", ""})
    patience: ClassVar[float] = 900.0
    takes: ClassVar[Durations] = Durations(create=5, delete=10)
    uses: ClassVar[tuple[str, ...]] = ("vpc",)
    vpc: Kind[Any, VpcState]
    cidr: str
    zone: str

    @property
    def details(self) -> Mapping[str, str]:
        return {"range": self.cidr, "zone": self.zone}

    @classmethod
    def state(cls, shown: Any) -> VSwitchState:
        cidr, zone = shown["CidrBlock"], shown["ZoneId"]
        return VSwitchState(**cls.common(shown), cidr=cidr, zone=zone)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: VSwitchState) -> Iterator[Occupant]:
        near = neighbours(scope)
        yield from near.instances(VSwitchId=have.id)
        yield from near.interfaces(VSwitchId=have.id)
        yield from near.gateways(have.vpc, have.id)
        yield from near.balancers(have.vpc, have.id)

    def taken(self, env: Env[Clients]) -> VSwitchState | None:
        """The VSwitch that has this one's range."""
        if self.vpc not in env:
            return None
        there = self.there(env, VpcId=env[self.vpc].id)
        return next((one for one in there if one.cidr == self.cidr), None)

    def create(self, env: Env[Clients]) -> None:
        env.client.vpc(
            "CreateVSwitch",
            VpcId=env[self.vpc].id,
            ZoneId=self.zone,
            CidrBlock=self.cidr,
            **self.marked(env, "VSwitchName"),
        )

    def edits(self, env: Env[Clients], have: VSwitchState) -> Iterator[Edit]:
        yield from fixed("cidr", have.cidr, self.cidr, REPLACE)
        yield from fixed("zone", have.zone, self.zone, REPLACE)


ANYBODY = ("0.0.0.0/0", "::/0")


class SecurityGroupState(AlibabaState):
    """A security group with its rules."""

    inbound: frozenset[str] = frozenset()
    """ranges from which everything may come"""
    outbound: frozenset[str] = frozenset()
    open_ports: tuple[str, ...] = ()
    """what everybody may reach"""


class SecurityGroup(_Remembers[SecurityGroupState]):
    """Who may talk to the nodes."""

    kind: ClassVar[str] = "security-group"
    calls: ClassVar = Calls(
        "ecs", "securitygroup", "SecurityGroupId", "DescribeSecurityGroups", "DeleteSecurityGroup"
    )
    uses: ClassVar[tuple[str, ...]] = ("vpc",)
    vpc: Kind[Any, VpcState]
    pods: str | None = None
    """range of the pods, with Flannel"""

    @classmethod
    def state(cls, shown: Any) -> SecurityGroupState:
        return SecurityGroupState(**cls.common(shown))

    @classmethod
    def read(cls, scope: Scope[Clients], found: SecurityGroupState) -> SecurityGroupState:
        asked = {"SecurityGroupId": found.id, "Direction": "all"}
        rules = [*scope.client.every("DescribeSecurityGroupAttribute", **asked)]
        wide = [
            rule
            for rule in rules
            if (str(rule.get("IpProtocol")).lower(), str(rule.get("Policy")).lower())
            == ("all", "accept")
        ]
        ranges = {
            direction: frozenset(r.get(end) or "" for r in wide if r["Direction"] == direction)
            for direction, end in (("ingress", "SourceCidrIp"), ("egress", "DestCidrIp"))
        }
        opened = tuple(
            f"{rule.get('IpProtocol')} {rule.get('PortRange')}"
            for rule in rules
            if rule["Direction"] == "ingress"
            and (rule.get("SourceCidrIp") or rule.get("Ipv6SourceCidrIp")) in ANYBODY
            and str(rule.get("Policy")).lower() == "accept"
        )
        found = replace(found, inbound=ranges["ingress"], outbound=ranges["egress"])
        return replace(found, open_ports=opened)

    @classmethod
    def noted(cls, have: SecurityGroupState) -> Iterator[Finding]:
        if have.open_ports:
            what = f"{have.id} lets everybody reach the nodes: {', '.join(have.open_ports)}"
            hint = (
                f"if that is not meant: aliyun ecs RevokeSecurityGroup --SecurityGroupId {have.id}"
            )
            yield Finding(what, hint=hint)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: SecurityGroupState) -> Iterator[Occupant]:
        near = neighbours(scope)
        yield from near.instances(SecurityGroupId=have.id)
        yield from near.interfaces(SecurityGroupId=have.id)
        yield from near.referring(have.id, have.vpc)

    def create(self, env: Env[Clients]) -> SecurityGroupState:
        vpc = env[self.vpc].id
        created = env.client.ecs(
            "CreateSecurityGroup",
            VpcId=vpc,
            SecurityGroupType="enterprise",
            **self.marked(env, "SecurityGroupName"),
        )
        return self.state({**created, "VpcId": vpc, "Tags": write_tags(self.marks(env))})

    def edits(self, env: Env[Clients], have: SecurityGroupState) -> Iterator[Edit]:
        def authorize(action: str, end: str, ranges: frozenset[str]) -> None:
            rule = {"IpProtocol": "ALL", "PortRange": "-1/-1", "Policy": "accept", "Priority": "1"}
            permissions = [{**rule, end: cidr} for cidr in sorted(ranges)]
            env.client.ecs(action, SecurityGroupId=have.id, Permissions=permissions)

        for what, there, wanted, action, end in (
            ("inbound", have.inbound, self._inbound(env), "AuthorizeSecurityGroup", "SourceCidrIp"),
            (
                "outbound",
                have.outbound,
                frozenset({EVERYWHERE}),
                "AuthorizeSecurityGroupEgress",
                "DestCidrIp",
            ),
        ):
            missing = wanted - there
            yield from edit(what, there & wanted, wanted, partial(authorize, action, end, missing))

    def _inbound(self, env: Env[Clients]) -> frozenset[str]:
        return frozenset({env[self.vpc].cidr, *((self.pods,) if self.pods else ())})


def _memory(scope: Scope[Clients]) -> Iterator[tuple[type[Tagged[Any]], Any]]:
    for kind in (Vpc, SecurityGroup):
        for state in kind.list(scope):
            if state.tags.get(CLUSTER) == scope.cluster:
                yield kind, state


def remember(scope: Scope[Clients], cluster: str) -> None:
    """Write the cluster's id on the VPC and the security group, where they are ours. They keep the
    ids of earlier ones: what those left is found by them.
    """
    for kind, state in _memory(scope):
        known = _ids(state.tags)
        if cluster not in known:
            kind.label(scope, state.id, {CLUSTER_ID: " ".join([*known, cluster][-MOST_IDS:])})


def _ids(tags: Tags) -> list[str]:
    return tags.get(CLUSTER_ID, "").split()


def remembered(scope: Scope[Clients]) -> Tags:
    """What VPC and security group remember; empty once neither exists."""
    return {key: value for _, state in _memory(scope) for key, value in state.tags.items()}


def remembered_clusters(scope: Scope[Clients]) -> list[str]:
    """The ids of the clusters that VPC and security group remember."""
    return [*dict.fromkeys(each for _, state in _memory(scope) for each in _ids(state.tags))]


def remembers(scope: Scope[Clients], cluster: str) -> bool:
    """Whether the VPC and the security group that are ours know the cluster's id."""
    return all(cluster in _ids(state.tags) for _, state in _memory(scope))


def neighbours(scope: Scope[Clients]) -> Neighbours:
    """What is neither ours nor of a cluster of ours: one that VPC and security group remember, or
    one whose creation died before they did.
    """
    listed = scope.client.every("DescribeClustersV1", region_id=scope.client.region)
    ours = [c["cluster_id"] for c in listed if read_cs_tags(c).get(CLUSTER) == scope.cluster]
    return Neighbours(scope, frozenset([*remembered_clusters(scope), *ours]))


def keeps_volumes(scope: Scope[Clients]) -> bool:
    """Whether destroy leaves the disks of claims; it does when no tag says so."""
    return remembered(scope).get(KEEP_VOLUMES) != "false"
