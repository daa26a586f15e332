"""Container Engine's own autoscaler, on the emulated Google Cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.sandbox.gcp import PROJECT, ZONE, Gcp, cloud, pool, shared
from tests.sandbox.workloads import Workloads, grows_and_shrinks, stays, until

__all__ = ["cloud", "shared"]


def workloads(cloud: Gcp, cluster: dict[str, Any], where: Path) -> Workloads:
    authority = cluster["masterAuth"]["clusterCaCertificate"]
    endpoint = f"https://{cluster['endpoint']}"
    return Workloads.by_token(endpoint, authority, cloud.token, where, cloud.sandbox.proxy)


def scaled(**limits: Any) -> dict[str, Any]:
    """A pool that scales by itself."""
    return {**pool("default", 1), "autoscaling": {"enabled": True, **limits}}


def operations(cloud: Gcp) -> int:
    """How many operations the project has seen."""
    return len(cloud.gke("GET", f"locations/{ZONE}/operations").get("operations", []))


def test_pods_bring_nodes_and_idle_nodes_go(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    made = cloud.cluster(nodePools=[scaled(minNodeCount=1, maxNodeCount=3)])
    kube = workloads(cloud, made, tmp_path)
    before = operations(cloud)
    grows_and_shrinks(kube, 1, 3)
    told = next(iter(kube.told("TriggeredScaleUp")))
    link = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/zones/{ZONE}/instanceGroups/"
    assert told.startswith(f"pod triggered scale-up: [{{{link}gke-demo-default-")
    assert operations(cloud) == before
    instances = cloud.compute("GET", f"zones/{ZONE}/instances")["items"]
    assert len(instances) == 1
    kube.close()


def test_total_limits_are_those_of_all_zones(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    zones = [ZONE, f"{ZONE[:-1]}{'c' if ZONE[-1] != 'c' else 'd'}"]
    one = {**scaled(totalMinNodeCount=2, totalMaxNodeCount=3), "locations": zones}
    kube = workloads(cloud, cloud.cluster(nodePools=[one]), tmp_path)
    grows_and_shrinks(kube, 2, 3)
    kube.close()


def test_a_pool_of_a_given_size_stays_until_it_is_to_scale(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    kube = workloads(cloud, cloud.cluster(nodePools=[pool("default", 1)]), tmp_path)
    kube.deploy("web", 2)
    until(lambda: kube.told("FailedScheduling"), "one waits")
    stays(lambda: kube.nodes() == 1)
    path = f"locations/{ZONE}/clusters/demo/nodePools/default:setAutoscaling"
    body = {"autoscaling": {"enabled": True, "minNodeCount": 1, "maxNodeCount": 2}}
    cloud.done(cloud.gke("POST", path, body))
    until(lambda: kube.nodes() == 2, "a node")
    kube.close()
