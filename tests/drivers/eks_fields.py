"""Two values of every field of an EKS profile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.drivers.aws import Account
from tests.drivers.eks_cases import ADMIN, FULL_CASE, MINIMAL, MINIMAL_CASE, OTHER_ADMIN
from tests.drivers.fields import Turn
from tests.drivers.world import Case, Edits, World

POOL = MINIMAL["pools"][0]
TAINT = {"key": "build", "value": "yes", "effect": "NoSchedule"}
OWN = {"name": "demo", "repositories": ["app"], "keep": False}
BUILDS = {"registry": {**OWN, "push": ["a/b"]}}
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


def _network(vpc: str, subnets: list[str], public: list[str] | None = None) -> Edits:
    existing = {"vpc": vpc, "subnets": subnets}
    return {"network.existing": existing | ({"public_subnets": public} if public else {})}


def _none_or_existing(world: World) -> tuple[Edits, Edits]:
    vpc, subnets = _existing(world)
    return {}, _network(vpc, subnets[:2])


def _existing_or_none(world: World) -> tuple[Edits, Edits]:
    none, existing = _none_or_existing(world)
    return existing, none


def _other_vpc(world: World) -> tuple[Edits, Edits]:
    (vpc, subnets), (other, others) = _existing(world), _existing(world)
    return _network(vpc, subnets[:2]), _network(other, others[:2])


def _other_subnets(world: World) -> tuple[Edits, Edits]:
    vpc, subnets = _existing(world)
    return _network(vpc, subnets[:2]), _network(vpc, subnets[2:])


def _public_subnets(world: World) -> tuple[Edits, Edits]:
    vpc, subnets = _existing(world)
    return _network(vpc, subnets[:2]), _network(vpc, subnets[:2], subnets[2:])


def _turn(field: str, here: Any, there: Any, *, case: Case = MINIMAL_CASE, **more: Any) -> Turn:
    """Of a field that has just these two values; None is its default."""
    return Turn(case, field, {field: here}, {field: there}, **more)


def _pool(field: str, here: Any, there: Any, **more: Any) -> Turn:
    """Of a field of the only pool."""
    at = f"pools.0.{field}"
    return Turn(MINIMAL_CASE, f"pools.{field}", {at: here}, {at: there}, **more)


def _count(field: str, here: int, there: int) -> Turn:
    at, scaling = "pools.0.count", {"min": 1, "max": 3}
    values = {at: scaling | {field: here}}, {at: scaling | {field: there}}
    return Turn(MINIMAL_CASE, f"pools.count.{field}", *values)


def _machine(field: str, here: Any, there: Any) -> Turn:
    size = {"cpu": 2, "memory": 8, "arch": "amd64"}
    at = "pools.0.machine"
    values = {at: size | {field: here}}, {at: size | {field: there}}
    return Turn(MINIMAL_CASE, f"pools.machine.{field}", *values)


def _taint(field: str, here: Any, there: Any) -> Turn:
    """Another pool without taints lets the cluster's own pods run."""

    def pools(value: Any) -> Edits:
        return {"pools": [POOL, {**POOL, "name": "build", "taints": [TAINT | {field: value}]}]}

    return Turn(MINIMAL_CASE, f"pools.taints.{field}", pools(here), pools(there))


def _registry(field: str, here: Any, there: Any) -> Turn:
    values = {"registry": {**OWN, field: here}}, {"registry": {**OWN, field: there}}
    return Turn(MINIMAL_CASE, f"registry.{field}", *values)


def _ready(field: str, here: Any, there: Any) -> Turn:
    values = ({**BUILDS, "ready": {"kaniko": {field: value}}} for value in (here, there))
    return Turn(MINIMAL_CASE, f"ready.kaniko.{field}", *values)


