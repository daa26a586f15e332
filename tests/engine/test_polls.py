"""When things are looked at: often when a wait usually ends, seldom before, not at all if it is
known what a look would show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar
from uuid import uuid4

import pytest

from clusterkit.engine import backoff
from clusterkit.engine.inventory import Inventory
from clusterkit.engine.kind import Durations, Env, Found
from clusterkit.engine.plan import plan
from clusterkit.engine.run import Run
from clusterkit.engine.scope import Scope
from clusterkit.errors import Gone
from tests.engine.dictcloud import DictCloud, Faults
from tests.engine.kinds import Ground, Item, Seen, seen

SCALE = 0.001


def looks(typical: float, scale: float, until: float) -> Iterator[float]:
    """The times of the looks of a wait, to the first after ``until``."""
    now = 0.0
    while now < until:
        now += backoff.poll(now, scale, typical)
        yield now


@pytest.mark.parametrize("scale", [1.0, 1 / 60])
@pytest.mark.parametrize("typical", [20.0, 105.0, 150.0, 540.0, 1200.0])
@pytest.mark.parametrize("share", [0.9, 0.95, 1.0, 1.05, 1.3, 2.5])
def test_the_end_is_noticed_in_time(typical: float, scale: float, share: float) -> None:
    ends = share * typical * scale
    *_, noticed = looks(typical, scale, ends)
    assert ends <= noticed <= ends * 1.0501


def test_what_may_end_early_is_looked_at_early() -> None:
    now, ends = 0.0, 150.0
    while now < ends:
        now += backoff.poll(now, 1.0, 300.0, 0.5)
    assert now <= ends * 1.05


@pytest.mark.parametrize("typical", [0.0, 20.0, 540.0, 3600.0])
def test_a_failure_shows_within_a_minute(typical: float) -> None:
    times = [0.0, *looks(typical, 1.0, 7200.0)]
    pauses = [after - before for before, after in pairwise(times)]
    assert max(pauses) <= 60.001


@pytest.mark.parametrize(("typical", "most"), [(20.0, 3), (105.0, 6), (150.0, 7), (540.0, 13)])
def test_a_wait_of_usual_length_takes_few_looks(typical: float, most: int) -> None:
    assert len([*looks(typical, 1.0, typical)]) <= most
    assert len([*looks(0.0, 1.0, typical)]) > most


class Known(Item):
    """Its create answers with what is there."""

    kind = "known"

    def create(self, env: Env[DictCloud]) -> Seen:  # type: ignore[override]
        super().create(env)
        things = env.client.things
        return seen(things[self.key], env.cluster)


class Slow(Known):
    kind = "slow"
    takes: ClassVar[Durations] = Durations(create=500)


def up(cloud: DictCloud, *wish: Item) -> None:
    kinds = (Ground, Known, Slow)
    steps = plan(wish, kinds, Scope(cloud, "c"), scale=SCALE)
    cloud.calls.clear()
    assert Run(Scope(cloud, "c"), steps, lambda _: None, scale=SCALE)().ok
    assert plan(wish, kinds, Scope(cloud, "c"), scale=SCALE).empty
    cloud.calls.subtract({f"list:{kind.kind}": 1 for kind in kinds})
    assert cloud.violations == []


def test_what_a_create_answers_needs_no_look() -> None:
    cloud = DictCloud()
    up(cloud, Known(name="a"))
    assert cloud.calls["list:known"] == 1, "only the one before it is made"


def test_what_is_made_of_something_new_is_not_looked_for() -> None:
    cloud = DictCloud()
    root = Known(name="a")
    up(cloud, Slow(name="b", on=(root,)), Ground(name="c", after=(root,)))
    assert cloud.calls["list:slow"] == 0
    assert cloud.calls["list:ground"] == 2, "an order is no edge"


def test_a_wait_is_left_alone_until_it_usually_ends() -> None:
    cloud = DictCloud(Faults(pending=0.5))
    up(cloud, Slow(name="b"))
    # 8 until 0.45 s, 4 until 0.5 s, some more on a busy machine; else a look each 10 ms
    assert cloud.calls["list:slow"] < 25


def test_what_is_waited_for_is_read_alone() -> None:
    class Ids(Known):
        kind = "ids"
        by_id: ClassVar[bool] = True
        reads: ClassVar[list[str]] = []

        @classmethod
        def list(cls, scope: Scope[DictCloud]) -> Iterator[Found]:  # type: ignore[override]
            yield from (Found(each.name) for each in Known.list.__func__(cls, scope))  # type: ignore[attr-defined]

        @classmethod
        def read(cls, scope: Scope[DictCloud], found: Found) -> Seen:
            cls.reads.append(found.id)
            thing = scope.client.things.get(f"ids/{found.id}")
            if thing is None:
                raise Gone("gone")
            return replace(seen(thing, scope.cluster), id=thing.name)

        def create(self, env: Env[DictCloud]) -> Seen:  # type: ignore[override]
            return replace(super().create(env), id=self.name)

    cloud = DictCloud(Faults(pending=30.0))
    scope = Scope(cloud, "c")
    for name in ("a", "b"):
        Ids(name=name).create(Env(cloud, "c", "", uuid4()))
    inventory = Inventory(scope)
    assert inventory.again(Ids, [None]).keys() == {"a", "b"}
    Ids.reads.clear()
    [have] = inventory.again(Ids, [Ids.read(scope, Found("a"))])["a"]
    assert (have.name, Ids.reads) == ("a", ["a", "a"])
    cloud.things.clear()
    assert inventory.again(Ids, [have]) == {}


def test_nobody_has_a_name_in_what_does_not_exist() -> None:
    class Inside(Item):
        kind = "inside"
        dies_with: ClassVar[str | None] = "ground"
        asked: ClassVar[list[str]] = []

        def taken(self, env: Env[DictCloud]) -> Seen | None:
            self.asked.append(self.name)
            return None

    cloud, ground = DictCloud(), Ground(name="g")
    scope, kinds = Scope(cloud, "c"), (Ground, Inside)
    plan([Inside(name="i", on=(ground,))], kinds, scope, scale=SCALE)
    assert Inside.asked == []
    cloud.create("ground", "g", 1, frozenset(), "")
    plan([Inside(name="i", on=(ground,))], kinds, scope, scale=SCALE)
    assert Inside.asked == ["i"]


def test_what_a_create_answers_may_be_listed_late() -> None:
    cloud = DictCloud(Faults(pending=0.6, slow_listing=0.3))
    up(cloud, Known(name="a"))
    assert cloud.calls["create:known"] == 1
