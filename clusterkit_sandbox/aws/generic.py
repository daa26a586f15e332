"""The EKS operations that are the same for every resource: tags and updates."""

from __future__ import annotations

from typing import Any

from clusterkit_sandbox.aws.refusals import Refusal, not_found
from clusterkit_sandbox.aws.service import RESERVED, Eks, operation, part, reserved


@operation
def list_tags_for_resource(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    return {"tags": eks.tagged(asked["resourceArn"]).get("tags") or {}}


@operation
def tag_resource(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    shown = eks.tagged(asked["resourceArn"])
    tags = {**(shown.get("tags") or {}), **asked["tags"]}
    if len(tags) > 50:
        raise Refusal("BadRequestException", "A resource can have at most 50 tags", 400)
    if reserved(asked["tags"]):
        raise Refusal("BadRequestException", RESERVED, 400)
    shown["tags"] = tags
    return {}


@operation
def untag_resource(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    shown = eks.tagged(asked["resourceArn"])
    gone = set(asked["tagKeys"])
    shown["tags"] = {k: v for k, v in (shown.get("tags") or {}).items() if k not in gone}
    return {}


@operation
def describe_update(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    cluster = eks.cluster(asked["name"])
    found = eks.updates.get(asked["updateId"])
    if found is None or (found.parent, found.target) != (cluster.arn, part(asked)):
        raise not_found(f"No update found for id: {asked['updateId']}", clusterName=asked["name"])
    return {"update": found.shown}


@operation
def list_updates(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    updates = eks.updates.of(eks.cluster(asked["name"]).arn)
    ids, token = eks.page([one.id for one in updates if one.target == part(asked)], asked)
    return {"updateIds": ids, "nextToken": token}
