"""EC2, IAM, ECR and load balancers of the sandbox refuse what AWS refuses; asked with boto3."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.test_eks_service import POLICY, REGION, Aws, finite, refused, until

KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me"


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


def vpc_of(aws: Aws, cidr: str = "10.0.0.0/16") -> str:
    return str(aws.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"])


def subnet_of(aws: Aws, vpc: str, cidr: str = "10.0.0.0/24") -> str:
    made = aws.ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"{REGION}a")
    return str(made["Subnet"]["SubnetId"])


def gateway_of(aws: Aws, vpc: str) -> str:
    made = aws.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    aws.ec2.attach_internet_gateway(InternetGatewayId=made, VpcId=vpc)
    return str(made)


def address_of(aws: Aws) -> str:
    return str(aws.ec2.allocate_address(Domain="vpc")["AllocationId"])


def test_tags_are_looked_up_by_the_thing(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto goes through those of all things for each, which with many clusters takes seconds."""
    vpc, tags = vpc_of(aws), [{"Key": "a", "Value": "b"}]
    aws.ec2.create_tags(Resources=[vpc], Tags=tags)
    from moto.ec2.models.tags import TagBackend  # the sandbox has loaded it by now

    def everybodys(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(TagBackend, "describe_tags", everybodys)
    [shown] = aws.ec2.describe_vpcs(Filters=[{"Name": "tag:a", "Values": ["b"]}])["Vpcs"]
    assert (shown["VpcId"], shown["Tags"]) == (vpc, tags)


# -- what is in use stays ------------------------------------------------------------------------


def test_a_subnet_with_an_interface(aws: Aws) -> None:
    subnet = subnet_of(aws, vpc_of(aws))
    made = aws.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    assert subnet in refused("DependencyViolation", aws.ec2.delete_subnet, SubnetId=subnet)
    aws.ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])
    aws.ec2.delete_subnet(SubnetId=subnet)
    refused("InvalidSubnetID.NotFound", aws.ec2.delete_subnet, SubnetId=subnet)


def test_a_security_group_in_use(aws: Aws) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2
    one, two = (
        ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc)["GroupId"]
        for name in ("one", "two")
    )
    made = ec2.create_network_interface(SubnetId=subnet_of(aws, vpc), Groups=[one])
    refused("DependencyViolation", ec2.delete_security_group, GroupId=one)
    ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterface"]["NetworkInterfaceId"])
    rule = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": one}]}]
    ec2.authorize_security_group_ingress(GroupId=two, IpPermissions=rule)
    refused("DependencyViolation", ec2.delete_security_group, GroupId=one)
    ec2.revoke_security_group_ingress(GroupId=two, IpPermissions=rule)
    ec2.authorize_security_group_egress(
        GroupId=two, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1,
                                     "UserIdGroupPairs": [{"GroupId": one}]}]
    )  # fmt: skip
    refused("DependencyViolation", ec2.delete_security_group, GroupId=one)
    ec2.delete_security_group(GroupId=two)
    ec2.delete_security_group(GroupId=one)
    refused("InvalidGroup.NotFound", ec2.delete_security_group, GroupId=one)


def test_the_default_security_group_stays(aws: Aws) -> None:
    vpc = vpc_of(aws)
    found = aws.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    default = found["SecurityGroups"][0]["GroupId"]
    refused("CannotDelete", aws.ec2.delete_security_group, GroupId=default)


def test_a_vpc_with_anything_in_it(aws: Aws) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2

    def stays() -> None:
        refused("DependencyViolation", ec2.delete_vpc, VpcId=vpc)

    subnet = subnet_of(aws, vpc)
    stays()
    ec2.delete_subnet(SubnetId=subnet)
    gateway = gateway_of(aws, vpc)
    stays()
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    stays()
    ec2.delete_route_table(RouteTableId=table)
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    stays()
    ec2.delete_security_group(GroupId=group)
    ec2.delete_vpc(VpcId=vpc)
    refused("InvalidVpcID.NotFound", ec2.delete_vpc, VpcId=vpc)


def test_an_attached_gateway(aws: Aws) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2
    gateway = gateway_of(aws, vpc)
    refused("DependencyViolation", ec2.delete_internet_gateway, InternetGatewayId=gateway)
    refused(
        "Resource.AlreadyAssociated",
        ec2.attach_internet_gateway,
        InternetGatewayId=gateway,
        VpcId=vpc,
    )
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    refused(
        "Gateway.NotAttached", ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc
    )
    ec2.delete_internet_gateway(InternetGatewayId=gateway)


