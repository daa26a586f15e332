"""Node pools.

What cannot be changed (types, disk, key pair, spot, VSwitches, mirror) is hashed into the name:
another value is another pool, created before the old one is drained and deleted. The system disk's
category is always sent: the API's own default, cloud_efficiency, is refused in pools since 2025.
ACK tags nothing but the pool's machines, so the pool's tags are those of its machines.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster import ClusterState, cs_group, owned
from clusterkit.alibaba.errors import ERRORS, cure
from clusterkit.alibaba.machine_types import IMAGES
from clusterkit.alibaba.network import VSwitchState
from clusterkit.alibaba.tags import AlibabaState, read_cs_tags, write_cs_tags
from clusterkit.alibaba.tasks import MOST as MOST_TOLD
from clusterkit.alibaba.tasks import Task, begin, events, reason, task
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Kind, Tags
from clusterkit.engine.operation import Done, Failed, Operation, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.errors import Busy, Denied, Gone, OutOfStock
from clusterkit.kube.mirror import script
from clusterkit.kube.nodes import Nodes, Taint, details, ready

REGISTRIES = "/etc/containerd/cert.d"
"""where containerd looks for registries on ACK (the vendor's page "Pod troubleshooting")"""
MOST = 200
"""machines removed by one call, whose address names them all; the next call removes others"""
STUCK = (
    "it could not be deleted; its scaling group in Auto Scaling may be protected or hold on to "
    "machines, which takes the permission for ess:ModifyScalingGroup to end"
)
OF_ACK = "k8s.aliyun.com"
"""label that ACK puts on the nodes of pools that scale (terraform-provider-alicloud,
website/docs/r/cs_kubernetes_node_pool.html.markdown)"""
POOL = "alibabacloud.com/nodepool-id"
"""label of a pool's nodes"""
NO_SPOT = "NoSpot"
"""``spot_strategy`` of a pool without spot capacity; it may be left out too"""
SHORT = 2
"""polls in a row with fewer nodes than asked for, until the events are read"""


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
    """in any condition"""
    healthy: int
    """that work: Ready ones where Kubernetes can be asked, else what Container Service counts"""
    failed: int
    tags: Tags = field(default_factory=dict)
    name: str = ""
    group: str = ""
    """its scaling group in Auto Scaling"""
    spot: bool = False
    told: str = ""
    """what the events say"""

    @property
    def status(self) -> str:
        """The phase; of an active pool without all of its nodes ``failed`` (none works, some
        failed), ``degraded`` (some failed) or ``incomplete``.
        """
        if self.phase != "active" or self.healthy >= self.minimum:
            return self.phase
        if not self.failed:
            return "incomplete"
        return "degraded" if self.healthy else "failed"

    @property
    def reason(self) -> str:
        """How many nodes work, and why not all of them."""
        counted = f"{self.healthy} of {self.minimum} nodes" if self.healthy < self.minimum else ""
        stuck = STUCK if self.phase == "delete_failed" and not self.told else ""
        return "; ".join(filter(None, (counted, self.told, stuck)))

    @property
    def hint(self) -> str:
        """What to do about it."""
        return cure(self.reason)

    disk: int = 0
    """GiB"""

    @property
    def details(self) -> Mapping[str, str]:
        """What it is made of."""
        now = self.nodes if self.automatic else None
        limits = (self.minimum, self.maximum)
        return details(self.types, *limits, now=now, disk=self.disk, spot=self.spot)


class NodePool(Nodes[Clients, NodePoolState]):
    """A pool of machines; ``name`` is the node pool's own."""

    kind: ClassVar[str] = "node-pool"
    unseen: ClassVar[str] = "its type of disk, key pair, VSwitches or mirror differ"
    usable: ClassVar[frozenset[str]] = frozenset({"active"})
    failed: ClassVar[frozenset[str]] = frozenset({"failed", "delete_failed"})
    unhealthy: ClassVar[frozenset[str]] = frozenset({"degraded", "incomplete"})
    leaving: ClassVar[frozenset[str]] = frozenset({"deleting"})
    serial: ClassVar[bool] = True
    patience: ClassVar[float] = 2400.0
    takes: ClassVar[Durations] = Durations(create=300, delete=240, early=0.5)
    uses: ClassVar[tuple[str, ...]] = ("cluster", "key-pair")

    cluster: Kind[Any, ClusterState]
    vswitches: tuple[Kind[Any, VSwitchState], ...]
    key_pair: Kind[Any, AlibabaState]
    disk: int
    """GiB"""
    disk_type: str = "cloud_essd"
    encrypted: bool = False
    arch: str = "amd64"
    mirror: str | None = None
    """a registry that has what the usual ones have"""

    @property
    def disk_size(self) -> int:
        return self.disk

    @classmethod
    def stem(cls, name: str) -> str:
        return name.rpartition("-")[0]

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[NodePoolState]:
        for cluster in owned(scope.client, scope.cluster):
            yield from _counted(scope, pools(scope.client, cluster.id))

    @classmethod
    def read(cls, scope: Scope[Clients], found: NodePoolState) -> NodePoolState:
        """Why a pool has fewer nodes than asked for, or could not be deleted."""
        if found.healthy >= found.minimum and found.phase != "delete_failed":
            return found
        return replace(found, told=reason(scope, found.cluster, found.id))

    @classmethod
    def within(cls, have: NodePoolState) -> Tags:
        return {"cluster": have.cluster}

    def taken(self, env: Env[Clients]) -> NodePoolState | None:
        there = pools(env.client, env[self.cluster].id) if self.cluster in env else []
        return next((pool for pool in there if pool.name == self.name), None)

    def create(self, env: Env[Clients]) -> Operation[Clients] | None:
        group: dict[str, Any] = {
            "instance_types": list(self.types),
            "vswitch_ids": env.ids(self.vswitches),
            "instance_charge_type": "PostPaid",
            "system_disk_category": self.disk_type,
            "system_disk_size": self.disk,
            "system_disk_encrypted": self.encrypted,
            "key_pair": env[self.key_pair].id,
            "desired_size": self.minimum,
            "image_type": IMAGES[self.arch],
            "multi_az_policy": "BALANCE",
            "tags": write_cs_tags(self.marks(env)),
        }
        if self.spot:
            group |= {"spot_strategy": "SpotAsPriceGo", "multi_az_policy": "COST_OPTIMIZED"}
        body = {
            "nodepool_info": {"name": self.name, "type": "ess", **cs_group(env)},
            "scaling_group": group,
            "kubernetes_config": self._kubernetes(),
            # a pool made with its least number and no size has been seen to get more machines
            # than that, so its autoscaler is switched on by the next look
            "auto_scaling": {"enable": False},
        }
        cluster = env[self.cluster].id
        path = f"/clusters/{cluster}/nodepools"
        answer = env.client.cs("CreateClusterNodePool", "POST", path, body)
        return _follow(task("CreateClusterNodePool", answer), cluster, answer["nodepool_id"])

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

    def edits(self, env: Env[Clients], have: NodePoolState) -> Iterator[Edit]:
        body: dict[str, Any] = {}

        def change() -> Operation[Clients] | None:
            return _follow(_modify(env, have, body), have.cluster, have.id)

        size = list(edit("autoscaling", have.automatic, self.automatic, change))
        size += edit("count.min" if self.automatic else "count", have.minimum, self.minimum, change)
        if self.automatic:
            size += edit("count.max", have.maximum, self.maximum, change)
        if size:
            body["auto_scaling"] = self._scaling()
            # what scales by itself takes no size, not even in the call that ends that
            # (InvalidDesiredSizeOrCount.NotNull); the next look finds what is left to change
            if not (self.automatic or have.automatic):
                body["scaling_group"] = {"desired_size": self.minimum}
        labels, taints = dict(self.labels), frozenset(self.taints)
        there = {key: text for key, text in have.labels.items() if key in labels or key != OF_ACK}
        if (there, have.taints) != (labels, taints):
            body |= {"kubernetes_config": self._kubernetes(), "update_nodes": True}
        yield from size
        yield from edit("labels", there, labels, change)
        yield from edit("taints", have.taints, taints, change)
        if have.status == "incomplete":
            arrive = Scaling(None, have.cluster, have.id)
            yield Edit("nodes", have.healthy, have.minimum, lambda: arrive)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> Task | None:
        for have in cls.list(scope):
            if have.id == identifier:
                tags = write_cs_tags({**have.tags, **labels})
                return _modify(scope, have, {"scaling_group": {"tags": tags}})
        raise Gone(f"there is no node pool {identifier} in the cluster", where=cls.kind)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: NodePoolState) -> Operation[Clients] | None:
        """First its machines, drained unless the whole cluster goes: a pool deleted with machines
        has been seen to leave the cluster in delete_failed. What failed to become a node does not
        hold it up. Its scaling group would replace machines below its own least number, and may
        be protected: neither counts any more.
        """
        path = _path(have)
        if have.group:
            with suppress(Gone, Denied):  # most groups need none of it
                free = {"MinSize": 0, "GroupDeletionProtection": False}
                scope.client.ess("ModifyScalingGroup", ScalingGroupId=have.group, **free)
        if have.nodes <= have.failed or have.phase == "delete_failed":
            return begin(scope, "DeleteClusterNodepool", "DELETE", path, force=True)
        if have.phase != "active":
            raise Busy(f"the node pool is {have.phase}", code=have.phase)
        # A smaller desired size would remove machines too, but has been seen to drain always. An
        # autoscaler, which would replace the machines, is switched off first.
        if have.automatic:
            return _modify(scope, have, {"auto_scaling": {"enable": False}})
        nodes = scope.client.every("DescribeClusterNodes", have.cluster, nodepool_id=have.id)
        machines = [node["instance_id"] for node in nodes if node.get("instance_id")]
        if not machines:
            return _modify(scope, have, {"scaling_group": {"desired_size": 0}})
        return begin(
            scope,
            "RemoveNodePoolNodes",
            "DELETE",
            f"{path}/nodes",
            instance_ids=json.dumps(machines[:MOST]),
            drain_node=not scope.destroying,
            release_node=True,
            concurrency=True,
        )


