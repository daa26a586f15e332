"""Credentials, the way to Google's APIs and what comes back, over TLS to a server on loopback."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clusterkit.engine.exchange import Exchange
from clusterkit.engine.operation import Done, Failed, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import (
    Busy,
    ClusterkitError,
    CredentialsError,
    Denied,
    Exists,
    Gone,
    InUse,
    OutOfStock,
    PaymentRequired,
    Propagating,
    QuotaExceeded,
    Rejected,
    ServerError,
    Throttled,
    Unreachable,
)
from clusterkit.gke import leftovers
from clusterkit.gke.client import Clients, Connections
from clusterkit.gke.container import METHODS
from clusterkit.gke.lock import FirewallPolicyLock
from clusterkit.gke.occupants import of_network
from clusterkit.gke.operations import ComputeOperation, ContainerOperation, LongRunning
from clusterkit.kube.api import Access
from tests.unit.loopback import Answer, Heard, Loopback, loopback

PROJECT = "my-project"
TOKEN = "the-access-token"
USER = {
    "type": "authorized_user",
    "client_id": "id",
    "client_secret": "s3cr3t",
    "refresh_token": "refresh",
}
ZONE = f"projects/{PROJECT}/locations/europe-west1-b"


def key(project: str = PROJECT) -> dict[str, str]:
    """A service account's key, as Google gives it."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": "1",
        "private_key": pem,
        "client_email": f"up@{project}.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


def says(status: int, body: Any) -> Any:
    """Gives tokens, and this answer to everything else."""

    def answer(heard: Heard) -> Answer:
        if heard.host in ("oauth2.googleapis.com", "sts.googleapis.com"):
            token = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
            token["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
            return 200, json.dumps(token).encode()
        return status, json.dumps(body).encode()

    return answer


def refuses(code: int, reason: str, message: str = "no", /, **more: Any) -> Any:
    """A refusal in Google's shape."""
    errors = [{"reason": reason, "message": message, "domain": "global"}]
    return says(code, {"error": {"code": code, "message": message, "errors": errors, **more}})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Loopback]:
    with loopback(tmp_path, says(200, {})) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without Google's files, and an environment without its variables."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".config" / "gcloud"
    (folder / "configurations").mkdir(parents=True)
    return folder


def write(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def clients(server: Loopback, credentials: Any = None, **more: Any) -> Clients:
    def nowhere(_: Clients) -> Access:
        raise AssertionError("no Kubernetes here")

    if "environ" not in more:
        file = write(server.ca_file.parent / "key.json", credentials or key())
        more["environ"] = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    told = more.pop("observe", None)
    wire = CloudConnection(server.proxy, server.ca_file, more.pop("environ"), observe=told)
    target = Target("gke", "demo", "europe-west1", more.pop("cloud_profile", None), **more)
    return Clients(target, wire, nowhere)


def of_the_user(server: Loopback, **more: Any) -> Clients:
    """As the user's own environment has it."""
    return clients(server, environ={}, **more)


# -- credentials ----


def test_a_key_gets_one_token_for_all_threads(server: Loopback) -> None:
    made = clients(server)
    gate = threading.Barrier(8)

    def ask(number: int) -> None:
        gate.wait(10)
        made.call("compute", "regions.get", "GET", f"projects/{PROJECT}/regions/{number}")

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(ask, number) for number in range(8)]:
            done.result()
    token, *asked = server.heard
    assert (token.host, token.path) == ("oauth2.googleapis.com", "/token")
    assert parse_qs(token.body.decode())["grant_type"] == [
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    ]
    assert {heard.host for heard in asked} == {"compute.googleapis.com"}
    assert {heard.headers["authorization"] for heard in asked} == {f"Bearer {TOKEN}"}
    assert "x-goog-user-project" not in asked[0].headers
    assert len(asked) == 8


def test_another_life_of_the_clients_keeps_the_token(server: Loopback) -> None:
    made = clients(server)
    assert made.bearer().token == made.fresh().bearer().token == TOKEN
    assert len(server.heard) == 1


