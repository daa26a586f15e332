"""What ``Cluster.plan`` returns: the engine's steps, for an account, with what preflight found."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Protocol

from clusterkit.engine import plan as engine
from clusterkit.engine.quotas import Share
from clusterkit.errors import Blocked, ClusterkitError, Finding
from clusterkit.ready.repair import Repair


class Facts(Protocol):
    """What preflight found out; each cloud adds its own."""

    @property
    def account(self) -> str:
        """The account, project or subscription of the credentials."""

    @property
    def shares(self) -> tuple[Share, ...]:
        """What the plan takes of quotas, as far as the driver knows them."""

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What the user should know but may ignore."""


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

    def stuck(self, name: str) -> Blocked:
        """What to say of the cluster ``name`` after a destroy that could not delete everything."""
        keys = ", ".join(each.key for each in self.blocked)
        # the last of creation first: a security group goes after the instance in it
        cures = dict.fromkeys(each.hint for each in reversed(self.blocked) if each.hint)
        return Blocked(
            f"{len(self.blocked)} not deleted, because of what is not this cluster's: {keys}",
            where=name,
            hint="\n".join((*cures, "when nothing is in the way any more: clusterkit destroy")),
        )

    def repairing(self, repair: Repair) -> Plan:
        """The steps among these by which pods log in to the registry; ``ClusterkitError`` if one
        needs what is not there.
        """
        steps = tuple(
            step
            for step in self.steps
            if step.kind.kind in repair.kinds and step.key not in repair.besides and step.wish
        )
        there = self.snapshot.states.keys() | {step.key for step in steps}
        for step in steps:
            if step.op != "keep" and (missing := sorted(step.deps - there)):
                what = f"needs {', '.join(missing)}, which does not exist"
                raise ClusterkitError(what, where=step.key, hint="clusterkit up makes it")
        return replace(self, steps=steps, kept=(), blocked=(), barriers={})
