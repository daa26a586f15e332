"""Service accounts and policies of the emulated Google Cloud: names and identities."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

from clusterkit_sandbox.faults import Faults
from tests.sandbox.gcp import PROJECT, Gcp, account, cloud, eventually, shared

__all__ = ["cloud", "shared"]
POLICY = f"cloudresourcemanager.googleapis.com/v1/projects/{PROJECT}"
LOGS = "roles/logging.logWriter"


def read(cloud: Gcp) -> dict[str, Any]:
    found: dict[str, Any] = cloud("POST", f"{POLICY}:getIamPolicy", {})
    return found


def write(cloud: Gcp, policy: dict[str, Any]) -> Any:
    return cloud("POST", f"{POLICY}:setIamPolicy", {"policy": policy})


def bound(policy: dict[str, Any], role: str = LOGS) -> list[str]:
    return [m for one in policy.get("bindings", []) if one["role"] == role for m in one["members"]]


def grant(cloud: Gcp, member: str, role: str = LOGS) -> Any:
    policy = read(cloud)
    policy.setdefault("bindings", []).append({"role": role, "members": [member]})
    return write(cloud, policy)


def test_an_account_lives_and_dies(cloud: Gcp) -> None:
    made = cloud.account("demo-nodes")
    assert made["email"] == f"demo-nodes@{PROJECT}.iam.gserviceaccount.com"
    assert len(made["uniqueId"]) == 21
    assert cloud.iam("GET", f"serviceAccounts/{made['email']}") == made
    assert cloud.iam("GET", f"serviceAccounts/{made['uniqueId']}") == made
    changed = {"serviceAccount": {"description": "ours"}, "updateMask": "description"}
    assert cloud.iam("PATCH", f"serviceAccounts/{made['email']}", changed)["description"] == "ours"
    listed = cloud.iam("GET", "serviceAccounts")["accounts"]
    assert made["email"] in [one["email"] for one in listed]
    assert cloud.iam("DELETE", f"serviceAccounts/{made['email']}") == {}
    base = f"iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts"
    assert cloud.refused("GET", f"{base}/{made['email']}") == (404, "Unknown service account")
    other = f"iam.googleapis.com/v1/projects/-/serviceAccounts/{made['email']}"
    assert cloud.refused("GET", other)[0] == 403
    again = cloud(
        "POST", f"iam.googleapis.com/v1/projects/-/serviceAccounts/{made['uniqueId']}:undelete", {}
    )
    assert again["restoredAccount"]["uniqueId"] == made["uniqueId"]


def test_what_is_refused_of_an_account(cloud: Gcp) -> None:
    url = f"iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts"
    assert cloud.refused("POST", url, {"accountId": "short"})[1] == (
        'The account ID "short" does not have a length between 6 and 30.'
    )
    cloud.account("demo-nodes")
    assert cloud.refused("POST", url, {"accountId": "demo-nodes"}) == (
        409,
        f"Service account demo-nodes already exists within project projects/{PROJECT}.",
    )


def test_a_key_logs_in_as_its_account(cloud: Gcp) -> None:
    made = cloud.account("demo-pusher")
    key = cloud.iam("POST", f"serviceAccounts/{made['email']}/keys", {})
    token = cloud.login(json.loads(b64decode(key["privateKeyData"])))
    asked = {"permissions": ["logging.logEntries.create", "container.clusters.get"]}
    assert not cloud("POST", f"{POLICY}:testIamPermissions", asked, token).get("permissions")
    grant(cloud, f"serviceAccount:{made['email']}")
    assert cloud("POST", f"{POLICY}:testIamPermissions", asked, token) == {
        "permissions": ["logging.logEntries.create"]
    }


def test_a_stale_etag_is_refused(cloud: Gcp) -> None:
    policy = read(cloud)
    made = cloud.account("demo-nodes")
    grant(cloud, f"serviceAccount:{made['email']}")
    status, message = cloud.refused("POST", f"{POLICY}:setIamPolicy", {"policy": policy})
    assert status == 409
    assert message.startswith("There were concurrent policy changes.")


def test_members_that_do_not_exist_are_refused(cloud: Gcp) -> None:
    nobody = f"nobody-here@{PROJECT}.iam.gserviceaccount.com"
    for member, message in (
        (f"serviceAccount:{nobody}", f"Service account {nobody} does not exist."),
        ("somebody", "The member somebody is of an unknown type. Please set a valid type prefix"
         " for the member."),
        (f"serviceAccount:{PROJECT}.svc.id.goog[ci/kaniko]",
         f"Identity Pool does not exist ({PROJECT}.svc.id.goog). Please check that you specified"
         " a valid resource name as returned in the `name` attribute in the configuration API."),
    ):  # fmt: skip
        policy = {"bindings": [{"role": LOGS, "members": [member]}]}
        found = cloud.refused("POST", f"{POLICY}:setIamPolicy", {"policy": policy})
        assert found == (400, message)
    principal = "principal://iam.googleapis.com/projects/1/locations/global/x"
    assert bound(grant(cloud, principal)) == [principal]


def test_a_binding_belongs_to_the_identity_not_to_its_name(cloud: Gcp) -> None:
    first = cloud.account("demo-nodes")
    member = f"serviceAccount:{first['email']}"
    assert bound(grant(cloud, member)) == [member]
    cloud.iam("DELETE", f"serviceAccounts/{first['email']}")
    gone = f"deleted:{member}?uid={first['uniqueId']}"
    assert bound(read(cloud)) == [gone]
    second = cloud.account("demo-nodes")
    assert second["uniqueId"] != first["uniqueId"]
    assert bound(read(cloud)) == [gone]
    assert sorted(bound(grant(cloud, member))) == sorted([gone, member])


def test_conditions_need_version_3(cloud: Gcp) -> None:
    condition = {"title": "soon", "expression": "request.time < timestamp('2030-01-01T00:00:00Z')"}
    binding = {"role": LOGS, "members": ["user:me@example.com"], "condition": condition}
    policy = {**read(cloud), "bindings": [binding]}
    assert cloud.refused("POST", f"{POLICY}:setIamPolicy", {"policy": policy})[0] == 400
    write(cloud, {**policy, "version": 3})
    plain = read(cloud)
    assert plain["version"] == 1
    assert "_withcond_" in plain["bindings"][0]["role"]
    asked = {"options": {"requestedPolicyVersion": 3}}
    found = cloud("POST", f"{POLICY}:getIamPolicy", asked)
    assert found["version"] == 3
    assert found["bindings"] == [binding]


def test_reads_of_a_policy_may_lag_behind(cloud: Gcp) -> None:
    made = cloud.account("demo-nodes")
    method = "cloudresourcemanager.projects.setIamPolicy"
    cloud.sandbox.faults.take(Faults.parse(f"late:{method}=30s@1"))
    grant(cloud, f"serviceAccount:{made['email']}")
    stale = read(cloud)
    assert bound(stale) == []
    assert cloud.refused("POST", f"{POLICY}:setIamPolicy", {"policy": stale})[0] == 409


def test_a_young_account_is_missing_then_denied(tmp_path: Path) -> None:
    with account(tmp_path, factor=10) as cloud:
        cloud.enable("cloudresourcemanager", "iam")
        made = cloud.account("demo-nodes")
        url = f"iam.googleapis.com/v1/{made['name']}"
        assert cloud.refused("GET", url)[0] == 404
        member = f"serviceAccount:{made['email']}"
        policy = {"bindings": [{"role": LOGS, "members": [member]}]}
        refused = cloud.refused("POST", f"{POLICY}:setIamPolicy", {"policy": policy})
        assert refused == (400, f"Service account {made['email']} does not exist.")
        eventually(lambda: cloud.send("GET", url)[0] == 403, within=40.0)
        eventually(lambda: cloud.send("GET", url)[0] == 200)
        assert bound(grant(cloud, member)) == [member]
        key = cloud.iam("POST", f"serviceAccounts/{made['email']}/keys", {})
        token = cloud.login(json.loads(b64decode(key["privateKeyData"])))
        asked = {"permissions": ["logging.logEntries.create"]}

        def held() -> Any:
            return cloud("POST", f"{POLICY}:testIamPermissions", asked, token).get("permissions")

        assert not held()
        eventually(held)


def test_a_name_that_is_still_shown_stays_the_old_accounts(tmp_path: Path) -> None:
    with account(tmp_path, factor=20) as cloud:
        cloud.enable("cloudresourcemanager", "iam")
        first = cloud.account("demo-nodes")
        url = f"iam.googleapis.com/v1/{first['name']}"
        eventually(lambda: cloud.send("GET", url)[0] == 200)
        member = f"serviceAccount:{first['email']}"
        grant(cloud, member)
        cloud("DELETE", url)
        policy = read(cloud)
        assert bound(policy) == [member]
        refused = cloud.refused("POST", f"{POLICY}:setIamPolicy", {"policy": policy})
        assert refused == (400, f"Service account {first['email']} does not exist.")
        cloud.account("demo-nodes")
        eventually(lambda: cloud.send("GET", url)[0] == 200)
        write(cloud, read(cloud))
        gone = f"deleted:{member}?uid={first['uniqueId']}"
        eventually(lambda: bound(read(cloud)) == [gone])
        write(cloud, {**read(cloud), "bindings": []})
        assert bound(grant(cloud, member)) == [member]
