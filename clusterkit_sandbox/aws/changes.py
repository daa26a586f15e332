"""Updates of a cluster: one at a time, and only of what the EKS API can change."""

from __future__ import annotations

from typing import Any

from clusterkit_sandbox.aws.access import add_entry
from clusterkit_sandbox.aws.catalog import REFUSED_ZONES, VERSIONS
from clusterkit_sandbox.aws.clusters import ADMIN, LOG_TYPES, MODES, groups_exist, reachable
from clusterkit_sandbox.aws.records import ClusterRecord
from clusterkit_sandbox.aws.refusals import Refusal, invalid
from clusterkit_sandbox.aws.service import Eks, operation


@operation
def update_cluster_config(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    name = asked["name"]
    record = eks.active(name)
    eks.busy(name)
    wanted = {k: v for k, v in asked.items() if k not in ("name", "clientRequestToken")}
    if len(wanted) != 1:
        raise invalid("Only one type of update can be specified at a time", clusterName=name)
    (field, value), shown = next(iter(wanted.items())), record.shown
    kind = {
        "logging": "LoggingUpdate",
        "accessConfig": "AccessConfigUpdate",
        "upgradePolicy": "UpgradePolicyUpdate",
        "deletionProtection": "DeletionProtectionUpdate",
        "zonalShiftConfig": "ZonalShiftConfigUpdate",
    }.get(field, "EndpointAccessUpdate")
    if field == "resourcesVpcConfig":
        if "subnetIds" in value or "securityGroupIds" in value:
            kind = "VpcConfigUpdate"
            if value.keys() - {"subnetIds", "securityGroupIds"}:
                raise invalid("Only one type of update can be specified at a time")
            if "subnetIds" in value:
                found = eks.account.subnets(eks.name, value["subnetIds"], 2, REFUSED_ZONES)
                _same_zones(record, {subnet.availability_zone for subnet in found})
            groups_exist(eks, value, shown["resourcesVpcConfig"]["vpcId"])
        merged = {**shown["resourcesVpcConfig"], **value}
        reachable(merged)
        if merged == shown["resourcesVpcConfig"]:
            raise invalid("Cluster is already at the desired configuration", clusterName=name)
        new: Any = merged
    elif field == "logging":
        if _on(value) <= _on(shown["logging"]) and not _off(value) & _on(shown["logging"]):
            raise invalid("No changes needed for the logging config provided", clusterName=name)
        on = (_on(shown["logging"]) | _on(value)) - _off(value)
        off = [kind_ for kind_ in LOG_TYPES if kind_ not in on]
        new = {
            "clusterLogging": [
                {"types": types, "enabled": flag}
                for types, flag in ((sorted(on), True), (off, False))
                if types
            ]
        }
    elif field not in shown:
        raise Refusal("NotImplemented", f"{field} is not in the sandbox", 501)
    else:
        if field == "accessConfig":
            _onwards(shown["accessConfig"]["authenticationMode"], value)
        new = {**(shown.get(field) or {}), **value} if isinstance(value, dict) else value

    def done() -> None:
        shown[field] = new
        if field == "accessConfig" and record.creator:
            # the entry that was there and could not be seen (terraform-aws-modules/
            # terraform-aws-eks, docs/faq.md)
            add_entry(eks, record, record.creator, "STANDARD", [ADMIN])
            record.creator = ""
        shown["status"] = "ACTIVE"

    return {"update": eks.update(record, record, kind, "eks/cluster/update", done)}


def _same_zones(record: ClusterRecord, zones: set[str]) -> None:
    """The control plane stays in its first zones (aws/containers-roadmap#2330 and #2258)."""
    if zones != record.zones:
        there, here = (",".join(sorted(some)) for some in (zones, record.zones))
        raise invalid(
            f"Provided subnets belong to the AZs '{there}'. But they should belong to the exact "
            f"same set of AZs as originally provided: '{here}'",
            clusterName=record.id,
        )


def _onwards(here: str, value: dict[str, Any]) -> None:
    there = value.get("authenticationMode", here)
    if MODES.index(there) <= MODES.index(here):
        raise invalid(f"Unsupported authentication mode update from {here} to {there}")


def _on(logging: dict[str, Any]) -> set[str]:
    return {t for s in logging.get("clusterLogging", []) if s.get("enabled") for t in s["types"]}


def _off(logging: dict[str, Any]) -> set[str]:
    return {
        t for s in logging.get("clusterLogging", []) if not s.get("enabled") for t in s["types"]
    }


@operation
def update_cluster_version(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    name, version = asked["name"], asked["version"]
    record = eks.active(name)
    eks.busy(name)
    if version not in VERSIONS:
        raise invalid(f"unsupported Kubernetes version: {version}", clusterName=name)
    here, there = (int(v.partition(".")[2]) for v in (record.shown["version"], version))
    if there != here + 1:
        raise invalid(
            f"Unsupported Kubernetes minor version update from {record.shown['version']} to "
            f"{version}",
            clusterName=name,
        )

    def done() -> None:
        record.shown["version"] = version
        record.shown["status"] = "ACTIVE"

    return {"update": eks.update(record, record, "VersionUpdate", "eks/cluster/update", done)}