def test_a_users_login_pays_with_the_project(server: Loopback) -> None:
    made = clients(server, USER, account=PROJECT)
    made.call("iam", "projects.serviceAccounts.list", "GET", f"projects/{PROJECT}/serviceAccounts")
    assert server.heard[-1].headers["x-goog-user-project"] == PROJECT


def test_workload_identity_federation(server: Loopback, tmp_path: Path) -> None:
    subject = write(tmp_path / "subject", "the-subject-token")
    audience = (
        "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"
    )
    federated = {
        "type": "external_account",
        "audience": f"{audience}/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": str(subject)},
    }
    assert clients(server, federated, account=PROJECT).bearer().token == TOKEN
    (heard,) = server.heard
    assert heard.host == "sts.googleapis.com"
    assert parse_qs(heard.body.decode())["subject_token"] == ["the-subject-token"]


def test_an_impersonated_account(server: Loopback) -> None:
    token = {"accessToken": "of-another", "expireTime": "2100-01-01T00:00:00Z"}
    server.answer = says(200, token)
    host = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
    other = {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": f"{host}/other@p.iam.gserviceaccount.com:"
        "generateAccessToken",
        "source_credentials": USER,
    }
    assert clients(server, other, account=PROJECT).bearer().token == "of-another"
    assert server.heard[-1].host == "iamcredentials.googleapis.com"


def test_gclouds_configuration_by_name(server: Loopback, home: Path) -> None:
    write(home / "configurations" / "config_work", "[core]\naccount = me@x.org\nproject = work\n")
    write(home / "legacy_credentials" / "me@x.org" / "adc.json", USER)
    made = of_the_user(server, cloud_profile="work")
    assert (made.project, made.bearer().token) == ("work", TOKEN)
    with pytest.raises(CredentialsError, match="no gcloud configuration 'home'") as caught:
        _ = of_the_user(server, cloud_profile="home").project
    assert caught.value.hint == "there are work"


def test_the_default_login_and_the_active_configuration(server: Loopback, home: Path) -> None:
    with pytest.raises(CredentialsError, match="there are no Google Cloud credentials") as caught:
        of_the_user(server).bearer()
    assert "gcloud auth application-default login" in caught.value.hint
    write(home / "application_default_credentials.json", USER)
    with pytest.raises(CredentialsError, match="nothing names the Google Cloud project"):
        _ = of_the_user(server).project
    write(home / "active_config", "work")
    write(home / "configurations" / "config_work", "[core]\nproject = work\n")
    assert of_the_user(server).project == "work"
    assert of_the_user(server).bearer().token == TOKEN


