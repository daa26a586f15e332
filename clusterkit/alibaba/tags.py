"""How ownership tags are spelled on Alibaba Cloud.

VPC, ECS and SLB spell tags ``Key``/``Value`` or ``TagKey``/``TagValue``, Container Service
``key``/``value``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, ClassVar, NamedTuple

from clusterkit.alibaba.client import Clients
from clusterkit.engine.edit import Edit, fixed
from clusterkit.engine.kind import Env, Kind, Record, S, Tags
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER, HOME

OWNER = "ack.aliyun.com"
"""tag of Container Service: the id of the cluster for which something was made"""
ANOTHER_GROUP = (
    "what exists stays in its group: move it in the console of Resource Management, or change the "
    "profile back"
)
REPLACE = "destroy the cluster and run up again, or change the profile back"


class AlibabaState(Record):
    """What VPC, ECS and SLB show of a thing."""

    id: str
    status: str = ""
    group: str = ""
    """id of the resource group it is in"""
    vpc: str = ""
    """the VPC it lies in, if any"""
    tags: Tags = field(default_factory=dict)


class Calls(NamedTuple):
    """The calls about one kind of thing of VPC, ECS or SLB."""

    product: str
    type: str
    """``ResourceType`` of TagResources"""
    key: str
    """what calls and answers name its id"""
    list: str
    """the list call (``client.py``)"""
    delete: str


class Tagged(Kind[Clients, S]):
    """A kind of VPC, ECS or SLB: listed by our tag, tagged by its id."""

    calls: ClassVar[Calls]
    grouped: ClassVar[bool] = True
    """whether its create call takes a resource group; if not, it is in its VPC's"""

    @classmethod
    def state(cls, shown: Any) -> Any:
        """What the list call shows of one."""
        return AlibabaState(**cls.common(shown))

    @classmethod
    def common(cls, shown: Any) -> dict[str, Any]:
        """The fields of every ``AlibabaState``."""
        status, vpc = shown.get("Status") or "", shown.get("VpcId") or ""
        group = shown.get("ResourceGroupId") or ""
        about = {"status": status, "group": group, "vpc": vpc, "tags": read_tags(shown)}
        return {"id": shown[cls.calls.key], **about}

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[Any]:
        return map(
            cls.state, scope.client.every(cls.calls.list, Tag=write_tags({CLUSTER: scope.cluster}))
        )

    @classmethod
    def there(cls, scope: Scope[Clients], **wanted: str) -> Iterator[Any]:
        """Everything that the list call finds with these parameters, ours or not."""
        return map(cls.state, scope.client.every(cls.calls.list, **wanted))

    @classmethod
    def delete(cls, scope: Scope[Clients], have: Any) -> None:
        scope.client.rpc(cls.calls.product, cls.calls.delete, **{cls.calls.key: have.id})

    @classmethod
    def within(cls, have: Any) -> Tags:
        given = have.tags.get(HOME)
        return {"vpc": have.vpc} if have.vpc not in ("", have.id, given) else {}

    def marked(self, env: Env[Clients], name: str = "Name") -> dict[str, Any]:
        """Parameters of every create call: name, idempotency token, tags."""
        return {
            name: shown_name(env, self.name),
            "ClientToken": env.token(self),
            "Tag": write_tags(self.marks(env)),
            **(in_group(env) if self.grouped else {}),
        }

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        scope.client.rpc(
            cls.calls.product,
            "TagResources",
            ResourceType=cls.calls.type,
            ResourceId=[identifier],
            Tag=write_tags(labels),
        )


def in_group(scope: Scope[Clients]) -> dict[str, str]:
    """The parameter of a create call that puts a thing into the profile's resource group, the
    place in the account that ``Target.home`` names; nothing without one.
    """
    home = scope.client.target.home
    return {"ResourceGroupId": home} if home else {}


def of_group(scope: Scope[Clients], have: str) -> Iterator[Edit]:
    """A refusal for what is in another resource group than the profile's."""
    wanted = scope.client.target.home
    if wanted and have:
        yield from fixed("resource_group", have, wanted, ANOTHER_GROUP)


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


def tag_cluster(scope: Scope[Clients], cluster: str, tags: Tags) -> None:
    """Put tags on the cluster with this id."""
    body = {
        "region_id": scope.region,
        "resource_type": "CLUSTER",
        "resource_ids": [cluster],
        "tags": write_cs_tags(tags),
    }
    scope.client.cs("TagResources", "PUT", "/tags", body)


def shown_name(scope: Scope[Any], name: str) -> str:
    """What the console calls a thing."""
    return f"clusterkit-{scope.cluster}-{name}"