def test_a_gateway_with_addresses_mapped(aws: Aws) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2
    gateway, subnet, address = gateway_of(aws, vpc), subnet_of(aws, vpc), address_of(aws)
    made = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    linked = ec2.associate_address(
        AllocationId=address, NetworkInterfaceId=made["NetworkInterfaceId"]
    )["AssociationId"]
    assert "mapped public address" in refused(
        "DependencyViolation",
        ec2.detach_internet_gateway,
        InternetGatewayId=gateway,
        VpcId=vpc,
    )
    refused("InvalidIPAddress.InUse", ec2.release_address, AllocationId=address)
    ec2.disassociate_address(AssociationId=linked)
    ec2.release_address(AllocationId=address)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    refused("InvalidAllocationID.NotFound", ec2.release_address, AllocationId=address)


def test_an_interface_in_use(aws: Aws) -> None:
    cluster = aws.cluster()
    vpc = cluster["resourcesVpcConfig"]["vpcId"]
    found = aws.ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    assert {item["Status"] for item in found["NetworkInterfaces"]} == {"in-use"}
    for item in found["NetworkInterfaces"]:
        refused(
            "InvalidParameterValue",
            aws.ec2.delete_network_interface,
            NetworkInterfaceId=item["NetworkInterfaceId"],
        )
    for subnet in cluster["resourcesVpcConfig"]["subnetIds"]:
        refused("DependencyViolation", aws.ec2.delete_subnet, SubnetId=subnet)
    aws.eks.delete_cluster(name="demo")
    for subnet in cluster["resourcesVpcConfig"]["subnetIds"]:
        aws.ec2.delete_subnet(SubnetId=subnet)


def test_a_nat_gateway_takes_time_and_holds_its_address(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2
    gateway, subnet, address = gateway_of(aws, vpc), subnet_of(aws, vpc), address_of(aws)
    finite(monkeypatch, aws, 105 / 0.6)
    made = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]
    nat = made["NatGatewayId"]
    assert made["State"] == "pending"

    def state() -> str:
        shown = ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]
        return str(shown["State"])

    assert state() == "pending"
    until(lambda: state() == "available")
    refused("AuthFailure", ec2.release_address, AllocationId=address)
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=subnet)
    refused(
        "DependencyViolation", ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc
    )
    refused(
        "Resource.AlreadyAssociated",
        ec2.create_nat_gateway,
        SubnetId=subnet,
        AllocationId=address,
    )
    ec2.delete_nat_gateway(NatGatewayId=nat)
    assert state() == "deleting"
    refused("AuthFailure", ec2.release_address, AllocationId=address)
    until(lambda: state() == "deleted")
    ec2.release_address(AllocationId=address)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)


def test_nat_gateways_that_are_not_there(aws: Aws) -> None:
    missing = "nat-0123456789abcdef0"
    refused("NatGatewayNotFound", aws.ec2.delete_nat_gateway, NatGatewayId=missing)
    refused("NatGatewayNotFound", aws.ec2.describe_nat_gateways, NatGatewayIds=[missing])
    refused(
        "InvalidSubnetID.NotFound",
        aws.ec2.create_nat_gateway,
        SubnetId="subnet-0123456789abcdef0",
        AllocationId=address_of(aws),
    )
    refused(
        "InvalidAllocationID.NotFound",
        aws.ec2.create_nat_gateway,
        SubnetId=subnet_of(aws, vpc_of(aws)),
        AllocationId="eipalloc-0123456789abcdef0",
    )


def test_a_nat_gateway_that_fails(aws: Aws) -> None:
    vpc = vpc_of(aws)
    gateway_of(aws, vpc)
    address = address_of(aws)
    aws.sandbox.faults.take(Faults.parse("terminal:ec2:CreateNatGateway@1"))
    made = aws.ec2.create_nat_gateway(SubnetId=subnet_of(aws, vpc), AllocationId=address)
    nat = made["NatGateway"]["NatGatewayId"]
    shown = aws.ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]
    assert shown["State"] == "failed"
    aws.ec2.release_address(AllocationId=address)


def test_a_public_nat_gateway_needs_an_address_and_a_way_out(aws: Aws) -> None:
    subnet = subnet_of(aws, vpc_of(aws))
    refused("MissingParameter", aws.ec2.create_nat_gateway, SubnetId=subnet)
    made = aws.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address_of(aws))["NatGateway"]
    found = aws.ec2.describe_nat_gateways(NatGatewayIds=[made["NatGatewayId"]])["NatGateways"][0]
    assert found["State"] == "failed"
    assert found["FailureCode"] == "Gateway.NotAttached"


# -- routes --------------------------------------------------------------------------------------