@dataclass
class Scaling:
    """A pool that gets its nodes.

    Auto Scaling goes on trying for what is out of stock, over a quota or not paid for, and the task
    with it: after ``SHORT`` polls without all nodes the events decide.
    """

    task: Task | None
    """None: of nodes that an earlier run asked for"""
    cluster: str
    pool: str
    polls: int = 0

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """Done when the task is, and its nodes are there; failed when the events say so."""
        outcome = self.task.poll(scope) if self.task else Done()
        self.polls += 1
        if isinstance(outcome, Failed) or (isinstance(outcome, Running) and self.polls <= SHORT):
            return outcome
        there = [one for one in pools(scope.client, self.cluster) if one.id == self.pool]
        have = next(iter(_counted(scope, there)), None)
        if have is None or (isinstance(outcome, Done) and have.healthy >= have.minimum):
            return Done()
        what = f"CS.{self.task.operation if self.task else 'DescribeClusterEvents'}"
        told = events(scope, self.cluster, self.pool)
        error = next(filter(None, (ERRORS.hopeless(text, what) for text in told)), None)
        if error is None and isinstance(outcome, Done) and have.status in ("failed", "degraded"):
            error = ERRORS.final("failed_nodes", "; ".join((have.reason, *told[:MOST_TOLD])), what)
        return Failed(error) if error else Running(have.reason)


