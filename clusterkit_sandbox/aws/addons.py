"""Add-ons."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from clusterkit_sandbox.aws import system
from clusterkit_sandbox.aws.catalog import EBS_ADDON, VERSIONS, addons
from clusterkit_sandbox.aws.identities import create_pod_identity_association
from clusterkit_sandbox.aws.records import Addon, Association, ClusterRecord, Group, Shown
from clusterkit_sandbox.aws.refusals import Refusal, in_use, invalid, not_found
from clusterkit_sandbox.aws.service import Eks, now, operation


def _addon(eks: Eks, asked: dict[str, Any]) -> Addon:
    found = eks.store.get(Addon, asked["addonName"], eks.cluster(asked["clusterName"]).key)
    if found is None:
        raise not_found(
            f"No addon: {asked['addonName']} found in cluster: {asked['clusterName']}",
            clusterName=asked["clusterName"],
            addonName=asked["addonName"],
        )
    return found


@operation
def describe_addon_versions(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    wanted = asked.get("kubernetesVersion")
    if wanted and wanted not in VERSIONS:
        raise invalid(f"unsupported Kubernetes version: {wanted}")
    found: dict[str, dict[str, list[Shown]]] = {}
    for version in [wanted] if wanted else sorted(VERSIONS, reverse=True):
        for name, offer in addons(version).items():
            if asked.get("addonName") not in (None, name):
                continue
            for index, number in enumerate(offer.versions):
                fits = {
                    "clusterVersion": version,
                    "defaultVersion": index == 0,
                    "platformVersions": ["*"],
                }
                found.setdefault(name, {}).setdefault(number, []).append(fits)
    for filter_, value in (("owners", "aws"), ("publishers", "eks"), ("types", "networking")):
        if asked.get(filter_) and value not in asked[filter_]:
            found.clear()
    if asked.get("addonName") and not found:
        raise invalid(f"Addon {asked['addonName']} specified is not supported")
    shown = [
        {
            "addonName": name,
            "type": "networking",
            "owner": "aws",
            "publisher": "eks",
            "addonVersions": [
                {
                    "addonVersion": number,
                    "architecture": ["amd64", "arm64"],
                    "compatibilities": fits,
                    "requiresConfiguration": False,
                    "requiresIamPermissions": name == EBS_ADDON,
                }
                for number, fits in versions.items()
            ],
        }
        for name, versions in found.items()
    ]
    page, token = eks.page(shown, asked)
    return {"addons": page, "nextToken": token}


@operation
def describe_addon_configuration(_: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    for version in VERSIONS:
        offer = addons(version).get(asked["addonName"])
        if offer and asked["addonVersion"] in offer.versions:
            schema = {
                "$schema": "http://json-schema.org/draft-06/schema#",
                "type": "object",
            }
            return {
                "addonName": asked["addonName"],
                "addonVersion": asked["addonVersion"],
                "configurationSchema": json.dumps(schema),
                "podIdentityConfiguration": [],
            }
    raise not_found(f"No addon version {asked['addonVersion']} of {asked['addonName']}")


@operation
def create_addon(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    cluster, name = asked["clusterName"], asked["addonName"]
    record = eks.active(cluster)
    offer = addons(record.shown["version"]).get(name)
    if offer is None:
        raise invalid(
            f"Addon {name} specified is not supported",
            clusterName=cluster,
            addonName=name,
        )
    if eks.store.get(Addon, name, record.key):
        raise in_use("Addon already exists.", clusterName=cluster, addonName=name)
    version = asked.get("addonVersion") or offer.versions[0]
    _check_version(version, offer.versions, record, name)
    _check_configuration(asked.get("configurationValues"))
    arn = eks.arn("addon", cluster, name, str(uuid4()))
    identities = _identities(eks, record, arn, asked.get("podIdentityAssociations") or [])
    shown: Shown = {
        "addonName": name,
        "clusterName": cluster,
        "status": "CREATING",
        "addonVersion": version,
        "health": {"issues": []},
        "addonArn": arn,
        "createdAt": now(),
        "modifiedAt": now(),
        "serviceAccountRoleArn": asked.get("serviceAccountRoleArn"),
        "tags": asked.get("tags") or {},
        "configurationValues": asked.get("configurationValues"),
        "podIdentityAssociations": identities or None,
    }
    addon = eks.store.add(Addon(shown, scope=record.key))
    if eks.context.faults.terminal("eks:CreateAddon"):
        issue = {
            "code": "ConfigurationConflict",
            "message": "Conflicts found",
            "resourceIds": [],
        }
        shown["health"]["issues"].append(issue)
        eks.life.go(addon, "CREATING", "eks/addon/create", "CREATE_FAILED")
    else:
        eks.system.install(record.key, _installed(addon, record))
        eks.life.go(addon, "CREATING", "eks/addon/create", _healthy(eks, record, addon))
    return {"addon": shown}


def _installed(addon: Addon, record: ClusterRecord) -> list[Shown]:
    """What the add-on has in Kubernetes."""
    shown = addon.shown
    role = shown.get("serviceAccountRoleArn") or ""
    version, services = shown["addonVersion"], record.services
    return list(system.objects(addon.id, version, record.region, services, role))


def _identities(
    eks: Eks, record: ClusterRecord, owner: str, wanted: list[dict[str, Any]]
) -> list[str]:
    """Create all of an add-on's pod identity associations, or none."""
    made: list[str] = []
    try:
        for item in wanted:
            asked = {
                "clusterName": record.shown["name"],
                "namespace": "kube-system",
                "serviceAccount": item["serviceAccount"],
                "roleArn": item["roleArn"],
                "ownerArn": owner,
            }
            shown = create_pod_identity_association(eks, asked)["association"]
            made.append(shown["associationArn"])
    except Refusal:
        _forget(eks, record, made)
        raise
    return made


