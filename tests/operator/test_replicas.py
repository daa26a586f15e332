"""Several replicas, dead ones, and people who work on the same cluster."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterkit.kube.members import Members
from clusterkit.operator import names
from clusterkit_sandbox import daemon
from tests.operator.world import POOLS, World, spec, text, world


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Clouds at a pace at which a run takes a while."""
    with world(tmp_path_factory.mktemp("operator"), "eks", pace=600) as made:
        yield made


def test_members_share_and_take_over(here: World) -> None:
    one = Members(here.kube, names.NAMESPACE, "one", 60.0)
    two = Members(here.kube, names.NAMESPACE, "two", 60.0)
    uids = [f"uid-{number}" for number in range(200)]
    assert not any(map(one.mine, uids))  # who has not shown that it lives has nothing
    one.renew()
    assert all(map(one.mine, uids))
    two.renew()
    one.renew()
    shares = [sum(map(each.mine, uids)) for each in (one, two)]
    assert sum(shares) == 200
    assert min(shares) > 60
    assert not any(one.mine(uid) and two.mine(uid) for uid in uids)
    two.leave()
    one.renew()
    assert all(map(one.mine, uids))
    assert not any(map(two.mine, uids))
    one.leave()


def test_members_of_other_groups_do_not_share(here: World) -> None:
    one = Members(here.kube, names.NAMESPACE, "one", 60.0, "a")
    two = Members(here.kube, names.NAMESPACE, "two", 60.0, "b")
    for each in (one, two, one):
        each.renew()
    assert one.alive == {"one"}
    assert two.alive == {"two"}
    one.leave()
    two.leave()


def test_a_silent_member_is_taken_for_dead(here: World) -> None:
    one = Members(here.kube, names.NAMESPACE, "one", 0.2)
    two = Members(here.kube, names.NAMESPACE, "two", 0.2)
    two.renew()
    one.renew()
    assert one.alive == {"one", "two"}

    def silent() -> bool:
        one.renew()
        return one.alive == {"one"}

    here.until(silent, "two is taken for dead")
    assert two.alive == frozenset()  # and knows it
    one.leave()
    two.leave()


def test_a_person_at_a_terminal_has_the_lock(here: World) -> None:
    """The operator says so, waits, and then plans again."""
    release, held = threading.Event(), threading.Event()

    def person() -> None:
        with here.cluster("locked").lock():
            held.set()
            release.wait(60)

    thread = threading.Thread(target=person)
    thread.start()
    assert held.wait(30)
    with here.operator():
        here.apply("locked", spec())
        told = here.until_reason("locked", "Locked")["message"]
        assert told.startswith("another run works on this cluster (")
        assert here.things("locked") == set()
        release.set()
        thread.join(60)
        here.until_reason("locked", "InSync")


@pytest.mark.deep
def test_a_change_of_the_spec_or_a_deletion_ends_the_run(here: World) -> None:
    with here.operator():
        here.apply("hasty", spec())
        here.until(lambda: here.things("hasty"), "the run has begun")
        here.patch("hasty", pools=[{**POOLS[0], "count": 1}])
        here.until(lambda: "unfinished" in text(here.events("hasty")), "the run was stopped")
        here.annotate("hasty", confirm_deletion="hasty")
        here.delete("hasty")
        here.until_gone("hasty")
    assert here.things("hasty") == set()


@pytest.mark.deep
def test_sigterm_stops_runs_and_lets_locks_go(here: World) -> None:
    with here.operator():
        here.apply("stopped", spec())
        here.until(lambda: here.things("stopped"), "the run has begun")
    assert not here.cluster("stopped").locked(), text(here.events("stopped"))
    leases = here.kube.list(f"/apis/coordination.k8s.io/v1/namespaces/{names.NAMESPACE}/leases")
    assert leases == []
    with here.operator():  # another one goes on
        here.until_reason("stopped", "InSync")


@pytest.mark.deep
def test_what_a_killed_process_began_another_ends(tmp_path: Path) -> None:
    """With ``kill -9``: its Lease and its lock in the cloud are there still."""
    directory = tmp_path / "sandbox"
    info = daemon.start(daemon.Pace(300), directory=directory, emulators=["eks"])
    try:
        _kill_one(tmp_path, directory, info)
    finally:
        daemon.stop(directory)


def _kill_one(tmp_path: Path, directory: Path, info: daemon.Info) -> None:
    from clusterkit.clouds import sandbox_connection

    with world(tmp_path) as here:
        here.base = sandbox_connection(directory)
        environ = {"CLUSTERKIT_SANDBOX_DIR": str(directory)}
        one = here.process(**environ)
        here.apply("demo", spec())
        here.until(lambda: len(here.things("demo")) > 3, "the run has begun", 90)
        there = here.things("demo")
        one.kill()
        one.wait()
        two = here.process(**environ)
        try:
            here.until(lambda: here.condition("demo", "Synced").get("reason") == "InSync",
                       "the other one has ended it", 120)  # fmt: skip
            assert there <= here.things("demo")
            here.annotate("demo", confirm_deletion="demo")
            here.delete("demo")
            here.until(lambda: here.get("demo") is None, "gone", 120)
            assert here.things("demo") == set()
        finally:
            two.send_signal(signal.SIGTERM)
            assert two.wait(60) == 0
