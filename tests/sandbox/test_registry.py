"""The distribution API, on Docker Hub, which needs no cloud; and Docker Hub's own rules."""

from __future__ import annotations

import hashlib
import json
import math
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.registry import hub
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox import oci
from tests.sandbox.oci import Client, digest_of, files, layer

HOST = "registry-1.docker.io"
APP = "sandbox/app"
NONE = "sha256:" + 64 * "0"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    directory = tmp_path_factory.mktemp("registry")
    with Sandbox(directory=directory, pace=Pace(math.inf), emulators=[]) as made:
        yield made


@pytest.fixture
def sandbox(shared: Sandbox) -> Iterator[Sandbox]:
    yield shared
    shared.faults.clear()
    shared.reset()


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    environ = sandbox.environment()
    return Client(sandbox, HOST, environ[hub.USER], environ[hub.PASSWORD])


def start(client: Client, repository: str = APP) -> str:
    answer = client("POST", f"/v2/{repository}/blobs/uploads/")
    assert answer.status == 202, answer.data
    return answer.headers["Location"]


# -- images ----------------------------------------------------------------------------------------


def test_a_layer_comes_back(client: Client) -> None:
    first, second = layer(a="hello"), layer(b="x" * 300_000)
    answer = client.push(APP, "v1", first, second)
    assert answer.status == 201, answer.data
    assert [files(one) for one in client.pull(APP, "v1")] == [{"a": "hello"}, {"b": "x" * 300_000}]
    digest = answer.headers["Docker-Content-Digest"]
    assert list(client.pull(APP, digest)) == [first, second]
    assert answer.headers["Location"] == f"https://{HOST}/v2/{APP}/manifests/{digest}"
    head = client("HEAD", f"/v2/{APP}/manifests/v1")
    assert (head.status, head.data, head.headers["Content-Type"]) == (200, b"", oci.IMAGE)
    assert int(head.headers["Content-Length"]) > 100


