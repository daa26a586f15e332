"""The lives of agent pools: machines come, are drained and go.

The changes here are made by the clock, never with the store's lock held while Kubernetes is called.
Machines that leave are cordoned and drained; a pool is deleted after its pods have gone, or fails
to after ten minutes (PodDrainFailure: terraform-provider-azurerm#10411). An upgrade replaces
machines one by one, each new one first (the vendor's page "Upgrade an AKS cluster").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clusterkit_sandbox.azure import machines, noderesources
from clusterkit_sandbox.azure.resources import AgentPool, Cluster, Machine, ScaleSet
from clusterkit_sandbox.azure.running import FAILED, ArmOperation
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.kit.cluster import Endpoints
from clusterkit_sandbox.kit.drain import drain
from clusterkit_sandbox.kit.operations import Error
from clusterkit_sandbox.kube.interfaces import Node

_PATIENCE = 10.0
"""Minimum seconds for a drain, at any pace."""
GONE = ("NotFound", "The resource is gone.")


class PoolLife:
    """The changes of all agent pools."""

    def __init__(self, store: Store, endpoints: Endpoints) -> None:
        self._store = store
        self._endpoints = endpoints

    def change(
        self, cluster: Cluster, pool: AgentPool, operation: ArmOperation, terminal: bool
    ) -> None:
        """Bring a pool to its wanted state."""
        new = machines.scale_set(self._store, pool) is None

        def changed() -> None:
            with self._store.lock:
                if self._store.get(AgentPool, pool.id) is not pool:
                    self._store.operations.end(operation, GONE)
                    return
                if terminal:
                    pool.properties["provisioningState"] = "Failed"
                    self._store.operations.end(operation, FAILED)
                    return
            self.bring(cluster, [pool], ended)

        def ended(error: Error | None) -> None:
            with self._store.lock:
                self._store.put(pool)
                self._store.operations.end(operation, error)

        what = "azure/agentpool/create" if new else "azure/agentpool/update"
        self._store.clock.later(what, changed)

    def delete(
        self, cluster: Cluster, pool: AgentPool, operation: ArmOperation, *, evict: bool
    ) -> None:
        """Drain the pool's nodes, and remove it."""
        pool.properties["provisioningState"] = "Deleting"

        def deleted() -> None:
            with self._store.lock:
                found = machines.scale_set(self._store, pool)
                if found is not None:
                    self._store.remove(found)
                self._store.remove(pool)
                self._store.operations.end(operation)
            self.sync(cluster)

        def stuck(staying: Sequence[str]) -> None:
            with self._store.lock:
                pool.properties["provisioningState"] = "Failed"
                text = (
                    "Delete agentpool failed: PodDrainFailure: Drain did not complete pods"
                    f" {', '.join(staying)} within 10m0s. See http://aka.ms/aks/debugdrainfailures"
                )
                self._store.operations.end(operation, ("DeleteVMSSAgentPoolFailed", text))

        found = machines.scale_set(self._store, pool)
        names = self._names(found, found.machines) if found is not None else []
        then = lambda: self._store.clock.later("azure/agentpool/delete", deleted)  # noqa: E731
        self._drain(cluster, names, then, stuck, evict=evict)

    def bring(
        self, cluster: Cluster, pools: list[AgentPool], then: Callable[[Error | None], None]
    ) -> None:
        """Bring pools to their wanted states, one after the other, ``then`` go on."""
        if not pools:
            then(None)
            return
        pool, *rest = pools

        def next_one(error: Error | None) -> None:
            if error is None:
                self.bring(cluster, rest, then)
            else:
                then(error)

        def surplus_gone() -> None:
            with self._store.lock:
                error = self.settle(cluster, pool)
            self.sync(cluster)
            if error is not None:
                next_one(error)
            else:
                self._roll(cluster, pool, next_one)

        def stuck(_: Sequence[str]) -> None:
            surplus_gone()  # a smaller count goes on without them

        with self._store.lock:
            found = machines.scale_set(self._store, pool)
            over = found.machines[pool.wanted :] if found is not None else []
            names = self._names(found, over) if found is not None else []
        self._drain(cluster, names, surplus_gone, stuck)

    def _roll(
        self, cluster: Cluster, pool: AgentPool, then: Callable[[Error | None], None]
    ) -> None:
        """Replace the machines of another version, one by one."""
        with self._store.lock:
            found = machines.scale_set(self._store, pool)
            wanted = pool.properties["currentOrchestratorVersion"]
            old = [m for m in found.machines if m.version != wanted] if found is not None else []
            if not old or found is None:
                pool.properties["provisioningState"] = "Succeeded"
                then(None)
                return
            pool.properties["provisioningState"] = "Upgrading"
            error = machines.add(self._store, pool, found)
            if error is not None:
                pool.properties["provisioningState"] = "Failed"
                then(error)
                return
        self.sync(cluster)

        def drained() -> None:
            with self._store.lock:
                if old[0] in found.machines:
                    found.machines.remove(old[0])
            self.sync(cluster)
            self._roll(cluster, pool, then)

        def stuck(staying: Sequence[str]) -> None:
            with self._store.lock:
                pool.properties["provisioningState"] = "Failed"
            name = machines.node_name(found, old[0])
            text = (
                f"Upgrade failed: Drain node {name} failed when evicting pod {staying[0]}. See"
                " http://aka.ms/aks/debugdrainfailures"
            )
            then(("UpgradeFailed", text))

        self._drain(cluster, self._names(found, old[:1]), drained, stuck)

    def grow(self, cluster: Cluster, pool: AgentPool) -> None:
        """Let the scale set come to the pool's count, as the autoscaler asks: no operation."""

        def grown() -> None:
            with self._store.lock:
                if self._store.get(AgentPool, pool.id) is not pool:
                    return
                group = noderesources.node_group(self._store, cluster)
                found = machines.scale_set(self._store, pool)
                if group is None or found is None:
                    return
                if machines.settle(self._store, cluster, pool, group) is not None:
                    # what could not be made is not waited for
                    pool.properties["count"] = len(found.machines)
            self.sync(cluster)

        self._store.clock.later("azure/agentpool/scale", grown)

    def settle(self, cluster: Cluster, pool: AgentPool) -> Error | None:
        """Make the pool's machines as many as they should be; say why they cannot."""
        group = noderesources.node_group(self._store, cluster)
        if group is None:
            return "ResourceGroupNotFound", "The node resource group could not be found."
        error = machines.settle(self._store, cluster, pool, group)
        pool.properties["provisioningState"] = "Succeeded" if error is None else "Failed"
        return error

    def _names(self, found: ScaleSet, some: Sequence[Machine]) -> list[str]:
        return [machines.node_name(found, one) for one in some if one.joined]

    def sync(self, cluster: Cluster) -> None:
        """Update the node objects in Kubernetes."""

        def joined() -> list[Node]:
            with self._store.lock:
                return machines.nodes(self._store, cluster)

        self._endpoints.sync(cluster.id, joined)

    def _drain(
        self,
        cluster: Cluster,
        names: Sequence[str],
        then: Callable[[], None],
        stuck: Callable[[Sequence[str]], None],
        *,
        evict: bool = True,
    ) -> None:
        clock = self._store.clock

        def wanted() -> bool:
            with self._store.lock:
                return self._store.get(Cluster, cluster.id) is cluster

        drain(
            clock,
            lambda: self._endpoints.drainer(cluster.id),
            names,
            max(_PATIENCE, clock.pace.seconds("azure/agentpool/drain")),
            evict=evict,
            then=then,
            failed=stuck,
            wanted=wanted,
        )
