"""What Resource Manager and Entra ID check of every request, before any service does."""

from __future__ import annotations

import time
from typing import Any

import pytest

from clusterkit_sandbox.azure import model
from clusterkit_sandbox.azure.account import OTHER_SUBSCRIPTION, TENANT
from clusterkit_sandbox.faults import Rule
from tests.sandbox.azurecloud import (
    AKS,
    NET,
    REGION,
    RG,
    SUB,
    UAI,
    Azure,
    cloud,
    eventually,
    shared,
)

__all__ = ["cloud", "shared"]
LOGIN = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"
SCOPE = "https://management.azure.com/.default"


def unknown_tenant(cloud: Azure, form: dict[str, str]) -> tuple[int, Any]:
    return cloud.form(LOGIN.replace(TENANT, "5a6d0000-0000-4000-8000-000000000000"), **form)


def grant(cloud: Azure, **more: str) -> tuple[int, Any]:
    form = {
        "grant_type": "client_credentials",
        "client_id": cloud.environ["AZURE_CLIENT_ID"],
        "client_secret": cloud.environ["AZURE_CLIENT_SECRET"],
        "scope": SCOPE,
    }
    return cloud.form(LOGIN, **form | more)


@pytest.mark.parametrize(
    ("given", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_id": "5a6d0000-0000-4000-8000-000000000000"}, 400, "unauthorized_client", 700016),
        ({"scope": "https://example.com/.default"}, 400, "invalid_resource", 500011),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"client_assertion": "x"}, 400, "invalid_request", 50027),
    ],
)
def test_tokens_that_are_not_given(
    cloud: Azure, given: dict[str, str], status: int, error: str, code: int
) -> None:
    found = grant(cloud, **given)
    assert found[0] == status
    assert found[1]["error"] == error
    assert found[1]["error_codes"] == [code]
    assert found[1]["error_description"].startswith(f"AADSTS{code}: ")


def test_a_token(cloud: Azure) -> None:
    status, found = grant(cloud)
    assert status == 200
    assert found["token_type"] == "Bearer"
    assert 3000 < found["expires_in"] <= 3600
    assert found["access_token"].count(".") == 2


def test_another_tenant(cloud: Azure) -> None:
    form = {"grant_type": "client_credentials", "client_id": "x", "scope": SCOPE}
    status, found = unknown_tenant(cloud, form)
    assert (status, found["error_codes"]) == (400, [90002])


def test_discovery(cloud: Azure) -> None:
    root = "https://login.microsoftonline.com"
    found = cloud("GET", f"{root}/{TENANT}/v2.0/.well-known/openid-configuration", version="")
    assert found["token_endpoint"] == LOGIN
    query = f"api-version=1.1&authorization_endpoint={root}/{TENANT}/oauth2/v2.0/authorize"
    found = cloud("GET", f"{root}/common/discovery/instance?{query}")
    assert found["tenant_discovery_endpoint"].startswith(f"{root}/{TENANT}/")
    assert found["metadata"][0]["preferred_network"] == "login.microsoftonline.com"


def test_who_makes_a_request(cloud: Azure) -> None:
    status, found, headers = cloud.send("GET", RG, headers={"Authorization": ""})
    assert (status, found["error"]["code"]) == (401, "AuthenticationFailed")
    assert headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")
    assert cloud.refused("GET", RG, token="x.y.z") == (401, "InvalidAuthenticationToken")
    other = cloud.login(cloud.environ, "https://graph.microsoft.com")
    assert cloud.refused("GET", RG, token=other) == (401, "InvalidAuthenticationTokenAudience")
    tokens = cloud.cloud.store.tokens
    caller = tokens.application(cloud.environ["AZURE_CLIENT_ID"])
    assert caller is not None
    old = tokens.grant(caller, "https://management.azure.com", -1)
    assert cloud.refused("GET", RG, token=old) == (401, "ExpiredAuthenticationToken")


