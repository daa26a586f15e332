"""Changes of clusters and pools in the emulated Kubernetes Engine, and what it fills in."""

from __future__ import annotations

from typing import Any

from tests.sandbox.gcp import NUMBER, PROJECT, REGION, ZONE, Gcp, cloud, eventually, pool, shared

__all__ = ["cloud", "shared"]
CLUSTER = f"container.googleapis.com/v1/projects/{PROJECT}/locations/{ZONE}/clusters/demo"
POOL = f"{CLUSTER}/nodePools/default"


def update(cloud: Gcp, **fields: Any) -> dict[str, Any]:
    done = cloud.done(cloud("PUT", CLUSTER, {"update": fields}))
    assert "error" not in done, done
    found: dict[str, Any] = cloud("GET", CLUSTER)
    assert found["status"] == "RUNNING"
    return found


def test_the_server_config_has_channels(cloud: Gcp) -> None:
    found = cloud.gke("GET", f"locations/{ZONE}/serverConfig")
    assert cloud.gke("GET", f"zones/{ZONE}/serverconfig") == found
    regular = next(one for one in found["channels"] if one["channel"] == "REGULAR")
    assert found["defaultClusterVersion"] == regular["defaultVersion"]
    assert regular["defaultVersion"] in regular["validVersions"]


def test_the_server_fills_in_what_is_not_asked_for(cloud: Gcp) -> None:
    cloud.network(ranges=False)
    made = cloud.cluster(ipAllocationPolicy={}, nodePools=[{"name": "main", "initialNodeCount": 1}])
    policy = made["ipAllocationPolicy"]
    assert policy["servicesIpv4Cidr"] == "34.118.224.0/20"
    assert policy["clusterSecondaryRangeName"].startswith("gke-demo-pods-")
    subnetwork = cloud.compute("GET", f"regions/{REGION}/subnetworks/demo")
    names = [one["rangeName"] for one in subnetwork["secondaryIpRanges"]]
    assert names == [policy["clusterSecondaryRangeName"]]
    config = made["nodePools"][0]["config"]
    assert config["machineType"] == "e2-medium"
    assert (config["diskType"], config["diskSizeGb"]) == ("pd-balanced", 100)
    assert config["serviceAccount"] == "default"
    assert len(config["oauthScopes"]) == 6
    assert made["releaseChannel"] == {"channel": "REGULAR"}
    assert made["nodePools"][0]["maxPodsConstraint"] == {"maxPodsPerNode": "110"}
    assert made["selfLink"] == (
        f"https://container.googleapis.com/v1/projects/{PROJECT}/zones/{ZONE}/clusters/demo"
    )
    rules = sorted(one["name"] for one in cloud.compute("GET", "global/firewalls")["items"])
    assert [name.rpartition("-")[2] for name in rules] == ["all", "exkubelet", "inkubelet", "vms"]
    cloud.done(cloud("DELETE", CLUSTER))
    assert not cloud.compute("GET", f"regions/{REGION}/subnetworks/demo").get("secondaryIpRanges")
    cloud.done(cloud.compute("DELETE", f"regions/{REGION}/subnetworks/demo"))
    assert "error" not in cloud.done(cloud.compute("DELETE", "global/networks/demo"))


def test_operations_show_what_recorded_ones_do(cloud: Gcp) -> None:
    cloud.network()
    operation = cloud.create(REGION)
    assert operation["operationType"] == "CREATE_CLUSTER"
    assert operation["zone"] == REGION
    assert operation["targetLink"].endswith(f"/projects/{NUMBER}/locations/{REGION}/clusters/demo")
    listed = cloud.gke("GET", "locations/-/operations")["operations"]
    assert operation["name"] in [one["name"] for one in listed]


