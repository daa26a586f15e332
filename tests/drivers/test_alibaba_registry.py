"""Both editions of Container Registry: whose what is, where to log in, what stays."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from clusterkit.engine.ownership import adopt
from clusterkit.errors import ClusterkitError, Immutable, NotOurs, PreflightError
from clusterkit_sandbox.faults import Rule
from tests.drivers.alibaba import Account
from tests.drivers.alibaba_cases import (
    BUILDS,
    ENTERPRISE_CASE,
    INSTANCE,
    MINIMAL,
    PERSONAL_CASE,
    REPOSITORIES,
)
from tests.drivers.test_builds import begins_upload
from tests.drivers.world import Case, World, edited, world

KEY = "personal-repository/demo/app"


def auths(found: World) -> Mapping[str, Any]:
    """What builds log in with."""
    path = "/api/v1/namespaces/builds/secrets/regcred"
    secret = found.clients().kube.get(path)
    config: Mapping[str, Any] = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    return config["auths"]


def foreign(account: Account, name: str) -> None:
    """A repository of somebody else, in the namespace of the profile."""
    if not account.personal("GET", "/namespace")["namespaces"]:
        account.personal("PUT", "/namespace", {"Namespace": {"Namespace": "demo"}})
    repo = {"RepoNamespace": "demo", "RepoName": name, "RepoType": "PRIVATE", "Summary": "mine"}
    account.personal("PUT", "/repos", {"Repo": repo})


def test_pods_log_in_where_the_cloud_says(tmp_path: Path) -> None:
    with world(PERSONAL_CASE, tmp_path) as found:
        found.settle(found.up())
        told = Account(found).personal("GET", "/repos/demo/app")["repo"]["repoDomainList"]
        assert set(auths(found)) == {told["vpc"], told["public"]}
        host = "registry-intl.ap-southeast-1.aliyuncs.com"
        named = found.load(edited(PERSONAL_CASE.profile, {"registry.host": host}))
        found.settle(found.up(named))
        assert set(auths(found)) == {host, host.replace("-intl", "-intl-vpc")}


def test_repositories_are_made_in_a_namespace_that_is_not_listed_yet(tmp_path: Path) -> None:
    with world(ENTERPRISE_CASE, tmp_path) as found:
        found.sandbox.faults.set([Rule("cr:CreateNamespace", "late", seconds=2)])
        found.settle(found.up())


def opens(found: World) -> bool:
    """Whether a push makes repositories in the profile's namespace."""
    account = Account(found)
    if found.case.label == PERSONAL_CASE.label:
        return bool(account.personal("GET", "/namespace/demo")["namespace"]["autoCreate"])
    [space] = account("cr:ListNamespace", InstanceId=INSTANCE, NamespaceName="demo")["Namespaces"]
    return bool(space["AutoCreateRepo"])


def close(found: World) -> None:
    """Let a push make no repositories in it."""
    account = Account(found)
    if found.case.label == ENTERPRISE_CASE.label:
        where = {"InstanceId": INSTANCE, "NamespaceName": "demo"}
        account("cr:UpdateNamespace", **where, AutoCreateRepo=False, DefaultRepoType="PRIVATE")
    else:
        body = {"Namespace": {"AutoCreate": False, "DefaultVisibility": "PRIVATE"}}
        account.personal("POST", "/namespace/demo", body)


