"""Managed node groups and their launch templates.

What cannot be changed (type, disk, image family, spot) is hashed into the name: another value is
another node group, made before the old one goes. The launch template is always our own: without one
AL2023 nodes get an IMDS hop limit of 1, and pods no credentials from the node
(https://docs.aws.amazon.com/eks/latest/userguide/al2023.html); ``remoteAccess`` would open port 22
to the world, a key name in the template opens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.cluster import ClusterState
from clusterkit.eks.errors import Gone, call, gone_is_fine, pages
from clusterkit.eks.iam import RoleState
from clusterkit.eks.launch_template import TemplateState
from clusterkit.eks.network import SubnetState
from clusterkit.eks.tags import Marked, Tags, retags
from clusterkit.eks.updates import update
from clusterkit.engine.resource import Change, Ctx, Durations, Resource, one_each
from clusterkit.errors import Rejected
from clusterkit.naming import CLUSTER, MACHINE, NAME

AMI = {"amd64": "AL2023_x86_64_STANDARD", "arm64": "AL2023_ARM_64_STANDARD"}


@dataclass(frozen=True)
class NodeGroupState:
    """A node group as DescribeNodegroup shows it."""

    name: str
    arn: str
    phase: str
    version: str
    minimum: int
    maximum: int
    labels: Mapping[str, str]
    taints: frozenset[tuple[str, str, str]]
    max_unavailable: int
    types: tuple[str, ...]
    issues: str = ""
    tags: Tags = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The phase, with EKS's reason when there is one."""
        return f"{self.phase}: {self.issues}" if self.issues else self.phase


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeGroup(Marked[Clients, NodeGroupState]):
    """A pool of machines; ``name`` is the node group's own."""

    kind: ClassVar[str] = "node-group"
    patience: ClassVar[float] = 2400.0
    takes: ClassVar[Durations] = Durations(create=150, delete=300)

    cluster: Resource[Clients, ClusterState]
    role: Resource[Clients, RoleState]
    template: Resource[Clients, TemplateState]
    subnets: tuple[Resource[Clients, SubnetState], ...]
    instance_type: str
    ami: str
    version: str
    minimum: int
    maximum: int
    spot: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[tuple[str, str, str], ...] = ()
    """(key, value, effect), effect as EKS spells it: ``NO_SCHEDULE``"""
    max_unavailable: int = 1
    machine: str = ""

    def wanted_tags(self, cx: Ctx[Any]) -> Tags:
        return {**super().wanted_tags(cx), MACHINE: self.machine}

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, NodeGroupState]:
        eks, found = cx.clients.eks, []
        try:
            for name in list(pages(eks, "list_nodegroups", "nodegroups", clusterName=cx.cluster)):
                try:
                    shown = call(
                        eks.describe_nodegroup, clusterName=cx.cluster, nodegroupName=name
                    )["nodegroup"]
                except Gone:
                    continue
                tags = shown.get("tags", {})
                if tags.get(CLUSTER) == cx.cluster:
                    found.append((tags.get(NAME, name), _group(shown)))
        except Gone:
            return {}
        return one_each(found)

    def create(self, cx: Ctx[Clients]) -> None:
        call(
            cx.clients.eks.create_nodegroup,
            clusterName=cx.cluster,
            nodegroupName=self.name,
            scalingConfig=self._scaling(self.minimum),
            subnets=[cx[subnet].id for subnet in self.subnets],
            instanceTypes=[self.instance_type],
            amiType=self.ami,  # type: ignore[arg-type]
            nodeRole=cx[self.role].arn,
            labels=dict(self.labels),
            taints=_taints(frozenset(self.taints)),
            capacityType="SPOT" if self.spot else "ON_DEMAND",
            launchTemplate={"id": cx[self.template].id, "version": "1"},
            updateConfig={"maxUnavailable": self.max_unavailable},
            version=self.version,
            clientRequestToken=cx.token(self),
            tags=self.wanted_tags(cx),
        )

    def _scaling(self, desired: int) -> Any:
        low, high = self.minimum, max(self.maximum, 1)
        size = min(max(desired, low), high)
        return {"minSize": low, "maxSize": high, "desiredSize": size}

    @classmethod
    def ready(cls, have: NodeGroupState) -> bool:
        if have.phase == "CREATE_FAILED":
            raise Rejected(have.issues or "the node group failed", code=have.phase, remake=True)
        if have.phase == "DELETE_FAILED":
            raise Rejected(have.issues or "the node group failed", code=have.phase)
        if have.phase == "DEGRADED":
            raise Rejected(have.issues or "the node group is degraded", code=have.phase)
        return have.phase == "ACTIVE"

    def diff(self, cx: Ctx[Clients], have: NodeGroupState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        high = max(self.maximum, 1)
        if (have.minimum, have.maximum) != (self.minimum, high):
            wanted = f"{self.minimum} to {high}"
            changes.append(Change("count", f"{have.minimum} to {have.maximum}", wanted))
        if dict(have.labels) != dict(self.labels):
            changes.append(Change("labels", dict(have.labels), dict(self.labels)))
        if have.taints != frozenset(self.taints):
            changes.append(Change("taints", sorted(have.taints), sorted(self.taints)))
        if have.max_unavailable != self.max_unavailable:
            changes.append(Change("max_unavailable", have.max_unavailable, self.max_unavailable))
        if have.version != self.version:
            changes.append(Change("version", have.version, self.version))
        return changes

    def update(self, cx: Ctx[Clients], have: NodeGroupState, changes: list[Change]) -> None:
        eks, fields = cx.clients.eks, {change.field for change in changes}
        if retags(changes):
            call(eks.tag_resource, resourceArn=have.arn, tags=dict(self.tags))
        if fields & {"count", "labels", "taints", "max_unavailable"}:
            shown = call(eks.describe_nodegroup, clusterName=cx.cluster, nodegroupName=have.name)
            desired = shown["nodegroup"]["scalingConfig"].get("desiredSize", self.minimum)
            taints = frozenset(self.taints)
            update(
                cx,
                self.key,
                eks.update_nodegroup_config,
                clusterName=cx.cluster,
                nodegroupName=have.name,
                scalingConfig=self._scaling(desired),
                updateConfig={"maxUnavailable": self.max_unavailable},
                labels={
                    "addOrUpdateLabels": dict(self.labels),
                    "removeLabels": sorted(have.labels.keys() - dict(self.labels).keys()),
                },
                taints={
                    "addOrUpdateTaints": _taints(taints),
                    "removeTaints": _taints(_dropped(have.taints, taints)),
                },
            )
        elif "version" in fields:
            update(
                cx,
                self.key,
                eks.update_nodegroup_version,
                clusterName=cx.cluster,
                nodegroupName=have.name,
                version=self.version,
            )

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: NodeGroupState) -> None:
        if have.phase != "DELETING":
            delete = cx.clients.eks.delete_nodegroup
            gone_is_fine(delete, clusterName=cx.cluster, nodegroupName=have.name)


