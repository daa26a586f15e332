"""Credentials, the way to Azure and what comes back, over TLS to a server on loopback."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from clusterkit.aks import LOCK, connect, lock, locks
from clusterkit.aks.client import ARM, KUBERNETES, Clients, version
from clusterkit.aks.credentials import claims
from clusterkit.aks.operations import LOST, ArmOperation, begun
from clusterkit.engine.exchange import Exchange
from clusterkit.engine.operation import Done, Failed, Running
from clusterkit.engine.rest import Reply
from clusterkit.engine.scope import Scope
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import (
    Busy,
    CredentialsError,
    Exists,
    Gone,
    OutOfStock,
    ServerError,
    Throttled,
)
from clusterkit.naming import CLUSTER, NAME
from tests.unit.loopback import Answer, Heard, Loopback, loopback

LIVE = "00000000-0000-0000-0000-00000000000c"
TENANT = "00000000-0000-0000-0000-00000000000a"
SUBSCRIPTION = "00000000-0000-0000-0000-00000000000b"
SECRET = {
    "AZURE_TENANT_ID": TENANT,
    "AZURE_CLIENT_ID": "client",
    "AZURE_CLIENT_SECRET": "the-secret",
    "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
}
LOGIN = f"https://login.microsoftonline.com/{TENANT}"
DISCOVERY = {
    "token_endpoint": f"{LOGIN}/oauth2/v2.0/token",
    "authorization_endpoint": f"{LOGIN}/oauth2/v2.0/authorize",
    "issuer": f"{LOGIN}/v2.0",
}
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g"


def token(**more: Any) -> str:
    part = base64.urlsafe_b64encode(json.dumps({"oid": "me", **more}).encode()).decode()
    return f"e30.{part.rstrip('=')}.x"


def says(status: int, body: Any) -> Any:
    """Gives tokens, and this answer to everything else."""

    def answer(heard: Heard) -> Answer:
        if heard.host == "login.microsoftonline.com":
            if "openid-configuration" in heard.path:
                return 200, json.dumps(DISCOVERY).encode()
            made = {"access_token": token(), "expires_in": 3600, "token_type": "Bearer"}
            return 200, json.dumps(made).encode()
        return status, b"" if body is None else json.dumps(body).encode()

    return answer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Loopback]:
    with loopback(tmp_path, says(200, {})) as found:
        yield found


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without az's files, and an environment without its variables."""
    for name in (*SECRET, "AZURE_CONFIG_DIR", "IDENTITY_ENDPOINT", "MSI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".azure"


def clients(
    server: Loopback, environ: Mapping[str, str] = SECRET, observe: Any = None, **more: Any
) -> Clients:
    wire = CloudConnection(server.proxy, server.ca_file, environ, observe=observe)
    return connect(Target("aks", "demo", "westeurope", **more), wire)


# -- locks ----


def test_locks_are_listed_once_for_all_things(tmp_path: Path) -> None:
    where = f"{GROUP}/providers/Microsoft.Authorization/locks/stay"
    shown = {"id": where, "name": "stay", "properties": {"level": "CanNotDelete"}}
    with loopback(tmp_path, says(200, {"value": [shown]})) as server:
        scope = Scope(clients(server), "demo", "westeurope")
        scope.client.share()  # as a plan does
        things = [f"{GROUP}/providers/Microsoft.Network/publicIPAddresses/{n}" for n in "ab"]
        found = [[*locks.on(scope, each)] for each in things]
        assert [(each.id, each.cure) for (each,) in found] == [
            (where.lower(), f"az lock delete --ids {where}")
        ] * 2
        asked = [heard.path for heard in server.heard if "/locks" in heard.path]
        assert len(asked) == 1
        assert asked[0].startswith(f"/subscriptions/{SUBSCRIPTION}/providers/")
        elsewhere = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g2"
        assert not [*locks.on(scope, elsewhere)]


@pytest.mark.parametrize("status", [403, 501])
def test_locks_that_may_not_be_read_are_told_by_the_delete(tmp_path: Path, status: int) -> None:
    refused = {"error": {"code": "AuthorizationFailed", "message": "no"}}
    with loopback(tmp_path, says(status, refused)) as server:
        scope = Scope(clients(server), "demo", "westeurope")
        assert not [*locks.on(scope, GROUP)]


# -- credentials ----


def test_one_token_for_all_threads(server: Loopback) -> None:
    made = clients(server)
    gate = threading.Barrier(8)

    def ask(number: int) -> None:
        gate.wait(10)
        made.call("GET", f"{GROUP}/providers/Microsoft.Network/virtualNetworks/{number}")

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(ask, number) for number in range(8)]:
            done.result()
    asked = [heard for heard in server.heard if heard.host == "management.azure.com"]
    (given,) = [heard for heard in server.heard if heard.path.endswith("/token")]
    body = parse_qs(given.body.decode())
    assert body["client_secret"] == ["the-secret"]
    assert body["scope"][0].startswith(f"{ARM}/.default")
    assert {heard.headers["authorization"] for heard in asked} == {f"Bearer {token()}"}
    assert len(asked) == 8


