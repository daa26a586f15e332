"""Many clients of the emulated Azure at once: nothing is made twice, nothing is lost."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.sandbox.azurecloud import AKS, NET, REGION, RG, ROLES, SUB, UAI, Azure, cloud, shared

__all__ = ["cloud", "shared"]


def test_many_make_one_thing(cloud: Azure) -> None:
    path = f"{NET}/applicationSecurityGroups/lock"

    def make(_: int) -> int:
        body = {"location": REGION}
        return cloud.send("PUT", path, body, headers={"If-None-Match": "*"})[0]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(make, range(24)))
    assert statuses.count(201) == 1
    assert set(statuses) <= {201, 409, 412}


def test_many_take_one_etag(cloud: Azure) -> None:
    path = f"{NET}/applicationSecurityGroups/lock"
    cloud.done("PUT", path, {"location": REGION})
    etag = cloud("GET", path)["etag"]

    def take(number: int) -> int:
        body = {"location": REGION, "tags": {"holder": str(number)}}
        return cloud.send("PUT", path, body, headers={"If-Match": etag})[0]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(take, range(24)))
    assert statuses.count(200) == 1


def test_many_assign_one_role(cloud: Azure) -> None:
    principal = cloud.identity()["properties"]["principalId"]

    def assign(_: int) -> int:
        place = f"{RG}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
        role = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{ROLES['Reader']}"
        properties = {"principalId": principal, "principalType": "ServicePrincipal",
                      "roleDefinitionId": role}  # fmt: skip
        return cloud.send("PUT", place, {"properties": properties})[0]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(assign, range(24)))
    assert (statuses.count(201), statuses.count(409)) == (1, 23)


def test_several_clusters_come_and_go_side_by_side(cloud: Azure) -> None:
    def live(number: int) -> Any:
        name = f"demo{number}"
        cloud("PUT", f"{UAI}/{name}", {"location": REGION})
        found = cloud.cluster(name)
        cloud.done("DELETE", f"{AKS}/{name}")
        return found["properties"]["provisioningState"]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(live, range(6))) == ["Succeeded"] * 6
    assert len(cloud("GET", UAI)["value"]) == 6
    names = [one["name"] for one in cloud("GET", f"{SUB}/resourcegroups")["value"]]
    assert names == ["demo"]
