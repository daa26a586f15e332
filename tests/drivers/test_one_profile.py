"""One profile on every cloud: only ``cloud`` and ``region`` differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterkit.profile.model import BaseProfile
from clusterkit.profile.pool import Machine
from tests.drivers.cases import MINIMAL
from tests.drivers.profiles import KEY
from tests.drivers.seen import SEEN, Seen, images, public_key
from tests.drivers.world import Case, Edits, World, edited, world

SHIPPED = Path(__file__).parents[2] / "profiles" / "portable.yaml"
PROFILE: Mapping[str, Any] = {**yaml.safe_load(SHIPPED.read_text()), "ssh_key": "me.pub"}
CHANGE: Edits = {
    "pools.0.count": 4,
    "pools.0.labels": {"role": "main", "tier": "front"},
    "pools.1.count": {"min": 1, "max": 6},
    "pools.1.taints": [{"key": "build", "value": "yes", "effect": "NoExecute"}],
    "registry.repositories": ["kaniko-demo", "jenkins-x-demo"],
    "registry.keep": False,
    "tags": {"team": "ops", "cost": "low"},
}
THIRD = {
    "name": "spare",
    "machine": {"cpu": 2, "memory": 8},
    "count": 2,
    "disk": {"size": 60},
    "labels": {"role": "spare"},
}
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DEFAULT = "storageclass.kubernetes.io/is-default-class"


def on(case: Case) -> Case:
    """The profile on the cloud of a case."""
    where = {name: case.profile[name] for name in ("cloud", "region")}
    return replace(case, profile={**PROFILE, **where}, prepare=lambda _: {})


@pytest.mark.parametrize("case", [*map(on, MINIMAL)], ids=lambda case: case.cloud)
def test_up_a_change_and_destroy(case: Case, tmp_path: Path) -> None:
    differs = {name for name in case.profile if case.profile[name] != PROFILE[name]}
    assert differs <= {"cloud", "region"}
    with world(case, tmp_path) as found:
        case.twins(found)
        before = found.things()
        later = edited(case.profile, {**CHANGE})
        later["pools"].append(THIRD)
        changed = found.load(later)
        for profile in (found.profile, changed):
            found.cloud.activate(profile, found.clients())
        _reach(found, found.profile)
        as_it_says(found, case.profile, before.keys())

        _reach(found, changed)
        as_it_says(found, later, before.keys())

        found.settle(found.destroy())
        assert found.destroy_plan().empty
        assert found.things() == before


def _reach(found: World, profile: BaseProfile) -> None:
    """One ``up``, after which there is nothing left to do."""
    found.settle(found.up(profile))
    left = found.plan(profile)
    assert left.empty, [(step.op, step.key, step.changes) for step in left.todo]


def as_it_says(found: World, profile: Mapping[str, Any], before: Any) -> None:
    """The cloud and Kubernetes show what the profile says."""
    cloud = str(profile["cloud"])
    seen = SEEN[cloud](found)
    registry = profile["registry"]
    assert seen.version == profile["kubernetes"]
    assert seen.cidr == profile["network"]["cidr"]
    assert seen.gateways == 1
    assert seen.key == public_key(cloud, KEY.rpartition(" ")[0])
    assert seen.repositories == images(cloud, registry["name"], registry["repositories"])
    _pools(seen, profile)
    _nodes(found, profile)
    _tags(found, profile, before)
    _storage(found)


def _pools(seen: Seen, profile: Mapping[str, Any]) -> None:
    assert len(seen.pools) == len(profile["pools"])
    for wanted in profile["pools"]:
        [pool] = (each for name, each in seen.pools.items() if name.startswith(wanted["name"]))
        count = wanted["count"]
        scaled = isinstance(count, dict)
        assert pool.labels == wanted["labels"]
        assert pool.taints == _taints(wanted)
        assert pool.count == ((count["min"], count["max"]) if scaled else (count, count))
        assert pool.scaled == scaled
        assert pool.disk == wanted.get("disk", {"size": 80})["size"]
        assert pool.key == seen.key


def _taints(pool: Mapping[str, Any]) -> frozenset[tuple[str, str, str]]:
    return frozenset((t["key"], t["value"], t["effect"]) for t in pool.get("taints", ()))


def _nodes(found: World, profile: Mapping[str, Any]) -> None:
    """As Kubernetes sees them; each pool has a role of its own."""
    nodes = found.clients().kube.list("/api/v1/nodes")
    assert len({_zone(node) for node in nodes}) == profile["network"]["zones"]
    for wanted in profile["pools"]:
        role, count = wanted["labels"]["role"], wanted["count"]
        its = [node for node in nodes if node["metadata"]["labels"].get("role") == role]
        if isinstance(count, dict):
            assert count["min"] <= len(its) <= count["max"]
        else:
            assert len(its) == count
        size = Machine(**wanted["machine"])
        for node in its:
            assert wanted["labels"].items() <= node["metadata"]["labels"].items()
            given = node["spec"].get("taints") or ()
            assert _taints(wanted) == {(t["key"], t["value"], t["effect"]) for t in given}
            capacity = node["status"]["capacity"]
            assert int(capacity["cpu"]) == size.cpu
            assert int(capacity["memory"].removesuffix("Mi")) == size.memory * 1024


def _zone(node: Any) -> str:
    return str(node["metadata"]["labels"]["topology.kubernetes.io/zone"])


def _tags(found: World, profile: Mapping[str, Any], before: Any) -> None:
    """What has tags has the profile's; a mark in a description is none."""
    tagged = {
        key: thing.marks
        for key, thing in found.things().items()
        if key not in before and "clusterkit-name" in thing.marks
    }
    assert {"cluster", "node-group", "node-pool"} & {kind for kind, _ in tagged}
    for key, marks in tagged.items():
        rest = {name: value for name, value in marks.items() if name in ("team", "cost")}
        assert rest == profile["tags"], key


def _storage(found: World) -> None:
    """One default class, ours."""
    classes = found.clients().kube.list(CLASSES)
    [default] = [each for each in classes if _is_default(each)]
    assert default["metadata"]["labels"]["clusterkit-cluster"] == "demo"
    assert default["volumeBindingMode"] == "WaitForFirstConsumer"


def _is_default(item: Any) -> bool:
    annotations = item["metadata"].get("annotations") or {}
    return annotations.get(DEFAULT) == "true"
