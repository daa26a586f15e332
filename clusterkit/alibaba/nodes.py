"""Node pools.

What cannot be changed (types, disk, key pair, spot, VSwitches, mirror) is hashed into the name:
another value is another pool, made before the old one is drained and goes. The system disk's kind
is always sent: the API's own default, cloud_efficiency, is refused in pools since 2025. ACK tags
nothing but the pool's machines, so the pool's mark is among the tags of its machines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster_state import ClusterState, ours
from clusterkit.alibaba.errors import cure, gone_is_fine
from clusterkit.alibaba.events import reason
from clusterkit.alibaba.keypair import KeyPairState
from clusterkit.alibaba.mirror import user_data
from clusterkit.alibaba.network import VSwitchState
from clusterkit.alibaba.tags import Marked, Tags, read_cs_tags, retags, write_cs_tags
from clusterkit.engine.resource import Change, Ctx, Durations, Resource, one_each
from clusterkit.errors import Busy, Gone, Rejected
from clusterkit.naming import CLUSTER, MACHINE, NAME

PAGE = 100
"""the most that DescribeClusterNodes gives at a time"""
MOST = 200
"""machines taken out by one call, whose address names them all; the next call takes others"""
Taint = tuple[str, str, str]
"""key, value, effect"""


@dataclass(frozen=True)
class NodePoolState:
    """A node pool as DescribeClusterNodePools shows it."""

    id: str
    cluster: str
    phase: str
    """active, scaling, updating, removing_nodes, deleting, delete_failed"""
    automatic: bool
    minimum: int
    maximum: int
    labels: Mapping[str, str]
    taints: frozenset[Taint]
    types: tuple[str, ...]
    nodes: int
    """however they are"""
    healthy: int
    failed: int
    issues: str = ""
    tags: Tags = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The phase and how many nodes work."""
        return f"{self.phase}, {self.healthy} of {self.minimum} nodes"


