"""How ownership tags are spelled on Alibaba Cloud.

VPC, ECS and SLB spell tags ``Key``/``Value`` or ``TagKey``/``TagValue``, Container Service
``key``/``value``. What takes no tags is marked in its description or summary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from clusterkit.alibaba.client import Clients
from clusterkit.engine.kind import Env, Kind, S, Tags
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER, NAME

REPLACE = "destroy the cluster and run up again, or change the profile back"
_MARK = re.compile(
    r"clusterkit (?P<region>[^\s/]+)/(?P<cluster>[^\s/]+)(/(?P<name>\S*))?( (?P<keep>keep|remove))?"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tagged(Kind[Clients, S]):
    """A kind of VPC, ECS or SLB: listed by our tag, tagged by its id."""

    product: ClassVar[Literal["vpc", "ecs", "slb"]]
    type: ClassVar[str]
    """``ResourceType`` of TagResources"""

    @classmethod
    def listed(cls, scope: Scope[Clients], action: str) -> Iterator[Any]:
        """What a list call shows with this cluster's tag."""
        return scope.client.every(action, Tag=ours(scope.cluster))

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


def mark(scope: Scope[Any], name: str | None = None, keep: bool | None = None) -> str:
    """The description or summary of what takes no tags: whose it is, its name, and whether destroy
    leaves it.
    """
    text = f"clusterkit {scope.region}/{scope.cluster}"
    text += "" if name is None else f"/{name}"
    return text if keep is None else f"{text} {'keep' if keep else 'remove'}"


def read_mark(scope: Scope[Any], text: str | None, name: str = "") -> tuple[Tags, bool]:
    """The tags a description or summary stands for, none if it is not a mark of this region, and
    whether destroy leaves the thing. ``name`` is for marks without one.
    """
    found = _MARK.fullmatch(text or "")
    if found is None or found["region"] != scope.region:
        return {}, False
    tags = {CLUSTER: found["cluster"], NAME: name or found["name"] or ""}
    return tags, found["keep"] == "keep"