def test_routes_lead_to_what_is_there(aws: Aws) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    route = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}
    refused(
        "InvalidNatGatewayID.NotFound",
        ec2.create_route,
        **route,
        NatGatewayId="nat-0123456789abcdef0",
    )
    refused(
        "InvalidGatewayID.NotFound",
        ec2.create_route,
        **route,
        GatewayId="igw-0123456789abcdef0",
    )
    loose = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    assert "different networks" in refused(
        "InvalidParameterValue", ec2.create_route, **route, GatewayId=loose
    )
    ec2.attach_internet_gateway(InternetGatewayId=loose, VpcId=vpc)
    ec2.create_route(**route, GatewayId=loose)
    refused("RouteAlreadyExists", ec2.create_route, **route, GatewayId=loose)
    ec2.delete_route(**route)
    refused("InvalidRoute.NotFound", ec2.delete_route, **route)


def test_a_table_that_is_associated(aws: Aws) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    subnet = subnet_of(aws, vpc)
    linked = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    refused("DependencyViolation", ec2.delete_route_table, RouteTableId=table)
    ec2.disassociate_route_table(AssociationId=linked)
    ec2.delete_route_table(RouteTableId=table)
    refused("InvalidRouteTableID.NotFound", ec2.delete_route_table, RouteTableId=table)


def test_a_subnet_has_one_table(aws: Aws) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2
    one, two = (ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(2))
    asked = {"SubnetId": subnet_of(aws, vpc)}
    linked = ec2.associate_route_table(RouteTableId=one, **asked)["AssociationId"]
    assert ec2.associate_route_table(RouteTableId=one, **asked)["AssociationId"] == linked
    refused("Resource.AlreadyAssociated", ec2.associate_route_table, RouteTableId=two, **asked)
    ec2.replace_route_table_association(AssociationId=linked, RouteTableId=two)
    ec2.delete_route_table(RouteTableId=one)


def test_a_machine_that_ends_takes_its_interface_along(aws: Aws) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2
    subnet = subnet_of(aws, vpc)
    image = ec2.register_image(Name="image")["ImageId"]
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "a*"}]}]
    [machine] = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet, TagSpecifications=tags
    )["Instances"]
    address = address_of(aws)
    ec2.associate_address(InstanceId=machine["InstanceId"], AllocationId=address)
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=subnet)
    for value, found in (("a*", 1), (r"a\*", 1), (r"a\?", 0), ("b", 0)):
        wanted = [{"Name": "tag:team", "Values": [value]}]
        assert len(ec2.describe_instances(Filters=wanted)["Reservations"]) == found, value
    ec2.terminate_instances(InstanceIds=[machine["InstanceId"]])
    ec2.delete_subnet(SubnetId=subnet)
    ec2.release_address(AllocationId=address)


def test_a_subnet_goes_with_its_association(aws: Aws) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    subnet = subnet_of(aws, vpc)
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_route_table(RouteTableId=table)


def test_the_main_table_stays(aws: Aws) -> None:
    vpc = vpc_of(aws)
    found = aws.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    main = found["RouteTables"][0]["RouteTableId"]
    refused("DependencyViolation", aws.ec2.delete_route_table, RouteTableId=main)


# -- what is there once --------------------------------------------------------------------------


def test_names_are_taken_once(aws: Aws) -> None:
    ec2, vpc = aws.ec2, vpc_of(aws)
    ec2.import_key_pair(KeyName="key", PublicKeyMaterial=KEY)
    refused("InvalidKeyPair.Duplicate", ec2.import_key_pair, KeyName="key", PublicKeyMaterial=KEY)
    ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)
    refused(
        "InvalidGroup.Duplicate",
        ec2.create_security_group,
        GroupName="g",
        Description="d",
        VpcId=vpc,
    )
    data = {"KeyName": "key"}
    ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData=data)
    refused(
        "InvalidLaunchTemplateName.AlreadyExistsException",
        ec2.create_launch_template,
        LaunchTemplateName="template",
        LaunchTemplateData=data,
    )
    refused(
        "InvalidKeyPair.Format", ec2.import_key_pair, KeyName="k2", PublicKeyMaterial=b"nonsense"
    )
    ec2.delete_key_pair(KeyName="key")
    ec2.delete_key_pair(KeyName="key")  # says nothing if there is none, as AWS


def test_subnets_of_a_vpc(aws: Aws) -> None:
    vpc, create = vpc_of(aws), aws.ec2.create_subnet
    subnet_of(aws, vpc)
    refused("InvalidSubnet.Conflict", create, VpcId=vpc, CidrBlock="10.0.0.0/25")
    refused("InvalidSubnet.Range", create, VpcId=vpc, CidrBlock="10.1.0.0/24")
    assert f"{REGION}a" in refused(
        "InvalidParameterValue",
        create,
        VpcId=vpc,
        CidrBlock="10.0.1.0/24",
        AvailabilityZone="us-east-1a",
    )
    refused("InvalidVpcID.NotFound", create, VpcId="vpc-0bad", CidrBlock="10.0.1.0/24")
    refused("InvalidVpc.Range", aws.ec2.create_vpc, CidrBlock="10.0.0.0/8")


