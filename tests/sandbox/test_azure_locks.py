"""Management locks of the emulated Azure: the vendor's page "Lock your resources"."""

from __future__ import annotations

import pytest

from tests.sandbox.azurecloud import AKS, NET, REGION, RG, SUB, UAI, Azure, cloud, shared

__all__ = ["cloud", "shared"]
DEMO = f"{AKS}/demo"
HERE = {"location": REGION}
LOCKS = "/providers/Microsoft.Authorization/locks"


def lock(cloud: Azure, scope: str, level: str = "CanNotDelete", name: str = "stay") -> str:
    """Put a lock on something; its id."""
    found = cloud("PUT", f"{scope}{LOCKS}/{name}", {"properties": {"level": level}})
    return str(found["id"])


def names(cloud: Azure, scope: str, **query: str) -> list[str]:
    """The locks of a list."""
    return sorted(one["name"] for one in cloud("GET", f"{scope}{LOCKS}", **query)["value"])


@pytest.mark.parametrize("level", ["CanNotDelete", "ReadOnly"])
@pytest.mark.parametrize("scope", [SUB, RG.upper().replace("/SUBSCRIPTIONS", "/subscriptions")])
def test_a_lock_holds_what_is_in_it(cloud: Azure, scope: str, level: str) -> None:
    one = f"{UAI}/one"
    cloud("PUT", one, HERE)
    cloud.cluster()
    made = lock(cloud, scope, level)
    status, found, _ = cloud.send("DELETE", one)
    assert (status, found["error"]["code"]) == (409, "ScopeLocked")
    assert (
        f"cannot perform delete operation because following scope(s) are locked: '{scope}'"
        in (found["error"]["message"])
    )
    cloud("GET", one)
    body = {**HERE, "tags": {"a": "b"}}
    action = f"{DEMO}/listClusterAdminCredential"
    if level == "ReadOnly":
        assert cloud.refused("PUT", one, body) == (409, "ScopeLocked")
        status, found, _ = cloud.send("POST", action)
        assert (status, found["error"]["code"]) == (409, "ScopeLocked")
        assert f"The scope '{DEMO}' cannot perform write" in found["error"]["message"]
    else:
        cloud("PUT", one, body)
        cloud("POST", action)
    cloud("DELETE", made)
    cloud("DELETE", one)


def test_a_lock_of_one_thing_holds_its_group(cloud: Azure) -> None:
    """There is no deletion of a part: the others stay too."""
    for name in ("one", "two"):
        cloud("PUT", f"{UAI}/{name}", HERE)
    made = lock(cloud, f"{UAI}/one")
    assert cloud.refused("DELETE", RG) == (409, "ScopeLocked")
    cloud("GET", f"{UAI}/two")
    cloud("DELETE", f"{UAI}/two")
    cloud("DELETE", made)
    cloud.done("DELETE", RG)
    assert cloud.refused("GET", made) == (404, "ResourceNotFound")


def test_the_life_of_a_lock(cloud: Azure) -> None:
    path = f"{RG}{LOCKS}/stay"
    body = {"properties": {"level": "cannotdelete", "notes": f"see {DEMO}"}}
    status, made, _ = cloud.send("PUT", path, body)
    assert status == 201
    assert made == {
        "id": path,
        "name": "stay",
        "type": "Microsoft.Authorization/locks",
        "properties": {"level": "CanNotDelete", "notes": f"see {DEMO}"},
    }
    assert cloud("GET", path.lower()) == made
    status, made, _ = cloud.send("PUT", path, {"properties": {"level": "ReadOnly"}})
    assert (status, made["properties"]) == (200, {"level": "ReadOnly"})
    assert cloud.refused("PUT", f"{UAI}/one", HERE) == (409, "ScopeLocked")
    assert [cloud.send("DELETE", path)[0] for _ in range(2)] == [200, 204]
    assert cloud.refused("GET", path) == (404, "ResourceNotFound")
    cloud("PUT", f"{UAI}/one", HERE)


