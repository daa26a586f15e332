"""The lifecycle of node pools: instances are created, drained and removed.

The changes here are made by the clock, never with the store's lock held while Kubernetes is called.
Machines that leave are cordoned and drained first, by a call that removes nodes, by a smaller
desired size, and by a pool that is deleted by force (operators have seen all three do so, and a
drain that a PodDisruptionBudget held up; vendor: "Remove a node", up to 30 minutes). Below the
least size of its scaling group a pool gets new machines, and with a protected group it cannot be
deleted (``scaling.py``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from clusterkit_sandbox.alibaba.models import Cluster, Instance, NodePool, Task
from clusterkit_sandbox.alibaba.nodes import detach, node, node_name, remove_instance, settle
from clusterkit_sandbox.alibaba.store import Store
from clusterkit_sandbox.kit.cluster import Endpoints
from clusterkit_sandbox.kit.drain import drain
from clusterkit_sandbox.kube.interfaces import Node

REMOVING = "removing_nodes"
"""The published list of states says ``removing``; every operator who quoted one saw this."""
_PATIENCE = 10.0
"""Minimum seconds for a drain, at any pace."""


class PoolLife:
    """The changes of all node pools."""

    def __init__(self, store: Store, endpoints: Endpoints) -> None:
        self._store = store
        self._endpoints = endpoints

    def scale(
        self,
        pool: NodePool,
        task: Task,
        what: str,
        *,
        state: str = "scaling",
        terminal: bool = False,
    ) -> None:
        """Scale the pool to its desired size; or let its instances fail to join."""

        def scaled() -> None:
            with self._store.lock:
                if self._store.get(NodePool, pool.id) is None:
                    return
                error = settle(self._store, pool, joining=not terminal)
                self._end(pool, task, error)
            self.sync(pool.cluster)

        surplus = self._machines(pool)[pool.desired :]
        _set(pool, REMOVING if surplus else state)
        if surplus:
            self._drain(pool, surplus, task, lambda: self._store.later(what, scaled))
        else:
            self._store.later(what, scaled)

    def remove(
        self,
        pool: NodePool,
        instances: Sequence[Instance],
        task: Task,
        *,
        drain: bool,
        release: bool,
        at_once: bool,
    ) -> None:
        """Take these machines out, and out of the desired size: one after the other, or all
        ``at_once``. Those that are not released stay as the user's own.
        """
        _set(pool, REMOVING)
        waiting = list(instances)
        seconds = self._store.seconds("nodepool/scale")

        def removed() -> None:
            with self._store.lock:
                if self._store.get(NodePool, pool.id) is None:
                    return
                for instance in waiting if at_once else waiting[:1]:
                    (remove_instance if release else detach)(self._store, instance)
                    pool.desired = max(pool.least, pool.desired - 1)
                del waiting[: len(waiting) if at_once else 1]
                if "desired_size" in pool.body["scaling_group"]:
                    pool.body["scaling_group"]["desired_size"] = pool.desired
                if not waiting:
                    self._end(pool, task, settle(self._store, pool, joining=True))
            self.sync(pool.cluster)
            if waiting:
                later()

        def later() -> None:
            self._store.clock.after(seconds if at_once else seconds / len(instances), removed)

        self._drain(pool, instances, task, later, evict=drain)

    def grow(self, pool: NodePool) -> None:
        """Let the scaling group come to its desired size, without a task of Container Service."""

        def grown() -> None:
            with self._store.lock:
                if self._store.get(NodePool, pool.id) is not pool:
                    return
                if settle(self._store, pool, joining=True) is not None:
                    # a scaling activity that fails leaves the group as it is
                    pool.desired = max(pool.least, len(self._machines(pool)))
            self.sync(pool.cluster)

        self._store.later("nodepool/scale", grown)

    def shrink(self, pool: NodePool, instances: Sequence[Instance]) -> None:
        """Take machines that are empty already out of the scaling group, and release them."""
        with self._store.lock:
            for instance in instances:
                remove_instance(self._store, instance)
            pool.desired = max(pool.least, pool.desired - len(instances))
        self.sync(pool.cluster)

    def configure(self, cluster: Cluster, task: Task, then: Callable[[], None]) -> None:
        """Make a change of what scales the pools, and let that look at them."""

        def configured() -> None:
            with self._store.lock:
                then()
                self._store.tasks.end(task)
            self.sync(cluster.id)

        self._store.later("nodepool/config", configured)

    def delete(self, pool: NodePool, task: Task) -> None:
        """Remove the pool with its machines; it is ``delete_failed`` if they cannot be drained."""
        _set(pool, "deleting")

        def deleted() -> None:
            with self._store.lock:
                if self._store.get(NodePool, pool.id) is None:
                    return
                if pool.protected:
                    # the code is not documented
                    reason = "The scaling group of the node pool is protected from deletion."
                    self._store.tasks.end(task, ("OperationDenied", reason))
                    _set(pool, "delete_failed")
                    return
                remove_pool(self._store, pool)
                self._store.tasks.end(task)
            self.sync(pool.cluster)

        machines = self._machines(pool)
        if not machines:
            self._store.later("nodepool/delete-empty", deleted)
            return
        then = lambda: self._store.later("nodepool/delete", deleted)  # noqa: E731
        self._drain(pool, machines, task, then, failed="delete_failed")

    def change(self, pool: NodePool, task: Task, what: str, then: Callable[[], None]) -> None:
        """Keep the pool ``updating`` while ``what`` takes its time; ``then`` makes the change."""
        _set(pool, "updating")

        def done() -> None:
            then()
            _set(pool, "active")

        self._store.tasks.end_later(task, f"alibaba/{what}", done)

    def sync(self, cluster: str) -> None:
        """Update the node objects in Kubernetes."""

        def joined() -> list[Node]:
            with self._store.lock:
                return [
                    node(instance)
                    for instance in self._store.all(Instance)
                    if instance.cluster == cluster and instance.joined
                ]

        self._endpoints.sync(cluster, joined)

    def _machines(self, pool: NodePool) -> list[Instance]:
        return [i for i in self._store.all(Instance) if i.pool == pool.id]

    def _end(self, pool: NodePool, task: Task, error: tuple[str, str] | None) -> None:
        self._store.tasks.end(task, error)
        _set(pool, "active")

    def _drain(
        self,
        pool: NodePool,
        instances: Sequence[Instance],
        task: Task,
        then: Callable[[], None],
        *,
        evict: bool = True,
        failed: str = "active",
    ) -> None:
        """Empty the nodes of these machines, looking again and again, ``then`` go on."""
        patience = max(_PATIENCE, self._store.seconds("nodepool/drain"))
        names = [node_name(instance) for instance in instances if instance.joined]

        def wanted() -> bool:
            with self._store.lock:
                return self._store.get(NodePool, pool.id) is not None

        def stuck(staying: Sequence[str]) -> None:
            with self._store.lock:
                # the code is not documented
                reason = f"Pods could not be evicted: {', '.join(staying)}."
                self._store.tasks.end(task, ("OperationDenied", reason))
                _set(pool, failed)

        drain(
            self._store.clock,
            lambda: self._endpoints.drainer(pool.cluster),
            names,
            patience,
            evict=evict,
            then=then,
            failed=stuck,
            wanted=wanted,
        )


def _set(pool: NodePool, state: str) -> None:
    pool.state, pool.updated = state, time.time()


def remove_pool(store: Store, pool: NodePool) -> None:
    """Remove the pool and its instances."""
    for instance in store.all(Instance):
        if instance.pool == pool.id:
            remove_instance(store, instance)
    store.remove(pool)
