"""The EKS of the sandbox as boto3 sees it: every request goes over the wire."""

from __future__ import annotations

import base64
import json
import logging
import math
import ssl
import time
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from clusterkit_sandbox.aws import groups
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox

ACCOUNT = "123456789012"
REGION = "eu-west-1"
POLICY = "arn:aws:iam::aws:policy/"
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
NODE_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryPullOnly",
)


class Aws:
    """Clients of a sandbox, and the things most tests begin with."""

    def __init__(self, sandbox: Sandbox, **keys: str) -> None:
        environ = sandbox.environment()
        self.sandbox = sandbox
        self._session = boto3.Session(
            aws_access_key_id=keys.get("key", environ["AWS_ACCESS_KEY_ID"]),
            aws_secret_access_key=keys.get("secret", environ["AWS_SECRET_ACCESS_KEY"]),
            region_name=keys.get("region", REGION),
        )
        self._clients: dict[tuple[str, bool], Any] = {}

    def client(self, service: str, *, checked: bool = True) -> Any:
        """A client that never repeats; unchecked, it sends whatever it is given."""
        if (service, checked) not in self._clients:
            config = Config(
                proxies={"https": self.sandbox.proxy},
                retries={"total_max_attempts": 1},
                parameter_validation=checked,
            )
            self._clients[service, checked] = self._session.client(
                service,  # type: ignore[call-overload]
                verify=str(self.sandbox.ca_file),
                config=config,
            )
        return self._clients[service, checked]

    def __getattr__(self, service: str) -> Any:
        return self.client(service)

    def role(self, name: str, service: str, *policies: str) -> str:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        for policy in policies:
            self.iam.attach_role_policy(RoleName=name, PolicyArn=POLICY + policy)
        return str(made["Role"]["Arn"])

    def network(self, cidr: str = "10.0") -> tuple[str, list[str]]:
        """A VPC with two public subnets that lead to the internet."""
        ec2 = self.ec2
        vpc = ec2.create_vpc(CidrBlock=f"{cidr}.0.0/16")["Vpc"]["VpcId"]
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        subnets = []
        for index, zone in enumerate("ab"):
            subnet = ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"{cidr}.{index}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )["Subnet"]["SubnetId"]
            ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
            ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
            subnets.append(subnet)
        return vpc, subnets

    def machines(self, pool: str) -> list[dict[str, Any]]:
        """The running instances of a node group."""
        wanted = {"tag:eks:nodegroup-name": pool, "instance-state-name": "running"}
        filters = [{"Name": key, "Values": [value]} for key, value in wanted.items()]
        pages = self.ec2.describe_instances(Filters=filters)["Reservations"]
        return [one for page in pages for one in page["Instances"]]

    def arguments(self, name: str = "demo", **more: Any) -> dict[str, Any]:
        """What CreateCluster needs, with everything it refers to."""
        _, subnets = self.network()
        return {
            "name": name,
            "roleArn": self.role("control", "eks", "AmazonEKSClusterPolicy"),
            "resourcesVpcConfig": {"subnetIds": subnets},
            "accessConfig": {"authenticationMode": "API"},
            **more,
        }

    def cluster(self, name: str = "demo", **more: Any) -> dict[str, Any]:
        """A cluster that is up (or whatever becomes of it without waiting)."""
        self.eks.create_cluster(**self.arguments(name, **more))
        found: dict[str, Any] = self.eks.describe_cluster(name=name)["cluster"]
        return found

    def group(self, cluster: dict[str, Any], name: str = "pool", **more: Any) -> dict[str, Any]:
        """CreateNodegroup on a cluster's own subnets."""
        arguments = {
            "clusterName": cluster["name"],
            "nodegroupName": name,
            "subnets": cluster["resourcesVpcConfig"]["subnetIds"],
            "nodeRole": f"arn:aws:iam::{ACCOUNT}:role/nodes",
            **more,
        }
        made: dict[str, Any] = self.eks.create_nodegroup(**arguments)["nodegroup"]
        return made

    def nodes(self) -> str:
        return self.role("nodes", "ec2", *NODE_POLICIES)


