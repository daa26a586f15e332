"""Time in the emulated clouds: what is due is made, once, in order, by whoever comes first."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from clusterkit_sandbox.kit.life import Clock, Life, Living
from clusterkit_sandbox.kit.operations import LongRunning, Operations
from clusterkit_sandbox.pace import Pace

LONG, SHORT = "eks/cluster/create", "eks/addon/delete"
"""recorded durations: 540 s and 5 s"""


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock(Pace(math.inf))
    yield made
    made.clear()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_due_changes_are_made_in_order_though_nobody_asks(clock: Clock) -> None:
    made: list[int] = []
    clock.after(0.06, lambda: made.append(2))
    clock.after(0.03, lambda: made.append(1))
    until(lambda: made == [1, 2])


def test_whoever_comes_finds_what_is_due_made(clock: Clock) -> None:
    made: list[str] = []
    clock.later(LONG, lambda: made.append("at once"))
    clock.advance()
    assert made == ["at once"]


def test_a_users_seconds_are_real_and_recorded_ones_are_paced(clock: Clock) -> None:
    clock.pace.factor = 540
    assert clock.due(LONG) - clock.now == pytest.approx(1, abs=0.05)
    made: list[str] = []
    clock.after(30, lambda: made.append("too early"))
    clock.advance()
    assert not made


def test_a_change_that_fails_stops_no_other(clock: Clock) -> None:
    made: list[str] = []
    clock.after(0, lambda: made.append(str(1 / 0)))
    clock.after(0, lambda: made.append("after it"))
    clock.advance()
    assert made == ["after it"]


def test_what_is_cleared_never_happens(clock: Clock) -> None:
    made: list[str] = []
    clock.after(0.05, lambda: made.append("never"))
    clock.clear()
    time.sleep(0.1)
    clock.advance()
    assert not made


def test_an_object_passes_through_its_states(clock: Clock) -> None:
    lock = threading.RLock()
    life = Life(clock, lock, "properties", "provisioningState")
    thing = Living({"properties": {}})
    with lock:
        life.go(thing, "Creating", LONG, "Succeeded", lambda: thing.shown.update(fqdn="x"))
        assert thing.shown["properties"] == {"provisioningState": "Creating"}
        assert "fqdn" not in thing.shown
    until(lambda: thing.shown["properties"] == {"provisioningState": "Succeeded"})
    assert thing.shown["fqdn"] == "x"


def test_a_new_passage_ends_the_one_before_it(clock: Clock) -> None:
    clock.pace.factor = 100
    life, made = Life(clock, threading.RLock(), "status"), list[str]()
    thing = Living({})
    life.go(thing, "CREATING", SHORT, "ACTIVE", lambda: made.append("created"))
    life.go(thing, "DELETING", SHORT, None, lambda: made.append("gone"))
    until(lambda: made == ["gone"])
    assert thing.shown == {"status": "DELETING"}


def test_where_it_goes_may_change_on_the_way(clock: Clock) -> None:
    clock.pace.factor = 100
    life, thing = Life(clock, threading.RLock(), "status"), Living({})
    life.go(thing, "CREATING", SHORT, "ACTIVE")
    thing.then = "DEGRADED"
    until(lambda: thing.shown == {"status": "DEGRADED"})


def operations(clock: Clock, most: int = 100) -> tuple[Operations[LongRunning], list[str]]:
    noted: list[str] = []
    made = Operations[LongRunning](
        clock, threading.RLock(), lambda one: noted.append(f"{one.id} {one.state}"), most
    )
    return made, noted


def begin(some: Operations[LongRunning], name: str, parent: str = "c1") -> LongRunning:
    return some.begin(LongRunning(id=name, kind="UPDATE", parent=parent, target=parent))


def test_an_operation_runs_until_its_time_and_then_makes_the_change(clock: Clock) -> None:
    clock.pace.factor = 100
    some, noted = operations(clock)
    one, changed = begin(some, "op-1"), list[str]()
    some.end_later(one, SHORT, lambda: changed.append("version"))
    assert some.running("c1") == [one]
    assert not some.running("c2")
    until(lambda: one.state == "done")
    assert (changed, noted) == (["version"], ["op-1 running", "op-1 done"])
    assert not some.running("c1")


def test_an_operation_fails_with_the_vendors_reason(clock: Clock) -> None:
    some, _ = operations(clock)
    one = begin(some, "op-1")
    some.end_later(one, LONG, lambda: ("QuotaExceeded", "no more"))
    clock.advance()
    assert (one.state, one.error) == ("failed", ("QuotaExceeded", "no more"))


def test_running_operations_are_never_forgotten_for_want_of_room(clock: Clock) -> None:
    some, _ = operations(clock, most=10)
    first = begin(some, "op-first")
    for number in range(40):
        some.end(begin(some, f"op-{number}"))
    assert len(some) <= 11
    assert some.get("op-first") is first
    assert some.get("op-39") is not None
    some.forget("c1")
    assert len(some) == 0


def test_who_answers_a_call_put_aside_may_settle_the_clock(clock: Clock) -> None:
    """An API server that is sent an object asks the cloud what is true by now."""
    seen: list[str] = []

    def call() -> None:
        clock.after(0, lambda: seen.append("a change"))
        answering = threading.Thread(target=clock.settle)
        answering.start()
        answering.join(5)
        assert not answering.is_alive()
        seen.append("the answer")

    clock.aside(call)
    clock.advance()
    assert seen == ["a change", "the answer"]


def test_a_call_put_aside_that_fails_stops_no_other(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[int] = []
    clock.aside(lambda: made.append(1 // 0))
    clock.aside(lambda: made.append(2))
    clock.advance()
    assert made == [2]
    assert "a call of an emulated cloud failed" in caplog.text
