"""The autoscaler that Kubernetes Service runs itself for pools that ask for it.

Vendor: "Use the cluster autoscaler in Azure Kubernetes Service" (its profile has the flags of the
cluster autoscaler, with another default for nodes with local storage); it sets the capacity of the
scale sets. Its groups have the names of those (public events: kubernetes/autoscaler issues).
"""

from __future__ import annotations

from collections.abc import Sequence

from clusterkit_sandbox.azure import machines
from clusterkit_sandbox.azure.poollife import PoolLife
from clusterkit_sandbox.azure.resources import AgentPool, Cluster, ScaleSet
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.kube.interfaces import NodeGroup
from clusterkit_sandbox.kube.scalerflags import rules

_LOCAL = "skip-nodes-with-local-storage"
_DEFAULT = {_LOCAL: "false"}


class PoolScaling:
    """Implements ``kube.interfaces.Scaling``."""

    def __init__(self, store: Store, pools: PoolLife, cluster: Cluster) -> None:
        self._store = store
        self._pools = pools
        self._cluster = cluster
        profile = {**_DEFAULT, **(cluster.properties.get("autoScalerProfile") or {})}
        self.rules = rules({name: [str(value)] for name, value in profile.items() if value})

    def groups(self) -> Sequence[NodeGroup]:
        """The scale sets of the pools that scale by themselves."""
        with self._store.lock:
            return [
                self._group(pool, found)
                for pool in self._store.under(AgentPool, self._cluster.id)
                if scales(pool)
                and pool.state != "Deleting"
                and (found := machines.scale_set(self._store, pool)) is not None
            ]

    def _group(self, pool: AgentPool, found: ScaleSet) -> NodeGroup:
        return NodeGroup(
            found.name,
            int(pool.properties["minCount"]),
            int(pool.properties["maxCount"]),
            int(pool.properties["count"]),
            machines.template(self._cluster, pool, found),
            tuple(
                machines.node(self._cluster, pool, found, one).provider_id
                for one in found.machines
                if one.joined
            ),
        )

    def grow(self, group: str, size: int) -> None:
        """Set the scale set's capacity."""
        with self._store.lock:
            pool, _ = self._find(group)
            pool.properties["count"] = size
        self._pools.grow(self._cluster, pool)

    def remove(self, group: str, some: Sequence[str]) -> None:
        """Delete machines of the scale set."""
        with self._store.lock:
            pool, found = self._find(group)
            found.machines[:] = [
                one
                for one in found.machines
                if machines.node(self._cluster, pool, found, one).provider_id not in some
            ]
            pool.properties["count"] = max(0, int(pool.properties["count"]) - len(some))
            found.shown["sku"]["capacity"] = len(found.machines)
        self._pools.sync(self._cluster)

    def _find(self, group: str) -> tuple[AgentPool, ScaleSet]:
        for pool in self._store.under(AgentPool, self._cluster.id):
            found = machines.scale_set(self._store, pool)
            if found is not None and found.name == group:
                return pool, found
        raise RuntimeError(f"ResourceNotFound: the scale set {group} could not be found")


def scales(pool: AgentPool) -> bool:
    """Whether a pool scales by itself."""
    return bool(pool.properties.get("enableAutoScaling"))
