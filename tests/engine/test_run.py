"""What the engine does when things go wrong, case by case."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from clusterkit.engine import backoff
from clusterkit.engine.events import Event, StepFailed, StepRetried, StepStopped, Warned
from clusterkit.engine.plan import Plan, plan
from clusterkit.engine.resource import Change, Ctx, Resource, one_each
from clusterkit.engine.run import Outcome, Run
from clusterkit.errors import (
    AlreadyDone,
    Busy,
    Diverged,
    Exists,
    Finding,
    Immutable,
    NotOurs,
    Rejected,
    ServerError,
    TimedOut,
)
from tests.engine.dictcloud import DictCloud, Faults, Thing
from tests.engine.kinds import KINDS, Ground, Item, Lamp, Roof, Wall

SCALE = 0.001


def context(cloud: DictCloud) -> Ctx[DictCloud]:
    return Ctx(cloud, "c", scale=SCALE)


def up(
    cloud: DictCloud,
    *wish: Item,
    kinds: tuple[type[Item], ...] = KINDS,
    events: list[Event] | None = None,
) -> Outcome:
    cx = context(cloud)
    seen: list[Event] = [] if events is None else events
    return Run(cx, seen.append)(plan(wish, kinds, cx), "up")


def destroy(
    cloud: DictCloud, *, kinds: tuple[type[Item], ...] = KINDS, events: list[Event] | None = None
) -> Outcome:
    cx = context(cloud)
    seen: list[Event] = [] if events is None else events
    return Run(cx, seen.append)(plan([], kinds, cx, destroy=True), "destroy")


def tower() -> list[Item]:
    ground = Ground(name="g")
    wall = Wall(name="w", on=(ground,))
    return [Roof(name="r", on=(wall,))]


def test_one_look_serves_every_waiting_step() -> None:
    cloud = DictCloud(Faults(pending=0.3))
    assert up(cloud, *(Item(name=f"i{n}") for n in range(200))).ok
    # without sharing, 200 steps polling at 1 % of the wait would look thousands of times
    assert cloud.calls["list:item"] < 150
    assert cloud.calls["create:item"] == 200


def test_no_more_threads_than_asked_for() -> None:
    cloud = DictCloud(Faults(pending=0.05))
    most: set[str] = set()

    def watch(_: Event) -> None:
        most.update(callers() - before)

    cx = context(cloud)
    wish = [Item(name=f"i{n}") for n in range(100)]
    steps = plan(wish, KINDS, cx, threads=4)
    before = callers()
    assert Run(cx, watch, threads=4)(steps, "up").ok
    assert 1 <= len(most) <= 4
    time.sleep(0.05)
    assert not callers() & most


def callers() -> set[str]:
    return {f"{t.name}/{t.ident}" for t in threading.enumerate() if "clusterkit-call" in t.name}


def test_a_failure_ends_waits_and_starts_nothing_new() -> None:
    class Broken(Item):
        kind = "broken"

        def create(self, cx: Ctx[DictCloud]) -> None:
            time.sleep(0.05)
            raise Rejected("sold out", code="NoStock")

    cloud = DictCloud(Faults(pending=30.0))
    slow = Ground(name="slow")
    late = Lamp(name="late", on=(Broken(name="b"),))
    events: list[Event] = []
    started = time.monotonic()
    outcome = up(cloud, slow, late, kinds=(*KINDS, Broken), events=events)
    assert time.monotonic() - started < 5.0
    assert list(outcome.failed) == ["broken/b"]
    assert "sold out" in str(outcome.failed["broken/b"])
    assert list(outcome.stopped) == ["ground/slow"]
    assert cloud.made == {"ground/slow": 1}
    assert [e.key for e in events if isinstance(e, StepStopped)] == ["ground/slow"]


def test_stop_from_another_thread_then_up_continues() -> None:
    cloud = DictCloud(Faults(pending=0.5))
    cx = context(cloud)
    running = Run(cx, lambda _: None)
    threading.Timer(0.1, running.stop).start()
    started = time.monotonic()
    outcome = running(plan(tower(), KINDS, cx), "up")
    assert outcome.interrupted
    assert not outcome.ok
    assert time.monotonic() - started < 0.45
    assert up(cloud, *tower()).ok
    assert set(cloud.made.values()) == {1}
    assert cloud.violations == []


def test_out_of_patience_names_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "LEAST_PATIENCE", 0.1)
    cloud = DictCloud(Faults(pending=60.0))
    outcome = up(cloud, Ground(name="g"))
    error = outcome.failed["ground/g"]
    assert isinstance(error, TimedOut)
    assert error.hint
    assert cloud.made == {"ground/g": 1}


def test_three_updates_that_do_not_settle_are_a_bug_made_loud() -> None:
    class Stubborn(Item):
        kind = "stubborn"

        def update(self, cx: Ctx[DictCloud], have: Thing, changes: list[Change]) -> None:
            return None

    cloud = DictCloud()
    assert up(cloud, Stubborn(name="s", size=1), kinds=(Stubborn,)).ok
    outcome = up(cloud, Stubborn(name="s", size=2), kinds=(Stubborn,))
    assert isinstance(outcome.failed["stubborn/s"], Diverged)


def test_every_refusal_is_told_at_once() -> None:
    class Stone(Item):
        kind = "stone"

        def diff(self, cx: Ctx[DictCloud], have: Thing) -> list[Change]:
            return [replace(c, how="refuse", why="carve another") for c in super().diff(cx, have)]

    cloud = DictCloud()
    assert up(cloud, Stone(name="a"), Stone(name="b"), kinds=(Stone,)).ok
    with pytest.raises(Immutable) as caught:
        plan([Stone(name="a", size=2), Stone(name="b", size=3)], (Stone,), context(cloud))
    assert "stone/a" in str(caught.value)
    assert "stone/b" in str(caught.value)
    assert caught.value.hint == "carve another"


def test_what_must_be_replaced_is_removed_first_with_a_new_token() -> None:
    class Brick(Item):
        kind = "brick"

        def diff(self, cx: Ctx[DictCloud], have: Thing) -> list[Change]:
            return [replace(c, how="replace") for c in super().diff(cx, have)]

    cloud = DictCloud(Faults(pending=0.02))
    assert up(cloud, Brick(name="b"), kinds=(Brick,)).ok
    assert up(cloud, Brick(name="b", size=5), kinds=(Brick,)).ok
    assert cloud.things["brick/b"].size == 5
    assert cloud.violations == []


def test_what_failed_in_an_earlier_run_is_made_again_but_not_in_this_one() -> None:
    class Fuse(Item):
        kind = "fuse"
        blown: ClassVar[set[str]] = {"fuse/f#1"}

        @classmethod
        def ready(cls, have: Thing) -> bool:
            if have.id in cls.blown:
                raise Rejected("burnt out", remake=True)
            return super().ready(have)

    cloud = DictCloud()
    first = up(cloud, Fuse(name="f"), kinds=(Fuse,))
    assert "burnt out" in str(first.failed["fuse/f"])
    assert cloud.made == {"fuse/f": 1}
    assert plan([Fuse(name="f")], (Fuse,), context(cloud)).todo[0].op == "replace"
    assert up(cloud, Fuse(name="f"), kinds=(Fuse,)).ok
    assert cloud.made == {"fuse/f": 2}


def test_a_name_taken_by_our_own_lost_create_is_waited_for() -> None:
    @dataclass(frozen=True, kw_only=True, eq=False)
    class Sign(Item):
        kind = "sign"
        tries: ClassVar[list[int]] = []

        def create(self, cx: Ctx[DictCloud]) -> None:
            self.tries.append(1)
            if len(self.tries) == 1:
                raise ServerError("503")
            super().create(cx)
            raise Exists("the name is taken")

    cloud = DictCloud()
    assert up(cloud, Sign(name="s"), kinds=(Sign,)).ok


def test_a_name_taken_by_somebody_else_is_an_error() -> None:
    class Sign(Item):
        kind = "sign"

        def create(self, cx: Ctx[DictCloud]) -> None:
            raise Exists("the name is taken")

    outcome = up(DictCloud(), Sign(name="s"), kinds=(Sign,))
    error = outcome.failed["sign/s"]
    assert isinstance(error, NotOurs)
    assert str(error) == "sign/s: the name is taken"
    assert "--adopt sign/s=ID" in error.hint


def test_what_is_as_asked_for_already_is_done() -> None:
    class Sign(Item):
        kind = "sign"

        def create(self, cx: Ctx[DictCloud]) -> None:
            super().create(cx)
            raise AlreadyDone("it is there")

        def update(self, cx: Ctx[DictCloud], have: Thing, changes: list[Change]) -> None:
            super().update(cx, have, changes)
            raise AlreadyDone("it is so")

    cloud = DictCloud()
    assert up(cloud, Sign(name="s"), kinds=(Sign,)).ok
    assert up(cloud, Sign(name="s", size=2), kinds=(Sign,)).ok


def test_removed_from_the_wish_is_removed_unless_pruning_is_off() -> None:
    cloud = DictCloud()
    ground = Ground(name="g")
    assert up(cloud, Wall(name="w1", on=(ground,)), Wall(name="w2", on=(ground,))).ok
    cx = context(cloud)
    assert plan([Wall(name="w1", on=(ground,))], KINDS, cx, prune=False).empty
    assert [(s.op, s.key) for s in plan([Wall(name="w1", on=(ground,))], KINDS, cx).todo] == [
        ("delete", "wall/w2")
    ]
    assert up(cloud, Wall(name="w1", on=(ground,))).ok
    assert set(cloud.things) == {"ground/g", "wall/w1"}


class Leaf(Item):
    """Dies with the ground, and is swept before everything else."""

    kind = "leaf"
    only_on_destroy = True
    best_effort = True


def litter(cloud: DictCloud, *names: str) -> None:
    for name in names:
        cloud.create("leaf", name, 1, frozenset(), "")


def test_sweeps_happen_only_on_destroy_and_take_all() -> None:
    cloud = DictCloud(Faults(pending=0.01))
    kinds = (*KINDS, Leaf)
    litter(cloud, "l1", "l2")
    assert up(cloud, *tower(), kinds=kinds).ok
    assert "leaf/l1" in cloud.things
    assert destroy(cloud, kinds=kinds).ok
    assert cloud.things == {}
    assert plan([], kinds, context(cloud), destroy=True).empty


def test_a_sweep_that_cannot_is_a_warning_when_best_effort() -> None:
    class Stuck(Leaf):
        @classmethod
        def delete(cls, cx: Ctx[DictCloud], have: Thing) -> None:
            raise Rejected("Kubernetes is dead")

    cloud = DictCloud()
    litter(cloud, "l1")
    events: list[Event] = []
    assert destroy(cloud, kinds=(*KINDS, Stuck), events=events).ok
    assert [e.what for e in events if isinstance(e, Warned)] == ["Kubernetes is dead"]


def test_what_comes_up_late_is_swept_when_it_stands_in_the_way() -> None:
    class Late(Item):
        """Found only after something was refused because of it."""

        kind = "late"
        only_on_destroy = True
        shown: ClassVar[list[int]] = []

        @classmethod
        def owned(cls, cx: Ctx[DictCloud]) -> Mapping[str, Thing]:
            return super().owned(cx) if cls.shown else {}

    class Blocked(Item):
        kind = "blocked"

        @classmethod
        def delete(cls, cx: Ctx[DictCloud], have: Thing) -> None:
            if any(t.kind == "late" for t in cx.clients.things.values()):
                Late.shown.append(1)
                raise Busy("DependencyViolation")
            super().delete(cx, have)

    cloud = DictCloud()
    kinds = (Blocked, Late)
    assert up(cloud, Blocked(name="b"), kinds=kinds).ok
    cloud.create("late", "x", 1, frozenset(), "")
    assert destroy(cloud, kinds=kinds).ok
    assert cloud.things == {}


def test_kept_things_stay_and_are_told() -> None:
    class Book(Item):
        kind = "book"

        @classmethod
        def kept(cls, have: Thing) -> str | None:
            return "kept: the profile says so" if have.size == 2 else None

    cloud = DictCloud()
    assert up(cloud, Book(name="a", size=2), Book(name="b"), kinds=(Book,)).ok
    found: Plan = plan([], (Book,), context(cloud), destroy=True)
    assert [k.key for k in found.kept] == ["book/a"]
    assert destroy(cloud, kinds=(Book,)).ok
    assert set(cloud.things) == {"book/a"}


def test_throttling_shows_as_retries_and_heals() -> None:
    cloud = DictCloud(Faults(throttled=0.5), seed=3)
    events: list[Event] = []
    assert up(cloud, *tower(), events=events).ok
    assert any(isinstance(e, StepRetried) for e in events)
    assert set(cloud.made.values()) == {1}


def test_two_claimants_are_named_not_guessed() -> None:
    cloud = DictCloud()
    cloud.create("ground", "g", 1, frozenset(), "")
    cloud.things["other"] = replace(cloud.things["ground/g"], id="other")
    with pytest.raises(NotOurs, match="two things claim"):
        plan([], KINDS, context(cloud), destroy=True)


def test_a_bug_in_a_driver_fails_its_step_only() -> None:
    class Buggy(Item):
        kind = "buggy"

        def create(self, cx: Ctx[DictCloud]) -> None:
            raise KeyError("oops")

    events: list[Event] = []
    outcome = up(DictCloud(), Buggy(name="b"), kinds=(Buggy,), events=events)
    assert isinstance(outcome.failed["buggy/b"], KeyError)
    assert [e.key for e in events if isinstance(e, StepFailed)] == ["buggy/b"]


def test_two_resources_of_one_name_are_refused_before_anything() -> None:
    cloud = DictCloud()
    with pytest.raises(ValueError, match="ground/g"):
        plan([Ground(name="g"), Ground(name="g", size=2)], KINDS, context(cloud))
    assert not cloud.calls["create:ground"]


def test_only_resources_are_edges() -> None:
    ground = Ground(name="g")
    wall = Wall(name="w", on=(ground,), after=(ground,))
    edges: list[Resource[DictCloud, Thing]] = list(wall.needs())
    assert edges == [ground, ground]


@dataclass(frozen=True)
class Seen:
    """What a list shows."""

    id: str
    status: str = ""


def test_a_thing_on_two_pages_is_one_thing() -> None:
    found = [("a", Seen("1", "pending")), ("b", Seen("2")), ("a", Seen("1", "there"))]
    assert one_each(found) == {"a": Seen("1", "there"), "b": Seen("2")}
    with pytest.raises(NotOurs, match="two things claim"):
        one_each([*found, ("a", Seen("3"))])


class Guarded(Item):
    kind = "guarded"

    @classmethod
    def guarded(cls, have: Thing) -> Finding | None:
        return Finding("is guarded", hint="ungrow it") if have.size > 1 else None


def test_destroy_asks_before_anything_goes() -> None:
    cloud, kinds = DictCloud(), (*KINDS, Guarded)
    wish = [*tower(), Guarded(name="x", size=2)]
    assert up(cloud, *wish, kinds=kinds).ok
    with pytest.raises(Rejected, match="guarded/x: is guarded") as caught:
        destroy(cloud, kinds=kinds)
    assert caught.value.hint == "ungrow it"
    assert plan(wish, kinds, context(cloud)).empty
    assert up(cloud, *tower(), Guarded(name="x"), kinds=kinds).ok
    assert destroy(cloud, kinds=kinds).ok