def test_kubernetes_has_a_token_of_its_own(server: Loopback) -> None:
    made = clients(server)
    made.bearer()
    made.fresh().bearer(KUBERNETES)
    made.bearer(KUBERNETES)
    scopes = [
        parse_qs(heard.body.decode())["scope"][0].split()[0]
        for heard in server.heard
        if heard.path.endswith("/token")
    ]
    assert scopes == [f"{ARM}/.default", KUBERNETES]


def test_a_workloads_token(server: Loopback, tmp_path: Path) -> None:
    file = tmp_path / "assertion"
    file.write_text("the-assertion")
    environ = {key: SECRET[key] for key in SECRET if key != "AZURE_CLIENT_SECRET"}
    made = clients(server, {**environ, "AZURE_FEDERATED_TOKEN_FILE": str(file)})
    made.bearer()
    assert parse_qs(server.heard[-1].body.decode())["client_assertion"] == ["the-assertion"]


def test_a_refused_secret_is_a_matter_of_credentials(server: Loopback) -> None:
    def refuse(heard: Heard) -> Answer:
        if "openid-configuration" in heard.path:
            return 200, json.dumps(DISCOVERY).encode()
        words = "AADSTS7000215: Invalid client secret provided."
        return 401, json.dumps({"error": "invalid_client", "error_description": words}).encode()

    server.answer = refuse
    with pytest.raises(CredentialsError, match="AADSTS7000215"):
        clients(server).bearer()


@pytest.mark.parametrize(("status", "kind"), [(429, Throttled), (503, ServerError)])
def test_a_busy_token_service_is_asked_again(
    server: Loopback, status: int, kind: type[Exception]
) -> None:
    server.answer = lambda _: (status, b"{}")
    with pytest.raises(kind) as error:
        clients(server).bearer()
    assert type(error.value) is kind


def test_nobody(server: Loopback) -> None:
    empty = {"AZURE_SUBSCRIPTION_ID": SUBSCRIPTION}
    with pytest.raises(CredentialsError, match="no Azure credentials") as error:
        clients(server, empty).bearer()
    assert "az login" in error.value.hint
    with pytest.raises(CredentialsError, match="nothing names the Azure subscription"):
        _ = clients(server, {"AZURE_TENANT_ID": "t"}).subscription


def test_subscriptions_of_az(server: Loopback, nobody: Path) -> None:
    nobody.mkdir()
    known = [
        {"id": "AAAA", "name": "Test", "isDefault": False},
        {"id": "BBBB", "name": "Live", "isDefault": True},
    ]
    text = json.dumps({"subscriptions": known})
    (nobody / "azureProfile.json").write_text(text, encoding="utf-8-sig")
    assert clients(server, {}).subscription == "bbbb"
    assert clients(server, {}, cloud_profile="test").subscription == "aaaa"
    assert clients(server, {}, account=SUBSCRIPTION).subscription == SUBSCRIPTION
    with pytest.raises(CredentialsError, match="not logged in to a subscription 'other'") as error:
        _ = clients(server, {}, cloud_profile="other").subscription
    assert error.value.hint == "there are Live, Test"


def _az(folder: Path) -> Path:
    """A program of az's name that writes down what it is asked, and gives a token."""
    token = json.dumps({"accessToken": "az-token", "expires_on": 4102444800})
    program = folder / "bin" / "az"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho \"$@\" >> {folder}/asked\necho '{token}'\n")
    program.chmod(0o755)
    return program.parent


