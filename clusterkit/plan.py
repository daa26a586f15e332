"""What ``Cluster.plan`` returns: the engine's steps, for an account, with what preflight found."""

from __future__ import annotations

from dataclasses import dataclass, fields

from clusterkit.clouds import Facts
from clusterkit.engine import plan as engine


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
