"""Which version of Kubernetes: ACK creates the newest patches of the three newest minors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster import minor
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.engine.scope import Scope
from clusterkit.errors import Finding

WARN_BEFORE = timedelta(days=90)
"""before the end of support"""


@dataclass(frozen=True)
class Offered:
    """A version ACK creates."""

    version: str
    """``1.35.7-aliyun.1``"""
    ends: datetime | None


class Versions:
    """The part of preflight that is about versions; collects findings."""

    def __init__(self, profile: AlibabaProfile, clients: Clients, account: str) -> None:
        self.profile = profile
        self.clients = clients
        self.account = account
        self.scope = Scope(clients, profile.name, profile.region)
        self.wrong: list[Finding] = []
        self.warnings: list[Finding] = []

    def versions(self) -> list[Offered]:
        """Every version that can be created, from DescribeKubernetesVersionMetadata."""
        listed: list[Any] = (
            self.clients.cs(
                "DescribeKubernetesVersionMetadata",
                "GET",
                "/api/v1/metadata/versions",
                Region=self.profile.region,
                ClusterType="ManagedKubernetes",
                Profile="Default",
            )
            or []
        )
        return [
            Offered(item["version"], _time(item.get("expiration_date")))
            for item in listed
            if item.get("creatable", True)
        ]

    def version(self, there: str | None, offered: list[Offered]) -> str:
        """The version to create; a cluster of the profile's minor version keeps its own."""
        wanted = self.profile.kubernetes
        if there and (wanted is None or minor(there) == minor(wanted)):
            return there
        newest = sorted(offered, key=lambda one: _number(one.version), reverse=True)
        for one in newest:
            if wanted is None or minor(one.version) == minor(wanted):
                self._ends(one)
                return one.version
        minors = dict.fromkeys(".".join(map(str, minor(one.version))) for one in newest)
        what = f"ACK does not create Kubernetes {wanted} any more, or not yet"
        self.wrong.append(Finding(what, "kubernetes", f"one of {', '.join(minors)}"))
        return f"{wanted}.0"

    def _ends(self, one: Offered) -> None:
        if one.ends and (left := one.ends - datetime.now(UTC)) < WARN_BEFORE:
            what = f"support of Kubernetes {one.version} ends in {left.days} days"
            self.warnings.append(Finding(what, "kubernetes", "take a newer minor version"))


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.replace("-aliyun", "").split(".") if part.isdigit())


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
