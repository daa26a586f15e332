"""What ``count: {min, max}`` says is so: nodes come and go within it, and no plan minds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from clusterkit.kube.api import KubeApi
from tests.drivers.cases import MINIMAL, each
from tests.drivers.world import Case, World, edited, world

LEAST, MOST = 1, 3
PATIENCE = 60.0
"""seconds; the sandbox does at once what takes minutes on the clouds"""


def _until(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def _nodes(kube: KubeApi) -> list[dict[str, Any]]:
    return [*kube.list("/api/v1/nodes")]


def _cores(node: dict[str, Any]) -> float:
    told = node["status"]["allocatable"]["cpu"]
    return float(told[:-1]) / 1000 if told.endswith("m") else float(told)


def _pod(kube: KubeApi, name: str, cores: float, **where: Any) -> None:
    """One that nearly fills a node."""
    requests = {"cpu": f"{int(cores * 600)}m"}
    container = {
        "name": "main",
        "image": "example.test/app",
        "resources": {"requests": requests},
    }
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], **where},
    }
    kube.apply(f"/api/v1/namespaces/default/pods/{name}", body)


def _empty(found: World) -> bool:
    """Whether nothing is to be done, also for a preflight that is asked now."""
    return found.cluster().plan(found.profile).empty


@each(MINIMAL)
def test_pending_pods_bring_nodes_and_idle_nodes_go(case: Case, tmp_path: Path) -> None:
    scaling = {"pools.0.count": {"min": LEAST, "max": MOST}}
    with world(replace(case, profile=edited(case.profile, scaling)), tmp_path) as found:
        found.settle(found.up())
        kube = found.clients().kube
        _until(lambda: len(_nodes(kube)) == LEAST, "the pool does not begin with its minimum")
        assert _empty(found)
        cores = _cores(_nodes(kube)[0])
        pods = [f"busy-{index}" for index in range(MOST + 1)]
        for name in pods:
            _pod(kube, name, cores)
        _until(lambda: len(_nodes(kube)) == MOST, "no node came for the pods that fit none")
        assert _empty(found)
        for name in pods:
            kube.delete(f"/api/v1/namespaces/default/pods/{name}", grace=0)
        _until(lambda: len(_nodes(kube)) == LEAST, "the idle nodes did not go")
        assert _empty(found)
        found.settle(found.destroy())
        assert found.destroy_plan().empty


@each(MINIMAL)
def test_an_empty_pool_gets_its_first_node_and_loses_it(case: Case, tmp_path: Path) -> None:
    """Nothing shows what its nodes are like: labels and taints are known from the pool alone."""
    pool = dict(case.profile["pools"][0])
    build = {
        **pool,
        "name": "build",
        "count": {"min": 0, "max": 2},
        "labels": {"work": "build"},
        "taints": [{"key": "build", "value": "yes", "effect": "NoSchedule"}],
    }
    tolerated = {
        "nodeSelector": {"work": "build"},
        "tolerations": [{"key": "build", "operator": "Exists"}],
    }
    pools = {"pools": [{**pool, "count": 1}, build]}
    with world(replace(case, profile=edited(case.profile, pools)), tmp_path) as found:
        found.settle(found.up())
        kube = found.clients().kube
        _until(lambda: len(_nodes(kube)) == 1, "the empty pool has nodes")
        _pod(kube, "build", _cores(_nodes(kube)[0]), **tolerated)
        _until(lambda: len(_nodes(kube)) == 2, "no node came to the empty pool")
        assert _empty(found)
        kube.delete("/api/v1/namespaces/default/pods/build", grace=0)
        _until(lambda: len(_nodes(kube)) == 1, "the idle node did not go")
        assert _empty(found)
