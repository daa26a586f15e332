"""``repair registry-auth``: pods may push again, and nothing else of the cluster is changed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from clusterkit import clouds
from clusterkit.cli.main import app
from clusterkit.cluster import Plan
from clusterkit.engine.exchange import Exchange
from clusterkit.errors import ClusterkitError
from tests.drivers import aws
from tests.drivers.cases import MINIMAL, each
from tests.drivers.eks_cases import MINIMAL_CASE as EKS
from tests.drivers.gke import Account
from tests.drivers.gke_cases import JENKINS_X_CASE, MINIMAL_CASE
from tests.drivers.test_gke_identities import PUSH, accounts
from tests.drivers.test_verify_gke import another_account, no_users, no_writers, repository
from tests.drivers.world import Case, Edits, World, edited, world

SECRET = "/api/v1/namespaces/builds/secrets/kaniko-secret"
OWN: Mapping[str, Any] = {"name": "demo", "repositories": ["app"], "keep": False}


def repaired(found: World, *kinds: str) -> Plan:
    """Repair what is wrong; only things of these kinds are changed."""
    sent: list[Exchange] = []
    cluster = found.cluster(observe=sent.append)
    assert failed(found) != []
    plan = cluster.plan_repair(found.profile)
    assert {step.key.partition("/")[0] for step in plan.todo} == set(kinds)
    found.settle(cluster.apply(plan, found.events.append))
    changes = {f"{each.service}.{each.operation}" for each in sent if each.mutating}
    assert not [name for name in changes if name.startswith("container.")]
    assert failed(found) == []
    assert found.cluster().plan_repair(found.profile).empty, "a second run changes nothing"
    assert found.plan().empty, "there is nothing left to do for up"
    return plan


def failed(found: World) -> list[str]:
    """What the checks say."""
    verdicts = found.cluster().why_refused(found.profile)
    return [one.what for each in verdicts for one in each.results if one.status == "failed"]


@pytest.mark.parametrize(
    ("break_it", "kinds"),
    [
        (no_writers, ("repository", "workload-access")),
        (no_users, ("workload-access",)),
        (another_account, ("bucket", "repository", "workload-access")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_was_taken_away_is_given_back(
    break_it: Callable[[World], None], kinds: tuple[str, ...], tmp_path: Path
) -> None:
    with world(JENKINS_X_CASE, tmp_path) as found:
        found.settle(found.up())
        assert failed(found) == []
        break_it(found)
        repaired(found, *kinds)


def keyed(**registry: Any) -> Case:
    """Pods that push with a key of an account."""
    edits: Edits = {"registry": {**OWN, **registry}, "ready": {"kaniko": {}}}
    return replace(MINIMAL_CASE, profile=edited(MINIMAL_CASE.profile, edits))


def key_of(found: World) -> Mapping[str, str]:
    """The key that the Secret holds."""
    secret = found.clients().kube.get(SECRET)
    key: dict[str, str] = json.loads(base64.b64decode(secret["data"]["kaniko-secret"]))
    return key


def test_a_deleted_account_and_its_key_are_made_again(tmp_path: Path) -> None:
    """The repair of the blog posts: its last step failed, because the Secret was there."""
    with world(keyed(push="secret"), tmp_path) as found:
        found.settle(found.up())
        account, before = Account(found), key_of(found)
        email = accounts(account)["push"]
        account("iam", "DELETE", f"projects/{account.project}/serviceAccounts/{email}")
        assert any(email in who for who in members(found)), "its binding looks right"
        repaired(found, "iam-service-account", "repository", "key-secret")
        after, new = key_of(found), accounts(account)["push"]
        assert after["client_email"] == new != email
        assert after["private_key_id"] != before["private_key_id"]
        assert [who for who in members(found) if email in who] == []
        token = account.token(new)
        path, body = f"{repository(found)}:testIamPermissions", {"permissions": [PUSH]}
        shown = account.ask("artifactregistry", "POST", path, body, token=token)
        assert shown["permissions"] == [PUSH]


def test_an_association_that_others_deleted_is_made_again(tmp_path: Path) -> None:
    """On EKS pods have a role by an association, which may be deleted without a trace."""
    edits: Edits = {"registry": OWN, "ready": {"kaniko": {}}}
    case = replace(EKS, profile=edited(EKS.profile, edits))
    with world(case, tmp_path) as found:
        found.settle(found.up())
        eks = aws.Account(found).eks
        [one] = eks.list_pod_identity_associations(clusterName="demo", namespace="builds")[
            "associations"
        ]
        eks.delete_pod_identity_association(clusterName="demo", associationId=one["associationId"])
        cluster = found.cluster()
        plan = cluster.plan_repair(found.profile)
        assert [step.kind.kind for step in plan.todo] == ["pod-identity"]
        found.settle(cluster.apply(plan, found.events.append))
        assert found.cluster().plan_repair(found.profile).empty
        assert found.plan().empty


def test_without_a_cluster_nothing_is_repaired(tmp_path: Path) -> None:
    with world(EKS, tmp_path) as found, pytest.raises(ClusterkitError) as caught:
        found.cluster().plan_repair(found.profile)
    assert "there is no running cluster" in str(caught.value)


def members(found: World) -> set[str]:
    """Who is in the policy of the repository."""
    return set[str]().union(*Account(found).policy(repository(found)).values())


def test_what_the_whole_cluster_needs_is_left_to_up(tmp_path: Path) -> None:
    with world(keyed(), tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        nodes = accounts(account)["nodes"]
        account("iam", "DELETE", f"projects/{account.project}/serviceAccounts/{nodes}")
        with pytest.raises(ClusterkitError) as caught:
            found.cluster().plan_repair(found.profile)
        assert "iam-service-account/nodes" in str(caught.value)
        assert "clusterkit up" in caught.value.hint


def test_the_command_names_the_cause_and_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with world(JENKINS_X_CASE, tmp_path) as found:
        monkeypatch.setattr("clusterkit.clouds.sandbox_connection", found.connection)
        found.settle(found.up())
        found.load(found.case.profile)

        def run(*words: str) -> Result:
            path = str(tmp_path / "profile.yaml")
            asked = ["repair", "registry-auth", path, "--sandbox", *words]
            return CliRunner().invoke(app, asked, standalone_mode=False)

        assert "demo: nothing to repair" in run().stderr
        another_account(found)
        declined = run()
        assert "cannot ask for confirmation" in str(declined.exception)
        assert failed(found) != []
        assert "bound to an account that was deleted (uid " in declined.stderr
        assert "+ workload-access/iam-service-account-tekton" in declined.stderr
        assert "clusterkit repair registry-auth" in declined.stderr
        done = run("--yes")
        assert done.return_value == 0, (done.stderr, done.exception)
        assert failed(found) == []
        again = run("--yes", "--output", "json")
        assert again.return_value == 0
        lines = [json.loads(line) for line in again.stdout.splitlines()]
        assert [each["causes"] for each in lines if each["event"] == "Causes"] == [[]]


@pytest.mark.parametrize("cloud", clouds.CLOUDS)
def test_the_kinds_that_are_repaired_are_the_drivers(cloud: str) -> None:
    driver = clouds.load(cloud)
    assert {kind.kind for kind in driver.KINDS} >= driver.REPAIR.kinds


@each(MINIMAL)
def test_where_nothing_is_wrong_nothing_is_changed(case: Case, tmp_path: Path) -> None:
    with world(case, tmp_path) as found:
        found.settle(found.up())
        before = found.things()
        assert failed(found) == []
        assert found.cluster().plan_repair(found.profile).empty
        assert found.things() == before
