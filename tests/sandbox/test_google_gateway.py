"""The front end of the emulated Google APIs: who calls, what is asked, what Google says to it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import google.auth
import pytest
from google.auth import crypt, jwt
from google.auth.transport.requests import AuthorizedSession

from clusterkit_sandbox.faults import Faults
from tests.sandbox.gcp import PROJECT, REGION, SCOPE, Gcp, cloud, shared

__all__ = ["cloud", "shared"]
COMPUTE = f"compute.googleapis.com/compute/v1/projects/{PROJECT}"
CLUSTERS = f"container.googleapis.com/v1/projects/{PROJECT}/locations/{REGION}/clusters"


def error(cloud: Gcp, verb: str, url: str, body: Any = None, token: str = "") -> dict[str, Any]:
    status, found = cloud.send(verb, url, body, token)
    assert status >= 400, found
    assert found["error"]["code"] == status
    refusal: dict[str, Any] = found["error"]
    return refusal


def signed(cloud: Gcp, **claims: Any) -> bytes:
    key = json.loads(Path(cloud.file).read_text())
    now = int(time.time())
    usual = {"iss": key["client_email"], "sub": key["client_email"], "iat": now, "exp": now + 3600}
    made: Any = crypt.RSASigner.from_service_account_info(key)  # type: ignore[no-untyped-call]
    token: bytes = jwt.encode(made, usual | claims)  # type: ignore[no-untyped-call]
    return token


# -- credentials -----------------------------------------------------------------------------------


def test_the_official_libraries_log_in(cloud: Gcp, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cloud.environ.items():
        monkeypatch.setenv(name, value)
    credentials, project = google.auth.default(scopes=[SCOPE])  # type: ignore[no-untyped-call]
    assert project == PROJECT
    session: Any = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    assert session.get(f"https://{COMPUTE}/global/networks").json()["kind"] == "compute#networkList"
    assert cloud.sandbox.requests.count("oauth2.token") == 1


def test_a_self_signed_jwt_is_for_one_service_or_a_scope(cloud: Gcp) -> None:
    url = f"{COMPUTE}/global/networks"
    for claims in ({"aud": "https://compute.googleapis.com/"}, {"scope": SCOPE}):
        assert cloud.send("GET", url, token=signed(cloud, **claims).decode())[0] == 200
    for claims in ({}, {"aud": "https://example.com/"}, {"scope": SCOPE, "exp": 1}):
        assert cloud.send("GET", url, token=signed(cloud, **claims).decode())[0] == 401


@pytest.mark.parametrize("token", ["ya29.nobody", "a.b.c", "x"])
def test_a_wrong_token(cloud: Gcp, token: str) -> None:
    found = error(cloud, "GET", f"{COMPUTE}/global/networks", token=token)
    assert (found["code"], found["status"]) == (401, "UNAUTHENTICATED")
    assert found["message"].startswith("Request had invalid authentication credentials.")
    assert found["errors"][0]["reason"] == "authError"


@pytest.mark.parametrize(
    ("claims", "code", "words"),
    [
        ({"exp": 1, "iat": 0}, "invalid_grant", "short-lived token"),
        ({"iss": "nobody@example.com"}, "invalid_grant", "account not found"),
        ({"aud": "https://example.com"}, "invalid_grant", "audience"),
        ({"scope": ""}, "invalid_scope", "Invalid OAuth scope"),
    ],
)
def test_an_assertion_that_is_not_good(
    cloud: Gcp, claims: dict[str, Any], code: str, words: str
) -> None:
    usual = {"aud": "https://oauth2.googleapis.com/token", "scope": SCOPE}
    status, found = cloud.exchange(signed(cloud, **usual | claims).decode())
    assert (status, found["error"]) == (400, code)
    assert words in found["error_description"]


def test_a_forged_signature(cloud: Gcp) -> None:
    good = signed(cloud, aud="https://oauth2.googleapis.com/token", scope=SCOPE).decode()
    assert cloud.exchange(good)[0] == 200
    head, _, signature = good.split(".")
    other = signed(cloud, aud="https://oauth2.googleapis.com/token", scope="x").decode()
    status, found = cloud.exchange(".".join((head, other.split(".")[1], signature)))
    assert (status, found["error_description"]) == (400, "Invalid JWT Signature.")


def test_impersonation(cloud: Gcp) -> None:
    made = cloud.account("demo-robot")["email"]
    url = f"iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{made}:generateAccessToken"
    token = cloud("POST", url, {"scope": [SCOPE], "lifetime": "300s"})["accessToken"]
    assert error(cloud, "GET", f"{COMPUTE}/global/networks", token=token)["code"] == 403
    assert error(cloud, "POST", url, {"scope": [SCOPE], "lifetime": "9999s"})["code"] == 400
    assert error(cloud, "POST", url, {"scope": [SCOPE]}, token=token)["code"] == 403


# -- what is asked ---------------------------------------------------------------------------------


def test_unknown_names_are_refused_where_they_are(cloud: Gcp) -> None:
    body = {"cluster": {"name": "a", "nodePools": [{"config": {"machineTyp": "e2"}}], "nope": 1}}
    found = error(cloud, "POST", CLUSTERS, body)
    assert found["status"] == "INVALID_ARGUMENT"
    violations = found["details"][0]["fieldViolations"]
    assert {one["field"]: one["description"] for one in violations} == {
        "cluster.node_pools[0].config": 'Invalid JSON payload received. Unknown name "machineTyp"'
        " at 'cluster.node_pools[0].config': Cannot find field.",
        "cluster": "Invalid JSON payload received. Unknown name \"nope\" at 'cluster':"
        " Cannot find field.",
    }


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ({"initialNodeCount": "z"}, "'cluster.initial_node_count' (TYPE_INT32), \"z\""),
        ({"releaseChannel": {"channel": "FAST"}}, "'cluster.release_channel.channel' (TYPE_ENUM)"),
        ({"resourceLabels": {"a": 1}}, "(TYPE_STRING), 1"),
        ({"locations": "a"}, "'cluster.locations'"),
        ({"shieldedNodes": {"enabled": "yes"}}, "(TYPE_BOOL)"),
    ],
)
def test_values_of_the_wrong_type(cloud: Gcp, cluster: dict[str, Any], words: str) -> None:
    found = error(cloud, "POST", CLUSTERS, {"cluster": {"name": "a", **cluster}})
    assert words in found["message"]


def test_a_body_that_is_no_json(cloud: Gcp) -> None:
    found = cloud.raw("POST", CLUSTERS, b"{")
    assert found[0] == 400
    assert found[1]["error"]["message"].startswith("Invalid JSON payload received.")


def test_other_spellings_of_the_same(cloud: Gcp) -> None:
    cloud.compute("POST", "global/networks", {"name": "n", "auto_create_subnetworks": False})
    assert cloud.compute("GET", "global/networks?max_results=1&alt=json&prettyPrint=false")["items"]
    policies = "global/firewallPolicies"
    cloud.compute("POST", policies, {"name": "lock"})
    for turn in range(8):
        stamp = cloud.compute("GET", f"{policies}/lock")["fingerprint"]
        body = {"description": str(turn), "fingerprint": stamp.replace("+", "-").replace("/", "_")}
        cloud.done(cloud.compute("PATCH", f"{policies}/lock", body))
    # older clients send what newer documents lack
    assert cloud.compute("GET", "global/networks?returnPartialSuccess=true")["items"]
    old = f"www.googleapis.com/compute/v1/projects/{PROJECT}/global/networks/n"
    assert cloud("GET", old)["name"] == "n"
    number = "compute.googleapis.com/compute/v1/projects/123456789012/global/networks/n"
    assert cloud("GET", number)["name"] == "n"


def test_queries_are_checked(cloud: Gcp) -> None:
    found = error(cloud, "GET", f"{COMPUTE}/global/networks?nope=1")
    assert 'Unknown name "nope": Cannot bind query parameter.' in found["message"]
    assert (
        "TYPE_UINT32" in error(cloud, "GET", f"{COMPUTE}/global/networks?maxResults=a")["message"]
    )


# -- what Google says ------------------------------------------------------------------------------


def test_what_is_not_there(cloud: Gcp) -> None:
    assert error(cloud, "GET", "compute.googleapis.com/compute/v1/nothing")["code"] == 404
    found = error(cloud, "GET", f"{COMPUTE}/global/images")
    assert (found["code"], found["status"]) == (501, "UNIMPLEMENTED")
    other = COMPUTE.replace(PROJECT, "somebodys")
    assert error(cloud, "GET", f"{other}/global/networks")["errors"][0]["reason"] == "notFound"
    wrong = "cloudresourcemanager.googleapis.com/v1/projects/somebodys"
    assert error(cloud, "GET", wrong)["status"] == "PERMISSION_DENIED"


def test_a_service_that_is_not_enabled(cloud: Gcp) -> None:
    cloud.cloud.store.conditions.activated = False
    cloud.sandbox.reset()
    found = error(cloud, "GET", f"{COMPUTE}/global/networks")
    assert (found["code"], found["errors"][0]["reason"]) == (403, "accessNotConfigured")
    assert found["message"].startswith("Compute Engine API has not been used in project 1234567890")
    assert found["details"][0]["reason"] == "SERVICE_DISABLED"
    assert found["details"][0]["metadata"]["service"] == "compute.googleapis.com"


def test_a_limited_identity(cloud: Gcp) -> None:
    limited = cloud.sandbox.identity(["compute.networks.get", "compute.subnetworks.*"])
    key = json.loads(Path(limited.environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    token = cloud.login(key)
    assert error(cloud, "GET", f"{COMPUTE}/global/networks/n", token=token)["code"] == 404
    cloud("GET", f"{COMPUTE}/regions/{REGION}/subnetworks", token=token)
    found = error(cloud, "POST", f"{COMPUTE}/global/networks", {"name": "n"}, token)
    assert found["message"] == (
        f"Required 'compute.networks.create' permission for 'projects/{PROJECT}/global/networks/n'"
    )
    found = error(cloud, "GET", CLUSTERS, token=token)
    assert (
        found["message"]
        == f'Required "container.clusters.list" permission(s) for "projects/{PROJECT}".'
    )
    asked = {"permissions": ["compute.networks.get", "compute.networks.delete"]}
    test = f"cloudresourcemanager.googleapis.com/v1/projects/{PROJECT}:testIamPermissions"
    assert cloud("POST", test, asked, token) == {"permissions": ["compute.networks.get"]}
    assert cloud("POST", test, asked) == asked
    assert "compute.networks.create" in limited.permissions.drain()


@pytest.mark.parametrize(
    ("fault", "url", "code", "status", "reason"),
    [
        ("throttle", COMPUTE + "/global/routes", 403, None, "rateLimitExceeded"),
        ("throttle", CLUSTERS, 429, "RESOURCE_EXHAUSTED", "rateLimitExceeded"),
        ("error", CLUSTERS, 503, "UNAVAILABLE", "backendError"),
        ("denied", COMPUTE + "/global/routes", 403, None, "forbidden"),
        ("denied", CLUSTERS, 403, "PERMISSION_DENIED", "forbidden"),
        ("refuse=resourceNotReady", COMPUTE + "/global/routes", 400, None, "resourceNotReady"),
        ("refuse=FAILED_PRECONDITION", CLUSTERS, 400, "FAILED_PRECONDITION", "failedPrecondition"),
        ("refuse=notFound", CLUSTERS, 404, "NOT_FOUND", "notFound"),
        ("refuse=accessNotConfigured", CLUSTERS, 403, "PERMISSION_DENIED", "accessNotConfigured"),
    ],
)
def test_faults_in_the_words_of_the_service(
    cloud: Gcp, fault: str, url: str, code: int, status: str | None, reason: str
) -> None:
    cloud.sandbox.faults.set(Faults.parse(f"{fault}@1").rules)
    found = error(cloud, "GET", url)
    assert (found["code"], found.get("status")) == (code, status)
    assert found["errors"][0]["reason"] == reason
    assert cloud.send("GET", url)[0] != code


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("throttle", 429, "rate_limit_exceeded"),
        ("error", 503, "internal_failure"),
        ("refuse=invalid_grant", 400, "invalid_grant"),
    ],
)
def test_faults_of_the_token_endpoint(cloud: Gcp, fault: str, status: int, code: str) -> None:
    kind, equals, value = fault.partition("=")
    text = f"{kind}:oauth2.token{equals}{value}@1"
    cloud.sandbox.faults.set(Faults.parse(text).rules)
    good = signed(cloud, aud="https://oauth2.googleapis.com/token", scope=SCOPE).decode()
    found = cloud.exchange(good)
    assert (found[0], found[1]["error"]) == (status, code)
    assert cloud.exchange(good)[0] == 200


def test_faults_name_methods(cloud: Gcp) -> None:
    cloud.sandbox.faults.set(Faults.parse("refuse:compute.routes.list=forbidden").rules)
    assert error(cloud, "GET", f"{COMPUTE}/global/routes")["code"] == 403
    cloud("GET", f"{COMPUTE}/global/networks")
    with pytest.raises(ValueError, match=r"did you mean compute\.networks\.insert"):
        cloud.sandbox.faults.set(Faults.parse("throttle:compute.networks.inset").rules)
