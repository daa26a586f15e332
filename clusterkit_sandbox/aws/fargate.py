"""Fargate profiles: no pods run in them, but they keep their cluster from being deleted."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from clusterkit_sandbox.aws.records import FargateProfile, Shown
from clusterkit_sandbox.aws.refusals import invalid, not_found
from clusterkit_sandbox.aws.service import Eks, now, operation


def _profile(eks: Eks, asked: dict[str, Any]) -> FargateProfile:
    cluster, name = asked["clusterName"], asked["fargateProfileName"]
    found = eks.store.get(FargateProfile, name, eks.cluster(cluster).key)
    if found is None:
        raise not_found(
            f"No Fargate Profile found with name: {name}.",
            clusterName=cluster,
            fargateProfileName=name,
        )
    return found


@operation
def create_fargate_profile(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    cluster, name = asked["clusterName"], asked["fargateProfileName"]
    record = eks.active(cluster)
    if eks.store.get(FargateProfile, name, record.key):
        raise invalid(f"Fargate Profile already exists with name: {name}", clusterName=cluster)
    role = asked["podExecutionRoleArn"]
    eks.account.role(role, "eks-fargate-pods.amazonaws.com", eks.age(), now().timestamp())
    shown: Shown = {
        "fargateProfileName": name,
        "fargateProfileArn": eks.arn("fargateprofile", cluster, name, str(uuid4())),
        "clusterName": cluster,
        "createdAt": now(),
        "podExecutionRoleArn": role,
        "subnets": asked.get("subnets") or record.shown["resourcesVpcConfig"]["subnetIds"],
        "selectors": asked.get("selectors") or [],
        "status": "ACTIVE",
        "tags": asked.get("tags") or {},
    }
    eks.store.add(FargateProfile(shown, scope=record.key))
    return {"fargateProfile": shown}


@operation
def describe_fargate_profile(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    return {"fargateProfile": _profile(eks, asked).shown}


@operation
def list_fargate_profiles(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    found = eks.store.all(FargateProfile, eks.cluster(asked["clusterName"]).key)
    names, token = eks.page(sorted(profile.id for profile in found), asked)
    return {"fargateProfileNames": names, "nextToken": token}


@operation
def delete_fargate_profile(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    found = _profile(eks, asked)
    eks.store.remove(found)
    return {"fargateProfile": {**found.shown, "status": "DELETING"}}
