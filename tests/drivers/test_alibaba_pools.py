"""Pools that go: drained while the cluster stays, not when all of it goes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from clusterkit.alibaba.nodes import NodePool
from clusterkit.engine import backoff
from clusterkit.engine.exchange import Exchange
from clusterkit.errors import OutOfStock, TimedOut
from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.pace import Pace
from tests.drivers.alibaba import Account
from tests.drivers.alibaba_cases import MINIMAL_CASE
from tests.drivers.test_alibaba_account import conditions
from tests.drivers.world import AT_ONCE, Edits, World, edited, world

TWO = {
    "pools": [
        {"name": "default", "machine": "ecs.g7.xlarge", "count": 2},
        {"name": "scaled", "machine": "ecs.c7.xlarge", "count": {"min": 1, "max": 3}},
    ]
}
CONFIGURE, TAG = "CreateAutoscalingConfig", "TagResources"
DRAIN, RESIZE, DELETE = "RemoveNodePoolNodes", "ModifyClusterNodePool", "DeleteClusterNodepool"


class Heard(list[str]):
    """The changing calls about pools, in the order they were answered."""

    def __call__(self, seen: Exchange) -> None:
        if seen.phase == "after" and seen.operation in (DRAIN, RESIZE, DELETE):
            self.append(seen.operation)


class Sent(list[Any]):
    """The bodies of what makes and changes pools, with the operation's name."""

    def __call__(self, seen: Exchange) -> None:
        if seen.phase == "before" and seen.operation in ("CreateClusterNodePool", RESIZE):
            self.append((seen.operation, json.loads(seen.sent or b"null")))


@pytest.mark.parametrize(
    ("machine", "zone", "image"),
    [
        ("ecs.g7.xlarge", "a", "AliyunLinux3"),
        ({"cpu": 4, "memory": 16, "arch": "arm64"}, "c", "AliyunLinux3Arm64"),
        ("ecs.g8y.xlarge", "c", "AliyunLinux3Arm64"),
    ],
    ids=["amd64", "arm64 by size", "arm64 by name"],
)
def test_a_pool_has_the_image_of_its_machines_and_a_key_pair(
    machine: Any, zone: str, image: str, tmp_path: Path
) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        edits = {"pools.0.machine": machine, "network.zones": [f"{found.profile.region}{zone}"]}
        profile, sent = found.load(edited(found.case.profile, edits)), Sent()
        found.settle(found.up(profile, observe=sent))
        [(_, body)] = sent
        assert body["scaling_group"]["image_type"] == image
        assert body["scaling_group"]["key_pair"] == "clusterkit-demo-no-login"
        sent.clear()
        again = found.load(edited(found.case.profile, {**edits, "pools.0.disk": {"size": 50}}))
        found.settle(found.up(again, observe=sent))
        assert [body["scaling_group"]["image_type"] for _, body in sent] == [image]


def test_a_pool_that_scales_is_made_with_its_least_number_first(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        profile = found.load(edited(found.case.profile, {"pools.0.count": {"min": 1, "max": 3}}))
        sent = Sent()
        found.cloud.activate(profile, found.clients())
        found.settle(found.up(profile, observe=sent))
        [(made, first), (changed, then)] = sent
        assert (made, changed) == ("CreateClusterNodePool", RESIZE)
        assert first["auto_scaling"] == {"enable": False}
        assert first["scaling_group"]["desired_size"] == 1
        assert (then["auto_scaling"]["enable"], then["auto_scaling"]["max_instances"]) == (True, 3)
        assert "scaling_group" not in then


@pytest.mark.parametrize(
    ("edits", "calls"),
    [
        ({"pools.0.disk": {"size": 50}}, [DRAIN, DELETE]),  # another pool in its place
        ({"pools": TWO["pools"][:1]}, [RESIZE, DRAIN, DELETE]),  # the autoscaler goes first
    ],
    ids=["replaced", "removed"],
)
@pytest.mark.parametrize("pace", [AT_ONCE, Pace(600)], ids=["at once", "states"])
def test_a_pool_that_goes_is_drained(
    edits: Edits, calls: list[str], pace: Pace, tmp_path: Path
) -> None:
    with world(MINIMAL_CASE, tmp_path, pace) as found:
        profile = edited(found.case.profile, TWO)
        found.settle(found.up(found.load(profile)))
        changed = found.load(edited(profile, edits))
        done = Heard()
        found.settle(found.up(changed, observe=done))
        assert done == calls
        assert found.plan(changed).empty


def test_destroy_drains_nothing(tmp_path: Path) -> None:
    """A budget that lets no pod be evicted would hold a drain up."""
    with world(MINIMAL_CASE, tmp_path) as found:
        found.settle(found.up(found.load(edited(found.case.profile, TWO))))
        kube = found.clients().kube
        labels = {"app": "one"}
        pod = {"containers": [{"name": "main", "image": "example.test/app"}]}
        kube.apply(
            "/api/v1/namespaces/default/pods/one",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "one", "labels": labels},
                "spec": {**pod, "tolerations": [{"operator": "Exists"}]},
            },
        )
        kube.apply(
            "/apis/policy/v1/namespaces/default/poddisruptionbudgets/one",
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "one"},
                "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
            },
        )
        done = Heard()
        began = time.monotonic()
        found.settle(found.destroy(observe=done))
        assert time.monotonic() - began < 8
        assert sorted(done) == sorted([DRAIN, DELETE, RESIZE, DRAIN, DELETE])


