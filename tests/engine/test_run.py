"""What the engine does when things go wrong, case by case."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from clusterkit.engine import backoff
from clusterkit.engine.edit import Edit, fixed
from clusterkit.engine.events import Event, StepFailed, StepNoted, StepRetried, StepStopped, Warned
from clusterkit.engine.kind import AnyKind, Env, Kind, Leftover
from clusterkit.engine.operation import Done, Failed, Operation, Running
from clusterkit.engine.outcome import Outcome
from clusterkit.engine.plan import Plan, plan
from clusterkit.engine.run import Run
from clusterkit.engine.scope import Scope
from clusterkit.errors import (
    AlreadyDone,
    CloudError,
    Denied,
    Diverged,
    Exists,
    Finding,
    Gone,
    Immutable,
    InUse,
    NotOurs,
    Propagating,
    Protected,
    Rejected,
    ServerError,
    TimedOut,
    Unreachable,
)
from tests.engine.dictcloud import DictCloud, Faults
from tests.engine.kinds import KINDS, Ground, Item, Lamp, Roof, Seen, Wall, seen

SCALE = 0.001


def scope(cloud: DictCloud) -> Scope[DictCloud]:
    return Scope(cloud, "c")


def planned(
    cloud: DictCloud,
    *wish: Item,
    kinds: Sequence[AnyKind] = KINDS,
    destroy: bool = False,
    prune: bool = True,
    threads: int = 16,
) -> Plan:
    return plan(
        wish, kinds, scope(cloud), scale=SCALE, destroy=destroy, prune=prune, threads=threads
    )


def run(cloud: DictCloud, steps: Plan, events: list[Event] | None = None) -> Outcome:
    seen: list[Event] = [] if events is None else events
    return Run(scope(cloud), steps, seen.append, scale=SCALE)()


def up(
    cloud: DictCloud,
    *wish: Item,
    kinds: Sequence[AnyKind] = KINDS,
    events: list[Event] | None = None,
) -> Outcome:
    return run(cloud, planned(cloud, *wish, kinds=kinds), events)


def destroy(
    cloud: DictCloud, *, kinds: Sequence[AnyKind] = KINDS, events: list[Event] | None = None
) -> Outcome:
    return run(cloud, planned(cloud, kinds=kinds, destroy=True), events)


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


def test_no_more_calls_at_a_time_than_asked_for() -> None:
    class Slow(Item):
        kind = "slow"
        now: ClassVar[set[str]] = set()
        most: ClassVar[int] = 0

        def create(self, env: Env[DictCloud]) -> None:
            self.now.add(self.name)
            Slow.most = max(self.most, len(self.now))
            time.sleep(0.002)
            self.now.discard(self.name)
            super().create(env)

    cloud = DictCloud(Faults(pending=0.05))
    wish = [Slow(name=f"i{n}") for n in range(50)]
    steps = planned(cloud, *wish, kinds=(*KINDS, Slow), threads=4)
    assert Run(scope(cloud), steps, lambda _: None, scale=SCALE, threads=4)().ok
    assert 1 < Slow.most <= 4


def test_a_failure_ends_waits_and_starts_nothing_new() -> None:
    class Broken(Item):
        kind = "broken"

        def create(self, env: Env[DictCloud]) -> None:
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
    running = Run(scope(cloud), planned(cloud, *tower()), lambda _: None, scale=SCALE)
    threading.Timer(0.1, running.stop).start()
    started = time.monotonic()
    outcome = running()
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

        def resize(self, env: Env[DictCloud]) -> None:
            return None

    cloud = DictCloud()
    assert up(cloud, Stubborn(name="s", size=1), kinds=(Stubborn,)).ok
    outcome = up(cloud, Stubborn(name="s", size=2), kinds=(Stubborn,))
    assert isinstance(outcome.failed["stubborn/s"], Diverged)


def test_every_refusal_is_told_at_once() -> None:
    class Stone(Item):
        kind = "stone"

        def edits(self, env: Env[DictCloud], have: Seen) -> Iterator[Edit]:
            yield from fixed("size", have.size, self.size, "carve another")

    cloud = DictCloud()
    assert up(cloud, Stone(name="a"), Stone(name="b"), kinds=(Stone,)).ok
    with pytest.raises(Immutable) as caught:
        planned(cloud, Stone(name="a", size=2), Stone(name="b", size=3), kinds=(Stone,))
    assert "stone/a" in str(caught.value)
    assert "stone/b" in str(caught.value)
    assert caught.value.hint == "carve another"


def test_what_must_be_replaced_is_removed_first_with_a_new_token() -> None:
    class Brick(Item):
        kind = "brick"

        def edits(self, env: Env[DictCloud], have: Seen) -> Iterator[Edit]:
            for one in super().edits(env, have):
                yield one._replace(apply=None, replace=True)

    cloud = DictCloud(Faults(pending=0.02))
    assert up(cloud, Brick(name="b"), kinds=(Brick,)).ok
    assert up(cloud, Brick(name="b", size=5), kinds=(Brick,)).ok
    assert cloud.things["brick/b"].size == 5
    assert cloud.violations == []


def test_what_failed_in_an_earlier_run_is_made_again_but_not_in_this_one() -> None:
    class Fuse(Item):
        kind = "fuse"
        failed = frozenset({"blown"})

        @classmethod
        def list(cls, scope: Scope[DictCloud]) -> Iterable[Seen]:
            for found in super().list(scope):
                yield replace(found, status="blown") if found.id == "fuse/f#1" else found

    cloud = DictCloud()
    first = up(cloud, Fuse(name="f"), kinds=(Fuse,))
    assert isinstance(first.failed["fuse/f"], Rejected)
    assert "fuse" in str(first.failed["fuse/f"])
    assert cloud.made == {"fuse/f": 1}
    assert planned(cloud, Fuse(name="f"), kinds=(Fuse,)).todo[0].op == "replace"
    assert up(cloud, Fuse(name="f"), kinds=(Fuse,)).ok
    assert cloud.made == {"fuse/f": 2}


def test_what_failed_because_of_news_is_made_again_once() -> None:
    class Fuse(Item):
        kind = "fuse"
        failed = frozenset({"no role"})
        too_new = "role"
        bad: ClassVar[set[str]] = set()

        @classmethod
        def list(cls, scope: Scope[DictCloud]) -> Iterable[Seen]:
            for found in super().list(scope):
                yield replace(found, status="no role") if found.id in cls.bad else found

    cloud = DictCloud()
    Fuse.bad = {"fuse/f#1"}
    assert up(cloud, Fuse(name="f"), kinds=(Fuse,)).ok
    assert cloud.made == {"fuse/f": 2}
    assert cloud.violations == []
    Fuse.bad = {"fuse/g#1", "fuse/g#2"}
    outcome = up(cloud, Fuse(name="f"), Fuse(name="g"), kinds=(Fuse,))
    assert isinstance(outcome.failed["fuse/g"], Rejected)
    assert cloud.made["fuse/g"] == 2


def test_a_list_that_lags_behind_an_update_for_a_minute_is_no_bug() -> None:
    class Sign(Item):
        kind = "sign"
        news: ClassVar[list[float]] = []

        @classmethod
        def list(cls, scope: Scope[DictCloud]) -> Iterable[Seen]:
            for found in super().list(scope):
                if found.size == 2 and not cls.news:
                    cls.news.append(time.monotonic() + 60 * 0.02)
                late = cls.news and time.monotonic() < cls.news[0]
                yield replace(found, size=1) if late else found

    cloud = DictCloud()
    assert up(cloud, Sign(name="s"), kinds=(Sign,)).ok
    steps = planned(cloud, Sign(name="s", size=2), kinds=(Sign,))
    outcome = Run(scope(cloud), steps, lambda event: None, scale=0.02)()
    assert outcome.ok, outcome.failed


def test_a_name_taken_by_our_own_lost_create_is_waited_for() -> None:
    class Sign(Item):
        kind = "sign"
        tries: ClassVar[list[int]] = []

        def create(self, env: Env[DictCloud]) -> None:
            self.tries.append(1)
            if len(self.tries) == 1:
                raise ServerError("503")
            super().create(env)
            raise Exists("the name is taken")

    cloud = DictCloud()
    assert up(cloud, Sign(name="s"), kinds=(Sign,)).ok


def test_news_is_waited_for_as_long_as_the_kind_says_whatever_its_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backoff, "LEAST_PATIENCE", 0.0)

    class Badge(Item):
        kind = "badge"
        patience = 50.0
        propagation = 10_000.0
        until: ClassVar[list[float]] = []

        def create(self, env: Env[DictCloud]) -> None:
            if not self.until:
                self.until.append(time.monotonic() + 10 * self.patience * SCALE)
            if time.monotonic() < self.until[0]:
                raise Propagating("who is that?")
            super().create(env)

    outcome = up(DictCloud(), Badge(name="b"), kinds=(Badge,))
    assert outcome.ok, outcome.failed


def test_adoption_is_not_offered_for_what_takes_no_tags() -> None:
    class Stone(Item):
        kind = "stone"
        label = Kind.label

        def taken(self, env: Env[DictCloud]) -> Seen:
            return Seen("stone-1", "s", 1, "ready", {})

    with pytest.raises(NotOurs, match="stone-1 exists") as caught:
        planned(DictCloud(), Stone(name="s"), kinds=(Stone,))
    assert caught.value.hint == "choose another name, or delete it"


def test_a_name_taken_by_somebody_else_is_an_error() -> None:
    class Sign(Item):
        kind = "sign"
        holders: ClassVar[list[Seen]] = []

        def create(self, env: Env[DictCloud]) -> None:
            self.holders.append(Seen("sign-7", "s", 1, "ready", {}))
            raise Exists("the name is taken")

        def taken(self, env: Env[DictCloud]) -> Seen | None:
            return next(iter(self.holders), None)

    outcome = up(DictCloud(), Sign(name="s"), kinds=(Sign,))
    error = outcome.failed["sign/s"]
    assert isinstance(error, NotOurs)
    assert "--adopt sign/s=sign-7" in error.hint


def test_a_refusal_is_told_as_it_is_when_nothing_has_the_name() -> None:
    class Sign(Item):
        kind = "sign"

        def create(self, env: Env[DictCloud]) -> None:
            raise Exists("the town is closed")

        def taken(self, env: Env[DictCloud]) -> Seen | None:
            return None

    outcome = up(DictCloud(), Sign(name="s"), kinds=(Sign,))
    error = outcome.failed["sign/s"]
    assert isinstance(error, Exists)
    assert error.hint == ""


def test_what_is_as_asked_for_already_is_done() -> None:
    class Sign(Item):
        kind = "sign"

        def create(self, env: Env[DictCloud]) -> None:
            super().create(env)
            raise AlreadyDone("it exists")

        def resize(self, env: Env[DictCloud]) -> None:
            super().resize(env)
            raise AlreadyDone("it has that size")

    cloud = DictCloud()
    assert up(cloud, Sign(name="s"), kinds=(Sign,)).ok
    assert up(cloud, Sign(name="s", size=2), kinds=(Sign,)).ok


def test_removed_from_the_wish_is_removed_unless_pruning_is_off() -> None:
    cloud = DictCloud()
    ground = Ground(name="g")
    assert up(cloud, Wall(name="w1", on=(ground,)), Wall(name="w2", on=(ground,))).ok
    assert planned(cloud, Wall(name="w1", on=(ground,)), prune=False).empty
    assert [(s.op, s.key) for s in planned(cloud, Wall(name="w1", on=(ground,))).todo] == [
        ("delete", "wall/w2")
    ]
    assert up(cloud, Wall(name="w1", on=(ground,))).ok
    assert set(cloud.things) == {"ground/g", "wall/w1"}


class Leaf(Item):
    """What others made."""

    kind = "leaf"


LEAVES = Leftover(kind="leaf", list=Leaf.list, delete=Leaf.delete)


def litter(cloud: DictCloud, *names: str) -> None:
    for name in names:
        cloud.create("leaf", name, 1, frozenset(), "")


def test_sweeps_happen_only_on_destroy_and_take_all() -> None:
    cloud = DictCloud(Faults(pending=0.01))
    kinds = (*KINDS, LEAVES)
    litter(cloud, "l1", "l2")
    assert up(cloud, *tower(), kinds=kinds).ok
    assert "leaf/l1" in cloud.things
    assert destroy(cloud, kinds=kinds).ok
    assert cloud.things == {}
    assert planned(cloud, kinds=kinds, destroy=True).empty


def cannot(scope: Scope[DictCloud], have: Seen) -> None:
    raise Rejected("Kubernetes is dead")


def test_an_optional_sweep_that_fails_is_a_warning() -> None:
    cloud = DictCloud()
    litter(cloud, "l1")
    events: list[Event] = []
    stuck = replace(LEAVES, delete=cannot, optional=True)
    assert destroy(cloud, kinds=(*KINDS, stuck), events=events).ok
    assert [e.what for e in events if isinstance(e, Warned)] == ["Kubernetes is dead"]


def test_a_sweep_that_fails_is_a_failure() -> None:
    cloud = DictCloud()
    assert up(cloud, *tower()).ok
    litter(cloud, "l1")
    outcome = destroy(cloud, kinds=(*KINDS, replace(LEAVES, delete=cannot)))
    assert "Kubernetes is dead" in str(outcome.failed["leaf/*"])
    assert set(cloud.things) == {"leaf/l1"}


def test_a_failed_deletion_keeps_what_it_uses_and_nothing_else() -> None:
    class Anchored(Wall):
        kind = "anchored"
        uses = ("ground",)

        @classmethod
        def delete(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            raise Rejected("set in concrete")

    cloud, kinds = DictCloud(), (Ground, Lamp, Item, Anchored)
    ground = Ground(name="g")
    assert up(cloud, Anchored(name="a", on=(ground,)), Lamp(name="l"), kinds=kinds).ok
    outcome = destroy(cloud, kinds=kinds)
    assert list(outcome.failed) == ["anchored/a"]
    assert outcome.stopped == {"ground/g": "not deleted, because anchored/a still exists"}
    assert set(cloud.things) == {"ground/g", "anchored/a"}


def test_a_protection_is_switched_off_before_the_delete() -> None:
    class Locked(Item):
        kind = "locked"
        open: ClassVar[list[str]] = []

        @classmethod
        def delete(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            if not cls.open:
                raise Protected("deletion protection is on")
            return super().delete(scope, have)

        @classmethod
        def unprotect(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            cls.open.append(have.id)
            return None

    cloud = DictCloud()
    assert up(cloud, Locked(name="x"), kinds=(Locked,)).ok
    assert destroy(cloud, kinds=(Locked,)).ok
    assert cloud.things == {}


def test_what_somebody_deletes_before_its_protection_is_switched_off_is_gone() -> None:
    class Locked(Item):
        kind = "locked"

        @classmethod
        def delete(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            raise Protected("deletion protection is on")

        @classmethod
        def unprotect(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            scope.client.delete(cls.kind, have.name)
            raise Gone("no such thing")

    cloud = DictCloud()
    assert up(cloud, Locked(name="x"), kinds=(Locked,)).ok
    assert destroy(cloud, kinds=(Locked,)).ok
    assert cloud.things == {}


def test_a_deletion_in_parts_goes_on_after_each() -> None:
    """Without waiting for the time after which a lost delete is sent again."""

    class Bag(Item):
        kind = "bag"
        told: ClassVar[list[tuple[int, bool]]] = []

        @classmethod
        def delete(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            cls.told.append((have.size, scope.destroying))
            if have.size:
                scope.client.resize(cls.kind, have.name, have.size - 1)
                return None
            return super().delete(scope, have)

    cloud = DictCloud()
    assert up(cloud, Bag(name="b", size=2), kinds=(Bag,)).ok
    began = time.monotonic()
    assert destroy(cloud, kinds=(Bag,)).ok
    assert time.monotonic() - began < 0.9
    assert Bag.told == [(2, True), (1, True), (0, True)]
    assert up(cloud, Bag(name="b", size=0), kinds=(Bag,)).ok
    assert up(cloud, kinds=(Bag,)).ok
    assert Bag.told[3:] == [(0, False)]


def test_a_protection_nobody_can_switch_off_is_the_clouds_refusal() -> None:
    class Sealed(Item):
        kind = "sealed"

        @classmethod
        def delete(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            raise Protected("termination protection is on", code="OperationNotPermitted")

    cloud = DictCloud()
    assert up(cloud, Sealed(name="x"), kinds=(Sealed,)).ok
    error = destroy(cloud, kinds=(Sealed,)).failed["sealed/x"]
    assert isinstance(error, Protected)
    assert error.code == "OperationNotPermitted"


def test_what_comes_up_late_is_swept_when_it_stands_in_the_way() -> None:
    found: list[int] = []

    class Late(Item):
        kind = "late"

    class Blocked(Item):
        kind = "blocked"

        @classmethod
        def delete(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            if any(t.kind == "late" for t in scope.client.things.values()):
                found.append(1)
                raise InUse("DependencyViolation")
            return super().delete(scope, have)

    late = Leftover(
        kind="late", list=lambda scope: Late.list(scope) if found else (), delete=Late.delete
    )
    cloud = DictCloud()
    assert up(cloud, Blocked(name="b"), kinds=(Blocked,)).ok
    cloud.create("late", "x", 1, frozenset(), "")
    assert destroy(cloud, kinds=(Blocked, late)).ok
    assert cloud.things == {}


@dataclass
class Work:
    """An operation that needs three looks."""

    error: CloudError | None = None
    polled: int = 0

    def poll(self, scope: Scope[DictCloud]) -> Done | Running | Failed:
        self.polled += 1
        if self.polled < 3:
            return Running(f"{self.polled} of 3")
        return Failed(self.error) if self.error else Done()


def test_an_operation_is_polled_to_its_end_before_the_look() -> None:
    work = Work()

    class Poured(Item):
        kind = "poured"

        def create(self, env: Env[DictCloud]) -> Operation[DictCloud]:
            super().create(env)
            return work

    cloud, events = DictCloud(), list[Event]()
    assert up(cloud, Poured(name="p"), kinds=(Poured,), events=events).ok
    assert work.polled == 3
    assert [e.note for e in events if isinstance(e, StepNoted)] == ["creating", "1 of 3", "2 of 3"]


def test_an_operation_that_fails_ends_its_step_with_the_clouds_reason() -> None:
    class Poured(Item):
        kind = "poured"

        def create(self, env: Env[DictCloud]) -> Operation[DictCloud]:
            return Work(error=Rejected("out of concrete", code="NoStock"))

    outcome = up(DictCloud(), Poured(name="p"), kinds=(Poured,))
    assert str(outcome.failed["poured/p"]) == "poured/p: out of concrete"


def test_an_operation_that_cannot_be_asked_about_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only how it was when it could be asked about."""
    monkeypatch.setattr(backoff, "LEAST_PATIENCE", 0.1)
    answers: list[Running | Unreachable] = [Running("1 of 3"), Unreachable("no route to host")]

    class Far:
        def poll(self, scope: Scope[DictCloud]) -> Running:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Unreachable):
                raise answer
            return answer

    class Poured(Item):
        kind = "poured"
        patience = 0.0

        def create(self, env: Env[DictCloud]) -> Operation[DictCloud]:
            return Far()

    events: list[Event] = []
    outcome = up(DictCloud(), Poured(name="p"), kinds=(Poured,), events=events)
    told = "last seen: 1 of 3, and since then: no route to host"
    assert told in str(outcome.failed["poured/p"])
    assert any(isinstance(each, StepRetried) for each in events)


