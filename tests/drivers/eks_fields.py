"""Two values of every field of an EKS profile."""

from __future__ import annotations

from dataclasses import replace

from tests.drivers.aws import Account
from tests.drivers.eks_cases import ADMIN, FULL_CASE, MINIMAL, MINIMAL_CASE, OTHER_ADMIN
from tests.drivers.fields import Fields, Subnets, Turn
from tests.drivers.world import World

ZONES = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
ADMINS_CASE = replace(FULL_CASE, label="admins", profile=MINIMAL)


def _existing(world: World) -> tuple[str, list[str]]:
    """A VPC of somebody else with four subnets in two zones, all of them public."""
    ec2 = Account(world).ec2
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": True})
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    subnets = []
    for index, zone in enumerate("abab"):
        made = ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.9.{index}.0/24", AvailabilityZone=f"eu-west-1{zone}"
        )
        subnets.append(made["Subnet"]["SubnetId"])
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[-1])
        ec2.modify_subnet_attribute(SubnetId=subnets[-1], MapPublicIpOnLaunch={"Value": True})
    return vpc, subnets


FIELDS = Fields(MINIMAL_CASE, {"cpu": 2, "memory": 8, "arch": "amd64"})
TURNS = (
    *FIELDS.shared(),
    *Subnets(MINIMAL_CASE, _existing, "subnets", "public_subnets").turns(),
    FIELDS.turn("cloud", "eks", "azure", invalid=("eks", "azure")),
    FIELDS.turn("region", "eu-west-1", "eu-west-2", refused=("eu-west-1", "eu-west-2")),
    FIELDS.turn("network.zones", ZONES[:2], ZONES),
    FIELDS.turn("network.nat", "per-zone", "none"),
    FIELDS.turn("network.nat", "one", "per-zone"),
    FIELDS.turn(
        "network.pods", None, "10.8.0.0/16", invalid=("network.pods", "cannot be set on EKS")
    ),
    FIELDS.turn(
        "network.services",
        "10.100.0.0/16",
        "172.31.0.0/16",
        refused=("10.100.0.0/16", "172.31.0.0/16"),
    ),
    FIELDS.turn("endpoint.public", True, False),
    FIELDS.turn("endpoint.private", False, True, quick=True),
    FIELDS.pool("machine", "m6i.large", "m6i.xlarge"),
    FIELDS.pool("machine", "m6i.large", {"cpu": 2, "memory": 8}),
    FIELDS.machine("cpu", 2, 4),
    FIELDS.machine("memory", 8, 16),
    FIELDS.machine("arch", "amd64", "arm64"),
    FIELDS.pool("disk.type", "gp3", "gp2", invalid=("gp3", "gp2")),
    FIELDS.pool("disk.encrypted", True, False),
    FIELDS.pool("max_unavailable", 1, 2),
    FIELDS.registry("push", ["a/b"], "node"),
    FIELDS.registry("cache_days", 14, 3),
    FIELDS.turn("admins", [], [ADMIN], case=ADMINS_CASE),
    FIELDS.turn("admins", [ADMIN], [OTHER_ADMIN], case=ADMINS_CASE),
    FIELDS.turn("logging", [], ["api", "audit"], quick=True),
    FIELDS.turn("logging", ["api"], ["audit"]),
    Turn(
        MINIMAL_CASE,
        "log_days",
        {"logging": ["api"], "log_days": 30},
        {"logging": ["api"], "log_days": 90},
    ),
    FIELDS.turn("support", "standard", "extended"),
)
