"""Runs that share one loop: no thread each, their own ends, stops and errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future

import pytest

from clusterkit.engine import scheduler
from clusterkit.engine.events import Event
from clusterkit.engine.outcome import Outcome
from clusterkit.engine.run import Run
from clusterkit.engine.scheduler import SHARED
from clusterkit.engine.staged import Stage, StagedFuture
from clusterkit.errors import ClusterkitError
from tests.engine.dictcloud import DictCloud, Faults
from tests.engine.kinds import Ground
from tests.engine.test_run import SCALE, planned, scope, tower

Emit = Callable[[Event], None]


def started(
    cloud: DictCloud, emit: Emit = lambda _: None, stop: threading.Event | None = None
) -> StagedFuture[Outcome]:
    """A run of the tower, between two pauses."""
    stop = stop or threading.Event()
    future: StagedFuture[Outcome] = StagedFuture(stop)
    plan = planned(cloud, *tower())

    def stages() -> Generator[Stage, Outcome | None, Outcome]:
        yield 0.01
        outcome = yield Run(scope(cloud), plan, emit, scale=SCALE, loop=SHARED)
        yield 0.01
        assert outcome is not None
        return outcome

    future.begin(stages())
    return future


def ours() -> int:
    """Threads of this process that are clusterkit's."""
    return sum(each.name.startswith("clusterkit-") for each in threading.enumerate())


def test_two_hundred_runs_need_one_thread_that_decides_and_those_for_calls() -> None:
    clouds = [DictCloud(Faults(pending=0.3)) for _ in range(200)]
    on: set[str] = set()
    end = time.monotonic() + 2.0
    while (most := ours()) and time.monotonic() < end:
        time.sleep(0.02)  # those of the tests before end soon
    runs = [started(cloud, lambda _: on.add(threading.current_thread().name)) for cloud in clouds]
    while not all(run.done() for run in runs):
        most = max(most, ours())
        time.sleep(0.02)
    assert all(run.result().ok for run in runs)
    assert on == {"clusterkit-loop"}
    assert most <= 30
    for cloud in clouds:
        assert set(cloud.made.values()) == {1}
        assert cloud.violations == []


def test_one_that_stops_or_breaks_ends_alone() -> None:
    slow = Faults(pending=1.0)
    stop = threading.Event()

    def breaks(_: Event) -> None:
        raise BrokenPipeError("nobody reads")

    good, bad = started(DictCloud(slow)), started(DictCloud(slow), breaks)
    ends = started(DictCloud(slow), stop=stop)
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(BrokenPipeError):
        bad.result()
    assert ends.result().interrupted
    assert not good.done()
    assert good.result().ok


def test_a_wait_ends_when_it_is_told_to_and_its_thread_is_free() -> None:
    stop = threading.Event()

    def waits() -> Generator[Stage, Outcome | None, str]:
        yield 600.0
        return "stopped" if stop.is_set() else "waited"

    future: StagedFuture[str] = StagedFuture(stop)
    future.begin(waits())
    time.sleep(0.1)
    stop.set()
    assert future.result(5) == "stopped"


def test_a_wait_that_is_over_when_it_is_told_to_end_goes_on_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduler, "TICK", 60.0)  # so that the timer is what sees the stop
    stop = threading.Event()
    future: StagedFuture[list[str]] = StagedFuture(stop)

    def waits() -> Generator[Stage, Outcome | None, list[str]]:
        seen = []
        for pause in (0.3, 0.3, 0.3):
            began = time.monotonic()
            yield pause
            seen.append("whole" if time.monotonic() - began >= pause - 0.05 else "short")
        return seen

    future.begin(waits())
    time.sleep(0.1)
    stop.set()
    assert future.result(5) == ["whole", "whole", "whole"]


def test_whoever_is_interrupted_abandons_the_run_and_its_end_is_still_done() -> None:
    cloud, ended = DictCloud(Faults(pending=60.0)), threading.Event()
    future: StagedFuture[Outcome] = StagedFuture(threading.Event())
    plan = planned(cloud, Ground(name="g"))

    def stages() -> Generator[Stage, Outcome | None, Outcome]:
        try:
            outcome = yield Run(scope(cloud), plan, lambda _: None, scale=SCALE, loop=SHARED)
        except KeyboardInterrupt:
            yield 0.01  # as the lock's release does
            ended.set()
            raise
        assert outcome is not None
        return outcome

    future.begin(stages())
    while not cloud.made:
        time.sleep(0.01)
    future._lane.soon(lambda: future._throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        Future.result(future, 5)
    assert ended.is_set()


def test_the_loop_ends_with_its_last_run() -> None:
    assert started(DictCloud()).result().ok
    end = time.monotonic() + 5
    while any(each.name == "clusterkit-loop" for each in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert started(DictCloud()).result().ok


def test_who_is_told_of_a_run_cannot_wait_for_one() -> None:
    """On the thread that all runs share; the run whose ``emit`` tries ends with the reason."""

    def waits(_: Event) -> None:
        started(DictCloud()).result()

    with pytest.raises(ClusterkitError, match="cannot wait for a run"):
        started(DictCloud(), waits).result()
    assert started(DictCloud()).result().ok
