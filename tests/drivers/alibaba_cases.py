"""Alibaba Cloud profiles for the generic suite."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tests.drivers import profiles
from tests.drivers.alibaba import Account, inventory
from tests.drivers.world import Case, Edits, World, edited, occupy

REGION = "ap-southeast-1"
INSTANCE = "cri-sandbox000000001"
"""the Enterprise Edition instance every account of the sandbox has"""

MINIMAL: Mapping[str, Any] = {
    "cloud": "alibaba",
    "name": "demo",
    "region": REGION,
    "pools": [{"name": "default", "machine": "ecs.g7.xlarge"}],
}

FULL: Mapping[str, Any] = {
    **MINIMAL,
    "network": {"cidr": "10.20.0.0/16", "zones": 3},
    "ssh_key": "me.pub",
    "endpoint": {"allowed": ["8.8.8.0/24"]},
    "pools": [
        profiles.BUILD,
        {"name": "small", "machine": {"cpu": 2, "memory": 8}, "count": 1},
    ],
    "tags": {"team": "ci"},
}


def _activated(world: World) -> Edits:
    """What ``up --activate`` does: a new account lacks some service roles."""
    world.cloud.activate(world.profile, world.clients())
    return {}


def _scaling(world: World) -> Edits:
    """The changes make a pool that scales."""
    scaling = world.load(edited(MINIMAL, {"pools.0.count": {"min": 1, "max": 2}}))
    assert world.cloud.activate(scaling, world.clients())  # pools that scale need one more role
    return {}


def _available(account: Account, noun: str, **which: str) -> None:
    """Wait until these are no longer ``Pending``."""
    plural = f"{noun}es" if noun == "VSwitch" else f"{noun}s"
    while any(
        each["Status"] != "Available"
        for each in account.every(f"vpc:Describe{plural}", plural, noun, **which)
    ):
        time.sleep(0.05)


def _vpc(world: World) -> Edits:
    """A VPC of somebody else, with VSwitches in two zones."""
    account = Account(world)
    vpc = account("vpc:CreateVpc", CidrBlock="10.9.0.0/16")["VpcId"]
    _available(account, "Vpc", VpcId=vpc)
    vswitches = [
        account(
            "vpc:CreateVSwitch", VpcId=vpc, ZoneId=f"{REGION}{zone}", CidrBlock=f"10.9.{index}.0/24"
        )["VSwitchId"]
        for index, zone in enumerate("ab")
    ]
    _available(account, "VSwitch", VpcId=vpc)
    return {**_activated(world), "network": {"existing": {"vpc": vpc, "vswitches": vswitches}}}


def _twins(world: World) -> None:
    """Things that look like ours: the names, but not the mark."""
    account = Account(world)
    vpc = account("vpc:CreateVpc", CidrBlock="10.0.0.0/16", VpcName="clusterkit-demo-main")["VpcId"]
    account("vpc:CreateVSwitch", VpcId=vpc, ZoneId=f"{REGION}a", CidrBlock="10.0.0.0/24")
    account("ecs:CreateDisk", ZoneId=f"{REGION}a", Size=20, DiskCategory="cloud_essd")
    account("ecs:CreateSecurityGroup", SecurityGroupName="demo", VpcId=vpc)
    account("vpc:AllocateEipAddress")


def _foreign_repository(world: World) -> None:
    """A repository of somebody else in the very namespace."""
    account = Account(world)
    account.personal("PUT", "/namespace", {"Namespace": {"Namespace": "demo"}})
    body = {"Namespace": {"AutoCreate": True, "DefaultVisibility": "PRIVATE"}}
    account.personal("POST", "/namespace/demo", body)
    repo = {"RepoNamespace": "demo", "RepoName": "old", "RepoType": "PRIVATE", "Summary": "mine"}
    account.personal("PUT", "/repos", {"Repo": repo})


def _open_to_the_internet(world: World) -> Edits:
    """The instance's public endpoint, which is off at first; the role to pull with."""
    where = {"InstanceId": INSTANCE, "EndpointType": "internet"}
    Account(world)("cr:UpdateInstanceEndpointStatus", **where, Enable=True)
    return _activated(world)


UNMARKED = (
    "classic-load-balancer",
    "disk",
    "eip",
    "instance",
    "network-interface",
    "role",
    "security-group",
)
"""the machines and their role, the API server's load balancer and address"""

