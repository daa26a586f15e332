"""The Personal Edition where it was never opened, and what its calls look like on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from clusterkit import alibaba
from clusterkit.alibaba.registry import PersonalRepository, check_personal, domains, password
from clusterkit.engine.inventory import Inventory
from clusterkit.engine.scope import Scope
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import Rejected, Retryable
from tests.unit.loopback import Heard, Loopback, loopback

ENVIRON = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "k", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Loopback]:
    with loopback(tmp_path, lambda heard: (200, b"{}")) as found:
        yield found


def scope(server: Loopback, status: int = 200, body: Any = None) -> Scope[Any]:
    server.answer = lambda heard: (status, json.dumps(body or {}).encode())
    target = Target("alibaba", "demo", "cn-hangzhou")
    wire = CloudConnection(server.proxy, server.ca_file, ENVIRON)
    return Scope(alibaba.connect(target, wire), "demo", "cn-hangzhou")


def test_where_it_was_never_opened(server: Loopback) -> None:
    """Who does not use it never notices; who wishes for it is told what to do."""
    here = scope(server, 400, {"code": "USER_NOT_EXIST", "message": "user is not exist"})
    assert Inventory(here).owned(PersonalRepository) == {}
    [finding] = check_personal(here.client)
    assert "user is not exist" in finding.what
    assert "set its password there" in finding.hint


@pytest.mark.parametrize(("code", "told"), [("USER_NOT_EXIST", True), ("StatusForbidden", False)])
def test_where_no_password_was_ever_set(server: Loopback, code: str, told: bool) -> None:
    """The namespaces are shown all the same."""
    here = scope(server)
    status = 404 if told else 403

    def answer(heard: Heard) -> tuple[int, bytes]:
        if heard.path.startswith("/tokens"):
            return status, json.dumps({"code": code, "message": "user is not exist"}).encode()
        return 200, json.dumps({"data": {"namespaces": []}}).encode()

    server.answer = answer
    findings = [*check_personal(here.client)]
    assert [("password" in each.hint, each.where) for each in findings] == [
        (True, "registry")
    ] * told


@pytest.mark.parametrize(("status", "error"), [(403, Rejected), (429, Retryable), (500, Retryable)])
def test_what_is_not_answered_is_not_taken_for_nothing(
    server: Loopback, status: int, error: type[Exception]
) -> None:
    here = scope(server, status, {"code": "X", "message": "no"})
    with pytest.raises(error):
        Inventory(here).owned(PersonalRepository)


def test_its_calls_go_to_the_region_in_the_interface_of_2016(server: Loopback) -> None:
    mark = "clusterkit cn-hangzhou/demo keep"
    ours = {"repoNamespace": "a", "repoName": "b", "summary": mark}
    others = [{**ours, "summary": text} for text in ("", f"{mark}!", mark.replace("demo", "x"))]
    here = scope(server, body={"data": {"repos": [ours, *others], "total": 4}})
    [(name, [state])] = Inventory(here).owned(PersonalRepository).items()
    assert (name, state.keep, state.servers) == ("a/b", True, ())
    [heard] = server.heard
    assert (heard.host, heard.secure) == ("cr.cn-hangzhou.aliyuncs.com", True)
    assert heard.headers["x-acs-version"] == "2016-06-07"
    assert urlsplit(heard.path).path == "/repos"


def test_a_password_for_an_hour(server: Loopback) -> None:
    data = {"tempUserName": "u", "authorizationToken": "secret", "expireDate": 1_900_000_000_000}
    login = password(scope(server, body={"data": data}).client, ("h",))
    assert (login.user, login.password, login.servers) == ("u", "secret", ("h",))
    assert login.expires.timestamp() == 1_900_000_000
    assert "secret" not in repr(login)


@pytest.mark.parametrize(
    ("inside", "outside", "hosts"),
    [
        (True, True, ["in", "out"]),
        (False, True, ["out"]),
        (True, False, ["in"]),
        (False, False, []),
    ],
)
def test_endpoints_of_an_instance(
    server: Loopback, inside: bool, outside: bool, hosts: list[str]
) -> None:
    """GetInstanceEndpoint knows the public one only, whatever it is asked for."""

    def answer(heard: Heard) -> tuple[int, bytes]:
        query = dict(parse_qsl(urlsplit(heard.path).query))
        found: dict[str, Any] = {"IsSuccess": True}
        if query["Action"] == "GetInstanceVpcEndpoint":
            return 200, json.dumps({**found, "Enable": inside, "Domains": ["in"]}).encode()
        if query["EndpointType"] != "internet":
            return 400, json.dumps({"Code": "INVALID_ENDPOINT_TYPE", "Message": "no"}).encode()
        shown = [{"Domain": "out", "Type": "SYSTEM"}]
        return 200, json.dumps({**found, "Enable": outside, "Domains": shown}).encode()

    here = scope(server)
    server.answer = answer
    assert list(domains(here.client, "cri-12345678")) == hosts