def test_az_is_asked_for_the_directory_of_the_subscription(
    server: Loopback, nobody: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody.mkdir()
    known = [
        {"id": TENANT, "name": "Test", "isDefault": True, "environmentName": "AzureCloud"},
        {"id": SUBSCRIPTION, "name": "Live"},
        {"id": LIVE, "name": "Kept apart", "environmentName": "AzureChinaCloud"},
    ]
    (nobody / "azureProfile.json").write_text(json.dumps({"subscriptions": known}))
    monkeypatch.setenv("PATH", str(_az(tmp_path)), prepend=":")
    for account in (SUBSCRIPTION, None, "00000000-0000-0000-0000-0000000000ff"):
        assert clients(server, {}, account=account).bearer().token == "az-token"
    asked = [
        line.partition("--subscription ")[2]
        for line in (tmp_path / "asked").read_text().splitlines()
    ]
    assert [each.partition(" ")[0].strip() for each in asked] == [SUBSCRIPTION, TENANT, ""]
    for more in ({"account": LIVE}, {"cloud_profile": "Kept apart"}):
        with pytest.raises(CredentialsError, match="is in AzureChinaCloud") as error:
            clients(server, {}, **more).bearer()
        assert "az cloud set" in error.value.hint


def test_terraforms_variables(server: Loopback) -> None:
    environ = {name.replace("AZURE_", "ARM_"): value for name, value in SECRET.items()}
    made = clients(server, environ)
    made.bearer()
    assert made.subscription == SUBSCRIPTION
    form = parse_qs(server.heard[-1].body.decode())
    assert form["client_secret"] == ["the-secret"]


def test_an_identity_of_the_machine(server: Loopback) -> None:
    """Its server is near, and never behind ``HTTPS_PROXY``; a test's proxy hears it all."""
    token = {"access_token": "of-the-machine", "expires_on": "4102444800", "token_type": "Bearer"}
    server.answer = lambda _: (200, json.dumps(token).encode())
    environ = {"IDENTITY_ENDPOINT": "http://127.0.0.9/token", "IDENTITY_HEADER": "secret"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():  # azure-identity reads these itself
            patch.setenv(name, value)
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        made = clients(server, {**environ, "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION})
        assert made.bearer().token == "of-the-machine"
    (heard,) = server.heard
    assert (heard.host, heard.secure) == ("127.0.0.9", False)


def test_what_a_token_says() -> None:
    assert claims(token(a=1))["a"] == 1
    assert claims("opaque") == claims("a.!.c") == {}


# -- calls ----


def test_a_call_has_the_version_of_its_type(server: Loopback) -> None:
    clients(server).call("GET", f"{GROUP}/providers/Microsoft.Compute/disks")
    assert server.heard[-1].path.endswith(f"?api-version={version('Microsoft.Compute/disks')}")
    assert version("Microsoft.Compute/disks") != version("Microsoft.Compute/sshPublicKeys")


def test_pages_are_asked_for_at_resource_manager_only(server: Loopback) -> None:
    def answer(heard: Heard) -> Answer:
        if heard.host == "login.microsoftonline.com":
            return says(200, {})(heard)  # type: ignore[no-any-return]
        following = {} if "page=2" in heard.path else {"nextLink": "https://evil.test/x?page=2"}
        return 200, json.dumps({"value": [heard.path[:4]], **following}).encode()

    server.answer = answer
    assert [*clients(server).pages("/subscriptions/S/resources")] == ["/sub", "/x?p"]
    assert {heard.host for heard in server.heard[2:]} == {"management.azure.com"}


def test_the_sdk_goes_the_same_way(server: Loopback) -> None:
    seen: list[Exchange] = []
    made = clients(server, observe=seen.append)
    shown = {"id": f"{GROUP}/x", "name": "demo", "eTag": "7", "properties": {"fqdn": "f"}}
    server.answer = says(200, shown)
    assert made.aks("managed_clusters.get", "g", "demo")["properties"] == {"fqdn": "f"}
    server.answer = says(200, {"value": [shown], "nextLink": None})
    found = made.aks("managed_clusters.list_by_resource_group", "g")
    assert [each["name"] for each in found["value"]] == ["demo"]
    begun_ = made.aks_begin(
        "managed_clusters.begin_create_or_update", "g", "demo", {"location": "w"}, etag="7"
    )
    assert begun_ is None
    put = server.heard[-1]
    assert (put.method, put.headers["if-match"], json.loads(put.body)) == (
        "PUT",
        '"7"',
        {"location": "w"},
    )
    told = [(each.operation, each.mutating) for each in seen if each.service == "arm"]
    name = "Microsoft.ContainerService/managedClusters"
    assert told[::2] == [(f"{name} GET", False), (f"{name} GET", False), (f"{name} PUT", True)]


def test_the_sdk_raises_our_errors(server: Loopback) -> None:
    words = {"code": "Throttled", "message": "request limit has been exceeded"}
    server.answer = says(429, words)
    with pytest.raises(Throttled):
        clients(server).aks("managed_clusters.get", "g", "demo")
    server.answer = says(404, {"error": {"code": "ResourceNotFound", "message": "m"}})
    with pytest.raises(Gone):
        clients(server).aks_begin("agent_pools.begin_delete", "g", "demo", "pool")


# -- operations ----


def poll(server: Loopback, body: Any, status: int = 200, *, document: bool = True) -> Any:
    server.answer = says(status, body)
    scope = Scope(clients(server), "demo", "westeurope")
    operation = ArmOperation("/operations/1?api-version=1", "Microsoft.X/y PUT", document)
    return operation.poll(scope)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("InProgress", "in progress"),
        ("ProvisionControlPlane", "provision control plane"),
        ("Accepted", "accepted"),
        ("updating", "updating"),
    ],
)
def test_anything_but_an_end_goes_on(server: Loopback, status: str, words: str) -> None:
    assert poll(server, {"status": status}) == Running(words)


@pytest.mark.parametrize("body", [{"status": "Succeeded"}, {"status": "SUCCEEDED"}, None, {}])
def test_ends(server: Loopback, body: Any) -> None:
    assert poll(server, body) == Done()


def test_what_failed_says_why(server: Loopback) -> None:
    error = {"code": "AllocationFailed", "message": "no room"}
    outcome = poll(server, {"status": "Failed", "error": error})
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, OutOfStock)
    assert "no room" in str(outcome.error)


@pytest.mark.parametrize("word", ["Canceled", "Cancelled"])
def test_what_a_later_one_took_over_is_tried_again(server: Loopback, word: str) -> None:
    outcome = poll(server, {"status": word})
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, Busy)


