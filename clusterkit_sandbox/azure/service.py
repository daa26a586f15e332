"""The current call for operations: parameters, the resource it is about, pages, answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from clusterkit_sandbox.azure import ids, model
from clusterkit_sandbox.azure.account import Caller
from clusterkit_sandbox.azure.failure import Json, no_group, not_found, refusal
from clusterkit_sandbox.azure.model import Asked
from clusterkit_sandbox.azure.resources import Group, Resource
from clusterkit_sandbox.azure.running import ArmOperation, retry_after
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.kit import calls
from clusterkit_sandbox.kit.calls import Handlers, cut, page_start, page_token
from clusterkit_sandbox.kit.operations import Error

R = TypeVar("R", bound=Resource)
_PAGE = 1000


@dataclass(frozen=True)
class Reply:
    """An answer other than 200 with a body."""

    status: int
    body: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Call(calls.Call):
    """One request to Resource Manager. Parameters of path and query are in ``parameters``."""

    store: Store
    clusters: Any
    """``ClusterLife``, which stands on this module"""
    asked: Asked
    path: str
    """as it was sent"""
    headers: Mapping[str, str]
    version: str
    """the api-version"""
    caller: Caller
    skip: str = ""
    """the token of a page that is not the first"""

    @property
    def subscription(self) -> str:
        """The subscription that the call is about."""
        return str(self.get("subscriptionId", ids.parse(self.path).subscription)).lower()

    @property
    def group(self) -> Group:
        """The resource group that the call is about; ``Failure`` if there is none."""
        name = str(self["resourceGroupName"])
        found = self.store.find(Group, ids.group_id(self.subscription, name))
        if found is None:
            raise no_group(name)
        return found

    def require(self, kind: type[R], identifier: str = "") -> R:
        """The resource that the path names, or the one with this id; ``Failure`` if none is."""
        identifier = identifier or self.path
        found = self.store.find(kind, identifier)
        if found is None:
            asked = ids.parse(identifier)
            raise not_found(asked.namespace, asked.place, asked.group)
        return found

    def page(self, items: Sequence[Json]) -> Json:
        """One page of a list; a ``nextLink`` to the next one if there is one."""
        try:
            start = page_start(self.skip)
        except ValueError:
            raise refusal("InvalidParameter#skip-token") from None
        size = min(int(self.get("$top", _PAGE)), _PAGE)
        some, after = cut(items, start, size, self.faults)
        found: Json = {"value": list(some)}
        if after is not None:
            query = {k: v for k, v in self.parameters.items() if k.startswith("$")}
            query |= {"api-version": self.version, "$skiptoken": page_token(after)}
            text = "&".join(f"{quote(k)}={quote(str(v))}" for k, v in query.items())
            found["nextLink"] = f"https://{model.MANAGER}{self.path}?{text}"
        return found

    def start(
        self,
        kind: str,
        resource: Resource,
        what: str,
        done: Callable[[], Error | None] | None,
        *,
        parent: str = "",
        ended: Callable[[], Any] | None = None,
    ) -> ArmOperation:
        """Begin an operation on a resource that ends after the recorded duration of ``what``, or
        that somebody else ends if nothing is ``done`` then.

        ``parent`` is what is changed by one operation at a time; else the resource itself.
        """
        operation = ArmOperation(
            id=self.store.new_uuid(),
            kind=kind,
            parent=parent.lower() or resource.id,
            target=resource.id,
            subscription=self.subscription,
            namespace=model.NAMESPACES[self.asked.service],
            location=resource.location or self._location(resource),
            ended=ended,
        )
        self.store.operations.begin(operation)
        if done is not None:
            self.store.operations.end_later(operation, f"azure/{what}", done)
        return operation

    def _location(self, resource: Resource) -> str:
        above = self.store.any(ids.parent(resource.id))
        return above.location if above is not None else "global"

    def running(self, operation: ArmOperation, *, location: bool = False) -> dict[str, str]:
        """The headers of an answer that began an operation; ``location`` for one that deletes."""
        urls = operation.urls(self.version)
        if not location and operation.location:
            del urls["Location"]
        return urls | retry_after(self.store.clock.pace)


Handler = Callable[[Call], object]
HANDLERS: Handlers[Handler] = Handlers()
"""every operation that is served by a function of its own; each module registers its own on import
"""
operation = HANDLERS.serve
