"""Clusters and node pools of the emulated Google Cloud, from birth to what they leave behind."""

from __future__ import annotations

from tests.sandbox.gcp import PROJECT, REGION, ZONE, Gcp, cloud, shared

__all__ = ["cloud", "shared"]


def test_a_cluster_lives_and_dies(cloud: Gcp) -> None:
    cloud.network()
    made = cloud.cluster()
    assert made["status"] == "RUNNING"
    assert made["currentNodeCount"] == 2
    pool = made["nodePools"][0]
    assert pool["config"]["machineType"] == "e2-standard-2"
    assert pool["status"] == "RUNNING"
    group = pool["instanceGroupUrls"][0].partition("/projects/")[2].partition("/")[2]
    assert cloud.compute("GET", group)["targetSize"] == 2
    listed = cloud.gke("GET", "locations/-/clusters")["clusters"]
    assert [one["name"] for one in listed] == ["demo"]
    assert cloud.gke("GET", f"zones/{ZONE}/clusters/demo") == made
    done = cloud.done(cloud.gke("DELETE", f"locations/{ZONE}/clusters/demo"))
    assert "error" not in done
    url = f"container.googleapis.com/v1/projects/{PROJECT}/locations/{ZONE}/clusters/demo"
    assert cloud.refused("GET", url) == (
        404,
        f"Not found: projects/{PROJECT}/zones/{ZONE}/clusters/demo.",
    )
    assert "items" not in cloud.compute("GET", f"zones/{ZONE}/instances")
    subnetwork = cloud.compute("GET", f"regions/{REGION}/subnetworks/demo")
    names = [one["rangeName"] for one in subnetwork["secondaryIpRanges"]]
    assert names == ["pods", "services"]