RECENT = timedelta(hours=1)
"""how long a type counts as out of stock that a pool could not get"""


def sold_out(scope: Scope[Clients], have: NodePoolState) -> frozenset[str]:
    """The types of a pool that it lately did not get; stock lists show them nevertheless."""
    if have.nodes >= have.minimum:
        return frozenset()
    told = events(scope, have.cluster, have.id, datetime.now(UTC) - RECENT)
    errors = (ERRORS.hopeless(text, "CS.DescribeClusterEvents") for text in told)
    out = any(isinstance(error, OutOfStock) for error in errors)
    return frozenset(have.types) if out else frozenset()


def user_data(mirror: str) -> str:
    """The script, in base64, that runs when a machine has become a node."""
    return b64encode(script(mirror, REGISTRIES).encode()).decode()


def _counted(scope: Scope[Clients], found: Sequence[NodePoolState]) -> list[NodePoolState]:
    """With the nodes that work. Container Service counts by Auto Scaling's health: a pool without
    one node has been seen with all of its machines healthy.
    """
    working = ready(scope, POOL) if any(one.phase == "active" for one in found) else None
    if working is None:
        return [*found]
    return [
        replace(one, healthy=working[one.id]) if one.phase == "active" else one for one in found
    ]


def _follow(begun: Task | None, cluster: str, pool: str) -> Operation[Clients] | None:
    return None if begun is None else Scaling(begun, cluster, pool)


def _path(have: NodePoolState) -> str:
    return f"/clusters/{have.cluster}/nodepools/{have.id}"


def _modify(scope: Scope[Clients], have: NodePoolState, body: Any) -> Task | None:
    return begin(scope, "ModifyClusterNodePool", "PUT", _path(have), body)


def pools(client: Clients, cluster: str) -> list[NodePoolState]:
    """Every node pool of the cluster; none if the cluster has gone."""
    try:
        answer = client.cs("DescribeClusterNodePools", "GET", f"/clusters/{cluster}/nodepools")
    except Gone:
        return []
    return [_state(cluster, shown) for shown in (answer or {}).get("nodepools") or ()]


def _state(cluster: str, shown: Any) -> NodePoolState:
    group, status = shown.get("scaling_group") or {}, shown.get("status") or {}
    config, scaling = shown.get("kubernetes_config") or {}, shown.get("auto_scaling") or {}
    automatic = bool(scaling.get("enable"))
    desired = int(group.get("desired_size") or 0)
    return NodePoolState(
        id=shown["nodepool_info"]["nodepool_id"],
        cluster=cluster,
        phase=status.get("state") or "",
        automatic=automatic,
        minimum=int(scaling.get("min_instances") or 0) if automatic else desired,
        maximum=int(scaling.get("max_instances") or 0) if automatic else desired,
        labels={label["key"]: label.get("value") or "" for label in config.get("labels") or ()},
        taints=frozenset(
            (t["key"], t.get("value") or "", t["effect"]) for t in config.get("taints") or ()
        ),
        types=tuple(group.get("instance_types") or ()),
        spot=(group.get("spot_strategy") or NO_SPOT) != NO_SPOT,
        nodes=int(status.get("total_nodes") or 0),
        healthy=int(status.get("healthy_nodes") or 0) - int(status.get("offline_nodes") or 0),
        failed=int(status.get("failed_nodes") or 0),
        tags=read_cs_tags(group),
        name=str(shown["nodepool_info"].get("name") or ""),
        group=str(group.get("scaling_group_id") or ""),
        disk=int(group.get("system_disk_size") or 0),
    )
