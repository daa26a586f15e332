"""Which version of Kubernetes and of the add-ons: what EKS offers, and for how long.

The dates and the support status come from DescribeClusterVersions, never from a table of ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import pages
from clusterkit.eks.profile import EksProfile
from clusterkit.engine.scope import Scope
from clusterkit.errors import Finding

WARN_BEFORE = timedelta(days=90)
"""before the end of standard support"""
STANDARD = "STANDARD_SUPPORT"


@dataclass(frozen=True)
class AddonVersion:
    """The default version of an add-on for the cluster's version, and what fits besides."""

    default: str
    compatible: tuple[str, ...]


class Versions:
    """The part of preflight that is about versions; collects findings."""

    def __init__(self, profile: EksProfile, clients: Clients, account: str) -> None:
        self.profile = profile
        self.clients = clients
        self.account = account
        self.cx = Scope(clients, profile.name)
        self.wrong: list[Finding] = []
        self.warnings: list[Finding] = []

    def addons(self, names: Iterable[str], version: str) -> dict[str, AddonVersion]:
        """The AWS add-ons of these names for a version of Kubernetes, in one call for all."""
        listed = pages(
            self.clients.eks,
            "describe_addon_versions",
            "addons",
            kubernetesVersion=version,
            owners=["aws"],
            publishers=["eks"],
        )
        offered = {item["addonName"]: item["addonVersions"] for item in listed}
        for name in names:
            if not offered.get(name):
                what = f"EKS offers no {name} for Kubernetes {version}"
                self.wrong.append(Finding(what, "kubernetes", "choose another version"))
        return {name: _addon(offered[name]) for name in names if offered.get(name)}

    def version(self, cluster: Any, versions: list[Any]) -> str:
        offered = {v["clusterVersion"]: v for v in versions}
        standard = [
            name
            for name, v in offered.items()
            if (v.get("versionStatus") or v.get("status", "").upper()) == STANDARD
        ]
        newest = max(standard, key=_number, default="")
        wanted = self.profile.kubernetes or (cluster["version"] if cluster else newest)
        known = offered.get(wanted)
        if known is None or (wanted not in standard and not cluster):
            fine = ", ".join(sorted(standard, key=_number))
            extended = sorted(set(offered) - set(standard), key=_number)
            if wanted in extended and self.profile.support == "extended":
                return wanted
            what = f"Kubernetes {wanted} is not in standard support"
            hint = f"one of {fine}; with support: extended also {', '.join(extended)}"
            self.wrong.append(Finding(what, "kubernetes", hint))
            return wanted
        self.support_ends(wanted, known.get("endOfStandardSupportDate"))
        return wanted

    def support_ends(self, version: str, end: datetime | None) -> None:
        if end is None:
            return
        left = end - datetime.now(UTC)
        if left >= WARN_BEFORE:
            return
        if left.days >= 0:
            what = f"standard support of Kubernetes {version} ends in {left.days} days"
        else:
            what = f"standard support of Kubernetes {version} ended on {end:%Y-%m-%d}"
        then = (
            "EKS then upgrades the cluster by itself"
            if self.profile.support == "standard"
            else "extended support costs more for every hour"
        )
        hint = f"{then}; go to the next version before: kubernetes: in the profile, then up"
        self.warnings.append(Finding(what, "kubernetes", hint))


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _addon(versions: list[Any]) -> AddonVersion:
    default = next(
        (
            v["addonVersion"]
            for v in versions
            if any(c.get("defaultVersion") for c in v.get("compatibilities", ()))
        ),
        versions[0]["addonVersion"],
    )
    return AddonVersion(default, tuple(v["addonVersion"] for v in versions))
