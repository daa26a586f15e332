"""Which version of Kubernetes: ACK creates the newest patches of the three newest minors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.engine.dates import utc
from clusterkit.engine.preflight import Report
from clusterkit.engine.versions import minor, number


@dataclass(frozen=True)
class Offered:
    """A version ACK creates."""

    version: str
    """``1.35.7-aliyun.1``"""
    ends: datetime | None


def offered(clients: Clients) -> list[Offered]:
    """Every version that can be created, from DescribeKubernetesVersionMetadata."""
    operation, path = "DescribeKubernetesVersionMetadata", "/api/v1/metadata/versions"
    of = {"Region": clients.region, "ClusterType": "ManagedKubernetes", "Profile": "Default"}
    listed: list[Any] = clients.cs(operation, "GET", path, **of)
    return [
        Offered(item["version"], utc(item.get("expiration_date")))
        for item in listed or ()
        if item.get("creatable", True)
    ]


def choose_version(
    profile: AlibabaProfile, there: str | None, versions: Iterable[Offered], report: Report
) -> str:
    """The full version: the cluster's own, ``there``, if it has the minor version the profile asks
    for, else the newest patch of that minor.
    """
    wanted = profile.kubernetes
    if there and (wanted is None or minor(there) == minor(wanted)):
        return there
    newest = sorted(versions, key=lambda one: number(one.version), reverse=True)
    for one in newest:
        if wanted is None or minor(one.version) == minor(wanted):
            report.end_of_support(one.version, one.ends, "choose a newer minor version")
            return one.version
    minors = dict.fromkeys(".".join(map(str, minor(one.version))) for one in newest)
    what = f"ACK does not offer Kubernetes {wanted} for new clusters"
    report.error(what, "kubernetes", f"choose from {', '.join(minors)}")
    return f"{wanted}.0"
