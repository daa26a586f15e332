"""Node pools (agent pools) of the cluster.

What cannot be changed (VM size, disk, operating system, spot, zones) is hashed into the name:
another value is another pool, made before the old one goes. AKS drains a pool that is deleted, for
ten minutes at most (terraform-provider-azurerm#10411).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from clusterkit.aks import containerservice, ids
from clusterkit.aks.client import Clients
from clusterkit.aks.cluster import merge, owned
from clusterkit.aks.clusterstate import CHANGING, ClusterState, why
from clusterkit.aks.containerservice import MISSING
from clusterkit.aks.errors import ERRORS
from clusterkit.aks.iam import EFFECTIVE
from clusterkit.aks.network import VirtualNetworkState
from clusterkit.aks.pools import HASH, OF_AKS, PoolSettings, taints
from clusterkit.aks.tags import BROKEN
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Kind, Record, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.engine.versions import minor
from clusterkit.errors import Gone
from clusterkit.kube.nodes import Nodes, details
from clusterkit.naming import NAME

JSON = dict[str, Any]
BEGIN = "agent_pools.begin_create_or_update"


class NodePoolState(Record):
    """A node pool as its cluster shows it."""

    id: str
    """in lower case"""
    name: str
    group: str
    cluster: str
    """its cluster's name"""
    cluster_id: str
    status: str
    tags: Tags
    version: str
    mode: str
    count: int
    automatic: bool
    minimum: int
    maximum: int
    """those of the autoscaler"""
    labels: Mapping[str, str]
    taints: frozenset[str]
    """``key=value:NoSchedule``"""
    theirs: tuple[Mapping[str, str], tuple[str, ...]]
    """labels and taints that AKS put on by itself"""
    machine_type: str = ""
    reason: str = ""

    disk: int = 0
    """GiB"""
    spot: bool = False

    @property
    def details(self) -> Mapping[str, str]:
        """What it is made of."""
        limits = (self.minimum, self.maximum) if self.automatic else (self.count, self.count)
        types, now = (self.machine_type,), self.count if self.automatic else None
        return details(types, *limits, now=now, disk=self.disk, spot=self.spot)

    @property
    def hint(self) -> str:
        """What to do about it."""
        return ERRORS.cure(self.reason)


class NodePool(Nodes[Clients, NodePoolState]):
    """A pool of machines; ``name`` is the pool's own."""

    kind: ClassVar[str] = "node-pool"
    unseen: ClassVar[str] = "its zones, mode or operating system differ"
    usable: ClassVar[frozenset[str]] = frozenset({"Succeeded", *BROKEN})
    unhealthy: ClassVar[frozenset[str]] = CHANGING
    leaving: ClassVar[frozenset[str]] = frozenset({"Deleting"})
    serial: ClassVar[bool] = True
    patience: ClassVar[float] = 3600.0
    """13 minutes and more for a delete (terraform-provider-azurerm#17543)"""
    propagation: ClassVar[float] = EFFECTIVE
    takes: ClassVar[Durations] = Durations(create=180, delete=780)
    uses: ClassVar[tuple[str, ...]] = ("virtual-network",)
    dies_with: ClassVar[str | None] = "cluster"
    made_with: ClassVar[str | None] = "cluster"

    cluster: Kind[Clients, ClusterState]
    network: Kind[Clients, VirtualNetworkState]
    settings: PoolSettings

    @property
    def disk_size(self) -> int:
        return self.settings.disk

    @classmethod
    def stem(cls, name: str) -> str:
        return name[:-HASH]

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[NodePoolState]:
        return [_state(have, shown) for have in owned(scope) for shown in have.pools]

    def taken(self, env: Env[Clients]) -> NodePoolState | None:
        return next((have for have in self.list(env) if have.name == self.name), None)

    @classmethod
    def within(cls, have: NodePoolState) -> Mapping[str, str]:
        return {"cluster": have.cluster_id}

    def create(self, env: Env[Clients]) -> Operation[Clients] | None:
        cluster = env[self.cluster]
        body = self.settings.body(self.marks(env), env[self.network].subnet)
        group = ids.part(cluster.path, "resourceGroups")
        arguments = (group, cluster.name, self.name, {"properties": body})
        return env.client.aks_begin(BEGIN, *arguments, etag=MISSING)

    def edits(self, env: Env[Clients], have: NodePoolState) -> Iterator[Edit]:
        wish, (labels, theirs) = self.settings, have.theirs
        want = frozenset(taints(self.taints))
        change = _changing(
            env,
            have,
            {
                **wish.scale(have.count),
                "mode": wish.mode,
                "nodeLabels": {**labels, **dict(self.labels)},
                "nodeTaints": [*sorted(want), *theirs],
            },
            replaced=("nodeLabels",),
        )
        limits = f"{self.minimum} to {max(self.maximum, 1)}"
        there = f"{have.minimum} to {have.maximum}" if have.automatic else str(have.count)
        yield from edit("count", there, limits if self.automatic else str(self.minimum), change)
        yield from edit("mode", have.mode, wish.mode, change)
        yield from edit("labels", have.labels, dict(self.labels), change)
        yield from edit("taints", have.taints, want, change)
        if have.status in BROKEN:
            yield Edit("state", have.status, "Succeeded", change)
        # after the control plane, which is an edge
        if minor(have.version) < minor(wish.version):
            move_on = _changing(env, have, {"orchestratorVersion": wish.version})
            yield Edit("version", have.version, wish.version, move_on)

    @classmethod
    def label(
        cls, scope: Scope[Clients], identifier: str, labels: Tags
    ) -> Operation[Clients] | None:
        for have in cls.list(scope):
            if ids.key(identifier) in (have.id, have.name):
                return _changing(scope, have, {"tags": dict(labels)})()
        raise Gone(f"there is no node pool {identifier} in the cluster", where=cls.kind)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: NodePoolState) -> Operation[Clients] | None:
        arguments = (have.group, have.cluster, have.name)
        return scope.client.aks_begin("agent_pools.begin_delete", *arguments)


