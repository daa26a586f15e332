"""Container registries, and the tokens that their hosts give."""

from __future__ import annotations

import time
from typing import Any

import pytest

from clusterkit_sandbox.azure.account import Caller
from clusterkit_sandbox.azure.tokens import unsigned
from clusterkit_sandbox.faults import Faults
from tests.sandbox.azurecloud import ACR, REGION, SUB, Azure, cloud, shared
from tests.sandbox.oci import Client, files, layer

__all__ = ["cloud", "shared"]
CHECK = f"{SUB}/providers/Microsoft.ContainerRegistry/checkNameAvailability"
DEMO = f"{ACR}/kanikodemo"
HOST = "https://kanikodemo.azurecr.io"
AUDIENCE = "https://containerregistry.azure.net"


def registry(cloud: Azure, name: str = "kanikodemo", **properties: Any) -> Any:
    body = {"location": REGION, "sku": {"name": "Basic"}, "properties": properties}
    return cloud.done("PUT", f"{ACR}/{name}", body)


def check(cloud: Azure, name: str) -> Any:
    body = {"name": name, "type": "Microsoft.ContainerRegistry/registries"}
    return cloud("POST", CHECK, body)


def principal(cloud: Azure) -> Caller:
    one = cloud.identity("push")["properties"]
    found = cloud.cloud.store.tokens.principal(one["principalId"])
    assert found is not None
    return found


def login(cloud: Azure, entra: str, scope: str) -> list[Any]:
    """What the scopes of an access token allow, for a token of Entra ID."""
    status, found = cloud.form(
        f"{HOST}/oauth2/exchange",
        grant_type="access_token",
        service="kanikodemo.azurecr.io",
        access_token=entra,
    )
    assert status == 200, found
    status, found = cloud.form(
        f"{HOST}/oauth2/token",
        grant_type="refresh_token",
        service="kanikodemo.azurecr.io",
        scope=scope,
        refresh_token=found["refresh_token"],
    )
    assert status == 200, found
    access: list[Any] = unsigned(found["access_token"])["access"]
    status, _, _ = cloud.send("GET", f"{HOST}/v2/", token=found["access_token"], version="")
    assert status == 200
    return access


def test_a_registry(cloud: Azure) -> None:
    found = registry(cloud)
    assert found["properties"]["loginServer"] == "kanikodemo.azurecr.io"
    assert found["properties"]["roleAssignmentMode"] == "LegacyRegistryPermissions"
    assert found["sku"] == {"name": "Basic", "tier": "Basic"}
    cloud("PATCH", DEMO, {"tags": {"a": "b"}, "sku": {"name": "Standard"}})
    found = cloud("GET", DEMO)
    assert (found["tags"], found["sku"]["name"]) == ({"a": "b"}, "Standard")
    assert [one["name"] for one in cloud("GET", ACR)["value"]] == ["kanikodemo"]
    assert cloud("GET", f"{DEMO}/listUsages")["value"][0]["name"] == "Size"
    cloud.done("DELETE", DEMO)
    assert cloud.send("DELETE", DEMO)[0] == 204


def test_names(cloud: Azure) -> None:
    cloud.cloud.store.conditions.taken.add("others")
    registry(cloud)
    assert check(cloud, "free12345") == {"nameAvailable": True}
    for name, reason in (("kaniko-demo", "Invalid"), ("Others", "AlreadyExists"),
                         ("kanikoDemo", "AlreadyExists")):  # fmt: skip
        found = check(cloud, name)
        assert (found["nameAvailable"], found["reason"]) == (False, reason)
    body = {"location": REGION, "sku": {"name": "Basic"}}
    assert cloud.refused("PUT", f"{ACR}/kaniko-demo", body) == (400, "InvalidParameter")
    assert cloud.refused("PUT", f"{ACR}/others", body) == (409, "AlreadyInUse")


def test_a_login_server_with_a_hash(cloud: Azure) -> None:
    cloud.cloud.store.conditions.labelled = True
    found = registry(cloud)
    host = found["properties"]["loginServer"]
    assert host.startswith("kanikodemo-")
    assert cloud.send("GET", f"https://{host}/v2/", version="")[0] == 401


def test_the_challenge(cloud: Azure) -> None:
    registry(cloud)
    status, found, headers = cloud.send("GET", f"{HOST}/v2/", version="")
    assert status == 401
    assert headers["Www-Authenticate"].startswith(f'Bearer realm="{HOST}/oauth2/token"')
    assert found["errors"][0]["code"] == "UNAUTHORIZED"
    status, found, _ = cloud.send("GET", "https://unknown.azurecr.io/v2/", version="")
    assert status == 404


