"""What keeps everybody from changing a resource, whatever roles they have: management locks, and
the deny assignment of a locked-down node resource group.

Locks: the vendor's page "Lock your resources"; words as public outputs show them
(hashicorp/terraform-provider-azurerm#17478). The deny assignment: "Deploy a fully managed resource
group"; words of a recorded ``az disk create`` in such a group. By default a node resource group is
open to changes, which its cluster may not survive.
"""

from __future__ import annotations

from clusterkit_sandbox.azure import ids, locks
from clusterkit_sandbox.azure.account import Caller
from clusterkit_sandbox.azure.authorization import client
from clusterkit_sandbox.azure.failure import not_emulated, refusal
from clusterkit_sandbox.azure.locks import READ_ONLY
from clusterkit_sandbox.azure.resources import Cluster, Lock
from clusterkit_sandbox.azure.store import Store

_READS = ("GET", "HEAD")
_LOCKS = "Microsoft.Authorization/locks/"
_DENIES = (
    "kubernetes.azure.com/{uid}: node resource group deny assignment created by Azure Kubernetes"
    " Services for nrg-lockdown, see: https://aka.ms/aks/nrg_lockdown"
)


def check(store: Store, caller: Caller, method: str, action: str, path: str) -> None:
    """Refuse what a lock or a deny assignment does not let happen."""
    if method in _READS:
        return
    _check_lockdown(store, caller, action, path)
    if not action.startswith(_LOCKS):
        _check_locks(store, method, path)


def _check_locks(store: Store, method: str, path: str) -> None:
    """For a deletion the locks at the path, above it and below it are in the way, for there is no
    deletion of a part; for everything else, those of level ``ReadOnly`` at it and above it.
    """
    # an action is a change of the resource (Azure/azure-sdk-for-java#2560)
    scope = path.rpartition("/")[0] if method == "POST" else path
    lower = scope.lower()
    if method == "DELETE":
        found = [*locks.at(store, lower), *locks.below(store, lower)]
        verb = "delete"
    else:
        found = [one for one in locks.at(store, lower) if one.properties["level"] == READ_ONLY]
        verb = "write"
    if found:
        names = ", ".join(dict.fromkeys(_written(one) for one in found))
        raise refusal("ScopeLocked", scope=scope, verb=verb, locks=names)
    if method == "DELETE":
        _check_nodes(store, lower)


def _check_nodes(store: Store, path: str) -> None:
    """How Kubernetes Service refuses to delete a cluster whose machines are locked was not read."""
    for cluster in store.all(Cluster):
        if cluster.id == path or cluster.under(path):
            name = cluster.properties["nodeResourceGroup"]
            nodes = ids.group_id(cluster.parsed.subscription, name).lower()
            if any(locks.at(store, nodes)) or any(locks.below(store, nodes)):
                raise not_emulated("deleting a cluster with a lock in its node resource group")


def _written(lock: Lock) -> str:
    """The scope of a lock, as it was written."""
    return str(lock.shown["id"])[: len(lock.locked)]


def _check_lockdown(store: Store, caller: Caller, action: str, path: str) -> None:
    place = ids.parse(path)
    group = ids.group_id(place.subscription, place.group).lower()
    for cluster in store.all(Cluster):
        profile = cluster.properties.get("nodeResourceGroupProfile") or {}
        name = cluster.properties["nodeResourceGroup"]
        nodes = ids.group_id(cluster.parsed.subscription, name)
        if profile.get("restrictionLevel") != READ_ONLY or group != nodes.lower():
            continue
        uid = cluster.properties["resourceUID"]
        raise refusal(
            "DenyAssignmentAuthorizationFailed",
            client=client(caller),
            action=action,
            scope=path,
            name=_DENIES.format(uid=uid),
            id=uid,
            place=nodes,
        )
