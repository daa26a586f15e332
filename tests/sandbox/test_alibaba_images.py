"""The hosts of Alibaba's Container Registry, enterprise and personal, and their token service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from clusterkit_sandbox.alibaba.account import REGISTRY
from clusterkit_sandbox.faults import Faults
from tests.sandbox.aliyun import REGION, Aliyun, account, anew, ask, refused
from tests.sandbox.oci import Answer, Client, files, layer

HERE = {"InstanceId": REGISTRY}
HOST = f"sandbox-registry.{REGION}.cr.aliyuncs.com"
SERVICE = f"registry.aliyuncs.com:{REGION}:china:{REGISTRY}"
OLD = f"registry.{REGION}.aliyuncs.com"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


def namespace(
    cloud: Aliyun, *, auto: bool = True, kind: str = "PRIVATE", name: str = "demo"
) -> None:
    cloud("cr:CreateNamespace", **HERE, NamespaceName=name, AutoCreateRepo=auto,
          DefaultRepoType=kind)  # fmt: skip


def enterprise(cloud: Aliyun, host: str = HOST, **keys: str) -> Client:
    made = ask(cloud.client("cr", **keys), "cr", "GetAuthorizationToken", **HERE)
    return Client(cloud.sandbox, host, made["TempUsername"], made["AuthorizationToken"])


def own(cloud: Aliyun, method: str, path: str, body: Any = None) -> Any:
    """What the personal edition's API answers."""
    status, found = cloud.roa(method, path, body, product="personalcr")
    assert status == 200, found
    return found.get("data")


def personal(cloud: Aliyun, host: str = OLD) -> Client:
    made = own(cloud, "GET", "/tokens")
    return Client(cloud.sandbox, host, made["tempUserName"], made["authorizationToken"])


def denied(answer: Answer) -> bool:
    """As the registry refuses what its token does not allow."""
    assert 'error="insufficient_scope"' in answer.headers["Www-Authenticate"]
    return answer.error == (401, "UNAUTHORIZED", "authentication required")


def test_an_image_that_was_pushed(cloud: Aliyun) -> None:
    namespace(cloud)
    client = enterprise(cloud)
    assert client.push("demo/app", "v1", layer(a="hello")).status == 201
    digest = client.push("demo/app", "v2", layer(a="more")).headers["Docker-Content-Digest"]
    assert [files(one) for one in client.pull("demo/app", "v1")] == [{"a": "hello"}]
    inside = enterprise(cloud, HOST.replace("-registry", "-registry-vpc"))
    assert [files(one) for one in inside.pull("demo/app", "v1")] == [{"a": "hello"}]
    [repository] = cloud("cr:ListRepository", **HERE)["Repositories"]
    assert (repository["RepoName"], repository["RepoType"]) == ("app", "PRIVATE")
    here = {**HERE, "RepoId": repository["RepoId"]}
    found = cloud("cr:ListRepoTag", **here)
    assert [one["Tag"] for one in found["Images"]] == ["v1", "v2"]
    assert found["Images"][1]["Digest"] == digest
    cloud("cr:DeleteRepoTag", **here, Tag="v2")
    with refused("REPO_NOT_EXIST", 404):
        cloud("cr:DeleteRepoTag", **here, Tag="v2")
    assert client("GET", "/v2/demo/app/tags/list").json["tags"] == ["v1"]
    cloud("cr:DeleteRepository", **here)
    assert denied(client("GET", "/v2/demo/app/manifests/v1"))
    client.push("demo/app", "v3", layer(a="3"))
    assert client("GET", "/v2/demo/app/tags/list").json["tags"] == ["v3"]


def test_a_repository_that_is_not_made_by_a_push(cloud: Aliyun) -> None:
    namespace(cloud, auto=False)
    client = enterprise(cloud)
    assert denied(client.push("demo/app", "v1", layer(a="1")))
    assert denied(client.push("nothing/app", "v1", layer(a="1")))
    cloud("cr:CreateRepository", **HERE, RepoNamespaceName="demo", RepoName="app",
          RepoType="PRIVATE", Summary="s")  # fmt: skip
    assert client.push("demo/app", "v1", layer(a="1")).status == 201
    assert denied(client.push("demo/app-cache", "v1", layer(a="1")))