def test_fields_of_a_cluster_change_one_at_a_time(cloud: Gcp) -> None:
    cloud.network()
    cloud.cluster()
    authorized = {"enabled": True, "cidrBlocks": [{"cidrBlock": "8.8.8.0/24"}]}
    found = update(cloud, desiredMasterAuthorizedNetworksConfig=authorized)
    endpoints = found["controlPlaneEndpointsConfig"]["ipEndpointsConfig"]
    assert endpoints["authorizedNetworksConfig"]["cidrBlocks"] == authorized["cidrBlocks"]
    assert endpoints["enablePublicEndpoint"]
    dns = {"dnsEndpointConfig": {"allowExternalTraffic": True}}
    found = update(cloud, desiredControlPlaneEndpointsConfig=dns)
    assert found["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["allowExternalTraffic"]
    assert found["masterAuthorizedNetworksConfig"]["enabled"]
    found = update(cloud, desiredDefaultEnablePrivateNodes=True)
    assert found["networkConfig"]["defaultEnablePrivateNodes"]
    assert found["privateClusterConfig"]["enablePrivateNodes"]
    identity = {"workloadPool": f"{PROJECT}.svc.id.goog"}
    assert update(cloud, desiredWorkloadIdentityConfig=identity)["workloadIdentityConfig"] == (
        identity
    )
    found = update(cloud, desiredReleaseChannel={"channel": "STABLE"})
    assert found["releaseChannel"] == {"channel": "STABLE"}
    addons = {"gcpFilestoreCsiDriverConfig": {"enabled": True}}
    found = update(cloud, desiredAddonsConfig=addons)
    assert found["addonsConfig"]["gcePersistentDiskCsiDriverConfig"] == {"enabled": True}
    body = {"resourceLabels": {"team": "ci"}, "labelFingerprint": found["labelFingerprint"]}
    done = cloud.done(cloud("POST", f"{CLUSTER}:setResourceLabels", body))
    assert done["operationType"] == "UPDATE_CLUSTER"
    assert cloud("GET", CLUSTER)["resourceLabels"] == {"team": "ci"}
    two = {"desiredShieldedNodes": {"enabled": True}, "desiredVerticalPodAutoscaling": {}}
    assert cloud.refused("PUT", CLUSTER, {"update": two})[0] == 400


def test_versions_go_up_one_after_the_other(cloud: Gcp) -> None:
    cloud.network()
    made = cloud.cluster(initialClusterVersion="1.34", releaseChannel={"channel": "STABLE"})
    assert made["currentMasterVersion"].startswith("1.34.9-")
    old = {one["name"] for one in cloud.compute("GET", f"zones/{ZONE}/instances")["items"]}
    too_new = {"update": {"desiredNodeVersion": "1.35"}}
    assert cloud.refused("PUT", CLUSTER, too_new)[0] == 400
    found = update(cloud, desiredMasterVersion="1.35")
    assert found["currentMasterVersion"].startswith("1.35.")
    assert found["nodePools"][0]["version"].startswith("1.34.")
    done = cloud.done(cloud("PUT", POOL, {"nodeVersion": "-", "imageType": "COS_CONTAINERD"}))
    assert done["operationType"] == "UPGRADE_NODES"
    assert cloud("GET", POOL)["version"] == found["currentMasterVersion"]
    new = {one["name"] for one in cloud.compute("GET", f"zones/{ZONE}/instances")["items"]}
    assert len(new) == 2
    assert not new & old


def test_pools_change_in_place_or_get_new_machines(cloud: Gcp) -> None:
    cloud.network()
    cloud.cluster()
    taints = {"taints": [{"key": "only", "value": "ci", "effect": "NO_SCHEDULE"}]}
    body = {"labels": {"labels": {"team": "ci"}}, "taints": taints}
    cloud.done(cloud("PUT", POOL, body))
    found = cloud("GET", POOL)
    assert found["config"]["labels"] == {"team": "ci"}
    assert found["config"]["taints"] == taints["taints"]
    cloud.done(cloud("PUT", POOL, {"taints": {}}))
    assert not cloud("GET", POOL)["config"].get("taints")
    cloud.done(cloud("PUT", POOL, {"machineType": "e2-standard-4"}))
    kinds = [one["machineType"] for one in cloud.compute("GET", f"zones/{ZONE}/instances")["items"]]
    assert [one.rpartition("/")[2] for one in kinds] == ["e2-standard-4", "e2-standard-4"]
    limits = {"enabled": True, "totalMinNodeCount": 3, "totalMaxNodeCount": 5}
    cloud.done(cloud("POST", f"{POOL}:setAutoscaling", {"autoscaling": limits}))
    assert cloud("GET", POOL)["autoscaling"] == {"locationPolicy": "BALANCED", **limits}
    assert cloud("GET", CLUSTER)["currentNodeCount"] == 3
    done = cloud.done(cloud("POST", f"{POOL}:setSize", {"nodeCount": 1}))
    assert done["operationType"] == "SET_NODE_POOL_SIZE"
    assert cloud("GET", CLUSTER)["currentNodeCount"] == 1


def test_a_regional_cluster_is_in_three_zones(cloud: Gcp) -> None:
    cloud.network()
    made = cloud.cluster(REGION, nodePools=[pool(count=1)])
    assert made["locations"] == [f"{REGION}-{letter}" for letter in "bcd"]
    assert made["currentNodeCount"] == 3
    assert len(made["nodePools"][0]["instanceGroupUrls"]) == 3
    assert "/locations/" in made["selfLink"]


def test_an_autopilot_cluster_has_nodes_of_its_own(cloud: Gcp) -> None:
    cloud.network()
    made = cloud.cluster(REGION, nodePools=[], autopilot={"enabled": True})
    assert made["autopilot"] == {"enabled": True}
    assert made["workloadIdentityConfig"]["workloadPool"] == f"{PROJECT}.svc.id.goog"
    assert "items" not in cloud.compute("GET", f"zones/{ZONE}/instances")
    url = CLUSTER.replace(ZONE, REGION)
    cloud.done(cloud("DELETE", url))
    eventually(lambda: cloud.send("GET", url)[0] == 404)
