"""Many clusters in one command: all at once on few threads, and again after some have failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterkit_sandbox import daemon
from clusterkit_sandbox.pace import Pace
from tests.clients.conftest import User, new_user

PROFILES = Path(__file__).parents[2] / "profiles"
CLOUDS = ("aks", "alibaba", "eks", "gke")


@pytest.fixture
def user(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[User]:
    """One whose account may have more than five VPCs in a region."""
    monkeypatch.setenv("CLUSTERKIT_SANDBOX_QUOTAS", "off")
    found = new_user(tmp_path, Pace.parse(request.param))
    yield found
    daemon.stop(found.info.directory)


def _fleet(user: User, count: int) -> Path:
    folder = user.home / "fleet"
    folder.mkdir()
    for number in range(count):
        cloud = CLOUDS[number % 4]
        text = (PROFILES / f"{cloud}-minimal.yaml").read_text()
        name = f"{cloud}-{number // 4}"
        (folder / f"{name}.yaml").write_text(text.replace("name: demo", f"name: {name}"))
    return folder


@pytest.mark.parametrize(
    ("user", "count"),
    [
        pytest.param("max", 8, marks=[pytest.mark.deep, pytest.mark.timeout(300)]),
        pytest.param("600", 24, marks=[pytest.mark.deep, pytest.mark.timeout(900)]),
    ],
    indirect=["user"],
)
def test_a_fleet_comes_up_but_for_one_which_the_same_command_finishes(
    user: User, count: int
) -> None:
    folder = _fleet(user, count)
    user.tool("sandbox", "faults", "terminal:eks:CreateNodegroup@1")
    lines = user.tool("up", folder, "--yes", "--output", "json", ok=8).stdout.splitlines()
    user.tool("sandbox", "faults")
    events = [json.loads(line) for line in lines]
    results = [each["result"] for each in events[-1]["clusters"]]
    assert sorted(results) == ["failed"] + ["up"] * (count - 1)
    began = [n for n, line in enumerate(events) if line["event"] == "RunStarted"]
    ended = [n for n, line in enumerate(events) if line["event"] == "RunEnded"]
    assert len(began) == len(ended) == count
    if count > 8:
        assert max(began) < min(ended), "all run at once"

    again = user.tool("up", folder, "--yes").stdout
    assert f"up of {count} clusters: {count - 1} unchanged, 1 up in " in again
    user.tool("plan", folder)
    status = user.tool("status", folder, "--output", "json").stdout.splitlines()
    assert [each["exit"] for each in json.loads(status[-1])["clusters"]] == [0] * count
    gone = user.tool("destroy", folder, "--yes").stdout
    assert f"destroy of {count} clusters: {count} deleted in " in gone
