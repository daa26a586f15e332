"""Five kinds of resource on the dictionary cloud."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from clusterkit import errors
from clusterkit.engine.resource import Change, Ctx, Resource, one_each
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Item(Resource[DictCloud, Thing]):
    """A thing of some size."""

    kind: ClassVar[str] = "item"
    size: int = 1
    on: tuple[Resource[DictCloud, Thing], ...] = ()

    @classmethod
    def owned(cls, cx: Ctx[DictCloud]) -> Mapping[str, Thing]:
        found = call(lambda: cx.clients.list(cls.kind))
        return one_each((thing.name, thing) for thing in found)

    def create(self, cx: Ctx[DictCloud]) -> None:
        for needed in self.on:
            assert cx[needed].id
        keys = frozenset(needed.key for needed in self.on)
        token = cx.token(self)
        call(lambda: cx.clients.create(self.kind, self.name, self.size, keys, token))

    def diff(self, cx: Ctx[DictCloud], have: Thing) -> list[Change]:
        return [Change("size", have.size, self.size)] if have.size != self.size else []

    def update(self, cx: Ctx[DictCloud], have: Thing, changes: list[Change]) -> None:
        call(lambda: cx.clients.resize(self.kind, self.name, self.size))

    @classmethod
    def ready(cls, have: Thing) -> bool:
        return have.gone_at is None and have.ready_at <= time.monotonic()

    @classmethod
    def delete(cls, cx: Ctx[DictCloud], have: Thing) -> None:
        call(lambda: cx.clients.delete(cls.kind, have.name))


class Ground(Item):
    kind = "ground"


class Wall(Item):
    kind = "wall"


class Roof(Item):
    kind = "roof"


class Lamp(Item):
    kind = "lamp"


KINDS: tuple[type[Item], ...] = (Ground, Wall, Item, Roof, Lamp)
