"""``clusterkit verify --probe`` as a user runs it, interrupts it and kills it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterkit.kube.api import KubeApi
from clusterkit.kube.context import Context
from clusterkit.ready.probe import LABELS
from tests.clients.conftest import EKS, TOOL, User

ONLY = ("verify", "--only", "K5")


@pytest.fixture(scope="module")
def profile(user: User) -> Iterator[Path]:
    path = user.profile("verified", EKS)
    user.tool("up", path, "--yes")
    yield path
    user.tool("destroy", path, "--yes")


@pytest.fixture
def kube(user: User, profile: Path) -> KubeApi:
    return KubeApi(Context([Path(user.env["KUBECONFIG"])], EKS.context("verified")))


def probes(kube: KubeApi) -> list[str]:
    return [item["metadata"]["name"] for item in kube.list("/api/v1/namespaces", LABELS)]


def until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@pytest.fixture
def stuck(user: User) -> Iterator[None]:
    """Pods whose image never comes."""
    user.tool("sandbox", "faults", "error:kube:pull/registry.k8s.io")
    yield
    user.tool("sandbox", "faults")


def test_a_cluster_is_ready(user: User, profile: Path, kube: KubeApi) -> None:
    done = user.tool("verify", profile, "--probe", "--output", "json")
    found = json.loads(done.stdout)
    assert found["ok"], done.stdout
    assert {"K1", "K5", "K10"} <= {check["id"] for check in found["checks"]}
    context = EKS.context("verified")
    other = user.tool("verify", "--context", context, "--output", "json")
    assert json.loads(other.stdout)["cluster"] == context
    assert probes(kube) == []


@pytest.mark.usefixtures("stuck")
def test_ctrl_c_and_kill(user: User, profile: Path, kube: KubeApi) -> None:
    words = [TOOL, *ONLY, "--probe", str(profile)]
    child = user.start(*words)
    until(lambda: probes(kube), "the probe")
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "what was made for the checks is removed" in err
    until(lambda: not probes(kube), "its end")

    child = user.start(*words)
    until(lambda: probes(kube), "the probe")
    child.kill()
    child.communicate()
    [left] = probes(kube)
    done = user.tool(*ONLY, "--probe", profile, ok=1)
    assert "the pod does not run" in done.stdout
    assert "ErrImagePull" in done.stdout or "failed to pull" in done.stdout
    until(lambda: left not in probes(kube), "the end of what was left")
    assert probes(kube) == []