def test_docker_images_and_indexes(client: Client) -> None:
    image = client.push(APP, "amd64", layer(a="1"), kind=oci.DOCKER)
    digest = image.headers["Docker-Content-Digest"]
    found = client("GET", f"/v2/{APP}/manifests/amd64", Accept=oci.IMAGE)
    assert found.headers["Content-Type"] == oci.DOCKER
    entry = {"mediaType": oci.DOCKER, "digest": digest, "size": len(found.data)}
    body: dict[str, Any] = {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": [entry]}
    assert client.put(APP, "latest", body).status == 201
    assert client("GET", f"/v2/{APP}/manifests/latest").json == body
    entry["digest"] = NONE
    status, code, _ = client.put(APP, "broken", body).error
    assert (status, code) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_types_that_a_client_does_not_take(client: Client) -> None:
    client.push(APP, "v1", layer(a="1"))
    path = f"/v2/{APP}/manifests/v1"
    status, code, message = client("GET", path, Accept=oci.DOCKER).error
    assert (status, code) == (404, "MANIFEST_UNKNOWN")
    assert "accept header does not support OCI manifest" in message
    for accepted in ("*/*", f"{oci.DOCKER}, {oci.IMAGE}", "application/*"):
        assert client("GET", path, Accept=accepted).status == 200


def test_tags_move_and_pages_go_on(client: Client) -> None:
    for tag in ("c", "a", "b"):
        client.push(APP, tag, layer(x=tag))
    path = f"/v2/{APP}/tags/list"
    assert client("GET", path).json == {"name": APP, "tags": ["a", "b", "c"]}
    page = client("GET", f"{path}?n=2")
    assert page.json["tags"] == ["a", "b"]
    assert page.headers["Link"] == f'</v2/{APP}/tags/list?last=b&n=2>; rel="next"'
    last = client("GET", f"{path}?last=b&n=2")
    assert (last.json["tags"], "Link" in last.headers) == (["c"], False)
    assert client("GET", f"{path}?n=x").error[:2] == (400, "PAGINATION_NUMBER_INVALID")
    before = client("GET", f"/v2/{APP}/manifests/a").headers["Docker-Content-Digest"]
    client.push(APP, "a", layer(x="new"))
    assert [files(one) for one in client.pull(APP, "a")] == [{"x": "new"}]
    assert [files(one) for one in client.pull(APP, before)] == [{"x": "a"}]


def test_what_is_about_an_image(client: Client) -> None:
    digest = client.push(APP, "v1", layer(a="1")).headers["Docker-Content-Digest"]
    client.blob(APP, b"{}")
    config = {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": digest_of(b"{}"),
        "size": 2,
    }
    body: dict[str, Any] = {
        "schemaVersion": 2, "mediaType": oci.IMAGE, "config": config, "layers": [],
        "artifactType": "example/signature", "annotations": {"a": "b"},
        "subject": {"mediaType": oci.IMAGE, "digest": digest, "size": 1},
    }  # fmt: skip
    reference = digest_of(json.dumps(body).encode())
    assert client.put(APP, reference, body).headers["OCI-Subject"] == digest
    found = client("GET", f"/v2/{APP}/referrers/{digest}")
    assert found.headers["Content-Type"] == oci.INDEX
    [one] = found.json["manifests"]
    assert (one["digest"], one["artifactType"]) == (reference, "example/signature")
    assert one["annotations"] == {"a": "b"}
    found = client("GET", f"/v2/{APP}/referrers/{digest}?artifactType=other")
    assert (found.json["manifests"], found.headers["OCI-Filters-Applied"]) == ([], "artifactType")
    assert client("GET", f"/v2/{APP}/referrers/{NONE}").json["manifests"] == []


# -- blobs and uploads -----------------------------------------------------------------------------


def test_chunks(client: Client) -> None:
    data = b"0123456789" * 20_000
    where = start(client)
    first = client("PATCH", where, data[:70_000], Content_Range="0-69999")
    assert (first.status, first.headers["Range"]) == (202, "0-69999")
    state = client("GET", where)
    assert (state.status, state.headers["Range"]) == (204, "0-69999")
    gap = client("PATCH", where, data[80_000:], Content_Range="80000-199999")
    assert (gap.error[0], gap.headers["Range"]) == (416, "0-69999")
    assert client("PATCH", where, data[70_000:150_000]).headers["Range"] == "0-149999"
    done = client("PUT", f"{where}?digest={digest_of(data)}", data[150_000:])
    assert (done.status, done.headers["Docker-Content-Digest"]) == (201, digest_of(data))
    path = f"/v2/{APP}/blobs/{digest_of(data)}"
    client.push(APP, "v1")  # anybody may pull once there is an image
    assert client("GET", path).data == data
    part = client("GET", path, Range="bytes=5-14")
    assert (part.status, part.data) == (206, b"5678901234")
    assert part.headers["Content-Range"] == "bytes 5-14/200000"
    assert client("GET", path, Range="bytes=-3").data == b"789"
    assert client("GET", path, Range="bytes=199998-").data == b"89"
    assert client("GET", path, Range="bytes=200000-").status == 416
    head = client("HEAD", path)
    assert (head.status, head.headers["Content-Length"]) == (200, "200000")


def test_a_blob_in_one_request(client: Client) -> None:
    path = f"/v2/{APP}/blobs/uploads/?digest={digest_of(b'data')}"
    assert client("POST", path, b"data").status == 201
    assert client("POST", path, b"other").error[:2] == (400, "DIGEST_INVALID")


def test_chunked_coding(client: Client) -> None:
    where = start(client)
    header = client.raw("PATCH", where).headers["Www-Authenticate"]
    token = client.authorization(header)
    assert isinstance(token, dict)
    parts = (b"x" * 50_000 for _ in range(40))
    assert client.raw("PATCH", where, parts, **token).status == 202
    digest = digest_of(b"x" * 2_000_000)
    assert client.raw("PUT", f"{where}?digest={digest}", **token).status == 201


def test_bodies_are_not_kept_in_memory(client: Client) -> None:
    where, size = start(client), 48 << 20
    token = client.authorization(client.raw("PATCH", where).headers["Www-Authenticate"])
    assert isinstance(token, dict)
    part, digest = b"x" * (1 << 16), hashlib.sha256()
    for _ in range(size // len(part)):
        digest.update(part)
    name = f"sha256:{digest.hexdigest()}"
    tracemalloc.start()
    try:
        parts = (part for _ in range(size // len(part)))
        assert client.raw("PATCH", where, parts, **token).status == 202
        assert client.raw("PUT", f"{where}?digest={name}", **token).status == 201
        pulls = client.stream(f"/v2/{APP}/blobs/{name}", **token)
        assert sum(len(one) for one in pulls) == size
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_many_at_once(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = list(
            pool.map(lambda n: client.push(APP, f"v{n % 3}", layer(a=str(n % 4))), range(24))
        )
    assert {one.status for one in done} == {201}
    assert client("GET", f"/v2/{APP}/tags/list").json["tags"] == ["v0", "v1", "v2"]


@pytest.mark.parametrize("host", [HOST, "auth.docker.io"])
@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/v2/%00/manifests/x", {}), ("GET", "/v2/a/blobs/..%2f..%2fetc", {}),
        ("PATCH", "/v2/a/blobs/uploads/..", {}), ("GET", "//v2//", {}), ("TRACE", "/v2/", {}),
        ("GET", "/v2/", {"Authorization": "Basic \xff"}), ("GET", "/v2/", {"Authorization": "x"}),
        ("GET", "/v2/", {"Authorization": "Bearer"}), ("GET", "/token?scope=%ff&scope=a:b", {}),
        ("POST", "/token", {"Content-Type": "application/x-www-form-urlencoded"}),
        ("POST", "/v2/a/blobs/uploads/?mount=x&from=%00", {}), ("GET", "/token?scope=:::", {}),
        ("PUT", "/v2/sandbox/app/manifests/v1", {"Content-Type": "\xff"}),
        ("GET", "/v2/sandbox/app/tags/list?n=99999999999999999999&last=%00", {}),
    ],
)  # fmt: skip
def test_odd_requests(
    client: Client, host: str, method: str, path: str, headers: dict[str, str]
) -> None:
    client.push(APP, "v1")
    for sent in (headers, {**headers, **client._basic}):
        answer = client.raw(method, f"https://{host}{path}", b"\xff{", **sent)
        assert 200 <= answer.status < 500
    pull = 'Bearer realm="https://auth.docker.io/token",service="x",scope="repository:sandbox/app:pull,push"'
    token = client.authorization(pull)
    assert isinstance(token, dict)
    answer = client.raw(method, f"https://{host}{path}", b"\xff{", **{**headers, **token})
    assert 200 <= answer.status < 500


def test_a_blob_of_another_repository(client: Client) -> None:
    client.push("sandbox/base", "v1", layer(a="1"))
    digest = digest_of(layer(a="1"))
    path = f"/v2/{APP}/blobs/uploads/?mount={digest}&from="
    token = client.authorization(
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
        f'scope="repository:{APP}:pull,push repository:sandbox/base:pull"'
    )
    assert isinstance(token, dict)
    assert client.raw("POST", path + "sandbox/base", **token).status == 201
    assert client.raw("POST", path + "sandbox/other", **token).status == 202
    only = client("POST", path + "sandbox/base")  # its token does not reach the other one
    assert only.status == 202
    missing = f"/v2/{APP}/blobs/uploads/?mount={NONE}&from=sandbox/base"
    assert client.raw("POST", missing, **token).status == 202


def test_uploads_end(client: Client) -> None:
    where = start(client)
    assert client("DELETE", where).status == 204
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        assert client(method, f"{where}?digest={NONE}").error[:2] == (404, "BLOB_UPLOAD_UNKNOWN")
    elsewhere = start(client).replace(APP, "sandbox/other")
    assert client("GET", elsewhere).error[:2] == (404, "BLOB_UPLOAD_UNKNOWN")
    where = start(client)
    assert client("PUT", f"{where}?digest={NONE}", b"data").error[:2] == (400, "DIGEST_INVALID")
    assert client("PUT", where, b"data").error[0] == 404


# -- refusals --------------------------------------------------------------------------------------


def test_unknown_things(client: Client) -> None:
    client.push(APP, "v1", layer(a="1"))
    assert client("GET", f"/v2/{APP}/manifests/none").error[:2] == (404, "MANIFEST_UNKNOWN")
    assert client("GET", f"/v2/{APP}/manifests/{NONE}").error[:2] == (404, "MANIFEST_UNKNOWN")
    assert client("GET", f"/v2/{APP}/blobs/{NONE}").error[:2] == (404, "BLOB_UNKNOWN")
    assert client("HEAD", f"/v2/{APP}/blobs/{NONE}").status == 404
    assert client("GET", f"/v2/{APP}/blobs/md5:0").error[:2] == (400, "DIGEST_INVALID")
    assert client("GET", "/v2/sandbox/App/tags/list").error[:2] == (400, "NAME_INVALID")
    assert client("PUT", f"/v2/{APP}/tags/list").status == 405
    assert client("GET", "/v1/").status == 404


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        (oci.IMAGE, b"{", "MANIFEST_INVALID"),
        (oci.IMAGE, b"[]", "MANIFEST_INVALID"),
        (oci.IMAGE, b'{"schemaVersion": 2}', "MANIFEST_INVALID"),
        ("text/plain", b"{}", "MANIFEST_INVALID"),
        (oci.INDEX, b'{"schemaVersion": 1, "manifests": []}', "MANIFEST_INVALID"),
        (oci.IMAGE, json.dumps({"schemaVersion": 2, "mediaType": oci.DOCKER, "layers": [],
            "config": {"digest": NONE, "size": 1}}).encode(), "MANIFEST_INVALID"),
        (oci.IMAGE, json.dumps({"schemaVersion": 2, "layers": [],
            "config": {"digest": NONE, "size": 1}}).encode(), "MANIFEST_BLOB_UNKNOWN"),
    ],
)  # fmt: skip
def test_bad_manifests(client: Client, kind: str, body: bytes, code: str) -> None:
    answer = client("PUT", f"/v2/{APP}/manifests/v1", body, Content_Type=kind)
    assert answer.error[:2] == (400, code)


def test_references_that_do_not_fit(client: Client) -> None:
    body: dict[str, Any] = {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": []}
    assert client.put(APP, NONE, body).error[:2] == (400, "DIGEST_INVALID")
    assert client.put(APP, "-v1", body).error[:2] == (400, "TAG_INVALID")
    large = body | {"annotations": {"a": "x" * (4 << 20)}}
    assert client.put(APP, "v1", large).error[:2] == (413, "SIZE_INVALID")


# -- Docker Hub ------------------------------------------------------------------------------------


def test_who_may_push_and_pull(sandbox: Sandbox, client: Client) -> None:
    anybody = Client(sandbox, HOST)
    challenge = anybody.raw("GET", "/v2/").headers["Www-Authenticate"]
    assert challenge.startswith(
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"'
    )
    assert anybody.push(APP, "v1", layer(a="1")).error[:2] == (401, "UNAUTHORIZED")
    assert anybody("GET", f"/v2/{APP}/manifests/v1").error[:2] == (401, "UNAUTHORIZED")
    client.push(APP, "v1", layer(a="1"))
    assert [files(one) for one in anybody.pull(APP, "v1")] == [{"a": "1"}]
    for name in ("someone/app", "sandbox/app/cache", "app"):
        refused = client.push(name, "v1", layer(a="1"))
        assert refused.error == (401, "UNAUTHORIZED", "authentication required")
        assert 'error="insufficient_scope"' in refused.headers["Www-Authenticate"]
        assert refused.json["errors"][0]["detail"][-1]["Action"] == "push"
    wrong = Client(sandbox, HOST, "sandbox", "wrong")
    assert wrong.push(APP, "v1").error == (401, "UNAUTHORIZED", "incorrect username or password")
    assert client("DELETE", f"/v2/{APP}/manifests/v1").error[:2] == (405, "UNSUPPORTED")
    index = Client(sandbox, "index.docker.io")
    assert [files(one) for one in index.pull(APP, "v1")] == [{"a": "1"}]


def test_a_token_by_post(sandbox: Sandbox, client: Client) -> None:
    environ = sandbox.environment()
    answer = client.raw(
        "POST", "https://auth.docker.io/token",
        "grant_type=password&service=registry.docker.io&client_id=x"
        f"&username=sandbox&password={environ[hub.PASSWORD]}&scope=repository:{APP}:pull,push",
        Content_Type="application/x-www-form-urlencoded",
    )  # fmt: skip
    assert (answer.status, answer.json["expires_in"]) == (200, 300)
    bearer = f"Bearer {answer.json['access_token']}"
    path = f"/v2/{APP}/blobs/uploads/"
    assert client.raw("POST", path, Authorization=bearer).status == 202


def test_the_owner_chooses_the_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(hub.USER, "me")
    monkeypatch.setenv(hub.PASSWORD, "secret")
    with Sandbox(directory=tmp_path, pace=Pace(math.inf), emulators=[]) as sandbox:
        assert sandbox.environment()[hub.PASSWORD] == "secret"
        assert Client(sandbox, HOST, "me", "secret").push("me/app", "v1").status == 201


# -- the sandbox around it -------------------------------------------------------------------------


def test_faults(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.take(Faults.parse("throttle:registry:hub/StartUpload@1"))
    status, code, message = client("POST", f"/v2/{APP}/blobs/uploads/").error
    assert (status, code) == (429, "TOOMANYREQUESTS")
    assert message.startswith("You have reached your pull rate limit.")
    assert client.push(APP, "v1", layer(a="1")).status == 201
    sandbox.faults.take(Faults.parse("error:registry:*/PutManifest@1"))
    assert client.push(APP, "v2").error[:2] == (503, "UNAVAILABLE")
    refusal = 'refuse:registry:hub/GetManifest=DENIED/403/"not you"@1'
    sandbox.faults.take(Faults.parse(refusal))
    assert client("GET", f"/v2/{APP}/manifests/v1").error == (403, "DENIED", "not you")
    sandbox.faults.take(Faults.parse("error:registry:hub/Token@1"))
    assert client.push(APP, "v2").error[:2] == (503, "UNAVAILABLE")
    with pytest.raises(ValueError, match="registry has no operation"):
        sandbox.faults.take(Faults.parse("error:registry:hub/PutImage"))
    entries = [one for one in sandbox.requests.entries() if one.emulator == "registry"]
    assert {"registry:hub/Token", "registry:hub/PutManifest"} <= {one.operation for one in entries}


def test_a_lost_answer_has_taken_effect(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.take(Faults.parse("lost:registry:hub/PutManifest@2"))
    with pytest.raises(Exception, match=r"Connection aborted|closed connection"):
        client.push(APP, "v1", layer(a="1"))
    assert client("GET", f"/v2/{APP}/manifests/v1").status == 200


def test_content_is_on_disk_and_goes(shared: Sandbox, client: Client) -> None:
    folder = shared.ca_file.parent / "registry"
    client.push(APP, "v1", layer(a="1"))
    blob = folder / "blobs" / digest_of(layer(a="1")).partition(":")[2]
    assert blob.read_bytes() == layer(a="1")
    assert (folder / "blobs").stat().st_mode & 0o77 == 0
    shared.reset()
    assert not folder.exists()
    assert client("GET", f"/v2/{APP}/manifests/v1").error[0] == 404
    client.push(APP, "v1", layer(a="1"))
    assert blob.exists()