@dataclass(frozen=True, kw_only=True, eq=False)
class NodePool(Marked[Clients, NodePoolState]):
    """A pool of machines; ``name`` is the node pool's own."""

    kind: ClassVar[str] = "node-pool"
    patience: ClassVar[float] = 2400.0
    takes: ClassVar[Durations] = Durations(create=240, delete=420)

    cluster: Resource[Clients, ClusterState]
    vswitches: tuple[Resource[Clients, VSwitchState], ...]
    key_pair: Resource[Clients, KeyPairState] | None = None
    types: tuple[str, ...]
    """the wanted one first, then others of its size, for when it is out of stock"""
    disk: int
    """GiB"""
    disk_type: str = "cloud_essd"
    encrypted: bool = False
    minimum: int
    maximum: int
    automatic: bool = False
    spot: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[Taint, ...] = ()
    machine: str = ""
    mirror: str | None = None
    """a registry that has what the usual ones have"""

    def wanted_tags(self, cx: Ctx[Any]) -> Tags:
        return {**super().wanted_tags(cx), MACHINE: self.machine}

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, NodePoolState]:
        found = []
        for cluster in ours(cx.clients, cx.cluster):
            for shown in pools(cx.clients, cluster["cluster_id"]):
                tags = read_cs_tags(shown.get("scaling_group") or {})
                if tags.get(CLUSTER) == cx.cluster:
                    name = tags.get(NAME) or shown["nodepool_info"]["name"]
                    found.append((name, _state(cx, cluster["cluster_id"], shown, tags)))
        return one_each(found)

    def create(self, cx: Ctx[Clients]) -> None:
        group: dict[str, Any] = {
            "instance_types": list(self.types),
            "vswitch_ids": [cx[vswitch].id for vswitch in self.vswitches],
            "instance_charge_type": "PostPaid",
            "system_disk_category": self.disk_type,
            "system_disk_size": self.disk,
            "system_disk_encrypted": self.encrypted,
            "image_type": "AliyunLinux3",
            "multi_az_policy": "BALANCE",
            "tags": write_cs_tags(self.wanted_tags(cx)),
        }
        if self.key_pair is not None:
            group["key_pair"] = cx[self.key_pair].key_name
        if self.spot:
            group |= {"spot_strategy": "SpotAsPriceGo", "multi_az_policy": "COST_OPTIMIZED"}
        if not self.automatic:
            group["desired_size"] = self.minimum
        body = {
            "nodepool_info": {"name": self.name, "type": "ess"},
            "scaling_group": group,
            "kubernetes_config": self._kubernetes(),
            "auto_scaling": self._scaling(),
        }
        path = f"/clusters/{cx[self.cluster].id}/nodepools"
        cx.clients.cs("CreateClusterNodePool", "POST", path, body)

    def _kubernetes(self) -> dict[str, Any]:
        return {
            "labels": [{"key": key, "value": value} for key, value in self.labels],
            "taints": [{"key": k, "value": v, "effect": e} for k, v, e in self.taints],
            **({"user_data": user_data(self.mirror)} if self.mirror else {}),
        }

    def _scaling(self) -> dict[str, Any]:
        if not self.automatic:
            return {"enable": False}
        kind = "spot" if self.spot else "cpu"
        counts = {"min_instances": self.minimum, "max_instances": max(self.maximum, 1)}
        return {"enable": True, "type": kind, **counts}

    @classmethod
    def ready(cls, have: NodePoolState) -> bool:
        if have.phase == "delete_failed":
            what = have.issues or "the pool could not be deleted, and does not say why"
            hint = "look at its scaling group in the console of Auto Scaling, which may hold on to "
            raise Rejected(what, hint=f"{hint}its machines", code=have.phase, remake=True)
        if have.phase == "active" and have.failed and have.healthy < have.minimum:
            what = have.issues or f"{have.failed} nodes failed, and the pool does not say why"
            raise Rejected(what, hint=cure(what), code="failed_nodes", remake=not have.healthy)
        return have.phase == "active" and have.healthy >= have.minimum

    def diff(self, cx: Ctx[Clients], have: NodePoolState) -> list[Change]:
        changes = self.tag_changes(have.tags)
        is_, want = (
            f"{state.minimum} to {state.maximum}" if state.automatic else str(state.minimum)
            for state in (have, self)
        )
        if is_ != want:
            changes.append(Change("count", is_, want))
        labels = dict(self.labels)
        have_labels = {key: have.labels.get(key) for key in labels}
        if have_labels != labels or have.labels.keys() - labels.keys():
            changes.append(Change("labels", dict(have.labels), labels))
        if have.taints != frozenset(self.taints):
            changes.append(Change("taints", sorted(have.taints), sorted(self.taints)))
        return changes

    def update(self, cx: Ctx[Clients], have: NodePoolState, changes: list[Change]) -> None:
        fields = {change.field for change in changes}
        body: dict[str, Any] = {"update_nodes": True}
        if retags(changes):
            tags = {**have.tags, **dict(self.tags)}
            body["scaling_group"] = {"tags": write_cs_tags(tags)}
        if "count" in fields:
            body["auto_scaling"] = self._scaling()
            # what scales by itself takes no size, not even in the call that ends that
            # (InvalidDesiredSizeOrCount.NotNull); the next look finds what is left to change
            if not (self.automatic or have.automatic):
                body.setdefault("scaling_group", {})["desired_size"] = self.minimum
        if fields & {"labels", "taints"}:
            body["kubernetes_config"] = self._kubernetes()
        path = f"/clusters/{have.cluster}/nodepools/{have.id}"
        cx.clients.cs("ModifyClusterNodePool", "PUT", path, body)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: NodePoolState) -> None:
        """First its machines, drained unless the whole cluster goes: a pool deleted with machines
        has been seen to leave the cluster in delete_failed. What failed to become a node does not
        hold it up.
        """
        if have.phase == "deleting":
            return
        cs, path = cx.clients.cs, f"/clusters/{have.cluster}/nodepools/{have.id}"
        if have.nodes <= have.failed or have.phase == "delete_failed":
            gone_is_fine(cs, "DeleteClusterNodepool", "DELETE", path, force=True)
            return
        if have.phase == "active":  # else it is at it, or at something else that comes first
            _empty(cx, path, have)
        words = "go first" if cx.destroying else "are drained first"
        raise Busy(f"{have.nodes} machines {words}", code="nodes")


