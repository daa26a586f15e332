"""The nodes' security group: ours, so that destroy finds it and its rules are known.

The group ACK makes by itself has been seen without a way for nodes to port 6443 of the control
plane. Ours lets everything in from the VPC and the pods, nothing from elsewhere. It is an advanced
group (``enterprise``): those hold as many addresses as Terway's pods need, and let nothing out
without a rule
(https://www.alibabacloud.com/help/en/ecs/user-guide/basic-security-groups-and-advanced-security-groups).

The group also remembers the cluster's id, by which its leftovers are found when it is gone, and
whether the profile keeps volumes: destroy has no profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from clusterkit.alibaba import tags
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import gone_is_fine
from clusterkit.alibaba.network import VpcState
from clusterkit.alibaba.tags import Marked, Tags, name_of, ours, read_tags, shown_name, write_tags
from clusterkit.engine.resource import Change, Ctx, Resource, one_each
from clusterkit.errors import Gone

CLUSTER_ID = "clusterkit-cluster-id"
"""tag: the id of the cluster that uses the group"""
KEEP_VOLUMES = "clusterkit-keep-volumes"
"""tag: destroy leaves the disks of claims"""
EVERYWHERE = "0.0.0.0/0"
PAGE = 100
"""at a time (DescribeSecurityGroups, MaxResults)"""
MOST_RULES = 1000
"""at a time (DescribeSecurityGroupAttribute, MaxResults)"""


@dataclass(frozen=True)
class SecurityGroupState:
    """A security group with its rules."""

    id: str
    inbound: frozenset[str]
    """ranges from which everything may come"""
    outbound: frozenset[str]
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class SecurityGroup(Marked[Clients, SecurityGroupState]):
    """Who may talk to the nodes."""

    kind: ClassVar[str] = "security-group"
    patience: ClassVar[float] = 900.0
    vpc: Resource[Clients, VpcState]
    pods: str | None = None
    """range of the pods, with Flannel"""

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, SecurityGroupState]:
        return one_each((name_of(state.tags), state) for state in _groups(cx))

    def _inbound(self, cx: Ctx[Clients]) -> frozenset[str]:
        return frozenset({cx[self.vpc].cidr, *((self.pods,) if self.pods else ())})

    def create(self, cx: Ctx[Clients]) -> None:
        tags = self.wanted_tags(cx)
        made = cx.clients.ecs(
            "CreateSecurityGroup",
            RegionId=cx.clients.region,
            VpcId=cx[self.vpc].id,
            SecurityGroupName=shown_name(cx, self.name),
            SecurityGroupType="enterprise",
            ClientToken=cx.token(self),
            Tag=write_tags(tags),
        )
        none: frozenset[str] = frozenset()
        self.finish(cx, SecurityGroupState(made["SecurityGroupId"], none, none, tags))

    def diff(self, cx: Ctx[Clients], have: SecurityGroupState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        missing = sorted(self._inbound(cx) - have.inbound)
        changes += [Change(f"inbound from {cidr}", False, True) for cidr in missing]
        if EVERYWHERE not in have.outbound:
            changes.append(Change("outbound", False, True))
        return changes

    def update(self, cx: Ctx[Clients], have: SecurityGroupState, changes: list[Change]) -> None:
        tags.retag(cx, self, "ecs", "securitygroup", have.id, changes)
        cx.clients.forget(have.id)
        cx.clients.forget("remembered")
        ecs, region = cx.clients.ecs, cx.clients.region
        rule = {"IpProtocol": "ALL", "PortRange": "-1/-1", "Policy": "accept", "Priority": "1"}
        if missing := sorted(self._inbound(cx) - have.inbound):
            ecs(
                "AuthorizeSecurityGroup",
                RegionId=region,
                SecurityGroupId=have.id,
                Permissions=[{**rule, "SourceCidrIp": cidr} for cidr in missing],
            )
        if EVERYWHERE not in have.outbound:
            ecs(
                "AuthorizeSecurityGroupEgress",
                RegionId=region,
                SecurityGroupId=have.id,
                Permissions=[{**rule, "DestCidrIp": EVERYWHERE}],
            )

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: SecurityGroupState) -> None:
        where = cx.clients.region
        gone_is_fine(cx.clients.ecs, "DeleteSecurityGroup", RegionId=where, SecurityGroupId=have.id)

    @classmethod
    def adopt(cls, cx: Ctx[Clients], name: str, identifier: str) -> None:
        tags.adopt(cx, "ecs", "securitygroup", name, identifier)


def _groups(cx: Ctx[Clients]) -> list[SecurityGroupState]:
    clients, states = cx.clients, []
    for item in _listed(cx):
        identifier = item["SecurityGroupId"]
        try:
            rules = clients.recall(identifier, partial(_rules, cx, identifier))
        except Gone:
            continue
        states.append(SecurityGroupState(identifier, *rules, read_tags(item)))
    return states


def _listed(cx: Ctx[Clients]) -> list[Any]:
    clients = cx.clients
    found = clients.chain(
        clients.ecs,
        "DescribeSecurityGroups",
        "SecurityGroups.SecurityGroup",
        RegionId=clients.region,
        Tag=ours(cx),
        MaxResults=PAGE,
    )
    return list(found)


def _rules(cx: Ctx[Clients], identifier: str) -> tuple[frozenset[str], frozenset[str]]:
    clients = cx.clients
    listed = clients.chain(
        clients.ecs,
        "DescribeSecurityGroupAttribute",
        "Permissions.Permission",
        RegionId=clients.region,
        SecurityGroupId=identifier,
        Direction="all",
        MaxResults=MOST_RULES,
    )
    wide = [
        rule
        for rule in listed
        if str(rule.get("IpProtocol")).lower() == "all"
        and str(rule.get("Policy")).lower() == "accept"
    ]
    inbound = frozenset(r.get("SourceCidrIp") or "" for r in wide if r["Direction"] == "ingress")
    outbound = frozenset(r.get("DestCidrIp") or "" for r in wide if r["Direction"] == "egress")
    return inbound, outbound


def remember(cx: Ctx[Clients], cluster: str) -> None:
    """Write the cluster's id on the group."""
    for group in _listed(cx):
        tags.tag(cx, "ecs", "securitygroup", group["SecurityGroupId"], {CLUSTER_ID: cluster})
    cx.clients.forget("remembered")


def remembered(cx: Ctx[Clients]) -> Tags | None:
    """The tags of our group, the cluster's id among them; None without a group.

    Asked once per process, and again after a change of ours.
    """

    def read() -> Tags | None:
        return next((read_tags(group) for group in _listed(cx)), None)

    return cx.clients.recall("remembered", read)


def keeps_volumes(cx: Ctx[Clients]) -> bool | None:
    """Whether the profile wanted volumes kept; None if nothing says so any more."""
    tags = remembered(cx)
    return None if tags is None else tags.get(KEEP_VOLUMES) == "true"
