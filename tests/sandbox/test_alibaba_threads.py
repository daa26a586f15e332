"""Many clients of the emulated Alibaba Cloud at once, and many requests one after the other."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clusterkit_sandbox.alibaba import tasks
from clusterkit_sandbox.alibaba.models import Event
from tests.sandbox.aliyun import REGION, ZONES, Aliyun, account, anew, refused

THREADS = 16


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What each of the threads comes back with."""
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(work, range(THREADS)))


def test_sixteen_clients(cloud: Aliyun) -> None:
    quotas = cloud.cloud.store.conditions.quotas
    quotas |= {"vpc": 100, "eip": 100, "vswitch": 200}

    def ask(product: str, action: str, **parameters: str) -> Any:
        status, body = cloud.rpc(product, action, **parameters)
        assert status == 200, body
        return body

    vpc = ask("vpc", "CreateVpc", CidrBlock="10.0.0.0/8")["VpcId"]

    def life(number: int) -> list[str]:
        made = []
        for turn in range(5):
            vswitch = ask(
                "vpc", "CreateVSwitch", VpcId=vpc, ZoneId=ZONES[0],
                CidrBlock=f"10.{number}.{turn}.0/24",
            )["VSwitchId"]  # fmt: skip
            group = ask("ecs", "CreateSecurityGroup", VpcId=vpc)["SecurityGroupId"]
            ask(
                "ecs", "AuthorizeSecurityGroup", SecurityGroupId=group, IpProtocol="TCP",
                PortRange="22/22", SourceCidrIp="10.0.0.0/8",
            )  # fmt: skip
            card = ask("ecs", "CreateNetworkInterface", VSwitchId=vswitch, SecurityGroupId=group)[
                "NetworkInterfaceId"
            ]
            ask("vpc", "DescribeVSwitches", VpcId=vpc, PageSize="50")
            ask("ecs", "DescribeNetworkInterfaces", VSwitchId=vswitch)
            ask("ecs", "DeleteNetworkInterface", NetworkInterfaceId=card)
            ask("ecs", "DeleteSecurityGroup", SecurityGroupId=group)
            ask("vpc", "DeleteVSwitch", VSwitchId=vswitch)
            made += [vswitch, group, card]
        return made

    before = cloud.cloud.store.counts()
    made = [one for found in at_once(life) for one in found]
    assert len(made) == len(set(made)) == THREADS * 15
    assert cloud.cloud.store.counts() == before


def test_one_of_sixteen_wins(cloud: Aliyun) -> None:
    """A name, a block and a client token are given once, whoever asks at the same time."""
    vpc, vswitches = cloud.network()
    token = str(uuid.uuid4())

    def same(action: str, product: str = "vpc", **parameters: str) -> list[tuple[int, Any]]:
        return at_once(lambda _: cloud.rpc(product, action, **parameters))

    made = same("AllocateEipAddress", ClientToken=token)
    assert len({body["AllocationId"] for _, body in made}) == 1
    blocks = same("CreateVSwitch", VpcId=vpc, ZoneId=ZONES[0], CidrBlock="192.168.9.0/24")
    assert sorted(status for status, _ in blocks) == [200] + [400] * (THREADS - 1)
    names = at_once(lambda _: cloud.roa("POST", "/clusters", cloud.wanted("one", vswitches)))
    assert sorted(status for status, _ in names) == [202] + [400] * (THREADS - 1)


def test_twenty_thousand_requests_ago(cloud: Aliyun) -> None:
    """What was asked in the last quarter of an hour is remembered, and costs the next nothing."""

    def seconds() -> float:
        started = time.perf_counter()
        for _ in range(50):
            assert cloud.rpc("vpc", "DescribeVpcs")[0] == 200
        return time.perf_counter() - started

    fresh = min(seconds() for _ in range(3))
    for number in range(60_000):
        cloud.cloud.store.signatures._once(f"nonce-{number}")
    assert min(seconds() for _ in range(3)) < 5 * fresh


def test_what_is_forgotten(cloud: Aliyun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud.cloud.store.tokens, "most", 3)
    monkeypatch.setattr(cloud.cloud.store.tasks, "most", 10)
    monkeypatch.setattr(tasks, "_EVENTS", 10)
    for number in range(6):
        cloud("vpc:AllocateEipAddress", RegionId=REGION, ClientToken=f"token-{number}")
    assert len(cloud.cloud.store.tokens) == 3
    cluster = cloud.cluster()
    for _ in range(30):
        cloud.done(cloud("cs:ModifyCluster", cluster["cluster_id"])["task_id"])
    store = cloud.cloud.store
    assert len(store.tasks) <= 12
    assert len(list(store.all(Event))) <= 14


@pytest.mark.parametrize("token", ["x" * 65, "a b", "\u00e9"])
def test_tokens_that_cannot_be(cloud: Aliyun, token: str) -> None:
    with refused("InvalidClientToken.ValueNotSupported"):
        cloud("vpc:AllocateEipAddress", RegionId=REGION, ClientToken=token)
