"""The lifecycle of node pools: machines come, are replaced and go.

The changes here are made by the clock, never with the store's lock held while Kubernetes is called.
Nodes that go with their pool, or are replaced, are cordoned and drained first, and go all the same
after an hour (vendor: "Deleting a node pool", "Node upgrade strategies": PodDisruptionBudgets and
grace periods are respected for up to an hour). A pool that is made smaller drains nothing (vendor:
"Resizing a cluster").
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from clusterkit_sandbox.google.clusterrecords import Cluster, NodePool, Operation
from clusterkit_sandbox.google.nodes import (
    INTERNAL,
    Trouble,
    machines_of,
    nodes_of,
    remove_groups,
    remove_machine,
    settle,
    zone_of,
)
from clusterkit_sandbox.google.resources import Instance
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.kit.cluster import Endpoints
from clusterkit_sandbox.kit.drain import drain
from clusterkit_sandbox.kit.life import Life
from clusterkit_sandbox.kit.operations import Operations
from clusterkit_sandbox.kube.interfaces import Node

_FAILED = replace(INTERNAL, some=True)
_PATIENCE = 10.0
"""Least seconds for a drain, at any pace."""


class PoolLife:
    """The changes of all node pools."""

    def __init__(
        self, store: Store, endpoints: Endpoints, operations: Operations[Operation]
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._operations = operations
        self._life = Life(store.clock, store.lock, "status")

    def show(self, pool: NodePool, state: str, message: str = "") -> None:
        """Show a state of a pool, and why."""
        self._life.show(pool, state)
        pool.shown.pop("statusMessage", None)
        if message:
            pool.shown["statusMessage"] = message
        pool.shown["etag"] = str(uuid.uuid4())

    def settled(self, pool: NodePool, trouble: Trouble | None) -> None:
        """Show what became of a pool."""
        pool.shown.pop("conditions", None)
        if trouble is None:
            self.show(pool, "RUNNING")
            return
        self.show(pool, "RUNNING_WITH_ERROR" if trouble.some else "ERROR", trouble.message)
        if trouble.condition:
            pool.shown["conditions"] = [trouble.condition]

    def end(self, operation: Operation, trouble: Trouble | None) -> None:
        """End an operation as done, or with what went wrong."""
        if trouble is not None and trouble.condition:
            operation.conditions = [trouble.condition]
        error = None if trouble is None else (trouble.code, trouble.message)
        self._operations.end(operation, error)

    def change(
        self,
        cluster: Cluster,
        pool: NodePool,
        operation: Operation,
        what: str,
        then: Callable[[], None],
    ) -> None:
        """Keep the pool ``RECONCILING`` while ``what`` takes its time; ``then`` makes the change,
        with the lock, and the pool comes to its sizes. A new pool has no nodes before.
        """
        new = operation.kind == "CREATE_NODE_POOL"
        self.show(pool, "PROVISIONING" if new else "RECONCILING")

        def changed() -> None:
            with self._store.lock:
                if self._store.get(NodePool, pool.id, pool.scope) is not pool:
                    return
                trouble: Trouble | None = _FAILED
                if new or not operation.doomed:
                    then()
                    trouble = settle(self._store, cluster, pool, doomed=operation.doomed)
                self.settled(pool, trouble)
                self.end(operation, trouble)
            self.sync(cluster)

        self._store.clock.later(what, changed)

    def replace(
        self, cluster: Cluster, pool: NodePool, operation: Operation, then: Callable[[], None]
    ) -> None:
        """Make the change, and replace every machine by one that has it, a few at a time."""
        settings = pool.shown.get("upgradeSettings") or {}
        batch = int(settings.get("maxSurge", 1)) + int(settings.get("maxUnavailable", 0))
        with self._store.lock:
            if not operation.doomed:
                then()
            old = [machine.name for machine in machines_of(self._store, pool)]
        self.show(pool, "RECONCILING")

        def step() -> None:
            with self._store.lock:
                if self._store.get(NodePool, pool.id, pool.scope) is not pool:
                    return
                mine = {one.name: one for one in machines_of(self._store, pool)}
                leaving = [mine[name] for name in old if name in mine][: max(1, batch)]
                trouble = _FAILED if operation.doomed else None
                if leaving and trouble is None:
                    trouble = settle(self._store, cluster, pool, surge=_by_zone(leaving))
                if trouble is not None or not leaving:
                    self.settled(pool, trouble)
                    self.end(operation, trouble)
            self.sync(cluster)
            if leaving and trouble is None:
                self._empty(cluster, pool, leaving, lambda: later(leaving))

        def later(leaving: Sequence[Instance]) -> None:
            def gone() -> None:
                with self._store.lock:
                    for machine in leaving:
                        remove_machine(self._store, pool, machine)
                self.sync(cluster)
                step()

            self._store.clock.later("google/node-pool/update", gone)

        self._store.clock.after(0, step)

    def grow(self, cluster: Cluster, pool: NodePool) -> None:
        """Let the groups come to their sizes, as an autoscaler asks: without an operation."""

        def grown() -> None:
            with self._store.lock:
                if self._store.get(NodePool, pool.id, pool.scope) is not pool:
                    return
                if settle(self._store, cluster, pool) is not None:
                    # what could not be made is not waited for
                    have = _by_zone(machines_of(self._store, pool))
                    pool.sizes = {zone: have.get(zone, 0) for zone in pool.sizes}
            self.sync(cluster)

        self._store.clock.later("google/node-pool/resize", grown)

    def shrink(self, cluster: Cluster, pool: NodePool, machines: Sequence[Instance]) -> None:
        """Remove machines that are empty already."""
        with self._store.lock:
            for machine in machines:
                remove_machine(self._store, pool, machine)
        self.sync(cluster)

    def delete(self, cluster: Cluster, pool: NodePool, operation: Operation) -> None:
        """Drain the pool's nodes and remove it."""
        self.show(pool, "STOPPING")

        def deleted() -> None:
            with self._store.lock:
                if self._store.get(NodePool, pool.id, pool.scope) is not pool:
                    return
                if operation.doomed:
                    self.show(pool, "ERROR", INTERNAL.message)
                    self.end(operation, INTERNAL)
                    return
                remove_pool(self._store, pool)
                self.end(operation, None)
            self.sync(cluster)

        with self._store.lock:
            machines = machines_of(self._store, pool)
        what = "google/node-pool/delete"
        self._empty(cluster, pool, machines, lambda: self._store.clock.later(what, deleted))

    def _empty(
        self,
        cluster: Cluster,
        pool: NodePool,
        machines: Sequence[Instance],
        then: Callable[[], None],
    ) -> None:
        """Cordon and drain nodes, and go on when they are empty or time is over."""
        patience = self._store.clock.pace.seconds("google/node-pool/drain")

        def wanted() -> bool:
            with self._store.lock:
                return self._store.get(NodePool, pool.id, pool.scope) is pool

        drain(
            self._store.clock,
            lambda: self._endpoints.drainer(cluster.id),
            [machine.name for machine in machines],
            max(_PATIENCE, patience),
            evict=True,
            then=then,
            failed=lambda _: then(),
            wanted=wanted,
        )

    def sync(self, cluster: Cluster) -> None:
        """Update the node objects in Kubernetes."""

        def joined() -> list[Node]:
            with self._store.lock:
                pools = self._store.all(NodePool, cluster.id)
                return [one for pool in pools for one in nodes_of(self._store, cluster, pool)]

        self._endpoints.sync(cluster.id, joined)


def _by_zone(machines: Sequence[Instance]) -> Mapping[str, int]:
    zones = [zone_of(machine) for machine in machines]
    return {zone: zones.count(zone) for zone in zones}


def remove_pool(store: Store, pool: NodePool) -> None:
    """Remove the pool with its machines and their groups."""
    for machine in machines_of(store, pool):
        remove_machine(store, pool, machine)
    remove_groups(store, pool)
    store.remove(pool)