def test_versions(cloud: Azure) -> None:
    assert cloud.refused("GET", RG, version="") == (400, "MissingApiVersionParameter")
    assert cloud.refused("GET", RG, version="v1") == (400, "InvalidApiVersionParameter")
    # a preview may have members that the stable version lacks
    body = {**cloud.wanted(), "preview": {"a": 1}}
    assert cloud.refused("PUT", f"{AKS}/demo", body) == (400, "UnmarshalError")
    cloud.done("PUT", f"{AKS}/demo", body, version="2026-01-01-preview")


def test_subscriptions_and_groups(cloud: Azure) -> None:
    unknown = RG.replace(SUB, "/subscriptions/5a6d0000-0000-4000-8000-000000000000")
    assert cloud.refused("GET", unknown) == (404, "SubscriptionNotFound")
    assert cloud.refused("GET", f"{SUB}/resourcegroups/none") == (404, "ResourceGroupNotFound")
    ids = f"{SUB}/resourceGroups/none/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    assert cloud.refused("PUT", f"{ids}/one", {"location": REGION}) == (
        404,
        "ResourceGroupNotFound",
    )
    assert cloud.refused("GET", f"{UAI}/none") == (404, "ResourceNotFound")
    names = [one["subscriptionId"] for one in cloud("GET", "/subscriptions")["value"]]
    assert OTHER_SUBSCRIPTION in names
    assert cloud("GET", f"/subscriptions/{OTHER_SUBSCRIPTION}/resourcegroups")["value"] == []


def test_paths_in_any_case(cloud: Azure) -> None:
    cloud("PUT", f"{UAI}/Demo", {"location": "East US", "tags": {"a": "b"}})
    found = cloud("GET", f"{UAI}/demo".upper().replace("/SUBSCRIPTIONS", "/subscriptions"))
    assert found["name"] == "Demo"
    assert found["location"] == REGION
    # identities have ids of their own case (Azure/azure-cli#27099)
    assert found["id"] == f"{UAI}/Demo".replace("resourceGroups", "resourcegroups")


def test_providers_must_be_registered(cloud: Azure) -> None:
    cloud.cloud.store.registered.clear()
    body = {"location": REGION}
    status, found, _ = cloud.send("PUT", f"{UAI}/one", body)
    assert (status, found["error"]["code"]) == (409, "MissingSubscriptionRegistration")
    assert found["error"]["details"][0]["target"] == "Microsoft.ManagedIdentity"
    place = f"{SUB}/providers/Microsoft.ManagedIdentity"
    assert cloud("GET", place)["registrationState"] == "NotRegistered"
    cloud("POST", f"{place}/register")
    eventually(lambda: cloud("GET", place)["registrationState"], lambda one: one == "Registered")
    cloud("PUT", f"{UAI}/one", body)
    status, code = cloud.refused("GET", f"{SUB}/providers/Microsoft.None")
    assert (status, code) == (404, "InvalidResourceNamespace")


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (f"{NET}/natGateways/one", {"location": REGION, "x": 1}, "InvalidRequestFormat"),
        (f"{NET}/natGateways/one", {"properties": {}}, "LocationRequired"),
        (f"{NET}/natGateways/one", {"location": "mars"}, "LocationNotAvailableForResourceType"),
        (f"{NET}/natGateways/one", {"location": REGION, "zones": "1"}, "InvalidRequestFormat"),
        (f"{SUB}/resourcegroups/one", {"location": "mars"}, "LocationNotAvailableForResourceGroup"),
        (f"{SUB}/resourcegroups/one.", {"location": REGION}, "InvalidResourceGroup"),
        (f"{SUB}/resourcegroups/one", {"location": REGION, "x": 1}, "InvalidRequestContent"),
        (f"{UAI}/one", {"location": REGION, "tags": {"a/b": "c"}}, "InvalidTagNameCharacters"),
        (f"{AKS}/one", {"location": REGION, "x": 1}, "UnmarshalError"),
        (f"{AKS}/one", {"location": REGION, "properties": {"fqdn": 1, "x": 2}}, "UnmarshalError"),
    ],
)
def test_bodies_that_are_refused(cloud: Azure, path: str, body: Any, code: str) -> None:
    assert cloud.refused("PUT", path, body) == (400, code)