def test_a_client_token_makes_one_thing(aws: Aws) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2
    gateway_of(aws, vpc)
    asked = {
        "SubnetId": subnet_of(aws, vpc),
        "AllocationId": address_of(aws),
        "ClientToken": "token-1",
    }
    first = ec2.create_nat_gateway(**asked)["NatGateway"]
    again = ec2.create_nat_gateway(**asked)["NatGateway"]
    assert first["NatGatewayId"] == again["NatGatewayId"]
    assert len(ec2.describe_nat_gateways()["NatGateways"]) == 1
    refused(
        "IdempotentParameterMismatch",
        ec2.create_nat_gateway,
        **{**asked, "AllocationId": address_of(aws)},
    )
    template = {
        "LaunchTemplateName": "template",
        "LaunchTemplateData": {"KeyName": "key"},
        "ClientToken": "token-1",
    }
    made = ec2.create_launch_template(**template)["LaunchTemplate"]
    assert ec2.create_launch_template(**template)["LaunchTemplate"] == made


def test_tags_are_for_what_is_made(aws: Aws) -> None:
    ec2, tags = aws.ec2, [{"Key": "a", "Value": "b"}]

    def of(kind: str) -> dict[str, Any]:
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]}

    made = ec2.create_vpc(CidrBlock="10.0.0.0/16", **of("vpc"))["Vpc"]
    assert made["Tags"] == tags
    for call, more in (
        (ec2.create_vpc, {"CidrBlock": "10.1.0.0/16"}),
        (ec2.create_internet_gateway, {}),
        (ec2.allocate_address, {"Domain": "vpc"}),
        (ec2.import_key_pair, {"KeyName": "key", "PublicKeyMaterial": KEY}),
    ):
        assert "taggable" in refused("InvalidParameterValue", call, **more, **of("subnet"))
    reserved = [{"ResourceType": "vpc", "Tags": [{"Key": "aws:x", "Value": "y"}]}]
    refused(
        "InvalidParameterValue",
        ec2.create_vpc,
        CidrBlock="10.1.0.0/16",
        TagSpecifications=reserved,
    )
    refused(
        "InvalidParameterValue",
        ec2.create_tags,
        Resources=[made["VpcId"]],
        Tags=[{"Key": "aws:x", "Value": "y"}],
    )
    assert len(ec2.describe_vpcs()["Vpcs"]) == 2  # AWS's own and ours


def test_a_dry_run_makes_nothing(aws: Aws) -> None:
    before = len(aws.ec2.describe_vpcs()["Vpcs"])
    refused("DryRunOperation", aws.ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True)
    refused("DryRunOperation", aws.ec2.describe_vpcs, DryRun=True)
    assert len(aws.ec2.describe_vpcs()["Vpcs"]) == before


def test_what_ec2_does_not_know(aws: Aws) -> None:
    ec2 = aws.client("ec2", checked=False)
    for call in (ec2.describe_vpcs, ec2.describe_subnets, ec2.describe_volumes):
        assert "colour" in refused(
            "InvalidParameterValue", call, Filters=[{"Name": "colour", "Values": ["red"]}]
        )
    refused("MissingParameter", ec2.create_subnet, CidrBlock="10.0.0.0/24")
    refused("InvalidParameterValue", ec2.describe_subnets, MaxResults=4)
    refused("InvalidParameterValue", ec2.describe_subnets, MaxResults=1001)
    refused("InvalidParameterValue", ec2.describe_subnets, NextToken="garbage")
    refused(
        "InvalidParameterValue", ec2.create_vpc, CidrBlock="10.0.0.0/16", InstanceTenancy="none"
    )


# -- filters and pages ---------------------------------------------------------------------------


