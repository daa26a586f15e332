"""Sizes to types in stock, versions to patches: what preflight decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from clusterkit import alibaba
from clusterkit.alibaba.activation import ROLES
from clusterkit.alibaba.machine_types import machine_types, stock
from clusterkit.alibaba.preflight import SEVERAL, Offered, choose_version
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.engine.preflight import Known, Offers, Report, choose
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import Finding, PreflightError
from clusterkit.profile.model import Machine, Pool
from tests.unit.loopback import Heard, Loopback, loopback

ENVIRON = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "k", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s"}


def described(name: str, cpu: int, memory: float, architecture: str = "X86", gpus: int = 0) -> Any:
    return {
        "InstanceTypeId": name,
        "CpuCoreCount": cpu,
        "MemorySize": memory,
        "CpuArchitecture": architecture,
        "GPUAmount": gpus,
    }


TYPES = [
    described("ecs.c7.xlarge", 4, 8),
    described("ecs.c6.xlarge", 4, 8),
    described("ecs.c8y.xlarge", 4, 8, "ARM"),
    described("ecs.g7.xlarge", 4, 16),
    described("ecs.g8i.xlarge", 4, 16),
    described("ecs.t6.xlarge", 4, 8),
    described("ecs.gn7i.xlarge", 4, 8),
    described("ecs.g9.xlarge", 4, 8, gpus=1),
    described("ecs.ebmg7.32xlarge", 4, 8),
    described("ecs.u1-c1m8.xlarge", 4, 32),
    described("ecs.e-c1m1.xlarge", 4, 4),
]


class Account:
    """Answers by operation."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []

    def __call__(self, heard: Heard) -> tuple[int, bytes]:
        url = urlsplit(heard.path)
        operation = parse_qs(url.query).get("Action", [url.path])[0]
        self.asked.append(operation)
        found = self.answers.get(operation, {})
        status = 400 if "code" in found else 200
        return status, json.dumps(found).encode()


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def server(tmp_path: Path, account: Account) -> Iterator[Loopback]:
    with loopback(tmp_path, account) as found:
        yield found


def connect(server: Loopback) -> Any:
    target = Target("alibaba", "demo", "ap-southeast-1")
    return alibaba.connect(target, CloudConnection(server.proxy, server.ca_file, ENVIRON))


@pytest.mark.parametrize(
    ("machine", "names"),
    [
        (Machine(cpu=4, memory=8), ["ecs.c7.xlarge", "ecs.c6.xlarge", "ecs.t6.xlarge"]),
        (Machine(cpu=4, memory=9), ["ecs.g8i.xlarge", "ecs.g7.xlarge"]),
        (Machine(cpu=2, memory=4, arch="arm64"), ["ecs.c8y.xlarge"]),
        (Machine(cpu=4, memory=17), ["ecs.u1-c1m8.xlarge"]),
        (Machine(cpu=8, memory=4), []),
        ("ecs.gn7i.xlarge", ["ecs.gn7i.xlarge"]),
        ("ecs.e-c1m1.xlarge", ["ecs.e-c1m1.xlarge"]),
    ],
)
def test_the_smallest_of_the_newest_comes_first(
    server: Loopback, account: Account, machine: Machine | str, names: list[str]
) -> None:
    account.answers["DescribeInstanceTypes"] = {"InstanceTypes": {"InstanceType": TYPES}}
    pool = Pool(name="default", machine=machine)
    types = [
        kind._replace(zones=frozenset("ab")) for kind in machine_types(connect(server), {machine})
    ]
    report = Report()
    offers = Offers(frozenset("ab"), {"default": types})
    choice = choose([pool], 2, offers, Known(), report, several={"default": SEVERAL[False]})
    assert [kind.name for kind in choice.types.get("default", ())] == names
    assert bool(report.errors) == (not names)


def test_stock_is_what_can_be_had_today(server: Loopback, account: Account) -> None:
    def zone(name: str, **types: tuple[str, str]) -> Any:
        items = [
            {"Value": f"ecs.{key}.xlarge", "Status": status, "StatusCategory": category}
            for key, (status, category) in types.items()
        ]
        resource = {"Type": "InstanceType", "SupportedResources": {"SupportedResource": items}}
        return {"ZoneId": name, "AvailableResources": {"AvailableResource": [resource]}}

    here, out, gone = (
        ("Available", "WithStock"),
        ("Available", "ClosedWithoutStock"),
        ("SoldOut", "WithoutStock"),
    )
    zones = [zone("a", g7=here, c7=here, c6=out), zone("b", g7=here, c7=gone)]
    account.answers["DescribeAvailableResource"] = {"AvailableZones": {"AvailableZone": zones}}
    found = stock(connect(server), "cloud_essd", spot=False)
    assert found == {"ecs.g7.xlarge": {"a", "b"}, "ecs.c7.xlarge": {"a"}}


PROFILE = {
    "cloud": "alibaba",
    "name": "demo",
    "region": "ap-southeast-1",
    "pools": [{"name": "default", "machine": "ecs.g7.xlarge"}],
}


def version(cluster: Any, **more: Any) -> tuple[str, list[Finding]]:
    profile, report = AlibabaProfile.model_validate({**PROFILE, **more}), Report()
    return choose_version(profile, cluster, OFFERED, report), report.errors


OFFERED = [
    Offered(version, None)
    for version in ("1.34.10-aliyun.1", "1.36.2-aliyun.1", "1.35.7-aliyun.1", "1.36.10-aliyun.1")
]


def test_a_minor_version_becomes_its_newest_patch() -> None:
    assert version(None) == ("1.36.10-aliyun.1", [])
    assert version(None, kubernetes="1.35") == ("1.35.7-aliyun.1", [])
    _, (refused,) = version(None, kubernetes="1.31")
    assert refused.hint == "choose from 1.36, 1.35, 1.34"


def test_an_existing_cluster_keeps_its_patch() -> None:
    there = "1.35.1-aliyun.1"
    assert version(there) == ("1.35.1-aliyun.1", [])
    assert version(there, kubernetes="1.35") == ("1.35.1-aliyun.1", [])
    assert version(there, kubernetes="1.36") == ("1.36.10-aliyun.1", [])


def test_an_account_without_the_service_is_told_what_to_do(
    server: Loopback, account: Account
) -> None:
    profile = AlibabaProfile.model_validate(PROFILE)
    account.answers["GetCallerIdentity"] = {"AccountId": "1"}
    check = "/ram/check-service-role"
    account.answers[check] = {"code": "ErrorNotEnabled", "message": "please enable cskpro"}
    with pytest.raises(PreflightError, match="is not activated") as caught:
        alibaba.preflight(profile, connect(server))
    assert "clusterkit up --activate" in caught.value.findings[0].hint
    roles = [{"name": name, "granted": name != ROLES[2]} for name in ROLES]
    account.answers[check] = {"roles": roles}
    with pytest.raises(PreflightError, match=f"lacks service roles: {ROLES[2]}$"):
        alibaba.preflight(profile, connect(server))
    changing = {"CreateRole", "AttachPolicyToRole", "/service/open"}
    assert not changing & set(account.asked)  # never silently
    account.answers["/service/open"] = {"code": "ORDER.OPEND", "message": "open already"}
    done = alibaba.activate(profile, connect(server))
    assert done == [f"made the service role {ROLES[2]}"]
    assert changing <= set(account.asked)
