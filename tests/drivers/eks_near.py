"""What may lie near an EKS cluster, made with boto3 alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from clusterkit.naming import CLUSTER, digest
from tests.drivers.aws import Account
from tests.drivers.eks_cases import ADMIN, FULL_CASE, JENKINS_X, MINIMAL, TRUST
from tests.drivers.near import Near, Neighbour, States, strip_object
from tests.drivers.profiles import KEY
from tests.drivers.world import World

RICH: Mapping[str, Any] = {
    **MINIMAL,
    "pools": [{"name": "default", "machine": "m6i.large", "count": {"min": 2, "max": 3}}],
    "ssh_key": "me.pub",
    "admins": [ADMIN],
    "logging": ["audit"],
    "registry": {"name": "demo", "repositories": ["app"], "push": ["a/b"], "keep": False},
    "ready": {"jenkins_x": JENKINS_X},
}
TAGS = [{"Key": "Name", "Value": "theirs"}]


def _tagged(kind: str) -> list[Any]:
    return [{"ResourceType": kind, "Tags": TAGS}]


# -- the same names -------------------------------------------------------------------------------


def _key_pair(world: World, name: str) -> str:
    made = Account(world).ec2.import_key_pair(
        KeyName=f"clusterkit-demo-{name}", PublicKeyMaterial=KEY
    )
    return str(made["KeyPairId"])


def _launch_template(world: World, name: str) -> str:
    made = Account(world).ec2.create_launch_template(
        LaunchTemplateName=f"clusterkit-demo-{name}",
        LaunchTemplateData={"InstanceType": "m6i.large"},
    )
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def _role(world: World, name: str) -> str:
    role = f"clusterkit-eu-west-1-demo-{name}"
    Account(world).iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)
    return role


def _pod_role(world: World, name: str) -> str:
    role = f"demo-{name}"
    Account(world).iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)
    return role


def _bucket(world: World, name: str) -> str:
    bucket = f"{name}-demo-{digest('123456789012', 'eu-west-1', 'demo')}"
    setup: Any = {"LocationConstraint": "eu-west-1"}
    Account(world).s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=setup)
    return bucket


def _log_group(world: World, name: str) -> str:
    Account(world).logs.create_log_group(logGroupName="/aws/eks/demo/cluster")
    return "/aws/eks/demo/cluster"


def _repository(world: World, name: str) -> str:
    Account(world).ecr.create_repository(repositoryName=name)
    return name


def _cluster(world: World, name: str) -> str:
    account = Account(world)
    vpc = account.ec2.create_vpc(CidrBlock="10.66.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        account.ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.66.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}"
        )["Subnet"]["SubnetId"]
        for n, zone in enumerate("ab")
    ]
    trust = TRUST.replace("ec2.", "eks.")
    role = account.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=trust)
    account.eks.create_cluster(
        name=name,
        roleArn=role["Role"]["Arn"],
        resourcesVpcConfig={"subnetIds": subnets},
        accessConfig={"authenticationMode": "API"},
    )
    return name


# -- next to ours ---------------------------------------------------------------------------------


def _instance(world: World, states: States) -> str:
    ec2 = Account(world).ec2
    image = ec2.register_image(Name="theirs")["ImageId"]
    made = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        SubnetId=states["subnet/private-a"].id,
        TagSpecifications=_tagged("instance"),
    )
    return str(made["Instances"][0]["InstanceId"])


def _show_instance(world: World, identifier: str) -> Any:
    found = Account(world).ec2.describe_instances(InstanceIds=[identifier])
    return found["Reservations"][0]["Instances"]


def _interface(world: World, states: States) -> str:
    made = Account(world).ec2.create_network_interface(
        SubnetId=states["subnet/private-a"].id, Description="theirs"
    )
    return str(made["NetworkInterface"]["NetworkInterfaceId"])


def _endpoint(world: World, states: States) -> str:
    made = Account(world).ec2.create_vpc_endpoint(
        VpcId=states["vpc/main"].id,
        ServiceName="com.amazonaws.eu-west-1.sts",
        VpcEndpointType="Interface",
        SubnetIds=[states["subnet/private-a"].id],
        TagSpecifications=_tagged("vpc-endpoint"),
    )
    return str(made["VpcEndpoint"]["VpcEndpointId"])


def _subnet(world: World, states: States) -> str:
    made = Account(world).ec2.create_subnet(
        VpcId=states["vpc/main"].id,
        CidrBlock="10.0.240.0/24",
        TagSpecifications=_tagged("subnet"),
    )
    return str(made["Subnet"]["SubnetId"])


def _associated_subnet(world: World, states: States) -> str:
    subnet, table = _subnet(world, states), states["route-table/private-a"].id
    Account(world).ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    return subnet


def _route_table(world: World, states: States) -> str:
    made = Account(world).ec2.create_route_table(
        VpcId=states["vpc/main"].id, TagSpecifications=_tagged("route-table")
    )
    return str(made["RouteTable"]["RouteTableId"])


def _group(world: World, states: States) -> str:
    made = Account(world).ec2.create_security_group(
        GroupName="database",
        Description="not clusterkit's",
        VpcId=states["vpc/main"].id,
        TagSpecifications=_tagged("security-group"),
    )
    return str(made["GroupId"])


def _reference(world: World, states: States) -> str:
    """A rule of a group in our VPC that names the cluster's own group."""
    account, group = Account(world), _group(world, states)
    network = account.eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]
    pair = {"GroupId": network["clusterSecurityGroupId"]}
    rule = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [pair]}
    account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    return group