def test_a_location_tells_by_its_status(server: Loopback) -> None:
    assert poll(server, None, 202, document=False) == Running()
    assert poll(server, {}, 200, document=False) == Done()
    failed = poll(server, {"error": {"code": "AllocationFailed"}}, 400, document=False)
    assert isinstance(failed, Failed)


def test_a_document_may_be_missing_for_a_while(server: Loopback) -> None:
    server.answer = says(404, {"error": {"code": "NotFound"}})
    scope = Scope(clients(server), "demo", "westeurope")
    operation = ArmOperation("/operations/1?api-version=1", "Microsoft.X/y PUT", document=True)
    for _ in range(LOST):
        assert operation.poll(scope) == Running()
    with pytest.raises(Gone):
        operation.poll(scope)


def test_how_an_answer_names_its_operation() -> None:
    both = {"Azure-AsyncOperation": f"{ARM}/a?b=1", "Location": f"{ARM}/c", "Retry-After": "7"}
    assert begun(Reply(201, {}, both), "x PUT") == ArmOperation("/a?b=1", "x PUT", True, 7.0)
    where = {"Location": f"{ARM}/c?d=1"}
    assert begun(Reply(202, None, where), "x DELETE") == ArmOperation("/c?d=1", "x DELETE", False)
    assert begun(Reply(200, {}, where), "x PUT") is None


def test_expired_tokens_are_fetched_again(server: Loopback) -> None:
    made = clients(server)
    first = made.bearer()
    assert first.expires.timestamp() > time.time() + 3000
    assert made.bearer() is first


# -- the lock ----

