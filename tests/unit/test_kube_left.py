"""What stays in the cloud by what Kubernetes says."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent, Gone
from clusterkit.kube import left

SNAPSHOT = {
    "spec": {"driver": "d.example", "deletionPolicy": "Delete"},
    "status": {"snapshotHandle": "s-1"},
}
VOLUME = {
    "spec": {
        "persistentVolumeReclaimPolicy": "Retain",
        "csi": {"driver": "d.example", "volumeHandle": "v-1"},
    }
}
SNAPSHOTS = left.snapshots("d.example", "cloud delete {} --in {region}")
FILES = left.retained("file-systems", "d.example", "{} stays in {region}")


def scope(objects: Mapping[str, list[Any]], error: Exception | None = None) -> Scope[Any]:
    """A Kubernetes API with these objects, by path."""

    def listed(path: str) -> list[Any]:
        if error or path not in objects:
            raise error or Gone("not found")
        return objects[path]

    client = SimpleNamespace(kube=SimpleNamespace(list=listed))
    return Scope(client, "demo", "r-1")


def test_snapshots_are_told_with_what_deletes_them() -> None:
    young = {"spec": SNAPSHOT["spec"]}
    other = {**SNAPSHOT, "spec": {"driver": "other"}}
    [found] = SNAPSHOTS.list(scope({left.SNAPSHOTS: [SNAPSHOT, young, other]}))
    assert found.id == "s-1"
    assert "cloud delete s-1 --in r-1 deletes it" in str(SNAPSHOTS.keep(found))


def test_volumes_that_are_no_disks_are_told_if_they_are_retained() -> None:
    gone = {"spec": {**VOLUME["spec"], "persistentVolumeReclaimPolicy": "Delete"}}
    disk = {"spec": {"persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/x"}}}
    [found] = FILES.list(scope({left.VOLUMES: [VOLUME, gone, disk]}))
    assert (found.id, FILES.keep(found)) == ("v-1", "v-1 stays in r-1")


@pytest.mark.parametrize("error", [None, Absent("demo")], ids=["not installed", "no cluster"])
def test_nothing_is_told_where_nobody_can_be_asked(error: Exception | None) -> None:
    assert [*SNAPSHOTS.list(scope({}, error))] == [*FILES.list(scope({}, error))] == []
