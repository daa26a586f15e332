"""How the mark is spelled on Alibaba Cloud: tags, put on in the call that makes a thing.

VPC and ECS spell tags ``Key``/``Value`` or ``TagKey``/``TagValue``, Container Service
``key``/``value``. A RAM role carries its mark in its name and description as well (``iam.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from clusterkit.engine.marked import Marked as Marked
from clusterkit.engine.marked import Tags as Tags
from clusterkit.engine.marked import mark
from clusterkit.engine.marked import retags as retags
from clusterkit.engine.resource import Change, Ctx
from clusterkit.naming import CLUSTER, NAME

if TYPE_CHECKING:
    from clusterkit.alibaba.client import Clients

REFUSED = "destroy the cluster and make it anew, or change the profile back"
Product = Literal["vpc", "ecs"]


def ours(cx: Ctx[Any]) -> list[dict[str, str]]:
    """``Tag`` of a list call: this cluster's things."""
    return [{"Key": CLUSTER, "Value": cx.cluster}]


def read_tags(found: Mapping[str, Any]) -> Tags:
    """The tags of what a list call of VPC or ECS shows."""
    items: Any = found.get("Tags") or {}
    items = items.get("Tag") or () if isinstance(items, Mapping) else items
    return {
        str(tag.get("Key") or tag.get("TagKey")): str(tag.get("Value") or tag.get("TagValue") or "")
        for tag in items
    }


def read_cs_tags(found: Mapping[str, Any]) -> Tags:
    """The tags of what Container Service shows."""
    return {tag["key"]: tag.get("value") or "" for tag in found.get("tags") or ()}


def write_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """``Tag`` of a create call of VPC, ECS and RAM."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def write_cs_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """``tags`` of Container Service."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def name_of(tags: Mapping[str, str]) -> str:
    """The name within its kind."""
    return tags.get(NAME) or "?"


def shown_name(cx: Ctx[Any], name: str) -> str:
    """What the console calls a thing."""
    return f"clusterkit-{cx.cluster}-{name}"


def tag(
    cx: Ctx[Clients], product: Product, kind: str, identifier: str, tags: Mapping[str, str]
) -> None:
    """TagResources; ``kind`` in the vendor's own words, ``VSWITCH``."""
    call = cx.clients.vpc if product == "vpc" else cx.clients.ecs
    call(
        "TagResources",
        RegionId=cx.clients.region,
        ResourceType=kind,
        ResourceId=[identifier],
        Tag=write_tags(tags),
    )


def retag(
    cx: Ctx[Clients],
    resource: Marked[Any, Any],
    product: Product,
    kind: str,
    identifier: str,
    changes: Iterable[Change],
) -> None:
    """Put the profile's tags on, if they are among the changes."""
    if retags(changes):
        tag(cx, product, kind, identifier, dict(resource.tags))


def adopt(cx: Ctx[Clients], product: Product, kind: str, name: str, identifier: str) -> None:
    """Mark a thing as ours."""
    tag(cx, product, kind, identifier, mark(cx, name))
