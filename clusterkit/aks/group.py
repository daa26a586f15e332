"""The resource group: the cluster's own, or an existing one, which is never deleted.

Deleting a group deletes whatever is in it. So ours goes last, and only when nothing is left in it
that is not this cluster's; lists show what was deleted for up to ten minutes longer
(terraform-provider-azurerm ``resource_group_resource.go``), so what is listed is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from clusterkit.aks import ids, locks
from clusterkit.aks.client import Clients, known
from clusterkit.engine.cloud_lock import PREFIX
from clusterkit.engine.edit import Edit
from clusterkit.engine.kind import Durations, Env, Kind, Record, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied, Exists, Gone, InUse, NotOurs, Rejected
from clusterkit.naming import CLUSTER

MAIN = "main"
MOST_NAMED = 5
OF_CLUSTERS = (
    "microsoft.compute/disks",
    "microsoft.compute/sshpublickeys",
    "microsoft.containerregistry/registries",
    "microsoft.containerservice/managedclusters",
    "microsoft.keyvault/vaults",
    "microsoft.managedidentity/userassignedidentities",
    "microsoft.network/natgateways",
    "microsoft.network/publicipaddresses",
    "microsoft.network/virtualnetworks",
    "microsoft.storage/storageaccounts",
)
"""types of what carries a cluster's tag in its group"""
OF_ONE = (
    "microsoft.containerservice/managedclusters",
    "microsoft.managedidentity/userassignedidentities",
)
"""types of which every cluster has some, and that destroy never keeps"""


def own_name(cluster: str, region: str) -> str:
    """What a group of the cluster's own is called; unique in the subscription."""
    return f"clusterkit-{cluster}-{region}"


def nodes_name(cluster: str, region: str) -> str:
    """The group that AKS makes for the nodes, and deletes with the cluster."""
    return f"{own_name(cluster, region)}-nodes"


def nodes_home(scope: Scope[Clients]) -> str:
    """The id of the group of the nodes."""
    return f"{scope.client.path}/resourceGroups/{nodes_name(scope.cluster, scope.region)}"


def home(scope: Scope[Clients]) -> str:
    """The id of the group that the cluster's things lie in."""
    return f"{scope.client.path}/resourceGroups/{home_name(scope)}"


def home_name(scope: Scope[Clients]) -> str:
    """The group's name. Without a profile that names one it is looked for: the group with things
    of this cluster in it.
    """
    own = own_name(scope.cluster, scope.region)
    if scope.client.target.home is not None:
        return scope.client.target.home or own
    return scope.client.remembered("home", lambda: _look(scope, own))


def _look(scope: Scope[Clients], own: str) -> str:
    groups = {ids.part(each, "resourceGroups") for each in _tagged(scope)} - {own}
    # what was deleted may be listed still
    found = sorted(name for name in groups if named(scope.client, name))
    return own if not found or named(scope.client, own) else found[0]


def _tagged(scope: Scope[Clients]) -> list[str]:
    """The ids of what carries the cluster's tag in its region, but for what is the nodes'."""

    def ask() -> str:
        filtered = {"$filter": f"tagName eq '{CLUSTER}' and tagValue eq '{scope.cluster}'"}
        shown = scope.client.pages(f"{scope.client.path}/resources", **filtered)
        here = (each for each in shown if str(each.get("location") or "").lower() == scope.region)
        return "\n".join(each["id"] for each in here)

    nodes = nodes_name(scope.cluster, scope.region)
    found = scope.client.remembered("tagged", ask).splitlines()
    return [each for each in found if ids.part(each, "resourceGroups").lower() != nodes]


def check_home(scope: Scope[Clients]) -> None:
    """``NotOurs`` if a cluster of this name lies in another group of the region: roles are found by
    region and name alone, and those of one would be taken from the other.
    """
    here = home_name(scope)
    try:
        tagged = _tagged(scope)
    except Denied:  # credentials for one group know no other
        return
    for each in tagged:
        group = ids.part(each, "resourceGroups")
        if ids.type_of(each).lower() in OF_ONE and group.lower() != here.lower():
            if not _there(scope, {"id": each}):
                continue
            what = (
                f"{each} is of a cluster {scope.cluster} in {scope.region} too, and not in {here}"
            )
            cure = (
                f"choose another name, or set resource_group: {group} (a cluster cannot be moved)"
            )
            if group.lower() == own_name(scope.cluster, scope.region):
                cure = (
                    "choose another name, or leave resource_group out (a cluster cannot be moved)"
                )
            raise NotOurs(what, where="resource_group", hint=cure)


class GroupState(Record):
    """A resource group."""

    id: str
    """in lower case"""
    path: str
    name: str
    status: str
    tags: Tags
    region: str


