"""What the emulated Kubernetes Engine refuses, how operations fail, and what gets in the way."""

from __future__ import annotations

from typing import Any

import pytest

from clusterkit_sandbox.faults import Faults
from tests.sandbox.gcp import PROJECT, REGION, ZONE, Gcp, account, cloud, eventually, pool, shared

__all__ = ["cloud", "shared"]
CLUSTERS = f"container.googleapis.com/v1/projects/{PROJECT}/locations/{ZONE}/clusters"
REGIONAL = f"container.googleapis.com/v1/projects/{PROJECT}/locations/{REGION}/clusters"
POOLS = f"{CLUSTERS}/demo/nodePools"


def refused(cloud: Gcp, url: str = CLUSTERS, **more: Any) -> tuple[int, str]:
    return cloud.refused("POST", url, {"cluster": cloud.wanted(**more)})


def test_what_is_refused_of_a_cluster(cloud: Gcp) -> None:
    network = f'"https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/networks/demo"'
    nowhere = f'Project "{PROJECT}" has no network named "default".'
    assert refused(cloud, network="default", subnetwork="") == (400, nowhere)
    cloud.network()
    for more, message in (
        ({"subnetwork": ""}, 'Network "demo" uses manual subnet mode and requires specifying a'
         " subnetwork."),
        ({"subnetwork": "other"}, "is not valid for Network"),
        ({"ipAllocationPolicy": {"clusterSecondaryRangeName": "none"}},
         f'Pod secondary range "none" not found in network {network}, subnetwork "demo".'),
        ({"ipAllocationPolicy": {"clusterSecondaryRangeName": "pods",
                                 "servicesSecondaryRangeName": "pods"}},
         "should not be the same as service secondary range name"),
        ({"initialClusterVersion": "1.20"}, 'Master version "1.20" is unsupported.'),
        ({"name": "Demo"}, "Must be a match of regex"),
        ({"initialNodeCount": 1}, "Cannot specify both"),
        ({"nodePools": []}, "initial_node_count must be greater than zero"),
        ({"nodePools": [], "autopilot": {"enabled": True}},
         "Autopilot clusters must be regional clusters."),
        ({"locations": [f"{REGION}-b", "us-east1-b"]}, "is not a zone in region"),
        ({"nodePools": [pool(machineType="e2-huge-9")]},
         f'Invalid machine type "e2-huge-9" in zone "{ZONE}": GCE_NOT_FOUND'),
        ({"nodePools": [pool(serviceAccount=f"no@{PROJECT}.iam.gserviceaccount.com")]},
         "The user does not have access to service account"),
        ({"nodePools": [pool(metadata={"user-data": "x"})]}, "is reserved"),
        ({"nodePools": [{**pool(), "management": {"autoRepair": True}}]},
         "Auto_upgrade and auto_repair cannot be false when release_channel REGULAR is set."),
        ({"nodePools": [pool(diskSizeGb=10)]}, "smaller than 12 GB"),
        ({"workloadIdentityConfig": {"workloadPool": "other.svc.id.goog"}}, "is not valid"),
    ):  # fmt: skip
        status, said = refused(cloud, **more)
        assert (status, message in said) == (400, True), (more, said)


def test_a_name_is_taken_once_per_location(cloud: Gcp) -> None:
    cloud.network()
    cloud.cluster()
    exists = f"Already exists: projects/{PROJECT}/zones/{ZONE}/clusters/demo."
    assert refused(cloud) == (409, exists)
    pools = cloud.refused("POST", POOLS, {"nodePool": pool()})
    assert pools == (
        409,
        f"Already exists: projects/{PROJECT}/zones/{ZONE}/clusters/demo/nodePools/default.",
    )


def test_a_regional_cluster_needs_three_times_the_quota(cloud: Gcp) -> None:
    cloud.network()
    cloud.cloud.store.conditions.region_quotas["SSD_TOTAL_GB"] = 250
    status, said = refused(cloud, REGIONAL)
    assert status == 403
    assert said.startswith(
        'Insufficient regional quota to satisfy request: resource "SSD_TOTAL_GB": request requires'
        " '300.0' and is short '50.0'. project has a quota of '250.0' with '250.0' available."
    )
    assert cloud.cluster()["currentNodeCount"] == 2


