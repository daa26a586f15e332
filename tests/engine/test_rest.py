"""The REST client on a loopback server: pages, refusals, the observer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from clusterkit.engine.error_table import ErrorTable, Row
from clusterkit.engine.exchange import Exchange
from clusterkit.engine.rest import Answer, RestClient, cloud_pool, pool
from clusterkit.engine.target import CloudConnection
from clusterkit.errors import ClusterkitError, QuotaExceeded, Rejected, Throttled, Unreachable
from tests.unit.loopback import Heard, Loopback, loopback

HOST = "https://compute.example.test"
TABLE = ErrorTable([Row(QuotaExceeded, "quotaExceeded"), Row(Throttled, "rateLimitExceeded")], {})


def refusal(answer: Answer) -> ClusterkitError:
    error, request_id = json.loads(answer.body)["error"], answer.headers.get("X-Request-Id", "")
    return TABLE.classify(
        error["status"], answer.status, error["message"], answer.operation, request_id, answer.after
    )


def nothing(heard: Heard) -> tuple[int, bytes]:
    return 200, b"{}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Loopback]:
    with loopback(tmp_path, nothing) as found:
        yield found


def client(server: Loopback, seen: list[Exchange] | None = None) -> RestClient:
    return RestClient(
        pool(HOST, ca=server.ca_file.read_text(), proxy=server.proxy),
        refusal,
        service="compute",
        headers=lambda: {"Authorization": "Bearer t"},
        observe=None if seen is None else seen.append,
    )


def test_every_page_is_asked_for(server: Loopback) -> None:
    pages = {"": (["a", "b"], "2"), "2": (["c"], "")}

    def answer(heard: Heard) -> tuple[int, bytes]:
        asked = parse_qs(urlsplit(heard.path).query).get("pageToken", [""])[0]
        items, following = pages[asked]
        return 200, json.dumps({"items": items, "nextPageToken": following}).encode()

    server.answer = answer
    found = client(server).pages("networks.list", f"{HOST}/networks", query={"filter": "x"})
    assert list(found) == ["a", "b", "c"]
    assert all("filter=x" in heard.path for heard in server.heard)
    assert server.heard[0].headers["authorization"] == "Bearer t"


def test_a_body_goes_out_as_json_and_an_empty_answer_is_none(server: Loopback) -> None:
    server.answer = lambda heard: (200, b"")
    assert client(server).call("networks.insert", "POST", f"{HOST}/networks", {"n": 1}) is None
    [heard] = server.heard
    assert json.loads(heard.body) == {"n": 1}
    assert heard.headers["content-type"] == "application/json"


def test_an_answer_that_is_not_json_is_an_error_of_the_cloud(server: Loopback) -> None:
    server.answer = lambda heard: (200, b"<html>sign in</html>")
    with pytest.raises(Rejected, match="answered 200 without JSON"):
        client(server).call("networks.get", "GET", f"{HOST}/networks/a")


def test_refusals_go_through_the_table_once(server: Loopback) -> None:
    body = {"error": {"status": "quotaExceeded", "message": "Quota 'CPUS' exceeded"}}
    server.answer = lambda heard: (403, json.dumps(body).encode())
    with pytest.raises(QuotaExceeded, match="CPUS") as caught:
        client(server).call("instances.insert", "POST", f"{HOST}/instances", {})
    assert (caught.value.code, caught.value.operation) == ("quotaExceeded", "instances.insert")
    assert len(server.heard) == 1


def test_the_observer_is_told_before_and_after(server: Loopback) -> None:
    seen: list[Exchange] = []
    client(server, seen).call("networks.get", "GET", f"{HOST}/networks/a")
    client(server, seen).call("networks.test", "POST", f"{HOST}/test", {}, mutating=False)
    assert [(e.phase, e.operation, e.mutating, e.status) for e in seen] == [
        ("before", "networks.get", False, None),
        ("after", "networks.get", False, 200),
        ("before", "networks.test", False, None),
        ("after", "networks.test", False, 200),
    ]


def test_the_authorities_that_the_vendors_tools_are_told_of(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
    wire = CloudConnection(server.proxy)
    found = RestClient(cloud_pool(HOST, wire), refusal, service="compute")
    assert found.call("x", "GET", f"{HOST}/x") == {}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing"))
    with pytest.raises(ClusterkitError, match="missing holds no certificate authorities"):
        cloud_pool(HOST, wire)


def test_a_stranger_and_a_dead_proxy_are_told_apart(server: Loopback, tmp_path: Path) -> None:
    from clusterkit_sandbox.ca import Authority

    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").pem
    for ca, proxy, error in (
        (stranger, server.proxy, Rejected),
        (server.ca_file.read_text(), "http://127.0.0.1:9", Unreachable),
    ):
        made = RestClient(pool(HOST, ca=ca, proxy=proxy), refusal, service="compute")
        with pytest.raises(error):
            made.call("networks.get", "GET", f"{HOST}/networks/a")
