"""Compute Engine of the emulated Google Cloud: networks and what is in them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from clusterkit_sandbox.faults import Faults
from tests.sandbox.gcp import PROJECT, REGION, ZONE, Gcp, cloud, eventually, shared, slow

__all__ = ["cloud", "shared", "slow"]
COMPUTE = f"compute.googleapis.com/compute/v1/projects/{PROJECT}"
LINK = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}"
SUBNETWORKS = f"regions/{REGION}/subnetworks"
ROUTERS = f"regions/{REGION}/routers"
POLICIES = "global/firewallPolicies"


def make(cloud: Gcp, path: str, **body: Any) -> dict[str, Any]:
    """A resource that is there and ready."""
    operation = cloud.done(cloud.compute("POST", path, body))
    assert "error" not in operation, operation
    found: dict[str, Any] = cloud.compute("GET", f"{path}/{body['name']}")
    return found


def network(cloud: Gcp, name: str = "net") -> dict[str, Any]:
    return make(cloud, "global/networks", name=name, autoCreateSubnetworks=False)


def subnetwork(cloud: Gcp, name: str = "sub", block: str = "10.0.0.0/20", **more: Any) -> Any:
    body = {"network": "global/networks/net", "ipCidrRange": block, **more}
    return make(cloud, SUBNETWORKS, name=name, **body)


def refused(cloud: Gcp, verb: str, path: str, body: Any = None) -> tuple[int, str, str]:
    """Status, reason and message."""
    status, found = cloud.send(verb, f"{COMPUTE}/{path}", body)
    assert status >= 400, found
    error = found["error"]
    return status, error["errors"][0]["reason"], error["message"]


def failure(cloud: Gcp, verb: str, path: str, body: Any = None) -> Any:
    """The error that an operation ends with."""
    return cloud.done(cloud.compute(verb, path, body))["error"]["errors"][0]


# -- networks --------------------------------------------------------------------------------------


def test_a_network_lives_and_dies(cloud: Gcp) -> None:
    made = network(cloud)
    assert made["selfLink"] == f"{LINK}/global/networks/net"
    assert made["routingConfig"]["routingMode"] == "REGIONAL"
    subnetwork(cloud)
    links = cloud.compute("GET", "global/networks/net")["subnetworks"]
    assert links == [f"{LINK}/{SUBNETWORKS}/sub"]
    routes = cloud.compute("GET", "global/routes")["items"]
    assert sorted(one["destRange"] for one in routes) == ["0.0.0.0/0", "10.0.0.0/20"]
    for path in (f"{SUBNETWORKS}/sub", "global/networks/net"):
        assert "error" not in cloud.done(cloud.compute("DELETE", path))
        assert refused(cloud, "GET", path) == (
            404, "notFound", f"The resource 'projects/{PROJECT}/{path}' was not found",
        )  # fmt: skip
    assert "items" not in cloud.compute("GET", "global/routes")


def test_a_network_in_use_ends_its_operation_with_an_error(cloud: Gcp) -> None:
    network(cloud)
    make(cloud, "global/firewalls", name="ssh", network="global/networks/net",
         allowed=[{"IPProtocol": "tcp", "ports": ["22"]}])  # fmt: skip
    ended = cloud.done(cloud.compute("DELETE", "global/networks/net"))
    assert (ended["status"], ended["httpErrorStatusCode"]) == ("DONE", 400)
    assert ended["error"]["errors"] == [
        {
            "code": "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE",
            "message": f"The network resource 'projects/{PROJECT}/global/networks/net' is already"
            f" being used by 'projects/{PROJECT}/global/firewalls/ssh'",
        }
    ]
    assert cloud.compute("GET", "global/networks/net")


def test_what_an_operation_runs_on_is_not_ready(slow: Gcp) -> None:
    operation = slow.compute(
        "POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False}
    )
    assert (operation["status"], operation["progress"]) == ("PENDING", 0)
    link = operation["selfLink"].removeprefix("https://")
    eventually(lambda: slow("GET", link)["status"] == "RUNNING")
    text = f"The resource 'projects/{PROJECT}/global/networks/net' is not ready"
    body = {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.0.0.0/20"}
    assert refused(slow, "POST", SUBNETWORKS, body) == (400, "resourceNotReady", text)
    assert refused(slow, "DELETE", "global/networks/net")[1] == "resourceNotReady"
    name = operation["name"]
    waited = slow.compute("POST", f"global/operations/{name}/wait")
    assert waited["status"] == "DONE"
    assert waited["endTime"] > waited["startTime"] > waited["insertTime"]
    made = slow.compute("POST", SUBNETWORKS, body)
    assert refused(slow, "DELETE", "global/networks/net") == (400, "resourceNotReady", text)
    slow.done(made)
    slow.done(slow.compute("DELETE", f"{SUBNETWORKS}/sub"))
    slow.done(slow.compute("DELETE", "global/networks/net"))


@pytest.mark.parametrize(
    ("path", "body", "reason", "words"),
    [
        ("global/networks", {}, "required", "Required field 'resource.name' not specified"),
        ("global/networks", {"name": "Net"}, "invalid", "Must be a match of regex"),
        ("global/networks", {"name": "net"}, "alreadyExists", "already exists"),
        (SUBNETWORKS, {"name": "a", "network": "net"}, "invalid", "The URL is malformed."),
        (SUBNETWORKS, {"name": "a", "network": "global/networks/no"}, "notFound", "networks/no"),
        (SUBNETWORKS, {"name": "a", "network": "global/networks/net"}, "required", "ipCidrRange"),
        ("regions/mars1/subnetworks", {"name": "a"}, "notFound", "regions/mars1"),
        (ROUTERS, {"name": "a", "network": "global/networks/no"}, "notFound", "networks/no"),
    ],
)
def test_what_is_refused_at_once(
    cloud: Gcp, path: str, body: dict[str, Any], reason: str, words: str
) -> None:
    network(cloud)
    found = refused(cloud, "POST", path, body)
    assert found[1] == reason
    assert words in found[2]


def test_quotas(cloud: Gcp) -> None:
    cloud.cloud.store.conditions.project_quotas |= {"NETWORKS": 1}
    network(cloud)
    again = {"name": "more", "autoCreateSubnetworks": False}
    assert refused(cloud, "POST", "global/networks", again) == (
        403, "quotaExceeded", "Quota 'NETWORKS' exceeded.  Limit: 1.0 globally.",
    )  # fmt: skip
    quotas = cloud.compute("GET", "")["quotas"]
    assert {"metric": "NETWORKS", "limit": 1.0, "usage": 1.0} in quotas


def test_request_ids(cloud: Gcp) -> None:
    token = uuid.uuid4()
    path = f"global/networks?requestId={token}"
    body = {"name": "net", "autoCreateSubnetworks": False}
    first, again = (cloud.compute("POST", path, body)["id"] for _ in range(2))
    assert first == again
    for wrong in ("1", "00000000-0000-0000-0000-000000000000"):
        path = f"global/networks?requestId={wrong}"
        assert refused(cloud, "POST", path, body)[1] == "invalid"


# -- subnetworks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ipCidrRange": "10.0.1.0/24"}, "conflicts with existing subnetwork 'sub' in region"),
        ({"ipCidrRange": "10.4.1.0/24"}, "Invalid IPCidrRange: 10.4.1.0/24 conflicts"),
        ({"ipCidrRange": "10.9.0.1/24"}, "Must be a valid IPv4 CIDR range."),
        ({"ipCidrRange": "127.0.0.0/24"}, "no range that subnetworks may have"),
        ({"ipCidrRange": "10.9.0.0/30"}, "no range that subnetworks may have"),
        ({"secondaryIpRanges": [{"rangeName": "a", "ipCidrRange": "10.9.0.0/25"}]}, "overlap"),
    ],
)
def test_ranges_that_cannot_be(cloud: Gcp, more: dict[str, Any], words: str) -> None:
    network(cloud)
    subnetwork(cloud, secondaryIpRanges=[{"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"}])
    body = {"name": "b", "network": "global/networks/net", "ipCidrRange": "10.9.0.0/24", **more}
    status, reason, message = refused(cloud, "POST", SUBNETWORKS, body)
    assert (status, reason) == (400, "invalid")
    assert words in message


def test_a_subnetwork_is_changed_with_its_fingerprint(cloud: Gcp) -> None:
    network(cloud)
    made = subnetwork(cloud)
    ranges = {"secondaryIpRanges": [{"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"}]}
    path = f"{SUBNETWORKS}/sub"
    missing = "Required field 'resource.fingerprint' not specified"
    assert refused(cloud, "PATCH", path, ranges) == (400, "required", missing)
    cloud.done(cloud.compute("PATCH", path, {**ranges, "fingerprint": made["fingerprint"]}))
    found = cloud.compute("GET", path)
    assert found["secondaryIpRanges"] == ranges["secondaryIpRanges"]
    stale = {"fingerprint": made["fingerprint"]}
    text = "Invalid fingerprint."
    assert refused(cloud, "PATCH", path, stale) == (412, "conditionNotMet", text)
    access = {"privateIpGoogleAccess": True}
    cloud.done(cloud.compute("POST", f"{path}/setPrivateIpGoogleAccess", access))
    cloud.done(cloud.compute("POST", f"{path}/expandIpCidrRange", {"ipCidrRange": "10.0.0.0/16"}))
    found = cloud.compute("GET", path)
    assert (found["privateIpGoogleAccess"], found["ipCidrRange"]) == (True, "10.0.0.0/16")
    smaller = {"ipCidrRange": "10.0.0.0/24"}
    assert refused(cloud, "POST", f"{path}/expandIpCidrRange", smaller)[1] == "invalid"


# -- routers, firewall rules, addresses ------------------------------------------------------------


def test_a_router_with_nat(cloud: Gcp) -> None:
    network(cloud)
    make(cloud, ROUTERS, name="router", network="global/networks/net")
    nat = {
        "name": "nat",
        "natIpAllocateOption": "AUTO_ONLY",
        "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
    }
    path = f"{ROUTERS}/router"
    cloud.done(cloud.compute("PATCH", path, {"nats": [nat]}))
    found = cloud.compute("GET", path)["nats"][0]
    assert nat.items() <= found.items()
    assert found["endpointTypes"] == ["ENDPOINT_TYPE_VM"]
    assert failure(cloud, "DELETE", "global/networks/net")["code"].startswith("RESOURCE_IN_USE")
    for wrong in ({"name": "nat"}, {**nat, "natIpAllocateOption": "MANUAL_ONLY"}):
        assert refused(cloud, "PATCH", path, {"nats": [wrong]})[0] == 400
    manual = {**nat, "natIpAllocateOption": "MANUAL_ONLY"}
    address = make(cloud, f"regions/{REGION}/addresses", name="out")
    manual["natIps"] = [address["selfLink"]]
    cloud.done(cloud.compute("PATCH", path, {"nats": [manual]}))
    out = f"regions/{REGION}/addresses/out"
    assert cloud.compute("GET", out)["status"] == "IN_USE"
    assert refused(cloud, "DELETE", out) == (
        400,
        "resourceInUseByAnotherResource",
        f"The address resource 'projects/{PROJECT}/{out}' is already being used by"
        f" 'projects/{PROJECT}/{path}'",
    )
    cloud.done(cloud.compute("DELETE", path))
    assert cloud.compute("GET", out)["status"] == "RESERVED"


def test_firewall_rules(cloud: Gcp) -> None:
    network(cloud)
    allowed = [{"IPProtocol": "tcp", "ports": ["22"]}]
    made = make(
        cloud, "global/firewalls", name="ssh", network="global/networks/net", allowed=allowed
    )
    assert (made["priority"], made["direction"]) == (1000, "INGRESS")
    assert made["sourceRanges"] == ["0.0.0.0/0"]
    change = {"sourceRanges": ["35.235.240.0/20"], "description": "ours"}
    # the vendor's description requires the name here too
    cloud.done(cloud.compute("PATCH", "global/firewalls/ssh", {"name": "ssh", **change}))
    found = cloud.compute("GET", "global/firewalls/ssh")
    assert {name: found[name] for name in change} == change


def test_labels_are_changed_with_their_fingerprint(cloud: Gcp) -> None:
    made = make(cloud, f"regions/{REGION}/addresses", name="ip", labels={"a": "b"})
    path = f"regions/{REGION}/addresses/ip"
    body = {"labels": {"a": "c"}, "labelFingerprint": made["labelFingerprint"]}
    cloud.done(cloud.compute("POST", f"{path}/setLabels", body))
    assert cloud.compute("GET", path)["labels"] == {"a": "c"}
    assert refused(cloud, "POST", f"{path}/setLabels", body)[0] == 412


@pytest.mark.parametrize(
    "labels", [{"a": "B"}, {"a": "b.c"}, {"a": "x" * 64}, {"1a": ""}, {"A": ""}]
)
def test_labels_that_cannot_be(cloud: Gcp, labels: dict[str, str]) -> None:
    body = {"name": "ip", "labels": labels}
    status, reason, message = refused(cloud, "POST", f"regions/{REGION}/addresses", body)
    assert (status, reason) == (400, "invalid")
    assert "violates format constraints" in message


def test_internal_addresses(cloud: Gcp) -> None:
    network(cloud)
    made = subnetwork(cloud)
    path = f"regions/{REGION}/addresses"
    inner = {"addressType": "INTERNAL", "subnetwork": made["selfLink"]}
    assert make(cloud, path, name="a", **inner)["address"] == "10.0.0.2"
    assert make(cloud, path, name="b", **inner)["address"] == "10.0.0.3"
    assert refused(cloud, "DELETE", f"{SUBNETWORKS}/sub")[1] == "resourceInUseByAnotherResource"
    nowhere = {"name": "c", "addressType": "INTERNAL"}
    assert refused(cloud, "POST", path, nowhere)[1] == "invalid"
    made = make(cloud, path, name="c", addressType="INTERNAL", address="10.9.0.1")
    assert made["address"] == "10.9.0.1"


def test_disks(cloud: Gcp) -> None:
    path = f"zones/{ZONE}/disks"
    kind = f"zones/{ZONE}/diskTypes/pd-balanced"
    made = make(cloud, path, name="data", sizeGb="20", type=kind, labels={"a": "b"})
    assert (made["status"], made["sizeGb"]) == ("READY", "20")
    assert made["type"] == f"{LINK}/{kind}"
    small = {"name": "b", "sizeGb": "1", "type": kind}
    assert refused(cloud, "POST", path, small)[1] == "invalid"
    cloud.cloud.store.conditions.region_quotas["SSD_TOTAL_GB"] = 30
    found = refused(cloud, "POST", path, {"name": "b", "sizeGb": "20", "type": kind})
    assert found[2] == f"Quota 'SSD_TOTAL_GB' exceeded.  Limit: 30.0 in region {REGION}."


def test_a_lock_is_a_policy_changed_with_its_fingerprint(cloud: Gcp) -> None:
    made = make(cloud, POLICIES, name="lock", description="first")
    path = f"{POLICIES}/lock"
    assert refused(cloud, "POST", POLICIES, {"name": "lock"})[:2] == (409, "alreadyExists")
    body = {"description": "second", "fingerprint": made["fingerprint"]}
    cloud.done(cloud.compute("PATCH", path, body))
    found = cloud.compute("GET", path)
    assert found["description"] == "second"
    assert found["fingerprint"] != made["fingerprint"]
    assert refused(cloud, "PATCH", path, body)[:2] == (412, "conditionNotMet")
    cloud.done(cloud.compute("DELETE", path))


def test_two_who_change_a_policy_at_once(slow: Gcp) -> None:
    made = make(slow, POLICIES, name="lock")
    body = {"description": "mine", "fingerprint": made["fingerprint"]}
    first = slow.compute("PATCH", f"{POLICIES}/lock", body)
    other = {**body, "description": "no, mine"}
    assert refused(slow, "PATCH", f"{POLICIES}/lock", other)[1] == "resourceNotReady"
    slow.done(first)
    assert refused(slow, "PATCH", f"{POLICIES}/lock", other)[1] == "conditionNotMet"
    slow.done(slow.compute("DELETE", f"{POLICIES}/lock"))


# -- lists -----------------------------------------------------------------------------------------


def test_pages(cloud: Gcp) -> None:
    for name in "cab":
        network(cloud, name)
    first = cloud.compute("GET", "global/networks?maxResults=2")
    assert [one["name"] for one in first["items"]] == ["a", "b"]
    token = first["nextPageToken"]
    last = cloud.compute("GET", f"global/networks?maxResults=2&pageToken={token}")
    assert [one["name"] for one in last["items"]] == ["c"]
    assert "nextPageToken" not in last
    assert refused(cloud, "GET", "global/networks?maxResults=501")[1] == "invalid"
    cloud.sandbox.faults.page_size = 1
    assert len(cloud.compute("GET", "global/networks?maxResults=2")["items"]) == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name=a-1", ["a-1"]),
        ('name = "a-1"', ["a-1"]),
        ("name != a-1", ["a-2", "b-1"]),
        ("name:a-*", ["a-1", "a-2"]),
        ("name eq a-.*", ["a-1", "a-2"]),
        ('name eq ".*\\bb\\-1\\b.*"', ["b-1"]),
        ("name ne a-.*", ["b-1"]),
        ("labels.team=red", ["a-1"]),
        ("labels.team:*", ["a-1", "b-1"]),
        ("(labels.team = red) OR (labels.team = blue)", ["a-1", "b-1"]),
        ("labels.team:* AND name:a*", ["a-1"]),
        ("(labels.team:*) (name:b*)", ["b-1"]),
        ("NOT labels.team:*", ["a-2"]),
        ("-labels.team=red", ["a-2", "b-1"]),
    ],
)
def test_filters(cloud: Gcp, text: str, names: list[str]) -> None:
    for name, labels in (("a-1", {"team": "red"}), ("a-2", {}), ("b-1", {"team": "blue"})):
        cloud.compute("POST", f"regions/{REGION}/addresses", {"name": name, "labels": labels})
    found = cloud.send("GET", f"{COMPUTE}/regions/{REGION}/addresses?{cloud.query(filter=text)}")
    assert [one["name"] for one in found[1].get("items", [])] == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("guestCpus>16 AND name:e2-highcpu*", ["e2-highcpu-32"]),
        ("guestCpus <= 2 AND name:e2-standard*", ["e2-standard-2"]),
        ("guestCpus>=16 AND guestCpus!=16 AND name:e2-std*", []),
        ('isSharedCpu=true AND name<"e2-n"', ["e2-medium", "e2-micro"]),
        ("name>=t2d-standard-8", ["t2d-standard-8"]),
    ],
)
def test_filters_compare(cloud: Gcp, text: str, names: list[str]) -> None:
    found = cloud.compute("GET", f"zones/{ZONE}/machineTypes?{cloud.query(filter=text)}")
    assert [one["name"] for one in found.get("items", [])] == names


def test_filters_look_into_lists(cloud: Gcp) -> None:
    text = 'items.tags="web" OR allowed.ports:22'
    network(cloud)
    for name, port in (("ssh", "22"), ("web", "80")):
        rule = {"IPProtocol": "tcp", "ports": [port]}
        make(cloud, "global/firewalls", name=name, network="global/networks/net", allowed=[rule])
    found = cloud.compute("GET", f"global/firewalls?{cloud.query(filter=text)}")
    assert [one["name"] for one in found["items"]] == ["ssh"]


@pytest.mark.parametrize("text", ["name", "name=", "(name=a", "name=a)", "= a", "name eq ("])
def test_filters_that_cannot_be_read(cloud: Gcp, text: str) -> None:
    network(cloud)
    status, found = cloud.send("GET", f"{COMPUTE}/global/networks?{cloud.query(filter=text)}")
    assert (status, found["error"]["errors"][0]["reason"]) == (400, "invalid")


def test_aggregated_lists(cloud: Gcp) -> None:
    network(cloud)
    subnetwork(cloud)
    items = cloud.compute("GET", "aggregated/subnetworks")["items"]
    assert [one["name"] for one in items[f"regions/{REGION}"]["subnetworks"]] == ["sub"]
    warning = items["regions/us-west1"]["warning"]
    assert warning["code"] == "NO_RESULTS_ON_PAGE"
    assert "global" not in items
    every = cloud.compute("GET", "aggregated/subnetworks?includeAllScopes=true")["items"]
    assert {"global", f"zones/{ZONE}"} <= set(every)


# -- what is offered -------------------------------------------------------------------------------


def test_regions_and_machine_types(cloud: Gcp) -> None:
    region = cloud.compute("GET", f"regions/{REGION}")
    assert f"{LINK}/zones/{ZONE}" in region["zones"]
    assert {"CPUS", "SSD_TOTAL_GB", "IN_USE_ADDRESSES"} <= {q["metric"] for q in region["quotas"]}
    machines = cloud.compute("GET", f"zones/{ZONE}/machineTypes")["items"]
    machine = next(one for one in machines if one["name"] == "e2-standard-4")
    assert (machine["guestCpus"], machine["memoryMb"], machine["zone"]) == (4, 16384, ZONE)
    names = [m["name"] for m in cloud.compute("GET", "zones/us-west1-a/machineTypes")["items"]]
    assert "t2a-standard-1" not in names
    assert refused(cloud, "GET", "zones/mars1-a/machineTypes")[0] == 404


# -- faults ----------------------------------------------------------------------------------------


def test_an_operation_that_fails(cloud: Gcp) -> None:
    cloud.sandbox.faults.set(Faults.parse("terminal:compute.networks.insert@1").rules)
    body = {"name": "net", "autoCreateSubnetworks": False}
    assert failure(cloud, "POST", "global/networks", body)["code"] == "INTERNAL_ERROR"
    assert refused(cloud, "GET", "global/networks/net")[0] == 404
    network(cloud)
    cloud.sandbox.faults.set(Faults.parse("terminal:compute.networks.delete@1").rules)
    assert failure(cloud, "DELETE", "global/networks/net")["code"] == "INTERNAL_ERROR"
    assert cloud.compute("GET", "global/networks/net")
    cloud.done(cloud.compute("DELETE", "global/networks/net"))


def test_what_appears_late(cloud: Gcp) -> None:
    cloud.sandbox.faults.set(Faults.parse("late:compute.networks.insert=30s@1").rules)
    body = {"name": "net", "autoCreateSubnetworks": False}
    cloud.done(cloud.compute("POST", "global/networks", body))
    assert refused(cloud, "GET", "global/networks/net")[0] == 404
    assert "items" not in cloud.compute("GET", "global/networks")
    assert refused(cloud, "POST", "global/networks", body)[1] == "alreadyExists"
