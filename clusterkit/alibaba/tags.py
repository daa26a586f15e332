"""How ownership tags are spelled on Alibaba Cloud.

VPC, ECS and SLB spell tags ``Key``/``Value`` or ``TagKey``/``TagValue``, Container Service
``key``/``value``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from clusterkit.alibaba.client import Clients
from clusterkit.engine.kind import Env, Kind, S, Tags
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER

REPLACE = "destroy the cluster and run up again, or change the profile back"


@dataclass(frozen=True, kw_only=True, eq=False)
class Tagged(Kind[Clients, S]):
    """A kind of VPC, ECS or SLB: listed by our tag, tagged by its id."""

    product: ClassVar[Literal["vpc", "ecs", "slb"]]
    type: ClassVar[str]
    """``ResourceType`` of TagResources"""
    lists: ClassVar[str]
    """the list call (``paging.py``)"""
    deletes: ClassVar[tuple[str, str]]
    """the delete call, and its parameter for the id"""

    @classmethod
    @abstractmethod
    def state(cls, shown: Any) -> Any:
        """What the list call shows of one."""

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[Any]:
        return map(cls.state, scope.client.every(cls.lists, Tag=ours(scope.cluster)))

    @classmethod
    def there(cls, scope: Scope[Clients], **wanted: str) -> Iterator[Any]:
        """Everything that the list call finds with these parameters, ours or not."""
        return map(cls.state, scope.client.every(cls.lists, **wanted))

    @classmethod
    def delete(cls, scope: Scope[Clients], have: Any) -> None:
        action, key = cls.deletes
        scope.client.rpc(cls.product, action, **{key: have.id})

    def marked(self, env: Env[Clients], name: str = "Name") -> dict[str, Any]:
        """Parameters of every create call: name, idempotency token, tags."""
        return {
            name: shown_name(env, self.name),
            "ClientToken": env.token(self),
            "Tag": write_tags(self.marks(env)),
        }

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        scope.client.rpc(
            cls.product,
            "TagResources",
            ResourceType=cls.type,
            ResourceId=[identifier],
            Tag=write_tags(labels),
        )


def ours(cluster: str) -> list[dict[str, str]]:
    """``Tag`` of a list call: the things of the cluster with this name."""
    return [{"Key": CLUSTER, "Value": cluster}]


def read_tags(found: Mapping[str, Any]) -> Tags:
    """The tags of what a list call of VPC, ECS or SLB shows."""
    items: Any = found.get("Tags") or {}
    items = items.get("Tag") or () if isinstance(items, Mapping) else items
    return {
        str(tag.get("Key") or tag.get("TagKey")): str(tag.get("Value") or tag.get("TagValue") or "")
        for tag in items
    }


def read_cs_tags(found: Mapping[str, Any]) -> Tags:
    """The tags of what Container Service shows."""
    return {tag["key"]: tag.get("value") or "" for tag in found.get("tags") or ()}


def write_tags(tags: Tags) -> list[dict[str, str]]:
    """``Tag`` of a create call of VPC, ECS, SLB and RAM."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def write_cs_tags(tags: Tags) -> list[dict[str, str]]:
    """``tags`` of Container Service."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def shown_name(scope: Scope[Any], name: str) -> str:
    """What the console calls a thing."""
    return f"clusterkit-{scope.cluster}-{name}"
