"""Threads that cannot start, and processes that are stopped for a while."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from clusterkit.engine import scheduler, threads, workers
from clusterkit.engine.background import Background
from clusterkit.engine.scheduler import Scheduler
from clusterkit.engine.workers import Workers
from clusterkit.errors import ClusterkitError


@pytest.fixture(autouse=True)
def _own_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """None that an earlier test has left."""
    monkeypatch.setattr(workers, "SHARED", Workers())


def _no_more_threads(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """As under ``ulimit -v``; the limit itself would end the test's own process."""
    start, left = threading.Thread.start, [after]

    def refuse(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_calls_share_the_threads_that_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    _no_more_threads(monkeypatch, 2)
    loop, done = Scheduler(), list[int]()
    for number in range(8):
        loop.call(lambda number=number: number, lambda result, _: done.append(result))
    loop.run()
    assert sorted(done) == list(range(8))


def test_without_any_thread_there_is_an_error_and_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    _no_more_threads(monkeypatch, 0)
    loop = Scheduler()
    with pytest.raises(ClusterkitError, match="cannot start another thread") as caught:
        loop.call(lambda: 1, lambda *_: None)
    assert "ulimit" in caught.value.hint
    loop.run()
    with Background() as aside:
        found = aside(lambda: 5)
    assert found.result() == 5


def test_a_thread_that_ends_before_it_begins_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    monkeypatch.setattr(threads, "BEGINS", 0.05)
    with pytest.raises(ClusterkitError, match="ended before it began"):
        Scheduler().call(lambda: 1, lambda *_: None)


def test_a_thread_without_memory_for_its_result_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Scheduler()

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(loop, "_finisher", full)
    loop.call(lambda: 1, lambda *_: None)
    with pytest.raises(ClusterkitError, match="ran out of memory"):
        loop.run()


def test_all_loops_of_a_process_share_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets on, even if those who wait for others have taken all of them."""
    monkeypatch.setattr(workers, "SHARED", Workers(3))
    lock, now, most, done = threading.Lock(), [0], [0], list[int]()

    def call() -> int:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.005)
        with lock:
            now[0] -= 1
        return 1

    def loop() -> None:
        mine = Scheduler()
        for _ in range(10):
            mine.call(call, lambda result, _: done.append(result))
        mine.run()

    def waits() -> int:
        with Background() as aside:
            return sum(aside(each).result() for each in [call] * 5)

    loops = [threading.Thread(target=loop) for _ in range(8)]
    for each in loops:
        each.start()
    with Background() as aside:
        found = [aside(waits) for _ in range(8)]
    for each in loops:
        each.join(30)
    assert len(done) == 80
    assert [each.result() for each in found] == [5] * 8
    assert 1 <= most[0] <= 4, "three, and the thread that asked"


def test_a_thread_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "IDLE", 0.01)
    before = set(threading.enumerate())
    loop = Scheduler(2)
    for _ in range(4):
        loop.call(lambda: 1, lambda *_: None)
    loop.run()
    end = time.monotonic() + 10
    while (new := set(threading.enumerate()) - before) and time.monotonic() < end:
        time.sleep(0.01)
    assert not new


STOPPED = """
import threading, time
from clusterkit.engine import scheduler
scheduler.STOPPED = 0.5
loop = scheduler.Scheduler()
started = loop.now()
loop.later(0.2, lambda: print("running", flush=True))
loop.later(2.0, lambda: None)
loop.run()
print(loop.now() - started, flush=True)
"""


def test_time_in_which_the_process_was_stopped_does_not_count() -> None:
    child = subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "running\n"
    time.sleep(0.5)  # until it waits
    os.kill(child.pid, signal.SIGSTOP)
    time.sleep(4.0)
    os.kill(child.pid, signal.SIGCONT)
    out, _ = child.communicate(timeout=20)
    assert float(out) < 3.5
    assert scheduler.STOPPED > scheduler.TICK


@pytest.mark.parametrize("urgent", [False, True])
def test_calls_that_hang_leave_threads_for_those_of_other_places(*, urgent: bool) -> None:
    """A region that answers nothing for a minute holds up nobody else's clusters and locks."""
    over, hung, done = threading.Event(), list[bool](), list[int]()
    stuck = Scheduler(60, place="eu-west-1", urgent=urgent)
    other = Scheduler(place="europe-west1")
    for _ in range(60):
        stuck.call(lambda: over.wait(10.0), lambda result, _: hung.append(result))
    for number in range(20):
        other.call(lambda number=number: number, lambda result, _: done.append(result))
    other.run()
    assert sorted(done) == list(range(20))
    over.set()
    stuck.run()
    assert hung == [True] * 60
