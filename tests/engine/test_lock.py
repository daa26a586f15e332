"""One run at a time on a cluster: on one machine, between machines, and after a run has died."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from clusterkit.engine.cloud_lock import PREFIX, Held, Holder, Times
from clusterkit.engine.kind import Tags
from clusterkit.engine.lock import Lock
from clusterkit.engine.operation import Done, Operation, Running
from clusterkit.engine.scope import Scope
from clusterkit.errors import (
    CredentialsError,
    Denied,
    Exists,
    Gone,
    Interrupted,
    Locked,
    NotOurs,
    ServerError,
)
from tests.unit.odd_files import EACH, ODD, same

FAST = Times(renew=0.2, stale=2.0, fence=0.5, settle=0.05, poll=0.02)
SLOW = Times(renew=60.0, stale=120.0, fence=60.0, settle=0.05, poll=0.02)


@dataclass
class Cloud:
    """A cloud in which one thing can be created once."""

    held: Held | None = None
    serial: int = 0
    lose: int = 0
    """answers to creates that are lost after they took effect"""
    mutex: threading.Lock = field(default_factory=threading.Lock)

    def read(self, scope: Scope[None]) -> Held | None:
        return self.held

    def take(self, scope: Scope[None], tags: Tags) -> None:
        with self.mutex:
            if self.held is not None:
                raise Exists("there is one")
            self.serial += 1
            self.held = Held(f"lock-{self.serial}", dict(tags))
            self.lose -= 1
        if self.lose >= 0:
            raise ServerError("lost")

    def write(self, scope: Scope[None], identifier: str, tags: Tags) -> None:
        with self.mutex:
            if self.held is None or self.held.id != identifier:
                raise Gone("no such lock")
            self.held = Held(identifier, {**self.held.tags, **tags})

    def release(self, scope: Scope[None], identifier: str) -> Operation[None] | None:
        with self.mutex:
            if self.held is None or self.held.id != identifier:
                raise Gone("no such lock")
            self.held = None
        return None


def lock(
    cloud: Cloud,
    folder: Path | None = None,
    *,
    times: Times = FAST,
    stop: threading.Event | None = None,
    take_over: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Lock:
    return Lock(
        cloud,
        Scope(None, "demo"),
        uuid4(),
        folder=folder,
        key="cloud/account/region/demo",
        times=times,
        tell=tell,
        stop=stop or threading.Event(),
        take_over=take_over,
    )


def elsewhere(cloud: Cloud) -> Holder:
    """Somebody on another machine takes the lock."""
    holder = Holder("r1", "host-1", "77", "another-place", str(int(time.time())))
    cloud.held = Held("lock-0", holder.tags("demo"))
    return holder


def test_it_is_gone_when_the_run_ends() -> None:
    cloud = Cloud()
    with lock(cloud) as held:
        assert cloud.held is not None
        assert Holder.of(cloud.held.tags).process == str(os.getpid())
        assert not held.waited
    assert cloud.held is None


def test_a_cloud_that_takes_a_while_to_remove_it_is_waited_for() -> None:
    class Slow(Cloud):
        polled: int = 0

        def release(self, scope: Scope[None], identifier: str) -> Operation[None] | None:
            return self

        def poll(self, scope: Scope[None]) -> Done | Running:
            self.polled += 1
            if self.polled < 3:
                return Running()
            self.held = None
            return Done()

    cloud = Slow()
    with lock(cloud):
        assert cloud.held is not None
    assert cloud.held is None


def test_a_lost_answer_to_taking_it_is_no_other_run() -> None:
    cloud = Cloud(lose=1)
    with lock(cloud) as held:
        assert not held.waited
        assert cloud.serial == 1


def test_threads_take_turns() -> None:
    cloud, inside, most = Cloud(), [0], [0]

    def turn() -> None:
        with lock(cloud):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.02)
            inside[0] -= 1

    threads = [threading.Thread(target=turn) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert most == [1]
    assert cloud.serial == 8


def test_who_waits_says_for_whom_and_stops_when_told() -> None:
    cloud, stop = Cloud(), threading.Event()
    elsewhere(cloud)
    told: list[str] = []
    threading.Timer(0.2, stop.set).start()
    with (
        pytest.raises(Interrupted),
        lock(cloud, stop=stop, times=SLOW, tell=told.append),
    ):
        pytest.fail("taken")
    assert len(told) == 1
    assert "run r1, process 77 on host-1, since" in told[0]
    assert cloud.held is not None


def test_one_that_is_not_renewed_is_taken_over() -> None:
    cloud = Cloud()
    elsewhere(cloud)
    began = time.monotonic()
    with lock(cloud) as held:
        assert held.waited
        assert time.monotonic() - began >= FAST.stale
    assert cloud.held is None


def test_one_that_is_renewed_is_waited_for() -> None:
    cloud = Cloud()
    holder = elsewhere(cloud)
    over = threading.Event()

    def renew() -> None:
        beat = 0
        while not over.wait(0.1):
            beat += 1
            cloud.write(Scope(None, "demo"), "lock-0", {f"{PREFIX}-beat": str(beat)})
        cloud.release(Scope(None, "demo"), "lock-0")

    thread = threading.Thread(target=renew)
    thread.start()
    threading.Timer(4.0, over.set).start()
    began = time.monotonic()
    with lock(cloud):
        assert time.monotonic() - began >= 3.9
    thread.join()
    assert holder.run == "r1"


def test_take_over_waits_until_a_live_holder_has_noticed() -> None:
    cloud, times = Cloud(), Times(renew=0.5, stale=60, fence=30, settle=0.05, poll=0.02)
    elsewhere(cloud)
    began = time.monotonic()
    with lock(cloud, times=times, take_over=True) as held:
        assert 0.5 <= time.monotonic() - began < 30
        assert held.inherited
        assert cloud.serial == 1


def test_what_was_taken_over_changes_nothing_more() -> None:
    cloud = Cloud()
    with lock(cloud) as held:
        held.check()
        elsewhere(cloud)
        time.sleep(FAST.fence + FAST.renew)
        with pytest.raises(Locked, match="process 77 on host-1"):
            held.check()
    assert cloud.held is not None  # it is the other's


def test_a_process_that_slept_makes_sure_before_it_changes_anything() -> None:
    """The thread that renews may come later than the one that changes."""
    cloud, times = Cloud(), Times(renew=60, stale=120, fence=0.2, settle=0, poll=0.02)
    with lock(cloud, times=times) as held:
        time.sleep(0.3)
        held.check()  # nobody took it: it goes on
        elsewhere(cloud)
        time.sleep(0.3)
        with pytest.raises(Locked):
            held.check()


def test_a_process_that_slept_while_it_renewed_makes_sure_once_more() -> None:
    """ECS key pairs are written by name: the write reaches the other's lock."""

    class ByName(Cloud):
        def write(self, scope: Scope[None], identifier: str, tags: Tags) -> None:
            if self.serial == 1:  # the other takes it over between the read and the write
                self.serial = 2
                elsewhere(self)
                time.sleep(0.3)

    times = Times(renew=60, stale=120, fence=0.2, settle=0, poll=0.02)
    with lock(ByName(), times=times) as held:
        time.sleep(0.3)
        with pytest.raises(Locked):
            held.check()