TAGS = {"clusterkit-lock": "demo", "clusterkit-lock-run": "r"}


def shown(identifier: str = "u1", **more: Any) -> dict[str, Any]:
    properties = {"uniqueId": identifier, "provisioningState": "Succeeded"}
    return {"id": "/x", "etag": '"7"', "tags": TAGS, "properties": {**properties, **more}}


def locking(server: Loopback) -> Scope[Clients]:
    """In the resource group ``g``, which is there."""
    server.answer = says(200, {"value": [{"id": GROUP, "name": "g", "location": "westeurope"}]})
    scope = Scope(clients(server, home="g"), "demo", "westeurope")
    assert lock._home(scope) == "g"
    return scope


def test_the_lock_is_made_only_if_there_is_none(server: Loopback) -> None:
    scope = locking(server)
    LOCK.take(scope, TAGS)
    put = server.heard[-1]
    assert (put.method, put.headers["if-none-match"]) == ("PUT", "*")
    assert json.loads(put.body)["tags"] == TAGS
    there, taken = server.answer, says(412, {"error": {"code": "PreconditionFailed"}})
    server.answer = lambda heard: (taken if heard.method == "PUT" else there)(heard)
    with pytest.raises(Exists):
        LOCK.take(scope, TAGS)


def test_the_lock_has_the_tags_that_a_policy_requires(server: Loopback) -> None:
    group = {"id": GROUP, "name": "g", "location": "westeurope"}
    group |= {"tags": {"owner": "them", "cost": "7", CLUSTER: "demo"}}  # type: ignore[dict-item]
    server.answer = says(200, {"value": [group]})
    LOCK.take(Scope(clients(server, home="g"), "demo", "westeurope"), TAGS)
    assert json.loads(server.heard[-1].body)["tags"] == {"owner": "them", "cost": "7", **TAGS}
    made = clients(server, home="g", tags=(("owner", "me"),))
    LOCK.take(Scope(made, "demo", "westeurope"), TAGS)
    assert json.loads(server.heard[-1].body)["tags"]["owner"] == "me"


def test_the_lock_is_changed_only_by_who_has_read_it(server: Loopback) -> None:
    scope = locking(server)
    server.answer = says(200, shown())
    held = LOCK.read(scope)
    assert held is not None
    assert (held.id, held.tags) == ("u1", TAGS)
    LOCK.write(scope, "u1", {"clusterkit-lock-beat": "1"})
    patch = server.heard[-1]
    assert (patch.method, patch.headers["if-match"]) == ("PATCH", '"7"')
    assert json.loads(patch.body)["tags"] == {**TAGS, "clusterkit-lock-beat": "1"}
    with pytest.raises(Gone):
        LOCK.write(scope, "u0", {})
    with pytest.raises(Gone):
        LOCK.release(scope, "u0")
    assert server.heard[-1].method == server.heard[-2].method == "GET"
    LOCK.release(scope, "u1")
    assert server.heard[-1].method == "DELETE"


def test_a_lock_that_goes_is_held_by_nobody(server: Loopback) -> None:
    scope = locking(server)
    server.answer = says(200, shown(provisioningState="Deleting"))
    assert LOCK.read(scope) is None
    server.answer = says(404, {"error": {"code": "ResourceNotFound"}})
    assert LOCK.read(scope) is None


def test_the_lock_brings_the_clusters_own_group(server: Loopback) -> None:
    def answer(heard: Heard) -> Answer:
        found: Answer = says(200, {"value": []})(heard)
        return found

    server.answer = answer
    made = clients(server, home="", tags=(("owner", "me"),))
    LOCK.take(Scope(made, "demo", "westeurope"), TAGS)
    group, lock = [heard for heard in server.heard if heard.method == "PUT"]
    assert group.path.partition("?")[0].endswith("/clusterkit-demo-westeurope")
    made_for_it = {"clusterkit-lock": "demo"}
    tags = json.loads(group.body)["tags"]
    assert tags == {CLUSTER: "demo", NAME: "main", "owner": "me", **made_for_it}
    assert json.loads(lock.body)["tags"] == {"owner": "me", **TAGS}
    assert "/clusterkit-demo-westeurope/providers/Microsoft.Compute/" in lock.path