def _forget(eks: Eks, record: ClusterRecord, arns: list[str]) -> list[Association]:
    """Remove these associations; those that there were."""
    ids = [arn.rpartition("/")[2] for arn in arns]
    found = [one for i in ids if (one := eks.store.get(Association, i, record.key)) is not None]
    for one in found:
        eks.store.remove(one)
    return found


def _check_version(
    version: str, offered: tuple[str, ...], record: ClusterRecord, name: str
) -> None:
    if version not in offered:
        raise invalid(
            f"Addon version specified is not supported, version: {version}",
            clusterName=record.shown["name"],
            addonName=name,
        )


def _check_configuration(text: str | None) -> None:
    if text:
        try:
            json.loads(text)
        except ValueError as error:
            raise invalid(
                "Provided configurationValues in request is not supported: not JSON"
            ) from error


def _healthy(eks: Eks, record: ClusterRecord, addon: Addon) -> str:
    """ACTIVE or DEGRADED, with the reason EKS shows."""
    shown = addon.shown
    offer = addons(record.shown["version"])[shown["addonName"]]
    issues: list[Shown] = []
    if offer.needs_nodes and not any(
        g.status in ("ACTIVE", "UPDATING") for g in eks.store.all(Group, record.key)
    ):
        issues.append(
            {
                "code": "InsufficientNumberOfReplicas",
                "message": "The add-on is unhealthy because it doesn't have the desired number of "
                "replicas.",
                "resourceIds": [],
            }
        )
    if shown["addonName"] == EBS_ADDON and not (
        shown.get("podIdentityAssociations") or shown.get("serviceAccountRoleArn")
    ):
        issues.append(
            {
                "code": "AccessDenied",
                "message": "The controller has no credentials: no IAM role for the service account",
                "resourceIds": [],
            }
        )
    shown["health"]["issues"] = issues
    return "DEGRADED" if issues else "ACTIVE"


def look_after(eks: Eks, record: ClusterRecord) -> None:
    """Update the health of add-ons after nodes were added or removed."""
    for addon in eks.store.all(Addon, record.key):
        if addon.status in ("ACTIVE", "DEGRADED"):
            addon.shown["status"] = _healthy(eks, record, addon)
        elif addon.status == "CREATING" and addon.then in ("ACTIVE", "DEGRADED"):
            addon.then = _healthy(eks, record, addon)


@operation
def describe_addon(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    return {"addon": _addon(eks, asked).shown}


def _names(eks: Eks, asked: dict[str, Any]) -> list[str]:
    return sorted(one.id for one in eks.store.all(Addon, eks.cluster(asked["clusterName"]).key))


@operation
def list_addons(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    names, token = eks.page(_names(eks, asked), asked)
    return {"addons": names, "nextToken": token}


@operation
def update_addon(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    record, addon = eks.active(asked["clusterName"]), _addon(eks, asked)
    name, shown = asked["addonName"], addon.shown
    if addon.status not in ("ACTIVE", "DEGRADED", "UPDATE_FAILED", "CREATE_FAILED"):
        raise in_use(f"Addon {name} is in {addon.status} state", addonName=name)
    version = asked.get("addonVersion") or shown["addonVersion"]
    _check_version(version, addons(record.shown["version"])[name].versions, record, name)
    _check_configuration(asked.get("configurationValues"))
    wanted = asked.get("podIdentityAssociations")
    if wanted is not None:  # an empty list takes them away, none leaves them
        before = _forget(eks, record, shown.get("podIdentityAssociations") or [])
        try:
            shown["podIdentityAssociations"] = (
                _identities(eks, record, shown["addonArn"], wanted) or None
            )
        except Refusal:
            for old in before:
                eks.store.add(old)
            raise

    def done() -> None:
        shown["addonVersion"] = version
        if asked.get("configurationValues") is not None:
            shown["configurationValues"] = asked["configurationValues"]
        if asked.get("serviceAccountRoleArn"):
            shown["serviceAccountRoleArn"] = asked["serviceAccountRoleArn"]
        shown["modifiedAt"] = now()
        eks.system.install(record.key, _installed(addon, record))
        shown["status"] = _healthy(eks, record, addon)

    return {"update": eks.update(record, addon, "AddonUpdate", "eks/addon/update", done)}


@operation
def delete_addon(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    record, addon = eks.cluster(asked["clusterName"]), _addon(eks, asked)
    if addon.status == "DELETING":
        raise in_use(f"Addon {asked['addonName']} is in DELETING state")
    _forget(eks, record, addon.shown.get("podIdentityAssociations") or [])
    if not asked.get("preserve"):
        eks.system.uninstall(record.key, _installed(addon, record))
    eks.life.go(addon, "DELETING", "eks/addon/delete", None, lambda: eks.store.remove(addon))
    return {"addon": addon.shown}
