"""Managed clusters: create, change, show, delete; versions and upgrades.

Words of refusals: facts/azure.tsv and the pages it names.
"""

from __future__ import annotations

from collections.abc import Iterator

from clusterkit_sandbox.azure import arm, clusterrules, ids, poolrules
from clusterkit_sandbox.azure.arm import Kind, check_tags, deprovisioning, envelope, register
from clusterkit_sandbox.azure.catalogue import VERSIONS, Version, number, region_name
from clusterkit_sandbox.azure.failure import Json, not_emulated, refusal
from clusterkit_sandbox.azure.poolrules import invalid, pools_of
from clusterkit_sandbox.azure.resources import AgentPool, Cluster, Resource
from clusterkit_sandbox.azure.service import Call, Reply, operation
from clusterkit_sandbox.azure.store import Store


def show(store: Store, one: Resource) -> Json:
    """What the API shows of a cluster: its pools are in it."""
    profiles = [
        {"name": pool.name, **pool.properties, "eTag": pool.etag}
        for pool in pools_of(store, one.id)
    ]
    properties = {**one.properties, "agentPoolProfiles": profiles}
    shown = {**one.shown, "eTag": one.etag, "properties": properties}
    shown["id"] = ids.small(shown["id"])
    shown["type"] = "Microsoft.ContainerService/ManagedClusters"
    return shown


KIND = register(Kind(name="Microsoft.ContainerService/managedClusters", record=Cluster, shown=show))


def check_busy(call: Call, cluster: Cluster, pool: AgentPool | None = None) -> None:
    """Refuse a change while the cluster, or for a change of a pool that pool, is being changed."""
    operations = call.store.operations
    running = operations.busy(cluster.id)
    if running is not None:
        raise refusal("OperationNotAllowed#busy", kind=running.kind)
    pools = pools_of(call.store, cluster.id) if pool is None else [pool]
    for one in pools:
        running = operations.busy(one.id)
        if running is not None:
            raise refusal("OperationNotAllowed#pool-busy", name=one.name, kind=running.kind)


def check_running(cluster: Cluster) -> None:
    """Refuse a change of a stopped cluster, which is to be started or deleted; what the service
    says then nobody has recorded.
    """
    if cluster.stopped:
        raise not_emulated("changes of a stopped cluster: start it first")


@operation("containerservice:ManagedClusters_CreateOrUpdate")
def _put(call: Call) -> object:
    store, group = call.store, call.group
    if group.state == "Deleting":
        raise deprovisioning(group)
    old = store.find(Cluster, call.path)
    new = Cluster(envelope(call, KIND, group, old))
    if not clusterrules.NAME.fullmatch(new.name):
        why = "It has letters, digits, '-' and '_', and ends with a letter or digit."
        raise invalid("resourceName", f"{why} Please see https://aka.ms/aks-naming-rules")
    arm.conditional(call, old)
    check_tags(new.tags)
    if old is not None:
        if old.state == "Deleting":
            raise refusal("OperationNotAllowed#deleting")
        check_busy(call, old)
        check_running(old)
    profiles = new.properties.pop("agentPoolProfiles", None)
    clusterrules.complete(call, new, old)
    pools = _profiles(call, new, old, profiles)
    clusterrules.check_subnets(store, new, pools)
    one = old if old is not None else new
    upgraded = old is not None and (
        old.properties["currentKubernetesVersion"] != new.properties["currentKubernetesVersion"]
    )
    state = "Creating" if old is None else "Upgrading" if upgraded else "Updating"
    new.properties["provisioningState"] = state
    one.shown = new.shown
    one.brought = all(pool.properties.get("vnetSubnetID") for pool in pools)
    store.put(one)
    for pool in pools:
        before = store.find(AgentPool, pool.id)
        changed = before is None or before.properties != pool.properties
        kept = arm.replace(store, before, pool)
        if changed or old is None or old.state != "Succeeded":
            kept.properties["provisioningState"] = "Creating" if before is None else "Updating"
    running = call.start(state, one, "", None)
    if old is None:
        call.clusters.create(one, running, call.terminal())
    else:
        call.clusters.update(one, running, call.terminal())
    return Reply(201 if old is None else 200, show(store, one), call.running(running))


def _profiles(
    call: Call, new: Cluster, old: Cluster | None, profiles: list[Json] | None
) -> list[AgentPool]:
    """The pools that are named in a cluster's body, checked; those of old that are not, as they
    are.
    """
    before = {one.name: one for one in pools_of(call.store, old.id)} if old is not None else {}
    if old is None and not profiles:
        raise refusal("InvalidParameter#no-pools", target="agentPoolProfiles")
    found = []
    for profile in profiles or ():
        name = str(profile.get("name", ""))
        if old is not None and name not in before:
            raise refusal("BadRequest#new-pool")
        pool = new_pool(new.shown["id"], name, profile)
        poolrules.complete(call, pool, before.get(name), new.properties, new.location, new.name)
        found.append(pool)
    named = {one.name for one in found}
    modes = [one.properties["mode"] for one in (*found, *(
        one for name, one in before.items() if name not in named
    ))]  # fmt: skip
    if "System" not in modes:
        raise refusal("InvalidParameter#no-system-pool", target="agentPoolProfiles")
    if len(named) != len(found):
        raise invalid("agentPoolProfiles", "Names of agent pools must be unique.")
    return found


