"""EKS profiles for the generic suite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.drivers import profiles
from tests.drivers.aws import Account, inventory
from tests.drivers.world import Case, Edits, World, occupy

ADMIN = "arn:aws:iam::123456789012:role/Admin"
OTHER_ADMIN = "arn:aws:iam::123456789012:user/other"

NO_ADDRESSES = "InsufficientFreeAddresses"
"""what the sandbox's failed updates say; EKS API Reference, ErrorDetail"""

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)

MINIMAL: Mapping[str, Any] = {
    "cloud": "eks",
    "name": "demo",
    "region": "eu-west-1",
    "kubernetes": "1.34",
    "pools": [{"name": "default", "machine": "m6i.large"}],
}

JENKINS_X: Mapping[str, Any] = {"git_url": "https://github.com/a/b", "keep_storage": False}

FULL: Mapping[str, Any] = {
    **MINIMAL,
    "network": {"cidr": "10.20.0.0/16", "zones": 3, "nat": "per-zone"},
    "ssh_key": "me.pub",
    "endpoint": {"allowed": ["8.8.8.0/24"]},
    "admins": [ADMIN],
    "logging": ["api", "audit"],
    "pools": [
        profiles.BUILD,
        {"name": "arm", "machine": "m7g.large", "count": 1},
    ],
    "registry": {
        "name": "demo",
        "repositories": ["app", "web"],
        "push": ["builds/kaniko"],
        "keep": False,
    },
    "tags": {"team": "ci"},
}


def _admins(world: World) -> Edits:
    iam = Account(world).iam
    iam.create_role(RoleName="Admin", AssumeRolePolicyDocument=TRUST)
    iam.create_user(UserName="other")
    return {}


def _vpc(world: World) -> Edits:
    """A VPC of somebody else: private and public subnets, with a way out."""
    ec2 = Account(world).ec2
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": True})
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    subnets = []
    for index, zone in enumerate(("a", "b")):
        made = ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.9.{index}.0/24", AvailabilityZone=f"eu-west-1{zone}"
        )
        subnets.append(made["Subnet"]["SubnetId"])
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[-1])
        ec2.modify_subnet_attribute(SubnetId=subnets[-1], MapPublicIpOnLaunch={"Value": True})
    return {"network": {"existing": {"vpc": vpc, "subnets": subnets}}}


def _twins(world: World) -> None:
    """Things that look like ours: the names, but not the mark."""
    account = Account(world)
    name = {"Key": "Name", "Value": "demo-main"}
    tags = [{"ResourceType": "vpc", "Tags": [name]}]
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]
    account.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")
    account.ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1, VolumeType="gp3")
    account.ec2.create_security_group(GroupName="demo", Description="x", VpcId=vpc)
    account.ec2.allocate_address(Domain="vpc")
    account.iam.create_role(RoleName="demo-cluster", AssumeRolePolicyDocument=TRUST)
    account.ecr.create_repository(repositoryName="demo-app")
    account.logs.create_log_group(logGroupName="/aws/eks/demo2/cluster")
    account.s3.create_bucket(
        Bucket="logs-demo-12345678", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )


def _busy(world: World) -> None:
    """A claim, a load balancer by Kubernetes, and one of a controller that is no more."""
    occupy(world)
    account = Account(world)
    cluster = account.eks.describe_cluster(name=world.profile.name)["cluster"]
    network = cluster["resourcesVpcConfig"]
    mark = [{"Key": "elbv2.k8s.aws/cluster", "Value": world.profile.name}]
    group = account.ec2.create_security_group(
        GroupName="k8s-traffic-demo",
        Description="of a load balancer controller",
        VpcId=network["vpcId"],
        TagSpecifications=[{"ResourceType": "security-group", "Tags": mark}],
    )["GroupId"]
    account.elbv2.create_load_balancer(
        Name="k8s-default-site",
        Subnets=network["subnetIds"][:2],
        SecurityGroups=[group],
        Type="application",
        Tags=mark,
    )
    account.elbv2.create_target_group(
        Name="k8s-default-site", Protocol="HTTP", Port=80, VpcId=network["vpcId"], Tags=mark
    )


UNMARKED = ("security-group", "network-interface", "access-entry", "launch-template")
"""the cluster's own group and interfaces, the entries of its maker and of its nodes, the launch
templates of EKS"""

APIECE = (
    "s3:GetBucketTagging",
    "s3:GetPublicAccessBlock",
    "iam:GetOpenIDConnectProvider",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeVpcAttribute",  # one attribute a call
    "ecr:GetLifecyclePolicy",
    "ecr:GetRepositoryPolicy",
    "ecr:ListTagsForResource",
    "eks:DescribeAccessEntry",
    "eks:DescribeAddon",
    "eks:DescribeNodegroup",
    "eks:DescribePodIdentityAssociation",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:GetRole",
    "iam:ListRoles",  # those under our path, and those without one
)

