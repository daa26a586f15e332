"""What ``Cluster.plan`` returns: the engine's steps, for an account, with what preflight found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from clusterkit.clouds import Facts
from clusterkit.engine import plan as engine
from clusterkit.errors import Finding

if TYPE_CHECKING:
    from clusterkit.profile.model import BaseProfile


@dataclass(frozen=True)
class Plan(engine.Plan):
    """The steps ``apply`` will take, for which account, and what preflight found."""

    account: str = ""
    facts: Facts | None = None
    """None for a plan to destroy"""

    @classmethod
    def of(cls, steps: engine.Plan, account: str, facts: Facts | None = None) -> Plan:
        """These steps in this account."""
        parts = {part.name: getattr(steps, part.name) for part in fields(steps)}
        return cls(**parts, account=account, facts=facts)


def unfinished(profile: BaseProfile) -> Iterator[Finding]:
    """Parts of the profile that are validated but have no effect yet."""
    if profile.ready.jenkins_x is not None:
        yield Finding("checked only, not set up yet", where="ready.jenkins_x")
