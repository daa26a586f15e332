"""The calls to a Kubernetes API, over real TLS to a server that says what it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from clusterkit.errors import (
    Absent,
    Busy,
    CloudError,
    Denied,
    Exists,
    Gone,
    InUse,
    QuotaExceeded,
    Rejected,
    Retryable,
    ServerError,
    Throttled,
    Unreachable,
)
from clusterkit.kube import api
from clusterkit.kube.api import Access, KubeApi
from clusterkit_sandbox.ca import Authority

Answer = tuple[int, dict[str, str], Any]


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class Server:
    """Answers with what is on the list, then with empty objects."""

    port: int
    ca: str
    answers: list[Answer] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def access(self, token: Callable[[], str] | None = lambda: "t") -> Access:
        return Access(f"https://localhost:{self.port}", self.ca, token)

    def says(self, status: int, body: Any = None, **headers: str) -> None:
        self.answers.append((status, headers, {} if body is None else body))

    def refuses(self, status: int, reason: str, message: str = "no", **more: Any) -> None:
        self.says(status, {"kind": "Status", "reason": reason, "message": message, **more})


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

        def answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.requests.append(
                Request(
                    self.command,
                    url.path,
                    parse_qs(url.query),
                    dict(self.headers),
                    json.loads(body) if body else None,
                )
            )
            status, headers, said = server.answers.pop(0) if server.answers else (200, {}, {})
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do_DELETE = answer

    return Handler


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    shown = Server(0, authority.pem)
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _handler(shown))
    context = authority.context("localhost")
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    shown.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield shown
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture
def kube(server: Server) -> KubeApi:
    return KubeApi(server.access)


def test_a_list_goes_to_the_last_page(server: Server, kube: KubeApi) -> None:
    server.says(200, {"items": [{"n": 1}], "metadata": {"continue": "a b"}})
    server.says(200, {"items": None, "metadata": {"continue": "c"}})
    server.says(200, {"items": [{"n": 2}], "metadata": {}})
    found = kube.list("/api/v1/pods", labels={"a": "b", "c/d": "e"})
    assert found == [{"n": 1}, {"n": 2}]
    assert [r.query.get("continue") for r in server.requests] == [None, ["a b"], ["c"]]
    assert {r.query["labelSelector"][0] for r in server.requests} == {"a=b,c/d=e"}
    assert {r.query["limit"][0] for r in server.requests} == {"500"}


def test_get_apply_patch_and_delete_are_one_request_each(server: Server, kube: KubeApi) -> None:
    server.says(200, {"x": 1})
    assert kube.get("/api/v1/namespaces/a") == {"x": 1}
    kube.apply("/api/v1/namespaces/a", {"kind": "Namespace"})
    kube.patch("/api/v1/namespaces/a", {"metadata": {"labels": {"a": None}}})
    kube.delete("/api/v1/namespaces/a/pods/b", grace=30)
    got, applied, patched, deleted = server.requests
    assert got.headers["Authorization"] == "Bearer t"
    assert (applied.method, applied.headers["Content-Type"]) == (
        "PATCH",
        "application/apply-patch+yaml",
    )
    assert applied.query == {"fieldManager": ["clusterkit"], "force": ["true"]}
    assert applied.body == {"kind": "Namespace"}
    assert patched.headers["Content-Type"] == "application/merge-patch+json"
    assert patched.body == {"metadata": {"labels": {"a": None}}}
    assert deleted.method == "DELETE"
    assert deleted.query == {"propagationPolicy": ["Background"], "gracePeriodSeconds": ["30"]}


def test_not_found_is_none_or_success(server: Server, kube: KubeApi) -> None:
    server.refuses(404, "NotFound")
    server.refuses(404, "NotFound")
    server.refuses(404, "NotFound", 'namespaces "a" not found')
    assert kube.get("/api/v1/namespaces/a") is None
    kube.delete("/api/v1/namespaces/a")
    with pytest.raises(Rejected, match='namespaces "a" not found'):
        kube.apply("/api/v1/namespaces/a/configmaps/b", {})


def test_who_is_denied_hears_where_the_cloud_gives_rights(server: Server) -> None:
    for rights, told in (("ask the cloud", "ask the cloud"), ("", "rights in Kubernetes")):
        server.refuses(403, "Forbidden", 'User "u" cannot list resource "pods"')
        kube = KubeApi(partial(replace, server.access(), rights=rights))
        with pytest.raises(Denied) as caught:
            kube.get("/api/v1/pods")
        assert caught.value.hint.startswith(told)


BUDGET = {"details": {"causes": [{"reason": "DisruptionBudget", "message": "m"}]}}
TERMINATING = {"details": {"causes": [{"reason": "NamespaceTerminating", "message": "m"}]}}


@pytest.mark.parametrize(
    ("status", "reason", "message", "more", "kind"),
    [
        (401, "Unauthorized", "Unauthorized", {}, Denied),
        (403, "Forbidden", 'User "u" cannot list resource "pods"', {}, Denied),
        (403, "Forbidden", "namespace a is being terminated", TERMINATING, Busy),
        (403, "Forbidden", "exceeded quota: q, requested: pods=1", {}, QuotaExceeded),
        (409, "AlreadyExists", 'namespaces "a" already exists', {}, Exists),
        (404, "NotFound", 'namespaces "a" not found', {}, Gone),
        (429, "TooManyRequests", "Cannot evict pod", BUDGET, InUse),
        (409, "Conflict", "the object has been modified", {}, Busy),
        (410, "Expired", "the continue parameter is too old", {}, Busy),
        (422, "Invalid", "parameters: Forbidden: updates are forbidden", {}, Rejected),
        (400, "BadRequest", "strict decoding error", {}, Rejected),
        (429, "TooManyRequests", "slow down", {}, Throttled),
        (500, "InternalError", "failed calling webhook", {}, ServerError),
        (503, "ServiceUnavailable", "apiserver not ready", {}, ServerError),
    ],
)
def test_refusals_keep_the_servers_words(
    server: Server,
    kube: KubeApi,
    status: int,
    reason: str,
    message: str,
    more: dict[str, Any],
    kind: type[CloudError],
) -> None:
    server.refuses(status, reason, message, **more)
    with pytest.raises(CloudError) as caught:
        kube.apply("/api/v1/namespaces/a", {})
    assert type(caught.value) is kind
    assert caught.value.what == message
    assert caught.value.code == reason
    assert caught.value.operation == "PATCH /api/v1/namespaces/a"


def test_retry_after_is_heeded(server: Server, kube: KubeApi) -> None:
    server.says(429, {"kind": "Status", "message": "later"}, Retry_After="7")
    with pytest.raises(Retryable) as caught:
        kube.list("/api/v1/pods")
    assert caught.value.after == 7.0
    assert not isinstance(caught.value, Busy)


def test_an_answer_that_is_no_status_is_quoted_in_brief(server: Server, kube: KubeApi) -> None:
    server.says(502, b"<html>Bad\n Gateway</html>" + b"x" * 1000)
    with pytest.raises(Retryable) as caught:
        kube.list("/api/v1/pods")
    assert caught.value.what.startswith("<html>Bad Gateway</html>x")
    assert len(caught.value.what) == 300
    assert caught.value.code == "HTTP 502"


def test_what_access_raises_is_raised(server: Server) -> None:
    def absent() -> Access:
        raise Absent("cluster/main")

    with pytest.raises(Absent):
        KubeApi(absent).list("/api/v1/pods")


def test_a_cluster_that_has_just_come_up_may_refuse_for_a_while(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = False

    def access() -> Access:
        if not there:
            raise Absent("cluster/main")
        return server.access()

    kube = KubeApi(access)
    with pytest.raises(Absent):
        kube.list("/api/v1/pods")
    there = True
    for status, reason in ((401, "Unauthorized"), (403, "Forbidden")):
        server.refuses(status, reason)
        with pytest.raises(Retryable) as caught:
            kube.list("/api/v1/pods")
        assert isinstance(caught.value, Busy)
    monkeypatch.setattr(api, "GRACE", -1.0)
    kube = KubeApi(access)
    there = False
    with pytest.raises(Absent):
        kube.list("/api/v1/pods")
    there = True
    server.refuses(403, "Forbidden")
    with pytest.raises(Denied):  # it has had its time
        kube.list("/api/v1/pods")


def test_a_cluster_may_be_new_though_it_was_there_at_first(server: Server) -> None:
    kube = KubeApi(lambda: replace(server.access(), new=True, grace=60.0))
    server.refuses(403, "Forbidden")
    with pytest.raises(Retryable, match="waiting until the cluster lets in who made it"):
        kube.list("/api/v1/pods")
    kube.list("/api/v1/pods")
    server.refuses(403, "Forbidden")
    with pytest.raises(Denied):
        kube.list("/api/v1/pods")


def test_once_let_in_a_refusal_is_final(server: Server) -> None:
    calls = iter([Absent("cluster/main"), server.access()])

    def access() -> Access:
        found = next(calls)
        if isinstance(found, Absent):
            raise found
        return found

    kube = KubeApi(access)
    with pytest.raises(Absent):
        kube.list("/api/v1/pods")
    kube.list("/api/v1/pods")
    server.refuses(403, "Forbidden")
    with pytest.raises(Denied):
        kube.list("/api/v1/pods")


def test_the_token_is_used_again_until_it_is_old_or_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    asked: list[float] = []

    def token() -> str:
        made.append(f"t{len(made)}")
        return made[-1]

    def access() -> Access:
        asked.append(time.monotonic())
        return server.access(token)

    kube = KubeApi(access)
    kube.list("/api/v1/pods")
    kube.list("/api/v1/pods")
    assert made == ["t0"]
    server.refuses(401, "Unauthorized")
    with pytest.raises(Denied):
        kube.list("/api/v1/pods")
    kube.list("/api/v1/pods")
    assert (made, len(asked)) == (["t0", "t1"], 2)
    monkeypatch.setattr(api, "TOKEN_LIFE", -1.0)
    fresh = KubeApi(access)
    fresh.list("/api/v1/pods")
    fresh.list("/api/v1/pods")
    assert made == ["t0", "t1", "t2", "t3"]
    sent = [r.headers["Authorization"] for r in server.requests]
    assert sent == [f"Bearer {t}" for t in ("t0", "t0", "t0", "t1", "t2", "t3")]


def test_threads_share_one_access(server: Server) -> None:
    asked: list[int] = []

    def access() -> Access:
        asked.append(1)
        time.sleep(0.05)
        return server.access()

    kube = KubeApi(access)
    threads = [threading.Thread(target=kube.list, args=("/api/v1/pods",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    assert len(server.requests) == 8


def test_a_server_that_is_not_there_is_worth_another_try(server: Server) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kube = KubeApi(lambda: Access(f"https://127.0.0.1:{port}", server.ca))
    with pytest.raises(Retryable, match=r"does not answer: .*refused") as caught:
        kube.list("/api/v1/pods")
    assert isinstance(caught.value, Unreachable)


def test_another_authoritys_certificate_is_refused(server: Server, tmp_path: Path) -> None:
    stranger = Authority(tmp_path)
    kube = KubeApi(lambda: Access(f"https://localhost:{server.port}", stranger.pem))
    with pytest.raises(Rejected, match="did not sign") as caught:
        kube.list("/api/v1/pods")
    assert "NO_PROXY" in caught.value.hint


def test_a_dead_proxy_is_named_as_the_reason(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(Retryable, match="does not answer"):
        KubeApi(server.access).list("/api/v1/pods")
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert KubeApi(server.access).list("/api/v1/pods") == []


def test_no_secret_shows_when_an_access_is_printed() -> None:
    shown = repr(Access("https://x", "ca", client_certificate="cert", client_key="very-secret"))
    assert "very-secret" not in shown


def test_a_certificate_that_ends_is_asked_for_again(server: Server) -> None:
    now = datetime.now(UTC)
    ends = iter([now - timedelta(seconds=1), now + timedelta(hours=1)])
    asked: list[datetime] = []

    def access() -> Access:
        asked.append(next(ends))
        return replace(server.access(None), until=asked[-1])

    kube = KubeApi(access)
    for _ in range(3):
        kube.list("/api/v1/pods")
    assert len(asked) == 2