def test_the_projects_order(
    server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = write(tmp_path / "key.json", key("of-the-key"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert of_the_user(server).project == "of-the-key"
    write(home / "configurations" / "config_default", "[core]\nproject = of-gcloud\n")
    assert of_the_user(server).project == "of-gcloud"
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "of-the-shell")
    assert of_the_user(server).project == "of-the-shell"
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "of-google")
    assert of_the_user(server).project == "of-google"
    assert of_the_user(server, account="of-the-profile").project == "of-the-profile"


@pytest.mark.parametrize("name", ["GOOGLE_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE"])
def test_keys_that_terraform_and_gcloud_know(server: Loopback, name: str, tmp_path: Path) -> None:
    file = write(tmp_path / "key.json", key("theirs"))
    for given in (str(file), file.read_text())[: 2 if name == "GOOGLE_CREDENTIALS" else 1]:
        made = clients(server, environ={name: given})
        assert (made.project, made.bearer().token) == ("theirs", TOKEN)


def test_access_tokens_that_somebody_else_renews(server: Loopback, tmp_path: Path) -> None:
    file = write(tmp_path / "token", "first\n")
    environ = {"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(file), "GOOGLE_PROJECT": PROJECT}
    assert clients(server, environ=environ).bearer().token == "first"
    write(file, "second")
    made = clients(server, environ=environ)
    made.call("compute", "regions.get", "GET", f"projects/{made.project}/regions/r")
    (heard,) = server.heard
    assert heard.headers["authorization"] == "Bearer second"
    file.unlink()
    with pytest.raises(CredentialsError, match="holds no access token"):
        clients(server, environ=environ).bearer()
    assert clients(server, environ={"GOOGLE_OAUTH_ACCESS_TOKEN": "a"}).bearer().token == "a"


def test_the_active_configuration_acts_as_another(server: Loopback, home: Path) -> None:
    token = {"accessToken": "of-another", "expireTime": "2100-01-01T00:00:00Z"}
    server.answer = says(200, token)
    other = "[core]\naccount = me@x.org\nproject = p\n[auth]\nimpersonate_service_account = o@p"
    write(home / "configurations" / "config_default", other)
    write(home / "legacy_credentials" / "me@x.org" / "adc.json", USER)
    assert of_the_user(server).bearer().token == "of-another"
    # the application's own login is another one
    write(home / "application_default_credentials.json", USER)
    assert of_the_user(server).bearer().token == TOKEN


def test_the_project_whose_quota_a_user_has(
    server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "pays")
    write(home / "application_default_credentials.json", {**USER, "quota_project_id": "other"})
    made = of_the_user(server, account=PROJECT)
    made.call("iam", "projects.serviceAccounts.list", "GET", f"projects/{PROJECT}/serviceAccounts")
    assert server.heard[-1].headers["x-goog-user-project"] == "pays"


def test_a_metadata_server_is_never_behind_the_proxy(
    server: Loopback, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells a proxy who the proxy's machine is."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("GCE_METADATA_HOST", "metadata.example")
    wire = CloudConnection(None, None, {"GCE_METADATA_HOST": "metadata.example"})
    made = Connections(Target("gke", "demo", "europe-west1", account=PROJECT), wire)
    assert made._pool.proxy is not None
    assert made._near.proxy is None
    assert type(made.found.credentials).__module__.startswith("google.auth.compute_engine")


def test_a_key_of_another_universe(server: Loopback) -> None:
    with pytest.raises(CredentialsError, match=r"are of example\.cloud"):
        clients(server, {**key(), "universe_domain": "example.cloud"}).bearer()


def test_a_sandboxs_environment_is_all_there_is(server: Loopback, home: Path) -> None:
    write(home / "application_default_credentials.json", USER)
    made = clients(server, environ={"NO_GCE_CHECK": "true"})
    with pytest.raises(CredentialsError):
        made.bearer()
    assert not server.heard


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"type": "s3cr3t"}', '{"type": "service_account"}']
)
def test_a_broken_file_is_named_and_not_quoted(server: Loopback, content: str) -> None:
    with pytest.raises(CredentialsError, match=r"key\.json cannot be read") as caught:
        clients(server, content).bearer()
    assert "s3cr3t" not in str(caught.value)


def test_what_the_token_service_refuses(server: Loopback) -> None:
    refused = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    server.answer = lambda _: (400, json.dumps(refused).encode())
    with pytest.raises(CredentialsError, match="Invalid JWT Signature"):
        clients(server).bearer()


def test_a_token_service_that_is_busy_is_asked_again(server: Loopback) -> None:
    server.answer = lambda _: (503, b'{"error": "internal_failure"}')
    with pytest.raises(ServerError, match="token service"):
        clients(server).bearer()


def test_google_is_not_imported_before_it_is_needed() -> None:
    """``clusterkit --help`` and ``validate`` need none of it."""
    code = "import sys, clusterkit.gke; sys.exit('google.auth' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_policy_of_the_organization_that_forbids_it(server: Loopback) -> None:
    """Its name is among the details only."""
    policy = "constraints/iam.disableServiceAccountKeyCreation"
    what = "Key creation is not allowed on this service account."
    violations = [{"description": what, "type": policy, "subject": "projects/p"}]
    kind = "type.googleapis.com/google.rpc.PreconditionFailure"
    more = {"status": "FAILED_PRECONDITION", "details": [{"@type": kind, "violations": violations}]}
    server.answer = refuses(400, "failedPrecondition", what, **more)
    made = clients(server)
    with pytest.raises(Denied, match="Key creation is not allowed") as caught:
        made.call("iam", "projects.serviceAccounts.keys.create", "POST", "projects/p/x/keys", {})
    assert "organization policy" in caught.value.hint
    assert policy in str(caught.value)


# -- what leaves ----


def test_the_sdk_goes_the_same_way(server: Loopback) -> None:
    told: list[Exchange] = []
    server.answer = says(200, {"name": "operation-1", "status": 2, "operationType": 1})
    made = clients(server, observe=told.append)
    pool = {"name": "default", "initialNodeCount": 1, "config": {"machineType": "e2-small"}}
    cluster = {"name": "demo", "nodePools": [pool], "releaseChannel": {"channel": "REGULAR"}}
    found = made.container("create_cluster", {"parent": ZONE, "cluster": cluster})
    assert found == {
        "name": "operation-1",
        "operationType": "CREATE_CLUSTER",
        "status": "RUNNING",
    }
    heard = server.heard[-1]
    assert (heard.host, heard.method) == ("container.googleapis.com", "POST")
    assert heard.path.startswith(f"/v1/{ZONE}/clusters?")
    assert heard.headers["authorization"] == f"Bearer {TOKEN}"
    assert "x-clusterkit-operation" not in heard.headers
    assert json.loads(heard.body)["cluster"]["nodePools"] == [pool]
    exchange = told[-1]
    assert (exchange.service, exchange.operation, exchange.mutating, exchange.status) == (
        "container",
        "projects.locations.clusters.create",
        True,
        200,
    )


def test_the_sdk_refuses_what_the_api_does_not_have(server: Loopback) -> None:
    made = clients(server)
    with pytest.raises(Exception, match="no field named"):
        made.container("create_cluster", {"parent": ZONE, "cluster": {"nodePool": []}})
    assert not server.heard


def test_every_method_of_the_sdk_is_one_of_the_apis() -> None:
    from google.cloud.container_v1 import ClusterManagerClient
    from googleapiclient import discovery_cache

    file = Path(discovery_cache.__file__).parent / "documents" / "container.v1.json"
    places = json.loads(file.read_text())["resources"]["projects"]["resources"]["locations"]

    def ids(resource: Any) -> Iterator[str]:
        yield from (method["id"] for method in resource.get("methods", {}).values())
        for inner in resource.get("resources", {}).values():
            yield from ids(inner)

    known = set(ids(places))
    assert {f"container.projects.locations.{name}" for name in METHODS.values()} <= known
    assert all(hasattr(ClusterManagerClient, method) for method in METHODS)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_everything_is_asked_once(server: Loopback, status: int) -> None:
    server.answer = refuses(status, "backendError", status="UNAVAILABLE")
    made = clients(server)
    with pytest.raises(ClusterkitError):
        made.container("get_cluster", {"name": f"{ZONE}/clusters/demo"})
    assert len(server.heard) == 2


def test_another_authority_is_not_trusted(server: Loopback, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with loopback(other, says(200, {})) as stranger:
        stranger.ca_file = server.ca_file
        with pytest.raises(Unreachable):
            clients(stranger).bearer()
        assert not stranger.heard


def test_pages_to_the_last(server: Loopback) -> None:
    def answer(heard: Heard) -> Answer:
        token = parse_qs(urlsplit(heard.path).query).get("pageToken", [""])[0]
        page: dict[str, Any] = {"items": [{"name": f"n{token}"}]}
        if len(token) < 3:
            page["nextPageToken"] = f"{token}x"
        return 200, json.dumps(page).encode()

    tokens = says(200, {})
    server.answer = lambda h: tokens(h) if h.host.startswith("oauth2") else answer(h)
    found = clients(server).pages("compute", "networks.list", f"projects/{PROJECT}/global/networks")
    assert [item["name"] for item in found] == ["n", "nx", "nxx", "nxxx"]


def test_things_of_all_zones(server: Loopback) -> None:
    scopes = {"regions/a": {"addresses": [{"name": "x"}]}, "regions/b": {"warning": {}}}
    server.answer = says(200, {"items": scopes})
    assert [*clients(server).aggregated("addresses")] == [{"name": "x"}]
    assert "/aggregated/addresses" in server.heard[-1].path


def test_a_policy_is_read_by_post_and_changes_nothing(server: Loopback) -> None:
    told: list[Exchange] = []
    made = clients(server, observe=told.append)
    made.share()
    for _ in range(2):
        path = f"projects/{PROJECT}:getIamPolicy"
        made.call("cloudresourcemanager", "projects.getIamPolicy", "POST", path, {})
    assert [each.mutating for each in told if each.phase == "before"] == [False, False]
    assert len(server.heard) == 2  # the token, and one question


# -- what comes back ----


@pytest.mark.parametrize(
    ("status", "reason", "message", "more", "error"),
    [
        (401, "authError", "Invalid Credentials", {"status": "UNAUTHENTICATED"}, CredentialsError),
        (403, "forbidden", "Required 'compute.networks.get' permission", {}, Denied),
        (403, "forbidden", "Insufficient regional quota: CPUS", {}, QuotaExceeded),
        (403, "accessNotConfigured", "Compute Engine API has not been used", {}, Propagating),
        (403, "forbidden", "API has not been used in project demo before", {}, Propagating),
        (403, "forbidden", "the permission has not been granted", {}, Denied),
        (403, "rateLimitExceeded", "slow down", {}, Throttled),
        (403, "forbidden", "Billing must be enabled for activation", {}, PaymentRequired),
        (404, "notFound", "The resource was not found", {}, Gone),
        (409, "alreadyExists", "The resource already exists", {}, Exists),
        (400, "resourceInUseByAnotherResource", "is already being used by", {}, InUse),
        (400, "resourceNotReady", "The resource is not ready", {}, Busy),
        (412, "conditionNotMet", "Invalid fingerprint.", {}, Busy),
        (400, "failedPrecondition", "is currently upgrading cluster demo", {}, Busy),
        (400, "badRequest", "Autopilot is not currently supported there", {}, Rejected),
        (400, "invalid", "Invalid value for field", {}, Rejected),
        (429, "unheard", "no", {}, Throttled),
        (501, "notImplemented", "no", {}, Rejected),
        (503, "backendError", "no", {"status": "UNAVAILABLE"}, ServerError),
    ],
)
def test_refusals(
    server: Loopback,
    status: int,
    reason: str,
    message: str,
    more: dict[str, Any],
    error: type[Exception],
) -> None:
    server.answer = refuses(status, reason, message, **more)
    with pytest.raises(error) as caught:
        clients(server).call("compute", "networks.get", "GET", "projects/p/global/networks/n")
    assert type(caught.value) is error
    assert message in str(caught.value)


def test_the_most_particular_word_that_is_known_decides(server: Loopback) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}
    server.answer = refuses(403, "forbidden", status="PERMISSION_DENIED", details=[info])
    path = f"projects/{PROJECT}/global/networks"
    with pytest.raises(Propagating) as disabled:
        clients(server).call("compute", "networks.list", "GET", path)
    assert "--activate" in disabled.value.hint
    info["reason"] = "NOBODY_KNOWS_THIS"
    server.answer = refuses(403, "neither", status="PERMISSION_DENIED", details=[info])
    with pytest.raises(Denied):
        clients(server).call("compute", "networks.list", "GET", path)


def polled(server: Loopback, operation: Any, answer: Any) -> Outcome:
    server.answer = says(200, answer)
    outcome: Outcome = operation.poll(Scope(clients(server), "demo", "europe-west1"))
    return outcome


def test_operations_of_compute_engine(server: Loopback) -> None:
    path = f"projects/{PROJECT}/global/operations/o"
    operation = ComputeOperation(path, "compute.networks.delete")
    running = polled(server, operation, {"status": "RUNNING", "progress": 40})
    assert running == Running("operation running, 40 %")
    assert polled(server, operation, {"status": "DONE"}) == Done()
    errors = [{"code": "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", "message": "used by a firewall"}]
    failed = polled(server, operation, {"status": "DONE", "error": {"errors": errors}})
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, InUse)
    assert "used by a firewall" in str(failed.error)
    nameless = {"status": "DONE", "httpErrorStatusCode": 404, "httpErrorMessage": "NOT FOUND"}
    failed = polled(server, operation, nameless)
    assert isinstance(failed, Failed)
    assert "NOT FOUND" in str(failed.error)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": {"code": 8, "message": "GCE_QUOTA_EXCEEDED: CPUS"}}, QuotaExceeded),
        ({"statusMessage": "does not have enough resources available to fulfill"}, OutOfStock),
        (
            {
                "error": {"code": 13, "message": "gone wrong"},
                "clusterConditions": [{"code": 1, "message": "no machines in this zone"}],
            },
            OutOfStock,
        ),
        (
            {"statusMessage": "All cluster resources were brought up, but: only 0 nodes out of 3"},
            Rejected,
        ),
    ],
)
def test_operations_of_gke_fail_when_they_are_done(
    server: Loopback, answer: Any, error: type[Exception]
) -> None:
    operation = ContainerOperation(f"{ZONE}/operations/o", "container.clusters.create")
    failed = polled(server, operation, {"name": "o", "status": "DONE", **answer})
    assert isinstance(failed, Failed)
    assert type(failed.error) is error
    aborting = polled(server, operation, {"name": "o", "status": "ABORTING"})
    assert aborting == Running("operation aborting")


