"""The real gcloud and its networks in the sandbox, with nothing but its environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.sandbox.gcp import NUMBER, PROJECT, REGION, Gcp, cloud, shared
from tests.sandbox.test_eks_clients import Shell

__all__ = ["cloud", "shared"]
pytestmark = pytest.mark.client
IN = f"--region={REGION}"


@pytest.fixture
def shell(cloud: Gcp, tmp_path: Path) -> Shell:
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed")
    return Shell(cloud.sandbox, tmp_path)


@pytest.mark.deep
def test_a_network_with_nat(shell: Shell) -> None:
    gcloud = ("gcloud", "compute")
    shell.run(*gcloud, "networks", "create", "net", "--subnet-mode=custom")
    shell.run(*gcloud, "networks", "subnets", "create", "sub", "--network=net", IN,
              "--range=10.0.0.0/20", "--secondary-range=pods=10.4.0.0/14",
              "--enable-private-ip-google-access")  # fmt: skip
    shell.run(*gcloud, "routers", "create", "router", "--network=net", IN)
    shell.run(*gcloud, "routers", "nats", "create", "nat", "--router=router", IN,
              "--auto-allocate-nat-external-ips", "--nat-all-subnet-ip-ranges")  # fmt: skip
    router = shell.json(*gcloud, "routers", "describe", "router", IN, "--format=json")
    assert [nat["name"] for nat in router["nats"]] == ["nat"]
    subnetworks = shell.json(*gcloud, "networks", "subnets", "list", "--filter=network:net",
                             "--format=json")  # fmt: skip
    assert [one["ipCidrRange"] for one in subnetworks] == ["10.0.0.0/20"]
    said = shell.run(*gcloud, "networks", "delete", "net", "--format=none", good=1)
    assert said == ""
    shell.run(*gcloud, "routers", "delete", "router", IN)
    shell.run(*gcloud, "networks", "subnets", "delete", "sub", IN)
    shell.run(*gcloud, "networks", "delete", "net")


@pytest.mark.deep
def test_what_is_offered(shell: Shell) -> None:
    region = shell.json("gcloud", "compute", "regions", "describe", REGION, "--format=json")
    assert "SSD_TOTAL_GB" in [one["metric"] for one in region["quotas"]]
    machines = shell.json("gcloud", "compute", "machine-types", "list", f"--zones={REGION}-b",
                          "--filter=name=e2-standard-4", "--format=json")  # fmt: skip
    assert [one["memoryMb"] for one in machines] == [16384]
    project = shell.json("gcloud", "projects", "describe", PROJECT, "--format=json")
    assert project["projectNumber"] == NUMBER


def test_firewall_rules(shell: Shell) -> None:
    rules = ("gcloud", "compute", "firewall-rules")
    shell.run("gcloud", "compute", "networks", "create", "net", "--subnet-mode=custom")
    shell.run(*rules, "create", "ssh", "--network=net", "--allow=tcp:22")
    found = shell.json(*rules, "list", "--format=json")
    assert [one["sourceRanges"] for one in found] == [["0.0.0.0/0"]]


def test_buckets(shell: Shell, tmp_path: Path) -> None:
    storage = ("gcloud", "storage")
    name = "gs://demo-logs"
    shell.run(*storage, "buckets", "create", name, f"--location={REGION}",
              "--uniform-bucket-level-access")  # fmt: skip
    shell.run(*storage, "buckets", "update", name, "--update-labels=team=ci")
    found = shell.json(*storage, "buckets", "list", "--format=json")
    assert [(one["name"], one["labels"]) for one in found] == [("demo-logs", {"team": "ci"})]
    file = tmp_path / "1.log"
    file.write_text("all is well\n")
    shell.run(*storage, "cp", str(file), f"{name}/jx/1.log")
    assert shell.run(*storage, "cat", f"{name}/jx/1.log") == "all is well\n"
    shell.run(*storage, "buckets", "delete", name, good=1)
    shell.run(*storage, "rm", "-r", name)
    assert shell.json(*storage, "buckets", "list", "--format=json") == []
