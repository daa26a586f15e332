"""Two values of every field of an Alibaba Cloud profile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.drivers.alibaba import Account
from tests.drivers.alibaba_cases import ENTERPRISE_CASE, INSTANCE, MINIMAL, MINIMAL_CASE, REGION
from tests.drivers.fields import Turn
from tests.drivers.world import Case, Edits, World, edited

POOL = MINIMAL["pools"][0]
TAINT = {"key": "build", "value": "yes", "effect": "NoSchedule"}
OWN = {"name": "demo", "repositories": ["app"], "keep": False}
BUILDS = {"registry": {**OWN, "push": ["a/b"]}}
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


def _network(vpc: str, vswitches: list[str], pods: list[str] | None = None) -> Edits:
    existing = {"vpc": vpc, "vswitches": vswitches}
    return {"network.existing": existing | ({"pod_vswitches": pods} if pods else {})}


def _none_or_existing(world: World) -> tuple[Edits, Edits]:
    vpc, vswitches = _existing(world)
    return {}, _network(vpc, vswitches[:2])


def _existing_or_none(world: World) -> tuple[Edits, Edits]:
    none, existing = _none_or_existing(world)
    return existing, none


def _other_vpc(world: World) -> tuple[Edits, Edits]:
    (vpc, vswitches), (other, others) = _existing(world), _existing(world)
    return _network(vpc, vswitches[:2]), _network(other, others[:2])


def _other_vswitches(world: World) -> tuple[Edits, Edits]:
    vpc, vswitches = _existing(world)
    return _network(vpc, vswitches[:2]), _network(vpc, vswitches[2:])


def _pod_vswitches(world: World) -> tuple[Edits, Edits]:
    vpc, vswitches = _existing(world)
    return _network(vpc, vswitches[:2], vswitches[2:3]), _network(vpc, vswitches[:2], vswitches[2:])


def _turn(field: str, here: Any, there: Any, *, case: Case = CASE, **more: Any) -> Turn:
    """Of a field that has just these two values; None is its default."""
    return Turn(case, field, {field: here}, {field: there}, **more)


def _pool(field: str, here: Any, there: Any, **more: Any) -> Turn:
    """Of a field of the only pool."""
    at = f"pools.0.{field}"
    return Turn(CASE, f"pools.{field}", {at: here}, {at: there}, **more)


def _size(field: str, value: Any) -> Edits:
    return {"pools.0.machine": {"cpu": 4, "memory": 16, "arch": "amd64"} | {field: value}}


def _machine(field: str, here: Any, there: Any) -> Turn:
    return Turn(CASE, f"pools.machine.{field}", _size(field, here), _size(field, there))


def _count(field: str, here: int, there: int) -> Turn:
    at, scaling = "pools.0.count", {"min": 1, "max": 3}
    values = {at: scaling | {field: here}}, {at: scaling | {field: there}}
    return Turn(CASE, f"pools.count.{field}", *values)


def _taint(field: str, here: Any, there: Any) -> Turn:
    """Another pool without taints lets the cluster's own pods run."""

    def pools(value: Any) -> Edits:
        return {"pools": [POOL, {**POOL, "name": "build", "taints": [TAINT | {field: value}]}]}

    return Turn(CASE, f"pools.taints.{field}", pools(here), pools(there))


def _registry(field: str, here: Any, there: Any) -> Turn:
    values = {"registry": {**OWN, field: here}}, {"registry": {**OWN, field: there}}
    return Turn(CASE, f"registry.{field}", *values)


def _ready(field: str, here: Any, there: Any) -> Turn:
    values = ({**BUILDS, "ready": {"kaniko": {field: value}}} for value in (here, there))
    return Turn(CASE, f"ready.kaniko.{field}", *values)


