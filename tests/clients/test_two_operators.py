"""Two runs on one cluster at once: the later waits, and nothing is made twice."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from clusterkit_sandbox import daemon
from clusterkit_sandbox.pace import Pace
from tests.clients.conftest import ALIBABA, TOOL, Cloud, User, new_user, quick_on


def ended(*children: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """Exit code and standard error of each."""
    told = [child.communicate(timeout=300) for child in children]
    return [(child.returncode, err[-2000:]) for child, (_, err) in zip(children, told, strict=True)]


def keys(user: User, profile: str) -> list[str]:
    """Every thing that carries the cluster's tags; twins have the same key."""
    lines = user.tool("status", profile, ok=None).stdout.splitlines()
    return [line.split()[0] for line in lines if line.startswith("  ")]


def whole(user: User, profile: str) -> None:
    """The cluster is there once, and can be removed."""
    there = keys(user, profile)
    assert len(there) == len(set(there))
    assert user.tool("plan", profile).stdout.strip().endswith("nothing to do")
    user.tool("destroy", profile, "--yes")
    assert keys(user, profile) == []


@pytest.mark.parametrize(
    "turn",
    [
        0,
        pytest.param(1, marks=pytest.mark.deep),
        *[pytest.param(n, marks=[pytest.mark.deep, pytest.mark.long]) for n in range(2, 50)],
    ],
)
def test_two_ups_at_once_make_one_cluster(user: User, cloud: Cloud, turn: int) -> None:
    profile = str(user.profile(f"two-{cloud.name}", cloud))
    first = user.start(TOOL, "up", profile, "--yes")
    time.sleep(turn % 10 * 0.15)
    assert [code for code, _ in ended(first, user.start(TOOL, "up", profile, "--yes"))] == [0, 0]
    whole(user, profile)


@pytest.mark.deep
def test_an_up_against_a_destroy_ends_in_one_of_the_two(user: User, cloud: Cloud) -> None:
    profile = str(user.profile(f"against-{cloud.name}", cloud))
    user.tool("up", profile, "--yes")
    gone = user.start(TOOL, "destroy", profile, "--yes")
    up = user.start(TOOL, "up", profile, "--yes")
    assert [code for code, _ in ended(gone, up)] == [0, 0]
    there = keys(user, profile)
    assert there == [] or len(there) == len(set(there))
    user.tool("up", profile, "--yes")
    whole(user, profile)


@pytest.mark.deep
def test_two_destroys_at_once_leave_nothing(user: User, cloud: Cloud) -> None:
    profile = str(user.profile(f"gone-{cloud.name}", cloud))
    user.tool("up", profile, "--yes")
    first = user.start(TOOL, "destroy", profile, "--yes")
    second = user.start(TOOL, "destroy", profile, "--yes")
    codes = [code for code, _ in ended(first, second)]
    assert codes == [0, 0]
    assert keys(user, profile) == []


@pytest.fixture
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """A user on a sandbox on which a cluster takes seconds."""
    user = new_user(tmp_path_factory.mktemp("slow"), Pace(60.0))
    yield user
    daemon.stop(user.info.directory)


def until_it_works(user: User, run: subprocess.Popen[str]) -> None:
    """Until a run has the lock and has begun to create things."""
    first = (":CreateVpc", "compute.networks.insert", ":VirtualNetworks_CreateOrUpdate")
    while not any(each.operation.endswith(first) for each in daemon.requests(user.info)):
        assert run.poll() is None
        time.sleep(0.01)


def elsewhere(user: User) -> dict[str, str]:
    """The same person on another machine."""
    return user.env | {"XDG_STATE_HOME": str(user.home / "another-machine")}


@quick_on(ALIBABA)
def test_another_machine_waits_and_says_for_whom(cloud: Cloud, slow: User) -> None:
    user, profile = slow, str(slow.profile("demo", cloud))
    first = user.start(TOOL, "up", profile, "--yes")
    until_it_works(user, first)
    second = user.start(TOOL, "up", profile, "--yes", env=elsewhere(user))
    (one, _), (two, told) = ended(first, second)
    assert (one, two) == (0, 0)
    assert "another run works on this cluster (run " in told
    assert f"process {first.pid} on " in told
    whole(user, profile)


@pytest.mark.deep
@pytest.mark.parametrize("command", ["up", "destroy"])
def test_the_next_run_does_not_wait_for_a_killed_one(
    cloud: Cloud, slow: User, command: str
) -> None:
    user, profile = slow, str(slow.profile("demo", cloud))
    first = user.start(TOOL, "up", profile, "--yes")
    until_it_works(user, first)
    first.kill()
    first.communicate()
    [(code, told)] = ended(user.start(TOOL, command, profile, "--yes"))
    assert code == 0, told
    assert "another run works on this cluster" not in told
    if command == "up":
        whole(user, profile)
    assert keys(user, profile) == []


@pytest.mark.deep
@pytest.mark.parametrize(
    "where", ["this machine", pytest.param("another machine", marks=pytest.mark.long)]
)
def test_a_frozen_holder_makes_nothing_after_it_wakes(cloud: Cloud, slow: User, where: str) -> None:
    user, profile = slow, str(slow.profile("demo", cloud))
    env = elsewhere(user) if where == "another machine" else user.env
    first = user.start(TOOL, "up", profile, "--yes")
    until_it_works(user, first)
    first.send_signal(signal.SIGSTOP)
    [(code, told)] = ended(user.start(TOOL, "up", profile, "--yes", env=env))
    assert code == 0, told
    before = keys(user, profile)
    first.send_signal(signal.SIGCONT)
    [(code, told)] = ended(first)
    # 0 if nothing was left for it to change
    assert code in (0, 14), told
    assert code == 0 or "another run has taken over this cluster" in told
    assert keys(user, profile) == before
    whole(user, profile)