def test_one_change_of_a_cluster_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    with account(tmp_path_factory.mktemp("slow"), factor=100) as cloud:
        cloud.enable("compute", "container", "iam")
        cloud.network()
        operation = cloud.gke("POST", f"locations/{ZONE}/clusters", {"cluster": cloud.wanted()})
        assert operation["status"] == "RUNNING"
        assert cloud("GET", f"{CLUSTERS}/demo")["status"] == "PROVISIONING"
        status, said = cloud.refused("DELETE", f"{CLUSTERS}/demo")
        assert (status, said) == (
            400,
            f"Cluster is running incompatible operation {operation['name']}.",
        )
        cloud.done(operation)
        first = cloud("POST", POOLS, {"nodePool": pool("a", 1)})
        second = cloud("POST", POOLS, {"nodePool": pool("b", 1)})
        assert cloud("GET", f"{CLUSTERS}/demo")["status"] == "RECONCILING"
        status, said = cloud.refused("DELETE", f"{POOLS}/a")
        assert "incompatible operation" in said
        for name in "cde":
            cloud("POST", POOLS, {"nodePool": pool(name, 0)})
        status, said = cloud.refused("POST", POOLS, {"nodePool": pool("f", 0)})
        assert (status, said) == (
            429,
            'Too many operations: cluster "demo" hits the concurrent operations quota 5, please try'
            " again later.",
        )
        assert "error" not in cloud.done(first)
        assert "error" not in cloud.done(second)


def test_a_zone_without_machines_fails_the_operation(cloud: Gcp) -> None:
    cloud.network()
    cloud.cloud.store.conditions.sold_out.add(("*", ZONE))
    done = cloud.create()
    assert done["error"]["code"] == 8
    assert "[GCE_STOCKOUT]" in done["error"]["message"]
    assert done["clusterConditions"][0]["code"] == "GCE_STOCKOUT"
    made = cloud("GET", f"{CLUSTERS}/demo")
    assert made["status"] == "ERROR"
    assert made["conditions"][0]["code"] == "GCE_STOCKOUT"
    cloud.done(cloud("DELETE", f"{CLUSTERS}/demo"))


def test_a_regional_cluster_survives_one_zone_without_machines(cloud: Gcp) -> None:
    cloud.network()
    cloud.cloud.store.conditions.sold_out.add(("*", ZONE))
    done = cloud.create(REGION)
    assert "error" in done
    made = cloud("GET", f"{REGIONAL}/demo")
    assert made["status"] == "RUNNING"
    assert made["nodePools"][0]["status"] == "RUNNING_WITH_ERROR"
    assert len(made["locations"]) == 3


def test_nodes_that_do_not_register_fail_the_operation(cloud: Gcp) -> None:
    cloud.network()
    cloud.cloud.store.conditions.joining = False
    done = cloud.create()
    assert done["status"] == "DONE"
    assert done["statusMessage"] == (
        "All cluster resources were brought up, but: only 0 nodes out of 2 have registered;"
        " cluster may be unhealthy."
    )
    assert cloud("GET", f"{CLUSTERS}/demo")["status"] == "RUNNING"


def test_a_disk_that_the_series_does_not_take_fails_the_pool(cloud: Gcp) -> None:
    cloud.network()
    cloud.cluster()
    wrong = pool("new", 1, machineType="n4-standard-2", diskType="pd-balanced")
    done = cloud.done(cloud("POST", POOLS, {"nodePool": wrong}))
    assert "[pd-balanced, n4-standard-2] features are not compatible" in done["error"]["message"]
    assert cloud("GET", f"{POOLS}/new")["status"] == "ERROR"
    cloud.done(cloud("DELETE", f"{POOLS}/new"))
    right = pool("new", 1, machineType="n4-standard-2")
    assert "error" not in cloud.done(cloud("POST", POOLS, {"nodePool": right}))
    assert cloud("GET", f"{POOLS}/new")["config"]["diskType"] == "hyperdisk-balanced"


def test_too_few_addresses_for_pods_fail_the_pool(cloud: Gcp) -> None:
    cloud.network(pods="10.4.0.0/23")
    done = cloud.create(nodePools=[pool(count=3)])
    assert "[IP_SPACE_EXHAUSTED]" in done["error"]["message"]
    assert cloud("GET", f"{CLUSTERS}/demo")["nodePools"][0]["status"] == "RUNNING_WITH_ERROR"


def test_a_deletion_that_fails_is_tried_again(cloud: Gcp) -> None:
    cloud.network()
    cloud.cluster()
    method = "container.projects.locations.clusters.delete"
    cloud.sandbox.faults.take(Faults.parse(f"terminal:{method}@1"))
    done = cloud.done(cloud("DELETE", f"{CLUSTERS}/demo"))
    assert done["error"]["code"] == 13
    eventually(lambda: cloud.send("GET", f"{CLUSTERS}/demo")[0] == 404)