MINIMAL_CASE = Case(
    cloud="eks",
    label="minimal",
    apiece=APIECE,
    profile=MINIMAL,
    look=inventory,
    unmarked=UNMARKED,
    twins=_twins,
    busy=_busy,
    used=("volume", "classic-load-balancer"),
    terminal=(
        ("eks:CreateCluster", "cluster/demo"),
        ("eks:CreateNodegroup", "node-group/"),
        ("eks:CreateAddon", "addon/"),
        ("ec2:CreateNatGateway", "nat-gateway/a"),
    ),
    failing=(
        ("eks:UpdateClusterVersion", {"kubernetes": "1.35"}, "cluster/demo", NO_ADDRESSES),
        ("eks:UpdateNodegroupConfig", {"pools.0.labels": {"a": "b"}}, "node-group/", NO_ADDRESSES),
    ),
    changes=(
        *profiles.SIZES,
        *profiles.one_more(MINIMAL, "m6i.xlarge"),
        ("machine", {"pools.0.machine": "m6i.2xlarge"}),
        ("version", {"kubernetes": "1.35"}),
        ("endpoint", {"endpoint": {"allowed": ["8.8.8.0/24"], "private": True}}),
        ("key", {"ssh_key": "me.pub"}),
        *profiles.PROTECTION,
    ),
    refused=(
        ("cidr", {"network.cidr": "10.7.0.0/16"}, "vpc/main"),
        (
            "services",
            {"network.services": "172.31.0.0/16"},
            "EKS fixes it at creation",
        ),
        ("back", {"kubernetes": "1.33"}, "EKS does not go back"),
    ),
)

FULL_CASE = Case(
    cloud="eks",
    label="full",
    apiece=APIECE,
    profile=FULL,
    look=inventory,
    unmarked=UNMARKED,
    prepare=_admins,
    changes=(
        *profiles.TAGS,
        *profiles.POOLS,
        ("key", {"ssh_key": "other.pub"}),
        ("admins", {"admins": [OTHER_ADMIN]}),
        ("logging", {"logging": ["audit"], "log_days": 90}),
        ("push by node", {"registry.push": "node"}),
        ("push by others", {"registry.push": ["a/b", "c/d"]}),
        ("kaniko", {"ready": {"kaniko": {}}}),
        ("kaniko with a secret", {"registry.push": "secret"}),
        ("kaniko elsewhere", {"ready": {"kaniko": {"registry": {"prefix": "me"}}}}),
        ("repositories", {"registry.repositories": ["app", "third"]}),
        ("cache days", {"registry.cache_days": 3}),
        ("support", {"support": "extended"}),
        ("many at once", {
            "support": "standard", "logging": ["api", "scheduler"], "tags": {"team": "x"},
            "endpoint": {"private": True, "allowed": ["8.8.0.0/16"]}, "kubernetes": "1.35",
        }),
    ),
)  # fmt: skip

EXISTING_CASE = Case(
    cloud="eks",
    label="existing",
    profile={**MINIMAL, "registry": {"name": "demo", "repositories": ["app"]}},
    look=inventory,
    unmarked=UNMARKED,
    prepare=_vpc,
    kept=("repository",),
    changes=(("count", {"pools.0.count": 3}),),
)

BARE_CASE = Case(
    cloud="eks",
    label="bare",
    profile={**MINIMAL, "network": {"nat": "none"}},
    look=inventory,
    unmarked=UNMARKED,
    changes=(
        ("labels", {"pools.0.labels": {"a": "b"}}),
        ("zones", {"network.zones": 3}),
        ("nat", {"network.nat": "one"}),
        ("no nat", {"network.nat": "none"}),
    ),
)

SCALING_CASE = Case(
    cloud="eks",
    label="scaling",
    apiece=APIECE,
    profile={**MINIMAL, **profiles.scaling("m6i.large", "m6i.xlarge", "m5.xlarge")},
    look=inventory,
    unmarked=UNMARKED,
    changes=(
        ("other types", {"pools.1.machine": ["m6i.xlarge", "m6a.xlarge", "m5.xlarge"]}),
        ("fixed, another version", {
            "pools.0.count": 2, "pools.1.count": 1, "kubernetes": "1.35",
        }),
        ("a range again", {"pools.1.count": {"min": 0, "max": 2}}),
    ),
)  # fmt: skip

JENKINS_X_CASE = Case(
    cloud="eks",
    label="jenkins-x",
    apiece=APIECE,
    profile={
        **MINIMAL,
        "registry": {"name": "demo", "repositories": ["app"], "keep": False},
        "ready": {"jenkins_x": JENKINS_X},
    },
    look=inventory,
    unmarked=UNMARKED,
    kept=("bucket",),
    changes=(
        ("tags", {"tags": {"team": "ops"}}),
        ("domain", {"ready.jenkins_x.domain": "apps.example.com"}),
        ("TLS", {"ready.jenkins_x.tls_email": "me@example.com"}),
        ("local secrets", {"ready.jenkins_x.secrets": "local"}),
        ("registry", {"registry.name": "other"}),
        ("no storage", {"ready.jenkins_x.storage": False}),
        ("kaniko alone", {"ready": {"kaniko": {}}}),
        ("storage that stays", {"ready.jenkins_x": {**JENKINS_X, "keep_storage": True}}),
    ),
)

CASES = (MINIMAL_CASE, FULL_CASE, EXISTING_CASE, BARE_CASE, SCALING_CASE, JENKINS_X_CASE)
