"""TagResources and the like, which differ between services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.models import (
    Acl,
    Cluster,
    Disk,
    Eip,
    Instance,
    KeyPair,
    LoadBalancer,
    NatGateway,
    NetworkInterface,
    Policy,
    Role,
    SecurityGroup,
    Thing,
    Vpc,
    VSwitch,
)
from clusterkit_sandbox.alibaba.service import (
    Call,
    Json,
    as_tags,
    check_tags,
    find_cluster,
    operation,
    tag_key_value,
)

_KINDS: Mapping[str, Mapping[str, type[Thing]]] = {
    "vpc": {"VPC": Vpc, "VSWITCH": VSwitch, "EIP": Eip, "NATGATEWAY": NatGateway},
    "ecs": {
        "disk": Disk,
        "eni": NetworkInterface,
        "instance": Instance,
        "keypair": KeyPair,
        "securitygroup": SecurityGroup,
    },
    "slb": {"instance": LoadBalancer, "acl": Acl},
    "nlb": {"loadbalancer": LoadBalancer},
    "ram": {"role": Role, "policy": Policy},
    "cs": {"CLUSTER": Cluster},
}
"""Resource types as each service's TagResources spells them."""
_AT_ONCE = 50
"""Resources that one call may tag (vendor: TagResources, ResourceId.N)."""


def _kind(service: str, name: str) -> type[Thing]:
    kind = _KINDS[service].get(name)
    if kind is None:
        raise bad("InvalidResourceType.NotFound", f"The ResourceType {name!r} is not found.")
    return kind


def _regional(call: Call, kind: type[Thing]) -> str:
    return call.region if kind is KeyPair else ""


def _of_service(call: Call, thing: Thing) -> bool:
    """Whether it is this service's, in the region asked for."""
    service = call.operation.partition(":")[0]
    kind = {"slb": "clb", "nlb": "nlb"}.get(service)
    if isinstance(thing, LoadBalancer) and thing.kind != kind:
        return False
    return not thing.region or thing.region == call.region


def _things(call: Call, kind: type[Thing], ids: Sequence[str]) -> list[Thing]:
    found = []
    if not ids:
        raise bad("MissingParameter", "Specify at least one resource.")
    if len(ids) > _AT_ONCE:
        raise bad("NumberExceed.ResourceIds", f"Valid : {_AT_ONCE}")
    for identifier in ids:
        thing = call.store.get(kind, identifier, _regional(call, kind))
        if thing is None or not _of_service(call, thing):
            raise Failure(
                404, "InvalidResourceId.NotFound", f"The ResourceId {identifier} does not exist."
            )
        found.append(thing)
    return found


def _set(things: Sequence[Thing], tags: Mapping[str, str]) -> None:
    for thing in things:
        check_tags({**thing.tags, **tags})
    for thing in things:
        thing.tags.update(tags)


def _unset(things: Sequence[Thing], keys: Sequence[str], everything: bool) -> None:
    for thing in things:
        for key in list(thing.tags):
            if everything or key in keys:
                del thing.tags[key]


_SERVICES = ("ecs", "nlb", "slb", "vpc")


def _service(call: Call) -> str:
    return call.operation.partition(":")[0]


def _named(call: Call, kind: type[Thing]) -> list[Thing]:
    """The resources that a call names; RAM's have names only."""
    ids = "ResourceNames" if _service(call) == "ram" else "ResourceId"
    return _things(call, kind, call.get(ids, []))


@operation("ram:TagResources", *(f"{service}:TagResources" for service in _SERVICES))
def _tag(call: Call) -> object:
    kind = _kind(_service(call), call.get("ResourceType", ""))
    tags = as_tags(call.get("Tag", []))
    if not tags:
        raise bad("MissingParameter.Tags", "Specify at least one tag.")
    _set(_named(call, kind), tags)
    return {}


@operation(
    "ecs:UntagResources", "nlb:UntagResources", "ram:UntagResources", "slb:UntagResources",
    "vpc:UnTagResources",
)  # fmt: skip
def _untag(call: Call) -> object:
    kind = _kind(_service(call), call.get("ResourceType", ""))
    keys = "TagKeys" if _service(call) == "ram" else "TagKey"
    wanted, everything = call.get(keys, []), bool(call.get("All", False))
    if not wanted and not everything:
        raise bad("MissingParameter.Tags", "Specify TagKey or All.")
    _unset(_named(call, kind), wanted, everything)
    return {}


def _rows(call: Call, kind: type[Thing], wanted: Sequence[str]) -> list[tuple[Thing, str, str]]:
    filters = {str(t.get("Key", "")): t.get("Value") for t in call.get("Tag", [])}
    if not wanted and not filters:
        raise bad("MissingParameter", "Specify ResourceId or Tag.")
    return [
        (thing, key, value)
        for thing in call.store.all(kind)
        if (not wanted or thing.id in wanted)
        and _of_service(call, thing)
        and all(k in thing.tags and v in (None, "", thing.tags[k]) for k, v in filters.items())
        for key, value in thing.tags.items()
    ]


@operation(*(f"{service}:ListTagResources" for service in _SERVICES))
def _list(call: Call) -> object:
    service = _service(call)
    name = call.get("ResourceType", "")
    rows = _rows(call, _kind(service, name), call.get("ResourceId", []))
    token, some = call.slice(rows, most=50)
    found = [
        {"ResourceId": thing.id, "ResourceType": name, "TagKey": key, "TagValue": value}
        for thing, key, value in some
    ]
    answer: Json = {"NextToken": token, "TagResources": {"TagResource": found}}
    if service == "nlb":
        answer["TagResources"] = found
    return answer


@operation("ram:ListTagResources")
def _list_ram(call: Call) -> object:
    name = call.get("ResourceType", "")
    rows = _rows(call, _kind("ram", name), call.get("ResourceNames", []))
    token, some = call.slice(rows, size="PageSize")
    found = [
        {"ResourceName": thing.id, "ResourceType": name, **tag_key_value({key: value})[0]}
        for thing, key, value in some
    ]
    return {"NextToken": token, "TagResources": found}


def _cluster_tags(call: Call, field: str) -> dict[str, str]:
    return as_tags(call.get(field, []), "key", "value")


@operation("cs:TagResources")
def _tag_clusters(call: Call) -> object:
    kind = _kind("cs", call["resource_type"])
    _set(_things(call, kind, call["resource_ids"]), _cluster_tags(call, "tags"))
    return {"RequestId": call.request_id}


@operation("cs:UntagResources")
def _untag_clusters(call: Call) -> object:
    kind = _kind("cs", call["resource_type"])
    things = _things(call, kind, call["resource_ids"])
    _unset(things, call["tag_keys"], bool(call.get("all", False)))
    return {"RequestId": call.request_id}


@operation("cs:ListTagResources")
def _list_clusters(call: Call) -> object:
    kind = _kind("cs", call["resource_type"])
    rows = [
        {
            "resource_id": thing.id,
            "resource_type": call["resource_type"],
            "tag_key": key,
            "tag_value": value,
        }
        for thing in _things(call, kind, call["resource_ids"])
        for key, value in thing.tags.items()
    ]
    token, some = call.slice(rows, token="next_token")
    return {"next_token": token, "tag_resources": {"tag_resource": list(some)}}


@operation("cs:ModifyClusterTags")
def _replace_cluster_tags(call: Call) -> object:
    cluster = find_cluster(call)
    tags = _cluster_tags(call, "body")
    check_tags(tags)
    cluster.tags = tags
    return None
