"""Amending an IAM policy that others share."""

from types import SimpleNamespace
from typing import Any

from clusterkit.gke.identities import PIPELINES, address
from clusterkit.gke.policies import VERSION, Grant, amended, grants, is_account

READER, WRITER = "roles/reader", "roles/writer"
CONDITION = {"title": "by day", "expression": "request.time.getHours() < 18"}
POLICY: dict[str, Any] = {
    "etag": "BwY=",
    "version": 1,
    "auditConfigs": [{"service": "allServices"}],
    "bindings": [
        {"role": READER, "members": ["user:a@example.com", "serviceAccount:old@x"]},
        {"role": WRITER, "members": ["serviceAccount:old@x"]},
        {"role": READER, "members": ["serviceAccount:old@x"], "condition": CONDITION},
    ],
}


def test_what_others_have_stays() -> None:
    new = Grant(READER, "serviceAccount:new@x")
    after = amended(POLICY, [new], lambda grant: grant.member == "serviceAccount:old@x")
    assert after == {
        **POLICY,
        "version": VERSION,
        "bindings": [
            {"role": READER, "members": ["serviceAccount:new@x", "user:a@example.com"]},
            POLICY["bindings"][2],
        ],
    }


def test_a_role_that_nobody_has_gets_a_binding() -> None:
    both = [Grant("roles/owner", "user:b@x"), Grant("roles/owner", "user:a@x")]
    after = amended({"etag": "BwY="}, both, lambda _: False)
    assert after["bindings"] == [{"role": "roles/owner", "members": ["user:a@x", "user:b@x"]}]
    assert grants(after) == frozenset(both)


def test_a_grant_that_is_there_is_not_added_again() -> None:
    after = amended(POLICY, [Grant(WRITER, "serviceAccount:old@x")], lambda _: False)
    assert grants(after) == grants(POLICY)
    assert POLICY["bindings"][2] in after["bindings"]


def test_a_conditional_binding_is_no_grant() -> None:
    only = {"bindings": [POLICY["bindings"][2]]}
    assert grants(only) == frozenset()


def test_accounts_of_a_project_of_a_domain() -> None:
    project = "example.com:name"
    email = address("demo", project, PIPELINES)
    assert email == f"demo-{PIPELINES.name}@name.example.com.iam.gserviceaccount.com"
    scope: Any = SimpleNamespace(cluster="demo", client=SimpleNamespace(project=project))
    assert is_account(scope, f"deleted:serviceAccount:{email}?uid=7")
    assert not is_account(scope, email.replace("name.example", "name-example"))
