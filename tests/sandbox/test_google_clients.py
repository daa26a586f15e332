"""The real gcloud, its kubectl plugin and Google's own client in the sandbox, unchanged."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.gcp import PROJECT, REGION, ZONE

pytestmark = [pytest.mark.client, pytest.mark.timeout(300)]
GCLOUD, KUBECTL, PLUGIN = (
    shutil.which(name) for name in ("gcloud", "kubectl", "gke-gcloud-auth-plugin")
)


class Shell:
    """Runs programs in a folder of its own, in the sandbox."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.folder = folder
        machine = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self._environ = machine | {"HOME": str(folder)} | sandbox.environment()
        self._environ |= {"KUBECONFIG": str(folder / "kubeconfig")}

    def run(self, *command: str, good: int = 0, seconds: float = 110) -> str:
        """What it says on its standard output."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        said = f"{' '.join(command)}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr}"
        assert done.returncode == good, said[-6000:]
        return done.stdout

    def gcloud(self, command: str) -> Any:
        """The JSON that gcloud answers."""
        said = self.run("gcloud", *command.split(), "--format=json", "--quiet")
        return json.loads(said) if said.strip() else None


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    folder = tmp_path / "home"
    folder.mkdir()
    with Sandbox(directory=folder / "sandbox", pace=Pace(math.inf), emulators=["gke"]) as made:
        yield Shell(made, folder)


@pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed")
def test_gcloud_runs_a_cluster(shell: Shell) -> None:
    names = ("container", "compute", "iam", "cloudresourcemanager", "artifactregistry")
    shell.gcloud("services enable " + " ".join(f"{one}.googleapis.com" for one in names))
    enabled = shell.gcloud("services list --enabled")
    assert "container.googleapis.com" in [one["config"]["name"] for one in enabled]

    shell.gcloud("compute networks create ck --subnet-mode=custom")
    shell.gcloud(
        f"compute networks subnets create ck --network ck --region {REGION} --range 10.0.0.0/20"
        " --secondary-range pods=10.4.0.0/14,services=10.8.0.0/20"
        " --enable-private-ip-google-access"
    )
    shell.gcloud("iam service-accounts create ck-nodes --display-name nodes")
    account = f"ck-nodes@{PROJECT}.iam.gserviceaccount.com"
    shell.gcloud(
        f"projects add-iam-policy-binding {PROJECT} --member serviceAccount:{account}"
        " --role roles/container.defaultNodeServiceAccount --condition=None"
    )
    shell.gcloud(f"artifacts repositories create ck --repository-format=docker --location {REGION}")
    found = shell.gcloud(f"artifacts repositories describe ck --location {REGION}")
    assert found["format"] == "DOCKER"
    assert [one["name"] for one in shell.gcloud("artifacts repositories list")] == [found["name"]]
    shell.gcloud(
        f"artifacts repositories add-iam-policy-binding ck --location {REGION}"
        f" --member serviceAccount:{account} --role roles/artifactregistry.reader"
    )

    shell.gcloud(
        f"container clusters create ck --zone {ZONE} --network ck --subnetwork ck"
        " --cluster-secondary-range-name pods --services-secondary-range-name services"
        " --enable-ip-alias --enable-private-nodes --num-nodes 1 --machine-type e2-standard-4"
        f" --service-account {account} --scopes cloud-platform"
        f" --workload-pool {PROJECT}.svc.id.goog --release-channel regular --labels team=ci"
    )
    described = shell.gcloud(f"container clusters describe ck --zone {ZONE}")
    assert described["status"] == "RUNNING"
    assert described["resourceLabels"] == {"team": "ci"}
    assert described["nodePools"][0]["config"]["serviceAccount"] == account
    assert [one["name"] for one in shell.gcloud("container clusters list")] == ["ck"]

    shell.gcloud(f"container clusters update ck --zone {ZONE} --update-labels team=web")
    shell.gcloud(
        f"container clusters update ck --zone {ZONE} --enable-master-authorized-networks"
        " --master-authorized-networks 8.8.8.0/24"
    )
    described = shell.gcloud(f"container clusters describe ck --zone {ZONE}")
    assert described["resourceLabels"] == {"team": "web"}
    assert described["masterAuthorizedNetworksConfig"]["cidrBlocks"] == [
        {"cidrBlock": "8.8.8.0/24"}
    ]
    shell.gcloud(
        f"container node-pools create more --cluster ck --zone {ZONE} --num-nodes 1 --spot"
        " --enable-autoscaling --min-nodes 1 --max-nodes 3"
    )
    shell.gcloud(f"container clusters resize ck --node-pool more --num-nodes 2 --zone {ZONE}")
    shell.gcloud(
        f"container node-pools update more --cluster ck --zone {ZONE} --node-labels team=ci"
    )
    pools = shell.gcloud(f"container node-pools list --cluster ck --zone {ZONE}")
    assert [one["name"] for one in pools] == ["default-pool", "more"]
    shell.gcloud(f"container node-pools delete more --cluster ck --zone {ZONE}")
    kinds = {one["operationType"] for one in shell.gcloud("container operations list")}
    assert {"CREATE_CLUSTER", "CREATE_NODE_POOL", "DELETE_NODE_POOL", "UPDATE_CLUSTER"} <= kinds

    if KUBECTL is not None and PLUGIN is not None:
        shell.gcloud(f"container clusters get-credentials ck --zone {ZONE}")
        nodes = json.loads(shell.run("kubectl", "get", "nodes", "-o", "json"))["items"]
        assert len(nodes) == 1

    shell.gcloud(f"container clusters delete ck --zone {ZONE}")
    assert shell.gcloud("container clusters list") == []
    shell.gcloud(f"artifacts repositories delete ck --location {REGION}")
    shell.gcloud(f"iam service-accounts delete {account}")
    shell.gcloud(f"compute networks subnets delete ck --region {REGION}")
    shell.gcloud("compute networks delete ck")


_SCRIPT = """
import os
from google.cloud import container_v1
client = container_v1.ClusterManagerClient(transport="rest")
parent = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/locations/europe-west1-b"
config = client.get_server_config(name=parent)
assert config.channels
assert not client.list_clusters(parent=parent).clusters
try:
    client.get_cluster(name=f"{parent}/clusters/none")
except Exception as error:
    print(type(error).__name__, error.message)
cluster = container_v1.Cluster(
    name="demo", network="ck2", subnetwork="ck2",
    node_pools=[container_v1.NodePool(name="main", initial_node_count=1,
                                      config=container_v1.NodeConfig(disk_size_gb=30))],
)
operation = client.create_cluster(parent=parent, cluster=cluster)
while operation.status != container_v1.Operation.Status.DONE:
    operation = client.get_operation(name=f"{parent}/operations/{operation.name}")
made = client.get_cluster(name=f"{parent}/clusters/demo")
print(container_v1.Cluster.Status(made.status).name, made.ip_allocation_policy.services_ipv4_cidr)
"""


def test_googles_own_client_with_a_self_signed_token(shell: Shell) -> None:
    pytest.importorskip("google.cloud.container_v1")
    if GCLOUD is None:
        pytest.skip("gcloud is not installed")
    shell.gcloud("services enable container.googleapis.com compute.googleapis.com")
    shell.gcloud("compute networks create ck2 --subnet-mode=custom")
    shell.gcloud(
        f"compute networks subnets create ck2 --network ck2 --region {REGION} --range 10.0.0.0/20"
    )
    said = shell.run(sys.executable, "-c", _SCRIPT).splitlines()
    assert said[0].startswith("NotFound")
    assert said[1] == "RUNNING 34.118.224.0/20"
