"""Node pools.

What cannot be changed (machine, disk, spot, scopes, zones, the SSH key) is hashed into the name:
another value is another pool, made before the old one goes. GKE drains a pool that is deleted
(https://cloud.google.com/kubernetes-engine/docs/how-to/node-pools#deleting_a_node_pool).

GKE does not show how many nodes a pool is to have (``initialNodeCount`` is what it began with), its
instance groups do; how many work, only Kubernetes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Kind, Record, Tags
from clusterkit.engine.operation import Done, Failed, Operation, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.engine.versions import minor
from clusterkit.errors import Gone
from clusterkit.gke.client import Clients
from clusterkit.gke.cluster import RECONCILING, ClusterState, begin, owned, why
from clusterkit.gke.errors import ERRORS
from clusterkit.gke.iam import ServiceAccountState
from clusterkit.gke.pools import EFFECTS, Body, complete, taints
from clusterkit.kube.nodes import Nodes, Taint, details, ready
from clusterkit.naming import NAME

POOL = "cloud.google.com/gke-nodepool"
"""label of a pool's nodes"""
OF_GKE = ("kubernetes.io/arch", "nvidia.com/gpu", "sandbox.gke.io/runtime")
"""keys of taints that GKE adds by itself to some pools
(hashicorp/terraform-provider-google#13308, ``effective_taints``)"""
_WORDS = {value: key for key, value in EFFECTS.items()}


class NodePoolState(Record):
    """A node pool as its cluster shows it; ``id`` is its name."""

    id: str
    cluster: str
    """``projects/P/locations/L/clusters/N``"""
    phase: str
    """PROVISIONING, RUNNING, RUNNING_WITH_ERROR, RECONCILING, STOPPING, ERROR"""
    tags: Tags
    version: str
    machine_type: str
    zones: tuple[str, ...]
    automatic: bool
    minimum: int
    maximum: int
    """those of the autoscaler"""
    groups: frozenset[str]
    """its instance groups, ``ZONE/NAME``"""
    labels: Mapping[str, str]
    taints: frozenset[Taint]
    mode: str
    private: bool
    """whether its nodes have no public addresses"""
    account: str
    size: int
    """how many nodes it is to have"""
    disk: int = 0
    """GiB"""
    spot: bool = False
    told: str = ""
    healthy: int | None = None
    """nodes that are Ready; None if Kubernetes cannot be asked"""

    @property
    def least(self) -> int:
        """How many nodes it is to have at the least."""
        return self.minimum if self.automatic else self.size

    @property
    def status(self) -> str:
        """The phase; ``INCOMPLETE`` for a running pool without all of its nodes."""
        lacking = self.healthy is not None and self.healthy < self.least
        return "INCOMPLETE" if lacking and self.phase == "RUNNING" else self.phase

    @property
    def reason(self) -> str:
        """How many nodes work, and what GKE says is wrong."""
        lacking = self.status == "INCOMPLETE"
        counted = f"{self.healthy} of {self.least} nodes are ready" if lacking else ""
        return "; ".join(filter(None, (counted, self.told)))

    @property
    def hint(self) -> str:
        """What to do about it."""
        return ERRORS.cure(self.told)

    @property
    def details(self) -> Mapping[str, str]:
        """What it is made of."""
        limits = (self.minimum, self.maximum) if self.automatic else (self.size, self.size)
        types, now = (self.machine_type,), self.size if self.automatic else None
        return details(types, *limits, now=now, disk=self.disk, spot=self.spot)

    @property
    def path(self) -> str:
        """``projects/P/locations/L/clusters/C/nodePools/N``"""
        return f"{self.cluster}/nodePools/{self.id}"