def test_what_an_operation_finds_in_use_is_deleted_again() -> None:
    class Poured(Item):
        kind = "poured"
        tries: ClassVar[list[int]] = []

        @classmethod
        def delete(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            cls.tries.append(1)
            if len(cls.tries) == 3:
                return super().delete(scope, have)
            return Work(error=InUse("a firewall rule uses it"))

    cloud = DictCloud()
    assert up(cloud, Poured(name="p"), kinds=(Poured,)).ok
    assert destroy(cloud, kinds=(Poured,)).ok
    assert cloud.things == {}
    assert len(Poured.tries) == 3


def test_something_just_made_may_be_unknown_for_a_while() -> None:
    class Young(Item):
        kind = "young"
        tries: ClassVar[list[int]] = []

        def create(self, env: Env[DictCloud]) -> Operation[DictCloud] | None:
            self.tries.append(1)
            if len(self.tries) < 3:
                raise Gone("InvalidVpcID.NotFound")
            return super().create(env)

    assert up(DictCloud(), Young(name="y"), kinds=(Young,)).ok


def test_an_unhealthy_thing_is_a_warning_and_can_be_changed() -> None:
    class Cracked(Item):
        kind = "cracked"
        unhealthy = frozenset({"cracked"})
        sound: ClassVar[list[int]] = [1]

        @classmethod
        def list(cls, scope: Scope[DictCloud]) -> Iterable[Seen]:
            for found in super().list(scope):
                yield found if cls.sound else replace(found, status="cracked")

    cloud = DictCloud()
    assert up(cloud, Cracked(name="c"), kinds=(Cracked,)).ok
    Cracked.sound.clear()
    changed = planned(cloud, Cracked(name="c", size=2), kinds=(Cracked,))
    assert [warning.where for warning in changed.warnings] == ["cracked/c"]
    assert run(cloud, changed).ok
    assert cloud.things["cracked/c"].size == 2


def test_an_optional_kind_that_cannot_be_reached_is_left_out() -> None:
    class Far(Item):
        kind = "far"
        optional = True

        @classmethod
        def list(cls, scope: Scope[DictCloud]) -> Iterable[Seen]:
            raise Unreachable("no route to host", hint="run it from inside")

    cloud = DictCloud()
    found = planned(cloud, *tower(), Far(name="f"), kinds=(*KINDS, Far))
    assert [(w.where, w.hint) for w in found.warnings] == [("far", "run it from inside")]
    assert run(cloud, found).ok
    assert set(cloud.things) == {"ground/g", "wall/w", "roof/r"}


def test_one_lost_answer_leaves_no_optional_kind_out() -> None:
    class Flaky(Item):
        kind = "flaky"
        optional = True
        lost: ClassVar[list[str]] = ["the first answer"]

        @classmethod
        def list(cls, scope: Scope[DictCloud]) -> Iterable[Seen]:
            if cls.lost:
                raise Unreachable(cls.lost.pop())
            return super().list(scope)

    cloud = DictCloud()
    found = planned(cloud, Flaky(name="f"), kinds=(Flaky,))
    assert not found.warnings
    assert [step.op for step in found.todo] == ["create"]


def test_what_cannot_be_compared_is_left_alone() -> None:
    """It is left out of the plan, not removed as something that nobody wants."""

    class Odd(Item):
        kind = "odd"
        optional = True
        there: ClassVar[list[str]] = []

        def edits(self, env: Env[DictCloud], have: Seen) -> Iterator[Edit]:
            if self.there:
                raise Rejected("the selector cannot be changed")
            yield from super().edits(env, have)

    cloud = DictCloud()
    assert up(cloud, Odd(name="o"), kinds=(Odd,)).ok
    Odd.there.append("now")
    found = planned(cloud, Odd(name="o"), kinds=(Odd,))
    assert [w.what for w in found.warnings] == [
        "left out of this plan: the selector cannot be changed"
    ]
    assert found.empty
    assert run(cloud, found).ok
    assert set(cloud.things) == {"odd/o"}


@pytest.mark.parametrize("early", [True, False])
def test_an_optional_kind_that_is_too_early_is_waited_for(
    early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "LEAST_PATIENCE", 0.0)
    until: list[float] = []

    class Young(Item):
        kind = "young"
        optional = True
        patience = 10_000.0

        @classmethod
        def list(cls, scope: Scope[DictCloud]) -> Iterable[Seen]:
            if until and time.monotonic() < until[0]:
                raise Propagating("not yet") if early else ServerError("overloaded")
            return super().list(scope)

    cloud = DictCloud()
    found = planned(cloud, Young(name="y"), kinds=(Young,))
    until.append(time.monotonic() + 3 * backoff.OPTIONAL_PATIENCE * SCALE)
    assert run(cloud, found).ok
    assert ("young/y" in cloud.things) is early


def test_what_is_too_early_for_the_plan_is_waited_for_too() -> None:
    """A run that was killed as the cluster came up, and the same command again."""
    refusals = ["not yet"] * (backoff.COMPARE_TRIES + 2)

    class Early(Item):
        kind = "early"
        optional = True

        def taken(self, env: Env[DictCloud]) -> Seen | None:
            if refusals:
                raise Propagating(refusals.pop())
            return None

    cloud = DictCloud()
    found = planned(cloud, Early(name="e"), kinds=(Early,))
    assert not found.warnings
    assert run(cloud, found).ok
    assert "early/e" in cloud.things


class Secret(Item):
    kind = "secret"

    @classmethod
    def list(cls, scope: Scope[DictCloud]) -> Iterable[Seen]:
        raise Denied("ListSecrets: not authorized", hint="grant secrets:List")


def test_a_kind_that_may_not_be_listed_and_is_not_wished_for_is_a_warning() -> None:
    cloud, kinds = DictCloud(), (*KINDS, Secret)
    found = planned(cloud, *tower(), kinds=kinds)
    assert [(w.where, w.hint) for w in found.warnings] == [("secret", "grant secrets:List")]
    assert "could not be looked for" in found.warnings[0].what
    assert run(cloud, found).ok
    gone = planned(cloud, kinds=kinds, destroy=True)
    assert [w.where for w in gone.warnings] == ["secret"]
    assert run(cloud, gone).ok
    assert cloud.things == {}
    with pytest.raises(Denied):
        planned(cloud, Secret(name="s"), kinds=kinds)


def test_who_may_list_nothing_is_denied_the_plan() -> None:
    with pytest.raises(Denied):
        planned(DictCloud(), kinds=(Secret,), destroy=True)


def test_destroy_wants_to_see_what_is_in_the_way() -> None:
    class Inside(Secret):
        kind = "inside"
        uses = ("ground",)

    class Lodger(Item):
        kind = "lodger"

        @classmethod
        def within(cls, have: Seen) -> Mapping[str, str]:
            return {"secret": "s1"}

    cloud = DictCloud()
    assert destroy(cloud, kinds=(*KINDS, Inside)).ok
    assert up(cloud, *tower(), kinds=(*KINDS, Inside)).ok
    with pytest.raises(Denied):
        planned(cloud, kinds=(*KINDS, Inside), destroy=True)
    assert up(cloud, Lodger(name="l"), kinds=(Secret, Lodger)).ok
    with pytest.raises(Denied):
        planned(cloud, kinds=(Secret, Lodger), destroy=True)


def test_kept_things_stay_and_are_told() -> None:
    class Book(Item):
        kind = "book"

        @classmethod
        def kept(cls, have: Seen) -> str | None:
            return "kept: the profile says so" if have.size == 2 else None

    cloud = DictCloud()
    assert up(cloud, Book(name="a", size=2), Book(name="b"), kinds=(Book,)).ok
    found = planned(cloud, kinds=(Book,), destroy=True)
    assert [k.key for k in found.kept] == ["book/a"]
    assert destroy(cloud, kinds=(Book,)).ok
    assert set(cloud.things) == {"book/a"}


def test_throttling_shows_as_retries_and_heals() -> None:
    cloud = DictCloud(Faults(throttled=0.5), seed=3)
    events: list[Event] = []
    assert up(cloud, *tower(), events=events).ok
    assert any(isinstance(e, StepRetried) for e in events)
    assert set(cloud.made.values()) == {1}


def test_twins_stop_up_with_their_ids_and_are_all_destroyed() -> None:
    cloud = DictCloud()
    cloud.create("ground", "g", 1, frozenset(), "")
    cloud.create("twin", "g", 1, frozenset(), "")

    class Twins(Ground):
        @classmethod
        def list(cls, scope: Scope[DictCloud]) -> Iterable[Seen]:
            found = scope.client.things.values()
            return [seen(thing, scope.cluster) for thing in found]

        @classmethod
        def delete(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            scope.client.delete(have.id.partition("/")[0], "g")
            return None

    class Sign(Item):
        kind = "sign"

        def taken(self, env: Env[DictCloud]) -> Seen:
            return Seen("sign-1", "s", 1, "ready", {})

    with pytest.raises(NotOurs, match="ground/g#1, twin/g#1") as caught:
        planned(cloud, Twins(name="g"), Sign(name="s"), kinds=(Twins, Sign))
    assert "sign-1 exists" in str(caught.value)  # everything is told at once
    assert destroy(cloud, kinds=(Twins,)).ok
    assert cloud.things == {}


def test_a_name_taken_by_others_is_found_before_anything_is_made() -> None:
    class Sign(Item):
        kind = "sign"

        def taken(self, env: Env[DictCloud]) -> Seen:
            return Seen("sign-1", "s", 1, "ready", {})

    cloud = DictCloud()
    with pytest.raises(NotOurs) as caught:
        planned(cloud, Sign(name="s"), Ground(name="g"), kinds=(Sign, Ground))
    assert "--adopt sign/s=sign-1" in caught.value.hint
    assert not cloud.made


def test_a_parent_without_our_tags_is_found_before_a_second_is_made() -> None:
    class Room(Item):
        kind = "room"

        @classmethod
        def within(cls, have: Seen) -> Mapping[str, str]:
            return {"house": "house-1"}

    class House(Item):
        kind = "house"

    cloud = DictCloud()
    house = House(name="h")
    assert up(cloud, Room(name="r", on=(house,)), kinds=(House, Room)).ok
    del cloud.things["house/h"]
    with pytest.raises(NotOurs) as caught:
        planned(cloud, Room(name="r", on=(house,)), kinds=(House, Room))
    assert "--adopt house/h=house-1" in caught.value.hint
    [kept] = planned(cloud, kinds=(House, Room), destroy=True).kept
    assert kept.key == "house/house-1"
    assert kept.reason == "does not carry this cluster's tags, so it stays"


def test_a_child_of_a_parent_of_ours_stops_no_other_parent() -> None:
    class Room(Item):
        kind = "room"

        @classmethod
        def within(cls, have: Seen) -> Mapping[str, str]:
            return {"house": f"house/{have.name}#1"}

    class House(Item):
        kind = "house"

    cloud, kinds = DictCloud(), (House, Room)
    a, b, c = (House(name=name) for name in "abc")
    assert up(cloud, Room(name="a", on=(a,)), Room(name="b", on=(b,)), kinds=kinds).ok
    assert len(planned(cloud, Room(name="a", on=(a,)), b, c, kinds=kinds, prune=False).todo) == 1
    del cloud.things["house/b"]
    with pytest.raises(NotOurs) as caught:
        planned(cloud, Room(name="a", on=(a,)), c, b, kinds=kinds)
    assert "--adopt house/b=house/b#1" in caught.value.hint


def test_an_edit_that_has_had_its_effect_already_is_looked_at_again() -> None:
    class Late(Item):
        kind = "late"

        def resize(self, env: Env[DictCloud]) -> None:
            super().resize(env)
            raise Exists("it has that size already")

    cloud = DictCloud()
    assert up(cloud, Late(name="x"), kinds=(Late,)).ok
    assert up(cloud, Late(name="x", size=3), kinds=(Late,)).ok
    assert cloud.things["late/x"].size == 3


def test_a_bug_in_a_driver_fails_its_step_only() -> None:
    class Buggy(Item):
        kind = "buggy"

        def create(self, env: Env[DictCloud]) -> None:
            raise KeyError("oops")

    events: list[Event] = []
    outcome = up(DictCloud(), Buggy(name="b"), kinds=(Buggy,), events=events)
    assert isinstance(outcome.failed["buggy/b"], KeyError)
    assert [e.key for e in events if isinstance(e, StepFailed)] == ["buggy/b"]


def test_two_resources_of_one_name_are_refused_before_anything() -> None:
    cloud = DictCloud()
    with pytest.raises(ValueError, match="ground/g"):
        planned(cloud, Ground(name="g"), Ground(name="g", size=2))
    assert not cloud.calls["create:ground"]


def test_only_resources_are_edges() -> None:
    ground = Ground(name="g")
    wall = Wall(name="w", on=(ground,), after=(ground,))
    edges: list[Kind[DictCloud, Seen]] = list(wall.needs())
    assert edges == [ground, ground]


def test_a_thing_on_two_pages_is_one_thing() -> None:
    class Paged(Item):
        kind = "paged"

        @classmethod
        def list(cls, scope: Scope[DictCloud]) -> Iterable[Seen]:
            found = [*super().list(scope)]
            return [*found, *found]

    cloud = DictCloud()
    assert up(cloud, Paged(name="p"), kinds=(Paged,)).ok
    assert planned(cloud, Paged(name="p"), kinds=(Paged,)).empty


class Guarded(Item):
    kind = "guarded"

    @classmethod
    def guarded(cls, have: Seen) -> Finding | None:
        return Finding("is guarded", hint="ungrow it") if have.size > 1 else None


def test_destroy_asks_before_anything_goes() -> None:
    cloud, kinds = DictCloud(), (*KINDS, Guarded)
    wish = [*tower(), Guarded(name="x", size=2)]
    assert up(cloud, *wish, kinds=kinds).ok
    with pytest.raises(Rejected, match="guarded/x: is guarded") as caught:
        destroy(cloud, kinds=kinds)
    assert caught.value.hint == "ungrow it"
    assert planned(cloud, *wish, kinds=kinds).empty
    assert up(cloud, *tower(), Guarded(name="x"), kinds=kinds).ok
    assert destroy(cloud, kinds=kinds).ok
