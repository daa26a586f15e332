"""Container registries, and the tokens that their hosts give."""

from __future__ import annotations

from typing import Any

import pytest

from clusterkit_sandbox.azure.account import Caller
from clusterkit_sandbox.azure.tokens import unsigned
from tests.sandbox.azurecloud import ACR, REGION, SUB, Azure, cloud, shared

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
    assert cloud("POST", f"{DEMO}/listCredentials")["username"] == "kanikodemo"
