"""What Jenkins X has on Google Cloud: accounts whose names are known to others, and buckets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from clusterkit.errors import NotOurs
from clusterkit_sandbox.pace import Pace
from tests.drivers.gke import Account
from tests.drivers.gke_cases import JENKINS_X_CASE, REGION
from tests.drivers.test_gke_identities import PUSH
from tests.drivers.world import AT_ONCE, World, edited, world

WRITE, READ = "storage.objects.create", "storage.objects.get"
LOCAL = edited(JENKINS_X_CASE.profile, {"ready.jenkins_x.secrets": "local"})
CASE = replace(JENKINS_X_CASE, profile=LOCAL, prepare=lambda _: {})
KEPT = replace(CASE, profile=edited(LOCAL, {"ready.jenkins_x.keep_storage": True}))


def email(found: World, name: str) -> str:
    """The address of an account, as Jenkins X makes it."""
    return f"demo-{name}@{Account(found).project}.iam.gserviceaccount.com"


def granted(found: World, name: str, permission: str, bucket: str = "") -> bool:
    """Whether an account has a permission on the repository, or on a bucket, asked for once."""
    account = Account(found)
    token = account.token(email(found, name))
    if bucket:
        asked = {"permissions": permission}
        path = f"b/{bucket}/iam/testPermissions"
        shown = account.ask("storage", "GET", path, token=token, **asked)
    else:
        path = f"projects/{account.project}/locations/{REGION}/repositories/demo"
        body = {"permissions": [permission]}
        path += ":testIamPermissions"
        shown = account.ask("artifactregistry", "POST", path, body, token=token)
    return permission in (shown.get("permissions") or ())


def buckets(found: World) -> Mapping[str, str]:
    """What each bucket is for, to its name."""
    return {name.partition("-")[0]: name for kind, name in found.things() if kind == "bucket"}


def works(found: World) -> None:
    """What Jenkins X has to be able to do."""
    logs = buckets(found)["logs"]
    assert granted(found, "tekton", PUSH)
    assert granted(found, "tekton", WRITE, logs)
    assert granted(found, "bc", WRITE, logs)
    assert granted(found, "jxui", READ, logs)
    assert not granted(found, "jxui", WRITE, logs)
    assert not granted(found, "bc", PUSH)


def dead(found: World) -> list[str]:
    """The members of all policies that are no more."""
    account = Account(found)
    holders = [name for kind, name in found.things() if kind in ("repository", "bucket")]
    policies = [account.policy(f"b/{name}" if "/" not in name else name) for name in holders]
    every = [
        who for each in (account.policy(), *policies) for held in each.values() for who in held
    ]
    return [who for who in every if who.startswith("deleted:")]


PACES = [AT_ONCE, pytest.param(Pace(60), marks=pytest.mark.deep)]


@pytest.mark.parametrize("pace", PACES, ids=str)
def test_a_cluster_that_is_made_again_works_at_the_first_try(pace: Pace, tmp_path: Path) -> None:
    """The accounts have the names of those that were deleted a moment ago."""
    with world(KEPT, tmp_path, pace) as found:
        kept: Mapping[str, str] = {}
        for _ in range(2):
            found.settle(found.up())
            works(found)
            assert dead(found) == []
            assert kept in ({}, buckets(found)), "the buckets are found again"
            kept = buckets(found)
            found.settle(found.destroy())
            assert buckets(found) == kept
            assert dead(found) == []


def test_an_account_that_others_deleted_is_made_again(tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        path = f"projects/{account.project}/serviceAccounts"
        account("iam", "DELETE", f"{path}/{email(found, 'tekton')}")
        assert any(email(found, "tekton") in who for who in dead(found))
        found.settle(found.up())
        assert dead(found) == []
        works(found)
        assert found.plan().empty


@pytest.mark.parametrize("words", ["", "clusterkit us-central1/demo/tekton"])
def test_an_account_of_somebody_elses_stops_the_plan(words: str, tmp_path: Path) -> None:
    """Of a person, or of a cluster of the same name in another region."""
    with world(CASE, tmp_path) as found:
        account = Account(found)
        body = {"accountId": "demo-tekton", "serviceAccount": {"description": words}}
        account("iam", "POST", f"projects/{account.project}/serviceAccounts", body)
        before = found.things()
        with pytest.raises(NotOurs) as caught:
            found.plan()
        wanted = f"iam-service-account/tekton={email(found, 'tekton')}"
        assert f"--adopt {wanted}" in caught.value.hint
        assert found.things() == before
        found.settle(found.destroy())
        assert found.things() == before


def test_what_others_gave_an_account_of_such_a_name_stays(tmp_path: Path) -> None:
    """Without Jenkins X in the profile the name is anybody's."""
    profile = edited(LOCAL, {"ready": {"kaniko": {}}})
    with world(replace(CASE, profile=profile), tmp_path) as found:
        found.settle(found.up())
        account, theirs = Account(found), email(found, "tekton")
        where = f"projects/{account.project}/serviceAccounts"
        account("iam", "POST", where, {"accountId": "demo-tekton"})
        path = f"projects/{account.project}/locations/{REGION}/repositories/demo"
        policy = account("artifactregistry", "GET", f"{path}:getIamPolicy")
        binding = {"role": "roles/artifactregistry.writer", "members": [f"serviceAccount:{theirs}"]}
        policy = {**policy, "bindings": [*policy["bindings"], binding]}
        account("artifactregistry", "POST", f"{path}:setIamPolicy", {"policy": policy})
        assert found.plan().empty
        told = [f"{each.key} {each.reason}" for each in found.destroy_plan().kept]
        assert not [line for line in told if theirs in line], "nobody is told to delete it"


def put(found: World, bucket: str, name: str, text: str) -> None:
    """Upload an object."""
    account = Account(found)
    url = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o"
    asked = {"uploadType": "media", "name": name}
    account._session.post(url, data=text, params=asked).raise_for_status()


def test_destroy_empties_what_it_does_not_keep(tmp_path: Path) -> None:
    for case, kept in ((CASE, set[str]()), (KEPT, {"logs", "reports", "repository"})):
        with world(case, tmp_path) as found:
            found.settle(found.up())
            account, logs = Account(found), buckets(found)["logs"]
            account("storage", "PATCH", f"b/{logs}", {"versioning": {"enabled": True}})
            for text in ("one", "two"):
                put(found, logs, "jx/logs/a b#1.log", text)
            found.settle(found.destroy())
            assert set(buckets(found)) == kept
            if kept:
                shown = account.ask("storage", "GET", f"b/{logs}/o", versions="true")
                assert len(shown["items"]) == 2
                told = [each.key for each in found.destroy_plan().kept]
                assert told == [f"bucket/{name}" for name in sorted(kept)]


def test_a_bucket_is_closed_again(tmp_path: Path) -> None:
    with world(CASE, tmp_path) as found:
        found.settle(found.up())
        account, logs = Account(found), buckets(found)["logs"]
        shown = account.ask("storage", "GET", f"b/{logs}")["iamConfiguration"]
        assert shown["uniformBucketLevelAccess"]["enabled"] is True
        opened = {"iamConfiguration": {"publicAccessPrevention": "inherited"}}
        account("storage", "PATCH", f"b/{logs}", opened)
        [step] = found.plan().todo
        assert [str(change) for change in step.changes] == ["closed to the public: no -> yes"]
        found.settle(found.up())
        shown = account.ask("storage", "GET", f"b/{logs}")["iamConfiguration"]
        assert shown["publicAccessPrevention"] == "enforced"
