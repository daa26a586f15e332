"""Every check of Google Cloud's passes on what ``up`` makes, and fails when that is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusterkit.ready.verify import Verdict, Wanted
from tests.drivers.gke import Account
from tests.drivers.gke_cases import JENKINS_X_CASE, MINIMAL, MINIMAL_CASE, REGION
from tests.drivers.world import Edits, World, edited, world

POOL = "clusterkit-sandbox.svc.id.goog"
CASE = replace(
    JENKINS_X_CASE, profile=edited(JENKINS_X_CASE.profile, {"registry.hosts": ["gcr.io"]})
)
IDS = {f"G{number}" for number in range(1, 9)}


def verdicts(found: World) -> Mapping[str, Verdict]:
    """What Google's checks say, by id."""
    said = found.cluster().verify(found.profile, Wanted())
    return {each.check.id: each for each in said if each.check.id.startswith("G")}


def failures(found: World) -> dict[str, str]:
    """What the failed ones say, cures included."""
    return {
        name: "\n".join(f"{each.where}: {each.what} ({each.seen}) {each.cure}" for each in bad)
        for name, verdict in verdicts(found).items()
        if (bad := [each for each in verdict.results if each.status == "failed"])
    }


def account_of(found: World, name: str) -> str:
    """The path of an account that Jenkins X names."""
    project = Account(found).project
    return f"projects/{project}/serviceAccounts/demo-{name}@{project}.iam.gserviceaccount.com"


def repository(found: World, place: str = REGION, name: str = "demo") -> str:
    return f"projects/{Account(found).project}/locations/{place}/repositories/{name}"


def amend(found: World, path: str, keep: Callable[[str, str], bool]) -> None:
    """Drop what ``keep`` refuses, by role and member, from a policy."""
    account = Account(found)
    registry = "/repositories/" in path
    service = "artifactregistry" if registry else "iam"
    policy = account(service, "GET" if registry else "POST", f"{path}:getIamPolicy")
    bindings = [
        {**each, "members": [who for who in each["members"] if keep(each["role"], who)]}
        for each in policy.get("bindings", ())
    ]
    policy = {**policy, "bindings": [each for each in bindings if each["members"]]}
    account(service, "POST", f"{path}:setIamPolicy", {"policy": policy})


def no_repository(found: World) -> None:
    Account(found)("artifactregistry", "DELETE", repository(found))


def no_host(found: World) -> None:
    Account(found)("artifactregistry", "DELETE", repository(found, "us", "gcr.io"))


def no_writers(found: World) -> None:
    amend(found, repository(found), lambda role, _: not role.endswith(".writer"))


def no_users(found: World) -> None:
    amend(found, account_of(found, "tekton"), lambda *_: False)


def no_metadata_server(found: World) -> None:
    account = Account(found)
    cluster: Any = found.plan().snapshot.states["cluster/demo"]
    name = cluster.pools[0]["name"]
    body = {"workloadMetadataConfig": {"mode": "GCE_METADATA"}}
    account("container", "PUT", f"{cluster.path}/nodePools/{name}", body)


def no_api(found: World) -> None:
    account = Account(found)
    path = f"projects/{account.project}/services/secretmanager.googleapis.com:disable"
    account("serviceusage", "POST", path, {})


def no_bucket(found: World) -> None:
    account = Account(found)
    [name] = [name for kind, name in found.things() if kind == "bucket" and "logs" in name]
    account.ask("storage", "DELETE", f"b/{name}")


def no_account(found: World) -> None:
    Account(found)("iam", "DELETE", account_of(found, "jxui"))


def another_account(found: World) -> None:
    """Somebody deletes an account and makes it again: it looks the same, and is not."""
    account, path = Account(found), account_of(found, "tekton")
    body = {"description": account("iam", "GET", path)["description"]}
    account("iam", "DELETE", path)
    made = {"accountId": "demo-tekton", "serviceAccount": body}
    account("iam", "POST", path.rpartition("/")[0], made)


BROKEN: Mapping[str, tuple[Callable[[World], None], Mapping[str, str]]] = {
    "no repository": (no_repository, {"G1": "there is no repository demo"}),
    "no repository of gcr.io": (no_host, {"G7": "there is no repository gcr.io"}),
    "nobody may push": (no_writers, {"G2": "builds/kaniko may not push to demo"}),
    "nobody acts as the account": (no_users, {"G4": "jx/tekton-bot may not act as demo-tekton@"}),
    "pods are their node": (no_metadata_server, {"G4": "its metadata mode is GCE_METADATA"}),
    "no API": (no_api, {"G6": "has not enabled secretmanager.googleapis.com"}),
    "no bucket": (no_bucket, {"G8": "there is no bucket for logs"}),
    "no account": (no_account, {"G8": "no service account demo-jxui@"}),
    "another account": (
        another_account,
        {
            "G2": "demo-tekton@clusterkit-sandbox.iam.gserviceaccount.com may not push to demo",
            "G3": "whose name demo-tekton@clusterkit-sandbox.iam.gserviceaccount.com another has",
            "G4": "the service account jx/tekton-bot may not act as demo-tekton@",
            "G8": "lacks roles/storage.objectAdmin on the bucket",
        },
    ),
}


def test_what_up_makes_passes(tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        found.settle(found.up())
        said = verdicts(found)
        assert set(said) == IDS
        wanted = dict.fromkeys(IDS, "passed") | {"G5": "skipped"}
        assert {name: each.status for name, each in said.items()} == wanted


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_fails_with_its_cure(what: str, tmp_path: Path) -> None:
    break_it, words = BROKEN[what]
    with world(CASE, tmp_path) as found:
        found.settle(found.up())
        break_it(found)
        said = failures(found)
        assert set(said) == set(words), said
        for name, part in words.items():
            assert part in said[name]
            assert "clusterkit" in said[name] or "gcloud" in said[name]
        found.cloud.activate(found.profile, found.clients())
        found.settle(found.up())
        assert failures(found) == {}


def nodes(**edits: Any) -> Iterator[Edits]:
    """Profiles whose nodes push for their pods."""
    registry = {"name": "demo", "repositories": ["app"], "push": "node", "keep": False}
    yield edited(MINIMAL, {"registry": registry, "ready": {"kaniko": {}}, **edits})


def test_nodes_without_the_scope_cannot_push(tmp_path: Path) -> None:
    for wrong, profile in (
        (False, next(nodes())),
        (True, next(nodes(**{"pools.0.scopes": ["storage-full"]}))),
    ):
        with world(replace(MINIMAL_CASE, profile=profile), tmp_path) as found:
            found.settle(found.up())
            said = failures(found)
            assert set(said) == ({"G5"} if wrong else set())
            assert not wrong or "run clusterkit up, which makes a new pool" in said["G5"]


def test_a_repository_of_another_format_takes_no_images(tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        account, made = Account(found), "clusterkit-cluster"
        parent = f"projects/{account.project}/locations/{REGION}/repositories"
        body = {"format": "NPM", "labels": {made: "demo", "clusterkit-name": "demo"}}
        account("artifactregistry", "POST", parent, body, repositoryId="demo")
        found.settle(found.up())
        assert "its format is NPM" in failures(found)["G1"]