def test_who_may_push_and_pull(cloud: Aliyun) -> None:
    namespace(cloud, kind="PUBLIC", name="open")
    namespace(cloud)
    client = enterprise(cloud)
    for name in ("open/app", "demo/app"):
        client.push(name, "v1", layer(a="1"))
    anybody = Client(cloud.sandbox, HOST)
    assert [files(one) for one in anybody.pull("open/app", "v1")] == [{"a": "1"}]
    assert denied(anybody("GET", "/v2/demo/app/manifests/v1"))
    assert denied(anybody.push("open/app", "v2"))
    wrong = Client(cloud.sandbox, HOST, "cr_temp_user", "wrong")
    assert wrong.push("demo/app", "v1").error == (401, "UNAUTHORIZED", "authentication required")
    elsewhere = personal(cloud, HOST)
    assert elsewhere.push("demo/app", "v1").error[:2] == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("actions", "pulls", "pushes"),
    [((), False, False), (("cr:PullRepository",), True, False),
     (("cr:PullRepository", "cr:PushRepository"), True, True)],
)  # fmt: skip
def test_what_a_ram_user_may_do(
    cloud: Aliyun, actions: tuple[str, ...], pulls: bool, pushes: bool
) -> None:
    namespace(cloud)
    enterprise(cloud).push("demo/app", "v1", layer(a="1"))
    user = cloud.sandbox.identity(("cr:GetAuthorizationToken", *actions)).environment
    key, secret = (user[f"ALIBABA_CLOUD_ACCESS_KEY_{part}"] for part in ("ID", "SECRET"))
    client = enterprise(cloud, access_key_id=key, access_key_secret=secret)
    found = client("GET", "/v2/demo/app/manifests/v1")
    assert found.status == 200 if pulls else denied(found)
    found = client.push("demo/app", "v2", layer(a="1"))
    assert found.status == 201 if pushes else denied(found)


def test_the_token_service(cloud: Aliyun, monkeypatch: pytest.MonkeyPatch) -> None:
    namespace(cloud)
    client = enterprise(cloud)
    challenge = client.raw("GET", "/v2/").headers["Www-Authenticate"]
    realm = f"https://dockerauth.{REGION}.aliyuncs.com/auth"
    assert challenge == f'Bearer realm="{realm}",service="{SERVICE}"'
    vpc = Client(cloud.sandbox, HOST.replace("-registry", "-registry-vpc"))
    assert "//dockerauth-vpc." in vpc.raw("GET", "/v2/").headers["Www-Authenticate"]
    empty = client.raw("GET", f"{realm}?service={SERVICE}&scope=", **client._basic)
    assert (empty.status, empty.json) == (400, {"error": "bad request"})
    user = cloud("cr:GetAuthorizationToken", **HERE)
    form = (
        f"grant_type=password&username={user['TempUsername']}&service={SERVICE}"
        f"&password={user['AuthorizationToken']}&scope=repository:demo/app:push"
    )
    posted = client.raw("POST", realm, form, Content_Type="application/x-www-form-urlencoded")
    bearer = f"Bearer {posted.json['access_token']}"
    path = "/v2/demo/app/blobs/uploads/"
    assert client.raw("POST", path, Authorization=bearer).status == 202
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    assert client.push("demo/app", "v1").error[:2] == (401, "UNAUTHORIZED")


def test_the_personal_edition(cloud: Aliyun) -> None:
    own(cloud, "PUT", "/namespace", {"Namespace": {"Namespace": "mine"}})
    client = personal(cloud)
    assert (
        'service="registry.aliyuncs.com:ap-southeast-1:26842"'
        in client.raw("GET", "/v2/").headers["Www-Authenticate"]
    )
    assert client.push("mine/app", "v1", layer(a="1")).status == 201
    assert denied(client.push("mine/app/cache", "v1", layer(a="1")))
    found = own(cloud, "GET", "/repos/mine/app")["repo"]
    for host in found["repoDomainList"].values():
        assert [files(one) for one in personal(cloud, host).pull("mine/app", "v1")] == [{"a": "1"}]
    tags = own(cloud, "GET", "/repos/mine/app/tags")
    assert ([one["tag"] for one in tags["tags"]], tags["total"]) == (["v1"], 1)
    own(cloud, "POST", "/namespace/mine", {"Namespace": {"AutoCreate": False}})
    assert denied(client.push("mine/other", "v1", layer(a="1")))
    other = Client(cloud.sandbox, f"crpi-0000000000000000.{REGION}.personal.cr.aliyuncs.com")
    assert other("GET", "/v2/").status == 404
    own(cloud, "DELETE", "/namespace/mine")
    assert denied(client("GET", "/v2/mine/app/manifests/v1"))


def test_faults(cloud: Aliyun) -> None:
    namespace(cloud)
    cloud.sandbox.faults.take(Faults.parse("throttle:registry:aliyun/StartUpload@1"))
    status, code, message = enterprise(cloud).push("demo/app", "v1").error
    assert (status, code) == (429, "TOOMANYREQUESTS")
    assert message == "Request was denied due to user flow control."
