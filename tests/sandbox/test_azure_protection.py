"""What keeps from changes of the emulated Azure: lockdown, power off, empty buckets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.sandbox.azurecloud import (
    AKS,
    NET,
    REGION,
    RG,
    SUB,
    UAI,
    Azure,
    account,
    cloud,
    eventually,
    shared,
)

__all__ = ["cloud", "shared"]
DEMO = f"{AKS}/demo"
NODES = f"{SUB}/resourceGroups/MC_demo_demo_eastus"
HERE = {"location": REGION}


def test_a_node_group_is_open_unless_it_is_locked_down(cloud: Azure) -> None:
    cloud.cluster(nodeResourceGroupProfile={"restrictionLevel": "ReadOnly"})
    disk = f"{NODES}/providers/Microsoft.Compute/disks/mine"
    body = {**HERE, "properties": {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}}}
    status, found, _ = cloud.send("PUT", disk, body)
    assert (status, found["error"]["code"]) == (403, "DenyAssignmentAuthorizationFailed")
    assert "'Microsoft.Compute/disks/write'" in found["error"]["message"]
    assert cloud.refused("DELETE", NODES)[1] == "DenyAssignmentAuthorizationFailed"
    assert len(cloud("GET", f"{NODES}/resources")["value"]) == 6
    wanted = cloud.wanted(nodeResourceGroupProfile={"restrictionLevel": "Unrestricted"})
    cloud.done("PUT", DEMO, wanted)
    cloud.done("PUT", disk, body)
    cloud.done("DELETE", DEMO)
    assert cloud.refused("GET", NODES)[0] == 404


def power(cloud: Azure) -> tuple[str, str, list[str]]:
    found = cloud("GET", DEMO)["properties"]
    pools = [pool["powerState"]["code"] for pool in found["agentPoolProfiles"]]
    return found["provisioningState"], found["powerState"]["code"], pools


def machines(cloud: Azure) -> list[int]:
    path = f"{NODES}/providers/Microsoft.Compute/virtualMachineScaleSets"
    return [one["sku"]["capacity"] for one in cloud("GET", path)["value"]]


def test_a_cluster_that_is_stopped_and_started(cloud: Azure) -> None:
    host = cloud.cluster()["properties"]["fqdn"]
    assert cloud.refused("POST", f"{DEMO}/start") == (409, "OperationNotAllowed")
    assert cloud.failed("POST", f"{DEMO}/stop") is None
    assert power(cloud) == ("Succeeded", "Stopped", ["Stopped"])
    assert machines(cloud) == [0]
    assert cloud("GET", DEMO)["properties"]["agentPoolProfiles"][0]["count"] == 1
    assert "is stopped" in cloud.cloud.barred(host)
    assert cloud.refused("POST", f"{DEMO}/stop") == (409, "OperationNotAllowed")
    # all that can be done is to start or to delete it
    assert cloud.refused("PUT", DEMO, cloud.wanted())[0] == 501
    assert cloud.refused("PATCH", DEMO, {"tags": {"a": "b"}})[0] == 501
    pool: dict[str, Any] = {"properties": {"count": 2, "vmSize": "Standard_D2s_v5"}}
    assert cloud.refused("PUT", f"{DEMO}/agentPools/more", pool)[0] == 501
    assert cloud.refused("DELETE", f"{DEMO}/agentPools/system")[0] == 501
    assert cloud.failed("POST", f"{DEMO}/start") is None
    assert power(cloud) == ("Succeeded", "Running", ["Running"])
    assert machines(cloud) == [1]
    assert cloud.cloud.barred(host) == ""
    assert cloud.failed("POST", f"{DEMO}/stop") is None
    cloud.done("DELETE", DEMO)


def test_a_stopped_cluster_may_find_no_machines(cloud: Azure) -> None:
    cloud.cluster()
    cloud.failed("POST", f"{DEMO}/stop")
    cloud.cloud.store.conditions.sold_out.add(("*", ""))
    assert cloud.failed("POST", f"{DEMO}/start")["code"] == "AllocationFailed"
    assert power(cloud)[0] == "Failed"
    cloud.cloud.store.conditions.sold_out.clear()
    cloud.done("PUT", DEMO, cloud.wanted())
    assert (power(cloud)[0], machines(cloud)) == ("Succeeded", [1])


def test_one_pool_is_stopped(cloud: Azure) -> None:
    cloud.cluster()
    pool = {"count": 2, "vmSize": "Standard_D2s_v5"}
    cloud.done("PUT", f"{DEMO}/agentPools/more", {"properties": pool})
    assert sorted(machines(cloud)) == [1, 2]
    stop = {"properties": {**pool, "powerState": {"code": "Stopped"}}}
    found = cloud.done("PUT", f"{DEMO}/agentPools/more", stop)["properties"]
    assert (found["count"], found["powerState"]["code"]) == (2, "Stopped")
    assert sorted(machines(cloud)) == [0, 1]
    start = {"properties": {**pool, "powerState": {"code": "Running"}}}
    cloud.done("PUT", f"{DEMO}/agentPools/more", start)
    assert sorted(machines(cloud)) == [1, 2]


def test_stopping_takes_its_time(tmp_path: Path) -> None:
    with account(tmp_path, pace=600) as cloud:
        cloud.group()
        cloud.done("PUT", DEMO, cloud.wanted())
        cloud.send("POST", f"{DEMO}/stop")
        assert power(cloud)[0] == "Stopping"
        assert cloud.refused("POST", f"{DEMO}/start") == (409, "OperationNotAllowed")
        assert cloud.refused("PUT", DEMO, cloud.wanted()) == (409, "OperationNotAllowed")
        eventually(lambda: power(cloud), lambda found: found[:2] == ("Succeeded", "Stopped"))


def test_a_cluster_that_provisions_its_own_nodes_is_not_stopped(cloud: Azure) -> None:
    cloud.cluster(nodeProvisioningProfile={"mode": "Auto"})
    assert cloud.refused("POST", f"{DEMO}/stop") == (409, "OperationNotAllowed")


def test_too_many_requests(tmp_path: Path) -> None:
    """Twenty changes of one cluster at once, then one a minute; others have their own."""
    with account(tmp_path, pace=20) as cloud:
        cloud.group()
        wrong = {**cloud.wanted(), "x": 1}
        for _ in range(20):
            assert cloud.refused("PUT", DEMO, wrong) == (400, "UnmarshalError")
        status, found, headers = cloud.send("PUT", DEMO, wrong)
        assert (status, found["code"]) == (429, "Throttled")
        assert (
            "The PutManagedClusterHandler.PUT request limit has been exceeded" in (found["message"])
        )
        assert headers["Retry-After"] in ("2", "3")
        assert cloud.refused("PUT", f"{AKS}/other", wrong) == (400, "UnmarshalError")
        assert cloud.refused("GET", DEMO)[0] == 404
        cloud("GET", f"{NET}/natGateways")


def test_operations_that_show_odd_states(tmp_path: Path) -> None:
    """Seen with the real service, each of them; clients wait all the same."""
    with account(tmp_path, pace=600) as cloud:
        conditions = cloud.cloud.store.conditions
        conditions.odd_status, conditions.unseen_polls = "ProvisionControlPlane", 2
        cloud.group()
        poll = cloud.send("PUT", DEMO, cloud.wanted())[2]["Azure-AsyncOperation"]
        assert [cloud.send("GET", poll)[0] for _ in range(3)] == [404, 404, 200]
        assert cloud("GET", poll)["status"] == "ProvisionControlPlane"
        eventually(lambda: cloud("GET", poll)["status"], lambda status: status == "Succeeded")


def test_lists_have_what_is_gone_for_a_while(tmp_path: Path) -> None:
    with account(tmp_path, pace=600) as cloud:
        cloud.cloud.store.conditions.lingering = True
        cloud.group()
        cloud.identity("one")
        cloud("DELETE", f"{UAI}/one")
        assert [one["name"] for one in cloud("GET", f"{RG}/resources")["value"]] == ["one"]
        assert cloud.refused("GET", f"{UAI}/one")[0] == 404
        eventually(lambda: cloud("GET", f"{RG}/resources")["value"], lambda found: found == [])


def test_what_a_pool_may_be_upgraded_to(cloud: Azure) -> None:
    cloud.cluster(kubernetesVersion="1.34")
    wanted = cloud.wanted(kubernetesVersion="1.35")
    del wanted["properties"]["agentPoolProfiles"]
    cloud.done("PUT", DEMO, wanted)
    found = cloud("GET", f"{DEMO}/agentPools/system/upgradeProfiles/default")["properties"]
    current = cloud("GET", DEMO)["properties"]["currentKubernetesVersion"]
    assert found["kubernetesVersion"].startswith("1.34.")
    assert found["latestNodeImageVersion"].startswith("AKSUbuntu-")
    assert current in [one["kubernetesVersion"] for one in found["upgrades"]]
    assert not any(one["kubernetesVersion"].startswith("1.36") for one in found["upgrades"])
