"""Runs that stop, plans that run twice, and what a driver may raise at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar
from uuid import uuid4

import pytest

from clusterkit.engine import ownership
from clusterkit.engine.edit import Edit
from clusterkit.engine.kind import Env, Kind, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.run import Run
from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent, ClusterkitError, Diverged, Gone, NotOurs, Protected
from tests.engine.dictcloud import DictCloud, Faults
from tests.engine.kinds import Ground, Item, Seen
from tests.engine.test_run import SCALE, destroy, planned, run, scope, up


def test_a_run_that_stops_begins_no_call() -> None:
    running: list[Run] = []

    class Half(Item):
        kind = "half"

        def edits(self, env: Env[DictCloud], have: Seen) -> Iterator[Edit]:
            if running:
                running[0].stop()
            yield from super().edits(env, have)

    cloud = DictCloud()
    assert up(cloud, Half(name="h"), kinds=(Half,)).ok
    steps = planned(cloud, Half(name="h", size=2), kinds=(Half,))
    running.append(Run(scope(cloud), steps, lambda _: None, scale=SCALE))
    outcome = running[0]()
    assert outcome.interrupted
    assert list(outcome.stopped) == ["half/h"]
    assert cloud.calls["resize:half"] == 0


def test_a_plan_that_runs_again_looks_again() -> None:
    cloud = DictCloud()
    steps = planned(cloud, Ground(name="g"))
    assert run(cloud, steps).ok
    assert run(cloud, steps).ok
    assert cloud.made == {"ground/g": 1}


def test_what_differs_from_its_own_create_is_not_replaced_for_ever() -> None:
    class Restless(Item):
        kind = "restless"

        def edits(self, env: Env[DictCloud], have: Seen) -> Iterator[Edit]:
            yield Edit("size", have.size, self.size + 1, replace=True)

    cloud = DictCloud()
    outcome = up(cloud, Restless(name="r"), kinds=(Restless,))
    assert isinstance(outcome.failed["restless/r"], Diverged)
    assert cloud.made == {"restless/r": 1}


def test_what_a_delete_needs_and_has_gone_is_no_bug() -> None:
    class Room(Item):
        kind = "room"
        tries: ClassVar[list[int]] = []

        @classmethod
        def delete(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            cls.tries.append(1)
            super().delete(scope, have)
            raise Absent("house")

    cloud = DictCloud(Faults(pending=0.02))
    assert up(cloud, Room(name="r"), kinds=(Room,)).ok
    assert destroy(cloud, kinds=(Room,)).ok
    assert cloud.things == {}


def test_what_has_gone_before_its_protection_is_switched_off_is_deleted() -> None:
    class Vault(Item):
        kind = "vault"

        @classmethod
        def delete(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            raise Protected("is protected")

        @classmethod
        def unprotect(cls, scope: Scope[DictCloud], have: Seen) -> Operation[DictCloud] | None:
            del scope.client.things["vault/v"]
            raise Gone("no such vault")

    cloud = DictCloud()
    assert up(cloud, Vault(name="v"), kinds=(Vault,)).ok
    assert destroy(cloud, kinds=(Vault,)).ok


def test_nothing_can_be_adopted_in_what_does_not_exist() -> None:
    class Door(Item):
        kind = "door"

        @classmethod
        def label(cls, scope: Scope[DictCloud], identifier: str, labels: Tags) -> None:
            raise Absent("house/h")

    with pytest.raises(ClusterkitError, match="house/h does not exist"):
        ownership.adopt("door/d=door-1", (Door,), scope(DictCloud()), uuid4())


def test_a_name_held_by_another_thing_of_ours_is_found_in_the_plan() -> None:
    class Sign(Item):
        kind = "sign"

        def taken(self, env: Env[DictCloud]) -> Seen:
            return Seen("sign-1", "s", 1, "ready", {"clusterkit-cluster": "c"})

    with pytest.raises(NotOurs) as caught:
        planned(DictCloud(), Sign(name="s"), kinds=(Sign,))
    assert "--adopt sign/s=sign-1" in caught.value.hint


@pytest.mark.parametrize("lies_in", [{"house": ""}, {"house": "house-1"}])
def test_what_lies_nowhere_or_has_failed_tells_of_no_parent(lies_in: Mapping[str, str]) -> None:
    class House(Item):
        kind = "house"

    class Room(Item):
        kind = "room"
        failed = frozenset({"ready"} if lies_in["house"] else ())

        @classmethod
        def within(cls, have: Seen) -> Mapping[str, str]:
            return lies_in

    cloud, kinds = DictCloud(), (House, Room)
    cloud.create("room", "r", 1, frozenset(), "")
    needed: Kind[DictCloud, Seen] = House(name="h")
    steps = planned(cloud, Room(name="r", on=(needed,)), kinds=kinds)
    assert [step.op for step in steps.todo if step.key == "house/h"] == ["create"]
