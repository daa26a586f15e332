"""The lifecycle of clusters: endpoint, nodes, changes and deletion.

The changes here are made by the clock, never with the store's lock held while Kubernetes is called.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from clusterkit_sandbox.alibaba import system
from clusterkit_sandbox.alibaba.catalogue import minor
from clusterkit_sandbox.alibaba.hooks import ClusterControllers, remove_balancer, storage_classes
from clusterkit_sandbox.alibaba.models import (
    Cluster,
    Disk,
    Eip,
    Instance,
    LoadBalancer,
    NatGateway,
    NetworkInterface,
    NodePool,
    Role,
    SecurityGroup,
    SnatEntry,
    Task,
    Thing,
)
from clusterkit_sandbox.alibaba.poollife import PoolLife, remove_pool
from clusterkit_sandbox.alibaba.store import Store
from clusterkit_sandbox.kit.cluster import Endpoints
from clusterkit_sandbox.kit.system import Installer, Object
from clusterkit_sandbox.kube.interfaces import KubeServer

_LOG = logging.getLogger(__name__)
Rights = Callable[[Cluster], Iterable[Object]]
TERMINAL = ("InternalError", "The sandbox was asked to let this fail.")


class ClusterLife:
    """The changes and endpoints of all clusters."""

    def __init__(self, store: Store, server: KubeServer, rights: Rights) -> None:
        """``rights`` says which roles and bindings a new cluster has."""
        self._store = store
        self._rights = rights
        self._endpoints = Endpoints(server, "alibaba-")
        self.pools = PoolLife(store, self._endpoints)
        self.system = Installer(self._endpoints, store.clock, "ack")

    def clear(self) -> None:
        """Close every endpoint."""
        self._endpoints.clear()

    def serves(self, cluster: Cluster) -> bool:
        """Whether the cluster's API server is up."""
        return self._endpoints.get(cluster.id) is not None

    def renamed(self, cluster: Cluster) -> None:
        """Apply a changed public address to the endpoint."""
        self._endpoints.rename(cluster.id, (cluster.public_address, cluster.private_address))

    def certificate(self, cluster: Cluster, user: str, seconds: float) -> tuple[str, str, str]:
        """CA, client certificate and key (PEM) for a user or role, of a running cluster."""
        endpoint = self._endpoints.get(cluster.id)
        assert endpoint is not None
        certificate, key = endpoint.client_certificate(user, ("system:users",), seconds)
        return endpoint.ca_pem, certificate, key

    def create(
        self,
        cluster: Cluster,
        task: Task,
        pools: Sequence[tuple[NodePool, Task]],
        terminal: bool,
    ) -> None:
        """Bring up the cluster and then its pools; or let it fail, if ``terminal``."""

        def come_up() -> None:
            with self._store.lock:
                if self._store.get(Cluster, cluster.id) is None:
                    return
                if terminal:
                    cluster.state = "failed"
                    self._store.tasks.end(task, TERMINAL)
                    return
            try:
                self._open(cluster)
            except Exception as error:
                _LOG.exception("the endpoint of %s did not open", cluster.id)
                with self._store.lock:
                    cluster.state = "failed"
                    self._store.tasks.end(task, ("InternalError", str(error)))
                return
            with self._store.lock:
                # it is still there: it takes no deletion now, and a reset waits for this change
                cluster.state = "running"
                self._store.tasks.end(task)
                for pool, pool_task in pools:
                    self.pools.scale(pool, pool_task, "nodepool/create")

        self._store.later("cluster/create", come_up)

    def _open(self, cluster: Cluster) -> None:
        self._endpoints.open(
            cluster.id,
            hosts=(cluster.public_address, cluster.private_address),
            version=minor(cluster.version),
            review=_no_token,
            hooks=ClusterControllers(self._store, cluster.id, self.pools),
            admins=(cluster.creator,),
            services=cluster.service_cidr,
            objects=[
                *(storage_classes() if "csi-plugin" in cluster.addons else ()),
                *system.of_cluster(
                    cluster.addons, cluster.region, cluster.service_cidr, cluster.version
                ),
                *self._rights(cluster),
            ],
        )

    def change(
        self,
        cluster: Cluster,
        task: Task,
        what: str,
        state: str = "updating",
        then: Callable[[], None] | None = None,
    ) -> None:
        """Keep the cluster in ``state`` while ``what`` takes its time; ``then`` makes the change,
        with the store's lock.
        """
        cluster.state, cluster.updated = state, time.time()

        def done() -> None:
            if cluster.state == state:
                cluster.state, cluster.updated = "running", time.time()
            if then is not None:
                then()

        self._store.tasks.end_later(task, f"alibaba/{what}", done)

    def install(self, cluster: Cluster, addons: Mapping[str, str]) -> None:
        """Add these add-ons, with their configurations, to the cluster's."""
        cluster.addons.update(addons)
        self.system.install(cluster.id, self._objects(cluster, addons))

    def uninstall(self, cluster: Cluster, addons: Sequence[str]) -> None:
        """Take these away."""
        self.system.uninstall(cluster.id, self._objects(cluster, addons))
        for name in addons:
            cluster.addons.pop(name, None)

    def _objects(self, cluster: Cluster, addons: Iterable[str]) -> Iterator[Object]:
        return system.of_addons(addons, cluster.region, cluster.service_cidr)

    def delete(self, cluster: Cluster, task: Task, balancers: bool) -> None:
        """Remove the cluster and what it made, but for what is retained; ``balancers`` says
        whether those that Services made go too.
        """
        cluster.state, cluster.updated = "deleting", time.time()

        def deleted() -> None:
            with self._store.lock:
                reason = self._remove(cluster, balancers)
                if reason is not None:
                    cluster.state = "delete_failed"
                    self._store.tasks.end(task, ("DependencyViolation", reason))
                    return
                self._store.tasks.end(task)
                self._store.tasks.cancel(cluster)
            self._endpoints.close(cluster.id)

        self._store.later("cluster/delete", deleted)

    def _remove(self, cluster: Cluster, balancers: bool) -> str | None:
        store = self._store
        group = cluster.security_group
        made = store.get(SecurityGroup, group)
        if made is not None and made.owner == cluster.id and group not in cluster.retained:
            guests = [i for i in store.users(group, NetworkInterface) if not i.owner]
            if guests:
                return f"Security group {group} is used by {', '.join(i.id for i in guests)}."
        for pool in list(store.all(NodePool)):
            if pool.cluster == cluster.id:
                remove_pool(store, pool)
        for thing in made_by(store, cluster):
            if thing.id in cluster.retained:
                thing.owner = ""
            elif isinstance(thing, LoadBalancer):
                if thing.id == cluster.load_balancer or balancers:
                    remove_balancer(store, thing)
            elif not isinstance(thing, Disk):
                store.remove(thing)
        store.remove(cluster)
        return None


def _no_token(_token: str) -> None:
    """Accept no token: ACK's users have client certificates."""


def made_by(store: Store, cluster: Cluster) -> list[Thing]:
    """Every resource created by the cluster, for itself or for its workloads."""
    kinds: tuple[type[Thing], ...] = (
        SnatEntry,
        NatGateway,
        LoadBalancer,
        Eip,
        SecurityGroup,
        Role,
        Disk,
    )
    return [thing for kind in kinds for thing in store.all(kind) if thing.owner == cluster.id]


def size_of(store: Store, cluster: Cluster) -> int:
    """The number of nodes."""
    return sum(i.cluster == cluster.id and i.joined for i in store.all(Instance))