class NodePool(Nodes[Clients, NodePoolState]):
    """A pool of machines; ``name`` is the pool's own."""

    kind: ClassVar[str] = "node-pool"
    unseen: ClassVar[str] = "its type of disk, zones, scopes or SSH key differ"
    usable: ClassVar[frozenset[str]] = frozenset({"RUNNING"})
    failed: ClassVar[frozenset[str]] = frozenset({"ERROR"})
    unhealthy: ClassVar[frozenset[str]] = frozenset(
        {"RUNNING_WITH_ERROR", "INCOMPLETE", RECONCILING}
    )
    leaving: ClassVar[frozenset[str]] = frozenset({"STOPPING"})
    serial: ClassVar[bool] = True
    patience: ClassVar[float] = 2700.0
    takes: ClassVar[Durations] = Durations(create=82, delete=257, early=0.75)
    uses: ClassVar[tuple[str, ...]] = ("iam-service-account",)
    dies_with: ClassVar[str | None] = "cluster"
    made_with: ClassVar[str | None] = "cluster"

    cluster: Kind[Clients, ClusterState]
    account: Kind[Clients, ServiceAccountState]
    body: Body
    version: str
    """the control plane's; patches are GKE's business"""

    @property
    def disk_size(self) -> int:
        found: int = self.body["config"]["diskSizeGb"]
        return found

    @classmethod
    def stem(cls, name: str) -> str:
        return name.rpartition("-")[0]

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[NodePoolState]:
        found = pools(scope)
        working = ready(scope, POOL) if any(have.phase == "RUNNING" for have in found) else None
        if working is None:
            return found
        return [replace(have, healthy=working[have.id]) for have in found]

    def taken(self, env: Env[Clients]) -> NodePoolState | None:
        return next((have for have in self.list(env) if have.id == self.name), None)

    @classmethod
    def within(cls, have: NodePoolState) -> Mapping[str, str]:
        return {"cluster": have.cluster.partition("/locations/")[2].replace("/clusters/", "/")}

    def create(self, env: Env[Clients]) -> Operation[Clients]:
        cluster = env[self.cluster]
        pool = complete(self.body, env, env[self.account].id)
        request = {"parent": cluster.path, "nodePool": pool}
        return begin(env.client, "create_node_pool", request)

    def edits(self, env: Env[Clients], have: NodePoolState) -> Iterator[Edit]:
        call = partial(partial, begin, env.client)
        account = env[self.account].id
        if have.account != account:
            yield Edit("service account", have.account, account, replace=True)
        wanted: Any = {"name": have.path, "autoscaling": self.body["autoscaling"]}
        scale: Any = call("set_node_pool_autoscaling", wanted)
        yield from edit("autoscaling", have.automatic, self.automatic, scale)
        if self.automatic:
            yield from edit("count.min", have.minimum, self.minimum, scale)
            yield from edit("count.max", have.maximum, max(self.maximum, 1), scale)
        # GKE's autoscaler does not add nodes to reach a new minimum
        if have.size < self.minimum or (not self.automatic and have.size != self.minimum):
            per_zone, zones = self.body["initialNodeCount"], len(self.body["locations"])
            resize: Any = {"name": have.path, "nodeCount": per_zone}
            resized = call("set_node_pool_size", resize)
            yield Edit("count", have.size, per_zone * zones, resized)
        yield from self._updates(env, have)
        if have.status == "INCOMPLETE":
            arrive = Joining(have.id)
            yield Edit("nodes", have.healthy, have.least, lambda: arrive)

    def _updates(self, env: Env[Clients], have: NodePoolState) -> Iterator[Edit]:
        """What ``projects.locations.clusters.nodePools.update`` changes, a thing a call."""

        def update(**wanted: Any) -> partial[Operation[Clients]]:
            request = {"name": have.path, **wanted}
            return partial(begin, env.client, "update_node_pool", request)

        labels, wanted = dict(self.labels), self.body["config"]["workloadMetadataConfig"]
        yield from edit("labels", have.labels, labels, update(labels={"labels": labels}))
        ours = frozenset(self.taints)
        theirs = frozenset(t for t in have.taints - ours if t[0] in OF_GKE)
        tainted = update(taints={"taints": taints((*self.taints, *sorted(theirs)))})
        yield from edit("taints", have.taints - theirs, ours, tainted)
        hidden = update(nodeNetworkConfig={"enablePrivateNodes": True})
        yield from edit("private nodes", have.private, True, hidden)
        served = update(workloadMetadataConfig=wanted)
        yield from edit("metadata server", have.mode, wanted["mode"], served)
        if minor(have.version) < minor(self.version):
            move_on = update(nodeVersion=self.version)
            yield Edit("version", have.version, self.version, move_on)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> Operation[Clients]:
        for cluster in owned(scope.client, scope.cluster):
            for shown in cluster.pools:
                if shown["name"] == identifier:
                    # those of others too: the call replaces all
                    there = (shown.get("config") or {}).get("resourceLabels") or {}
                    path = f"{cluster.path}/nodePools/{identifier}"
                    request = {"name": path, "resourceLabels": {"labels": {**there, **labels}}}
                    return begin(scope.client, "update_node_pool", request)
        raise Gone(f"there is no node pool {identifier} in the cluster", where=cls.kind)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: NodePoolState) -> Operation[Clients]:
        return begin(scope.client, "delete_node_pool", {"name": have.path})


