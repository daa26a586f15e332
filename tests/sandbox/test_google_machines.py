"""What clusters make in Compute Engine: machines of pools, and parts of load balancers."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Network
from typing import Any

import pytest

from clusterkit_sandbox.google import machines, subnetworks
from clusterkit_sandbox.google.balancing import BACKEND_SERVICES, ENDPOINT_GROUPS, FORWARDING_RULES
from clusterkit_sandbox.google.computing import make
from clusterkit_sandbox.google.machines import MachineSpec
from clusterkit_sandbox.google.resources import InstanceGroupManager, Subnetwork
from clusterkit_sandbox.google.store import Store
from tests.sandbox.gcp import PROJECT, REGION, ZONE, Gcp, cloud, shared
from tests.sandbox.test_google_compute import (
    LINK,
    SUBNETWORKS,
    network,
    refused,
    subnetwork,
)

__all__ = ["cloud", "shared"]
OWNER = f"projects/{PROJECT}/zones/{ZONE}/clusters/demo"


@pytest.fixture
def store(cloud: Gcp) -> Store:
    network(cloud)
    subnetwork(cloud, secondaryIpRanges=[{"rangeName": "pods", "ipCidrRange": "10.4.0.0/22"}])
    return cloud.cloud.store


def spec(store: Store, **more: Any) -> MachineSpec:
    found = store.get(Subnetwork, f"projects/{PROJECT}/{SUBNETWORKS}/sub")
    assert found is not None
    usual = MachineSpec(
        cluster="demo", pool="pool", owner=OWNER, machine_type="e2-standard-4",
        disk_type="pd-balanced", disk_size=100, network=f"projects/{PROJECT}/global/networks/net",
        subnetwork=found, pods="pods", labels={"goog-k8s-cluster-name": "demo"},
    )  # fmt: skip
    return dataclasses.replace(usual, **more)


def manager(store: Store, **more: Any) -> InstanceGroupManager:
    return machines.add_manager(store, PROJECT, ZONE, spec(store, **more))


def test_machines_are_seen(cloud: Gcp, store: Store) -> None:
    with store.lock:
        made = manager(store, public=True)
        assert machines.resize(store, made, 2) is None
    instances = cloud.compute("GET", f"zones/{ZONE}/instances")["items"]
    assert len(instances) == 2
    assert all(one["name"].startswith("gke-demo-pool-") for one in instances)
    interfaces = [one["networkInterfaces"][0] for one in instances]
    assert sorted(one["networkIP"] for one in interfaces) == ["10.0.0.2", "10.0.0.3"]
    pods = {one["aliasIpRanges"][0]["ipCidrRange"] for one in interfaces}
    assert pods == {"10.4.0.0/24", "10.4.1.0/24"}
    found = cloud.compute("GET", "aggregated/instanceGroupManagers")["items"][f"zones/{ZONE}"]
    assert [one["targetSize"] for one in found["instanceGroupManagers"]] == [2]
    group = f"zones/{ZONE}/instanceGroups/{made.name}"
    assert cloud.compute("GET", group)["size"] == 2
    used = {
        one["metric"]: one["usage"] for one in cloud.compute("GET", f"regions/{REGION}")["quotas"]
    }
    assert (used["CPUS"], used["SSD_TOTAL_GB"], used["IN_USE_ADDRESSES"]) == (8, 200, 2)
    status, reason, message = refused(cloud, "DELETE", f"{SUBNETWORKS}/sub")
    assert (status, reason) == (400, "resourceInUseByAnotherResource")
    assert f"is already being used by 'projects/{PROJECT}/zones/{ZONE}/instances/gke-" in message
    found = cloud.compute("GET", f"{SUBNETWORKS}/sub")
    without = {"secondaryIpRanges": [], "fingerprint": found["fingerprint"]}
    assert refused(cloud, "PATCH", f"{SUBNETWORKS}/sub", without)[1] == reason
    disk = instances[0]["name"]
    assert refused(cloud, "DELETE", f"zones/{ZONE}/disks/{disk}")[1] == reason
    with store.lock:
        machines.remove_manager(store, made)
    for kind in ("instances", "disks", "instanceGroups", "instanceGroupManagers"):
        assert "items" not in cloud.compute("GET", f"zones/{ZONE}/{kind}")


def test_a_machine_of_somebody_else(cloud: Gcp, store: Store) -> None:
    with store.lock:
        machines.resize(store, manager(store), 1)
    path = f"zones/{ZONE}/instances"
    body = {
        "name": "neighbour",
        "machineType": f"zones/{ZONE}/machineTypes/e2-small",
        "disks": [{"boot": True, "initializeParams": {"sourceImage": "global/images/x"}}],
        "networkInterfaces": [{"subnetwork": f"{SUBNETWORKS}/sub"}],
    }
    cloud.done(cloud.compute("POST", path, body))
    found = cloud.compute("GET", f"{path}/neighbour")
    assert found["networkInterfaces"][0]["networkIP"] == "10.0.0.3"
    with store.lock:
        machines.resize(store, next(store.all(InstanceGroupManager)), 0)
    assert "instances/neighbour" in refused(cloud, "DELETE", f"{SUBNETWORKS}/sub")[2]
    cloud.done(cloud.compute("DELETE", f"{path}/neighbour"))
    assert "items" not in cloud.compute("GET", f"zones/{ZONE}/disks")
    wrong = {**body, "machineType": f"zones/{ZONE}/machineTypes/x1"}
    assert refused(cloud, "POST", path, wrong)[1] == "notFound"


def test_why_there_are_no_more_machines(store: Store) -> None:
    with store.lock:
        made = manager(store)
        error = machines.resize(store, made, 5)
        assert error is not None
        assert error[0] == "IP_SPACE_EXHAUSTED"
        assert len(machines.members(store, made.path)) == 4
        machines.resize(store, made, 0)
        store.conditions.region_quotas["SSD_TOTAL_GB"] = 250
        error = machines.resize(store, made, 3)
        assert error == (
            "QUOTA_EXCEEDED", f"Quota 'SSD_TOTAL_GB' exceeded.  Limit: 250.0 in region {REGION}.",
        )  # fmt: skip
        machines.resize(store, made, 0)
        store.conditions.sold_out.add(("e2-standard-4", ZONE))
        error = machines.resize(store, made, 1)
        assert error is not None
        assert error[0] == "ZONE_RESOURCE_POOL_EXHAUSTED"


def test_ranges_that_a_cluster_adds(cloud: Gcp, store: Store) -> None:
    with store.lock:
        found = spec(store).subnetwork
        within = IPv4Network("10.4.0.0/14")
        free = subnetworks.free_range(store, f"projects/{PROJECT}/global/networks/net", within, 17)
        assert free == IPv4Network("10.4.128.0/17")
        subnetworks.add_range(found, "gke-demo-pods-12345678", free)
    names = [
        one["rangeName"] for one in cloud.compute("GET", f"{SUBNETWORKS}/sub")["secondaryIpRanges"]
    ]
    assert names == ["pods", "gke-demo-pods-12345678"]
    with store.lock:
        subnetworks.remove_range(found, names[1])
    assert len(cloud.compute("GET", f"{SUBNETWORKS}/sub")["secondaryIpRanges"]) == 1


def test_parts_of_load_balancers(cloud: Gcp, store: Store) -> None:
    net, sub = f"{LINK}/global/networks/net", f"{LINK}/{SUBNETWORKS}/sub"
    with store.lock:
        group = make(store, ENDPOINT_GROUPS, PROJECT, ZONE, {
            "name": "k8s1-neg", "network": net, "subnetwork": sub,
            "networkEndpointType": "GCE_VM_IP_PORT", "size": 0,
        }, OWNER)  # fmt: skip
        backend = make(store, BACKEND_SERVICES, PROJECT, "", {
            "name": "k8s1-be", "protocol": "HTTP", "backends": [{"group": group.shown["selfLink"]}],
        }, OWNER)  # fmt: skip
        make(store, FORWARDING_RULES, PROJECT, REGION, {
            "name": "a0123", "IPAddress": "203.0.113.9", "IPProtocol": "TCP",
            "loadBalancingScheme": "INTERNAL", "network": net, "subnetwork": sub,
            "backendService": backend.shown["selfLink"],
        }, OWNER)  # fmt: skip
    for kind in ("targetHttpProxies", "targetHttpsProxies", "urlMaps"):
        assert "global" in cloud.compute("GET", f"aggregated/{kind}")["items"]
    rules = cloud.compute("GET", "aggregated/forwardingRules")["items"][f"regions/{REGION}"]
    assert [one["name"] for one in rules["forwardingRules"]] == ["a0123"]
    used = "resourceInUseByAnotherResource"
    assert refused(cloud, "DELETE", f"{SUBNETWORKS}/sub")[1] == used
    assert refused(cloud, "DELETE", "global/backendServices/k8s1-be")[1] == used
    for path in (
        f"regions/{REGION}/forwardingRules/a0123",
        "global/backendServices/k8s1-be",
    ):
        cloud.done(cloud.compute("DELETE", path))
    assert "networkEndpointGroups/k8s1-neg" in refused(cloud, "DELETE", f"{SUBNETWORKS}/sub")[2]
    cloud.done(cloud.compute("DELETE", f"zones/{ZONE}/networkEndpointGroups/k8s1-neg"))
    cloud.done(cloud.compute("DELETE", f"{SUBNETWORKS}/sub"))
    cloud.done(cloud.compute("DELETE", "global/networks/net"))
