"""What nobody means to send to the emulated Alibaba Cloud, and the refusals it deserves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.aliyun import Aliyun, account, anew


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


@pytest.mark.parametrize(
    "sent",
    [
        {"Tag.².Key": "a"},
        {"Tag..Key": "a"},
        {"Tag.1.Key": "a", "Tag": "b"},
        {"Tag.99999999999999999999.Key": "a"},
        {"PageSize": "1_0"},
        {"PageSize": "\u0661"},
        {"PageSize": "9" * 5000},
        {"PageNumber": " 1"},
    ],
)
def test_odd_parameters(cloud: Aliyun, sent: dict[str, str]) -> None:
    status, body = cloud.rpc("vpc", "DescribeVpcs", method="POST", **sent)
    assert (status, body["Code"]) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"name": "\\ud800"}',
        '{"name": NaN}',
        '{"name": Infinity}',
        '{"name": ' + "9" * 5000 + "}",
        "{",
        "\x00",
    ],
)
def test_odd_bodies(cloud: Aliyun, text: str) -> None:
    status, body = cloud.roa("POST", "/clusters", text.encode())
    assert (status, body["code"]) == (400, "InvalidParameter")


def test_odd_texts_with_json_inside(cloud: Aliyun) -> None:
    for text in ("[" * 50_000, "[NaN]", "{}", "null", "1"):
        status, body = cloud.rpc("ecs", "DescribeInstances", method="POST", InstanceIds=text)
        assert (status, body["Code"]) == (400, "InvalidParameter")
    for document in ("[" * 50_000, '"\\ud800"', "[]", "1"):
        status, body = cloud.rpc(
            "ram", "CreateRole", method="POST", host="ram.aliyuncs.com", RoleName="r",
            AssumeRolePolicyDocument=document,
        )  # fmt: skip
        assert (status, body["Code"]) == (400, "MalformedPolicyDocument")


def test_odd_pages(cloud: Aliyun) -> None:
    cluster = cloud.cluster()["cluster_id"]
    for odd in ("9" * 5000, "0", "-1", "²", "1.5", "x"):
        status, body = cloud.roa("GET", f"/clusters/{cluster}/nodes", pageSize=odd)
        assert (status, body["code"]) == (400, "InvalidParameter")
    status, body = cloud.rpc("nlb", "ListLoadBalancers", method="POST", NextToken="9" * 5000)
    assert (status, body["Code"]) == (400, "InvalidParameter")


def test_many_empty_values(cloud: Aliyun) -> None:
    """Each could be signed with or without its ``=``; that must not double the work each time."""
    query = {f"name{number:02}": "" for number in range(40)}
    status, body = cloud.roa("GET", "/api/v1/clusters", **query)
    assert (status, body["code"]) == (400, "Sandbox.UnknownParameter")


def test_no_request_makes_the_emulator_fail(cloud: Aliyun) -> None:
    """Trust of every odd kind: the role is refused, or can be asked for."""
    principals: list[Any] = [
        None,
        [],
        "RAM",
        {"RAM": None},
        {"RAM": "x"},
        {"RAM": [{}]},
        {"Service": "x"},
        1,
    ]
    for number, principal in enumerate(principals):
        document = {
            "Version": "1",
            "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}],
        }
        sent = {"RoleName": f"odd-{number}", "AssumeRolePolicyDocument": json.dumps(document)}
        status, made = cloud.rpc("ram", "CreateRole", host="ram.aliyuncs.com", **sent)
        assert status == 200 or made["Code"] == "MalformedPolicyDocument"
        arn = f"acs:ram::1234567890123456:role/odd-{number}"
        status, _ = cloud.rpc("sts", "AssumeRole", RoleArn=arn, RoleSessionName="session")
        assert status in (403, 404)
