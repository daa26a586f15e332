"""How ownership is marked in Compute Engine: in ``description``, which most kinds only take when
they are created. Names say nothing: they are free for anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, ClassVar

from clusterkit.engine.kind import Env, Kind, Record, S, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.errors import Gone
from clusterkit.gke.client import Clients
from clusterkit.gke.operations import compute_operation
from clusterkit.naming import mark, read_mark, safe

REPLACE = "destroy the cluster and run up again, or change the profile back"


def resource_name(scope: Scope[Any], name: str = "") -> str:
    """What the console calls a thing; unique in the project, where networks have no region."""
    return safe(f"clusterkit-{scope.cluster}-{scope.region}" + (f"-{name}" if name else ""))


def path_of(link: str | None) -> str:
    """``projects/P/global/networks/N`` of a link, whatever host and version are before it."""
    _, found, path = (link or "").partition("projects/")
    return found + path


def last(link: str | None) -> str:
    """The name at the end of a link."""
    return (link or "").rpartition("/")[2]


def within(location: str, region: str) -> bool:
    """Whether a location is the region or a zone of it; ``europe-west1`` begins the names of
    ``europe-west12`` and its zones.
    """
    return location == region or location.rpartition("-")[0] == region


class ComputeState(Record):
    """What Compute Engine shows of a thing."""

    id: str
    """its name"""
    path: str
    """``projects/P/global/networks/N``"""
    status: str = ""
    network: str = ""
    """name of the network it lies in, if any"""
    tags: Tags = field(default_factory=dict)


USABLE = 300.0
"""seconds until every part of an API knows that it has just been enabled (facts/durations.tsv, "API
enabled → usable")"""


class Marked(Kind[Clients, S]):
    """A kind of Compute Engine: listed in its collection, marked in its description."""

    taggable: ClassVar[bool] = False
    propagation: ClassVar[float] = USABLE
    collection: ClassVar[str]
    """``networks``"""
    place: ClassVar[str] = "global"
    """``global``, or ``regions/{region}``"""
    suffix: ClassVar[str] = ""
    """what tells its name in the cloud from those of other kinds"""

    @classmethod
    def state(cls, scope: Scope[Clients], shown: Mapping[str, Any]) -> Any:
        """What a list shows of one."""
        return ComputeState(**cls.shown(scope, shown))

    @classmethod
    def shown(cls, scope: Scope[Clients], shown: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of every ``ComputeState``."""
        tags, _ = read_mark(shown.get("description"), scope.region)
        return {
            "id": shown["name"],
            "path": path_of(shown["selfLink"]),
            "network": last(shown.get("network")),
            "tags": tags,
        }

    @classmethod
    def where(cls, scope: Scope[Clients]) -> str:
        """The path of the collection."""
        place = cls.place.format(region=scope.region)
        return f"projects/{scope.client.project}/{place}/{cls.collection}"

    @classmethod
    def there(cls, scope: Scope[Clients]) -> Iterator[Any]:
        """Everything in the collection, ours or not."""
        operation = f"{cls.collection}.list"
        for shown in scope.client.pages("compute", operation, cls.where(scope)):
            yield cls.state(scope, shown)

    @classmethod
    def within(cls, have: Any) -> Tags:
        return {"network": have.network} if have.network else {}

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[Any]:
        return cls.there(scope)

    def called(self, scope: Scope[Any]) -> str:
        """Its name in the cloud."""
        return resource_name(scope, self.suffix)

    def insert(self, env: Env[Clients], **body: Any) -> Operation[Clients]:
        """Create it with its name and mark. The name is unique, and makes it safe to ask again; a
        ``requestId`` would be answered with an operation that has failed.
        """
        operation = f"{self.collection}.insert"
        body["name"] = self.called(env)
        body["description"] = mark(env.region, env.cluster, self.name)
        made = env.client.call("compute", operation, "POST", self.where(env), body)
        return compute_operation(made, f"compute.{operation}")

    @classmethod
    def change(
        cls, scope: Scope[Clients], path: str, body: Mapping[str, Any], action: str = ""
    ) -> Operation[Clients]:
        """Patch the one at this path, or call a method of its own."""
        operation = f"{cls.collection}.{action or 'patch'}"
        method, path = ("POST", f"{path}/{action}") if action else ("PATCH", path)
        made = scope.client.call("compute", operation, method, path, body)
        return compute_operation(made, f"compute.{operation}")

    @classmethod
    def delete(cls, scope: Scope[Clients], have: Any) -> Operation[Clients]:
        operation = f"{cls.collection}.delete"
        made = scope.client.call("compute", operation, "DELETE", have.path)
        return compute_operation(made, f"compute.{operation}")

    @classmethod
    def get(cls, scope: Scope[Clients], path: str) -> Any:
        """The one at this path; None if there is none."""
        try:
            found = scope.client.call("compute", f"{cls.collection}.get", "GET", path)
        except Gone:
            return None
        return cls.state(scope, found)

    def taken(self, env: Env[Clients]) -> Any:
        """The one that has the name."""
        return self.get(env, f"{self.where(env)}/{self.called(env)}")