def refused(code: str, call: Callable[..., Any], **parameters: Any) -> str:
    """The call is refused with this code; the message."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return str(error["Message"])


def finite(monkeypatch: pytest.MonkeyPatch, aws: Aws, factor: float) -> None:
    """Let things take time, for this test alone."""
    monkeypatch.setattr(aws.sandbox.pace, "factor", factor)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    directory: Path = tmp_path_factory.mktemp("sandbox")
    with Sandbox(directory=directory, pace=Pace(math.inf), emulators=["eks"]) as sandbox:
        yield Aws(sandbox)


@pytest.fixture
def aws(shared: Aws) -> Iterator[Aws]:
    yield shared
    shared.sandbox.faults.clear()
    shared.sandbox.reset()


# -- clusters ------------------------------------------------------------------------------------


def test_a_cluster_from_creation_to_deletion(aws: Aws) -> None:
    eks = aws.eks
    made = eks.create_cluster(**aws.arguments(version="1.34", tags={"a": "b"}))["cluster"]
    assert made["status"] == "CREATING"
    assert "endpoint" not in made
    assert "certificateAuthority" not in made
    eks.get_waiter("cluster_active").wait(name="demo")
    shown = eks.describe_cluster(name="demo")["cluster"]
    assert shown["version"] == "1.34"
    assert shown["endpoint"].endswith(f".{REGION}.eks.amazonaws.com")
    assert shown["arn"] == f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/demo"
    assert shown["certificateAuthority"]["data"]
    assert shown["tags"] == {"a": "b"}
    assert shown["createdAt"].tzinfo is not None
    assert shown["accessConfig"]["authenticationMode"] == "API"
    group = shown["resourcesVpcConfig"]["clusterSecurityGroupId"]
    described = aws.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert described["VpcId"] == shown["resourcesVpcConfig"]["vpcId"]
    tags = {tag["Key"]: tag["Value"] for tag in described["Tags"]}
    assert tags["kubernetes.io/cluster/demo"] == "owned"
    assert eks.list_clusters()["clusters"] == ["demo"]
    assert eks.delete_cluster(name="demo")["cluster"]["status"] == "DELETING"
    eks.get_waiter("cluster_deleted").wait(name="demo")
    assert eks.list_clusters()["clusters"] == []
    refused("InvalidGroup.NotFound", aws.ec2.describe_security_groups, GroupIds=[group])
    vpc = shown["resourcesVpcConfig"]["vpcId"]
    left = aws.ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    assert left["NetworkInterfaces"] == []


def test_names_are_taken_once_and_the_missing_is_not_found(aws: Aws) -> None:
    arguments = aws.arguments()
    aws.eks.create_cluster(**arguments)
    assert "already exists with name: demo" in refused(
        "ResourceInUseException", aws.eks.create_cluster, **arguments
    )
    message = refused("ResourceNotFoundException", aws.eks.describe_cluster, name="other")
    assert message == "No cluster found for name: other."
    for call in (
        aws.eks.list_nodegroups,
        aws.eks.list_addons,
        aws.eks.list_access_entries,
        aws.eks.list_pod_identity_associations,
    ):
        refused("ResourceNotFoundException", call, clusterName="other")
    refused("ResourceNotFoundException", aws.eks.delete_cluster, name="other")
    refused("ResourceNotFoundException", aws.eks.list_updates, name="other")
    refused(
        "ResourceNotFoundException",
        aws.eks.describe_nodegroup,
        clusterName="demo",
        nodegroupName="none",
    )
    refused(
        "ResourceNotFoundException", aws.eks.describe_addon, clusterName="demo", addonName="coredns"
    )
    refused(
        "ResourceNotFoundException",
        aws.eks.describe_access_entry,
        clusterName="demo",
        principalArn=f"arn:aws:iam::{ACCOUNT}:user/none",
    )
    refused(
        "ResourceNotFoundException",
        aws.eks.delete_pod_identity_association,
        clusterName="demo",
        associationId="a-none",
    )


def test_errors_carry_the_members_of_their_shape(aws: Aws) -> None:
    with pytest.raises(aws.eks.exceptions.ResourceNotFoundException) as caught:
        aws.eks.describe_cluster(name="other")
    assert caught.value.response["clusterName"] == "other"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert caught.value.response["ResponseMetadata"]["RequestId"]


def test_what_a_cluster_refers_to_must_be_there(aws: Aws) -> None:
    arguments = aws.arguments()
    create = aws.eks.create_cluster

    def network(**more: Any) -> dict[str, Any]:
        return {**arguments, "resourcesVpcConfig": {**arguments["resourcesVpcConfig"], **more}}

    subnets = arguments["resourcesVpcConfig"]["subnetIds"]
    missing = f"arn:aws:iam::{ACCOUNT}:role/none"
    assert "could not be assumed" in refused(
        "InvalidParameterException", create, **{**arguments, "roleArn": missing}
    )
    wrong = aws.role("wrong", "ec2")
    assert "trusted entity" in refused(
        "InvalidParameterException", create, **{**arguments, "roleArn": wrong}
    )
    assert "does not exist" in refused(
        "InvalidParameterException", create, **network(subnetIds=[subnets[0], "subnet-0bad"])
    )
    assert "two different AZs" in refused(
        "InvalidParameterException", create, **network(subnetIds=subnets[:1])
    )
    _, others = aws.network("10.1")
    assert "same VPC" in refused(
        "InvalidParameterException", create, **network(subnetIds=[subnets[0], others[1]])
    )
    assert "sg-0bad" in refused(
        "InvalidParameterException", create, **network(securityGroupIds=["sg-0bad"])
    )
    assert "cannot be false" in refused(
        "InvalidParameterException",
        create,
        **network(endpointPublicAccess=False, endpointPrivateAccess=False),
    )
    assert "CIDR" in refused(
        "InvalidParameterException", create, **network(publicAccessCidrs=["10.0.0.1/99"])
    )
    for version in ("9.99", "1.20"):
        assert f"unsupported Kubernetes version: {version}" in refused(
            "InvalidParameterException", create, **{**arguments, "version": version}
        )
    for services in ("172.20.0.0/25", "10.0.0.0/16", "11.0.0.0/16"):
        refused(
            "InvalidParameterException",
            create,
            **{**arguments, "kubernetesNetworkConfig": {"serviceIpv4Cidr": services}},
        )
    assert aws.eks.list_clusters()["clusters"] == []


def test_zones_without_room_for_eks_are_named(aws: Aws) -> None:
    east = Aws(aws.sandbox, region="us-east-1")
    zones = east.ec2.describe_availability_zones()["AvailabilityZones"]
    bad = next(zone for zone in zones if zone["ZoneId"] == "use1-az3")
    good = next(zone for zone in zones if zone["ZoneId"] == "use1-az1")
    vpc = east.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        east.ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=zone["ZoneName"]
        )["Subnet"]["SubnetId"]
        for index, zone in enumerate((bad, good))
    ]
    with pytest.raises(east.eks.exceptions.UnsupportedAvailabilityZoneException) as caught:
        east.eks.create_cluster(
            name="demo",
            roleArn=aws.role("control", "eks"),
            resourcesVpcConfig={"subnetIds": subnets},
        )
    assert good["ZoneName"] in caught.value.response["validZones"]
    assert bad["ZoneName"] not in caught.value.response["validZones"]


def test_what_is_not_emulated_is_said_and_not_ignored(aws: Aws) -> None:
    for more in (
        {"computeConfig": {"enabled": True}},
        {"kubernetesNetworkConfig": {"ipFamily": "ipv6"}},
        {"remoteNetworkConfig": {"remoteNodeNetworks": [{"cidrs": ["10.9.0.0/16"]}]}},
    ):
        message = refused(
            "NotImplemented",
            aws.eks.create_cluster,
            name="demo",
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/none",
            resourcesVpcConfig={"subnetIds": []},
            **more,
        )
        assert next(iter(more)) in message
    lists = aws.eks.list_eks_anywhere_subscriptions
    assert "ListEksAnywhereSubscriptions" in refused("NotImplemented", lists)


def test_parameters_are_checked_by_the_service_too(aws: Aws) -> None:
    eks = aws.client("eks", checked=False)
    ours = {"roleArn": "arn", "resourcesVpcConfig": {}}

    def message(call: Callable[..., Any], **parameters: Any) -> str:
        return refused("InvalidParameterException", call, **parameters)

    assert "Value null at 'roleArn'" in message(eks.create_cluster, name="demo")
    assert "regular expression pattern" in message(eks.create_cluster, name="_demo", **ours)
    assert "regular expression pattern" in message(eks.create_cluster, name="demo!", **ours)
    assert "at most 100" in message(eks.create_cluster, name="d" * 101, **ours)
    assert "logging.clusterLogging[0].types[0]" in message(
        eks.create_cluster,
        name="demo",
        roleArn="arn",
        resourcesVpcConfig={"subnetIds": []},
        logging={"clusterLogging": [{"types": ["cats"]}]},
    )
    assert "must be a boolean" in message(
        eks.create_cluster, name="demo", deletionProtection="yes", **ours
    )
    assert "must be a string" in message(eks.create_cluster, name="demo", version=1, **ours)
    assert "enum value set: [API, API_AND_CONFIG_MAP, CONFIG_MAP]" in message(
        eks.create_cluster, name="demo", accessConfig={"authenticationMode": "NONE"}, **ours
    )
    assert "at most 100" in message(eks.list_clusters, maxResults=101)
    assert "at least 1" in message(eks.list_clusters, maxResults=0)
    assert "at least 1" in message(
        eks.create_nodegroup,
        clusterName="demo",
        nodegroupName="pool",
        subnets=["subnet-1"],
        nodeRole="arn",
        scalingConfig={"minSize": 1, "maxSize": 0, "desiredSize": 1},
    )
    assert "nextToken" in message(eks.list_clusters, nextToken="garbage")


def test_an_unknown_parameter_is_refused(aws: Aws) -> None:
    def smuggle(params: dict[str, Any], **_: Any) -> None:
        params["body"] = json.dumps({**json.loads(params["body"]), "flavour": "sweet"}).encode()

    fresh = Aws(aws.sandbox)
    fresh.eks.meta.events.register("before-call.eks.CreateCluster", smuggle)
    assert "flavour" in refused(
        "InvalidParameterException",
        fresh.eks.create_cluster,
        name="demo",
        roleArn="arn",
        resourcesVpcConfig={},
    )


def test_a_token_answers_the_same_request_once_more(aws: Aws) -> None:
    arguments = aws.arguments(clientRequestToken="token-1")
    first = aws.eks.create_cluster(**arguments)["cluster"]
    again = aws.eks.create_cluster(**arguments)["cluster"]
    assert again["arn"] == first["arn"]
    assert again["createdAt"] == first["createdAt"]
    assert "token" in refused(
        "InvalidParameterException", aws.eks.create_cluster, **{**arguments, "name": "other"}
    )
    assert aws.eks.list_clusters()["clusters"] == ["demo"]
    cluster = aws.eks.describe_cluster(name="demo")["cluster"]
    aws.nodes()
    one = aws.group(cluster, clientRequestToken="token-2")
    assert aws.group(cluster, clientRequestToken="token-2")["nodegroupArn"] == one["nodegroupArn"]
    refused(
        "InvalidParameterException",
        aws.group,
        cluster=cluster,
        clientRequestToken="token-2",
        diskSize=30,
    )
    # the token of a thing that is gone makes a new one
    aws.eks.delete_nodegroup(clusterName="demo", nodegroupName="pool")
    two = aws.group(cluster, clientRequestToken="token-2")
    assert two["nodegroupArn"] != one["nodegroupArn"]
    aws.eks.describe_nodegroup(clusterName="demo", nodegroupName="pool")
    aws.eks.delete_nodegroup(clusterName="demo", nodegroupName="pool")
    aws.eks.delete_cluster(name="demo")
    refused("ResourceNotFoundException", aws.eks.describe_cluster, name="demo")
    assert aws.eks.create_cluster(**arguments)["cluster"]["createdAt"] > first["createdAt"]


def test_a_refused_request_leaves_its_token_free(aws: Aws) -> None:
    arguments = aws.arguments(clientRequestToken="token-1")
    wrong = {**arguments, "version": "9.99"}
    refused("InvalidParameterException", aws.eks.create_cluster, **wrong)
    assert aws.eks.create_cluster(**arguments)["cluster"]["name"] == "demo"


def test_a_cluster_with_node_groups_stays(aws: Aws) -> None:
    cluster = aws.cluster()
    aws.nodes()
    aws.group(cluster)
    assert "nodegroups attached" in refused(
        "ResourceInUseException", aws.eks.delete_cluster, name="demo"
    )
    assert aws.eks.describe_cluster(name="demo")["cluster"]["status"] == "ACTIVE"
    aws.eks.delete_nodegroup(clusterName="demo", nodegroupName="pool")
    aws.eks.get_waiter("nodegroup_deleted").wait(clusterName="demo", nodegroupName="pool")
    aws.eks.delete_cluster(name="demo")


def test_deletion_protection(aws: Aws) -> None:
    aws.cluster(deletionProtection=True)
    assert "deletion protection" in refused(
        "InvalidRequestException", aws.eks.delete_cluster, name="demo"
    )
    aws.eks.update_cluster_config(name="demo", deletionProtection=False)
    aws.eks.describe_cluster(name="demo")
    aws.eks.delete_cluster(name="demo")


def test_a_cluster_takes_one_change_at_a_time(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.cluster()
    finite(monkeypatch, aws, 500)  # an update takes 0.6 s
    update = aws.eks.update_cluster_config(
        name="demo", resourcesVpcConfig={"publicAccessCidrs": ["192.0.2.0/24"]}
    )["update"]
    assert (update["status"], update["type"]) == ("InProgress", "EndpointAccessUpdate")
    shown = aws.eks.describe_cluster(name="demo")["cluster"]
    assert shown["status"] == "UPDATING"
    assert shown["resourcesVpcConfig"]["publicAccessCidrs"] == ["0.0.0.0/0"]
    refused(
        "ResourceInUseException",
        aws.eks.update_cluster_config,
        name="demo",
        logging={"clusterLogging": [{"types": ["api"], "enabled": True}]},
    )
    refused("ResourceInUseException", aws.eks.delete_cluster, name="demo")
    finite(monkeypatch, aws, math.inf)
    until(lambda: aws.eks.describe_cluster(name="demo")["cluster"]["status"] == "ACTIVE")
    found = aws.eks.describe_update(name="demo", updateId=update["id"])["update"]
    assert found["status"] == "Successful"
    shown = aws.eks.describe_cluster(name="demo")["cluster"]
    assert shown["resourcesVpcConfig"]["publicAccessCidrs"] == ["192.0.2.0/24"]
    assert aws.eks.list_updates(name="demo")["updateIds"] == [update["id"]]
    refused("ResourceNotFoundException", aws.eks.describe_update, name="demo", updateId="none")


def until(done: Callable[[], bool], seconds: float = 10) -> None:
    """Ask until it is so."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_changes_of_a_cluster(aws: Aws) -> None:
    aws.cluster(version="1.34", upgradePolicy={"supportType": "STANDARD"})
    eks = aws.eks
    on = {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]}
    eks.update_cluster_config(name="demo", logging=on)
    found = eks.describe_cluster(name="demo")["cluster"]["logging"]["clusterLogging"]
    assert {"types": ["api", "audit"], "enabled": True} in found
    refused("InvalidParameterException", eks.update_cluster_config, name="demo", logging=on)
    refused("InvalidParameterException", eks.update_cluster_config, name="demo")
    refused(
        "InvalidParameterException",
        eks.update_cluster_config,
        name="demo",
        logging=on,
        deletionProtection=True,
    )
    eks.update_cluster_config(name="demo", upgradePolicy={"supportType": "EXTENDED"})
    assert eks.describe_cluster(name="demo")["cluster"]["upgradePolicy"] == {
        "supportType": "EXTENDED"
    }
    refused(
        "InvalidParameterException",
        eks.update_cluster_config,
        name="demo",
        accessConfig={"authenticationMode": "CONFIG_MAP"},
    )
    refused("InvalidParameterException", eks.update_cluster_version, name="demo", version="1.36")
    refused("InvalidParameterException", eks.update_cluster_version, name="demo", version="1.34")
    update = eks.update_cluster_version(name="demo", version="1.35")["update"]
    assert update["type"] == "VersionUpdate"
    assert eks.describe_cluster(name="demo")["cluster"]["version"] == "1.35"


