"""What the account may not have, and how failures for want of money or identity are explained."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from clusterkit import alibaba
from clusterkit.alibaba.cluster import ClusterState
from clusterkit.alibaba.errors import cure, refusal
from clusterkit.alibaba.nodes import NodePoolState
from clusterkit.alibaba.quota import check_quota
from clusterkit.engine.preflight import Report
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import Denied, PaymentRequired
from tests.unit.loopback import Heard, Loopback, loopback

ENVIRON = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "k", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Loopback]:
    with loopback(tmp_path, lambda heard: (200, b"{}")) as found:
        yield found


def checked(
    server: Loopback,
    answer: Any,
    status: int = 200,
    *,
    needed: Mapping[bool, int] | None = None,
    region: str = "cn-hangzhou",
) -> Report:
    server.answer = lambda heard: (status, json.dumps(answer).encode())
    target = Target("alibaba", "demo", region)
    clients = alibaba.connect(target, CloudConnection(server.proxy, server.ca_file, ENVIRON))
    report = Report()
    check_quota(clients, needed or {False: 0}, report)
    return report


def shown(values: Mapping[str, str]) -> Any:
    """As the vendor's page has it."""
    items = [
        {"AttributeName": name, "AttributeValues": {"ValueItem": [{"Value": value}]}}
        for name, value in values.items()
    ]
    return {"AccountAttributeItems": {"AccountAttributeItem": items}}


def _names(heard: Heard) -> list[str]:
    query = parse_qs(urlsplit(heard.path).query)
    return [query[key][0] for key in sorted(query) if key.startswith("AttributeName.")]


def test_one_call_asks_for_all(server: Loopback) -> None:
    checked(server, shown({}))
    checked(server, shown({}), needed={False: 0, True: 0})
    first, second = (_names(heard) for heard in server.heard)
    assert first == [
        "real-name-authentication",
        "max-postpaid-instance-vcpu-count",
        "used-postpaid-instance-vcpu-count",
    ]
    assert second == [*first, "max-spot-instance-vcpu-count", "used-spot-instance-vcpu-count"]


@pytest.mark.parametrize(
    ("value", "right"), [("yes", True), ("unnecessary", True), ("none", False), ("", True)]
)
def test_a_verified_identity(server: Loopback, value: str, right: bool) -> None:
    told = shown({"real-name-authentication": value})
    found = checked(server, told).errors
    assert (not found) == right
    assert all("verify the account's identity" in finding.hint for finding in found)
    assert not checked(server, told, region="ap-southeast-1").errors


@pytest.mark.parametrize(
    ("most", "used", "needed", "spot", "right"),
    [
        ("100", "90", 10, False, True),
        ("100", "90", 11, False, False),
        ("100", "90", 11, True, True),  # of spot machines nothing is told
        ("100", "120", 0, False, True),  # nothing more is wanted
        ("", "", 10**6, False, True),
        ("many", "few", 10**6, False, True),
    ],
)
def test_the_quota_of_processors(
    server: Loopback, most: str, used: str, needed: int, spot: bool, right: bool
) -> None:
    kind = "postpaid-instance-vcpu-count"
    told = shown({f"max-{kind}": most, f"used-{kind}": used})
    report = checked(server, told, needed={spot: needed})
    assert (not report.errors) == right
    assert not report.warnings
    for finding in report.errors:
        assert "need 11 more pay-as-you-go vCPUs; 90 of 100 are in use" in finding.what
        assert "Quota Center" in finding.hint


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (403, {"Code": "Forbidden.RAM", "Message": "not authorized"}),
        (400, {"Code": "InvalidParameter", "Message": "AttributeName"}),
        (503, {"Code": "ServiceUnavailable", "Message": "later"}),
    ],
)
def test_what_cannot_be_asked_is_a_warning(server: Loopback, status: int, answer: Any) -> None:
    report = checked(server, answer, status, needed={False: 10**6})
    (warning,) = report.warnings
    assert "cannot check the verified identity and the vCPU quota" in warning.what
    assert not report.errors


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("InvalidAccountStatus.NotEnoughBalance", "balance does not suffice"),
        ("RISK.RISK_CONTROL_REJECTION", "balance does not suffice"),
        ("PAY.INSUFFICIENT_BALANCE", "balance does not suffice"),
        ("Account.Arrearage", "balance does not suffice"),
        ("RealNameAuthenticationError", "verify the account's identity"),
    ],
)
def test_want_of_money_is_explained_wherever_it_shows(code: str, words: str) -> None:
    error = refusal("ECS.RunInstances", 403, code, "no", "R")
    assert isinstance(error, PaymentRequired | Denied)
    assert words in error.hint
    told = f"CreateNodePoolFailed: fail to scale out: {code}: Your account does not have enough"
    pool = NodePoolState(
        id="np1", cluster="c1", phase="active", automatic=False, minimum=1, maximum=1, labels={},
        taints=frozenset(), types=(), nodes=1, healthy=0, failed=1, told=told,
    )  # fmt: skip
    assert words in pool.hint
    cluster = ClusterState(
        id="c1", name="demo", status="failed", version="", spec="", vpc="", vswitches=frozenset(),
        security_group="", pods="", services="", public=True, protected=False, reason=told,
    )  # fmt: skip
    assert words in cluster.hint


def test_a_quota_a_pool_ran_into() -> None:
    told = "CreateNodePoolFailed: QuotaExceed.ElasticQuota: No additional quota is available"
    assert "Quota Center" in cure(told)


def test_no_code_no_cure() -> None:
    assert cure("the machines did not become nodes") == ""
