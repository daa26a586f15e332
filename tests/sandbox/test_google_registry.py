"""Services and repositories of the emulated Google Cloud."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest

from clusterkit_sandbox.faults import Faults
from tests.sandbox.gcp import NUMBER, PROJECT, REGION, SERVICES, Gcp, anew, cloud, shared

__all__ = ["cloud", "shared"]
USAGE = f"serviceusage.googleapis.com/v1/projects/{PROJECT}/services"
REPOSITORIES = (
    f"artifactregistry.googleapis.com/v1/projects/{PROJECT}/locations/{REGION}/repositories"
)


@pytest.fixture
def fresh(shared: Gcp) -> Iterator[Gcp]:
    """A project in which nobody has enabled anything."""
    with anew(shared) as made:
        made.cloud.store.conditions.activated = False
        made.sandbox.reset()
        yield made


def repository(cloud: Gcp, name: str = "demo", **more: Any) -> dict[str, Any]:
    operation = cloud("POST", f"{REPOSITORIES}?repositoryId={name}", {"format": "DOCKER", **more})
    found: dict[str, Any] = cloud.ended("artifactregistry", operation)
    return found


def test_a_new_project_has_few_services(fresh: Gcp) -> None:
    on = fresh("GET", f"{USAGE}?filter=state:ENABLED")["services"]
    names = {one["config"]["name"].partition(".")[0] for one in on}
    assert "serviceusage" in names
    assert not names & set(SERVICES)
    status, found = fresh.send(
        "GET", f"container.googleapis.com/v1/projects/{PROJECT}/zones/-/clusters"
    )
    assert status == 403
    assert found["error"]["details"][0]["reason"] == "SERVICE_DISABLED"


def test_services_are_enabled_by_an_operation(fresh: Gcp) -> None:
    asked = {"serviceIds": ["container.googleapis.com", "iam.googleapis.com"]}
    done = fresh.ended("serviceusage", fresh("POST", f"{USAGE}:batchEnable", asked))
    assert [one["state"] for one in done["response"]["services"]] == ["ENABLED", "ENABLED"]
    compute = fresh("GET", f"{USAGE}/compute.googleapis.com")
    assert compute["state"] == "ENABLED"
    accounts = fresh.iam("GET", "serviceAccounts")["accounts"]
    assert f"{NUMBER}-compute@developer.gserviceaccount.com" in [one["email"] for one in accounts]
    status, message = fresh.refused("POST", f"{USAGE}/compute.googleapis.com:disable", {})
    assert status == 400
    assert "is depended on by" in message
    again = fresh("POST", f"{USAGE}/container.googleapis.com:enable", {})
    assert again["done"]
    assert again["name"] == "operations/noop.DONE_OPERATION"


def test_a_service_is_refused_for_some_time_after_it_was_enabled(fresh: Gcp) -> None:
    fresh.sandbox.faults.take(Faults.parse("late:serviceusage.services.enable=30s"))
    done = fresh.ended("serviceusage", fresh("POST", f"{USAGE}/iam.googleapis.com:enable", {}))
    assert done["response"]["service"]["state"] == "ENABLED"
    url = f"iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts"
    assert fresh.refused("GET", url)[0] == 403


def test_a_repository_lives_and_dies(cloud: Gcp) -> None:
    done = repository(cloud, labels={"team": "ci"})
    name = f"projects/{PROJECT}/locations/{REGION}/repositories/demo"
    assert done["response"]["name"] == name
    made = cloud("GET", f"{REPOSITORIES}/demo")
    assert made["registryUri"] == f"{REGION}-docker.pkg.dev/{PROJECT}/demo"
    assert cloud("GET", REPOSITORIES)["repositories"] == [made]
    changed = cloud("PATCH", f"{REPOSITORIES}/demo?updateMask=labels", {"labels": {"team": "web"}})
    assert changed["labels"] == {"team": "web"}
    url = f"{REPOSITORIES}?repositoryId=demo"
    again = cloud.refused("POST", url, {"format": "DOCKER"})
    assert again == (409, "the repository already exists")
    cloud.ended("artifactregistry", cloud("DELETE", f"{REPOSITORIES}/demo"))
    assert cloud.refused("GET", f"{REPOSITORIES}/demo") == (404, "Requested entity was not found.")


def test_a_role_on_the_repository_lets_its_account_push(cloud: Gcp) -> None:
    repository(cloud)
    pusher = cloud.account("demo-pusher")
    key = cloud.iam("POST", f"serviceAccounts/{pusher['email']}/keys", {})
    token = cloud.login(json.loads(b64decode(key["privateKeyData"])))
    push = "artifactregistry.repositories.uploadArtifacts"
    asked = {"permissions": [push]}
    url = f"{REPOSITORIES}/demo:testIamPermissions"
    assert not cloud("POST", url, asked, token).get("permissions")
    policy = cloud("GET", f"{REPOSITORIES}/demo:getIamPolicy?options.requestedPolicyVersion=3")
    member = f"serviceAccount:{pusher['email']}"
    policy["bindings"] = [{"role": "roles/artifactregistry.writer", "members": [member]}]
    cloud("POST", f"{REPOSITORIES}/demo:setIamPolicy", {"policy": policy})
    assert cloud("POST", url, asked, token)["permissions"] == [push]


def test_a_repository_that_fails_is_not_there(cloud: Gcp) -> None:
    method = "artifactregistry.projects.locations.repositories.create"
    cloud.sandbox.faults.take(Faults.parse(f"terminal:{method}@1"))
    assert repository(cloud)["error"]["code"] == 13
    assert cloud.refused("GET", f"{REPOSITORIES}/demo")[0] == 404
    repository(cloud)
