"""What is not ours and in the way of a destroy: found before the first delete, and named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from clusterkit.engine.kind import Found, Leftover
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied
from tests.engine.dictcloud import DictCloud
from tests.engine.kinds import Ground, Item, Lamp, Seen
from tests.engine.test_run import planned, run, up


class Plot(Ground):
    """What things are built on."""

    kind = "plot"


class Hut(Item):
    """Stands on a plot, next to what others put there."""

    kind = "hut"
    uses: ClassVar[tuple[str, ...]] = ("plot", "rubble")
    inside: ClassVar[dict[str, list[Occupant]]] = {}

    @classmethod
    def occupants(cls, scope: Scope[DictCloud], have: Seen) -> Iterable[Occupant]:
        return cls.inside.get(have.name, ())


Rubble = Leftover[DictCloud]("rubble", lambda _: [Found("stone")], lambda *_: None)
KINDS = (Plot, Rubble, Hut, Lamp)
WISH = (Plot(name="p"), Hut(name="a"), Hut(name="b"), Lamp(name="l"))


def _built(**inside: list[Occupant]) -> DictCloud:
    cloud = DictCloud()
    Hut.inside = {}
    assert up(cloud, *WISH, kinds=KINDS).ok
    Hut.inside = dict(inside)
    return cloud


def test_what_is_blocked_stays_with_what_it_needs_and_the_rest_goes() -> None:
    cloud = _built(a=[Occupant("instance", "i-1", "web", cure="cloud delete i-1")])
    plan = planned(cloud, kinds=KINDS, destroy=True)
    stays = {each.key: each.reason for each in plan.blocked}
    assert stays == {
        "hut/a": "instance i-1 (web) is not this cluster's and in the way",
        "plot/p": "hut/a stays",
        "rubble/stone": "hut/a stays",
    }
    assert [each.hint for each in plan.blocked if each.key == "hut/a"] == ["cloud delete i-1"]
    assert run(cloud, plan).ok
    assert set(cloud.things) == {"hut/a", "plot/p"}


def test_what_goes_with_a_thing_that_stays_is_not_taken_out_of_it() -> None:
    class Stove(Item):
        kind = "stove"
        dies_with: ClassVar[str | None] = "hut"

    kinds = (*KINDS, Stove)
    cloud = _built(a=[Occupant("instance", "i-1")])
    assert up(cloud, *WISH, Stove(name="s"), kinds=kinds).ok
    assert run(cloud, planned(cloud, kinds=kinds, destroy=True)).ok
    assert set(cloud.things) == {"hut/a", "plot/p", "stove/s"}


def test_ours_in_ours_is_not_in_the_way() -> None:
    cloud = _built(a=[Occupant("rubble", "stone")])
    assert planned(cloud, kinds=KINDS, destroy=True).blocked == ()


def test_an_answer_that_is_denied_is_a_warning_and_blocks_nothing() -> None:
    class Tower(Hut):
        kind = "tower"

        @classmethod
        def occupants(cls, scope: Scope[DictCloud], have: Seen) -> Iterable[Occupant]:
            raise Denied("may not list instances")

    cloud = DictCloud()
    assert up(cloud, Tower(name="t"), kinds=(Tower,)).ok
    plan = planned(cloud, kinds=(Tower,), destroy=True)
    assert [str(each) for each in plan.warnings] == [
        "tower/t: cannot tell whether something of others is in the way: may not list instances"
    ]
    assert [step.key for step in plan.todo] == ["tower/t"]


def test_a_leftover_that_is_blocked_stays_and_the_others_are_swept() -> None:
    gone: list[str] = []

    def held(_: Scope[DictCloud], have: Found) -> list[Occupant]:
        return [Occupant("rule", "r-1")] if have.id == "stone" else []

    def heap(_: Scope[DictCloud]) -> list[Found]:
        return [Found(each) for each in ("stone", "sand") if each not in gone]

    heaps = Leftover[DictCloud](
        "heaps", heap, lambda _, have: gone.append(have.id), occupants=held, uses=("plot",)
    )
    kinds = (Plot, heaps, Lamp)
    cloud = DictCloud()
    assert up(cloud, Plot(name="p"), Lamp(name="l"), kinds=kinds).ok
    plan = planned(cloud, kinds=kinds, destroy=True)
    assert [each.key for each in plan.blocked] == ["plot/p", "heaps/stone"]
    assert run(cloud, plan).ok
    assert gone == ["sand"]
    assert set(cloud.things) == {"plot/p"}