def test_an_autoscaler_is_switched_off_before_a_size_is_given(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        profile = edited(found.case.profile, {"pools.0.count": {"min": 1, "max": 3}})
        found.settle(found.up(found.load(profile)))
        fixed = found.load(edited(profile, {"pools.0.count": 2}))
        done = Heard()
        found.settle(found.up(fixed, observe=done))
        assert done == [RESIZE, RESIZE]
        assert found.plan(fixed).empty


def test_destroy_goes_on_where_a_drain_was_interrupted(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path, Pace(600)) as found:
        found.settle(found.up(found.load(edited(found.case.profile, TWO))))
        _begin_to_drain(found)
        found.settle(found.destroy())
        assert found.destroy_plan().empty


def _begin_to_drain(found: World) -> None:
    scope = found.scope()
    pool = next(pool for pool in NodePool.list(scope) if pool.name.startswith("default"))
    assert NodePool.delete(scope, pool) is not None


def test_a_scaling_group_that_holds_on_is_let_go(tmp_path: Path) -> None:
    """Somebody protected the group, and gave it a least number of machines."""
    with world(MINIMAL_CASE, tmp_path) as found:
        before = found.look()
        found.settle(found.up())
        account = Account(found)
        (cluster,) = account("cs:DescribeClustersV1")["clusters"]
        pools = account("cs:DescribeClusterNodePools", cluster["cluster_id"])["nodepools"]
        for pool in pools:
            group = pool["scaling_group"]["scaling_group_id"]
            held = {"MinSize": 1, "GroupDeletionProtection": True}
            account("ess:ModifyScalingGroup", ScalingGroupId=group, **held)
        found.settle(found.destroy())
        assert found.look() == before


SIZE = {"pools": [{"name": "default", "machine": {"cpu": 4, "memory": 16}}]}


def test_a_type_that_could_not_be_had_is_not_tried_again(tmp_path: Path) -> None:
    """Stock lists go on showing a type that Auto Scaling does not get."""
    with world(MINIMAL_CASE, tmp_path) as found:
        profile, there = found.load(edited(found.case.profile, SIZE)), conditions(found)
        cluster, first = found.cluster(), found.facts(profile)
        failed = {kind.name for kind in first.pools["default"]}
        there.sold_out = {
            (kind, f"{found.profile.region}{zone}") for kind in failed for zone in "abc"
        }
        try:
            errors = found.up(profile).failed
        finally:
            there.sold_out = set()
        [error] = errors.values()
        assert isinstance(error, OutOfStock)
        again = cluster.preflight(profile)
        assert not failed & {kind.name for kind in again.pools["default"]}
        found.settle(cluster.apply(cluster.plan(profile, again), found.events.append))
        assert len([*NodePool.list(found.scope())]) == 1


def test_machines_that_are_no_nodes_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Auto Scaling calls them healthy."""
    monkeypatch.setattr(backoff, "LEAST_PATIENCE", 3.0)
    with world(MINIMAL_CASE, tmp_path) as found:
        profile, there = (
            found.load(edited(found.case.profile, {"pools.0.count": 4})),
            conditions(found),
        )
        there.joining = False
        try:
            [error] = found.up(profile).failed.values()
            [pool] = NodePool.list(found.scope())
            assert (pool.nodes, pool.failed, pool.healthy, pool.status) == (4, 0, 0, "incomplete")
            assert isinstance(error, TimedOut)
            assert "0 of 4 nodes" in str(error)
            [step] = found.plan(profile).todo
            assert [str(change) for change in step.changes] == ["nodes: 0 -> 4"]
        finally:
            there.joining = True


def test_a_pool_that_waits_for_machines_is_changed(tmp_path: Path) -> None:
    """Container Service takes changes of a pool that is active, whatever it lacks."""
    with world(MINIMAL_CASE, tmp_path) as found:
        there = conditions(found)
        found.settle(found.up())
        region = found.profile.region
        there.sold_out = {("*", f"{region}{zone}") for zone in "abc"}
        try:
            assert found.up(found.load(edited(found.case.profile, {"pools.0.count": 3}))).failed
        finally:
            there.sold_out = set()
        found.settle(found.up(found.load(edited(found.case.profile, {"pools.0.count": 1}))))
        [pool] = NodePool.list(found.scope())
        assert (pool.minimum, pool.status) == (1, "active")


def test_autoscaling_is_configured_once_and_remembered(tmp_path: Path) -> None:
    """No call reads the configuration back."""
    sent: list[str] = []

    def hear(seen: Exchange) -> None:
        if seen.phase == "after" and seen.service == "CS" and seen.operation in (CONFIGURE, TAG):
            sent.append(seen.operation)

    with world(MINIMAL_CASE, tmp_path) as found:
        base = found.case.profile
        told = []
        for count in (2, {"min": 1, "max": 3}, 2, {"min": 0, "max": 2}):
            pools = [{**base["pools"][0], "name": "more", "count": count}, *base["pools"]]
            found.settle(found.up(found.load(edited(base, {"pools": pools})), observe=hear))
            told.append([*sent])
            sent.clear()
        assert told == [[], [CONFIGURE, TAG], [], []]


def test_autoscaling_that_could_not_be_configured_is_tried_again(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path) as found:
        pools = {"pools.0.count": {"min": 1, "max": 3}}
        profile = found.load(edited(found.case.profile, pools))
        found.sandbox.faults.set(
            [Rule(f"cs:{CONFIGURE}", "refuse", code="Forbidden.RAM", status=403)]
        )
        outcome = found.up(profile)
        assert [*outcome.failed] == ["cluster/demo"]
        found.sandbox.faults.clear()
        found.settle(found.up(profile))
        assert found.plan(profile).empty
