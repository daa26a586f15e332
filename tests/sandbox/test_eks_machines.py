"""The nodes of an EKS cluster are instances of EC2, and what launches them is to be seen there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.test_eks_service import NODE_POLICIES, REGION, Aws, refused

WHERE = {"clusterName": "demo", "nodegroupName": "pool"}
AMI = "/aws/service/eks/optimized-ami/{}/amazon-linux-2023/x86_64/standard/recommended/image_id"


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    with Sandbox(directory=tmp_path, pace=Pace(math.inf), emulators=["eks"]) as sandbox:
        yield Aws(sandbox)


def pool(aws: Aws, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A cluster, and its node group of two."""
    cluster = aws.cluster()
    role = aws.role("nodes", "ec2", *NODE_POLICIES)
    sizes = {"minSize": 0, "maxSize": 3, "desiredSize": 2}
    aws.group(cluster, nodeRole=role, **{"scalingConfig": sizes, **more})
    aws.eks.get_waiter("nodegroup_active").wait(**WHERE)
    return cluster, aws.eks.describe_nodegroup(**WHERE)["nodegroup"]


def until(test: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not test():
        assert time.monotonic() < end, "not in ten seconds"
        time.sleep(0.05)


def tags(one: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in one["Tags"]}


def test_nodes_are_instances_until_their_group_goes(aws: Aws) -> None:
    cluster, group = pool(aws)
    ec2, name = aws.ec2, group["resources"]["autoScalingGroups"][0]["name"]
    machines = aws.machines("pool")
    network = cluster["resourcesVpcConfig"]
    assert {one["SubnetId"] for one in machines} == set(network["subnetIds"])
    image = aws.ssm.get_parameter(Name=AMI.format(cluster["version"]))["Parameter"]["Value"]
    for one in machines:
        address = one["PrivateIpAddress"].replace(".", "-")
        assert one["PrivateDnsName"] == f"ip-{address}.{REGION}.compute.internal"
        assert one["InstanceType"] == "t3.medium"
        assert one["Placement"]["AvailabilityZone"] in (f"{REGION}a", f"{REGION}b")
        assert one["ImageId"] == image
        assert [g["GroupId"] for g in one["SecurityGroups"]] == [network["clusterSecurityGroupId"]]
        assert {
            "eks:cluster-name": "demo", "eks:nodegroup-name": "pool",
            "aws:autoscaling:groupName": name, "kubernetes.io/cluster/demo": "owned",
        }.items() <= tags(one).items()  # fmt: skip
        cards = sorted(card["Description"] for card in one["NetworkInterfaces"])
        assert cards == ["Primary network interface", f"aws-K8S-{one['InstanceId']}"]
        [disk] = one["BlockDeviceMappings"]
        [volume] = ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
        assert (disk["DeviceName"], volume["Size"]) == ("/dev/xvda", 20)
    [scaling] = aws.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    listed = {one["InstanceId"]: one["AvailabilityZone"] for one in scaling["Instances"]}
    assert listed == {one["InstanceId"]: one["Placement"]["AvailabilityZone"] for one in machines}
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=network["subnetIds"][0])
    aws.eks.delete_nodegroup(**WHERE)
    aws.eks.get_waiter("nodegroup_deleted").wait(**WHERE)
    assert aws.machines("pool") == []
    assert ec2.describe_volumes()["Volumes"] == []
    assert ec2.describe_launch_templates()["LaunchTemplates"] == []
    ids = [one["InstanceId"] for one in machines]
    found = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    assert {one["State"]["Name"] for r in found for one in r["Instances"]} == {"terminated"}


def test_eks_completes_the_launch_template_of_the_user(aws: Aws) -> None:
    made = aws.ec2.create_launch_template(
        LaunchTemplateName="mine",
        LaunchTemplateData={
            "BlockDeviceMappings": [
                {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 80, "VolumeType": "gp3"}}
            ],
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": [{"Key": "team", "Value": "ci"}]}
                for kind in ("instance", "volume")
            ],
        },
    )["LaunchTemplate"]
    _, group = pool(aws, launchTemplate={"id": made["LaunchTemplateId"]})
    mine, own = sorted(
        aws.ec2.describe_launch_templates()["LaunchTemplates"],
        key=lambda one: one["LaunchTemplateName"].startswith("eks-"),
    )
    assert mine["LaunchTemplateId"] == group["launchTemplate"]["id"]
    assert tags(own) == {"eks:cluster-name": "demo", "eks:nodegroup-name": "pool"}
    for one in aws.machines("pool"):
        assert tags(one)["team"] == "ci"
        assert tags(one)["aws:ec2launchtemplate:id"] == own["LaunchTemplateId"]
        [disk] = one["BlockDeviceMappings"]
        [volume] = aws.ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
        assert (volume["Size"], tags(volume)) == (80, {"team": "ci"})
    [scaling] = aws.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    used = scaling["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]
    assert used["LaunchTemplateId"] == own["LaunchTemplateId"]


def test_an_instance_that_somebody_ends_is_replaced(aws: Aws) -> None:
    pool(aws)
    first, second = (one["InstanceId"] for one in aws.machines("pool"))
    aws.ec2.terminate_instances(InstanceIds=[first])
    until(lambda: len(aws.machines("pool")) == 2)
    left = {one["InstanceId"] for one in aws.machines("pool")}
    assert second in left
    assert first not in left


def test_a_new_instance_gets_the_tags_that_its_group_was_given(aws: Aws) -> None:
    _, group = pool(aws)
    name = group["resources"]["autoScalingGroups"][0]["name"]
    base = {"ResourceId": name, "ResourceType": "auto-scaling-group", "Value": "1"}
    given = [{**base, "Key": key, "PropagateAtLaunch": key == "sent"} for key in ("sent", "kept")]
    aws.autoscaling.create_or_update_tags(Tags=given)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)
    until(lambda: len(aws.machines("pool")) == 3)
    newest = [one for one in aws.machines("pool") if "sent" in tags(one)]
    assert len(newest) == 1
    assert "kept" not in tags(newest[0])