def test_errors_of_kubernetes_service_have_no_envelope(cloud: Azure) -> None:
    _, found, _ = cloud.send("PUT", f"{AKS}/one", {"location": REGION, "bogus": 1})
    assert found["code"] == "UnmarshalError"
    assert 'json: unknown field "bogus"' in found["message"]
    _, found, _ = cloud.send("GET", f"{AKS}/one")
    assert found["error"]["code"] == "ResourceNotFound"


def test_what_is_not_emulated(cloud: Azure) -> None:
    status, found, _ = cloud.send("GET", f"{NET}/virtualNetworkGateways")
    assert (status, found["error"]["code"]) == (501, "UNIMPLEMENTED")
    status, found, _ = cloud.send("GET", f"{RG}/providers/Microsoft.Web/sites/one")
    assert status == 501
    assert cloud.refused("GET", "/nothing")[0] == 404


def test_policies(cloud: Azure) -> None:
    cloud.cloud.store.conditions.disallowed.add("microsoft.network/natgateways")
    path = f"{NET}/natGateways/one"
    assert cloud.refused("PUT", path, {"location": REGION}) == (403, "RequestDisallowedByPolicy")


def test_faults(cloud: Azure) -> None:
    faults = cloud.sandbox.faults
    path = f"{NET}/natGateways/one"
    try:
        faults.set([Rule("network:NatGateways_Get", "throttle")])
        assert cloud.refused("GET", path) == (429, "TooManyRequestsReceived")
        faults.set([Rule("network:NatGateways_Get", "denied")])
        assert cloud.refused("GET", path) == (403, "AuthorizationFailed")
        faults.set([Rule("containerservice:*", "throttle")])
        assert cloud.refused("GET", f"{AKS}/one") == (429, "Throttled")
        rule = Rule("containerservice:ManagedClusters_Get", "refuse", code="OperationNotAllowed")
        faults.set([rule])
        assert cloud.refused("GET", f"{AKS}/one") == (409, "OperationNotAllowed")
        faults.set([Rule("resources:ResourceGroups_Get", "error")])
        assert cloud.refused("GET", RG)[0] == 503
        rule = Rule("resources:ResourceGroups_CreateOrUpdate", "late", seconds=0.2)
        faults.set([rule])
        cloud.group("young")
        assert cloud.refused("GET", f"{SUB}/resourcegroups/young")[0] == 404
        time.sleep(0.25)
        cloud("GET", f"{SUB}/resourcegroups/young")
        faults.set([Rule("network:NatGateways_CreateOrUpdate", "terminal")])
        body = {"location": REGION, "sku": {"name": "Standard"}}
        assert cloud.failed("PUT", path, body)["code"] == "InternalServerError"
        assert cloud("GET", path)["properties"]["provisioningState"] == "Failed"
        faults.set([])
        cloud.done("PUT", path, body)
    finally:
        faults.set([])


def test_a_page_at_a_time(cloud: Azure) -> None:
    for number in range(3):
        cloud.identity(f"one{number}")
    faults = cloud.sandbox.faults
    try:
        faults.page_size = 1
        names, url = [], UAI
        while url:
            found = cloud("GET", url)
            names += [one["name"] for one in found["value"]]
            url = found.get("nextLink", "")
        assert names == ["one0", "one1", "one2"]
    finally:
        faults.page_size = None


@pytest.mark.parametrize(
    ("kind", "method", "operation"),
    [
        ("Microsoft.Network/natGateways", "PUT", "network:NatGateways_CreateOrUpdate"),
        ("Microsoft.Resources/resourceGroups", "DELETE", "resources:ResourceGroups_Delete"),
        ("Microsoft.Authorization/roleAssignments", "PUT", "authorization:RoleAssignments_Create"),
        (
            "Microsoft.ContainerService/managedClusters/agentPools",
            "GET",
            "containerservice:AgentPools_Get",
        ),
        (
            "Microsoft.ContainerService/managedClusters/start",
            "POST",
            "containerservice:ManagedClusters_Start",
        ),
    ],
)
def test_operations_by_type_and_method(kind: str, method: str, operation: str) -> None:
    assert model.operations_on(kind, method) == [operation]
