"""Which version of Kubernetes and of the add-ons: what EKS offers, and for how long.

The dates and the support status come from DescribeClusterVersions, never from a table of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.profile import EksProfile
from clusterkit.engine.preflight import Report
from clusterkit.engine.versions import number

STANDARD = "STANDARD_SUPPORT"


@dataclass(frozen=True)
class AddonVersion:
    """The default version of an add-on for the cluster's version, and all that fit it."""

    default: str
    compatible: tuple[str, ...]


def addons(
    clients: Clients, names: Iterable[str], version: str, report: Report
) -> dict[str, AddonVersion]:
    """The AWS add-ons of these names for a version of Kubernetes, in one call for all."""
    listed = pages(
        clients.eks,
        "describe_addon_versions",
        "addons",
        kubernetesVersion=version,
        owners=["aws"],
        publishers=["eks"],
    )
    offered = {item["addonName"]: item["addonVersions"] for item in listed}
    for name in names:
        if not offered.get(name):
            what = f"EKS has no {name} add-on for Kubernetes {version}"
            report.error(what, "kubernetes", "choose another version")
    return {name: _addon(offered[name]) for name in names if offered.get(name)}


def _addon(versions: Sequence[Any]) -> AddonVersion:
    names = [version["addonVersion"] for version in versions]
    defaults = (
        version["addonVersion"]
        for version in versions
        if any(fit.get("defaultVersion") for fit in version.get("compatibilities", ()))
    )
    return AddonVersion(next(defaults, names[0]), tuple(names))


def choose_version(
    profile: EksProfile, cluster: Any, versions: Iterable[Any], report: Report
) -> str:
    """The version the profile asks for, else the cluster's own, else the newest in standard
    support; ``cluster`` is None if there is none yet."""
    offered = {version["clusterVersion"]: version for version in versions}
    standard = [
        name
        for name, version in offered.items()
        if (version.get("versionStatus") or version.get("status", "").upper()) == STANDARD
    ]
    newest = max(standard, key=number, default="")
    wanted = profile.kubernetes or (cluster["version"] if cluster else newest)
    extended = sorted(offered.keys() - set(standard), key=number)
    if wanted in standard or (wanted in extended and cluster):
        then = (
            "EKS then upgrades the cluster by itself"
            if profile.support == "standard"
            else "extended support costs more per hour"
        )
        hint = f"{then}; to upgrade now, set kubernetes: to the next version and run up"
        report.end_of_support(wanted, offered[wanted].get("endOfStandardSupportDate"), hint)
    elif wanted not in extended or profile.support == "standard":
        hint = f"choose from {', '.join(sorted(standard, key=number))}"
        hint += f"; with support: extended also from {', '.join(extended)}" if extended else ""
        report.error(f"Kubernetes {wanted} is not in standard support", "kubernetes", hint)
    return wanted
