"""How the mark is spelled on AWS: tags, put on in the call that makes a thing.

Keys and values fit every service's rules (EC2: 128 and 256 characters; IAM and EKS the same).
IAM lists by path, not by tag, so roles carry their mark in the path as well (``iam.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterkit.eks.errors import call
from clusterkit.engine import marked
from clusterkit.engine.marked import Tags as Tags
from clusterkit.engine.marked import mark
from clusterkit.engine.marked import retags as retags
from clusterkit.engine.resource import C, Change, Ctx, S
from clusterkit.naming import CLUSTER, NAME

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import ResourceTypeType
    from mypy_boto3_ec2.type_defs import FilterTypeDef, TagSpecificationTypeDef

    from clusterkit.eks.client import Clients


@dataclass(frozen=True, kw_only=True, eq=False)
class Marked(marked.Marked[C, S]):
    """A thing with tags: the mark, a ``Name`` for people, and the profile's own."""

    def wanted_tags(self, cx: Ctx[Any]) -> Tags:
        return {"Name": f"{cx.cluster}-{self.name}", **super().wanted_tags(cx)}


def ours(cx: Ctx[Any]) -> FilterTypeDef:
    """The EC2 filter for this cluster's things."""
    return {"Name": f"tag:{CLUSTER}", "Values": [cx.cluster]}


def read_tags(tags: Iterable[Any]) -> Tags:
    """``[{"Key": …, "Value": …}]`` as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in tags}


def write_tags(tags: Mapping[str, str]) -> list[Any]:
    """A mapping as ``[{"Key": …, "Value": …}]``."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def name_of(tags: Mapping[str, str]) -> str:
    """The name within its kind; a thing that lost the tag counts under its ``Name``."""
    return tags.get(NAME) or tags.get("Name") or "?"


def specification(
    cx: Ctx[Any], resource: Marked[Any, Any], kind: ResourceTypeType
) -> list[TagSpecificationTypeDef]:
    """``TagSpecifications`` of an EC2 create call."""
    return [{"ResourceType": kind, "Tags": write_tags(resource.wanted_tags(cx))}]


def tag_ec2(
    cx: Ctx[Clients], resource: Marked[Any, Any], identifier: str, changes: Iterable[Change]
) -> None:
    """Put the profile's tags on an EC2 thing, if they are among the changes."""
    if retags(changes):
        ec2 = cx.clients.ec2
        call(ec2.create_tags, Resources=[identifier], Tags=write_tags(dict(resource.tags)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Ec2Marked(Marked["Clients", S]):
    """A thing of EC2 that is tagged by its id (``have.id``), made by us or adopted."""

    def update(self, cx: Ctx[Clients], have: Any, changes: list[Change]) -> None:
        tag_ec2(cx, self, have.id, changes)

    @classmethod
    def adopt(cls, cx: Ctx[Clients], name: str, identifier: str) -> None:
        marks = write_tags(mark(cx, name))
        call(cx.clients.ec2.create_tags, Resources=[identifier], Tags=marks)