@pytest.mark.parametrize(
    ("mode", "role", "allowed"),
    [
        ("LegacyRegistryPermissions", "", []),
        ("LegacyRegistryPermissions", "AcrPull", ["pull"]),
        ("LegacyRegistryPermissions", "AcrPush", ["pull", "push"]),
        ("LegacyRegistryPermissions", "Repository Writer", []),
        ("AbacRepositoryPermissions", "AcrPush", []),
        ("AbacRepositoryPermissions", "Repository Writer", ["pull", "push"]),
    ],
)
def test_what_roles_allow(cloud: Azure, mode: str, role: str, allowed: list[str]) -> None:
    registry(cloud, roleAssignmentMode=mode)
    caller = principal(cloud)
    if role:
        cloud.assign(role, DEMO, caller.object_id)
    entra = cloud.cloud.store.tokens.grant(caller, AUDIENCE)
    access = login(cloud, entra, "repository:kaniko-demo:pull,push")
    assert access == [{"type": "repository", "name": "kaniko-demo", "actions": allowed}]


def test_tokens_of_resource_manager(cloud: Azure) -> None:
    registry(cloud)
    assert login(cloud, cloud.token, "repository:a:pull")[0]["actions"] == ["pull"]
    policies = {"azureADAuthenticationAsArmPolicy": {"status": "disabled"}}
    registry(cloud, policies=policies)
    status, found = cloud.form(
        f"{HOST}/oauth2/exchange", grant_type="access_token", access_token=cloud.token
    )
    assert status == 401, found
    login(cloud, cloud.login(cloud.environ, AUDIENCE), "registry:catalog:*")


def test_bad_tokens(cloud: Azure) -> None:
    registry(cloud)
    for path, form in (
        ("exchange", {"grant_type": "access_token", "access_token": "x"}),
        ("exchange", {"grant_type": "password"}),
        ("token", {"grant_type": "refresh_token", "refresh_token": "x"}),
        ("token", {"grant_type": "refresh_token", "refresh_token": cloud.token}),
    ):
        assert cloud.form(f"{HOST}/oauth2/{path}", **form)[0] in (400, 401)


def test_what_a_registry_caches(cloud: Azure) -> None:
    registry(cloud)
    path = f"{DEMO}/cacheRules/hub"
    rule = {"sourceRepository": "docker.io/library/*", "targetRepository": "hub/*"}
    found = cloud.done("PUT", path, {"properties": rule})
    assert found["properties"]["sourceRepository"] == rule["sourceRepository"]
    assert [one["name"] for one in cloud("GET", f"{DEMO}/cacheRules")["value"]] == ["hub"]
    cloud.done("DELETE", path)
    orphan = cloud.refused("PUT", f"{ACR}/nothing12/cacheRules/hub", {"properties": rule})
    assert orphan == (404, "ParentResourceNotFound")


def test_the_admin_user(cloud: Azure) -> None:
    registry(cloud)
    refused = cloud.refused("POST", f"{DEMO}/listCredentials")
    assert refused == (400, "UnAuthorizedForCredentialOperations")
    registry(cloud, adminUserEnabled=True)
    found = cloud("POST", f"{DEMO}/listCredentials")
    assert found["username"] == "kanikodemo"
    assert cloud("POST", f"{DEMO}/listCredentials") == found
    for one in found["passwords"]:
        client = Client(cloud.sandbox, NAME, "kanikodemo", one["value"])
        assert client.push("app", "v1", layer(a="1")).status == 201
        basic = client.raw("GET", "/v2/app/manifests/v1", **client._basic)
        assert basic.status == 200
    registry(cloud, adminUserEnabled=False)
    assert client.push("app", "v1").error[:2] == (401, "UNAUTHORIZED")


# -- what registries hold --------------------------------------------------------------------------

NOBODY = "00000000-0000-0000-0000-000000000000"
NAME = "kanikodemo.azurecr.io"


def refresh(cloud: Azure, entra: str) -> str:
    """What ``az acr login --expose-token`` prints for a token of Entra ID."""
    status, found = cloud.form(
        f"{HOST}/oauth2/exchange", grant_type="access_token", service=NAME, access_token=entra
    )
    assert status == 200, found
    return str(found["refresh_token"])


