"""The current call for operations: parameters, paging, tags, client tokens, times."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from clusterkit_sandbox.alibaba.catalogue import REGIONS
from clusterkit_sandbox.alibaba.clusterlife import ClusterLife
from clusterkit_sandbox.alibaba.failure import Failure, bad, missing
from clusterkit_sandbox.alibaba.models import RESOURCE_GROUPS, Cluster, Role, Thing
from clusterkit_sandbox.alibaba.signature import AccessKey
from clusterkit_sandbox.alibaba.store import USER, Store
from clusterkit_sandbox.kit import calls
from clusterkit_sandbox.kit.calls import Handlers, cut, tagged

T = TypeVar("T", bound=Thing)
Item = TypeVar("Item")
Json = dict[str, Any]
Tags = dict[str, str]
_TOKEN = re.compile(r"[\x21-\x7e]{1,64}")
"""Vendor: ECS "How to ensure idempotence": ASCII only, at most 64 characters."""
_POSITION = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Accepted:
    """A body that is answered with 202."""

    body: object


@dataclass(frozen=True, kw_only=True)
class Call(calls.Call):
    """One request to the account."""

    store: Store
    path: Mapping[str, str]
    region_asked: str | None
    key: AccessKey
    clusters: ClusterLife

    def __getitem__(self, name: str) -> Any:
        """A required parameter, even if its description says it is optional."""
        try:
            return self.parameters[name]
        except KeyError:
            raise missing(name) from None

    @property
    def region(self) -> str:
        """The requested region, which must exist."""
        if self.region_asked is None or self.region_asked not in REGIONS:
            raise Failure(404, "InvalidRegionId.NotFound", "The specified RegionId does not exist.")
        return self.region_asked

    def here(self, kind: type[T]) -> list[T]:
        """Every resource of a kind in the requested region."""
        region = self.region
        return [thing for thing in self.store.all(kind) if thing.region == region]

    def find(self, kind: type[T], identifier: str, code: str, message: str = "") -> T:
        """One resource by id in the requested region; else 404 ``code``."""
        thing = self.store.get(kind, identifier)
        if thing is None or thing.region != self.region:
            raise Failure(404, code, message or "The specified resource does not exist.")
        return thing

    def once(self, make: Callable[[], object], token: str = "ClientToken") -> Any:
        """Call ``make``, or repeat the earlier answer to the same client token.

        Another request with a used token is ``IdempotentParameterMismatch`` (vendor: ECS "How to
        ensure idempotence").
        """
        given = self.get(token)
        if not given:
            return make()
        if not _TOKEN.fullmatch(str(given)):
            raise bad(
                "InvalidClientToken.ValueNotSupported", "The ClientToken provided is invalid."
            )
        return self.store.tokens.once(
            (self.operation, self.region_asked, given),
            {k: v for k, v in self.parameters.items() if k != token},
            make,
            bad(
                "IdempotentParameterMismatch",
                "The request uses a client token in a previous request but is not identical"
                " to that request.",
            ),
        )

    def page(
        self,
        items: Sequence[Item],
        *,
        default: int = 10,
        most: int = 50,
        number: str = "PageNumber",
        size: str = "PageSize",
        total: str = "TotalCount",
    ) -> tuple[Json, Sequence[Item]]:
        """One page by number, and its figures. Pages asked too large are refused, as the VPC
        service does; the sandbox's ``pages=N`` makes them shorter than asked.
        """
        asked, position = int(self.get(size, default)), int(self.get(number, 1))
        if not 1 <= asked <= most:
            raise bad("InvalidParameter", f"The specified value of {size} is not valid.")
        if position < 1:
            raise bad("InvalidParameter", f"The specified value of {number} is not valid.")
        length = min(asked, self.faults.page_size or asked)
        some, _ = cut(items, (position - 1) * length, length, self.faults)
        return {number: position, size: length, total: len(items)}, some

    def slice(
        self,
        items: Sequence[Item],
        *,
        default: int = 20,
        most: int = 100,
        token: str = "NextToken",
        size: str = "MaxResults",
    ) -> tuple[str, Sequence[Item]]:
        """One page by token: the next token (empty after the last page) and the items."""
        asked = int(self.get(size, default))
        if not 1 <= asked <= most:
            raise bad("InvalidParameter", f"The specified value of {size} is not valid.")
        text = str(self.get(token, "0"))
        if not _POSITION.fullmatch(text):
            raise bad("InvalidParameter", f"The specified {token} is not valid.")
        some, after = cut(items, int(text), asked, self.faults)
        return ("" if after is None else str(after)), some


Handler = Callable[[Call], object]
HANDLERS: Handlers[Handler] = Handlers()
"""every operation, as ``vpc:CreateVpc``; each module registers its own on import"""
operation = HANDLERS.serve


def uid_of(call: Call) -> str:
    """The id of who makes a call: the user, or the role that was assumed."""
    role = call.store.get(Role, call.key.role)
    return role.number if role is not None else USER


def find_cluster(call: Call) -> Cluster:
    """The cluster in the path; ``ErrorClusterNotFound`` 404, as the Terraform provider knows it."""
    cluster = call.store.get(Cluster, call.path["cluster_id"])
    if cluster is None:
        raise Failure(
            404, "ErrorClusterNotFound", f"The cluster {call.path['cluster_id']} is not found."
        )
    return cluster


def iso(at: float) -> str:
    """``2026-11-23T04:00:00Z``"""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def beijing(at: float) -> str:
    """``2026-11-23T12:00:00+08:00``, as Container Service writes times."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+08:00", time.gmtime(at + 8 * 3600))


