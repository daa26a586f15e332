"""Five kinds of resource on the dictionary cloud."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from clusterkit import errors
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env, Kind, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER, NAME
from tests.engine.dictcloud import DictCloud, LostAnswer, Thing, Throttled

T = TypeVar("T")


def call(function: Callable[[], T]) -> T:
    """The boundary where a driver turns SDK exceptions into clusterkit's."""
    try:
        return function()
    except Throttled as error:
        raise errors.Throttled(f"throttled: {error}", code="Throttled") from error
    except LostAnswer as error:
        raise errors.ServerError(f"answer lost: {error}", code="Lost") from error


@dataclass(frozen=True)
class Seen:
    """What the cloud shows of a thing."""

    id: str
    name: str
    size: int
    status: str
    tags: Mapping[str, str]


def seen(thing: Thing, cluster: str) -> Seen:
    """A thing as a list shows it."""
    now = time.monotonic()
    status = "ready" if thing.ready_at <= now else "pending"
    if thing.gone_at is not None:
        status = "going"
    return Seen(thing.id, thing.name, thing.size, status, {CLUSTER: cluster, NAME: thing.name})


class Item(Kind[DictCloud, Seen]):
    """A thing of some size."""

    kind: ClassVar[str] = "item"
    usable: ClassVar[frozenset[str]] = frozenset({"ready"})
    leaving: ClassVar[frozenset[str]] = frozenset({"going"})
    size: int = 1
    on: tuple[Kind[DictCloud, Seen], ...] = ()

    @classmethod
    def list(cls, scope: Scope[DictCloud]) -> Iterable[Seen]:
        found = call(lambda: scope.client.list(cls.kind))
        return [seen(thing, scope.cluster) for thing in found]

    def create(self, env: Env[DictCloud]) -> Operation[DictCloud] | None:
        for needed in self.on:
            assert env[needed].id
        keys = frozenset(needed.key for needed in self.on)
        token = env.token(self)
        call(lambda: env.client.create(self.kind, self.name, self.size, keys, token))
        return None

    def edits(self, env: Env[DictCloud], have: Seen) -> Iterator[Edit]:
        yield from edit("size", have.size, self.size, lambda: self.resize(env))

    def resize(self, env: Env[DictCloud]) -> Operation[DictCloud] | None:
        call(lambda: env.client.resize(self.kind, self.name, self.size))
        return None

    @classmethod
    def label(cls, scope: Scope[DictCloud], identifier: str, labels: Tags) -> None:
        """Everything carries them."""

    @classmethod
    def delete(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
        call(lambda: scope.client.delete(cls.kind, have.name))
        return None


class Ground(Item):
    kind = "ground"


class Wall(Item):
    kind = "wall"


class Roof(Item):
    kind = "roof"


class Lamp(Item):
    kind = "lamp"


KINDS: tuple[type[Item], ...] = (Ground, Wall, Item, Roof, Lamp)