def state(shown: Mapping[str, Any]) -> GroupState:
    """A group as Resource Manager shows it."""
    return GroupState(
        id=ids.key(shown["id"]),
        path=shown["id"],
        name=shown["name"],
        status=(shown.get("properties") or {}).get("provisioningState") or "",
        tags=shown.get("tags") or {},
        region=str(shown.get("location") or ""),
    )


def groups(client: Clients) -> Iterator[GroupState]:
    """Every group of the subscription. One that was just made is listed, while a question about it
    may be answered that there is none (terraform-provider-azurerm
    ``resource_group_create_poller.go``).
    """
    for shown in client.pages(f"{client.path}/resourcegroups"):
        yield state(shown)


def named(client: Clients, name: str) -> GroupState | None:
    """The group of this name."""
    return next((have for have in groups(client) if have.name.lower() == name.lower()), None)


class ResourceGroup(Kind[Clients, GroupState]):
    """What everything of the cluster lies in."""

    kind: ClassVar[str] = "resource-group"
    usable: ClassVar[frozenset[str]] = frozenset({"Succeeded"})
    leaving: ClassVar[frozenset[str]] = frozenset({"Deleting"})
    patience: ClassVar[float] = 900.0
    takes: ClassVar[Durations] = Durations(create=5, delete=30)

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[GroupState]:
        own = own_name(scope.cluster, scope.region)
        return [have for have in groups(scope.client) if have.name.lower() == own]

    def create(self, env: Env[Clients]) -> None:
        if self.taken(env) is not None:
            what = f"resource group {own_name(env.cluster, env.region)} exists"
            raise Exists(what, code="Exists", operation="Microsoft.Resources/resourceGroups PUT")
        provide(env, self.marks(env))

    def taken(self, env: Env[Clients]) -> GroupState | None:
        return named(env.client, own_name(env.cluster, env.region))

    def edits(self, env: Env[Clients], have: GroupState) -> Iterator[Edit]:
        if PREFIX in have.tags:  # the lock made it, and may not remove it any more
            tags = {key: value for key, value in have.tags.items() if key != PREFIX}
            keep = partial(env.client.call, "PATCH", have.path, {"tags": tags})
            yield Edit("use", "the lock alone", "the cluster", keep)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: GroupState) -> Iterator[Occupant]:
        yield from locks.on(scope, have.id)
        for shown in _foreign(scope, have):
            identifier, noun = ids.key(shown["id"]), str(shown.get("type") or "resource")
            cure = f"az resource delete --ids {shown['id']}, or move it to another group"
            yield Occupant(noun, identifier, str(shown.get("name") or ""), cure)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: GroupState) -> Operation[Clients] | None:
        if still := [each for each in _listed(scope, have) if _there(scope, each)]:
            names = ", ".join(str(each["id"]) for each in still[:MOST_NAMED])
            what = f"{len(still)} resources are still in {have.name}: {names}"
            raise InUse(what, operation="Microsoft.Resources/resourceGroups DELETE")
        return scope.client.begin("DELETE", have.path)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        shown = scope.client.call("GET", identifier)
        body = {"tags": {**(shown.get("tags") or {}), **labels}}
        scope.client.call("PATCH", identifier, body)


def empty(scope: Scope[Clients], have: GroupState) -> bool:
    """Whether there is nothing in a group but the lock."""
    return not any(True for _ in _listed(scope, have))


def provide(scope: Scope[Clients], tags: Tags) -> None:
    """Make the cluster's own group."""
    path = f"{scope.client.path}/resourceGroups/{own_name(scope.cluster, scope.region)}"
    scope.client.call("PUT", path, {"location": scope.region, "tags": dict(tags)})


def _listed(scope: Scope[Clients], have: GroupState) -> Iterator[Mapping[str, Any]]:
    """What is listed in the group, but for the lock."""
    for shown in scope.client.pages(f"{have.path}/resources"):
        if PREFIX not in (shown.get("tags") or {}):
            yield shown


def _foreign(scope: Scope[Clients], have: GroupState) -> Iterator[Mapping[str, Any]]:
    """What is listed in the group and does not carry the cluster's tag, or is of a type that no
    cluster has: a policy may hand the group's tags on to all in it.
    """
    for shown in _listed(scope, have):
        ours = (shown.get("tags") or {}).get(CLUSTER) == scope.cluster
        if not ours or ids.type_of(shown["id"]).lower() not in OF_CLUSTERS:
            yield shown


def _there(scope: Scope[Clients], shown: Mapping[str, Any]) -> bool:
    """Whether something that is listed exists; so does what we know nothing of."""
    if not known(ids.type_of(shown["id"])):
        return True
    try:
        scope.client.call("GET", shown["id"])
    except Gone:
        return False
    except Rejected:  # of a type whose versions we do not know
        return True
    return True