@dataclass(frozen=True)
class Joining:
    """A running pool whose machines become nodes."""

    pool: str

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """Done when its nodes are Ready; failed when GKE says why they will not be."""
        have = next((one for one in NodePool.list(scope) if one.id == self.pool), None)
        if have is None or have.status != "INCOMPLETE":
            return Done()
        error = ERRORS.hopeless(have.told, "container.projects.locations.clusters.nodePools.get")
        return Failed(error) if error else Running(have.reason)


def pools(scope: Scope[Clients]) -> list[NodePoolState]:
    """The cluster's node pools, ours or not, with the sizes of their instance groups."""
    there = owned(scope.client, scope.cluster)
    found = [_state(cluster, shown) for cluster in there for shown in cluster.pools]
    if not any(have.groups for have in found):
        return found
    sizes: Counter[str] = Counter()
    for group in scope.client.aggregated("instanceGroupManagers"):
        sizes[_group(group.get("selfLink", ""))] += int(group.get("targetSize") or 0)
    return [
        replace(have, size=sum(sizes[group] for group in have.groups)) if have.groups else have
        for have in found
    ]


def _group(link: str) -> str:
    """``ZONE/NAME`` of the link of an instance group or its manager."""
    zone, _, name = link.partition("/zones/")[2].partition("/")
    return f"{zone}/{name.rpartition('/')[2]}"


def _state(cluster: ClusterState, shown: Mapping[str, Any]) -> NodePoolState:
    config, scaling = shown.get("config") or {}, shown.get("autoscaling") or {}
    tags = config.get("resourceLabels") or {}
    zones = tuple(sorted(shown.get("locations") or ()))
    return NodePoolState(
        id=shown["name"],
        cluster=cluster.path,
        phase=shown.get("status", ""),
        # what a cluster's labels may have been passed on to is not ours
        tags=tags if tags.get(NAME) == shown["name"] else {},
        version=shown.get("version", ""),
        machine_type=config.get("machineType", ""),
        disk=int(config.get("diskSizeGb") or 0),
        spot=bool(config.get("spot")),
        zones=zones,
        automatic=bool(scaling.get("enabled")),
        minimum=int(scaling.get("totalMinNodeCount") or 0),
        maximum=int(scaling.get("totalMaxNodeCount") or 0),
        groups=frozenset(map(_group, shown.get("instanceGroupUrls") or ())),
        labels=config.get("labels") or {},
        taints=frozenset(
            (each["key"], each.get("value", ""), _WORDS.get(each.get("effect", ""), ""))
            for each in config.get("taints") or ()
        ),
        mode=(config.get("workloadMetadataConfig") or {}).get("mode", ""),
        private=bool((shown.get("networkConfig") or {}).get("enablePrivateNodes")),
        account=config.get("serviceAccount", ""),
        size=int(shown.get("initialNodeCount") or 0) * len(zones),
        told=why(shown),
    )
