"""Pod identity associations: the role that a service account may assume (EKS API)."""

from __future__ import annotations

import secrets
from typing import Any

from clusterkit_sandbox.aws.records import Association, Shown
from clusterkit_sandbox.aws.refusals import Refusal, in_use, not_found
from clusterkit_sandbox.aws.service import Eks, now, operation


def _identity(eks: Eks, asked: dict[str, Any]) -> Association:
    scope = eks.cluster(asked["clusterName"]).key
    found = eks.store.get(Association, asked["associationId"], scope)
    if found is None:
        raise not_found(f"No association found with id: {asked['associationId']}")
    return found


@operation
def create_pod_identity_association(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    record = eks.active(asked["clusterName"])
    eks.account.role(asked["roleArn"], "pods.eks.amazonaws.com", eks.age(), now().timestamp())
    for other in eks.store.all(Association, record.key):
        if all(other.shown[key] == asked[key] for key in ("namespace", "serviceAccount")):
            raise in_use(
                "Association already exists: a pod identity association for service account "
                f"{asked['serviceAccount']} in namespace {asked['namespace']}"
            )
    identifier = "a-" + secrets.token_hex(9)[:17]
    shown: Shown = {
        "clusterName": asked["clusterName"],
        "namespace": asked["namespace"],
        "serviceAccount": asked["serviceAccount"],
        "roleArn": asked["roleArn"],
        "associationArn": eks.arn("podidentityassociation", asked["clusterName"], identifier),
        "associationId": identifier,
        "tags": asked.get("tags") or {},
        "createdAt": now(),
        "modifiedAt": now(),
    }
    if asked.get("ownerArn"):
        shown["ownerArn"] = asked["ownerArn"]
    eks.store.add(Association(shown, scope=record.key))
    return {"association": shown}


@operation
def describe_pod_identity_association(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    return {"association": _identity(eks, asked).shown}


def _unowned(shown: Shown) -> None:
    if owner := shown.get("ownerArn"):
        raise Refusal("InvalidRequestException", f"The association is owned by {owner}")


@operation
def update_pod_identity_association(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    shown = _identity(eks, asked).shown
    _unowned(shown)
    if asked.get("roleArn"):
        eks.account.role(asked["roleArn"], "pods.eks.amazonaws.com", eks.age(), now().timestamp())
        shown["roleArn"] = asked["roleArn"]
    shown["modifiedAt"] = now()
    return {"association": shown}


@operation
def delete_pod_identity_association(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    found = _identity(eks, asked)
    _unowned(found.shown)
    eks.store.remove(found)
    return {"association": found.shown}


@operation
def list_pod_identity_associations(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    cluster = eks.cluster(asked["clusterName"])
    every = [one.shown for one in eks.store.all(Association, cluster.key)]
    found = [
        {
            key: shown[key]
            for key in (
                "clusterName",
                "namespace",
                "serviceAccount",
                "associationArn",
                "associationId",
                "ownerArn",
            )
            if key in shown
        }
        for shown in every
        if asked.get("namespace") in (None, shown["namespace"])
        and asked.get("serviceAccount") in (None, shown["serviceAccount"])
    ]
    page, token = eks.page(found, asked)
    return {"associations": page, "nextToken": token}
