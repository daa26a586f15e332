"""The autoscaler of the emulated Kubernetes Service of Azure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.azurecloud import AKS, Azure, cloud, shared
from tests.sandbox.workloads import Workloads, stays, until

__all__ = ["cloud", "shared"]
POOL = f"{AKS}/demo/agentPools/np"


@pytest.fixture
def kube(cloud: Azure, tmp_path: Path) -> Iterator[Workloads]:
    """A cluster whose system pool takes none of the tests' pods."""
    pool = {"name": "system", "mode": "System", "count": 1, "vmSize": "Standard_D4s_v5",
            "nodeTaints": ["CriticalAddonsOnly=true:NoSchedule"]}  # fmt: skip
    cloud.cluster(agentPoolProfiles=[pool])
    made = Workloads.by_kubeconfig(cloud.kubeconfig(), tmp_path, cloud.sandbox.proxy)
    yield made
    made.close()


def put(cloud: Azure, **properties: Any) -> Any:
    """A pool of small machines."""
    body = {"properties": {"count": 1, "vmSize": "Standard_D2s_v5", **properties}}
    return cloud.done("PUT", POOL, body)


def test_pods_bring_nodes_and_idle_nodes_go(cloud: Azure, kube: Workloads) -> None:
    put(cloud, enableAutoScaling=True, minCount=0, maxCount=2)
    until(lambda: kube.nodes() == 1, "the idle node goes: none is the least")
    kube.deploy("web", 3)
    until(kube.full, "one pod too many waits")
    until(lambda: kube.running() == 2, "two run")
    assert cloud("GET", POOL)["properties"]["count"] == 2
    [told] = kube.told("TriggeredScaleUp")
    assert told.startswith("pod triggered scale-up: [{aks-np-")
    assert told.endswith("-vmss 0->2 (max: 2)}]")
    kube.scale("web", 0)
    until(lambda: kube.nodes() == 1, "idle nodes gone")
    assert cloud("GET", POOL)["properties"]["count"] == 0
    assert cloud("GET", POOL)["properties"]["provisioningState"] == "Succeeded"


def test_the_least_is_kept(cloud: Azure, kube: Workloads) -> None:
    put(cloud, count=2, enableAutoScaling=True, minCount=1, maxCount=3)
    until(lambda: kube.nodes() == 2, "one of the two is idle")
    stays(lambda: kube.nodes() == 2)


def test_a_pool_of_a_given_size_stays_until_it_is_to_scale(cloud: Azure, kube: Workloads) -> None:
    put(cloud)
    kube.deploy("web", 2)
    until(lambda: kube.told("FailedScheduling"), "one waits")
    stays(lambda: kube.nodes() == 2)
    put(cloud, enableAutoScaling=True, minCount=1, maxCount=2)
    until(lambda: kube.running() == 2, "a node")
    put(cloud, count=2, enableAutoScaling=False)
    kube.scale("web", 0)
    stays(lambda: kube.nodes() == 3)


def test_the_profile_has_its_flags(cloud: Azure, tmp_path: Path) -> None:
    profile = {"scale-down-utilization-threshold": "0.1"}
    pool = {"name": "system", "mode": "System", "count": 1, "vmSize": "Standard_D4s_v5"}
    cloud.cluster(agentPoolProfiles=[pool], autoScalerProfile=profile)
    kube = Workloads.by_kubeconfig(cloud.kubeconfig(), tmp_path, cloud.sandbox.proxy)
    put(cloud, enableAutoScaling=True, minCount=0, maxCount=2)
    until(lambda: kube.nodes() == 1, "the idle node goes")
    kube.deploy("web", 3)
    until(lambda: kube.running() == 3, "all run")
    before = kube.nodes()
    kube.deploy("tiny", 1, "300m", nodeSelector={"agentpool": "np"})
    until(lambda: kube.running() == 4, "all run")
    kube.scale("web", 0)
    until(lambda: kube.nodes() <= before, "no more")
    stays(lambda: kube.nodes() == 2)
    kube.close()
