"""What Kubernetes Service checks and completes of an agent pool.

Codes: facts/azure.tsv and the vendor's page of AKS error codes; limits of names: its "Rename rules"
(https://aka.ms/aks-naming-rules); defaults: the reference of agent pools, and a recorded answer.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping

from clusterkit_sandbox.azure import networks
from clusterkit_sandbox.azure.catalogue import Size, number, offered, patch_of, size_in, zones
from clusterkit_sandbox.azure.compute import SPOT, cores, restricted
from clusterkit_sandbox.azure.failure import Failure, Json, refusal
from clusterkit_sandbox.azure.resources import AgentPool, ScaleSet, Subnet, VirtualNetwork
from clusterkit_sandbox.azure.service import Call
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.azure.tables import table

_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
_DEFAULTS = table("defaults")
SPOT_TAINT = "kubernetes.azure.com/scalesetpriority=spot:NoSchedule"
_OVERLAY_PODS, _FLAT_PODS = 250, 30


def invalid(what: str, why: str) -> Failure:
    """The refusal of a value."""
    return refusal("InvalidParameter", target=what, what=what, why=why)


def fixed(what: str, before: object, after: object) -> None:
    """Refuse to change what cannot be changed; None leaves it as it is."""
    if after is not None and before is not None and _same(before) != _same(after):
        raise refusal("PropertyChangeNotAllowed", target=what, what=what)


def _same(value: object) -> object:
    if isinstance(value, list):
        return sorted(map(str, value))
    return value.lower() if isinstance(value, str) else value


def defaulted(given: Json, usual: Mapping[str, object]) -> None:
    """Fill in what is missing or empty."""
    for word, value in usual.items():
        if given.get(word) in (None, ""):
            given[word] = copy.deepcopy(value)


def merged(old: Json, new: Json) -> Json:
    """The new body with what it leaves out of the old one."""
    found = dict(old)
    for name, value in new.items():
        inner = found.get(name) if name not in ("nodeLabels", "tags") else None
        both = isinstance(value, dict) and isinstance(inner, dict)
        found[name] = merged(inner, value) if both and isinstance(inner, dict) else value
    return found


def complete(
    call: Call, pool: AgentPool, old: AgentPool | None, cluster: Json, location: str, name: str
) -> None:
    """Check and complete a pool of a cluster, whose properties are ``cluster``."""
    given = pool.properties
    for word in ("nodeLabels", "nodeTaints", "tags"):
        given.setdefault(word, None)
    if not _NAME.fullmatch(pool.name):
        why = (
            f"Agent pool name '{pool.name}' is invalid: it must begin with a lower case letter and"
            " have up to 12 lower case letters and digits. Please see"
            " https://aka.ms/aks-naming-rules"
        )
        raise invalid("agentPool.name", why)
    if old is not None:
        for word in _DEFAULTS["pool_fixed"]:
            fixed(f"properties.{word}", old.properties.get(word), given.get(word))
        given = merged(old.properties, given)
    defaulted(given, _DEFAULTS["pool"])
    given["osDiskSizeGB"] = given["osDiskSizeGB"] or _DEFAULTS["pool"]["osDiskSizeGB"]
    spot = given.get("scaleSetPriority") == "Spot"
    overlay = cluster["networkProfile"].get("networkPluginMode") == "overlay"
    given.setdefault("maxPods", _OVERLAY_PODS if overlay else _FLAT_PODS)
    settings = given.get("upgradeSettings") or {}
    given["upgradeSettings"] = {**_DEFAULTS["upgradeSettings"], **settings}
    if spot:
        defaulted(given, _DEFAULTS["spot"])
        if given["mode"] == "System":
            raise invalid(
                "agentPoolProfile.scaleSetPriority", "A Spot pool cannot be a system pool."
            )
        taints = list(given.get("nodeTaints") or [])
        given["nodeTaints"] = taints + [SPOT_TAINT] * (SPOT_TAINT not in taints)
        label = {"kubernetes.azure.com/scalesetpriority": "spot"}
        given["nodeLabels"] = {**label, **(given.get("nodeLabels") or {})}
    _counts(given)
    _version(given, old, cluster)
    images = _DEFAULTS["images"]
    given["nodeImageVersion"] = images.get(str(given["osSKU"]).lower(), images[""])
    pool.shown["properties"] = given
    size = _size(call, pool, location)
    _zones(pool, location, name)
    _subnet(call, pool)
    before = int(old.properties["count"]) if old is not None else 0
    _quota(call, size, location, max(0, given["count"] - before), spot=spot)


def _counts(given: Json) -> None:
    if not given["enableAutoScaling"]:
        given.pop("minCount", None)
        given.pop("maxCount", None)
        if given["mode"] == "System" and given["count"] < 1:
            raise invalid("agentPoolProfile.count", "A system pool has at least one node.")
        return
    low, high = given.get("minCount"), given.get("maxCount")
    if low is None or high is None:
        raise refusal("InvalidParameter#counts", target="agentPoolProfile.minCount")
    if low > high:
        raise invalid(
            "agentPoolProfile.minCount", f"minCount {low} is greater than maxCount {high}."
        )
    given["count"] = max(low, min(high, given["count"]))


def _version(given: Json, old: AgentPool | None, cluster: Json) -> None:
    control = cluster["currentKubernetesVersion"]
    asked = given.get("orchestratorVersion") or cluster["kubernetesVersion"]
    before = None if old is None else old.properties
    if before is not None and asked == before.get("orchestratorVersion"):
        return
    current = patch_of(asked)
    if current is None:
        raise not_offered(asked)
    if before is not None and number(current) < number(before["currentOrchestratorVersion"]):
        raise no_upgrade(before["currentOrchestratorVersion"], current)
    if number(current) > number(control) or number(control)[1] - number(current)[1] > 3:
        raise refusal("NodePoolMcVersionIncompatible", current=current, control=control)
    given["orchestratorVersion"], given["currentOrchestratorVersion"] = asked, current


def not_offered(version: str) -> Failure:
    """The refusal of a version that the region does not offer."""
    return refusal("K8sVersionNotSupported", version=version)


def no_upgrade(before: str, after: str) -> Failure:
    """The refusal of a version that is older, or too new."""
    return refusal("OperationNotAllowed#upgrade", before=before, after=after)


def _size(call: Call, pool: AgentPool, location: str) -> Size:
    name = str(pool.properties["vmSize"])
    size = size_in(location, name)
    if size is None or restricted(call.store, name, location):
        allowed = [
            one.name for one in offered(location) if not restricted(call.store, one.name, location)
        ]
        raise refusal("BadRequest#size", name=pool.name, location=location, sizes=",".join(allowed))
    pool.properties["vmSize"] = size.name
    return size


def _zones(pool: AgentPool, location: str, cluster: str) -> None:
    known = zones(location)
    for zone in pool.properties.get("availabilityZones") or ():
        if zone not in known:
            raise refusal(
                "AvailabilityZoneNotSupported",
                cluster=cluster,
                zone=zone,
                name=pool.name,
                location=location,
                zones=",".join(known),
            )


def _subnet(call: Call, pool: AgentPool) -> None:
    """Refuse a subnet that cannot be used; one that is not there fails the operation."""
    subnet = call.store.find(Subnet, str(pool.properties.get("vnetSubnetID") or "-"))
    if subnet is None:
        return
    network = call.store.find(VirtualNetwork, subnet.id.rpartition("/subnets/")[0])
    if network is None or {network.state, subnet.state} != {"Succeeded"}:
        raise refusal("VirtualNetworkNotInSucceededState", id=subnet.shown["id"])
    if subnet.properties.get("delegations"):
        raise refusal("SubnetIsDelegated", name=subnet.name)
    free = networks.free_addresses(call.store, subnet)
    mine = [one for one in call.store.all(ScaleSet) if one.pool == pool.id]
    wanted = pool.properties["count"] - sum(len(one.machines) for one in mine)
    if wanted > free:
        raise refusal(
            "InsufficientSubnetSize",
            wanted=wanted,
            free=free,
            prefix=subnet.properties.get("addressPrefix"),
            name=subnet.name,
        )


def _quota(call: Call, size: Size, location: str, more: int, *, spot: bool) -> None:
    used = cores(call.store, call.subscription, location)
    asked, conditions = more * size.cpus, call.store.conditions
    limits = {SPOT: conditions.cores} if spot else {
        size.family: conditions.family(size.family), "cores": conditions.cores
    }  # fmt: skip
    for name, limit in limits.items():
        left = limit - used.get(name, 0)
        if asked > left:
            raise refusal(
                "ErrCode_InsufficientVCPUQuota",
                asked=asked,
                left=left,
                name=name,
                location=location,
            )


def pools_of(store: Store, cluster: str) -> list[AgentPool]:
    """The agent pools of a cluster, by its id."""
    return store.under(AgentPool, cluster)
