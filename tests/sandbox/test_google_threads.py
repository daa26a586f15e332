"""Many clients of the emulated Google Cloud at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.sandbox.gcp import PROJECT, REGION, Gcp, cloud, shared

__all__ = ["cloud", "shared"]
THREADS = 12
COMPUTE = f"compute.googleapis.com/compute/v1/projects/{PROJECT}"


def test_twelve_clients(cloud: Gcp) -> None:
    cloud.cloud.store.conditions.project_quotas |= {"NETWORKS": 50, "SUBNETWORKS": 100}

    def life(number: int) -> None:
        name, addresses = f"n-{number}", f"regions/{REGION}/subnetworks"
        body = {"name": name, "autoCreateSubnetworks": False}
        cloud.done(cloud.compute("POST", "global/networks", body))
        for turn in range(3):
            part = f"s-{number}-{turn}"
            body = {
                "name": part, "network": f"global/networks/{name}",
                "ipCidrRange": f"10.{turn}.0.0/20",
            }  # fmt: skip
            cloud.done(cloud.compute("POST", addresses, body))
            cloud.compute("GET", "aggregated/subnetworks")
            cloud.done(cloud.compute("DELETE", f"{addresses}/{part}"))
        cloud.done(cloud.compute("DELETE", f"global/networks/{name}"))

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(life, range(THREADS)))
    assert "items" not in cloud.compute("GET", "global/networks")
    assert [e for e in cloud.sandbox.requests.entries() if e.status >= 400] == []


def test_one_of_twelve_wins(cloud: Gcp) -> None:
    body = {"name": "lock"}
    url = f"{COMPUTE}/global/firewallPolicies"
    with ThreadPoolExecutor(THREADS) as threads:
        made = list(threads.map(lambda _: cloud.send("POST", url, body)[0], range(THREADS)))
    assert sorted(made) == [200] + [409] * (THREADS - 1)
    found = cloud.compute("GET", "global/firewallPolicies/lock")["fingerprint"]

    def renew(number: int) -> int:
        changed = {"description": str(number), "fingerprint": found}
        return cloud.send("PATCH", f"{url}/lock", changed)[0]

    with ThreadPoolExecutor(THREADS) as threads:
        answers = sorted(threads.map(renew, range(THREADS)))
    assert answers[0] == 200
    assert set(answers[1:]) <= {400, 412}
