"""What is in kube-system of an EKS cluster: what its add-ons install, with pods on its nodes."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterkit_sandbox.aws import groups
from clusterkit_sandbox.aws.emulator import AwsEmulator
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.test_eks_service import NODE_POLICIES, REGION, Aws, refused

APPS = "/apis/apps/v1/namespaces/kube-system"


class World:
    """A sandbox, and the way into its cluster."""

    def __init__(self, sandbox: Sandbox, emulator: AwsEmulator) -> None:
        self.emulator, self.aws = emulator, Aws(sandbox)

    def get(self, path: str) -> dict[str, Any]:
        client = self.emulator._eks.endpoints.drainer(f"{REGION}/demo")
        assert client is not None
        try:
            return client.ask("GET", path)[1]
        finally:
            client.close()

    def names(self, path: str) -> set[str]:
        return {one["metadata"]["name"] for one in self.get(path)["items"]}

    def running(self) -> Counter[str]:
        """How many pods run, by their first container."""
        found = self.get("/api/v1/namespaces/kube-system/pods")["items"]
        return Counter(
            one["spec"]["containers"][0]["name"]
            for one in found
            if one["status"]["phase"] == "Running"
        )

    def nodes(self, cluster: dict[str, Any]) -> None:
        role = self.aws.role("nodes", "ec2", *NODE_POLICIES)
        sizes = {"minSize": 1, "maxSize": 3, "desiredSize": 2}
        self.aws.group(cluster, nodeRole=role, scalingConfig=sizes)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made: list[AwsEmulator] = []

    def make(context: SandboxContext) -> AwsEmulator:
        made.append(AwsEmulator(context))
        return made[0]

    with Sandbox(directory=tmp_path, pace=Pace(math.inf), emulators=[make]) as sandbox:
        yield World(sandbox, made[0])


def until(test: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not test():
        assert time.monotonic() < end, "not in 15 seconds"
        time.sleep(0.1)


def test_a_cluster_brings_its_network_with_a_pod_on_each_node(world: World) -> None:
    world.nodes(world.aws.cluster())
    until(lambda: world.running() == {"aws-node": 2, "kube-proxy": 2, "coredns": 2})
    assert world.names(f"{APPS}/daemonsets") == {"aws-node", "kube-proxy"}
    assert world.names(f"{APPS}/deployments") == {"coredns"}
    assert "kube-dns" in world.names("/api/v1/namespaces/kube-system/services")
    scaling = {"minSize": 1, "maxSize": 3, "desiredSize": 3}
    world.aws.eks.update_nodegroup_config(
        clusterName="demo", nodegroupName="pool", scalingConfig=scaling
    )
    until(lambda: world.running()["aws-node"] == 3)


def test_without_it_add_ons_install_everything_and_take_it_away(world: World) -> None:
    eks = world.aws.eks
    cluster = world.aws.cluster(bootstrapSelfManagedAddons=False)
    assert world.names(f"{APPS}/daemonsets") == set()
    for name in ("vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent"):
        eks.create_addon(clusterName="demo", addonName=name)
    role = world.aws.role("ebs", "pods.eks")
    shown = eks.create_addon(
        clusterName="demo", addonName="aws-ebs-csi-driver", serviceAccountRoleArn=role
    )["addon"]
    world.nodes(cluster)
    both = {"ebs-csi-node": 2, "ebs-csi-controller": 2, "eks-pod-identity-agent": 2, "coredns": 2}
    until(lambda: both.items() <= world.running().items())
    [node] = [one for one in world.get(f"{APPS}/daemonsets")["items"]
              if one["metadata"]["name"] == "ebs-csi-node"]  # fmt: skip
    image = node["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.endswith(f"eks/aws-ebs-csi-driver:{shown['addonVersion']}")
    account = world.get("/api/v1/namespaces/kube-system/serviceaccounts/ebs-csi-controller-sa")
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": role}
    assert "ebs-csi-controller" in world.names(
        "/apis/policy/v1/namespaces/kube-system/poddisruptionbudgets"
    )
    eks.delete_addon(clusterName="demo", addonName="coredns", preserve=True)
    eks.delete_addon(clusterName="demo", addonName="aws-ebs-csi-driver")
    until(lambda: "ebs-csi-controller" not in world.running())
    assert world.names(f"{APPS}/deployments") == {"coredns"}


def test_the_control_plane_stays_in_its_zones(world: World) -> None:
    aws, cluster = world.aws, world.aws.cluster()
    network = cluster["resourcesVpcConfig"]
    third = aws.ec2.create_subnet(
        VpcId=network["vpcId"], CidrBlock="10.0.9.0/24", AvailabilityZone=f"{REGION}c"
    )["Subnet"]["SubnetId"]
    change = aws.eks.update_cluster_config
    more = {"subnetIds": [*network["subnetIds"], third]}
    words = refused("InvalidParameterException", change, name="demo", resourcesVpcConfig=more)
    assert "same set of AZs as originally provided: 'eu-west-1a,eu-west-1b'" in words
    twin = aws.ec2.create_subnet(
        VpcId=network["vpcId"], CidrBlock="10.0.8.0/24", AvailabilityZone=f"{REGION}a"
    )["Subnet"]["SubnetId"]
    same = {"subnetIds": [*network["subnetIds"], twin]}
    change(name="demo", resourcesVpcConfig=same)
    aws.eks.get_waiter("cluster_active").wait(name="demo")
    found = aws.eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]
    assert found["subnetIds"] == same["subnetIds"]


def test_machines_that_the_endpoint_does_not_let_in_do_not_join(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "PATIENCE", 1.0)
    arguments = world.aws.arguments()
    arguments["resourcesVpcConfig"] |= {"publicAccessCidrs": ["203.0.113.7/32"]}
    world.aws.eks.create_cluster(**arguments)
    cluster = world.aws.eks.describe_cluster(name="demo")["cluster"]
    world.nodes(cluster)
    where = {"clusterName": "demo", "nodegroupName": "pool"}

    def status() -> str:
        return str(world.aws.eks.describe_nodegroup(**where)["nodegroup"]["status"])

    until(lambda: status() == "CREATE_FAILED")
    found = world.aws.eks.describe_nodegroup(**where)["nodegroup"]["health"]["issues"]
    assert [one["code"] for one in found] == ["NodeCreationFailure"]
    world.aws.eks.delete_nodegroup(**where)
    world.aws.eks.update_cluster_config(
        name="demo", resourcesVpcConfig={"endpointPrivateAccess": True}
    )
    world.aws.group(cluster, nodeRole="arn:aws:iam::123456789012:role/nodes")
    until(lambda: status() == "ACTIVE")
