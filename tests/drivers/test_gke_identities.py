"""Identities of a cluster that is destroyed and made again at once under the same name.

An account that is deleted and created again is another one, and a grant takes minutes to have an
effect (IAM documentation, "Access change propagation"): what ``up`` leaves has to work at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusterkit_sandbox.google import access
from clusterkit_sandbox.google.policies import Member
from clusterkit_sandbox.pace import Pace
from tests.drivers.gke import Account
from tests.drivers.gke_cases import MINIMAL, MINIMAL_CASE, REGION
from tests.drivers.world import AT_ONCE, World, edited, world

PULL = "artifactregistry.repositories.downloadArtifacts"
PUSH = "artifactregistry.repositories.uploadArtifacts"
REGISTRY: Mapping[str, Any] = {"name": "demo", "repositories": ["app"], "keep": False}
PUSHERS: Mapping[str, Any] = {
    "as an account": {"push": ["builds/kaniko"], "identity": "account"},
    "as themselves": {"push": ["builds/kaniko"]},
    "as the node": {"push": "node"},
}
KSA = (
    "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/"
    "clusterkit-sandbox.svc.id.goog/subject/ns/builds/sa/kaniko"
)


def accounts(account: Account) -> Mapping[str, str]:
    """What the service accounts of the cluster are for, to their addresses."""
    path = f"projects/{account.project}/serviceAccounts"
    found = account.every("iam", path, "accounts")
    return {
        each["description"].split()[1].rpartition("/")[2]: each["email"]
        for each in found
        if each.get("description", "").startswith("clusterkit ")
    }


def granted(found: World, who: str, permission: str) -> bool:
    """Whether this identity has the permission on the repository, asked for once."""
    account = Account(found)
    path = f"projects/{account.project}/locations/{REGION}/repositories/demo"
    if who.startswith("principal:"):
        emulator: Any = found.sandbox._emulators[0]  # type: ignore[attr-defined]
        return access.allowed(emulator.store, (Member(who),), permission, path)
    token = account.token(who)
    body = {"permissions": [permission]}
    shown = account.ask("artifactregistry", "POST", f"{path}:testIamPermissions", body, token=token)
    return permission in shown.get("permissions", ())


def identities(found: World) -> Iterator[tuple[str, str]]:
    """Who has to be able to do what."""
    there, registry = accounts(Account(found)), found.case.profile["registry"]
    yield there["nodes"], PULL
    if registry["push"] == "node":
        yield there["nodes"], PUSH
    else:
        yield there["push"] if registry.get("identity") == "account" else KSA, PUSH


@pytest.mark.parametrize("pace", [AT_ONCE, Pace(60)], ids=str)
@pytest.mark.parametrize("push", PUSHERS)
def test_new_identities_work_at_the_first_try(push: str, pace: Pace, tmp_path: Path) -> None:
    profile = edited(MINIMAL, {"registry": {**REGISTRY, **PUSHERS[push]}})
    case = replace(MINIMAL_CASE, profile=profile)
    with world(case, tmp_path, pace) as found:
        seen: set[str] = set()
        for _ in range(2):
            found.settle(found.up())
            missing = [pair for pair in identities(found) if not granted(found, *pair)]
            assert missing == []
            there = set(accounts(Account(found)).values())
            assert there
            assert not there & seen, "a deleted account is never made again"
            seen |= there
            found.settle(found.destroy())
        policy = Account(found).policy()
        assert not [m for members in policy.values() for m in members if "/ck-" in m or ":ck-" in m]


def test_what_deleted_accounts_left_in_the_policy_goes(tmp_path: Path) -> None:
    """Somebody deletes the nodes' account: its bindings stay, of an account that is no more."""
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        email = accounts(account)["nodes"]
        account("iam", "DELETE", f"projects/{account.project}/serviceAccounts/{email}")

        def left() -> list[str]:
            return [m for members in account.policy().values() for m in members if email in m]

        assert left() == [f"deleted:serviceAccount:{email}?uid={left()[0].rpartition('=')[2]}"]
        found.settle(found.up())
        assert found.plan().empty
        assert left() == []
        new = accounts(account)["nodes"]
        assert new != email
        assert any(f"serviceAccount:{new}" in members for members in account.policy().values())
