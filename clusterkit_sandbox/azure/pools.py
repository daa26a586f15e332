"""Agent pools of a managed cluster.

A cluster that has failed takes no changes of its pools (the vendor's page behind
https://aka.ms/aks-cluster-failed).
"""

from __future__ import annotations

from clusterkit_sandbox.azure import arm, ids, poolrules
from clusterkit_sandbox.azure.arm import Kind, register
from clusterkit_sandbox.azure.catalogue import VERSIONS, number
from clusterkit_sandbox.azure.clusterrules import check_subnets
from clusterkit_sandbox.azure.clusters import check_busy, check_running, new_pool
from clusterkit_sandbox.azure.failure import Json, not_found, refusal
from clusterkit_sandbox.azure.poolrules import pools_of
from clusterkit_sandbox.azure.resources import STOPPED, AgentPool, Cluster, Resource
from clusterkit_sandbox.azure.service import Call, Reply, operation
from clusterkit_sandbox.azure.store import Store


def _show(_: Store, one: Resource) -> Json:
    identifier = ids.small(one.shown["id"])
    return {**one.shown, "id": identifier, "properties": {**one.properties, "eTag": one.etag}}


register(
    Kind(
        name="Microsoft.ContainerService/managedClusters/agentPools",
        record=AgentPool,
        shown=_show,
        located=False,
    )
)


def _cluster(call: Call) -> Cluster:
    """The cluster that the path names, which is not being deleted."""
    _ = call.group
    place = call.path[: call.path.lower().rindex("/agentpools/")]
    found = call.store.find(Cluster, place)
    if found is None:
        asked = ids.parse(place)
        raise not_found(asked.namespace, asked.place, asked.group)
    return found


@operation("containerservice:AgentPools_CreateOrUpdate")
def _put(call: Call) -> object:
    store, cluster = call.store, _cluster(call)
    old = store.find(AgentPool, call.path)
    new = new_pool(cluster.shown["id"], str(call["agentPoolName"]), call.body.get("properties", {}))
    arm.conditional(call, old)
    if old is not None and old.state == "Deleting":
        raise refusal("OperationNotAllowed#pool-deleting", name=old.name)
    check_busy(call, cluster, new)
    check_running(cluster)
    if cluster.state == "Failed" and not call.clusters.serves(cluster):
        raise refusal("OperationNotAllowed#failed", name=cluster.name)
    poolrules.complete(call, new, old, cluster.properties, cluster.location, cluster.name)
    check_subnets(store, cluster, [new])
    others = [one for one in pools_of(store, cluster.id) if one is not old]
    if "System" not in [one.properties["mode"] for one in (*others, new)]:
        raise refusal("InvalidParameter#no-system-pool", target="agentPoolProfile.mode")
    state = _state(old, new)
    new.properties["provisioningState"] = state
    one = arm.replace(store, old, new)
    assert isinstance(one, AgentPool)
    running = call.start(state, one, "", None)
    call.clusters.pools.change(cluster, one, running, call.terminal())
    return Reply(201 if old is None else 200, _show(store, one), call.running(running))


def _state(old: AgentPool | None, new: AgentPool) -> str:
    if old is None:
        return "Creating"
    before, after = old.properties, new.properties
    if before["currentOrchestratorVersion"] != after["currentOrchestratorVersion"]:
        return "Upgrading"
    power = after["powerState"]["code"]
    if before["powerState"]["code"] != power:
        return "Stopping" if power == STOPPED else "Starting"
    return "Scaling" if before["count"] != after["count"] else "Updating"


@operation("containerservice:AgentPools_Delete")
def _delete(call: Call) -> object:
    store, cluster = call.store, _cluster(call)
    pool = store.find(AgentPool, call.path)
    if pool is None:
        return Reply(204)
    arm.conditional(call, pool)
    running = store.operations.busy(pool.id)
    if running is not None and running.kind == "Deleting":
        return Reply(202, None, call.running(running, location=True))
    check_busy(call, cluster, pool)
    check_running(cluster)
    others = [one for one in pools_of(store, cluster.id) if one is not pool]
    if not others:
        raise refusal("OperationNotAllowed#last-pool")
    if "System" not in [one.properties["mode"] for one in others]:
        raise refusal("OperationNotAllowed#last-system-pool")
    running = call.start("Deleting", pool, "", None)
    ignore = str(call.get("ignore-pod-disruption-budget", "")).lower() == "true"
    call.clusters.pools.delete(cluster, pool, running, evict=not ignore)
    return Reply(202, None, call.running(running, location=True))


@operation("containerservice:AgentPools_GetAvailableAgentPoolVersions")
def _versions(call: Call) -> object:
    cluster = call.require(Cluster, call.path.rpartition("/")[0])
    current = number(cluster.properties["currentKubernetesVersion"])
    found = [
        {"kubernetesVersion": patch}
        for one in VERSIONS
        for patch in one.patches
        if number(patch) <= current and current[1] - number(patch)[1] <= 3
    ]
    return {
        "id": f"{cluster.shown['id']}/availableagentpoolversions",
        "name": "default",
        "type": "Microsoft.ContainerService/managedClusters/availableAgentpoolVersions",
        "properties": {"agentPoolVersions": found},
    }