def test_long_running_operations(server: Loopback) -> None:
    operation = LongRunning("serviceusage", "operations/o", "serviceusage.services.batchEnable")
    assert polled(server, operation, {"name": "operations/o"}) == Running()
    assert polled(server, operation, {"name": "operations/o", "done": True}) == Done()
    refused = {"done": True, "error": {"code": 7, "message": "no right"}}
    failed = polled(server, operation, refused)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, Denied)


def test_an_ingress_is_known_by_what_stands_behind_it(server: Loopback) -> None:
    """Its entrances have another hash than its backend services and its firewall rule."""
    base = "https://www.googleapis.com/compute/v1/projects/my-project/global"
    service, ours = "k8s-be-30933--b74c81ed5ad4dc2c", "clusterkit-demo-europe-west1"

    def named(collection: str, name: str, **more: Any) -> Any:
        return {"name": name, "selfLink": f"{base}/{collection}/{name}", **more}

    mine = {"description": "clusterkit europe-west1/demo/main"}
    behind = {"defaultService": f"{base}/backendServices/{service}"}
    other = {"defaultService": f"{base}/backendServices/theirs"}
    there = {
        "networks": [named("networks", ours, **mine)],
        "firewalls": [
            named("firewalls", "k8s-fw-l7--b74c81ed5ad4dc2c", network=f"{base}/networks/{ours}")
        ],
        "urlMaps": [
            named("urlMaps", "k8s2-um-woxipstn-default-x-nufjrexr", **behind),
            named("urlMaps", "k8s2-um-pxfi3hd8-default-x-zo9uwq5a", **other),
        ],
        "forwardingRules": [
            named("forwardingRules", "k8s2-fr-woxipstn-default-x-nufjrexr"),
            named("forwardingRules", "k8s2-fr-pxfi3hd8-default-x-zo9uwq5a"),
        ],
    }

    def answer(heard: Heard) -> Answer:
        collection = heard.path.partition("?")[0].rpartition("/")[2]
        items: Any = there.get(collection, [])
        if "/aggregated/" in heard.path:
            items = {"global": {collection: items}}
        found: Answer = says(200, {"items": items})(heard)
        return found

    server.answer = answer
    scope = Scope(clients(server), "demo", "europe-west1")
    found = [have.id.rpartition("/")[2] for have in leftovers.ForwardingRules.list(scope)]
    assert found == ["k8s2-fr-woxipstn-default-x-nufjrexr"]


