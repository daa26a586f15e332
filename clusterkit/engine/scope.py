"""Where a kind's calls go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", covariant=True)


@dataclass(frozen=True)
class Scope(Generic[K]):
    """Enough to list, read and delete; the same for a plan and a run."""

    client: K
    cluster: str
    region: str = ""
    destroying: bool = field(default=False, kw_only=True)
    """the whole cluster is being destroyed, so that nothing in it needs care"""
<<<<<<< HEAD
=======


@dataclass(frozen=True)
class Env(Scope[K]):
    """One run: the states of what already exists, and the tokens that make its creates idempotent.

    ``scale`` is how long a second of the real cloud lasts here: 1, less on the sandbox.
    """

    run: UUID = field(default_factory=uuid4)
    scale: float = 1.0
    states: Mapping[str, Any] = field(default_factory=dict)
    lives: Mapping[str, int] = field(default_factory=dict)
    """how often a resource was replaced in this run, by key"""

    def __getitem__(self, needed: Kind[Any, T]) -> T:
        """The state of a resource this one refers to; ``Absent`` while it does not exist."""
        try:
            found: T = self.states[needed.key]
        except KeyError:
            raise Absent(needed.key) from None
        return found

    def __contains__(self, needed: object) -> bool:
        """Whether something this one refers to exists."""
        return getattr(needed, "key", None) in self.states

    def token(self, kind: Kind[Any, Any]) -> str:
        """The idempotency token of a create.

        The same for every retry, another for each run and each life: a token made of the name alone
        would be answered with the deleted predecessor.
        """
        life = self.lives.get(kind.key, 0)
        return str(uuid5(self.run, f"{self.cluster}/{kind.key}/{life}"))
>>>>>>> 066eb077994a899f186e08a520d136781df42b37