def _changing(
    scope: Scope[Clients], have: NodePoolState, wanted: JSON, replaced: tuple[str, ...] = ()
) -> Callable[[], Operation[Clients] | None]:
    """The call that changes these properties of a pool, and nothing else; ``replaced`` are those
    whose old content goes.
    """

    def put() -> Operation[Clients] | None:
        where = (have.group, have.cluster, have.name)
        shown = scope.client.aks("agent_pools.get", *where)
        body = containerservice.writable("AgentPool", shown)
        for name in replaced:
            body["properties"].pop(name, None)
        merge(body["properties"], wanted)
        if not wanted.get("enableAutoScaling", True):
            for name in ("minCount", "maxCount"):
                body["properties"].pop(name, None)
        etag = (shown.get("properties") or {}).get("eTag")
        return scope.client.aks_begin(BEGIN, *where, body, etag=etag)

    return put


def _state(cluster: ClusterState, shown: Mapping[str, Any]) -> NodePoolState:
    tags, name = shown.get("tags") or {}, shown["name"]
    labels, there = shown.get("nodeLabels") or {}, shown.get("nodeTaints") or ()
    of_aks = {key: value for key, value in labels.items() if key.startswith(OF_AKS)}
    tainted = tuple(each for each in there if each.startswith(OF_AKS))
    return NodePoolState(
        id=f"{cluster.id}/agentpools/{name}".lower(),
        name=name,
        group=ids.part(cluster.path, "resourceGroups"),
        cluster=cluster.name,
        cluster_id=cluster.id,
        status=str(shown.get("provisioningState") or ""),
        # what a cluster's tags may have been passed on to is not ours
        tags=tags if tags.get(NAME) == name else {},
        version=shown.get("currentOrchestratorVersion") or shown.get("orchestratorVersion") or "",
        mode=shown.get("mode") or "",
        count=int(shown.get("count") or 0),
        automatic=bool(shown.get("enableAutoScaling")),
        minimum=int(shown.get("minCount") or 0),
        maximum=int(shown.get("maxCount") or 0),
        labels={key: value for key, value in labels.items() if key not in of_aks},
        taints=frozenset(each for each in there if each not in tainted),
        theirs=(of_aks, tainted),
        machine_type=str(shown.get("vmSize") or ""),
        reason=why(shown),
        disk=int(shown.get("osDiskSizeGB") or 0),
        spot=shown.get("scaleSetPriority") == "Spot",
    )