@pytest.mark.parametrize("description", ["", "mine", "[1]", "5", '"x"'])
def test_a_lock_of_somebody_else_says_nothing(server: Loopback, description: str) -> None:
    server.answer = says(200, {"id": "7", "description": description})
    held = FirewallPolicyLock().read(Scope(clients(server), "demo", "europe-west1"))
    assert held is not None
    assert held.tags == {}


def test_the_lock_is_written_with_its_fingerprint(server: Loopback) -> None:
    description = json.dumps({"clusterkit-lock": "demo", "clusterkit-lock-beat": "1"})
    policy = {"id": "7", "description": description, "fingerprint": base64.b64encode(b"f").decode()}
    server.answer = says(200, policy)
    lock, scope = FirewallPolicyLock(), Scope(clients(server), "demo", "europe-west1")
    lock.write(scope, "7", {"clusterkit-lock-beat": "2"})
    sent = json.loads(server.heard[-1].body)
    assert server.heard[-1].method == "PATCH"
    assert server.heard[-1].path.endswith("/global/firewallPolicies/7")
    assert sent["fingerprint"] == policy["fingerprint"]
    assert json.loads(sent["description"]) == {
        "clusterkit-lock": "demo",
        "clusterkit-lock-beat": "2",
    }
    found = lock.read(scope)
    assert found is not None
    assert found.id == "7"
    assert server.heard[-1].path.endswith("/clusterkit-lock-demo-europe-west1")