MINIMAL_CASE = Case(
    cloud="alibaba",
    label="minimal",
    profile=MINIMAL,
    prepare=_scaling,
    look=inventory,
    unmarked=UNMARKED,
    twins=_twins,
    busy=occupy,
    used=("disk", "network-load-balancer"),
    terminal=(("cs:CreateCluster", "cluster/demo"), ("cs:CreateClusterNodePool", "node-pool/")),
    changes=(
        *profiles.SIZES,
        *profiles.one_more(MINIMAL, "ecs.c7.xlarge"),
        ("endpoint", {"endpoint": {"allowed": ["8.8.8.0/24"]}}),
        *profiles.WAY_OUT,
        ("key", {"ssh_key": "me.pub"}),
        *profiles.TAGS,
        *profiles.PROTECTION,
    ),
    refused=(
        ("cidr", {"network.cidr": "10.7.0.0/16"}, "vpc/main"),
        ("services", {"network.services": "172.31.0.0/16"}, "cluster/demo"),
    ),
)

FULL_CASE = Case(
    cloud="alibaba",
    label="full",
    apiece=("ecs:DescribeAvailableResource",),
    profile=FULL,
    prepare=_activated,
    look=inventory,
    unmarked=UNMARKED,
    changes=(
        *profiles.TAGS,
        *profiles.POOLS,
        ("key", {"ssh_key": "other.pub"}),
    ),
)

EXISTING_CASE = Case(
    cloud="alibaba",
    label="existing",
    profile={**MINIMAL, "kubernetes": "1.34"},
    look=inventory,
    unmarked=UNMARKED,
    prepare=_vpc,
    changes=(("count", {"pools.0.count": 3}), ("version", {"kubernetes": "1.35"})),
)

TERWAY_CASE = Case(
    cloud="alibaba",
    label="terway",
    profile={**MINIMAL, "network": {"plugin": "terway"}, "edition": "standard"},
    look=inventory,
    unmarked=UNMARKED,
    prepare=_activated,
    changes=(("labels", {"pools.0.labels": {"a": "b"}}),),
)

REPOSITORIES: Mapping[str, Any] = {"name": "demo", "repositories": ["app", "web"], "keep": False}
BUILDS = {"ready": {"kaniko": {}, "jenkins_x": {"git_url": "https://github.com/a/b"}}}

PERSONAL_CASE = Case(
    cloud="alibaba",
    label="personal-registry",
    profile={**MINIMAL, **BUILDS, "registry": REPOSITORIES},
    look=inventory,
    unmarked=(*UNMARKED, "policy"),
    prepare=_activated,
    twins=_foreign_repository,
    changes=(
        ("another repository", {"registry.repositories": ["app", "job"]}),
        ("kept", {"registry.keep": True}),
        ("not kept", {"registry.keep": False}),
        (
            "its host name",
            {"registry.host": "crpi-0123456789abcdef.ap-southeast-1.personal.cr.aliyuncs.com"},
        ),
        ("with a secret", {"registry.push": "secret"}),
    ),
)

ENTERPRISE_CASE = Case(
    cloud="alibaba",
    label="enterprise-registry",
    profile={**MINIMAL, **BUILDS, "registry": {**REPOSITORIES, "instance": INSTANCE}},
    look=inventory,
    unmarked=(*UNMARKED, "policy"),
    prepare=_open_to_the_internet,
    changes=(
        ("another repository", {"registry.repositories": ["app", "job"]}),
        ("kept", {"registry.keep": True}),
        ("not kept", {"registry.keep": False}),
    ),
)

MIRROR_CASE = Case(
    cloud="alibaba",
    label="mirror",
    profile={**MINIMAL, "mirror": "registry.example.com/mirror"},
    look=inventory,
    unmarked=UNMARKED,
    prepare=_activated,
    changes=(("another mirror", {"mirror": "other.example.com"}), ("no mirror", {"mirror": None})),
)

SCALING_CASE = Case(
    cloud="alibaba",
    label="scaling",
    profile={**MINIMAL, **profiles.scaling("ecs.g7.xlarge", "ecs.g7.xlarge", "ecs.g6.xlarge")},
    prepare=_scaling,
    look=inventory,
    unmarked=UNMARKED,
    changes=(
        ("other types", {"pools.1.machine": ["ecs.g6.xlarge", "ecs.g7.xlarge"]}),
        ("fixed", {"pools.0.count": 2, "pools.1.count": 1}),
        ("a range again", {"pools.1.count": {"min": 0, "max": 2}}),
    ),
)

CASES = (
    MINIMAL_CASE, FULL_CASE, EXISTING_CASE, TERWAY_CASE, ENTERPRISE_CASE, MIRROR_CASE,
    PERSONAL_CASE, SCALING_CASE,
)  # fmt: skip