def _network_acl(world: World, states: States) -> str:
    made = Account(world).ec2.create_network_acl(
        VpcId=states["vpc/main"].id, TagSpecifications=_tagged("network-acl")
    )
    return str(made["NetworkAcl"]["NetworkAclId"])


def _node_group(world: World, states: States) -> str:
    Account(world).eks.create_nodegroup(
        clusterName="demo",
        nodegroupName="theirs",
        nodeRole=states["role/node"].arn,
        subnets=[states["subnet/private-a"].id],
        # the cluster autoscaler changes every group of the cluster that has a range
        scalingConfig={"minSize": 2, "maxSize": 2, "desiredSize": 2},
    )
    return "theirs"


def _remove_node_group(world: World, identifier: str) -> None:
    Account(world).eks.delete_nodegroup(clusterName="demo", nodegroupName=identifier)


def _fargate(world: World, states: States) -> str:
    account = Account(world)
    trust = TRUST.replace("ec2.", "eks-fargate-pods.")
    role = account.iam.create_role(RoleName="pods", AssumeRolePolicyDocument=trust)
    account.eks.create_fargate_profile(
        clusterName="demo",
        fargateProfileName="theirs",
        podExecutionRoleArn=role["Role"]["Arn"],
        subnets=[states["subnet/private-a"].id],
        selectors=[{"namespace": "batch"}],
    )
    return "theirs"


def _remove_fargate(world: World, identifier: str) -> None:
    account = Account(world)
    account.eks.delete_fargate_profile(clusterName="demo", fargateProfileName=identifier)
    account.iam.delete_role(RoleName="pods")


def _instance_profile(world: World, states: States) -> str:
    iam = Account(world).iam
    iam.create_instance_profile(InstanceProfileName="theirs")
    role = states["role/node"].id
    iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName=role)
    return "theirs"


def _remove_instance_profile(world: World, identifier: str) -> None:
    iam = Account(world).iam
    found = iam.get_instance_profile(InstanceProfileName=identifier)["InstanceProfile"]
    for role in found["Roles"]:
        iam.remove_role_from_instance_profile(
            InstanceProfileName=identifier, RoleName=role["RoleName"]
        )
    iam.delete_instance_profile(InstanceProfileName=identifier)


def _policy(world: World, states: States) -> str:
    """A policy of their own on our role: detaching it loses nothing of it."""
    document = TRUST.replace("sts:AssumeRole", "s3:ListAllMyBuckets")
    document = document.replace('"Principal": {"Service": "ec2.amazonaws.com"}', '"Resource": "*"')
    iam = Account(world).iam
    arn = iam.create_policy(PolicyName="theirs", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=states["role/node"].id, PolicyArn=arn)
    return str(arn)


def _show_policy(world: World, identifier: str) -> Any:
    iam = Account(world).iam
    shown = iam.get_policy_version(PolicyArn=identifier, VersionId="v1")["PolicyVersion"]
    return shown["Document"]


def _ec2(operation: str, key: str, plural: bool = False) -> Callable[[World, str], Any]:
    """An operation of EC2's on one thing, by its id."""

    def call(world: World, identifier: str) -> Any:
        wanted = [identifier] if plural else identifier
        found = getattr(Account(world).ec2, operation)(**{key: wanted})
        return {name: value for name, value in found.items() if name != "ResponseMetadata"}

    return call


