"""Each SDK package that a cloud's extra declares is on the path of a real call."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from google.cloud.container_v1 import ClusterManagerClient
from google.oauth2.service_account import Credentials

from clusterkit.clouds import CLOUDS, SDKS, CloudName, load
from clusterkit.errors import ClusterkitError
from tests.drivers import gke_cases
from tests.drivers.alibaba_cases import ENTERPRISE_CASE
from tests.drivers.eks_cases import MINIMAL_CASE
from tests.drivers.world import World, world

ROOT = Path(__file__).parent.parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def packages(extra: str) -> set[str]:
    """The distributions that an extra names."""
    return {re.split(r"[^\w-]", requirement)[0] for requirement in EXTRAS[extra]}


def up_and_down(found: World) -> set[str]:
    """Bring the case up and remove it; what the calls called themselves."""
    found.cluster().preflight(found.profile)
    found.settle(found.up())
    found.settle(found.destroy())
    return {entry.user_agent for entry in found.sandbox.requests.entries()}


def test_each_package_of_alibaba_makes_a_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    request_class = re.compile(r"(aliyunsdk\w+)\.request\.v\d+\.\w+")
    for name in [name for name in sys.modules if request_class.fullmatch(name)]:
        monkeypatch.delitem(sys.modules, name)
    with world(ENTERPRISE_CASE, tmp_path) as found:
        agents = up_and_down(found)
    # a module is imported when a call is made with its class
    used = {match[1] for name in sys.modules if (match := request_class.fullmatch(name))}
    made = {f"aliyun-python-sdk-{name.removeprefix('aliyunsdk')}" for name in used}
    if any(" Core/" in agent for agent in agents):
        made.add("aliyun-python-sdk-core")
    # a sandbox gives keys: tests/unit/test_alibaba_credentials.py uses the other kinds
    assert made | {"alibabacloud-credentials"} == packages("alibaba")


def test_botocore_makes_the_calls_to_aws(tmp_path: Path) -> None:
    assert packages("eks") == {"botocore"}
    with world(MINIMAL_CASE, tmp_path) as found:
        agents = up_and_down(found)
    ours = {agent for agent in agents if "Botocore/" in agent}
    assert ours
    assert all(agent.startswith("clusterkit/") for agent in ours)


def test_each_package_of_google_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One fetches the tokens, the other makes the calls to GKE, through our own connections."""
    used: set[str] = set()

    def watched(owner: Any, name: str, package: str) -> None:
        real = getattr(owner, name)

        def watch(*given: Any, **more: Any) -> Any:
            used.add(package)
            return real(*given, **more)

        monkeypatch.setattr(owner, name, watch)

    watched(Credentials, "refresh", "google-auth")
    watched(ClusterManagerClient, "create_cluster", "google-cloud-container")
    with world(gke_cases.MINIMAL_CASE, tmp_path) as found:
        up_and_down(found)
    assert used == packages("gke")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_missing_package_names_the_extra(
    cloud: CloudName, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = SDKS[cloud][0].split(".")[0]
    for name in [name for name in sys.modules if name.split(".")[0] == lacking]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ClusterkitError, match=lacking) as raised:
        load(cloud)
    assert f"pip install '.[{cloud}]'" in (raised.value.hint or "")