class Pair:
    """Two things of every kind, with the tag ``set`` one or two, and ``only-one`` on the first."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self._ec2 = ec2 = aws.ec2
        self.ids: dict[str, list[str]] = {}
        for number, name in enumerate(("one", "two")):
            tags = [{"Key": "set", "Value": name}]
            tags += [{"Key": "only-one", "Value": ""}] if name == "one" else []

            def of(kind: str, tags: list[dict[str, str]] = tags) -> dict[str, Any]:
                return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]}

            def keep(operation: str, identifier: str) -> str:
                self.ids.setdefault(operation, []).append(identifier)
                return identifier

            block = f"10.{number}.0.0"
            vpc = ec2.create_vpc(CidrBlock=f"{block}/16", **of("vpc"))["Vpc"]["VpcId"]
            keep("describe_vpcs", vpc)
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"{block}/24", **of("subnet"))
            there = keep("describe_subnets", subnet["Subnet"]["SubnetId"])
            made = ec2.create_internet_gateway(**of("internet-gateway"))["InternetGateway"]
            keep("describe_internet_gateways", made["InternetGatewayId"])
            ec2.attach_internet_gateway(InternetGatewayId=made["InternetGatewayId"], VpcId=vpc)
            address = ec2.allocate_address(Domain="vpc", **of("elastic-ip"))["AllocationId"]
            keep("describe_addresses", address)
            nat = ec2.create_nat_gateway(SubnetId=there, AllocationId=address, **of("natgateway"))
            keep("describe_nat_gateways", nat["NatGateway"]["NatGatewayId"])
            table = ec2.create_route_table(VpcId=vpc, **of("route-table"))["RouteTable"]
            keep("describe_route_tables", table["RouteTableId"])
            group = ec2.create_security_group(
                GroupName=name, Description="d", VpcId=vpc, **of("security-group")
            )
            keep("describe_security_groups", group["GroupId"])
            interface = ec2.create_network_interface(SubnetId=there, **of("network-interface"))
            keep(
                "describe_network_interfaces",
                interface["NetworkInterface"]["NetworkInterfaceId"],
            )
            volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1, **of("volume"))
            keep("describe_volumes", volume["VolumeId"])
            key = ec2.import_key_pair(KeyName=name, PublicKeyMaterial=KEY, **of("key-pair"))
            keep("describe_key_pairs", key["KeyPairId"])
            template = ec2.create_launch_template(
                LaunchTemplateName=f"template-{name}",
                LaunchTemplateData={"KeyName": name},
                **of("launch-template"),
            )
            keep("describe_launch_templates", template["LaunchTemplate"]["LaunchTemplateId"])

    def find(self, operation: str, **filters: str) -> list[str]:
        """Which of the two, by ``tag__set`` and the like."""
        name = "Filter" if operation == "describe_nat_gateways" else "Filters"
        asked = [
            {"Name": key.replace("__", ":").replace("_", "-"), "Values": [value]}
            for key, value in filters.items()
        ]
        shown = getattr(self._ec2, operation)(**{name: asked})
        items = next(value for value in shown.values() if isinstance(value, list))
        texts = [json.dumps(item, default=str) for item in items]
        found = [
            identifier
            for identifier in self.ids[operation]
            if any(f'"{identifier}"' in text for text in texts)
        ]
        assert len(found) == len(items), "what has no tags was found, too"
        return found


OPERATIONS = (
    "describe_addresses",
    "describe_internet_gateways",
    "describe_key_pairs",
    "describe_launch_templates",
    "describe_nat_gateways",
    "describe_network_interfaces",
    "describe_route_tables",
    "describe_security_groups",
    "describe_subnets",
    "describe_volumes",
    "describe_vpcs",
)


@pytest.fixture(scope="module")
def pair(shared: Aws) -> Iterator[Pair]:
    shared.sandbox.reset()
    yield Pair(shared)
    shared.sandbox.reset()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_filters_by_tag(pair: Pair, operation: str) -> None:
    one, two = pair.ids[operation]
    assert pair.find(operation, tag__set="one") == [one]
    assert pair.find(operation, tag__set="two") == [two]
    assert pair.find(operation, tag__set="t*") == [two]
    assert pair.find(operation, tag__set="three") == []
    assert pair.find(operation, tag__none="one") == []
    assert pair.find(operation, tag_key="only-one") == [one]
    assert pair.find(operation, tag_key="set") == [one, two]
    assert pair.find(operation, tag_key="none") == []
    assert pair.find(operation, tag_key="only-one", tag__set="two") == []


@pytest.mark.parametrize(
    "operation",
    [name for name in OPERATIONS if name not in ("describe_addresses", "describe_key_pairs")],
)
def test_pages_of_ec2(pair: Pair, operation: str) -> None:
    ec2, faults = pair.aws.ec2, pair.aws.sandbox.faults
    name = "Filter" if operation == "describe_nat_gateways" else "Filters"
    ours = {name: [{"Name": "tag-key", "Values": ["set"]}]}
    faults.take(Faults.parse("pages=1"))
    try:
        pages = list(ec2.get_paginator(operation).paginate(**ours))
    finally:
        faults.clear()
    first, second = (json.dumps(page, default=str) for page in pages)
    for identifier in pair.ids[operation]:
        assert (identifier in first) != (identifier in second)
    assert "NextToken" not in pages[-1]


def test_pages_are_as_long_as_asked(aws: Aws) -> None:
    vpc, ec2 = vpc_of(aws), aws.ec2
    made = [subnet_of(aws, vpc, f"10.0.{number}.0/24") for number in range(12)]
    ours = {"Filters": [{"Name": "vpc-id", "Values": [vpc]}]}
    pages = list(
        ec2.get_paginator("describe_subnets").paginate(**ours, PaginationConfig={"PageSize": 5})
    )
    assert [len(page["Subnets"]) for page in pages] == [5, 5, 2]
    assert sorted(s["SubnetId"] for page in pages for s in page["Subnets"]) == sorted(made)
    assert len(ec2.describe_subnets(**ours)["Subnets"]) == 12
    first = ec2.describe_subnets(**ours, MaxResults=5)
    assert len(ec2.describe_subnets(**ours, NextToken=first["NextToken"])["Subnets"]) == 7
    listed = ec2.get_paginator("describe_instance_types").paginate(
        PaginationConfig={"PageSize": 100, "MaxItems": 150}
    )
    assert next(len(page["InstanceTypes"]) for page in listed) == 100


def test_launch_templates_are_listed_to_the_last(aws: Aws) -> None:
    """Moto ends these lists at 15, without a token."""
    ec2, data = aws.ec2, {"InstanceType": "t3.medium"}
    made = [
        ec2.create_launch_template(LaunchTemplateName=f"pool-{number}", LaunchTemplateData=data)
        for number in range(17)
    ]
    assert len(ec2.describe_launch_templates()["LaunchTemplates"]) == len(made)
    pages = list(
        ec2.get_paginator("describe_launch_templates").paginate(PaginationConfig={"PageSize": 6})
    )
    assert [len(page["LaunchTemplates"]) for page in pages] == [6, 6, 5]
    for _ in range(16):
        ec2.create_launch_template_version(LaunchTemplateName="pool-0", LaunchTemplateData=data)
    listed = ec2.describe_launch_template_versions(LaunchTemplateName="pool-0")
    assert len(listed["LaunchTemplateVersions"]) == 17


def test_pages_of_the_other_services(aws: Aws) -> None:
    for name in ("one", "two", "three"):
        aws.ecr.create_repository(repositoryName=name)
        aws.role(name, "ec2", "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy")
        aws.logs.create_log_group(logGroupName=name)
    pages = list(
        aws.ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2})
    )
    assert [len(page["repositories"]) for page in pages] == [2, 1]
    pages = list(aws.iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Roles"]) for page in pages] == [2, 1]
    aws.sandbox.faults.take(Faults.parse("pages=1"))
    for client, operation, key, more in (
        (aws.ecr, "describe_repositories", "repositories", {}),
        (aws.iam, "list_roles", "Roles", {}),
        (aws.iam, "list_attached_role_policies", "AttachedPolicies", {"RoleName": "one"}),
        (aws.logs, "describe_log_groups", "logGroups", {}),
    ):
        pages = list(client.get_paginator(operation).paginate(**more))
        assert {len(page[key]) for page in pages} == {1}, operation
        assert len(pages) == (2 if more else 3), operation


# -- quotas --------------------------------------------------------------------------------------


def test_quotas_of_a_new_account(aws: Aws) -> None:
    for number in range(4):  # AWS's own counts
        vpc_of(aws, f"10.{number}.0.0/16")
    refused("VpcLimitExceeded", vpc_of, aws=aws, cidr="10.9.0.0/16")
    for _ in range(5):
        address_of(aws)
    refused("AddressLimitExceeded", address_of, aws=aws)


def test_quotas_can_be_lifted(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERKIT_SANDBOX_QUOTAS", "off")
    for number in range(6):
        vpc_of(aws, f"10.{number}.0.0/16")
        address_of(aws)


# -- IAM -----------------------------------------------------------------------------------------


def test_a_role_with_policies_stays(aws: Aws) -> None:
    aws.role("busy", "ec2", "AmazonEKSWorkerNodePolicy")
    refused("EntityAlreadyExists", aws.role, name="busy", service="ec2")
    delete = aws.iam.delete_role
    refused("DeleteConflict", delete, RoleName="busy")
    aws.iam.detach_role_policy(RoleName="busy", PolicyArn=POLICY + "AmazonEKSWorkerNodePolicy")
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    )
    aws.iam.put_role_policy(RoleName="busy", PolicyName="inline", PolicyDocument=document)
    refused("DeleteConflict", delete, RoleName="busy")
    aws.iam.delete_role_policy(RoleName="busy", PolicyName="inline")
    aws.iam.create_instance_profile(InstanceProfileName="profile")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="profile", RoleName="busy")
    refused("DeleteConflict", delete, RoleName="busy")
    refused("DeleteConflict", aws.iam.delete_instance_profile, InstanceProfileName="profile")
    found = aws.iam.list_instance_profiles_for_role(RoleName="busy")["InstanceProfiles"]
    assert [item["InstanceProfileName"] for item in found] == ["profile"]
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="profile", RoleName="busy")
    delete(RoleName="busy")
    refused("NoSuchEntity", delete, RoleName="busy")
    aws.iam.delete_instance_profile(InstanceProfileName="profile")


def test_roles_by_path(aws: Aws) -> None:
    aws.role("plain", "ec2")
    trust = aws.iam.get_role(RoleName="plain")["Role"]["AssumeRolePolicyDocument"]
    aws.iam.create_role(
        Path="/clusterkit/demo/", RoleName="ours", AssumeRolePolicyDocument=json.dumps(trust)
    )
    listed = aws.iam.list_roles(PathPrefix="/clusterkit/demo/")["Roles"]
    assert [role["RoleName"] for role in listed] == ["ours"]
    assert listed[0]["Arn"].endswith(":role/clusterkit/demo/ours")
    assert aws.iam.list_roles(PathPrefix="/other/")["Roles"] == []


def test_what_iam_does_not_take(aws: Aws) -> None:
    iam, create = aws.client("iam", checked=False), aws.client("iam", checked=False).create_role
    aws.role("good", "ec2")
    trust = json.dumps(aws.iam.get_role(RoleName="good")["Role"]["AssumeRolePolicyDocument"])
    for document in ("{", "{}", '{"Version": "2020-01-01", "Statement": [{}]}'):
        refused(
            "MalformedPolicyDocument", create, RoleName="bad", AssumeRolePolicyDocument=document
        )
    for name in ("r" * 65, "a b", ""):
        refused("ValidationError", create, RoleName=name, AssumeRolePolicyDocument=trust)
    refused("ValidationError", create, RoleName="bad", AssumeRolePolicyDocument=trust, Path="demo")
    refused(
        "MalformedPolicyDocument",
        iam.put_role_policy,
        RoleName="good",
        PolicyName="p",
        PolicyDocument="nonsense",
    )
    refused(
        "NoSuchEntity",
        iam.attach_role_policy,
        RoleName="good",
        PolicyArn=POLICY + "AmazonNoSuchPolicy",
    )
    refused("NoSuchEntity", iam.get_role, RoleName="none")


def test_limits_of_a_role(aws: Aws) -> None:
    aws.role("full", "ec2")
    found = aws.iam.list_policies(Scope="AWS", MaxItems=11)["Policies"]
    for policy in found[:10]:
        aws.iam.attach_role_policy(RoleName="full", PolicyArn=policy["Arn"])
    aws.iam.attach_role_policy(RoleName="full", PolicyArn=found[0]["Arn"])  # again is fine
    assert "PoliciesPerRole: 10" in refused(
        "LimitExceeded", aws.iam.attach_role_policy, RoleName="full", PolicyArn=found[10]["Arn"]
    )
    trust = aws.iam.get_role(RoleName="full")["Role"]["AssumeRolePolicyDocument"]
    trust["Statement"] = [{**trust["Statement"][0], "Sid": f"s{n}"} for n in range(30)]
    assert "ACLSizePerRole: 2048" in refused(
        "LimitExceeded",
        aws.iam.create_role,
        RoleName="long",
        AssumeRolePolicyDocument=json.dumps(trust),
    )


# -- ECR -----------------------------------------------------------------------------------------


def test_repositories(aws: Aws) -> None:
    ecr = aws.ecr
    made = ecr.create_repository(repositoryName="demo/app", tags=[{"Key": "a", "Value": "b"}])[
        "repository"
    ]
    refused("RepositoryAlreadyExistsException", ecr.create_repository, repositoryName="demo/app")
    refused(
        "InvalidParameterException",
        aws.client("ecr", checked=False).create_repository,
        repositoryName="Demo/App",
    )
    arn = made["repositoryArn"]
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "a", "Value": "b"}]
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "c", "Value": "d"}])
    ecr.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "c", "Value": "d"}]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": "sha256:" + "0" * 64, "size": 1, "mediaType": "x"},
        "layers": [],
    }
    ecr.put_image(repositoryName="demo/app", imageManifest=json.dumps(manifest), imageTag="latest")
    refused("RepositoryNotEmptyException", ecr.delete_repository, repositoryName="demo/app")
    ecr.delete_repository(repositoryName="demo/app", force=True)
    refused("RepositoryNotFoundException", ecr.delete_repository, repositoryName="demo/app")
    refused("RepositoryNotFoundException", ecr.describe_repositories, repositoryNames=["demo/app"])


def test_lifecycle_policies(aws: Aws) -> None:
    aws.ecr.create_repository(repositoryName="cache")
    policy = {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {
                    "tagStatus": "any",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 14,
                },
                "action": {"type": "expire"},
            }
        ]
    }
    text = json.dumps(policy)
    where = {"repositoryName": "cache"}
    refused("LifecyclePolicyNotFoundException", aws.ecr.get_lifecycle_policy, **where)
    aws.ecr.put_lifecycle_policy(**where, lifecyclePolicyText=text)
    assert json.loads(aws.ecr.get_lifecycle_policy(**where)["lifecyclePolicyText"]) == policy
    policy["rules"][0]["action"] = {"type": "burn"}
    wrong = json.dumps(policy)
    refused(
        "InvalidParameterException",
        aws.ecr.put_lifecycle_policy,
        **where,
        lifecyclePolicyText=wrong,
    )
    aws.ecr.delete_lifecycle_policy(**where)
    refused("LifecyclePolicyNotFoundException", aws.ecr.delete_lifecycle_policy, **where)


def test_a_registry_token(aws: Aws) -> None:
    found = aws.ecr.get_authorization_token()["authorizationData"][0]
    user, _, word = base64.b64decode(found["authorizationToken"]).decode().partition(":")
    assert user == "AWS"
    assert word
    assert found["expiresAt"].timestamp() > time.time()


# -- load balancers ------------------------------------------------------------------------------


def classic(aws: Aws, subnets: list[str]) -> Callable[[], object]:
    listener = {"Protocol": "TCP", "LoadBalancerPort": 80, "InstancePort": 80}
    aws.elb.create_load_balancer(LoadBalancerName="lb", Listeners=[listener], Subnets=subnets)
    return lambda: aws.elb.delete_load_balancer(LoadBalancerName="lb")


def network(aws: Aws, subnets: list[str]) -> Callable[[], object]:
    made = aws.elbv2.create_load_balancer(Name="lb", Type="network", Subnets=subnets)
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    return lambda: aws.elbv2.delete_load_balancer(LoadBalancerArn=arn)


@pytest.mark.parametrize("make", [classic, network])
def test_load_balancers_hold_interfaces_until_released(
    aws: Aws,
    make: Callable[[Aws, list[str]], Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vpc, subnets = aws.network()
    ours = {"Filters": [{"Name": "vpc-id", "Values": [vpc]}]}
    delete = make(aws, subnets)
    found = aws.ec2.describe_network_interfaces(**ours)["NetworkInterfaces"]
    assert len(found) == 2
    assert {item["Description"].startswith("ELB ") for item in found} == {True}
    finite(monkeypatch, aws, 60)  # half a second until released
    delete()
    refused("DependencyViolation", aws.ec2.delete_subnet, SubnetId=subnets[0])
    gateway = aws.ec2.describe_internet_gateways(
        Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}]
    )["InternetGateways"][0]["InternetGatewayId"]
    refused(
        "DependencyViolation",
        aws.ec2.detach_internet_gateway,
        InternetGatewayId=gateway,
        VpcId=vpc,
    )
    until(lambda: not aws.ec2.describe_network_interfaces(**ours)["NetworkInterfaces"])
    aws.ec2.delete_subnet(SubnetId=subnets[0])
    aws.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)


def test_faults_speak_the_language_of_the_service(aws: Aws) -> None:
    for service, call, code in (
        ("ec2", "describe_vpcs", "RequestLimitExceeded"),
        ("iam", "list_roles", "Throttling"),
        ("ecr", "describe_repositories", "ThrottlingException"),
        ("eks", "list_clusters", "ThrottlingException"),
        ("elbv2", "describe_load_balancers", "Throttling"),
    ):
        aws.sandbox.faults.take(Faults.parse(f"throttle:{service}:*@1"))
        refused(code, getattr(aws.client(service), call))
        getattr(aws.client(service), call)()


def test_an_error_that_is_not_aws_is_no_client_error(aws: Aws) -> None:
    aws.sandbox.faults.take(Faults.parse("error:ec2:DescribeVpcs@1"))
    with pytest.raises(ClientError) as caught:
        aws.ec2.describe_vpcs()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


# -- two sandboxes in one process ----------------------------------------------------------------


def test_another_sandbox_takes_no_faults_away(aws: Aws, tmp_path: Path) -> None:
    with Sandbox(directory=tmp_path, pace=Pace(math.inf), emulators=["eks"]) as other:
        Aws(other).ec2.describe_vpcs()  # moto is the process's: what was there is gone
        subnet = subnet_of(aws, vpc_of(aws))
        aws.sandbox.faults.take(Faults.parse("terminal:ec2:CreateNatGateway"))
        made = aws.ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")
        [found] = aws.ec2.describe_nat_gateways(NatGatewayIds=[made["NatGateway"]["NatGatewayId"]])[
            "NatGateways"
        ]
        assert found["State"] == "failed"