def test_an_update_that_fails_changes_nothing(cloud: Gcp) -> None:
    cloud.network()
    cloud.cluster()
    for method, verb, url, body in (
        ("update", "PUT", "demo", {"update": {"desiredShieldedNodes": {"enabled": False}}}),
        ("nodePools.update", "PUT", "demo/nodePools/default", {"imageType": "UBUNTU_CONTAINERD"}),
        ("nodePools.update", "PUT", "demo/nodePools/default", {"labels": {"labels": {"a": "b"}}}),
        ("nodePools.setSize", "POST", "demo/nodePools/default:setSize", {"nodeCount": 3}),
    ):
        rule = f"terminal:container.projects.locations.clusters.{method}@1"
        cloud.sandbox.faults.take(Faults.parse(rule))
        done = cloud.done(cloud(verb, f"{CLUSTERS}/{url}", body))
        assert done["error"]["code"] == 13
        assert done["statusMessage"] == done["error"]["message"]
    found = cloud("GET", f"{CLUSTERS}/demo")
    assert found["shieldedNodes"]["enabled"]
    assert found["status"] == "RUNNING"
    config = found["nodePools"][0]["config"]
    assert (config["imageType"], "labels" in config) == ("COS_CONTAINERD", False)


def test_stale_fingerprints_and_etags_are_refused(cloud: Gcp) -> None:
    cloud.network()
    made = cloud.cluster()
    body = {"resourceLabels": {"team": "ci"}, "labelFingerprint": ""}
    status, said = cloud.refused("POST", f"{CLUSTERS}/demo:setResourceLabels", body)
    assert (status, said) == (
        400,
        "Labels could not be set due to fingerprint mismatch; try again with the proper"
        ' fingerprint: incorrect fingerprint supplied was "", the expected one is'
        f' "{made["labelFingerprint"]}".',
    )
    update = {"update": {"desiredShieldedNodes": {"enabled": True}, "etag": "old"}}
    assert cloud.refused("PUT", f"{CLUSTERS}/demo", update)[0] == 409


def test_node_accounts_without_their_role_are_shown(cloud: Gcp) -> None:
    cloud.network()
    email = cloud.account("poor-nodes")["email"]
    made = cloud.cluster(nodePools=[pool(serviceAccount=email)])
    code = "NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS"
    assert [one["code"] for one in made["conditions"]] == [code]


def test_without_its_agents_role_the_service_makes_nothing(cloud: Gcp) -> None:
    cloud.network()
    url = f"cloudresourcemanager.googleapis.com/v1/projects/{PROJECT}"
    policy = cloud("POST", f"{url}:getIamPolicy", {})
    policy["bindings"] = [o for o in policy["bindings"] if "serviceAgent" not in o["role"]]
    cloud("POST", f"{url}:setIamPolicy", {"policy": policy})
    status, said = refused(cloud)
    assert status == 403
    assert "container.hostServiceAgent.use" in said


def test_the_service_may_begin_an_upgrade_of_its_own(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with account(tmp_path_factory.mktemp("slow"), factor=300) as cloud:
        cloud.enable("compute", "container", "iam")
        cloud.cloud.store.conditions.own_upgrade = True
        cloud.network()
        cloud.create()
        status, said = cloud.refused("DELETE", f"{CLUSTERS}/demo")
        assert status == 400
        assert "incompatible operation" in said
        eventually(lambda: cloud.send("DELETE", f"{CLUSTERS}/demo")[0] == 200)


def test_a_cluster_may_use_a_network_that_is_shared_with_it(cloud: Gcp) -> None:
    cloud.cloud.store.conditions.shared = True
    cloud.sandbox.reset()
    cloud.enable("compute", "container", "iam")
    host = "clusterkit-host"
    with cloud.cloud.store.lock:
        cloud.cloud.store.enabled[host, "compute"] = 0.0
    base = f"compute.googleapis.com/compute/v1/projects/{host}"
    made = cloud("POST", f"{base}/global/networks", {"name": "hub", "autoCreateSubnetworks": False})
    cloud.done(made)
    ranges = [{"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"}]
    network, subnetwork = (f"projects/{host}/{p}" for p in (
        "global/networks/hub", f"regions/{REGION}/subnetworks/hub"
    ))  # fmt: skip
    body = {"name": "hub", "network": network, "ipCidrRange": "10.0.0.0/20",
            "secondaryIpRanges": ranges}  # fmt: skip
    cloud.done(cloud("POST", f"{base}/regions/{REGION}/subnetworks", body))
    more: dict[str, Any] = {"network": network, "subnetwork": subnetwork}
    assert refused(cloud, ipAllocationPolicy={}, **more)[0] == 400
    policy = {"clusterSecondaryRangeName": "pods"}
    found = cloud.cluster(ipAllocationPolicy=policy, **more)
    assert found["networkConfig"]["network"] == network
