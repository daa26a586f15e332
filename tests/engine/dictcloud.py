"""A cloud in a dictionary: asynchronous, slow to list, faulty on demand, and strict about order.

It knows nothing of the engine and counts every violation of what a real cloud would not allow: two
things of one name, a thing made before what it needs, a thing removed before what needs it.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace


class Died(BaseException):
    """The process is gone between two calls."""


class Throttled(Exception):
    """Refused before any effect."""


class LostAnswer(Exception):
    """The effect is there, the answer is not."""


@dataclass(frozen=True)
class Thing:
    """One resource in the cloud."""

    id: str
    kind: str
    name: str
    size: int
    ready_at: float
    needs: frozenset[str]
    shown_at: float
    gone_at: float | None = None
    token: str = ""


@dataclass
class Faults:
    """How often what goes wrong, per call, and when the process dies."""

    throttled: float = 0.0
    lost: float = 0.0
    slow_listing: float = 0.0
    """seconds by which a list lags behind"""
    die_after: int | None = None
    """calls until every call raises ``Died``"""
    pending: float = 0.0
    """seconds until a new thing is ready, and until a removed one is gone"""


@dataclass
class DictCloud:
    """Thread-safe; ``violations`` must stay empty."""

    faults: Faults = field(default_factory=Faults)
    seed: int = 0
    things: dict[str, Thing] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(self.seed)
        self._count = 0

    def reborn(self, die_after: int | None = None) -> None:
        """A new process talks to the same cloud."""
        with self._lock:
            self._count = 0
            self.faults = replace(self.faults, die_after=die_after)

    def _enter(self, call: str) -> bool:
        """Count, maybe die or throttle; returns whether the answer will be lost."""
        limit = self.faults.die_after
        if limit is not None and self._count >= limit:
            raise Died
        self._count += 1
        self.calls[call] += 1
        if self._random.random() < self.faults.throttled:
            raise Throttled(call)
        lost = call.split(":")[0] != "list" and self._random.random() < self.faults.lost
        self._sweep()
        return lost

    def _sweep(self) -> None:
        now = time.monotonic()
        for key in [
            k for k, t in self.things.items() if t.gone_at is not None and t.gone_at <= now
        ]:
            del self.things[key]

    def list(self, kind: str) -> list[Thing]:
        """All of a kind; new ones only after the listing has caught up."""
        with self._lock:
            self._enter(f"list:{kind}")
            now = time.monotonic()
            return [t for t in self.things.values() if t.kind == kind and t.shown_at <= now]

    def create(self, kind: str, name: str, size: int, needs: frozenset[str], token: str) -> None:
        """Make it; the same token again is answered with the same thing."""
        with self._lock:
            lost = self._enter(f"create:{kind}")
            key = f"{kind}/{name}"
            now = time.monotonic()
            there = self.things.get(key)
            if there is None or not token or there.token != token:
                if there is not None:
                    self.violations.append(f"{key} made twice")
                for need in needs:
                    other = self.things.get(need)
                    if other is None or other.ready_at > now or other.gone_at is not None:
                        self.violations.append(f"{key} made before {need} was ready")
                self.made[key] += 1
                self.things[key] = Thing(
                    id=f"{key}#{self.made[key]}",
                    kind=kind,
                    name=name,
                    size=size,
                    ready_at=now + self.faults.pending,
                    needs=needs,
                    shown_at=now + self.faults.slow_listing,
                    token=token,
                )
            if lost:
                raise LostAnswer(key)

    def resize(self, kind: str, name: str, size: int) -> None:
        """Change it."""
        with self._lock:
            lost = self._enter(f"update:{kind}")
            key = f"{kind}/{name}"
            if key not in self.things:
                self.violations.append(f"{key} updated but not there")
            else:
                self.things[key] = replace(self.things[key], size=size)
            if lost:
                raise LostAnswer(key)

    def delete(self, kind: str, name: str) -> None:
        """Remove it; refused (a violation) while another thing needs it."""
        with self._lock:
            lost = self._enter(f"delete:{kind}")
            key = f"{kind}/{name}"
            for other in self.things.values():
                if key in other.needs:
                    self.violations.append(f"{key} removed before {other.id}")
            if key in self.things and self.things[key].gone_at is None:
                gone = time.monotonic() + self.faults.pending
                self.things[key] = replace(self.things[key], gone_at=gone)
            self._sweep()
            if lost:
                raise LostAnswer(key)
