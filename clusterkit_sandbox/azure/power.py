"""Stopping a cluster and starting it again.

The vendor's page "Stop and start an AKS cluster": the nodes are drained and their machines go, what
is in Kubernetes stays, and nothing but to start or delete it can be done to a cluster that is
stopped. Words of refusals: its page "OperationNotAllowed errors"; MicrosoftDocs/azure-docs#118661.
"""

from __future__ import annotations

from clusterkit_sandbox.azure.clusters import check_busy
from clusterkit_sandbox.azure.failure import refusal
from clusterkit_sandbox.azure.resources import RUNNING, STOPPED, Cluster
from clusterkit_sandbox.azure.service import Call, Reply, operation


def _cluster(call: Call) -> Cluster:
    _ = call.group
    return call.require(Cluster, call.path.rpartition("/")[0])


@operation("containerservice:ManagedClusters_Stop")
def _stop(call: Call) -> object:
    cluster = _cluster(call)
    if cluster.stopped or cluster.state == "Stopping":
        raise refusal("OperationNotAllowed#stopped")
    provisioning = cluster.properties.get("nodeProvisioningProfile") or {}
    if provisioning.get("mode") == "Auto":
        raise refusal("OperationNotAllowed#stopping-auto")
    check_busy(call, cluster)
    return _switch(call, cluster, "Stopping", STOPPED)


@operation("containerservice:ManagedClusters_Start")
def _start(call: Call) -> object:
    cluster = _cluster(call)
    power = cluster.properties["powerState"]["code"]
    if not cluster.stopped or call.store.operations.busy(cluster.id) is not None:
        raise refusal("OperationNotAllowed#starting", state=cluster.state, power=power)
    return _switch(call, cluster, "Starting", RUNNING)


def _switch(call: Call, cluster: Cluster, state: str, code: str) -> Reply:
    cluster.properties["provisioningState"] = state
    call.store.put(cluster)
    running = call.start(state, cluster, "", None)
    call.clusters.power(cluster, running, code)
    return Reply(202, None, call.running(running, location=True))