def test_credentials_that_expire_do_not_hide_how_the_run_ended() -> None:
    class Expired(Cloud):
        def release(self, scope: Scope[None], identifier: str) -> None:
            raise CredentialsError("they have expired")

    with lock(Expired()):
        pass


@pytest.mark.parametrize("well", [True, False])
def test_a_missing_permission_to_remove_it_ends_a_run_that_went_well(well: bool) -> None:
    class Refusing(Cloud):
        def release(self, scope: Scope[None], identifier: str) -> None:
            raise Denied("no permission to remove locks")

    def run() -> None:
        with lock(Refusing()):
            if not well:
                raise RuntimeError("the run failed by itself")

    with pytest.raises(Denied if well else RuntimeError):
        run()


def test_something_foreign_with_its_name_is_not_removed() -> None:
    cloud = Cloud(Held("lock-9", {"owner": "somebody"}))
    with pytest.raises(NotOurs, match="lock-9"), lock(cloud, take_over=True):
        pytest.fail("taken")
    assert cloud.held is not None


def _die_with_it(folder: Path, held: str) -> None:
    cloud = Cloud()
    with lock(cloud, folder, times=SLOW):
        Path(held).write_text("\n".join(f"{k}={v}" for k, v in cloud.held.tags.items()))  # type: ignore[union-attr]
        time.sleep(60)