def _dropped(
    have: frozenset[tuple[str, str, str]], want: frozenset[tuple[str, str, str]]
) -> frozenset[tuple[str, str, str]]:
    """Taints to remove: EKS knows a taint by key and effect, and updates its value."""
    kept = {(key, effect) for key, _, effect in want}
    return frozenset(taint for taint in have if (taint[0], taint[2]) not in kept)


def _taints(taints: frozenset[tuple[str, str, str]]) -> Any:
    return [{"key": k, "value": v, "effect": e} for k, v, e in sorted(taints)]


def _group(shown: Any) -> NodeGroupState:
    scaling, issues = shown["scalingConfig"], shown.get("health", {}).get("issues", [])
    return NodeGroupState(
        name=shown["nodegroupName"],
        arn=shown["nodegroupArn"],
        phase=shown["status"],
        version=shown["version"],
        minimum=scaling["minSize"],
        maximum=scaling["maxSize"],
        labels=shown.get("labels") or {},
        taints=frozenset(
            (t["key"], t.get("value", ""), t["effect"]) for t in shown.get("taints") or ()
        ),
        max_unavailable=shown.get("updateConfig", {}).get("maxUnavailable", 1),
        types=tuple(shown.get("instanceTypes") or ()),
        issues="; ".join(
            f"{i.get('code')}: {i.get('message')} ({', '.join(i.get('resourceIds', []))})"
            for i in issues
        ),
        tags=shown.get("tags", {}),
    )
