"""What a cluster's lock is in the cloud: a thing whose tags say who holds it, and for how long.

The periods are ours, not a vendor's: a lease of three renewals.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Protocol, TypeVar

from clusterkit.engine.dates import told
from clusterkit.engine.kind import Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.naming import safe

C = TypeVar("C", contravariant=True)
PREFIX = "clusterkit-lock"
"""of the tags on the lock, and of its name"""


@dataclass(frozen=True)
class Times:
    """The periods of a lock, in seconds."""

    renew: float = 30.0
    stale: float = 90.0
    """unchanged for so long, it is taken over"""
    fence: float = 60.0
    """not renewed for so long, its holder makes sure of it before the next change"""
    settle: float = 5.0
    """after taking over: two that take over at once see by then which of them has it"""
    poll: float = 5.0

    @classmethod
    def at(cls, scale: float) -> Times:
        """The periods on a sandbox, not shorter than a loaded machine needs."""
        real = cls()
        least = cls(renew=5.0, stale=15.0, fence=10.0, settle=0.5, poll=0.5)
        return cls(
            **{
                each.name: max(
                    getattr(least, each.name), getattr(real, each.name) * min(scale, 1.0)
                )
                for each in fields(cls)
            }
        )


@dataclass(frozen=True)
class Holder:
    """Who holds a lock. The values fit every cloud's tags and labels (``naming.safe``)."""

    run: str
    host: str
    process: str
    place: str
    """processes with the same one share the file locks of a machine"""
    since: str
    """seconds since the epoch"""
    beat: str = "0"
    """counts the renewals"""

    def tags(self, cluster: str) -> dict[str, str]:
        """What the lock's tags say."""
        told = {f"{PREFIX}-{key}": value for key, value in asdict(self).items()}
        return {PREFIX: safe(cluster), **told}

    @classmethod
    def of(cls, tags: Tags) -> Holder:
        """Who the tags name; empty words for what they leave out."""
        return cls(**{each.name: tags.get(f"{PREFIX}-{each.name}", "") for each in fields(cls)})

    def __str__(self) -> str:
        if not self.run:
            return "an unknown run"
        since = f", since {told(float(self.since))}" if self.since.isdigit() else ""
        return f"run {self.run}, process {self.process} on {self.host}{since}"


@dataclass(frozen=True)
class Held:
    """The lock as the cloud shows it."""

    id: str
    tags: Tags
    name: str = ""
    """what a person knows it by, if that is not the id"""


class CloudLock(Protocol[C]):
    """What a driver says of the thing that is a cluster's lock in the cloud."""

    def read(self, scope: Scope[C]) -> Held | None:
        """The lock, whoever's; None while nobody has it."""

    def take(self, scope: Scope[C], tags: Tags) -> None:
        """Create it with these tags; ``Exists`` if somebody has it."""

    def write(self, scope: Scope[C], identifier: str, tags: Tags) -> None:
        """Change these of its tags; ``Gone`` if this one does not exist any more."""

    def release(self, scope: Scope[C], identifier: str) -> Operation[C] | None:
        """Remove this one; ``Gone`` if it does not exist any more. An ``Operation`` that it returns
        is waited for.
        """