def _empty(cx: Ctx[Clients], path: str, have: NodePoolState) -> None:
    """Release every machine by RemoveNodePoolNodes, which lowers the desired size as well.

    A smaller desired size would do it too, but has been seen to drain always. An autoscaler, who
    would put new machines in their place, is switched off before.
    """
    cs = cx.clients.cs
    if have.automatic:
        off = {"auto_scaling": {"enable": False}}
        gone_is_fine(cs, "ModifyClusterNodePool", "PUT", path, off)
        return
    identifiers = [node["instance_id"] for node in _nodes(cx, have) if node.get("instance_id")]
    if not identifiers:
        none = {"scaling_group": {"desired_size": 0}}
        gone_is_fine(cs, "ModifyClusterNodePool", "PUT", path, none)
        return
    gone_is_fine(
        cs,
        "RemoveNodePoolNodes",
        "DELETE",
        f"{path}/nodes",
        instance_ids=json.dumps(identifiers[:MOST]),
        drain_node=not cx.destroying,
        release_node=True,
        concurrency=True,
    )


def _nodes(cx: Ctx[Clients], have: NodePoolState) -> list[Any]:
    found: list[Any] = []
    number = 1
    while True:
        page = cx.clients.cs(
            "DescribeClusterNodes",
            "GET",
            f"/clusters/{have.cluster}/nodes",
            nodepool_id=have.id,
            pageNumber=number,
            pageSize=PAGE,
        )
        items = page.get("nodes") or []
        found += items
        if not items or len(found) >= int((page.get("page") or {}).get("total_count") or 0):
            return found
        number += 1


def pools(clients: Clients, cluster: str) -> list[Any]:
    """Every node pool of the cluster; none if there is no cluster any more."""
    path = f"/clusters/{cluster}/nodepools"
    try:
        found = clients.cs("DescribeClusterNodePools", "GET", path)
    except Gone:
        return []
    return list((found or {}).get("nodepools") or ())


def _state(cx: Ctx[Clients], cluster: str, shown: Any, tags: Tags) -> NodePoolState:
    group, status = shown.get("scaling_group") or {}, shown.get("status") or {}
    config, scaling = shown.get("kubernetes_config") or {}, shown.get("auto_scaling") or {}
    automatic = bool(scaling.get("enable"))
    desired = int(group.get("desired_size") or 0)
    failed = int(status.get("failed_nodes") or 0)
    identifier, phase = shown["nodepool_info"]["nodepool_id"], status.get("state") or ""
    return NodePoolState(
        id=identifier,
        cluster=cluster,
        phase=phase,
        automatic=automatic,
        minimum=int(scaling.get("min_instances") or 0) if automatic else desired,
        maximum=int(scaling.get("max_instances") or 0) if automatic else desired,
        labels={label["key"]: label.get("value") or "" for label in config.get("labels") or ()},
        taints=frozenset(
            (t["key"], t.get("value") or "", t["effect"]) for t in config.get("taints") or ()
        ),
        types=tuple(group.get("instance_types") or ()),
        nodes=int(status.get("total_nodes") or 0),
        healthy=int(status.get("healthy_nodes") or 0),
        failed=failed,
        issues=reason(cx, cluster, identifier) if failed or phase == "delete_failed" else "",
        tags=tags,
    )