def test_after_a_kill_on_this_machine_it_is_free_at_once(tmp_path: Path) -> None:
    said = tmp_path / "said"
    process = multiprocessing.get_context("spawn").Process(
        target=_die_with_it, args=(tmp_path / "locks", str(said)), daemon=True
    )
    process.start()
    while not said.exists() or not said.read_text():
        time.sleep(0.05)
    stop, told = threading.Event(), list[str]()
    cloud = Cloud(Held("lock-1", dict(line.split("=", 1) for line in said.read_text().split("\n"))))
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Interrupted), lock(cloud, tmp_path / "locks", stop=stop, tell=told.append):
        pytest.fail("two have it")
    assert f"process {process.pid} on" in told[0]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with lock(cloud, tmp_path / "locks", times=SLOW) as held:
        assert not held.waited
    assert cloud.held is None


def _stopped_with_it(folder: Path, tmp_path: Path) -> tuple[int, Cloud]:
    """A process of this machine that has the lock and is stopped."""
    said = tmp_path / "said"
    process = multiprocessing.get_context("spawn").Process(
        target=_die_with_it, args=(folder, str(said)), daemon=True
    )
    process.start()
    while not said.exists() or not said.read_text():
        time.sleep(0.05)
    tags = dict(line.split("=", 1) for line in said.read_text().split("\n"))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    return process.pid, Cloud(Held("lock-1", tags))


@pytest.mark.parametrize("take_over", [True, False])
def test_a_stopped_holder_on_this_machine_is_taken_over(tmp_path: Path, take_over: bool) -> None:
    folder = tmp_path / "locks"
    pid, cloud = _stopped_with_it(folder, tmp_path)
    try:
        with lock(cloud, folder, take_over=take_over) as held:
            assert held.waited
            assert held.inherited
            assert cloud.held is not None
            stop = threading.Event()
            threading.Timer(1.5, stop.set).start()
            # a third one of this machine does not take the working one for the stopped one
            with pytest.raises(Interrupted), lock(cloud, folder, stop=stop):
                pytest.fail("two have it")
    finally:
        os.kill(pid, signal.SIGKILL)


def test_no_file_is_left_but_the_name_of_the_folder(tmp_path: Path) -> None:
    with lock(Cloud(), tmp_path):
        assert len(list(tmp_path.iterdir())) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["place"]


def test_a_folder_that_cannot_be_written_leaves_the_lock_in_the_cloud(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cloud = Cloud()
    with lock(cloud, tmp_path / "file" / "locks"):
        assert cloud.held is not None


@EACH
def test_files_that_are_no_regular_ones_leave_the_lock_in_the_cloud(
    tmp_path: Path, kind: str
) -> None:
    with lock(Cloud(), tmp_path):
        (file,) = tmp_path.glob("*.lock")
    for odd in (file, tmp_path / "place"):
        odd.unlink(missing_ok=True)
        ODD[kind](odd)
        before, cloud = same(odd), Cloud()
        with lock(cloud, tmp_path):
            assert cloud.held is not None
        assert same(odd) == before


def test_the_sandbox_is_quicker_but_not_too_quick_for_a_loaded_machine() -> None:
    assert Times.at(1.0) == Times()
    quick = Times.at(0.0)
    assert quick.renew < quick.fence < quick.stale <= Times().stale