def client(cloud: Azure, entra: str = "") -> Client:
    return Client(cloud.sandbox, NAME, NOBODY, refresh(cloud, entra or cloud.token))


def bearer(cloud: Azure, scope: str, entra: str = "") -> dict[str, str]:
    status, found = cloud.form(
        f"{HOST}/oauth2/token", grant_type="refresh_token", service=NAME, scope=scope,
        refresh_token=refresh(cloud, entra or cloud.token),
    )  # fmt: skip
    assert status == 200, found
    return {"Authorization": f"Bearer {found['access_token']}"}


def test_an_image_that_was_pushed(cloud: Azure) -> None:
    registry(cloud)
    docker = client(cloud)
    assert docker.push("team/app", "v1", layer(a="hello")).status == 201
    assert docker.push("team/app/cache", "key", layer(a="hello")).status == 201
    assert [files(one) for one in docker.pull("team/app", "v1")] == [{"a": "hello"}]
    used = cloud("GET", f"{DEMO}/listUsages")["value"][0]["currentValue"]
    assert used > len(layer(a="hello"))
    cloud.done("DELETE", DEMO)
    registry(cloud)
    assert client(cloud)("GET", "/v2/team/app/tags/list").error[:2] == (404, "NAME_UNKNOWN")


@pytest.mark.parametrize("mode", ["LegacyRegistryPermissions", "AbacRepositoryPermissions"])
def test_who_may_push_and_pull(cloud: Azure, mode: str) -> None:
    registry(cloud, roleAssignmentMode=mode)
    client(cloud).push("app", "v1", layer(a="1"))
    caller = principal(cloud)
    docker = client(cloud, cloud.cloud.store.tokens.grant(caller, AUDIENCE))
    status, code, message = docker.push("app", "v2", layer(a="1")).error
    assert (status, code) == (401, "UNAUTHORIZED")
    assert message.startswith("authentication required, visit https://aka.ms/acr/authorization")
    cloud.assign("AcrPull", DEMO, caller.object_id)
    pulls = docker("GET", "/v2/app/manifests/v1").status
    assert pulls == (200 if mode.startswith("Legacy") else 401)
    refused = docker("POST", "/v2/app/blobs/uploads/")
    assert refused.json["errors"][0]["detail"][0]["Action"] == "push"
    assert 'scope="repository:app:pull,push"' in refused.headers["Www-Authenticate"]
    assert 'error="insufficient_scope"' in refused.headers["Www-Authenticate"]
    role = "AcrPush" if mode.startswith("Legacy") else "Repository Writer"
    cloud.assign(role, DEMO, caller.object_id)
    assert docker.push("app", "v2", layer(a="1")).status == 201
    assert docker("DELETE", "/v2/app/manifests/v2").error[:2] == (401, "UNAUTHORIZED")
    assert client(cloud)("DELETE", "/v2/app/manifests/v2").status == 202


def test_a_condition_names_repositories(cloud: Azure) -> None:
    registry(cloud, roleAssignmentMode="AbacRepositoryPermissions")
    caller = principal(cloud)
    name = "@Request[Microsoft.ContainerRegistry/registries/repositories:name]"
    condition = (
        f"(({name} StringEqualsIgnoreCase 'app' OR {name} StringStartsWithIgnoreCase 'app/'))"
    )
    cloud.assign("Repository Writer", DEMO, caller.object_id, condition=condition,
                 conditionVersion="2.0")  # fmt: skip
    docker = client(cloud, cloud.cloud.store.tokens.grant(caller, AUDIENCE))
    assert docker.push("app", "v1", layer(a="1")).status == 201
    assert docker.push("app/cache", "v1", layer(a="1")).status == 201
    assert docker.push("apple", "v1", layer(a="1")).error[:2] == (401, "UNAUTHORIZED")


def test_a_service_principal_logs_in(cloud: Azure) -> None:
    registry(cloud)
    environ = cloud.environ
    user, secret = environ["AZURE_CLIENT_ID"], environ["AZURE_CLIENT_SECRET"]
    assert Client(cloud.sandbox, NAME, user, secret).push("app", "v1").status == 201
    wrong = Client(cloud.sandbox, NAME, user, "wrong")
    assert wrong.push("app", "v1").error[:2] == (401, "UNAUTHORIZED")
    status, found = cloud.form(
        f"{HOST}/oauth2/token", grant_type="password", service=NAME, scope="repository:app:pull",
        username=user, password=secret,
    )  # fmt: skip
    assert (status, unsigned(found["access_token"])["access"][0]["actions"]) == (200, ["pull"])


