"""Two values of every field of an Alibaba Cloud profile."""

from __future__ import annotations

from dataclasses import replace

from tests.drivers.alibaba import Account
from tests.drivers.alibaba_cases import ENTERPRISE_CASE, INSTANCE, MINIMAL, MINIMAL_CASE, REGION
from tests.drivers.fields import OWN, Fields, Subnets, Turn
from tests.drivers.world import World, edited

CASE = replace(MINIMAL_CASE, prepare=lambda _: {})
INSTANCE_CASE = replace(ENTERPRISE_CASE, profile=MINIMAL)
OWN_CASE = replace(INSTANCE_CASE, profile={**MINIMAL, "registry": OWN})
TERWAY_CASE = replace(CASE, profile={**MINIMAL, "network": {"plugin": "terway"}})


def _existing(world: World) -> tuple[str, list[str]]:
    """A VPC of somebody else with four VSwitches in two zones."""
    account = Account(world)
    vpc = str(account("vpc:CreateVpc", CidrBlock="10.9.0.0/16")["VpcId"])
    vswitches = []
    for index, zone in enumerate("abab"):
        wanted = {"ZoneId": f"{REGION}{zone}", "CidrBlock": f"10.9.{index}.0/24"}
        vswitches.append(str(account("vpc:CreateVSwitch", VpcId=vpc, **wanted)["VSwitchId"]))
    return vpc, vswitches


HOST = f"crpi-0123456789abcdef.{REGION}.personal.cr.aliyuncs.com"
FIELDS = Fields(CASE, {"cpu": 4, "memory": 16, "arch": "amd64"})
TURNS = (
    *(turn for turn in FIELDS.shared() if turn.field != "ready.jenkins_x.secrets"),
    FIELDS.jenkins_x("secrets", "local", "vault"),
    FIELDS.jenkins_x("secrets", "local", "cloud", invalid=("ready.jenkins_x.secrets", "cloud")),
    *Subnets(CASE, _existing, "vswitches", "pod_vswitches", TERWAY_CASE).turns(),
    FIELDS.turn("cloud", "alibaba", "azure", invalid=("alibaba", "azure")),
    FIELDS.turn("region", REGION, "eu-central-1", refused=(REGION, "eu-central-1")),
    FIELDS.turn("resource_group", None, "rg-acfmsandbox00000", refused=("rg-acfmsandbox00000",)),
    FIELDS.turn("network.zones", [f"{REGION}a"], [f"{REGION}a", f"{REGION}b"]),
    FIELDS.turn(
        "network.pods", "172.20.0.0/16", "172.24.0.0/16", refused=("172.20.0.0", "172.24.0.0")
    ),
    FIELDS.turn(
        "network.services", "172.21.0.0/20", "172.31.0.0/16", refused=("172.21.0.0", "172.31.0.0")
    ),
    FIELDS.turn("network.plugin", "flannel", "terway", refused=("172.20.0.0/16", "none")),
    FIELDS.turn("endpoint.public", True, False, back=("public endpoint",)),
    FIELDS.turn(
        "endpoint.private", True, False, invalid=("endpoint.private", "cannot be false on ACK")
    ),
    FIELDS.pool("machine", "ecs.g7.xlarge", "ecs.c7.xlarge"),
    FIELDS.pool("machine", "ecs.g7.xlarge", {"cpu": 4, "memory": 16}),
    FIELDS.machine("cpu", 4, 8),
    FIELDS.machine("memory", 16, 32),
    # one zone has both
    Turn(
        replace(CASE, profile=edited(MINIMAL, {"network.zones": [f"{REGION}c"]})),
        "pools.machine.arch",
        FIELDS.sized("arch", "amd64"),
        FIELDS.sized("arch", "arm64"),
    ),
    FIELDS.pool("disk.type", "cloud_essd", "cloud_auto"),
    FIELDS.pool("disk.encrypted", False, True),
    FIELDS.registry("push", ["a/b"], ["a/c"]),
    FIELDS.turn("registry.instance", None, INSTANCE, case=OWN_CASE),
    FIELDS.turn(
        "registry", None, {**OWN, "push": ["a/b"], "instance": INSTANCE}, case=INSTANCE_CASE
    ),
    FIELDS.registry("host", None, HOST),
    FIELDS.turn("edition", "pro", "standard", refused=("ack.pro.small", "ack.standard")),
    FIELDS.turn("mirror", None, "registry.example.com/mirror"),
    FIELDS.turn("mirror", "registry.example.com/mirror", "other.example.com"),
)