def given_tags(call: Call, field: str = "Tag") -> dict[str, str]:
    """The tags of a create call (at most 20, no key of the vendor's own; vendor: "Tag limits")."""
    tags = as_tags(call.get(field, []))
    check_tags(tags)
    return tags


def as_tags(sent: Sequence[Mapping[str, Any]], key: str = "Key", value: str = "Value") -> Tags:
    """Tags of a request; one key twice is refused (vendor: ECS, TagResources)."""
    pairs = [(str(one.get(key, "")), str(one.get(value, ""))) for one in sent]
    if len(dict(pairs)) < len(pairs):
        raise bad("Duplicate.TagKey", "The Tag.N.Key contain duplicate key.")
    return dict(pairs)


def check_tags(tags: Mapping[str, str]) -> None:
    """Check keys, values and number of tags."""
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or key.startswith(("aliyun", "acs:")) or "://" in key:
            raise bad("InvalidTagKey.Malformed", f"The specified tag key {key!r} is not valid.")
        if len(value) > 128 or value.startswith("acs:") or "://" in value:
            raise bad(
                "InvalidTagValue.Malformed", f"The specified tag value of {key} is not valid."
            )
    if len(tags) > 20:
        raise bad("InvalidTagCount", "The number of tags is more than 20.")


def has_tags(thing: Thing, call: Call, field: str = "Tag") -> bool:
    """Whether it has all tags the call filters by; a filter without value matches any value."""
    wanted = [(one.get("Key", ""), one.get("Value")) for one in call.get(field, [])]
    return tagged(thing.tags, wanted)


def asked_for(call: Call, **has: object) -> bool:
    """Whether each of these parameters is absent or has this value."""
    return all(call.get(name) in (None, value) for name, value in has.items())


def resource_group(call: Call, name: str = "ResourceGroupId") -> str:
    """The resource group asked for, else the default one. ECS says which it does not know; what
    the other services answer is not published, and they take any.
    """
    group = str(call.get(name, RESOURCE_GROUPS[0]))
    if call.operation.startswith("ecs:") and group not in RESOURCE_GROUPS:
        raise Failure(
            404,
            "InvalidResourceGroup.NotFound",
            "The ResourceGroup provided does not exist in our records.",
        )
    return group


def key_value(tags: Mapping[str, str]) -> list[Json]:
    """Tags as VPC writes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_key_value(tags: Mapping[str, str]) -> list[Json]:
    """Tags as ECS, load balancers and NAT gateways write them."""
    return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]
