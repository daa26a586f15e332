"""The lifecycle of clusters: operations, endpoint, what the service makes in the network.

The changes here are made by the clock, never with the store's lock held while Kubernetes is called.

Firewall rules: vendor, "Automatically created firewall rules". A cluster's control plane is reached
inside its network through a forwarding rule with an address of the subnetwork (vendor: "About
network isolation", Private Service Connect).

With a cluster go its machines, its rules and the ranges that the service has added to a subnetwork.
In Kubernetes a cluster has what ``system.py`` and ``data/kubernetes.json`` say: the storage classes
as listed of real ones (observIQ/bindplane-op-helm#26, astronomer/astronomer#2463) with the
parameters of the manifests of kubernetes-sigs/gcp-compute-persistent-disk-csi-driver.

What its controllers have made, load balancers with their rules and disks, is left behind (vendor:
"Deleting a cluster": that is attempted only; terraform-google-kubernetes-engine#2411,
terraform-provider-google#5948).
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from ipaddress import IPv4Network

from clusterkit_sandbox.google import system
from clusterkit_sandbox.google.access import allowed
from clusterkit_sandbox.google.accounts import Identities, WorkloadPool
from clusterkit_sandbox.google.addresses import private_address
from clusterkit_sandbox.google.authorization import may, of_kubernetes
from clusterkit_sandbox.google.balancing import FORWARDING_RULES
from clusterkit_sandbox.google.clusterbodies import endpoints, sign
from clusterkit_sandbox.google.clusterrecords import (
    Cluster,
    NodePool,
    Operation,
    pools_of,
    waits_at_first,
)
from clusterkit_sandbox.google.computing import make
from clusterkit_sandbox.google.controllers import ClusterControllers
from clusterkit_sandbox.google.networks import add_firewall
from clusterkit_sandbox.google.nodes import INTERNAL, Trouble, node_tag, settle, spec_of
from clusterkit_sandbox.google.policies import Member
from clusterkit_sandbox.google.poollife import PoolLife, remove_pool
from clusterkit_sandbox.google.resources import (
    Firewall,
    ForwardingRule,
    Network,
    Subnetwork,
    link_to,
)
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.google.subnetworks import remove_range
from clusterkit_sandbox.google.tables import table
from clusterkit_sandbox.google.versions import minor
from clusterkit_sandbox.kit.cluster import Endpoints
from clusterkit_sandbox.kit.drain import Unreachable
from clusterkit_sandbox.kit.life import Life
from clusterkit_sandbox.kit.operations import Error, Operations
from clusterkit_sandbox.kube.interfaces import Identity, KubeServer

_LOG = logging.getLogger(__name__)
_LOGS = "logging.logEntries.create"
_PUBLIC = IPv4Network("198.19.0.0/16")
_PENDING = 3.0
"""seconds that an operation waits for its turn; an estimate"""


class ClusterLife:
    """The changes and endpoints of all clusters."""

    def __init__(self, store: Store, server: KubeServer) -> None:
        self._store = store
        self._endpoints = Endpoints(server, "google-")
        self._life = Life(store.clock, store.lock, "status")
        self.operations = Operations[Operation](store.clock, store.lock, lambda _: None)
        self.pools = PoolLife(store, self._endpoints, self.operations)

    def clear(self) -> None:
        """Close every endpoint and forget every operation."""
        self._endpoints.clear()
        self.operations.clear()

    def begin(
        self, cluster: Cluster, kind: str, pool: NodePool | None = None, *, doomed: bool = False
    ) -> Operation:
        """An operation on a cluster or on one of its pools."""
        identifier = f"operation-{int(time.time() * 1000)}-{self._store.new_uuid()}"
        waits = self._store.clock.pace.scaled(_PENDING) if waits_at_first(kind) else 0.0
        return self.operations.begin(
            Operation(
                id=identifier,
                kind=kind,
                parent=cluster.id,
                target=pool.id if pool is not None else cluster.id,
                project=cluster.project,
                location=cluster.location,
                waits=time.time() + waits,
                doomed=doomed,
            )
        )

    def running(self, cluster: Cluster) -> list[Operation]:
        """The operations on a cluster that have not ended."""
        return self.operations.running(cluster.id)

    def user_of(self, cluster: str, token: str, audience: str) -> str:
        """The user of Kubernetes whose token it is; empty if the cluster knows no such. Call it
        without the store's lock.
        """
        client = self._endpoints.drainer(cluster)
        if client is None:
            return ""
        try:
            return client.reviewed(token, audience)
        except Unreachable:
            return ""
        finally:
            client.close()

    # -- birth -----------------------------------------------------------------------------------

    def create(self, cluster: Cluster, operation: Operation, what: str) -> None:
        """Bring up the cluster with its pools."""
        self._life.show(cluster, "PROVISIONING")

        def come_up() -> None:
            with self._store.lock:
                if self._store.get(Cluster, cluster.id, cluster.scope) is not cluster:
                    return
                trouble = self._machines(cluster, doomed=operation.doomed)
            if trouble is None or trouble.some:
                try:
                    self._open(cluster)
                except Exception:
                    _LOG.exception("the endpoint of %s did not open", cluster.id)
                    trouble = INTERNAL
            with self._store.lock:
                dead = trouble is not None and not trouble.some
                self._show(cluster, "ERROR" if dead else "RUNNING", trouble)
                self._judge(cluster)
                self.pools.end(operation, trouble)
                if self._store.conditions.own_upgrade and not dead:
                    own = self.begin(cluster, "UPGRADE_MASTER")
                    self.change(cluster, own, "google/cluster/upgrade", lambda: None)
            self.pools.sync(cluster)

        self._store.clock.later(what, come_up)

    def _machines(self, cluster: Cluster, *, doomed: bool) -> Trouble | None:
        """Make the machines of every pool; the first reason why some are missing."""
        found = None
        for pool in pools_of(self._store, cluster):
            trouble = settle(self._store, cluster, pool, doomed=doomed)
            self.pools.settled(pool, trouble)
            found = found or trouble
        return found

    def _show(self, cluster: Cluster, state: str, trouble: Trouble | None = None) -> None:
        self._life.show(cluster, state)
        for name in ("statusMessage", "conditions"):
            cluster.shown.pop(name, None)
        if trouble is not None:
            cluster.shown["statusMessage"] = trouble.message
            if trouble.condition:
                cluster.shown["conditions"] = [trouble.condition]

    def _judge(self, cluster: Cluster) -> None:
        """Show the condition of nodes whose service account may not write logs (the API's
        ``StatusCondition``, NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS).
        """
        identities, poor = Identities(self._store), []
        project = f"projects/{cluster.project}"
        for pool in pools_of(self._store, cluster) if not cluster.autopilot else ():
            email = spec_of(self._store, cluster, pool).service_account
            account = identities.named(email)
            who = [Member(f"serviceAccount:{email}", account.uid)] if account is not None else []
            if not allowed(self._store, who, _LOGS, project) and email not in poor:
                poor.append(email)
        if poor:
            condition = {
                "code": "NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS",
                "message": f"Node service accounts lack permissions: {', '.join(poor)}.",
                "canonicalCode": "PERMISSION_DENIED",
            }
            cluster.shown.setdefault("conditions", []).append(condition)

    def furnish(self, cluster: Cluster) -> None:
        """What the service makes in the network before the machines."""
        store, shown = self._store, cluster.shown
        network = store.get(Network, shown["networkConfig"]["network"])
        subnetwork = store.get(Subnetwork, shown["networkConfig"]["subnetwork"])
        assert network is not None
        assert subnetwork is not None
        cluster.public = _address(store)
        cluster.private = private_address(store, subnetwork) or ""
        name, tag = f"gke-{cluster.name}-{cluster.hash}", node_tag(cluster)
        inside = subnetwork.shown["ipCidrRange"]
        meant = {"pods": shown["clusterIpv4Cidr"], "nodes": inside, "tag": tag}
        for rule, usual in deepcopy(table("defaults")["firewalls"]).items():
            for field in usual.keys() & {"sourceRanges", "sourceTags"}:
                usual[field] = [meant.get(one, one) for one in usual[field]]
            body = {"name": f"{name}-{rule}", "targetTags": [tag], **usual}
            add_firewall(store, network, cluster.id, body)
        make(store, FORWARDING_RULES, subnetwork.project, subnetwork.place.partition("/")[2], {
            "name": f"{name}-pe",
            "IPAddress": cluster.private,
            "network": link_to(network.path),
            "subnetwork": link_to(subnetwork.path),
            "pscConnectionStatus": "ACCEPTED",
        }, cluster.id)  # fmt: skip
        self.identify(cluster)

    def identify(self, cluster: Cluster) -> None:
        """Make the workload identity pool that the cluster asks for."""
        pool = (cluster.shown.get("workloadIdentityConfig") or {}).get("workloadPool")
        if pool and self._store.get(WorkloadPool, pool) is None:
            self._store.add(WorkloadPool(pool))

    def _open(self, cluster: Cluster) -> None:
        endpoint = self._endpoints.open(
            cluster.id,
            hosts=self._hosts(cluster),
            version=minor(cluster.shown["currentMasterVersion"]),
            review=self._review(cluster),
            hooks=ClusterControllers(self._store, cluster.id, cluster.scope, self.pools),
            objects=[*table("kubernetes"), *system.of_cluster(cluster.shown)],
            services=cluster.shown["servicesIpv4Cidr"],
        )
        with self._store.lock:
            ca = base64.b64encode(endpoint.ca_pem.encode()).decode()
            cluster.shown["masterAuth"]["clusterCaCertificate"] = ca
            self.readdress(cluster)

    def _hosts(self, cluster: Cluster) -> Sequence[str]:
        # the last is what the sandbox itself connects to, which has the cluster's own certificate
        return (cluster.host, cluster.public, cluster.private)

    def readdress(self, cluster: Cluster) -> None:
        """Show the addresses that the control plane has now."""
        shown = cluster.shown
        addresses = shown["controlPlaneEndpointsConfig"]["ipEndpointsConfig"]
        for name in ("publicEndpoint", "privateEndpoint"):
            addresses.pop(name, None)
        if addresses["enabled"]:
            addresses["privateEndpoint"] = cluster.private
            if addresses["enablePublicEndpoint"]:
                addresses["publicEndpoint"] = cluster.public
        endpoints(shown, {})
        shown["endpoint"] = addresses.get("publicEndpoint") or cluster.private

    def _review(self, cluster: Cluster) -> Callable[[str], Identity | None]:
        store, project = self._store, f"projects/{cluster.project}"

        def review(token: str) -> Identity | None:
            caller = store.tokens.caller(token)
            if caller is None:
                return None
            if caller.owner:
                return Identity(caller.email, ("system:masters",), caller.unique_id)

            def allowed(verb: str, _group: str, resource: str) -> str:
                with store.lock:
                    good = may(store, caller, of_kubernetes(verb, resource), project)
                return "access granted by IAM permissions." if good else ""

            return Identity(caller.email, (), caller.unique_id, may=allowed)

        return review

    # -- changes ---------------------------------------------------------------------------------

    def change(
        self, cluster: Cluster, operation: Operation, what: str, then: Callable[[], None]
    ) -> None:
        """Keep the cluster ``RECONCILING`` while ``what`` takes its time; ``then`` makes the
        change, with the store's lock.
        """
        self._show(cluster, "RECONCILING")

        def done() -> Error | None:
            if not operation.doomed:
                then()
                self.identify(cluster)
                self.readdress(cluster)
                sign(cluster.shown)
            self._show(cluster, "RUNNING")
            self._judge(cluster)
            return (INTERNAL.code, INTERNAL.message) if operation.doomed else None

        self.operations.end_later(operation, what, done)

    def relocate(self, cluster: Cluster, operation: Operation, zones: Sequence[str]) -> None:
        """Move every pool into these zones; new ones have as many nodes as the fullest old one."""
        self._show(cluster, "RECONCILING")
        for pool in pools_of(self._store, cluster):
            usual = max(pool.sizes.values(), default=0)
            pool.sizes = {zone: pool.sizes.get(zone, usual) for zone in zones}

        def moved() -> None:
            with self._store.lock:
                trouble = self._machines(cluster, doomed=operation.doomed)
                sign(cluster.shown)
                self._show(cluster, "RUNNING", trouble)
                self.pools.end(operation, trouble)
            self.pools.sync(cluster)

        self._store.clock.later("google/node-pool/resize", moved)

    # -- death -----------------------------------------------------------------------------------

    def delete(self, cluster: Cluster, operation: Operation) -> None:
        """Remove the cluster and what the service has made for it. If that fails the cluster is in
        ``ERROR``, and the service tries again by itself (the API's ``Operation.Type``).
        """
        self._show(cluster, "STOPPING")
        for pool in pools_of(self._store, cluster):
            self.pools.show(pool, "STOPPING")

        def deleted() -> None:
            with self._store.lock:
                if self._store.get(Cluster, cluster.id, cluster.scope) is not cluster:
                    return
                if operation.doomed and operation.state == "running":
                    self._show(cluster, "ERROR", INTERNAL)
                    self.operations.end(operation, (INTERNAL.code, INTERNAL.message))
                    self._store.clock.later("google/cluster/delete", deleted)
                    return
                self._remove(cluster)
                if operation.state == "running":
                    self.operations.end(operation)
            self._endpoints.close(cluster.id)

        self._store.clock.later("google/cluster/delete", deleted)

    def _remove(self, cluster: Cluster) -> None:
        store = self._store
        for pool in pools_of(store, cluster):
            remove_pool(store, pool)
        mine = f"gke-{cluster.name}-{cluster.hash}-"
        for kind in (Firewall, ForwardingRule):
            for thing in list(store.all(kind)):
                if thing.owner == cluster.id and thing.name.startswith(mine):
                    store.remove(thing)
        subnetwork = store.get(Subnetwork, cluster.shown["networkConfig"]["subnetwork"])
        if subnetwork is not None and cluster.made_range:
            remove_range(subnetwork, cluster.made_range)
        store.remove(cluster)


def _address(store: Store) -> str:
    """A free address of those for benchmarks (RFC 2544), for a control plane."""
    taken = {cluster.public for cluster in store.all(Cluster)}
    return next(str(one) for one in _PUBLIC.hosts() if str(one) not in taken)


def pod_range(cluster: str, hashed: str) -> str:
    """The name of a range that the service adds to a subnetwork (recorded traffic)."""
    return f"gke-{cluster}-pods-{hashed}"