def _near(make: Any, noun: str, key: str, *stay: str, plural: bool = False) -> Neighbour:
    """A thing of EC2's in our VPC."""
    remove = f"delete_{noun}s" if plural else f"delete_{noun}"
    keys = key + "s" if plural else key
    show = _ec2(f"describe_{noun}s", key + "s", plural=True)
    return Neighbour(make, _ec2(remove, keys, plural), show, stay)


IN_CLUSTER = ("cluster", "internet-gateway", "role", "subnet", "vpc")
NEIGHBOURS: Mapping[str, Neighbour] = {
    "instance": Neighbour(
        _instance,
        _ec2("terminate_instances", "InstanceIds", plural=True),
        _show_instance,
        ("subnet", "vpc"),
    ),
    "network interface": _near(
        _interface, "network_interface", "NetworkInterfaceId", "subnet", "vpc"
    ),
    "endpoint": _near(_endpoint, "vpc_endpoint", "VpcEndpointId", "subnet", "vpc", plural=True),
    "subnet": _near(_subnet, "subnet", "SubnetId", "vpc"),
    "subnet of our route table": _near(
        _associated_subnet, "subnet", "SubnetId", "route-table", "vpc"
    ),
    "route table": _near(_route_table, "route_table", "RouteTableId", "vpc"),
    "security group": _near(_group, "security_group", "GroupId", "vpc"),
    "rule with our group": _near(_reference, "security_group", "GroupId", "vpc", "role"),
    "network ACL": _near(_network_acl, "network_acl", "NetworkAclId", "vpc"),
    "node group": Neighbour(
        _node_group,
        _remove_node_group,
        lambda world, name: Account(world).eks.describe_nodegroup(
            clusterName="demo", nodegroupName=name
        )["nodegroup"],
        IN_CLUSTER,
    ),
    "Fargate profile": Neighbour(
        _fargate,
        _remove_fargate,
        lambda world, name: Account(world).eks.describe_fargate_profile(
            clusterName="demo", fargateProfileName=name
        )["fargateProfile"],
        IN_CLUSTER,
    ),
    "instance profile": Neighbour(
        _instance_profile,
        _remove_instance_profile,
        lambda world, name: Account(world).iam.get_instance_profile(InstanceProfileName=name)[
            "InstanceProfile"
        ],
        ("role",),
    ),
    "policy on our role": Neighbour(
        _policy,
        lambda world, arn: Account(world).iam.delete_policy(PolicyArn=arn),
        _show_policy,
        (),
    ),
}


# -- ours -----------------------------------------------------------------------------------------


def _strip(world: World, kind: str, have: Any) -> None:
    account = Account(world)
    if strip_object(world, kind, have):
        return
    if kind in ("role", "pod-role"):
        account.iam.untag_role(RoleName=have.id, TagKeys=[CLUSTER])
    elif kind == "oidc-provider":
        of = {"OpenIDConnectProviderArn": have.arn, "TagKeys": [CLUSTER]}
        account.iam.untag_open_id_connect_provider(**of)
    elif kind == "bucket":
        rest = [{"Key": k, "Value": v} for k, v in have.tags.items() if k != CLUSTER]
        account.s3.put_bucket_tagging(Bucket=have.id, Tagging={"TagSet": rest})
    elif kind == "repository":
        account.ecr.untag_resource(resourceArn=have.arn, tagKeys=[CLUSTER])
    elif kind == "log-group":
        account.logs.untag_resource(resourceArn=have.arn, tagKeys=[CLUSTER])
    elif have.arn:
        account.eks.untag_resource(resourceArn=have.arn, tagKeys=[CLUSTER])
    else:
        account.ec2.delete_tags(Resources=[have.id], Tags=[{"Key": CLUSTER}])


NEAR = Near(
    rich=replace(FULL_CASE, label="rich", profile=RICH),
    twins={
        "bucket": _bucket,
        "cluster": _cluster,
        "key-pair": _key_pair,
        "launch-template": _launch_template,
        "log-group": _log_group,
        "pod-role": _pod_role,
        "repository": _repository,
        "role": _role,
    },
    fixed={"role": "IAM cannot move a role"},
    neighbours=NEIGHBOURS,
    strip=_strip,
    sure={"role": "its path is the cluster's"},
    alone=(
        "bucket",
        "elastic-ip",
        "key-pair",
        "launch-template",
        "log-group",
        "oidc-provider",
        "pod-role",
        "repository",
    ),
)
