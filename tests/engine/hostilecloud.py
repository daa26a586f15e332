"""A cloud that answers as the worst of them do, and its kinds.

Creates end in failed or unhealthy states, operations fail, names are taken, deletes are refused
while something is in use or protected, and what was deleted is ``Gone``. How often is in
``Hostility``; ``calm`` ends it, as an outage ends.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from clusterkit import errors
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env, Kind
from clusterkit.engine.operation import Done, Failed, Operation, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER, NAME


@dataclass(frozen=True)
class Hostility:
    """The share of the calls that end so."""

    failed: float = 0.0
    """creates that are accepted and end in a failed state"""
    sick: float = 0.0
    """creates that end unhealthy"""
    operation: float = 0.0
    """operations that fail, with half of them having had their effect"""
    refused: float = 0.0
    """changes that are refused for good"""
    in_use: float = 0.0
    busy: float = 0.0
    propagating: float = 0.0
    lost: float = 0.0
    protected: float = 0.0
    """creates with deletion protection"""
    vanished: float = 0.0
    """changes and deletes before which somebody else deletes the thing"""


@dataclass(frozen=True)
class Thing:
    """One resource, which is its own state."""

    id: str
    kind: str
    name: str
    size: int
    status: str
    needs: frozenset[str]
    """ids"""
    locked: bool = False
    """a delete is refused until it is switched off"""
    token: str = ""
    cluster: str = "c"

    @property
    def tags(self) -> Mapping[str, str]:
        return {CLUSTER: self.cluster, NAME: self.name}


@dataclass
class HostileCloud:
    """Thread-safe; ``violations`` must stay empty."""

    hostility: Hostility = field(default_factory=Hostility)
    seed: int = 0
    things: dict[str, Thing] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._random = random.Random(self.seed)
        self._ids = itertools.count(1)

    def calm(self) -> None:
        """From now on everything works."""
        self.hostility = Hostility()

    def dice(self, share: float) -> bool:
        with self._lock:
            return self._random.random() < share

    def list(self, kind: str) -> list[Thing]:
        with self._lock:
            return [thing for thing in self.things.values() if thing.kind == kind]

    def add(self, thing: Thing) -> Thing:
        """Put it there, as somebody does by hand."""
        with self._lock:
            made = replace(thing, id=f"{thing.kind}-{next(self._ids)}")
            self.things[made.id] = made
            return made

    def create(self, wanted: Thing) -> None:
        with self._lock:
            self._refuse()
            if self.dice(self.hostility.propagating):
                raise errors.Propagating("not visible yet", code="Propagating")
            for other in self.list(wanted.kind):
                if other.name == wanted.name and other.token != wanted.token:
                    raise errors.Exists(f"{wanted.name} exists", code="Exists")
                if other.name == wanted.name:
                    return
            if missing := wanted.needs - self.things.keys():
                self.violations.append(f"{wanted.name} created without {missing}")
            status = "ready"
            if self.dice(self.hostility.failed):
                status = "failed"
            elif self.dice(self.hostility.sick):
                status = "sick"
            self.add(replace(wanted, status=status, locked=self.dice(self.hostility.protected)))
            self._lose()

    def change(self, identifier: str, **values: int | bool) -> None:
        with self._lock:
            self._refuse()
            self._vanish(identifier)
            if identifier not in self.things:
                raise errors.Gone(f"no {identifier}", code="NotFound")
            self.things[identifier] = replace(self.things[identifier], **values)  # type: ignore[arg-type]
            self._lose()

    def delete(self, identifier: str) -> None:
        with self._lock:
            self._refuse()
            self._vanish(identifier)
            there = self.things.get(identifier)
            if there is None:
                raise errors.Gone(f"no {identifier}", code="NotFound")
            if there.locked:
                raise errors.Protected(f"{identifier} is protected", code="Protected")
            users = [each.id for each in self.things.values() if identifier in each.needs]
            if users or self.dice(self.hostility.in_use):
                raise errors.InUse(f"{identifier} is used by {users}", code="InUse")
            del self.things[identifier]
            self._lose()

    def _refuse(self) -> None:
        if self.dice(self.hostility.refused):
            raise errors.Rejected("refused", code="Refused")
        if self.dice(self.hostility.busy):
            raise errors.Busy("busy", code="Busy")

    def _vanish(self, identifier: str) -> None:
        used = any(identifier in each.needs for each in self.things.values())
        if not used and self.dice(self.hostility.vanished):
            self.things.pop(identifier, None)

    def _lose(self) -> None:
        if self.dice(self.hostility.lost):
            raise errors.ServerError("answer lost", code="Lost")


@dataclass
class Work:
    """An operation of a few polls."""

    cloud: HostileCloud
    polls: int = 2

    def poll(self, scope: Scope[HostileCloud]) -> Outcome:
        self.polls -= 1
        if self.polls > 0:
            return Running("working")
        if self.cloud.dice(self.cloud.hostility.operation):
            return Failed(errors.Rejected("the operation failed", code="OperationFailed"))
        return Done()


class Item(Kind[HostileCloud, Thing]):
    """A thing of some size."""

    kind: ClassVar[str] = "item"
    usable: ClassVar[frozenset[str]] = frozenset({"ready"})
    failed: ClassVar[frozenset[str]] = frozenset({"failed"})
    unhealthy: ClassVar[frozenset[str]] = frozenset({"sick"})
    taggable: ClassVar[bool] = False
    size: int = 1
    on: tuple[Kind[HostileCloud, Thing], ...] = ()

    @classmethod
    def list(cls, scope: Scope[HostileCloud]) -> Iterable[Thing]:
        return scope.client.list(cls.kind)

    def create(self, env: Env[HostileCloud]) -> Operation[HostileCloud] | None:
        needs = frozenset(env[needed].id for needed in self.on)
        env.client.create(
            Thing("", self.kind, self.name, self.size, "", needs, token=env.token(self))
        )
        return Work(env.client)

    def edits(self, env: Env[HostileCloud], have: Thing) -> Iterator[Edit]:
        def resize() -> Operation[HostileCloud]:
            env.client.change(have.id, size=self.size)
            return Work(env.client)

        yield from edit("size", have.size, self.size, resize)

    @classmethod
    def delete(cls, scope: Scope[HostileCloud], have: Thing) -> Operation[HostileCloud] | None:
        scope.client.delete(have.id)
        return Work(scope.client)

    @classmethod
    def unprotect(cls, scope: Scope[HostileCloud], have: Thing) -> None:
        scope.client.change(have.id, locked=False)


class Upper(Item):
    """Made after items, on them."""

    kind = "upper"
    uses = ("item",)


class Top(Item):
    """Made after uppers, on either."""

    kind = "top"
    uses = ("item", "upper")


KINDS: tuple[type[Item], ...] = (Item, Upper, Top)