def test_lists_have_the_locks_at_above_and_below(cloud: Azure) -> None:
    cloud.group("other")
    cloud("PUT", f"{UAI}/one", HERE)
    lock(cloud, SUB, name="all")
    lock(cloud, RG, name="group")
    lock(cloud, f"{UAI}/one", name="one")
    lock(cloud, f"{SUB}/resourceGroups/other", name="other")
    assert names(cloud, SUB) == ["all", "group", "one", "other"]
    assert names(cloud, RG) == ["all", "group", "one"]
    assert names(cloud, RG, **{"$filter": "atScope()"}) == ["all", "group"]
    assert names(cloud, f"{UAI}/one") == ["all", "group", "one"]
    assert names(cloud, f"{UAI}/one".replace("Identity/", "Identity//")) == ["all", "group", "one"]
    assert names(cloud, f"{UAI}/two") == ["all", "group"]


def test_what_is_not_there_takes_no_lock(cloud: Azure) -> None:
    body = {"properties": {"level": "ReadOnly"}}
    for scope, code in ((f"{SUB}/resourceGroups/none", "ResourceGroupNotFound"),
                        (f"{NET}/natGateways/none", "ResourceNotFound")):  # fmt: skip
        assert cloud.refused("PUT", f"{scope}{LOCKS}/stay", body) == (404, code)
    none = f"{SUB}/resourceGroups/none{LOCKS}"
    assert cloud.refused("GET", none) == (404, "ResourceGroupNotFound")


def test_a_lock_needs_a_level(cloud: Azure) -> None:
    path = f"{RG}{LOCKS}/stay"
    for properties in ({}, {"level": "Other"}):
        refused = cloud.refused("PUT", path, {"properties": properties})
        assert refused == (400, "InvalidRequestContent")
    for properties, name in (({"level": "NotSpecified"}, "stay"), ({"level": "ReadOnly"}, "a%3Ab"),
                             ({"level": "ReadOnly", "notes": "x" * 513}, "stay")):  # fmt: skip
        refused = cloud.refused("PUT", f"{RG}{LOCKS}/{name}", {"properties": properties})
        assert refused == (501, "UNIMPLEMENTED")


def test_who_may_write_locks(cloud: Azure) -> None:
    """Of the usual roles only Owner and User Access Administrator; others may read them."""
    store = cloud.cloud.store
    one = cloud.identity("one")["properties"]["principalId"]
    caller = store.tokens.principal(one)
    assert caller is not None
    token = store.tokens.grant(caller, "https://management.azure.com")
    made, body = f"{RG}{LOCKS}/stay", {"properties": {"level": "CanNotDelete"}}
    cloud.assign("Contributor", RG, one)
    for verb, sent in (("PUT", body), ("DELETE", None)):
        assert cloud.refused(verb, made, sent, token=token) == (403, "AuthorizationFailed")
    lock(cloud, f"{UAI}/one", name="mine")
    found = cloud("GET", f"{UAI}/one{LOCKS}", token=token)["value"]
    assert [each["name"] for each in found] == ["mine"]
    cloud.assign("User Access Administrator", RG, one)
    cloud("PUT", made, body, token=token)
    cloud("DELETE", made, token=token)


def test_a_lock_holds_role_assignments_too(cloud: Azure) -> None:
    one = cloud.identity("one")["properties"]["principalId"]
    assigned = cloud.assign("Reader", f"{UAI}/one", one)["id"]
    made = lock(cloud, f"{UAI}/one")
    assert cloud.refused("DELETE", assigned) == (409, "ScopeLocked")
    cloud("DELETE", made)
    cloud("DELETE", assigned)


def test_how_a_cluster_with_locked_machines_stays_is_not_known(cloud: Azure) -> None:
    nodes = cloud.cluster()["properties"]["nodeResourceGroup"]
    made = lock(cloud, f"{SUB}/resourceGroups/{nodes}")
    for path in (DEMO, RG):
        assert cloud.refused("DELETE", path) == (501, "UNIMPLEMENTED")
    cloud("DELETE", made)
    cloud.done("DELETE", DEMO)
