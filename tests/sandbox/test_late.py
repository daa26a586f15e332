"""The fault ``late``: what was just made is not found for a while, in every service that has it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_tea_openapi.exceptions import ClientException
from botocore.exceptions import ClientError

from clusterkit_sandbox.alibaba.operations import LATE
from clusterkit_sandbox.aws.late import KINDS
from clusterkit_sandbox.faults import Faults, Rule
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.aliyun import PUBLIC_KEY, REGION, ZONES, Aliyun, account, anew
from tests.sandbox.test_eks_service import Aws, refused, until

SECONDS = 1.5


@pytest.fixture(scope="module")
def shared_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    directory: Path = tmp_path_factory.mktemp("aws")
    with Sandbox(directory=directory, pace=Pace(math.inf), emulators=["eks"]) as sandbox:
        yield Aws(sandbox)


@pytest.fixture
def aws(shared_aws: Aws) -> Iterator[Aws]:
    yield shared_aws
    shared_aws.sandbox.faults.clear()
    shared_aws.sandbox.reset()


@pytest.fixture(scope="module")
def shared_aliyun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def aliyun(shared_aliyun: Aliyun) -> Iterator[Aliyun]:
    with anew(shared_aliyun) as made:
        yield made


# -- AWS -----------------------------------------------------------------------------------------


def test_a_new_vpc_is_not_found_at_first(aws: Aws) -> None:
    aws.sandbox.faults.take(Faults.parse(f"late:ec2:CreateVpc={SECONDS}s@1"))
    before = {vpc["VpcId"] for vpc in aws.ec2.describe_vpcs()["Vpcs"]}
    made = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    other = aws.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]

    def listed() -> set[str]:
        return {vpc["VpcId"] for vpc in aws.ec2.describe_vpcs()["Vpcs"]}

    assert listed() == before | {other}
    assert made in refused("InvalidVpcID.NotFound", aws.ec2.describe_vpcs, VpcIds=[made])
    refused(
        "InvalidVpcID.NotFound",
        aws.ec2.describe_vpc_attribute,
        VpcId=made,
        Attribute="enableDnsSupport",
    )
    # what is in it can be read, and it can be used: only its own reads are late
    subnet = aws.ec2.create_subnet(VpcId=made, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    inside = [{"Name": "vpc-id", "Values": [made]}]
    assert [s["SubnetId"] for s in aws.ec2.describe_subnets(Filters=inside)["Subnets"]] == [subnet]
    until(lambda: listed() == before | {made, other})
    assert aws.ec2.describe_vpcs(VpcIds=[made])["Vpcs"][0]["VpcId"] == made


def test_reset_finds_everything_again(aws: Aws) -> None:
    aws.sandbox.faults.take(Faults.parse("late:ecr:CreateRepository=60s"))
    aws.ecr.create_repository(repositoryName="late")
    assert aws.ecr.describe_repositories()["repositories"] == []
    aws.sandbox.faults.clear()
    aws.sandbox.reset()
    aws.ecr.create_repository(repositoryName="late")
    assert len(aws.ecr.describe_repositories()["repositories"]) == 1


def _ec2(aws: Aws) -> dict[str, Callable[[], Any]]:
    """Each create of EC2, and then its list and its read by id."""
    ec2 = aws.ec2
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    return {
        "AllocateAddress": lambda: ec2.allocate_address(Domain="vpc")["AllocationId"],
        "CreateInternetGateway": lambda: ec2.create_internet_gateway()["InternetGateway"][
            "InternetGatewayId"
        ],
        "CreateNatGateway": lambda: ec2.create_nat_gateway(
            SubnetId=subnet, ConnectivityType="private"
        )["NatGateway"]["NatGatewayId"],
        "CreateRouteTable": lambda: ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
        "CreateSecurityGroup": lambda: ec2.create_security_group(
            GroupName="a", Description="a", VpcId=vpc
        )["GroupId"],
        "CreateLaunchTemplate": lambda: ec2.create_launch_template(
            LaunchTemplateName="a", LaunchTemplateData={"InstanceType": "m6i.large"}
        )["LaunchTemplate"]["LaunchTemplateId"],
        "CreateSubnet": lambda: ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"][
            "SubnetId"
        ],
        "CreateVpc": lambda: ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"],
        "ImportKeyPair": lambda: ec2.import_key_pair(
            KeyName="late", PublicKeyMaterial=PUBLIC_KEY.encode()
        )["KeyName"],
    }


READS = {
    "AllocateAddress": ("describe_addresses", "AllocationIds"),
    "CreateInternetGateway": ("describe_internet_gateways", "InternetGatewayIds"),
    "CreateNatGateway": ("describe_nat_gateways", "NatGatewayIds"),
    "CreateRouteTable": ("describe_route_tables", "RouteTableIds"),
    "CreateSecurityGroup": ("describe_security_groups", "GroupIds"),
    "CreateLaunchTemplate": ("describe_launch_templates", "LaunchTemplateIds"),
    "CreateSubnet": ("describe_subnets", "SubnetIds"),
    "CreateVpc": ("describe_vpcs", "VpcIds"),
    "ImportKeyPair": ("describe_key_pairs", "KeyNames"),
}


def test_every_kind_of_ec2(aws: Aws) -> None:
    creates = _ec2(aws)
    assert {f"ec2:{name}" for name in creates} == {one for one in KINDS if one.startswith("ec2:")}
    for name, create in creates.items():
        aws.sandbox.faults.set([Rule(f"ec2:{name}", "late", seconds=60)])
        made = create()
        call, parameter = READS[name]
        assert made not in json.dumps(getattr(aws.ec2, call)(), default=str), name
        refused(KINDS[f"ec2:{name}"].code, getattr(aws.ec2, call), **{parameter: [made]})


def test_iam_logs_and_eks(aws: Aws) -> None:
    names = ("iam:CreateRole", "logs:CreateLogGroup", *(n for n in KINDS if n.startswith("eks:")))
    trusted = aws.role("admin", "eks", "AmazonEKSClusterPolicy")
    _, subnets = aws.network()
    aws.sandbox.faults.set([Rule(name, "late", seconds=60) for name in names])
    aws.role("x", "eks")
    refused("NoSuchEntity", aws.iam.get_role, RoleName="x")
    refused("NoSuchEntity", aws.iam.list_attached_role_policies, RoleName="x")
    assert [role["RoleName"] for role in aws.iam.list_roles()["Roles"]] == ["admin"]
    aws.logs.create_log_group(logGroupName="/x")
    assert aws.logs.describe_log_groups()["logGroups"] == []
    aws.eks.create_cluster(
        name="demo",
        roleArn=trusted,
        resourcesVpcConfig={"subnetIds": subnets},
        accessConfig={"authenticationMode": "API"},
    )
    refused("ResourceNotFoundException", aws.eks.describe_cluster, name="demo")
    refused("ResourceNotFoundException", aws.eks.list_nodegroups, clusterName="demo")
    assert aws.eks.list_clusters()["clusters"] == []
    refused(
        "ResourceInUseException",
        aws.eks.create_cluster,
        name="demo",
        roleArn=trusted,
        resourcesVpcConfig={"subnetIds": subnets},
    )


def test_the_parts_of_an_eks_cluster(aws: Aws) -> None:
    eks, trusted = aws.eks, aws.role("admin", "eks", "AmazonEKSClusterPolicy")
    _, subnets = aws.network()
    for name in ("demo", "other"):
        eks.create_cluster(
            name=name,
            roleArn=trusted,
            resourcesVpcConfig={"subnetIds": subnets},
            accessConfig={"authenticationMode": "API"},
        )
    nodes = aws.nodes()
    parts = {
        "nodegroup": ("nodegroupName", "workers", {"subnets": subnets, "nodeRole": nodes}),
        "addon": ("addonName", "coredns", {}),
        "access_entry": ("principalArn", trusted, {}),
    }
    for cluster in ("demo", "other"):
        late = cluster == "demo"
        aws.sandbox.faults.set([Rule("eks:Create*", "late", seconds=60)] if late else [])
        for part, (key, value, more) in parts.items():
            asked = {"clusterName": cluster, key: value}
            getattr(eks, f"create_{part}")(**asked, **more)
    for part, (key, value, _) in parts.items():
        describe, listing = (
            getattr(eks, f"describe_{part}"),
            {
                "nodegroup": eks.list_nodegroups,
                "addon": eks.list_addons,
                "access_entry": eks.list_access_entries,
            }[part],
        )
        refused("ResourceNotFoundException", describe, **{"clusterName": "demo", key: value})
        describe(**{"clusterName": "other", key: value})
        assert value not in json.dumps(listing(clusterName="demo"), default=str)
        assert value in json.dumps(listing(clusterName="other"), default=str)
    aws.sandbox.faults.set([Rule("eks:CreatePodIdentityAssociation", "late", seconds=60)])
    pod = aws.role("pod", "pods.eks")
    made = eks.create_pod_identity_association(
        clusterName="other", namespace="a", serviceAccount="a", roleArn=pod
    )["association"]["associationId"]
    refused(
        "ResourceNotFoundException",
        eks.describe_pod_identity_association,
        clusterName="other",
        associationId=made,
    )
    assert eks.list_pod_identity_associations(clusterName="other")["associations"] == []


# -- Alibaba Cloud -------------------------------------------------------------------------------


def test_a_new_vpc_of_alibaba_is_not_listed_at_first(aliyun: Aliyun) -> None:
    aliyun.sandbox.faults.take(Faults.parse(f"late:vpc:CreateVpc={SECONDS}s@1"))
    made = aliyun("vpc:CreateVpc", RegionId=REGION, CidrBlock="10.0.0.0/8")["VpcId"]
    asked = {"RegionId": REGION, "VpcId": made}

    def found() -> int:
        return int(aliyun("vpc:DescribeVpcs", **asked)["TotalCount"])

    assert found() == 0
    with pytest.raises(ClientException, match=r"InvalidVpcI[dD]\.NotFound"):
        aliyun("vpc:DescribeVpcAttribute", **asked)
    aliyun(
        "vpc:CreateVSwitch", ZoneId=ZONES[0], CidrBlock="10.0.0.0/24", **asked
    )  # only reads are late
    until(lambda: found() == 1)
    aliyun("vpc:DescribeVpcAttribute", **asked)


def test_a_new_cluster_is_not_found_at_first_but_its_task_is(aliyun: Aliyun) -> None:
    wanted = aliyun.wanted()
    aliyun.sandbox.faults.set([Rule("cs:CreateCluster", "late", seconds=60)])
    made = aliyun("cs:CreateCluster", **wanted)
    aliyun.done(made["task_id"])
    with pytest.raises(ClientException) as caught:
        aliyun("cs:DescribeClusterDetail", made["cluster_id"])
    assert (caught.value.code, caught.value.status_code) == ("ErrorClusterNotFound", 404)
    assert aliyun("cs:DescribeClustersV1")["clusters"] == []
    aliyun.cloud.store.clear()


def test_a_role_and_a_key_pair(aliyun: Aliyun) -> None:
    aliyun.sandbox.faults.set([Rule(name, "late", seconds=60) for name in LATE])
    trust = json.dumps(
        {
            "Version": "1",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"Service": ["ecs.aliyuncs.com"]},
                }
            ],
        }
    )
    aliyun("ram:CreateRole", RoleName="late", AssumeRolePolicyDocument=trust)
    with pytest.raises(ClientException, match=r"EntityNotExist\.Role"):
        aliyun("ram:GetRole", RoleName="late")
    aliyun.key_pair("late")
    listed = aliyun("ecs:DescribeKeyPairs", RegionId=REGION)["KeyPairs"]["KeyPair"]
    assert listed == []
    with pytest.raises(ClientException, match=r"KeyPair\.AlreadyExist"):
        aliyun.key_pair("late")


def test_late_names_only_creates() -> None:
    for name in (*KINDS, *LATE):
        assert name.partition(":")[2].startswith(("Create", "Allocate", "Import")), name


def test_kubernetes_reads_what_it_wrote(aws: Aws) -> None:
    with pytest.raises(ValueError, match="late has no effect on kube:create/pods"):
        aws.sandbox.faults.take(Faults.parse("late:kube:create/pods=1s"))


def test_a_read_before_the_create_is_no_error_of_ours(aws: Aws) -> None:
    aws.sandbox.faults.take(Faults.parse("late:ec2:*=60s"))
    with pytest.raises(ClientError, match="DryRunOperation"):
        aws.ec2.create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
    aws.ec2.describe_vpcs()
