"""Faults, pace and the request log; fault injection through the proxy."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from clusterkit_sandbox.ca import Authority
from clusterkit_sandbox.fault_injection import FaultInjection
from clusterkit_sandbox.faults import Faults, Rule
from clusterkit_sandbox.pace import RECORDED, Pace
from clusterkit_sandbox.proxy import Proxy
from clusterkit_sandbox.requestlog import RequestLog
from tests.sandbox.echo import HOST, Echo


class World:
    """One emulator behind its gate and the proxy, and a client."""

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory)
        self.emulator = Echo()
        self.faults = Faults()
        self.requests = RequestLog()
        gate = FaultInjection(self.emulator, self.faults, self.requests)
        self.proxy = Proxy(authority, lambda _: gate, dict, str)
        self.proxy.start()
        self.client = requests.Session()
        self.client.trust_env = False
        self.client.proxies = {"https": f"http://127.0.0.1:{self.proxy.port}"}
        self.client.verify = str(authority.file)

    def call(self, operation: str) -> int:
        return self.client.post(f"https://{HOST}/{operation}", timeout=10).status_code


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.client.close()
    made.proxy.stop()


@pytest.mark.parametrize(("kind", "status"), [("throttle", 429), ("error", 503)])
def test_a_refused_call_has_no_effect(world: World, kind: str, status: int) -> None:
    world.faults.take(Faults.parse(f"{kind}:echo:Create@2x2"))
    assert [world.call("Create") for _ in range(4)] == [200, status, status, 200]
    assert world.emulator.created == 2


def test_refuse_says_what_it_is_told(world: World) -> None:
    rule = Rule("echo:Create", "refuse", times=1, code="Full", status=409, message="no room")
    world.faults.set([rule])
    answer = world.client.post(f"https://{HOST}/Create", timeout=10)
    assert (answer.status_code, answer.text) == (409, "Full: no room")
    assert world.call("Create") == 200
    assert world.emulator.created == 1
    with pytest.raises(ValueError, match="belong to refuse, not to error"):
        Rule("*", "error", code="Full")


def test_a_lost_answer_has_its_effect(world: World) -> None:
    world.faults.take(Faults.parse("lost:echo:Create@1"))
    with pytest.raises(requests.exceptions.ConnectionError):
        world.call("Create")
    assert world.emulator.created == 1
    assert world.call("Create") == 200
    assert [entry.status for entry in world.requests.entries()] == [0, 200]


def test_a_slow_call_is_slow_and_others_are_not(world: World) -> None:
    world.faults.take(Faults.parse("slow:echo:List*=800ms"))
    started = time.monotonic()
    assert world.call("Describe") == 200
    middle = time.monotonic()
    assert world.call("ListThings") == 200
    assert middle - started < 0.8 <= time.monotonic() - middle
    assert world.requests.entries()[-1].seconds >= 0.8


def test_a_bug_in_an_emulator_is_501_and_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    assert world.call("Crash") == 501
    assert "echo:Crash" in caplog.text
    assert "a bug in the emulator" in caplog.text
    assert world.requests.entries()[-1].status == 501


def test_the_log_knows_what_was_asked_and_no_secret(world: World) -> None:
    world.client.post(
        f"https://{HOST}/Create?signature=hush",
        data="hush",
        headers={"Authorization": "hush", "User-Agent": "tester/1"},
    )
    world.call("Describe")
    assert world.requests.count() == 2
    assert world.requests.count("echo:C*") == 1
    entry = world.requests.entries()[0]
    assert (entry.emulator, entry.operation, entry.status) == ("echo", "echo:Create", 200)
    assert entry.user_agent == "tester/1"
    assert "hush" not in repr(world.requests.entries())
    world.requests.clear()
    assert world.requests.count() == 0
    assert world.requests.entries() == []


def test_the_log_is_bounded_but_counts_on() -> None:
    log = RequestLog()
    for n in range(25_000):
        log.add("echo", f"echo:n{n % 3000}", 200, 0.0, "x" * 1000)
    assert len(log.entries()) == 20_000
    assert len(log.entries()[0].user_agent) == 200
    assert log.count() == 25_000


def test_terminal_is_asked_for_by_the_emulator_alone() -> None:
    faults = Faults.parse("terminal:eks:CreateNodegroup@2")
    assert faults.draw("eks:CreateNodegroup") is None
    asked = [faults.terminal("eks:CreateNodegroup") for _ in range(3)]
    assert asked == [False, True, False]
    assert not faults.terminal("eks:CreateCluster")


def test_the_first_rule_that_hits_wins_and_all_that_match_count() -> None:
    faults = Faults()
    faults.set([Rule("ec2:*", "error", nth=2), Rule("ec2:CreateVpc", "throttle", times=3)])
    kinds = [rule.kind if (rule := faults.draw("ec2:CreateVpc")) else None for _ in range(4)]
    assert kinds == ["throttle", "error", "throttle", None]
    assert faults.draw("ec2:createvpc") is None


def test_a_rate_is_met_and_repeats_with_its_seed() -> None:
    def dice(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add(Rule("*", "throttle", rate=0.2))
        return [faults.draw("ec2:CreateVpc") is not None for _ in range(2000)]

    assert dice(1) == dice(1)
    assert dice(1) != dice(2)
    assert 300 < sum(dice(1)) < 500


def test_setting_starts_the_count_anew() -> None:
    faults = Faults.parse("error@1,pages=1")
    assert faults.draw("a") is not None
    assert faults.draw("a") is None
    faults.set(faults.rules)
    assert faults.draw("a") is not None
    faults.clear()
    assert (faults.rules, faults.page_size) == ((), None)


def test_parse_reads_the_whole_notation() -> None:
    text = (
        "throttle=0.1, lost=0.05,slow:ec2:Describe*=2s,slow=500ms,"
        "terminal:eks:CreateNodegroup@1,error:iam:*=0.5@2x3,pages=1,late:ec2:CreateVpc=3s@1,"
        'refuse:ec2:CreateVpc=VpcLimitExceeded/400/"a, \\"b\\" = c@1"=0.5@2,refuse=gateway/Denied,'
        "refuse:cs:*=service/QPS Limit Exceeded/403,slow=1s=0.5"
    )
    faults = Faults.parse(text)
    assert faults.page_size == 1
    assert faults.rules == (
        Rule("*", "throttle", rate=0.1),
        Rule("*", "lost", rate=0.05),
        Rule("ec2:Describe*", "slow", seconds=2),
        Rule("*", "slow", seconds=0.5),
        Rule("eks:CreateNodegroup", "terminal", nth=1),
        Rule("iam:*", "error", rate=0.5, nth=2, times=3),
        Rule("ec2:CreateVpc", "late", seconds=3, nth=1),
        Rule(
            "ec2:CreateVpc",
            "refuse",
            code="VpcLimitExceeded",
            status=400,
            message='a, "b" = c@1',
            rate=0.5,
            nth=2,
        ),
        Rule("*", "refuse", code="Denied", gateway=True),
        Rule("cs:*", "refuse", code="QPS Limit Exceeded", status=403, gateway=False),
        Rule("*", "slow", seconds=1, rate=0.5),
    )
    again = Faults.parse(str(faults))
    assert again.rules == faults.rules
    assert again.page_size == 1
    assert Faults.parse(" ").rules == ()


@pytest.mark.parametrize(
    ("text", "part", "why"),
    [
        ("throttle=0.1,brake=1", "brake=1", "one of throttle, error, lost, slow, terminal"),
        ("throttle=2", "throttle=2", "between 0 and 1"),
        ("throttle=often", "throttle=often", "like 0.1"),
        ("throttle=nan", "throttle=nan", "between 0 and 1"),
        ("slow", "slow", "needs a duration"),
        ("slow:ec2:*=2", "slow:ec2:*=2", "with its unit"),
        ("slow=9999s", "slow=9999s", "at most 3600"),
        ("error@0", "error@0", "the first call is 1"),
        ("error@1x0", "error@1x0", "at least 1"),
        ("error@x", "error@x", "KIND:OPERATION=VALUE@NTHxTIMES"),
        ("pages=0", "pages=0", "like pages=1"),
        ("pages", "pages", "like pages=1"),
        ("error,,lost", "", "between two commas"),
        ("late:ec2:*", "late:ec2:*", "late needs a duration"),
        ("refuse:ec2:*", "refuse:ec2:*", "refuse needs an error"),
        ("refuse=Conflict/200", "refuse=Conflict/200", "between 400 and 599"),
        ("refuse=Conflict/x", "refuse=Conflict/x", "refuse needs an error"),
        ('refuse=Conflict/"x', 'refuse=Conflict/"x', "not understood"),
        ('refuse=Conflict/"\\x"', 'refuse=Conflict/"\\x"', "not a JSON string"),
        ("refuse=<b>", "refuse=<b>", "is not an error code"),
        ("throttle=0.1=0.2", "throttle=0.1=0.2", "too many values"),
        ("Error", "Error", "KIND:OPERATION=VALUE@NTHxTIMES"),
    ],
)
def test_mistakes_name_the_part_and_the_cure(text: str, part: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"^fault ") as raised:
        Faults.parse(text)
    assert repr(part) in str(raised.value)
    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("text", "factor"), [("60", 60), ("1", 1), ("0.5", 0.5), (" MAX ", math.inf)]
)
def test_pace_reads_what_it_writes(text: str, factor: float) -> None:
    pace = Pace.parse(text)
    assert pace.factor == factor
    assert Pace.parse(str(pace)) == pace


@pytest.mark.parametrize("text", ["", "0", "-1", "fast", "inf", "nan", "1e400"])
def test_pace_refuses_the_rest(text: str) -> None:
    with pytest.raises(ValueError, match=r"pace .*like 60 or 1"):
        Pace.parse(text)
    with pytest.raises(ValueError, match="greater than 0"):
        Pace(0)


def test_pace_divides_what_is_recorded() -> None:
    assert Pace(60).seconds("eks/cluster/create") == 9
    assert Pace(1).scaled(7) == 7
    assert all(Pace(math.inf).seconds(what) == 0 for what in RECORDED)
    with pytest.raises(KeyError, match="eks/cluster/paint"):
        Pace(1).seconds("eks/cluster/paint")


def test_every_duration_says_how_far_to_trust_it() -> None:
    for what, recorded in RECORDED.items():
        assert recorded.seconds > 0, what
        assert recorded.source.startswith(("vendor:", "logs:", "estimate")), what