@pytest.mark.parametrize("case", [PERSONAL_CASE, ENTERPRISE_CASE], ids=lambda case: case.label)
def test_jenkins_x_gets_a_namespace_that_takes_new_repositories(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        without = found.load(edited(case.profile, {"ready.jenkins_x": None}))
        found.settle(found.up(without))
        assert not opens(found)
        assert found.plan(without).empty
        found.settle(found.up())
        assert found.planned
        assert [step.key for step in found.planned.todo if "repository" in step.key] == [
            f"{'personal-' if case is PERSONAL_CASE else ''}repository/demo/app"
        ]
        assert opens(found)
        assert found.plan().empty
        close(found)
        [host, *_] = auths(found)
        assert begins_upload(found, host, "demo/fresh") in (401, 403, 404)
        found.settle(found.up())
        assert opens(found)
        assert begins_upload(found, host, "demo/fresh") == 202


@pytest.mark.parametrize("case", [PERSONAL_CASE, ENTERPRISE_CASE], ids=lambda case: case.label)
def test_a_namespace_with_repositories_of_others_is_not_opened(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        without = found.load(edited(case.profile, {"ready.jenkins_x": None}))
        found.settle(found.up(without))
        if case is PERSONAL_CASE:
            foreign(Account(found), "old")
        else:
            named = {"RepoNamespaceName": "demo", "RepoName": "old", "Summary": "mine"}
            Account(found)("cr:CreateRepository", InstanceId=INSTANCE, RepoType="PRIVATE", **named)
        with pytest.raises(PreflightError) as caught:
            found.cluster().plan(found.profile)
        [finding] = caught.value.findings
        assert finding.where == "registry.name"
        assert "repositories of others" in finding.hint
        with pytest.raises(Immutable, match="repositories by push"):  # they came after preflight
            found.cluster().apply(found.cluster().plan(found.profile, found.facts(without)), print)
        assert not opens(found)


def test_the_namespace_is_made_closed_and_stays(tmp_path: Path) -> None:
    alone = edited(PERSONAL_CASE.profile, {"ready.jenkins_x": None})
    with world(replace(PERSONAL_CASE, profile=alone), tmp_path) as found:
        account = Account(found)
        found.settle(found.up())
        space = account.personal("GET", "/namespace/demo")["namespace"]
        assert (space["autoCreate"], space["defaultVisibility"]) == (False, "PRIVATE")
        repo = account.personal("GET", "/repos/demo/app")["repo"]
        assert repo["repoType"] == "PRIVATE"
        assert len(repo["summary"]) <= 100
        found.settle(found.destroy())
        assert account.personal("GET", "/repos", PageSize="100")["repos"] == []
        assert account.personal("GET", "/namespace/demo")["namespace"]["namespace"] == "demo"


def test_a_namespace_of_somebody_else_is_used_and_left_as_it_was(tmp_path: Path) -> None:
    with world(PERSONAL_CASE, tmp_path) as found:
        account = Account(found)
        foreign(account, "old")
        before = account.personal("GET", "/namespace/demo")
        found.settle(found.up())
        found.settle(found.destroy())
        assert account.personal("GET", "/namespace/demo") == before
        listed = account.personal("GET", "/repos", PageSize="100")["repos"]
        assert [item["repoName"] for item in listed] == ["old"]


def test_a_repository_of_that_name_is_not_taken_over(tmp_path: Path) -> None:
    with world(PERSONAL_CASE, tmp_path) as found:
        account = Account(found)
        foreign(account, "app")
        with pytest.raises(NotOurs) as caught:
            found.up()
        assert f"--adopt {KEY}=demo/app" in caught.value.hint
        assert account.personal("GET", "/repos/demo/app")["repo"]["summary"] == "mine"
        adopt(f"{KEY}=demo/app", found.cloud.KINDS, found.scope(), uuid4())
        found.settle(found.up())
        assert found.plan().empty


def test_what_is_kept_stays_and_is_told(tmp_path: Path) -> None:
    with world(PERSONAL_CASE, tmp_path) as found:
        kept = found.load(edited(PERSONAL_CASE.profile, {"registry.keep": True}))
        found.settle(found.up(kept))
        reasons = {one.key: one.reason for one in found.destroy_plan().kept}
        assert "the profile keeps the registry" in reasons[KEY]
        found.settle(found.destroy())
        listed = Account(found).personal("GET", "/repos", PageSize="100")["repos"]
        assert len(listed) == 4  # with their caches


def test_no_namespace_left_to_make(tmp_path: Path) -> None:
    """The cloud's own refusal, with the namespaces there are."""
    with world(PERSONAL_CASE, tmp_path) as found:
        account = Account(found)
        for name in ("one", "two", "three"):
            account.personal("PUT", "/namespace", {"Namespace": {"Namespace": name}})
        failed = found.up().failed
        error = next(error for key, error in failed.items() if key.startswith("personal-"))
        assert isinstance(error, ClusterkitError)
        assert "name one of yours in registry.name (one, three, two)" in error.hint


def test_an_instance_tells_its_own_endpoints(tmp_path: Path) -> None:
    with world(ENTERPRISE_CASE, tmp_path) as found:
        found.settle(found.up())
        [host] = auths(found)
        assert host.endswith("-registry.ap-southeast-1.cr.aliyuncs.com")


def test_a_registry_that_comes_later_brings_its_add_ons(tmp_path: Path) -> None:
    with world(PERSONAL_CASE, tmp_path) as found:
        without = found.load(MINIMAL)
        found.settle(found.up(without))
        account = Account(found)
        [cluster] = account("cs:DescribeClustersV1")["clusters"]
        registry = {"managed-aliyun-acr-credential-helper", "ack-pod-identity-webhook"}

        def installed() -> set[str]:
            shown = account("cs:ListClusterAddonInstances", cluster["cluster_id"])["addons"]
            return {each["name"] for each in shown}

        before = installed()
        assert not before & registry
        profile = found.load({**MINIMAL, **BUILDS, "registry": REPOSITORIES})
        [step] = [one for one in found.plan(profile).todo if one.key == "cluster/demo"]
        assert "add-ons" in [change.field for change in step.changes]
        found.settle(found.up(profile))
        assert installed() == before | registry
        found.settle(found.up(without))  # what is there does no harm, and stays
