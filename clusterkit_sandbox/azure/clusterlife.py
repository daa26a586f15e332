"""The lives of clusters: endpoint, changes and deletion, of resource groups too.

The changes here are made by the clock, never with the store's lock held while Kubernetes is called.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from clusterkit_sandbox.azure import groups, machines, networks, noderesources, system
from clusterkit_sandbox.azure.authorization import roles_at
from clusterkit_sandbox.azure.entra import KUBERNETES
from clusterkit_sandbox.azure.hooks import DEFAULT_CLASS, ClusterControllers, storage_classes
from clusterkit_sandbox.azure.poollife import GONE, PoolLife
from clusterkit_sandbox.azure.resources import (
    STOPPED,
    AgentPool,
    Cluster,
    Group,
    LoadBalancer,
    ScaleSet,
    Subnet,
)
from clusterkit_sandbox.azure.running import FAILED, ArmOperation
from clusterkit_sandbox.azure.service import Call
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.kit import cluster as kit
from clusterkit_sandbox.kit.cluster import Endpoints
from clusterkit_sandbox.kit.drain import Unreachable
from clusterkit_sandbox.kit.operations import Error
from clusterkit_sandbox.kube.interfaces import Identity, KubeServer

_LOG = logging.getLogger(__name__)
_REVERT = 60.0
"""Seconds between looks of the add-on manager (Azure/AKS#118: within a minute)."""
_DATA = "Microsoft.ContainerService/managedClusters/*"


class ClusterLife:
    """The changes and endpoints of all clusters."""

    def __init__(self, store: Store, server: KubeServer) -> None:
        self._store = store
        self._endpoints = Endpoints(server, "azure-")
        self.pools = PoolLife(store, self._endpoints)

    def clear(self) -> None:
        """Close every endpoint."""
        self._endpoints.clear()

    # -- endpoints ---------------------------------------------------------------------------------

    def serves(self, cluster: Cluster) -> bool:
        """Whether the cluster's API server is up."""
        return self._endpoints.get(cluster.id) is not None

    def certificate(self, cluster: Cluster, seconds: float) -> tuple[str, str, str]:
        """CA, client certificate and key (PEM) of the local administrator."""
        endpoint = self._endpoints.get(cluster.id)
        assert endpoint is not None
        certificate, key = endpoint.client_certificate("masterclient", ("system:masters",), seconds)
        return endpoint.ca_pem, certificate, key

    def authority(self, cluster: Cluster) -> str:
        """The cluster's CA (PEM)."""
        endpoint = self._endpoints.get(cluster.id)
        assert endpoint is not None
        return endpoint.ca_pem

    def barred(self, host: str) -> str:
        """Why this machine may not connect to the endpoint with this host name."""
        with self._store.lock:
            for cluster in self._store.all(Cluster):
                profile = cluster.properties.get("apiServerAccessProfile") or {}
                if cluster.properties.get("fqdn") != host:
                    continue
                if cluster.stopped:
                    return f"the cluster {cluster.name} is stopped"
                if profile.get("enablePrivateCluster"):
                    return f"the endpoint of cluster {cluster.name} is private"
                ranges = profile.get("authorizedIPRanges") or []
                if ranges and not kit.inside(ranges):
                    return f"the endpoint of cluster {cluster.name} does not let this machine in"
        return ""

    def issuer(self, token: str, audience: str) -> str:
        """The issuer URL of the cluster that has signed a token for a service account; empty if
        none has. (The sandbox's API servers all call themselves the same in tokens.)
        """
        with self._store.lock:
            found = {
                one.id: str(one.properties["oidcIssuerProfile"].get("issuerURL", ""))
                for one in self._store.all(Cluster)
                if one.properties["oidcIssuerProfile"].get("enabled")
            }
        for cluster, url in found.items():
            client = self._endpoints.drainer(cluster)
            try:
                if client is not None and client.reviewed(token, audience):
                    return url
            except Unreachable as error:
                _LOG.warning("a token is not checked: %s", error)
            finally:
                if client is not None:
                    client.close()
        return ""

    def _review(self, identifier: str) -> Callable[[str], Identity | None]:
        """Who an Entra token is to the cluster: its administrators' groups, and, with Azure RBAC,
        who has a role whose data actions are all of the cluster's.
        """

        def review(token: str) -> Identity | None:
            claims = self._store.tokens.read(token)
            if claims is None or claims["aud"] != KUBERNETES or claims["exp"] <= time.time():
                return None
            with self._store.lock:
                cluster = self._store.get(Cluster, identifier)
                caller = self._store.tokens.principal(str(claims["oid"]))
                profile = cluster.properties.get("aadProfile") if cluster is not None else None
                if caller is None or not profile:
                    return None
                admins = set(profile.get("adminGroupObjectIDs") or ()) & set(caller.groups)
                granted = profile.get("enableAzureRBAC") and any(
                    role.allows_data(_DATA) for role in roles_at(self._store, caller, identifier)
                )
            groups = (*caller.groups, "system:authenticated")
            if admins or granted:
                groups = ("system:masters", *groups)
            return Identity(caller.object_id, groups)

        return review

    # -- clusters ----------------------------------------------------------------------------------

    def create(self, cluster: Cluster, operation: ArmOperation, terminal: bool) -> None:
        """Bring up the cluster and its pools; or let it fail, if ``terminal``."""

        def come_up() -> None:
            with self._store.lock:
                if self._store.get(Cluster, cluster.id) is not cluster:
                    self._store.operations.end(operation, GONE)
                    return
                if terminal:
                    self._end(cluster, operation, FAILED)
                    return
                if noderesources.node_group(self._store, cluster) is None:
                    noderesources.furnish(self._store, cluster)
            error: Error | None = None
            try:
                self._open(cluster)
            except Exception as problem:
                _LOG.exception("the endpoint of %s did not open", cluster.id)
                error = ("InternalServerError", str(problem))
            with self._store.lock:
                for pool in self._store.under(AgentPool, cluster.id):
                    error = self.pools.settle(cluster, pool) or error
                self._end(cluster, operation, error)
            self.pools.sync(cluster)
            self._watch(cluster.id)

        self._store.clock.later("azure/cluster/create", come_up)

    def _open(self, cluster: Cluster) -> None:
        if self.serves(cluster):
            return
        network = cluster.properties["networkProfile"]
        self._endpoints.open(
            cluster.id,
            hosts=(cluster.properties["fqdn"],),
            version=machines.kubernetes_version(cluster),
            review=self._review(cluster.id),
            hooks=ClusterControllers(self._store, cluster.id, self.pools),
            objects=[*storage_classes(), *system.of_cluster(network)],
            services=network["serviceCidr"],
        )

    def update(self, cluster: Cluster, operation: ArmOperation, terminal: bool) -> None:
        """Bring the cluster and its pools to their wanted state; a failed one is repaired."""
        if not self.serves(cluster):
            self.create(cluster, operation, terminal)
            return

        def changed() -> None:
            with self._store.lock:
                if self._store.get(Cluster, cluster.id) is not cluster:
                    self._store.operations.end(operation, GONE)
                    return
                if terminal:
                    self._end(cluster, operation, FAILED)
                    return
                pools = self._store.under(AgentPool, cluster.id)
            self.pools.bring(cluster, pools, lambda error: self._ended(cluster, operation, error))

        self._store.clock.later("azure/cluster/update", changed)

    def _ended(self, cluster: Cluster, operation: ArmOperation, error: Error | None) -> None:
        with self._store.lock:
            self._end(cluster, operation, error)

    def _end(self, cluster: Cluster, operation: ArmOperation, error: Error | None) -> None:
        cluster.properties["provisioningState"] = "Succeeded" if error is None else "Failed"
        if error is not None:
            for pool in self._store.under(AgentPool, cluster.id):
                if pool.state == "Creating":
                    pool.properties["provisioningState"] = "Failed"
        self._store.put(cluster)
        self._store.operations.end(operation, error)

    def power(self, cluster: Cluster, operation: ArmOperation, code: str) -> None:
        """Stop the cluster after its nodes have been drained, or start it as it was."""
        stop = code == STOPPED

        def switched() -> None:
            with self._store.lock:
                if self._store.get(Cluster, cluster.id) is not cluster:
                    self._store.operations.end(operation, GONE)
                    return
                pools = self._store.under(AgentPool, cluster.id)
                for pool in pools:
                    pool.properties["powerState"] = {"code": code}
                if not stop:
                    cluster.properties["powerState"] = {"code": code}
            self.pools.bring(cluster, pools, ended)

        def ended(error: Error | None) -> None:
            with self._store.lock:
                cluster.properties["powerState"] = {"code": code}
                self._end(cluster, operation, error)

        self._store.clock.later(f"azure/cluster/{'stop' if stop else 'start'}", switched)

    def delete(self, cluster: Cluster, operation: ArmOperation) -> None:
        """Remove the cluster with its node resource group."""
        cluster.properties["provisioningState"] = "Deleting"
        for pool in self._store.under(AgentPool, cluster.id):
            pool.properties["provisioningState"] = "Deleting"

        def deleted() -> None:
            with self._store.lock:
                self._remove(cluster)
                self._store.operations.end(operation)
            self._endpoints.close(cluster.id)

        self._store.clock.later("azure/cluster/delete", deleted)

    def _remove(self, cluster: Cluster) -> None:
        group = noderesources.node_group(self._store, cluster)
        if group is not None:
            groups.empty(self._store, group)
        for one in self._store.under(AgentPool, cluster.id):
            self._store.remove(one)
        if not cluster.shown["identity"].get("userAssignedIdentities"):
            self._store.tokens.remove(cluster.shown["identity"]["principalId"])
        self._store.remove(cluster)
        self._store.linger(cluster)

    def delete_group(self, call: Call, group: Group) -> ArmOperation:
        """Begin to delete a group with everything in it."""
        store = self._store
        group.properties["provisioningState"] = "Deleting"
        operation = call.start("Deleting", group, "", None)
        operation.location = ""
        inside = store.under(Cluster, group.id)

        def gone() -> None:
            with store.lock:
                if store.get(Group, group.id) is not group:
                    store.operations.end(operation)
                    return
                for cluster in inside:
                    self._remove(cluster)
                blocked = _blocked(store, group)
                if blocked is None:
                    groups.empty(store, group)
                    store.operations.end(operation)
                else:
                    group.properties["provisioningState"] = "Succeeded"
                    store.operations.end(operation, ("ResourceGroupDeletionBlocked", blocked))
            for cluster in inside:
                self._endpoints.close(cluster.id)
            for cluster in store.all(Cluster):
                self.pools.sync(cluster)

        store.clock.later("azure/cluster/delete" if inside else "azure/group/delete", gone)
        return operation

    # -- the add-on manager ------------------------------------------------------------------------

    def _watch(self, cluster: str) -> None:
        """Make ``default`` the default storage class again and again, where the add-on manager
        does so (Azure/AKS#118, #550); later versions of AKS let it be changed.
        """
        wait = max(0.5, self._store.clock.pace.scaled(_REVERT))

        def look() -> None:
            client = self._endpoints.drainer(cluster)
            if client is None:
                return
            try:
                if self._store.conditions.reverting:
                    patch = {"metadata": {"annotations": {DEFAULT_CLASS: "true"}}}
                    headers = {"Content-Type": "application/merge-patch+json"}
                    path = "/apis/storage.k8s.io/v1/storageclasses/default"
                    client.ask("PATCH", path, patch, headers)
            except Unreachable as error:
                _LOG.warning("the storage class is not restored: %s", error)
            finally:
                client.close()
            self._store.clock.after(wait, look)

        if self._store.conditions.reverting:
            self._store.clock.after(wait, look)


def _blocked(store: Store, group: Group) -> str | None:
    """What outside of a group needs something in it."""
    for subnet in store.under(Subnet, group.id):
        for user in networks.users(store, subnet, ScaleSet, LoadBalancer):
            if not user.under(group.id):
                return (
                    f"Deletion of resource group '{group.name}' failed as resources with"
                    f" identifiers '{subnet.shown['id']}' could not be deleted: it is used by"
                    f" {user.shown['id']}. The provisioning state of the resource group will be"
                    " rolled back."
                )
    return None