GIT, OTHER_GIT = "https://github.com/a/b", "https://github.com/a/c"
HOST = f"crpi-0123456789abcdef.{REGION}.personal.cr.aliyuncs.com"
TURNS = (
    _turn("cloud", "alibaba", "gke", invalid=("alibaba", "gke")),
    _turn("name", "demo", "demo2", refused=("demo ", "demo2")),
    _turn("region", REGION, "eu-central-1", refused=(REGION, "eu-central-1")),
    _turn("kubernetes", "1.34", "1.35", back=("1.34", "1.35")),
    _turn("network.cidr", "10.0.0.0/16", "10.7.0.0/16", refused=("10.0.0.0/16", "10.7.0.0/16")),
    _turn("network.zones", 2, 3),
    _turn("network.zones", [f"{REGION}a"], [f"{REGION}a", f"{REGION}b"]),
    _turn("network.nat", "one", "none", quick=True),
    _turn("network.pods", "172.20.0.0/16", "172.24.0.0/16", refused=("172.20.0.0", "172.24.0.0")),
    _turn(
        "network.services", "172.21.0.0/20", "172.31.0.0/16", refused=("172.21.0.0", "172.31.0.0")
    ),
    _turn("network.plugin", "flannel", "terway", refused=("172.20.0.0/16", "none")),
    Turn(CASE, "network.existing", {}, {}, prepare=_none_or_existing, refused=("vpc-",)),
    Turn(
        CASE, "network.existing", {}, {}, prepare=_existing_or_none,
        refused=("vpc-", "change the profile back"),
    ),
    Turn(CASE, "network.existing.vpc", {}, {}, prepare=_other_vpc, refused=("vpc-",)),
    Turn(CASE, "network.existing.vswitches", {}, {}, prepare=_other_vswitches),
    Turn(TERWAY_CASE, "network.existing.pod_vswitches", {}, {}, prepare=_pod_vswitches),
    _turn("endpoint.public", True, False, back=("public endpoint",)),
    _turn("endpoint.private", True, False, invalid=("endpoint.private", "cannot be false on ACK")),
    _turn("endpoint.allowed", None, ["8.8.8.0/24"], quick=True),
    _turn("endpoint.allowed", ["8.8.8.0/24"], ["9.9.9.0/24"]),
    _turn("ssh_key", None, "me.pub", quick=True),
    _turn("ssh_key", "me.pub", "other.pub"),
    _turn("pools", [POOL], [POOL, {**POOL, "name": "more"}]),
    _pool("name", "default", "other"),
    _pool("machine", "ecs.g7.xlarge", "ecs.c7.xlarge"),
    _pool("machine", "ecs.g7.xlarge", {"cpu": 4, "memory": 16}),
    _machine("cpu", 4, 8),
    _machine("memory", 16, 32),
    # one zone has both
    Turn(
        replace(CASE, profile=edited(MINIMAL, {"network.zones": [f"{REGION}c"]})),
        "pools.machine.arch", _size("arch", "amd64"), _size("arch", "arm64"),
    ),
    _pool("count", 2, {"min": 1, "max": 4}, quick=True),
    _pool("count", 2, 3),
    _count("min", 1, 2),
    _count("max", 3, 4),
    _pool("disk.size", 80, 120),
    _pool("disk.type", "cloud_essd", "cloud_auto"),
    _pool("disk.encrypted", False, True),
    _pool("spot", False, True),
    _pool("labels", {}, {"a": "b"}),
    _pool("labels", {"a": "b"}, {"a": "c"}),
    _pool("taints", [], [TAINT | {"effect": "PreferNoSchedule"}]),
    _taint("key", "build", "test"),
    _taint("value", "yes", ""),
    _taint("effect", "NoSchedule", "NoExecute"),
    _turn("storage.default", "ssd", "hdd", invalid=("ssd", "hdd")),
    _turn("storage.keep_volumes", False, True),
    _turn("registry", None, OWN, quick=True),
    _registry("name", "demo", "other"),
    _registry("repositories", ["app", "web"], ["app", "job"]),
    _registry("cache", True, False),
    _registry("keep", False, True),
    _registry("push", [], ["a/b", "c/d"]),
    _registry("push", ["a/b"], ["a/c"]),
    _turn("registry.instance", None, INSTANCE, case=OWN_CASE),
    _turn("registry", None, {**OWN, "push": ["a/b"], "instance": INSTANCE}, case=INSTANCE_CASE),
    _registry("host", None, HOST),
    Turn(CASE, "ready.kaniko", BUILDS, {**BUILDS, "ready.kaniko": {}}),
    _ready("namespace", "kaniko", "builds"),
    _ready("service_account", "kaniko", "builder"),
    Turn(CASE, "ready.jenkins_x", BUILDS, {**BUILDS, "ready.jenkins_x.git_url": GIT}),
    _turn("ready.jenkins_x.git_url", GIT, OTHER_GIT),
    _turn("tags", {}, {"team": "ci"}, quick=True),
    _turn("tags", {"team": "ci", "a": "b"}, {"team": "ops", "c": "d"}),
    _turn("deletion_protection", False, True),
    _turn("edition", "pro", "standard", refused=("ack.pro.small", "ack.standard")),
    _turn("mirror", None, "registry.example.com/mirror"),
    _turn("mirror", "registry.example.com/mirror", "other.example.com"),
)  # fmt: skip
