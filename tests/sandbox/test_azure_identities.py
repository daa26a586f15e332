"""Managed identities, federated credentials, roles, and who may do what."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from clusterkit_sandbox.azure.account import GROUP
from tests.sandbox.azurecloud import (
    NET,
    REGION,
    RG,
    ROLES,
    SUB,
    UAI,
    Azure,
    account,
    cloud,
    eventually,
    shared,
)

__all__ = ["cloud", "shared"]
FEDERATED = {"issuer": "https://oidc.example.com/", "subject": "system:serviceaccount:a:b",
             "audiences": ["api://AzureADTokenExchange"]}  # fmt: skip
ASSIGNMENTS = "providers/Microsoft.Authorization/roleAssignments"
DEFINITIONS = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions"


def test_an_identity(cloud: Azure) -> None:
    one = cloud.identity("one")
    assert uuid.UUID(one["properties"]["principalId"])
    again = cloud("PUT", f"{UAI}/one", {"location": REGION, "tags": {"a": "b"}})
    assert again["properties"] == one["properties"]
    cloud("PATCH", f"{UAI}/one", {"tags": {"c": "d"}})
    assert cloud("GET", f"{UAI}/one")["tags"] == {"c": "d"}
    assert cloud.send("DELETE", f"{UAI}/one")[0] == 200
    assert cloud.send("DELETE", f"{UAI}/one")[0] == 204
    other = cloud.identity("one")
    assert other["properties"]["principalId"] != one["properties"]["principalId"]


def test_federated_credentials(cloud: Azure) -> None:
    cloud.identity("one")
    path = f"{UAI}/one/federatedIdentityCredentials"
    cloud("PUT", f"{path}/first", {"properties": FEDERATED})
    assert [one["name"] for one in cloud("GET", path)["value"]] == ["first"]
    assert cloud("GET", f"{path}/first")["properties"] == FEDERATED
    cloud("PUT", f"{path}/first", {"properties": FEDERATED})
    same = cloud.refused("PUT", f"{path}/second", {"properties": FEDERATED})
    assert same == (400, "BadRequest")
    few = cloud.refused("PUT", f"{path}/second", {"properties": {"issuer": "https://x"}})
    assert few == (400, "BadRequest")
    assert cloud.refused("PUT", f"{path}/x", {"properties": FEDERATED})[0] == 400
    assert cloud.refused("PUT", f"{UAI}/none/federatedIdentityCredentials/one",
                         {"properties": FEDERATED})[0] == 404  # fmt: skip
    cloud("DELETE", f"{path}/first")
    cloud("DELETE", f"{UAI}/one")


def test_credentials_are_written_one_at_a_time(tmp_path: Path) -> None:
    with account(tmp_path, pace=50) as cloud:
        cloud.group()
        cloud.identity("one")
        path = f"{UAI}/one/federatedIdentityCredentials"
        cloud("PUT", f"{path}/first", {"properties": FEDERATED})
        other = {"properties": {**FEDERATED, "subject": "other"}}
        status, code = cloud.refused("PUT", f"{path}/second", other)
        assert status == 409
        assert code == "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"
        assert cloud.refused("DELETE", f"{path}/first") == (status, code)
        eventually(lambda: cloud.send("PUT", f"{path}/second", other)[0], lambda s: s == 201)


def test_role_assignments(cloud: Azure) -> None:
    principal = cloud.identity()["properties"]["principalId"]
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, "one"))
    made = cloud.assign("Reader", RG, principal, name, description="mine")
    assert made["name"] == name
    assert made["properties"]["scope"] == RG
    cloud.assign("Reader", RG, principal, name)
    definition = f"{DEFINITIONS}/{ROLES['Reader']}"
    properties = {"roleDefinitionId": definition, "principalId": principal}
    twin = cloud.refused("PUT", f"{RG}/{ASSIGNMENTS}/{uuid.uuid4()}", {"properties": properties})
    assert twin == (409, "RoleAssignmentExists")
    other = {**properties, "roleDefinitionId": f"{DEFINITIONS}/{ROLES['AcrPull']}"}
    changed = cloud.refused("PUT", f"{RG}/{ASSIGNMENTS}/{name}", {"properties": other})
    assert changed == (400, "RoleAssignmentUpdateNotPermitted")
    path = f"{SUB}/{ASSIGNMENTS}"
    query = {"$filter": f"principalId eq '{principal}'"}
    assert [one["name"] for one in cloud("GET", path, **query)["value"]] == [name]
    query = {"$filter": f"assignedTo('{uuid.uuid4()}')"}
    assert cloud("GET", path, **query)["value"] == []
    assert cloud("GET", path, **{"$filter": "atScope()"})["value"] == []
    assert [one["name"] for one in cloud("GET", f"{RG}/{ASSIGNMENTS}")["value"]] == [name]
    cloud("DELETE", f"{RG}/{ASSIGNMENTS}/{name}")
    assert cloud.send("DELETE", f"{RG}/{ASSIGNMENTS}/{name}")[0] == 204
    assert cloud.refused("GET", f"{RG}/{ASSIGNMENTS}/{name}")[0] == 404


@pytest.mark.parametrize(
    ("where", "given", "code"),
    [
        (RG, {"principalId": str(uuid.uuid4())}, "PrincipalNotFound"),
        (RG, {"roleDefinitionId": f"{DEFINITIONS}/{uuid.uuid4()}"}, "RoleDefinitionDoesNotExist"),
        (f"{SUB}/resourceGroups/none", {}, "ResourceGroupNotFound"),
        (f"{UAI}/none", {}, "ResourceNotFound"),
    ],
)
def test_assignments_that_are_refused(
    cloud: Azure, where: str, given: dict[str, str], code: str
) -> None:
    properties = {"roleDefinitionId": f"{DEFINITIONS}/{ROLES['Reader']}", "principalId": GROUP}
    body = {"properties": {**properties, **given}}
    assert cloud.refused("PUT", f"{where}/{ASSIGNMENTS}/{uuid.uuid4()}", body)[1] == code


def test_a_young_identity_is_not_known_everywhere(tmp_path: Path) -> None:
    with account(tmp_path, pace=60) as cloud:
        cloud.group()
        principal = cloud.identity()["properties"]["principalId"]
        properties = {"roleDefinitionId": f"{DEFINITIONS}/{ROLES['Reader']}",
                      "principalId": principal}  # fmt: skip
        path = f"{RG}/{ASSIGNMENTS}/{uuid.uuid4()}"
        assert cloud.refused("PUT", path, {"properties": properties}) == (400, "PrincipalNotFound")
        eventually(
            lambda: cloud.send("PUT", path, {"properties": properties})[0], lambda s: s < 300
        )
        cloud.assign("AcrPull", RG, cloud.identity("other")["properties"]["principalId"])


def test_roles_by_name(cloud: Azure) -> None:
    query = {"$filter": "roleName eq 'AcrPush'"}
    found = cloud("GET", DEFINITIONS, **query)["value"]
    assert [one["name"] for one in found] == [ROLES["AcrPush"]]
    assert found[0]["id"] == f"{DEFINITIONS}/{ROLES['AcrPush']}"
    assert cloud("GET", f"{DEFINITIONS}/{ROLES['AcrPush']}")["properties"]["roleName"] == "AcrPush"


def test_a_role_of_ones_own(cloud: Azure) -> None:
    name = str(uuid.uuid4())
    allowed = [{"actions": ["Microsoft.Network/natGateways/read"], "notActions": []}]
    properties = {"roleName": "Mine", "assignableScopes": [SUB], "permissions": allowed}
    status, _, _ = cloud.send("PUT", f"{DEFINITIONS}/{name}", {"properties": properties})
    assert status == 201
    assert cloud("GET", f"{DEFINITIONS}/{name}")["properties"]["type"] == "CustomRole"
    cloud("DELETE", f"{DEFINITIONS}/{name}")


def test_what_a_role_of_ones_own_allows(cloud: Azure) -> None:
    """Each of its sets of actions by itself; above and at the scope that it is given at."""
    store = cloud.cloud.store
    one = cloud.identity("one")["properties"]["principalId"]
    caller = store.tokens.principal(one)
    assert caller is not None
    token = store.tokens.grant(caller, "https://management.azure.com")
    sets = [
        {"actions": ["Microsoft.Network/*"], "notActions": ["Microsoft.Network/*/write"]},
        {"actions": ["Microsoft.Network/natGateways/write"], "notActions": []},
    ]
    name = str(uuid.uuid4())
    properties = {"roleName": "Mine", "assignableScopes": [SUB], "permissions": sets}
    cloud("PUT", f"{DEFINITIONS}/{name}", {"properties": properties})
    path = f"{RG}/{ASSIGNMENTS}/{uuid.uuid4()}"
    given = {"roleDefinitionId": f"{DEFINITIONS}/{name}", "principalId": one,
             "principalType": "ServicePrincipal"}  # fmt: skip
    cloud("PUT", path, {"properties": given})
    cloud("GET", f"{NET}/natGateways", token=token)
    cloud("PUT", f"{NET}/natGateways/one", {"location": "eastus"}, token=token)
    refused = cloud.refused("PUT", f"{NET}/routeTables/one", {"location": "eastus"}, token=token)
    assert refused == (403, "AuthorizationFailed")
    elsewhere = f"{SUB}/providers/Microsoft.Network/natGateways"
    assert cloud.refused("GET", elsewhere, token=token) == (403, "AuthorizationFailed")
    place = f"{RG}/providers/Microsoft.Authorization/permissions"
    refused = cloud.refused("GET", place, token=token)
    assert refused == (403, "AuthorizationFailed")
    cloud.assign("Reader", RG, one)
    found = cloud("GET", place, token=token)["value"]
    assert [each["actions"] for each in found[:2]] == [each["actions"] for each in sets]


def test_what_a_limited_caller_may_do(cloud: Azure) -> None:
    user = cloud.sandbox.identity(
        ["Microsoft.Network/natGateways/*", "Microsoft.Resources/subscriptions/resourceGroups/read"]
    )
    token = cloud.login(user.environment)
    cloud("GET", RG, token=token)
    cloud("GET", f"{NET}/natGateways", token=token)
    status, found, _ = cloud.send("GET", f"{UAI}/one", token=token)
    assert (status, found["error"]["code"]) == (403, "AuthorizationFailed")
    assert "'Microsoft.ManagedIdentity/userAssignedIdentities/read'" in found["error"]["message"]
    body = {"location": REGION}
    assert cloud.refused("PUT", RG, body, token=token) == (403, "AuthorizationFailed")
    ip, ip_id = {"location": REGION, "sku": {"name": "Standard"}}, f"{NET}/publicIPAddresses/one"
    cloud.done("PUT", ip_id, ip)
    gateway = {"location": REGION, "sku": {"name": "Standard"},
               "properties": {"publicIpAddresses": [{"id": ip_id}]}}  # fmt: skip
    status, found, _ = cloud.send("PUT", f"{NET}/natGateways/one", gateway, token=token)
    assert (status, found["error"]["code"]) == (403, "LinkedAuthorizationFailed")
    assert "'Microsoft.Network/publicIPAddresses/join/action'" in found["error"]["message"]
    user.permissions.allow([*user.permissions.allowed, "Microsoft.Network/publicIPAddresses/*"])
    cloud("PUT", f"{NET}/natGateways/one", gateway, token=token)
    asked = user.permissions.drain()
    assert "Microsoft.Network/natGateways/write" in asked
    assert "Microsoft.ManagedIdentity/userAssignedIdentities/read" in asked


@pytest.mark.parametrize("action", ["*/read", "Microsoft.Network/*", "*"])
def test_actions_with_wildcards(cloud: Azure, action: str) -> None:
    user = cloud.sandbox.identity([action])
    cloud("GET", f"{NET}/natGateways", token=cloud.login(user.environment))


def test_an_identity_may_do_what_its_roles_allow(cloud: Azure) -> None:
    store = cloud.cloud.store
    one = cloud.identity("one")["properties"]
    caller = store.tokens.principal(one["principalId"])
    assert caller is not None
    token = store.tokens.grant(caller, "https://management.azure.com")
    assert cloud.refused("GET", RG, token=token) == (403, "AuthorizationFailed")
    cloud.assign("Contributor", RG, one["principalId"])
    cloud("GET", RG, token=token)
    path = f"{RG}/{ASSIGNMENTS}/{uuid.uuid4()}"
    properties = {"roleDefinitionId": f"{DEFINITIONS}/{ROLES['Reader']}",
                  "principalId": one["principalId"]}  # fmt: skip
    refused = cloud.refused("PUT", path, {"properties": properties}, token=token)
    assert refused == (403, "AuthorizationFailed")
    found = cloud("GET", f"{RG}/providers/Microsoft.Authorization/permissions", token=token)
    assert found["value"][0]["actions"] == ["*"]
    place = f"{SUB}/providers/Microsoft.Authorization/permissions"
    whole = {"actions": ["*"], "notActions": [], "dataActions": [], "notDataActions": []}
    assert cloud("GET", place)["value"] == [whole]
    assert "Microsoft.Authorization/*/Write" in found["value"][0]["notActions"]
