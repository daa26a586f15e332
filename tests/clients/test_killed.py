"""``kill -9`` of ``up`` and ``destroy`` at any request; the same command again ends the same."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.clients.conftest import ALIBABA, GKE, TOOL, Cloud, User, quick_on


def deep(*values: int) -> list[Any]:
    """These only in the long matrix."""
    return [pytest.param(value, marks=pytest.mark.deep) for value in values]


def resources(user: User, profile: str) -> set[str]:
    """The keys of everything that carries the cluster's mark; each can be there only once."""
    done = user.tool("status", profile, "--output", "json", ok=None)
    for line in done.stdout.splitlines():
        found = json.loads(line)
        if found["event"] == "Status":
            keys = [thing["key"] for thing in found["resources"]]
            assert len(keys) == len(set(keys)), keys
            return set(keys)
    raise AssertionError(done.stdout + done.stderr)


def killed_after(user: User, requests: int, *words: str) -> bool:
    """Run clusterkit and kill it after that many requests; False if it ended before."""
    child = user.start(TOOL, *words)
    begin = user.requests()
    was_there = user.wait_for_requests(begin + requests, lambda: child.poll() is None)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    return was_there


@pytest.fixture(scope="module")
def whole(user: User, cloud: Cloud) -> set[str]:
    """What a run that nobody kills makes; it stays as the decoy beside all others."""
    decoy = f"decoy-{cloud.name}"
    profile = str(user.profile(decoy, cloud))
    user.tool("up", profile, "--yes")
    found = resources(user, profile)
    assert any(key.startswith("cluster/") for key in found)
    return {key.replace(decoy, "NAME") for key in found}


@quick_on(ALIBABA, GKE)
@pytest.mark.parametrize("requests", [65, *deep(5, 25, 45, 85, 105)])
def test_up_continues_and_destroy_leaves_nothing(
    user: User, cloud: Cloud, whole: set[str], requests: int
) -> None:
    name = f"killed-{cloud.name}-{requests}"
    profile = str(user.profile(name, cloud))
    killed_after(user, requests, "up", profile, "--yes")
    user.tool("up", profile, "--yes")
    assert {key.replace(name, "NAME") for key in resources(user, profile)} == whole
    assert user.tool("plan", profile).stdout.strip() == f"{name}: nothing to do"
    killed_after(user, requests, "destroy", profile, "--yes")
    user.tool("destroy", profile, "--yes")
    assert resources(user, profile) == set()


@pytest.mark.parametrize("requests", [55, *deep(15, 95)])
def test_destroy_of_what_up_began_leaves_nothing(
    user: User, cloud: Cloud, whole: set[str], requests: int
) -> None:
    name = f"begun-{cloud.name}-{requests}"
    profile = str(user.profile(name, cloud))
    killed_after(user, requests, "up", profile, "--yes")
    user.tool("destroy", profile, "--yes")
    assert resources(user, profile) == set()


def test_the_decoy_beside_them_is_untouched(user: User, cloud: Cloud, whole: set[str]) -> None:
    decoy = f"decoy-{cloud.name}"
    profile = str(user.profile(decoy, cloud))
    assert {k.replace(decoy, "NAME") for k in resources(user, profile)} == whole
    assert user.tool("plan", profile).stdout.strip() == f"{decoy}: nothing to do"