def test_a_cluster_under_way_takes_nothing(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    role = aws.nodes()
    arguments = aws.arguments()
    finite(monkeypatch, aws, 20)  # a role is known after 0.4 s, a cluster takes half a minute
    time.sleep(0.5)
    aws.eks.create_cluster(**arguments)
    shown = aws.eks.describe_cluster(name="demo")["cluster"]
    assert shown["status"] == "CREATING"
    refused("ResourceInUseException", aws.eks.create_addon, clusterName="demo", addonName="vpc-cni")
    refused("ResourceInUseException", aws.group, cluster=shown, nodeRole=role)
    refused("ResourceInUseException", aws.eks.delete_cluster, name="demo")
    refused("ResourceInUseException", aws.eks.update_cluster_version, name="demo", version="1.36")


def test_a_cluster_that_fails(aws: Aws) -> None:
    aws.sandbox.faults.take(Faults.parse("terminal:eks:CreateCluster@1"))
    shown = aws.cluster()
    assert shown["status"] == "FAILED"
    assert shown["health"]["issues"][0]["code"]
    with pytest.raises(WaiterError):
        aws.eks.get_waiter("cluster_active").wait(name="demo")
    refused(
        "InvalidRequestException", aws.eks.create_addon, clusterName="demo", addonName="vpc-cni"
    )
    aws.eks.delete_cluster(name="demo")
    aws.eks.get_waiter("cluster_deleted").wait(name="demo")


def test_a_role_is_known_to_eks_after_a_while(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    finite(monkeypatch, aws, 8)  # one second until EKS knows a role
    arguments = aws.arguments()
    assert "could not be assumed" in refused(
        "InvalidParameterException", aws.eks.create_cluster, **arguments
    )
    time.sleep(1.2)
    aws.eks.create_cluster(**arguments)


def test_pages(aws: Aws) -> None:
    arguments = aws.arguments()
    names = [f"c{number}" for number in range(5)]
    for name in reversed(names):
        aws.eks.create_cluster(**{**arguments, "name": name})
    first = aws.eks.list_clusters(maxResults=2)
    assert first["clusters"] == names[:2]
    rest = aws.eks.list_clusters(nextToken=first["nextToken"])
    assert rest["clusters"] == names[2:]
    assert rest.get("nextToken") is None
    paginate = aws.eks.get_paginator("list_clusters").paginate
    sizes = [len(page["clusters"]) for page in paginate(PaginationConfig={"PageSize": 2})]
    assert sizes == [2, 2, 1]
    aws.sandbox.faults.take(Faults.parse("pages=1"))
    assert [page["clusters"] for page in paginate()] == [[name] for name in names]
    for operation, key, more in (
        ("describe_cluster_versions", "clusterVersions", {}),
        ("describe_addon_versions", "addons", {}),
        ("list_access_entries", "accessEntries", {"clusterName": "c1"}),
        ("list_access_policies", "accessPolicies", {}),
    ):
        pages = list(aws.eks.get_paginator(operation).paginate(**more))
        assert {len(page[key]) for page in pages} == {1}


def test_there_is_room_for_so_many_clusters_and_node_groups(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.nodes()
    cluster = aws.cluster()
    small = {"minSize": 0, "maxSize": 1, "desiredSize": 0}
    for number in range(30):
        aws.group(cluster, f"g{number}", scalingConfig=small)
    assert "30" in refused("ResourceLimitExceededException", aws.group, cluster=cluster, name="g31")
    monkeypatch.setattr("clusterkit_sandbox.aws.clusters.CLUSTERS", 1)
    refused(
        "ResourceLimitExceededException",
        aws.eks.create_cluster,
        name="other",
        roleArn=cluster["roleArn"],
        resourcesVpcConfig={"subnetIds": cluster["resourcesVpcConfig"]["subnetIds"]},
    )


# -- node groups ---------------------------------------------------------------------------------


def test_a_node_group_from_creation_to_deletion(aws: Aws) -> None:
    cluster, role = aws.cluster(), aws.nodes()
    made = aws.group(
        cluster,
        scalingConfig={"minSize": 1, "maxSize": 3, "desiredSize": 2},
        labels={"a": "b"},
        tags={"t": "u"},
        taints=[{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}],
    )
    assert made["status"] == "CREATING"
    where = {"clusterName": "demo", "nodegroupName": "pool"}
    aws.eks.get_waiter("nodegroup_active").wait(**where)
    shown = aws.eks.describe_nodegroup(**where)["nodegroup"]
    assert shown["version"] == cluster["version"]
    assert shown["health"]["issues"] == []
    assert shown["labels"] == {"a": "b"}
    assert shown["tags"] == {"t": "u"}
    assert shown["diskSize"] == 20
    assert len(aws.machines("pool")) == 2
    # EKS lets the nodes in by itself
    entry = aws.eks.describe_access_entry(clusterName="demo", principalArn=role)["accessEntry"]
    assert entry["type"] == "EC2_LINUX"
    assert aws.eks.list_nodegroups(clusterName="demo")["nodegroups"] == ["pool"]
    assert aws.eks.delete_nodegroup(**where)["nodegroup"]["status"] == "DELETING"
    aws.eks.get_waiter("nodegroup_deleted").wait(**where)
    assert aws.machines("pool") == []


def test_what_a_node_group_refers_to_must_be_there(aws: Aws) -> None:
    cluster = aws.cluster()
    aws.nodes()

    def message(**more: Any) -> str:
        return refused("InvalidParameterException", aws.group, cluster=cluster, **more)

    assert "could not be assumed" in message(nodeRole=f"arn:aws:iam::{ACCOUNT}:role/none")
    assert "could not be assumed" in message(nodeRole=cluster["roleArn"])
    assert "does not exist" in message(subnets=["subnet-0bad"])
    _, others = aws.network("10.1")
    assert "VPC" in message(subnets=others)
    assert "key pair" in message(remoteAccess={"ec2SshKey": "none"})
    assert "Launch template" in message(launchTemplate={"name": "none"})
    assert "do not exist" in message(instanceTypes=["m5.tiny"])
    assert "amiType" in message(instanceTypes=["m6g.large"])
    assert "can't be greater" in message(
        scalingConfig={"minSize": 3, "maxSize": 4, "desiredSize": 2}
    )
    assert "can't be greater" in message(
        scalingConfig={"minSize": 1, "maxSize": 2, "desiredSize": 3}
    )
    message(version="1.36")
    message(version="1.20")
    aws.group(cluster)
    assert "already exists" in refused("ResourceInUseException", aws.group, cluster=cluster)


def test_a_launch_template_takes_the_place_of_disk_and_key(aws: Aws) -> None:
    cluster = aws.cluster()
    aws.nodes()
    made = aws.ec2.create_launch_template(
        LaunchTemplateName="template",
        LaunchTemplateData={"MetadataOptions": {"HttpTokens": "required"}},
    )["LaunchTemplate"]
    template = {"id": made["LaunchTemplateId"]}
    for more in ({"diskSize": 30}, {"remoteAccess": {"ec2SshKey": "key"}}):
        refused(
            "InvalidParameterException",
            aws.group,
            cluster=cluster,
            launchTemplate=template,
            **more,
        )
    both = {"id": made["LaunchTemplateId"], "name": "template"}
    refused("InvalidParameterException", aws.group, cluster=cluster, launchTemplate=both)
    refused(
        "InvalidParameterException",
        aws.group,
        cluster=cluster,
        launchTemplate={**template, "version": "7"},
    )
    aws.ec2.create_launch_template_version(
        LaunchTemplateName="template", LaunchTemplateData={"KeyName": "key"}
    )
    shown = aws.group(cluster, launchTemplate=template)
    assert shown["launchTemplate"] == {**both, "version": "1"}  # the default, not the latest
    assert "diskSize" not in shown
    latest = aws.group(cluster, "other", launchTemplate={"name": "template", "version": "$Latest"})
    assert latest["launchTemplate"]["version"] == "2"


def test_a_node_group_that_fails_says_why(aws: Aws) -> None:
    cluster = aws.cluster()
    aws.nodes()
    aws.sandbox.faults.take(Faults.parse("terminal:eks:CreateNodegroup@1"))
    aws.group(cluster)
    where = {"clusterName": "demo", "nodegroupName": "pool"}
    shown = aws.eks.describe_nodegroup(**where)["nodegroup"]
    assert shown["status"] == "CREATE_FAILED"
    assert shown["health"]["issues"][0]["code"] == "AsgInstanceLaunchFailures"
    assert shown["health"]["issues"][0]["resourceIds"]
    with pytest.raises(WaiterError):
        aws.eks.get_waiter("nodegroup_active").wait(**where)
    aws.eks.delete_nodegroup(**where)
    aws.group(cluster)
    aws.eks.get_waiter("nodegroup_active").wait(**where)


def test_nodes_that_cannot_join(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "PATIENCE", 1.0)
    cluster = aws.cluster(bootstrapSelfManagedAddons=False)
    aws.nodes()

    def issue(name: str, **more: Any) -> dict[str, Any]:
        aws.group(cluster, name, **more)
        shown: dict[str, Any] = {"status": "CREATING"}
        while shown["status"] == "CREATING":
            time.sleep(0.1)
            shown = aws.eks.describe_nodegroup(clusterName="demo", nodegroupName=name)["nodegroup"]
        assert shown["status"] == "CREATE_FAILED"
        found: dict[str, Any] = shown["health"]["issues"][0]
        return found

    assert "CNI" in issue("early")["message"]
    aws.eks.create_addon(clusterName="demo", addonName="vpc-cni")
    bare = aws.role("bare", "ec2")
    assert issue("bare", nodeRole=bare)["code"] == "AccessDenied"
    subnet = cluster["resourcesVpcConfig"]["subnetIds"][0]
    aws.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": False})
    assert issue("dark")["code"] == "Ec2SubnetInvalidConfiguration"
    lost = aws.ec2.create_subnet(
        VpcId=cluster["resourcesVpcConfig"]["vpcId"],
        CidrBlock="10.0.9.0/24",
        AvailabilityZone=f"{REGION}a",
    )["Subnet"]["SubnetId"]
    assert issue("lost", subnets=[lost])["code"] == "NodeCreationFailure"


def test_machines_join_when_their_route_comes_after_them(aws: Aws) -> None:
    cluster = aws.cluster()
    aws.nodes()
    vpc = cluster["resourcesVpcConfig"]["vpcId"]
    subnet = aws.ec2.create_subnet(
        VpcId=vpc, CidrBlock="10.0.9.0/24", AvailabilityZone=f"{REGION}a"
    )["Subnet"]["SubnetId"]
    aws.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    aws.group(cluster, subnets=[subnet])
    where = {"clusterName": "demo", "nodegroupName": "pool"}
    assert aws.eks.describe_nodegroup(**where)["nodegroup"]["status"] == "CREATING"
    linked = [{"Name": "association.subnet-id",
               "Values": cluster["resourcesVpcConfig"]["subnetIds"]}]  # fmt: skip
    [table] = aws.ec2.describe_route_tables(Filters=linked)["RouteTables"]
    aws.ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=subnet)
    aws.eks.get_waiter("nodegroup_active").wait(**where, WaiterConfig={"Delay": 1})


def test_without_add_ons_a_cluster_brings_its_own_network(aws: Aws) -> None:
    cluster = aws.cluster()
    aws.nodes()
    aws.group(cluster)
    shown = aws.eks.describe_nodegroup(clusterName="demo", nodegroupName="pool")["nodegroup"]
    assert shown["status"] == "ACTIVE"


def test_changes_of_a_node_group(aws: Aws) -> None:
    cluster = aws.cluster()
    aws.nodes()
    aws.group(cluster, labels={"a": "1", "b": "2"}, version="1.34")
    where = {"clusterName": "demo", "nodegroupName": "pool"}
    aws.eks.describe_nodegroup(**where)
    update = aws.eks.update_nodegroup_config(
        **where,
        scalingConfig={"minSize": 0, "maxSize": 5, "desiredSize": 4},
        labels={"addOrUpdateLabels": {"a": "9"}, "removeLabels": ["b"]},
        taints={"addOrUpdateTaints": [{"key": "k", "effect": "NO_EXECUTE"}]},
    )["update"]
    shown = aws.eks.describe_nodegroup(**where)["nodegroup"]
    assert shown["labels"] == {"a": "9"}
    assert shown["scalingConfig"] == {"minSize": 0, "maxSize": 5, "desiredSize": 4}
    assert shown["taints"] == [{"key": "k", "effect": "NO_EXECUTE"}]
    refused(
        "InvalidParameterException",
        aws.eks.update_nodegroup_config,
        **where,
        scalingConfig={"minSize": 5, "maxSize": 5, "desiredSize": 4},
    )
    assert len(aws.machines("pool")) == 4
    second = aws.eks.update_nodegroup_version(**where)["update"]
    assert aws.eks.describe_nodegroup(**where)["nodegroup"]["version"] == cluster["version"]
    refused("InvalidParameterException", aws.eks.update_nodegroup_version, **where, version="1.36")
    # the updates of a node group are not those of its cluster
    assert aws.eks.list_updates(name="demo")["updateIds"] == []
    listed = aws.eks.list_updates(name="demo", nodegroupName="pool")["updateIds"]
    assert listed == [update["id"], second["id"]]
    aws.eks.describe_update(name="demo", nodegroupName="pool", updateId=update["id"])
    refused(
        "ResourceNotFoundException", aws.eks.describe_update, name="demo", updateId=update["id"]
    )


# -- add-ons -------------------------------------------------------------------------------------


def test_an_add_on_from_creation_to_deletion(aws: Aws) -> None:
    aws.cluster()
    where = {"clusterName": "demo", "addonName": "vpc-cni"}
    assert aws.eks.create_addon(**where, tags={"a": "b"})["addon"]["status"] == "CREATING"
    aws.eks.get_waiter("addon_active").wait(**where)
    shown = aws.eks.describe_addon(**where)["addon"]
    assert shown["tags"] == {"a": "b"}
    assert aws.eks.list_addons(clusterName="demo")["addons"] == ["vpc-cni"]
    assert "already exists" in refused("ResourceInUseException", aws.eks.create_addon, **where)
    old = aws.eks.describe_addon_versions(addonName="vpc-cni", kubernetesVersion=aws_version(aws))[
        "addons"
    ][0]["addonVersions"][-1]["addonVersion"]
    assert old != shown["addonVersion"]
    update = aws.eks.update_addon(**where, addonVersion=old, configurationValues='{"a": 1}')
    assert update["update"]["type"] == "AddonUpdate"
    shown = aws.eks.describe_addon(**where)["addon"]
    assert (shown["addonVersion"], shown["configurationValues"]) == (old, '{"a": 1}')
    listed = aws.eks.list_updates(name="demo", addonName="vpc-cni")["updateIds"]
    assert listed == [update["update"]["id"]]
    for more in ({"addonVersion": "v0"}, {"configurationValues": "{"}):
        refused("InvalidParameterException", aws.eks.update_addon, **where, **more)
    assert aws.eks.delete_addon(**where)["addon"]["status"] == "DELETING"
    aws.eks.get_waiter("addon_deleted").wait(**where)
    refused("ResourceNotFoundException", aws.eks.delete_addon, **where)


def aws_version(aws: Aws) -> str:
    """The version of the cluster named demo."""
    return str(aws.eks.describe_cluster(name="demo")["cluster"]["version"])


def test_add_ons_that_cannot_be(aws: Aws) -> None:
    aws.cluster()
    for more in (
        {"addonName": "no-such"},
        {"addonName": "vpc-cni", "addonVersion": "v0.0.1"},
        {"addonName": "vpc-cni", "configurationValues": "{"},
    ):
        refused("InvalidParameterException", aws.eks.create_addon, clusterName="demo", **more)
    aws.sandbox.faults.take(Faults.parse("terminal:eks:CreateAddon@1"))
    where = {"clusterName": "demo", "addonName": "vpc-cni"}
    aws.eks.create_addon(**where)
    with pytest.raises(WaiterError):
        aws.eks.get_waiter("addon_active").wait(**where)
    assert aws.eks.describe_addon(**where)["addon"]["status"] == "CREATE_FAILED"


def test_a_refused_add_on_leaves_no_identity_behind(aws: Aws) -> None:
    aws.cluster()
    good = aws.role("good", "pods.eks")
    refused(
        "InvalidParameterException",
        aws.eks.create_addon,
        clusterName="demo",
        addonName="aws-ebs-csi-driver",
        podIdentityAssociations=[
            {"serviceAccount": "one", "roleArn": good},
            {"serviceAccount": "two", "roleArn": f"arn:aws:iam::{ACCOUNT}:role/none"},
        ],
    )
    found = aws.eks.list_pod_identity_associations(clusterName="demo")["associations"]
    assert found == []


def test_coredns_is_degraded_until_there_are_nodes(aws: Aws) -> None:
    cluster = aws.cluster()
    aws.nodes()
    where = {"clusterName": "demo", "addonName": "coredns"}
    aws.eks.create_addon(**where)
    shown = aws.eks.describe_addon(**where)["addon"]
    assert shown["status"] == "DEGRADED"
    assert shown["health"]["issues"][0]["code"] == "InsufficientNumberOfReplicas"
    with pytest.raises(WaiterError):
        aws.eks.get_waiter("addon_active").wait(**where)
    aws.group(cluster)
    until(lambda: aws.eks.describe_addon(**where)["addon"]["status"] == "ACTIVE")


def test_an_add_on_with_its_identity(aws: Aws) -> None:
    cluster = aws.cluster()
    aws.nodes()
    aws.group(cluster)
    where = {"clusterName": "demo", "addonName": "aws-ebs-csi-driver"}
    aws.eks.create_addon(**where)
    shown = aws.eks.describe_addon(**where)["addon"]
    assert shown["health"]["issues"][0]["code"] == "AccessDenied"
    role = aws.role("ebs", "pods.eks", "service-role/AmazonEBSCSIDriverPolicy")
    identity = {"serviceAccount": "ebs-csi-controller-sa", "roleArn": role}
    aws.eks.update_addon(**where, podIdentityAssociations=[identity])
    shown = aws.eks.describe_addon(**where)["addon"]
    assert shown["status"] == "ACTIVE"
    found = aws.eks.list_pod_identity_associations(clusterName="demo")["associations"]
    assert [item["associationArn"] for item in found] == shown["podIdentityAssociations"]
    assert found[0]["ownerArn"] == shown["addonArn"]
    refused(
        "InvalidRequestException",
        aws.eks.delete_pod_identity_association,
        clusterName="demo",
        associationId=found[0]["associationId"],
    )
    aws.eks.delete_addon(**where)
    found = aws.eks.list_pod_identity_associations(clusterName="demo")["associations"]
    assert found == []


def test_add_on_versions(aws: Aws) -> None:
    found = aws.eks.describe_addon_versions(kubernetesVersion="1.35", addonName="coredns")
    versions = found["addons"][0]["addonVersions"]
    best = [v for v in versions if v["compatibilities"][0]["defaultVersion"]]
    assert len(best) == 1
    refused("InvalidParameterException", aws.eks.describe_addon_versions, kubernetesVersion="9.99")
    shown = aws.eks.describe_addon_configuration(
        addonName="coredns", addonVersion=best[0]["addonVersion"]
    )
    assert json.loads(shown["configurationSchema"])["type"] == "object"


def test_cluster_versions(aws: Aws) -> None:
    found = aws.eks.describe_cluster_versions()["clusterVersions"]
    assert [v["clusterVersion"] for v in found if v["defaultVersion"]] == ["1.35"]
    assert {v["versionStatus"] for v in found} <= {"STANDARD_SUPPORT", "EXTENDED_SUPPORT"}
    for version in found:
        assert version["endOfStandardSupportDate"] < version["endOfExtendedSupportDate"]
    best = aws.eks.describe_cluster_versions(defaultOnly=True)["clusterVersions"]
    assert [v["clusterVersion"] for v in best] == ["1.35"]
    one = aws.eks.describe_cluster_versions(clusterVersions=["1.34"])["clusterVersions"]
    assert [v["clusterVersion"] for v in one] == ["1.34"]
    old = aws.eks.describe_cluster_versions(versionStatus="EXTENDED_SUPPORT")["clusterVersions"]
    assert "1.35" not in [v["clusterVersion"] for v in old]


# -- access --------------------------------------------------------------------------------------


def test_access_entries_and_their_policies(aws: Aws) -> None:
    aws.cluster()
    person = aws.role("person", "ec2")
    where = {"clusterName": "demo", "principalArn": person}
    made = aws.eks.create_access_entry(**where, kubernetesGroups=["team"], tags={"a": "b"})
    assert made["accessEntry"]["username"]
    assert made["accessEntry"]["type"] == "STANDARD"
    refused("ResourceInUseException", aws.eks.create_access_entry, **where)
    aws.eks.associate_access_policy(
        **where, policyArn=ADMIN, accessScope={"type": "namespace", "namespaces": ["one"]}
    )
    listed = aws.eks.list_associated_access_policies(**where)["associatedAccessPolicies"]
    assert listed[0]["accessScope"] == {"type": "namespace", "namespaces": ["one"]}
    aws.eks.associate_access_policy(**where, policyArn=ADMIN, accessScope={"type": "cluster"})
    listed = aws.eks.list_associated_access_policies(**where)["associatedAccessPolicies"]
    assert [item["accessScope"]["type"] for item in listed] == ["cluster"]
    holders = aws.eks.list_access_entries(clusterName="demo", associatedPolicyArn=ADMIN)
    creator = f"arn:aws:iam::{ACCOUNT}:user/sandbox"
    assert holders["accessEntries"] == sorted([person, creator])
    changed = aws.eks.update_access_entry(**where, kubernetesGroups=["other"])["accessEntry"]
    assert changed["kubernetesGroups"] == ["other"]
    aws.eks.disassociate_access_policy(**where, policyArn=ADMIN)
    refused(
        "ResourceNotFoundException", aws.eks.disassociate_access_policy, **where, policyArn=ADMIN
    )
    aws.eks.delete_access_entry(**where)
    refused("ResourceNotFoundException", aws.eks.describe_access_entry, **where)


def test_access_that_cannot_be(aws: Aws) -> None:
    aws.cluster()
    person = aws.role("person", "ec2")
    where = {"clusterName": "demo", "principalArn": person}

    def message(call: Callable[..., Any], **parameters: Any) -> str:
        return refused("InvalidParameterException", call, **parameters)

    create = aws.eks.create_access_entry
    assert "system:" in message(create, **where, kubernetesGroups=["system:masters"])
    message(create, **{**where, "principalArn": f"arn:aws:iam::{ACCOUNT}:role/none"})
    message(create, **{**where, "principalArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b"})
    message(create, **{**where, "principalArn": "somebody"})
    message(create, **where, type="CAT")
    refused("InvalidRequestException", create, **where, type="EC2_LINUX", kubernetesGroups=["team"])
    create(**where)
    associate = aws.eks.associate_access_policy
    message(associate, **where, policyArn=ADMIN + "Not", accessScope={"type": "cluster"})
    message(associate, **where, policyArn=ADMIN, accessScope={"type": "namespace"})
    message(
        associate,
        **where,
        policyArn=ADMIN,
        accessScope={"type": "cluster", "namespaces": ["one"]},
    )
    assert "system:" in message(
        aws.eks.update_access_entry, **where, kubernetesGroups=["system:nodes"]
    )


def test_access_entries_need_the_api_mode(aws: Aws) -> None:
    aws.cluster(accessConfig={"authenticationMode": "CONFIG_MAP"})
    where = {"clusterName": "demo", "principalArn": aws.role("person", "ec2")}
    refused("InvalidRequestException", aws.eks.create_access_entry, **where)
    refused("InvalidRequestException", aws.eks.list_access_entries, clusterName="demo")
    aws.nodes()
    shown = aws.eks.describe_cluster(name="demo")["cluster"]
    aws.group(shown)
    aws.eks.update_cluster_config(
        name="demo", accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"}
    )
    aws.eks.create_access_entry(**where)


def test_pod_identity(aws: Aws) -> None:
    aws.cluster()
    role, other = aws.role("pods", "pods.eks"), aws.role("more", "pods.eks")
    account = {"clusterName": "demo", "namespace": "jx", "serviceAccount": "bot"}
    create = aws.eks.create_pod_identity_association
    refused("InvalidParameterException", create, **account, roleArn=aws.role("wrong", "ec2"))
    made = create(**account, roleArn=role, tags={"a": "b"})["association"]
    refused("ResourceInUseException", create, **account, roleArn=other)
    where = {"clusterName": "demo", "associationId": made["associationId"]}
    aws.eks.update_pod_identity_association(**where, roleArn=other)
    shown = aws.eks.describe_pod_identity_association(**where)["association"]
    assert (shown["roleArn"], shown["tags"]) == (other, {"a": "b"})
    create(**{**account, "namespace": "ci"}, roleArn=role)
    listed = aws.eks.list_pod_identity_associations(clusterName="demo", namespace="jx")
    assert [item["serviceAccount"] for item in listed["associations"]] == ["bot"]
    aws.eks.delete_pod_identity_association(**where)
    refused("ResourceNotFoundException", aws.eks.describe_pod_identity_association, **where)


# -- tags ----------------------------------------------------------------------------------------


def test_tags_of_everything(aws: Aws) -> None:
    cluster = aws.cluster()
    aws.nodes()
    role = aws.role("pods", "pods.eks")
    arns = [cluster["arn"], aws.group(cluster)["nodegroupArn"]]
    addon = aws.eks.create_addon(clusterName="demo", addonName="vpc-cni")["addon"]
    identity = aws.eks.create_pod_identity_association(
        clusterName="demo", namespace="n", serviceAccount="s", roleArn=role
    )["association"]
    entry = aws.eks.create_access_entry(clusterName="demo", principalArn=role)["accessEntry"]
    arns += [addon["addonArn"], identity["associationArn"], entry["accessEntryArn"]]
    for arn in arns:
        aws.eks.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
        aws.eks.tag_resource(resourceArn=arn, tags={"b": "3"})
        aws.eks.untag_resource(resourceArn=arn, tagKeys=["a"])
        assert aws.eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "3"}
    assert aws.eks.describe_cluster(name="demo")["cluster"]["tags"] == {"b": "3"}


def test_tags_that_cannot_be(aws: Aws) -> None:
    cluster = aws.cluster()
    missing = cluster["arn"] + "-not"
    refused("NotFoundException", aws.eks.tag_resource, resourceArn=missing, tags={"a": "b"})
    refused("NotFoundException", aws.eks.untag_resource, resourceArn=missing, tagKeys=["a"])
    full = {f"k{number}": "v" for number in range(50)}
    aws.eks.tag_resource(resourceArn=cluster["arn"], tags=full)
    refused("BadRequestException", aws.eks.tag_resource, resourceArn=cluster["arn"], tags={"a": ""})
    assert aws.eks.list_tags_for_resource(resourceArn=cluster["arn"])["tags"] == full
    aws.eks.untag_resource(resourceArn=cluster["arn"], tagKeys=["k1"])
    refused(
        "BadRequestException", aws.eks.tag_resource, resourceArn=cluster["arn"], tags={"aws:a": "b"}
    )


# -- signatures ----------------------------------------------------------------------------------

CALLS = {
    "eks": "list_clusters",
    "ec2": "describe_vpcs",
    "iam": "list_roles",
    "sts": "get_caller_identity",
    "ecr": "describe_repositories",
    "elb": "describe_load_balancers",
    "logs": "describe_log_groups",
}


@pytest.mark.parametrize("service", CALLS)
def test_the_signature_is_checked(aws: Aws, service: str) -> None:
    environ = aws.sandbox.environment()
    wrong = Aws(aws.sandbox, secret=environ["AWS_SECRET_ACCESS_KEY"] + "x")
    json_service = service in ("eks", "ecr", "logs")
    code = "InvalidSignatureException" if json_service else "SignatureDoesNotMatch"
    refused(
        "AuthFailure" if service == "ec2" else code, getattr(wrong.client(service), CALLS[service])
    )
    unknown = Aws(aws.sandbox, key="AKIAIOSFODNN7EXAMPLE")
    code = "UnrecognizedClientException" if json_service else "InvalidClientTokenId"
    refused(
        "AuthFailure" if service == "ec2" else code,
        getattr(unknown.client(service), CALLS[service]),
    )


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("minutes", [-16, 16])
def test_the_clock_must_be_right(
    aws: Aws, service: str, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def skewed(*_: Any, **__: Any) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)

    monkeypatch.setattr("botocore.auth.get_current_datetime", skewed)
    code = {"eks": "InvalidSignatureException", "ecr": "InvalidSignatureException",
            "logs": "InvalidSignatureException", "ec2": "RequestExpired"}.get(
        service, "SignatureDoesNotMatch")  # fmt: skip
    message = refused(code, getattr(Aws(aws.sandbox).client(service), CALLS[service]))
    assert "expired" in message or "not yet current" in message


def test_a_second_user_is_somebody_else(aws: Aws) -> None:
    mine = aws.sts.get_caller_identity()
    assert (mine["Account"], mine["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/sandbox")
    file = ConfigParser()
    file.read(aws.sandbox.environment()["AWS_SHARED_CREDENTIALS_FILE"])
    keys = file["outsider"]
    other = Aws(aws.sandbox, key=keys["aws_access_key_id"], secret=keys["aws_secret_access_key"])
    assert other.sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/outsider"


def test_regions_are_apart(aws: Aws) -> None:
    aws.cluster()
    assert Aws(aws.sandbox, region="us-west-2").eks.list_clusters()["clusters"] == []


# -- what breaks beneath -------------------------------------------------------------------------


def test_a_failure_of_moto_is_logged_and_not_repeated(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from moto.ec2.models import EC2Backend

    def broken(*_: Any, **__: Any) -> None:
        raise AttributeError("moto has a bug")

    monkeypatch.setattr(EC2Backend, "describe_internet_gateways", broken)
    with caplog.at_level(logging.ERROR), pytest.raises(ClientError) as caught:
        aws.ec2.describe_internet_gateways()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    logged = [record for record in caplog.records if record.exc_info]
    assert logged
    assert "DescribeInternetGateways" in logged[0].getMessage()
    assert "moto has a bug" in str(logged[0].exc_info[1]) if logged[0].exc_info else False


def test_a_failure_of_eks_is_logged(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from clusterkit_sandbox.aws.service import OPERATIONS

    def broken(*_: Any) -> dict[str, Any]:
        raise AttributeError("a bug")

    monkeypatch.setitem(OPERATIONS, "eks:ListClusters", broken)
    with caplog.at_level(logging.ERROR):
        refused("NotImplemented", aws.eks.list_clusters)
    assert any("eks:ListClusters" in record.getMessage() for record in caplog.records)


def test_what_moto_has_not_is_not_implemented(aws: Aws) -> None:
    with pytest.raises(ClientError) as caught:
        aws.iam.simulate_principal_policy(
            PolicySourceArn=aws.role("one", "ec2"), ActionNames=["ec2:RunInstances"]
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_fargate_profiles_keep_their_cluster(aws: Aws) -> None:
    aws.cluster()
    of = {"clusterName": "demo", "fargateProfileName": "batch"}
    role = aws.role("pods", "eks-fargate-pods")
    refused(
        "InvalidParameterException",
        aws.eks.create_fargate_profile,
        **of,
        podExecutionRoleArn=aws.nodes(),
    )
    made = aws.eks.create_fargate_profile(**of, podExecutionRoleArn=role)["fargateProfile"]
    assert aws.eks.describe_fargate_profile(**of)["fargateProfile"] == made
    listed = aws.eks.list_fargate_profiles(clusterName="demo")["fargateProfileNames"]
    assert listed == ["batch"]
    assert "Fargate" in refused("ResourceInUseException", aws.eks.delete_cluster, name="demo")
    aws.eks.delete_fargate_profile(**of)
    refused("ResourceNotFoundException", aws.eks.describe_fargate_profile, **of)
    aws.eks.delete_cluster(name="demo")


@pytest.mark.parametrize(
    ("here", "network", "reached"),
    [
        ("8.8.8.8", {}, True),
        ("8.8.8.8", {"publicAccessCidrs": ["8.8.8.0/24"]}, True),
        ("8.8.8.8", {"publicAccessCidrs": ["1.1.1.1/32"], "endpointPrivateAccess": True}, False),
        ("8.8.8.8", {"endpointPublicAccess": False, "endpointPrivateAccess": True}, False),
        ("10.0.1.7", {"endpointPublicAccess": False, "endpointPrivateAccess": True}, True),
        ("10.0.1.7", {"publicAccessCidrs": ["1.1.1.1/32"]}, False),
    ],
)
def test_an_endpoint_checks_where_a_client_comes_from(
    here: str, network: dict[str, Any], reached: bool, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTERKIT_SANDBOX_ADDRESS", here)
    arguments = aws.arguments()
    arguments["resourcesVpcConfig"] |= network
    aws.eks.create_cluster(**arguments)
    shown = aws.eks.describe_cluster(name="demo")["cluster"]
    ca = base64.b64decode(shown["certificateAuthority"]["data"]).decode()
    context = ssl.create_default_context(cadata=ca)
    through = urllib3.ProxyManager(aws.sandbox.proxy, ssl_context=context, retries=False)
    if reached:
        assert through.request("GET", shown["endpoint"] + "/version").status in (200, 401)
    else:
        with pytest.raises(urllib3.exceptions.ProxyError, match="demo"):
            through.request("GET", shown["endpoint"] + "/version")
