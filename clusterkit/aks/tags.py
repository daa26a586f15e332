"""How ownership is marked in Azure: by tags, which nearly everything takes when it is made.

A PUT creates or overwrites, whoever made what has the name. So each create asks first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from functools import partial
from typing import Any, ClassVar

from clusterkit.aks import ids, locks
from clusterkit.aks.client import Clients
from clusterkit.aks.errors import UNREGISTERED
from clusterkit.aks.group import home
from clusterkit.engine.edit import Edit
from clusterkit.engine.kind import Env, Kind, Record, S, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied, Exists, Gone, NotOurs, Propagating
from clusterkit.naming import safe

REPLACE = "destroy the cluster and run up again, or change the profile back"
BROKEN = ("Failed", "Canceled")
"""states in which a change has left something, which may be in use: the next change that succeeds
ends them (https://learn.microsoft.com/azure/networking/troubleshoot-failed-state)"""
WRITTEN = ("location", "tags", "sku", "zones", "properties")
"""what a PUT says of a thing"""
LONGEST_NAME = 80
"""characters of a name of Microsoft.Network, the shortest limit of those used here
(https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules)"""


def resource_name(scope: Scope[Any], name: str) -> str:
    """What a thing is called in the resource group, where other clusters may lie too."""
    return safe(f"clusterkit-{scope.cluster}-{name}", LONGEST_NAME)


def here(scope: Scope[Any], shown: Mapping[str, Any]) -> bool:
    """Whether something lies in the cluster's region; some services write ``West Europe``."""
    return str(shown.get("location") or "").replace(" ", "").lower() == scope.region


def found(client: Clients, path: str) -> dict[str, Any] | None:
    """What a path names; None if there is nothing."""
    try:
        return client.call("GET", path)
    except (Gone, Propagating):
        return None


def write_tags(client: Clients, identifier: str, tags: Tags) -> None:
    """Put these tags on something, beside those it has."""
    path = f"{identifier}/providers/Microsoft.Resources/tags/default"
    client.call("PATCH", path, {"operation": "Merge", "properties": {"tags": dict(tags)}})


class ArmState(Record):
    """What Resource Manager shows of a thing."""

    id: str
    """in lower case"""
    path: str
    """the same as the service writes it"""
    name: str
    status: str = ""
    tags: Tags = field(default_factory=dict)


class Resource(Kind[Clients, S]):
    """A kind of Resource Manager: listed in the cluster's group, marked by tags."""

    usable: ClassVar[frozenset[str]] = frozenset({"", "Succeeded", *BROKEN})
    leaving: ClassVar[frozenset[str]] = frozenset({"Deleting"})
    uses: ClassVar[tuple[str, ...]] = ("resource-group",)
    propagation: ClassVar[float] = 600.0
    """as long as a provider may need to be registered in its region (``activation.PATIENCE``)"""
    type: ClassVar[str]
    """``Microsoft.Network/virtualNetworks``"""
    group: Kind[Clients, ArmState]

    @classmethod
    def state(cls, shown: Mapping[str, Any]) -> Any:
        """What is shown of one."""
        return ArmState(**cls.shown(shown))

    @classmethod
    def shown(cls, shown: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of every ``ArmState``."""
        return {
            "id": ids.key(shown["id"]),
            "path": shown["id"],
            "name": shown["name"],
            "status": (shown.get("properties") or {}).get("provisioningState") or "",
            "tags": shown.get("tags") or {},
        }

    @classmethod
    def there(cls, scope: Scope[Clients]) -> Iterator[Any]:
        """Everything of the type in the group and region, ours or not."""
        try:
            for shown in scope.client.pages(f"{home(scope)}/providers/{cls.type}"):
                if here(scope, shown):
                    yield cls.state(shown)
        except Gone:  # there is no such group
            return
        except Denied as error:
            # a subscription that does not know the service has nothing of it
            if error.code != UNREGISTERED:
                raise

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[Any]:
        return cls.there(scope)

    def called(self, scope: Scope[Any]) -> str:
        """Its name in the cloud."""
        return resource_name(scope, self.name)

    def path(self, scope: Scope[Clients]) -> str:
        """Its id."""
        return f"{home(scope)}/providers/{self.type}/{self.called(scope)}"

    def put(self, env: Env[Clients], **body: Any) -> Operation[Clients] | None:
        """Create it with its tags, unless something has the name."""
        path = self.path(env)
        refuse_taken(env, path)
        whole = {"location": env.region, "tags": self.marks(env), **body}
        return env.client.begin("PUT", path, whole)

    def edits(self, env: Env[Clients], have: Any) -> Iterator[Edit]:
        """What a change that failed has left is never removed: a network has machines in it, a
        registry has images.
        """
        if have.status in BROKEN:
            yield Edit("state", have.status, "Succeeded", partial(again, env, have.path))

    @classmethod
    def delete(cls, scope: Scope[Clients], have: Any) -> Operation[Clients] | None:
        return scope.client.begin("DELETE", have.path)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: Any) -> Iterator[Occupant]:
        return locks.on(scope, have.id)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        write_tags(scope.client, identifier, labels)

    def taken(self, env: Env[Clients]) -> Any:
        """The one that has the name. ``NotOurs`` for one in another region, whatever its tags:
        a cluster of the same name may share an existing group.
        """
        there = found(env.client, self.path(env))
        if there and not here(env, there):
            what = f"{there['id']} lies in {there.get('location')}, not in {env.region}"
            cure = "choose another name or resource_group: a group has one thing of a type and name"
            raise NotOurs(what, where=self.key, hint=cure)
        return self.state(there) if there else None

    @classmethod
    def within(cls, have: Any) -> Mapping[str, str]:
        return within(have.id)


def again(scope: Scope[Clients], path: str) -> Operation[Clients] | None:
    """Write a thing once more as it is shown."""
    shown = scope.client.call("GET", path)
    body = {name: shown[name] for name in WRITTEN if name in shown}
    return scope.client.begin("PUT", path, body)


def refuse_taken(env: Env[Clients], path: str) -> None:
    """``Exists`` if a path names something already."""
    if found(env.client, path) is not None:
        what = f"{ids.last(path)} exists in {ids.part(path, 'resourceGroups')}"
        raise Exists(what, code="Exists", operation=ids.operation("PUT", path))


def within(identifier: str) -> Mapping[str, str]:
    """The resource group that something lies in, if it is one that clusterkit makes."""
    group = ids.group_of(identifier)
    return {"resource-group": group} if ids.last(group).startswith("clusterkit-") else {}