def test_anybody_pulls_where_that_is_allowed(cloud: Azure) -> None:
    registry(cloud)
    client(cloud).push("app", "v1", layer(a="1"))
    anybody = Client(cloud.sandbox, NAME)
    assert anybody("GET", "/v2/app/manifests/v1").error[:2] == (401, "UNAUTHORIZED")
    registry(cloud, anonymousPullEnabled=True)
    assert [files(one) for one in anybody.pull("app", "v1")] == [{"a": "1"}]
    assert anybody.push("app", "v2").error[:2] == (401, "UNAUTHORIZED")


def test_tokens_end(cloud: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    registry(cloud)
    docker, access = client(cloud), bearer(cloud, "repository:app:pull,push")
    path = "/v2/app/blobs/uploads/"
    assert docker.raw("POST", path, **access).status == 202
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 4501)
    assert docker.raw("POST", path, **access).status == 401
    assert docker("POST", path).status == 202
    monkeypatch.setattr(time, "time", lambda: now + 3 * 3600 + 1)
    assert docker("POST", path).error[:2] == (401, "UNAUTHORIZED")


def test_what_az_acr_repository_asks(cloud: Azure) -> None:
    registry(cloud)
    docker = client(cloud)
    digest = docker.push("app", "v1", layer(a="1")).headers["Docker-Content-Digest"]
    docker.push("app", "v2", layer(a="2"))
    docker.push("team/app", "v1", layer(a="1"))
    catalog = bearer(cloud, "registry:catalog:*")
    for path in ("/acr/v1/_catalog", "/v2/_catalog"):
        found = docker.raw("GET", f"{path}?n=100", **catalog)
        assert found.json == {"repositories": ["app", "team/app"]}
        assert docker.raw("GET", path).error[:2] == (401, "UNAUTHORIZED")
    reads = bearer(cloud, "repository:app:metadata_read")
    shown = docker.raw("GET", "/acr/v1/app", **reads).json
    assert (shown["registry"], shown["imageName"]) == (NAME, "app")
    assert (shown["manifestCount"], shown["tagCount"]) == (2, 2)
    tags = docker.raw("GET", "/acr/v1/app/_tags?orderby=timedesc", **reads).json["tags"]
    assert [one["name"] for one in tags] == ["v2", "v1"]
    page = docker.raw("GET", "/acr/v1/app/_tags?n=1", **reads)
    assert [one["name"] for one in page.json["tags"]] == ["v1"]
    link = page.headers["Link"].partition(">")[0].removeprefix("<")
    last = docker.raw("GET", link, **reads)
    assert [one["name"] for one in last.json["tags"]] == ["v2"]
    assert "Link" not in last.headers
    one = docker.raw("GET", "/acr/v1/app/_tags/v1", **reads).json["tag"]
    assert one["digest"] == digest
    manifests = docker.raw("GET", "/acr/v1/app/_manifests", **reads).json["manifests"]
    assert {one["digest"]: one.get("tags") for one in manifests}[digest] == ["v1"]
    assert docker.raw("GET", "/v2/app/tags/list", **reads).json["tags"] == ["v1", "v2"]
    assert docker.raw("GET", "/acr/v1/team/app", **reads).error[:2] == (401, "UNAUTHORIZED")
    deletes = bearer(cloud, "repository:app:delete,metadata_read")
    assert docker.raw("DELETE", "/acr/v1/app/_tags/v2", **deletes).status == 202
    assert docker.raw("GET", "/acr/v1/app/_tags/v2", **deletes).error[:2] == (404, "TAG_UNKNOWN")
    gone = docker.raw("DELETE", "/acr/v1/app", **deletes)
    assert (gone.status, gone.json["tagsDeleted"]) == (202, ["v1"])
    assert docker.raw("GET", "/acr/v1/app", **deletes).error[:2] == (404, "NAME_UNKNOWN")
    assert docker.raw("PATCH", "/acr/v1/app", **deletes).status == 501


def test_faults_of_a_registry(cloud: Azure) -> None:
    registry(cloud)
    docker = client(cloud)
    cloud.sandbox.faults.take(Faults.parse("throttle:registry:acr/Token@1"))
    assert docker.push("app", "v1").error[:2] == (429, "TOOMANYREQUESTS")
    assert docker.push("app", "v1").status == 201