def new_pool(cluster: str, name: str, given: Json) -> AgentPool:
    """A pool of the cluster with this id."""
    properties = {word: value for word, value in given.items() if word != "name"}
    return AgentPool(
        {
            "id": f"{cluster}/agentPools/{name}",
            "name": name,
            "type": "Microsoft.ContainerService/managedClusters/agentPools",
            "properties": properties,
        }
    )


@operation("containerservice:ManagedClusters_UpdateTags")
def _tags(call: Call) -> object:
    _ = call.group
    cluster = call.require(Cluster)
    arm.conditional(call, cluster)
    check_busy(call, cluster)
    check_running(cluster)
    check_tags(call.body.get("tags") or {})
    cluster.shown["tags"] = dict(call.body.get("tags") or {})
    cluster.properties["provisioningState"] = "Updating"
    call.store.put(cluster)
    running = call.start("Updating", cluster, "", None)
    call.clusters.update(cluster, running, terminal=False)
    return Reply(200, show(call.store, cluster), call.running(running, location=True))


@operation("containerservice:ManagedClusters_Delete")
def _delete(call: Call) -> object:
    _ = call.group
    cluster = call.store.find(Cluster, call.path)
    if cluster is None:
        return Reply(204)
    arm.conditional(call, cluster)
    running = call.store.operations.busy(cluster.id)
    if running is not None and running.kind == "Deleting":
        return Reply(202, None, call.running(running, location=True))
    check_busy(call, cluster)
    running = call.start("Deleting", cluster, "", None)
    call.clusters.delete(cluster, running)
    return Reply(202, None, call.running(running, location=True))


# -- versions --------------------------------------------------------------------------------------


def _upgrades(patch: str) -> Iterator[str]:
    """What a version may be upgraded to: newer patches, and the next minor version."""
    here = number(patch)
    for one in VERSIONS:
        for other in one.patches:
            there = number(other)
            if there > here and there[1] - here[1] <= 1:
                yield other


def _offer(one: Version) -> Json:
    plans = ["KubernetesOfficial"] if one.standard else []
    found: Json = {
        "version": one.minor,
        "capabilities": {"supportPlan": [*plans, "AKSLongTermSupport"]},
        "patchVersions": {patch: {"upgrades": list(_upgrades(patch))} for patch in one.patches},
    }
    if one.default:
        found["isDefault"] = True
    if one.preview:
        found["isPreview"] = True
    return found


@operation("containerservice:ManagedClusters_ListKubernetesVersions")
def _versions(call: Call) -> object:
    arm.check_location(region_name(str(call["location"])), "ResourceType")
    return {"values": [_offer(one) for one in VERSIONS]}


@operation("containerservice:ManagedClusters_GetUpgradeProfile")
def _upgrade_profile(call: Call) -> object:
    cluster = call.require(Cluster, call.path.rpartition("/upgradeProfiles")[0])
    place = f"{cluster.shown['id']}/upgradeProfiles/default"
    return {
        "id": place,
        "name": "default",
        "type": "Microsoft.ContainerService/managedClusters/upgradeprofiles",
        "properties": {
            "controlPlaneProfile": _profile(cluster.properties["currentKubernetesVersion"]),
            "agentPoolProfiles": [
                {"name": pool.name, **_profile(pool.properties["currentOrchestratorVersion"])}
                for pool in pools_of(call.store, cluster.id)
            ],
        },
    }


@operation("containerservice:AgentPools_GetUpgradeProfile")
def _pool_upgrade_profile(call: Call) -> object:
    """What a pool may be upgraded to: what its cluster has, at most."""
    place = call.path.rpartition("/upgradeProfiles")[0]
    pool = call.require(AgentPool, place)
    cluster = call.require(Cluster, place[: place.lower().rindex("/agentpools/")])
    limit = number(cluster.properties["currentKubernetesVersion"])
    found = _profile(pool.properties["currentOrchestratorVersion"])
    within = [one for one in found["upgrades"] if number(one["kubernetesVersion"]) <= limit]
    return {
        "id": f"{pool.shown['id']}/upgradeProfiles/default",
        "name": "default",
        "type": "Microsoft.ContainerService/managedClusters/agentPools/upgradeProfiles",
        "properties": {
            **found,
            "upgrades": within,
            "latestNodeImageVersion": pool.properties["nodeImageVersion"],
        },
    }


def _profile(patch: str) -> Json:
    upgrades = [{"kubernetesVersion": one} for one in _upgrades(patch)]
    return {"kubernetesVersion": patch, "osType": "Linux", "upgrades": upgrades}
