"""What ``count: {min, max}`` says is so: nodes come and go within it, and no plan minds."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from clusterkit.kube.api import KubeApi
from tests.drivers.cases import MINIMAL, each
from tests.drivers.world import Case, World, edited, world

LEAST, MOST = 1, 3
PATIENCE = 60.0
"""seconds; the sandbox does at once what takes minutes on the clouds"""


def _until(found: World, count: int, what: str) -> None:
    """So many nodes; meanwhile nothing is to be done, also for a preflight that is asked now."""
    end = time.monotonic() + PATIENCE
    while True:
        there = len(_nodes(found.clients().kube))
        left = found.cluster().plan(found.profile)
        assert left.empty, [(step.op, step.key, step.changes) for step in left.todo]
        if there == count:
            return
        assert time.monotonic() < end, what


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


@each(MINIMAL)
def test_pending_pods_bring_nodes_and_idle_nodes_go(case: Case, tmp_path: Path) -> None:
    scaling = {"pools.0.count": {"min": LEAST, "max": MOST}}
    with world(replace(case, profile=edited(case.profile, scaling)), tmp_path) as found:
        found.settle(found.up())
        kube = found.clients().kube
        _until(found, LEAST, "the pool does not begin with its minimum")
        cores = _cores(_nodes(kube)[0])
        pods = [f"busy-{index}" for index in range(MOST + 1)]
        for name in pods:
            _pod(kube, name, cores)
        _until(found, MOST, "no node came for the pods that fit none")
        for name in pods:
            kube.delete(f"/api/v1/namespaces/default/pods/{name}", grace=0)
        _until(found, LEAST, "the idle nodes did not go")
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
        _until(found, 1, "the empty pool has nodes")
        _pod(kube, "build", _cores(_nodes(kube)[0]), **tolerated)
        _until(found, 2, "no node came to the empty pool")
        kube.delete("/api/v1/namespaces/default/pods/build", grace=0)
        _until(found, 1, "the idle node did not go")
