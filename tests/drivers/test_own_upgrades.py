"""What a cloud changes by itself, maybe for hours, neither holds ``up`` nor counts as a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterkit_sandbox.pace import Pace
from tests.drivers import aks, aks_cases, gke, gke_cases
from tests.drivers.world import Thing, World, edited, world

PACE = Pace(60)
pytestmark = pytest.mark.deep


def _cluster(found: World) -> Thing:
    (cluster,) = (thing for thing in found.things().values() if thing.kind == "cluster")
    return cluster


def _goes_on(found: World, status: str) -> None:
    plan = found.plan()
    assert plan.empty
    assert f"cluster/demo: {status}" in map(str, plan.warnings)
    found.settle(found.up())


def test_gke_upgrades_a_control_plane(tmp_path: Path) -> None:
    with world(gke_cases.MINIMAL_CASE, tmp_path, PACE) as found:
        found.settle(found.up())
        account, shown = gke.Account(found), _cluster(found).shown
        place = f"projects/{account.project}/locations"
        offered = account.ask("container", "GET", f"{place}/{account.region}/serverConfig")
        channels = {each["channel"]: each for each in offered["channels"]}
        newest = max(channels["REGULAR"]["validVersions"])
        path = f"{place}/{shown['location']}/clusters/demo"
        account.ask("container", "PUT", path, {"update": {"desiredMasterVersion": newest}})
        assert _cluster(found).shown["status"] == "RECONCILING"
        found.load(edited(found.case.profile, {"kubernetes": None}))
        _goes_on(found, "RECONCILING")
        assert _cluster(found).shown["status"] == "RECONCILING"


def test_aks_updates_a_cluster(tmp_path: Path) -> None:
    with world(aks_cases.MINIMAL_CASE, tmp_path, PACE) as found:
        found.settle(found.up())
        account, cluster = aks.Account(found), _cluster(found)
        body = {key: cluster.shown[key] for key in ("location", "tags", "sku", "identity")}
        body["properties"] = cluster.shown["properties"]
        account.ask("PUT", cluster.id, {**body, "tags": {**body["tags"], "team": "ops"}})
        assert _cluster(found).shown["properties"]["provisioningState"] == "Updating"
        _goes_on(found, "Updating")
