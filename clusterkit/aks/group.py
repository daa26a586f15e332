"""The resource group: the cluster's own, or an existing one, which is never deleted.

Deleting a group deletes whatever is in it. So ours goes last, and only when nothing is left in it
that is not this cluster's; lists show what was deleted for up to ten minutes longer
(terraform-provider-azurerm ``resource_group_resource.go``), so what is listed is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from clusterkit.aks import ids, locks
from clusterkit.aks.client import Clients, known
from clusterkit.engine.cloud_lock import PREFIX
from clusterkit.engine.kind import Durations, Env, Kind, Occupant, Record, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.errors import Exists, Gone, InUse, Rejected
from clusterkit.naming import CLUSTER

MAIN = "main"
MOST_NAMED = 5


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
    path = f"{scope.client.path}/resources"
    filtered = {"$filter": f"tagName eq '{CLUSTER}' and tagValue eq '{scope.cluster}'"}
    groups = {
        ids.part(shown["id"], "resourceGroups")
        for shown in scope.client.pages(path, **filtered)
        if str(shown.get("location") or "").lower() == scope.region
    }
    groups -= {own, nodes_name(scope.cluster, scope.region)}
    # what was deleted may be listed still
    found = sorted(name for name in groups if named(scope.client, name))
    return own if not found or named(scope.client, own) else found[0]


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
    """What is listed in the group and does not carry the cluster's tag."""
    for shown in _listed(scope, have):
        if (shown.get("tags") or {}).get(CLUSTER) != scope.cluster:
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