@pytest.mark.parametrize("description", ["", "mine", "[1]", "7", "null"])
def test_a_description_of_somebody_elses_is_no_lock(server: Loopback, description: str) -> None:
    server.answer = says(200, {"id": "7", "description": description, "fingerprint": "eA=="})
    found = FirewallPolicyLock().read(Scope(clients(server), "demo", "europe-west1"))
    assert found is not None
    assert found.tags == {}


@pytest.mark.parametrize(
    ("collection", "items", "command"),
    [
        ("firewalls", {}, "firewall-rules delete theirs"),
        (
            "networkEndpointGroups",
            {"zone": "zones/europe-west1-b"},
            "network-endpoint-groups delete theirs --zone=europe-west1-b",
        ),
        (
            "networkEndpointGroups",
            {"region": "regions/europe-west1"},
            "network-endpoint-groups delete theirs --region=europe-west1",
        ),
        (
            "subnetworks",
            {"region": "regions/europe-west1"},
            "networks subnets delete theirs --region=europe-west1",
        ),
    ],
)
def test_what_is_in_the_way_comes_with_a_command_that_can_be_typed(
    server: Loopback, collection: str, items: dict[str, str], command: str
) -> None:
    network = f"projects/{PROJECT}/global/networks/n"
    theirs = {"name": "theirs", "network": f"https://www.googleapis.com/compute/v1/{network}"}
    tokens = says(200, {})

    def answer(heard: Heard) -> Answer:
        if heard.host.startswith("oauth2"):
            return tokens(heard)
        here = urlsplit(heard.path).path.endswith(f"/{collection}")
        found: Any = [theirs | items] if here else []
        if "/aggregated/" in heard.path:
            found = {"somewhere": {collection: found}}
        return 200, json.dumps({"items": found, "clusters": []}).encode()

    server.answer = answer
    scope = Scope(clients(server), "demo", "europe-west1")
    [occupant] = of_network(scope, network)
    assert occupant.cure == f"gcloud compute {command} --project={PROJECT}"
