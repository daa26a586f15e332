"""The autoscaler that Container Engine runs itself for pools that ask for it.

Vendor: "About GKE cluster autoscaling" (it resizes the managed instance groups, of which each zone
has one, without an operation on the cluster; limits are those of each zone, or total ones), and
``NodePoolAutoscaling`` of the API. Its groups have the names of public events
(GoogleCloudPlatform/gke-batch and others): the links of their managed instance groups.
"""

from __future__ import annotations

from collections.abc import Sequence

from clusterkit_sandbox.google.clusterrecords import Cluster, NodePool
from clusterkit_sandbox.google.nodes import machines_of, managers_of, nodes_of, template, zone_of
from clusterkit_sandbox.google.poollife import PoolLife
from clusterkit_sandbox.google.resources import link_to
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.kube.interfaces import NodeGroup, ScalingRules

_GROUPS = ("/instanceGroupManagers/", "/instanceGroups/")


class PoolScaling:
    """Implements ``kube.interfaces.Scaling``."""

    rules = ScalingRules()

    def __init__(self, store: Store, pools: PoolLife, cluster: Cluster) -> None:
        self._store = store
        self._pools = pools
        self._cluster = cluster

    def groups(self) -> Sequence[NodeGroup]:
        """The groups of the pools that scale by themselves, one of each zone."""
        with self._store.lock:
            return [
                self._group(pool, zone, path)
                for pool in self._store.all(NodePool, self._cluster.id)
                if scales(pool)
                for zone, path in pool.managers.items()
            ]

    def _group(self, pool: NodePool, zone: str, path: str) -> NodeGroup:
        asked = pool.shown["autoscaling"]
        others = sum(size for where, size in pool.sizes.items() if where != zone)
        if asked.get("totalMaxNodeCount"):
            least = int(asked.get("totalMinNodeCount") or 0) - others
            most = int(asked["totalMaxNodeCount"]) - others
        else:
            least, most = int(asked.get("minNodeCount") or 0), int(asked.get("maxNodeCount") or 0)
        names = {one.name for one in machines_of(self._store, pool) if zone_of(one) == zone}
        nodes = [one for one in nodes_of(self._store, self._cluster, pool) if one.name in names]
        return NodeGroup(
            link_to(path).replace(*_GROUPS),
            max(0, least),
            max(0, most),
            pool.sizes.get(zone, 0),
            template(self._cluster, pool, zone),
            tuple(one.provider_id for one in nodes),
        )

    def grow(self, group: str, size: int) -> None:
        """Resize the managed instance group."""
        with self._store.lock:
            pool, zone = self._find(group)
            pool.sizes = {**pool.sizes, zone: size}
        self._pools.grow(self._cluster, pool)

    def remove(self, group: str, machines: Sequence[str]) -> None:
        """Delete machines of the managed instance group, which makes it smaller."""
        with self._store.lock:
            pool, zone = self._find(group)
            names = {one.rpartition("/")[2] for one in machines}
            some = [one for one in machines_of(self._store, pool) if one.name in names]
            size = max(0, pool.sizes[zone] - len(some))
            pool.sizes = {**pool.sizes, zone: size}
        self._pools.shrink(self._cluster, pool, some)

    def _find(self, group: str) -> tuple[NodePool, str]:
        for pool in self._store.all(NodePool, self._cluster.id):
            for zone, manager in managers_of(self._store, pool).items():
                if link_to(manager.path).replace(*_GROUPS) == group:
                    return pool, zone
        raise RuntimeError(f"googleapi: Error 404: The resource '{group}' was not found, notFound")


def scales(pool: NodePool) -> bool:
    """Whether a pool scales by itself, and is to stay."""
    leaving = pool.shown["status"] == "STOPPING"
    return bool((pool.shown.get("autoscaling") or {}).get("enabled")) and not leaving
