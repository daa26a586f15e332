"""What keeps everybody from changing a resource, whatever roles they have: management locks, and
the deny assignment of a locked-down node resource group.

Locks: the vendor's page "Lock your resources"; words as public outputs show them
(hashicorp/terraform-provider-azurerm#17478). The deny assignment: "Deploy a fully managed resource
group"; words of a recorded ``az disk create`` in such a group. By default a node resource group is
open to changes, which its cluster may not survive.
"""

from __future__ import annotations

from collections.abc import Mapping

from clusterkit_sandbox.azure import ids
from clusterkit_sandbox.azure.account import Caller
from clusterkit_sandbox.azure.authorization import client
from clusterkit_sandbox.azure.failure import refusal
from clusterkit_sandbox.azure.resources import Cluster
from clusterkit_sandbox.azure.store import Store

CAN_NOT_DELETE, READ_ONLY = "CanNotDelete", "ReadOnly"
_READS = ("GET", "HEAD")
_DENIES = (
    "kubernetes.azure.com/{uid}: node resource group deny assignment created by Azure Kubernetes"
    " Services for nrg-lockdown, see: https://aka.ms/aks/nrg_lockdown"
)


def check(store: Store, caller: Caller, method: str, action: str, path: str) -> None:
    """Refuse what a lock or a deny assignment does not let happen."""
    if method in _READS:
        return
    _check_lockdown(store, caller, action, path)
    locks = _locks(store.conditions.locks, method, path.lower().rstrip("/"))
    if locks:
        verb = "delete" if method == "DELETE" else "write"
        raise refusal("ScopeLocked", scope=path, verb=verb, locks=", ".join(locks))


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


def _locks(locks: Mapping[str, str], method: str, path: str) -> list[str]:
    """The locked scopes in the way: those at the path and above it, and for a deletion those below
    it, for there is no deletion of a part.
    """
    found = []
    for scope, level in locks.items():
        where = scope.lower().rstrip("/")
        above = path == where or path.startswith(f"{where}/")
        below = where.startswith(f"{path}/")
        if (method == "DELETE" and (above or below)) or (level == READ_ONLY and above):
            found.append(scope)
    return found