GIT, OTHER_GIT = "https://github.com/a/b", "https://github.com/a/c"
TURNS = (
    _turn("cloud", "eks", "gke", invalid=("eks", "gke")),
    _turn("name", "demo", "demo2", refused=("demo ", "demo2")),
    _turn("region", "eu-west-1", "eu-west-2", refused=("eu-west-1", "eu-west-2")),
    _turn("kubernetes", "1.34", "1.35", back=("1.34", "1.35")),
    _turn("network.cidr", "10.0.0.0/16", "10.7.0.0/16", refused=("10.0.0.0/16", "10.7.0.0/16")),
    _turn("network.zones", 2, 3),
    _turn("network.zones", ZONES[:2], ZONES),
    _turn("network.nat", "one", "none", quick=True),
    _turn("network.nat", "per-zone", "none"),
    _turn("network.nat", "one", "per-zone"),
    _turn("network.pods", None, "10.8.0.0/16", invalid=("network.pods", "cannot be set on EKS")),
    _turn(
        "network.services", "10.100.0.0/16", "172.31.0.0/16",
        refused=("10.100.0.0/16", "172.31.0.0/16"),
    ),
    Turn(
        MINIMAL_CASE, "network.existing", {}, {}, prepare=_none_or_existing, refused=("vpc-",)
    ),
    Turn(
        MINIMAL_CASE, "network.existing", {}, {}, prepare=_existing_or_none,
        refused=("vpc-", "change the profile back"),
    ),
    Turn(MINIMAL_CASE, "network.existing.vpc", {}, {}, prepare=_other_vpc, refused=("vpc-",)),
    Turn(MINIMAL_CASE, "network.existing.subnets", {}, {}, prepare=_other_subnets),
    Turn(MINIMAL_CASE, "network.existing.public_subnets", {}, {}, prepare=_public_subnets),
    _turn("endpoint.public", True, False),
    _turn("endpoint.private", True, False, quick=True),
    _turn("endpoint.allowed", None, ["8.8.8.0/24"], quick=True),
    _turn("endpoint.allowed", ["8.8.8.0/24"], ["9.9.9.0/24"]),
    _turn("ssh_key", None, "me.pub", quick=True),
    _turn("ssh_key", "me.pub", "other.pub"),
    _turn("pools", [POOL], [POOL, {**POOL, "name": "more"}]),
    _pool("name", "default", "other"),
    _pool("machine", "m6i.large", "m6i.xlarge"),
    _pool("machine", "m6i.large", {"cpu": 2, "memory": 8}),
    _machine("cpu", 2, 4),
    _machine("memory", 8, 16),
    _machine("arch", "amd64", "arm64"),
    _pool("count", 2, {"min": 1, "max": 4}, quick=True),
    _pool("count", 2, 3),
    _count("min", 1, 2),
    _count("max", 3, 4),
    _pool("disk.size", 80, 120),
    _pool("disk.type", "gp3", "gp2", invalid=("gp3", "gp2")),
    _pool("disk.encrypted", True, False),
    _pool("spot", False, True),
    _pool("labels", {}, {"a": "b"}),
    _pool("labels", {"a": "b"}, {"a": "c"}),
    _pool("taints", [], [TAINT | {"effect": "PreferNoSchedule"}]),
    _taint("key", "build", "test"),
    _taint("value", "yes", ""),
    _taint("effect", "NoSchedule", "NoExecute"),
    _pool("max_unavailable", 1, 2),
    _turn("storage.default", "ssd", "hdd", invalid=("ssd", "hdd")),
    _turn("storage.keep_volumes", False, True),
    _turn("registry", None, OWN, quick=True),
    _registry("name", "demo", "other"),
    _registry("repositories", ["app", "web"], ["app", "job"]),
    _registry("cache", True, False),
    _registry("keep", False, True),
    _registry("push", [], ["a/b", "c/d"]),
    _registry("push", ["a/b"], "node"),
    _registry("cache_days", 14, 3),
    Turn(MINIMAL_CASE, "ready.kaniko", BUILDS, {**BUILDS, "ready.kaniko": {}}),
    _ready("namespace", "kaniko", "builds"),
    _ready("service_account", "kaniko", "builder"),
    Turn(MINIMAL_CASE, "ready.jenkins_x", BUILDS, {**BUILDS, "ready.jenkins_x.git_url": GIT}),
    _turn("ready.jenkins_x.git_url", GIT, OTHER_GIT),
    _turn("tags", {}, {"team": "ci"}, quick=True),
    _turn("tags", {"team": "ci", "a": "b"}, {"team": "ops", "c": "d"}),
    _turn("deletion_protection", False, True),
    _turn("admins", [], [ADMIN], case=ADMINS_CASE),
    _turn("admins", [ADMIN], [OTHER_ADMIN], case=ADMINS_CASE),
    _turn("logging", [], ["api", "audit"], quick=True),
    _turn("logging", ["api"], ["audit"]),
    Turn(
        MINIMAL_CASE, "log_days", {"logging": ["api"], "log_days": 30},
        {"logging": ["api"], "log_days": 90},
    ),
    _turn("support", "standard", "extended"),
)  # fmt: skip
