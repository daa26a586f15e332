"""What the real Azure does now and then, each seen by somebody, and a whole life with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from clusterkit.errors import Protected
from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.pace import Pace
from tests.drivers.aks import Account
from tests.drivers.aks_cases import MINIMAL_CASE
from tests.drivers.test_faults import complete, nothing
from tests.drivers.world import World, edited, world


@contextmanager
def account(folder: Path, change: Callable[[Any], None]) -> Iterator[World]:
    """An account that is different in some way, for as long as it is used."""
    with world(MINIMAL_CASE, folder, Pace(2000)) as found:
        [emulator] = found.sandbox._emulators
        store = emulator.store  # type: ignore[attr-defined]
        usual, store.conditions = store.conditions, replace(store.conditions)
        change(store.conditions)
        try:
            yield found
        finally:
            store.conditions = usual


def odd_status(conditions: Any) -> None:
    """Operations show a state that no page names."""
    conditions.odd_status = "ProvisionControlPlane"


def unseen(conditions: Any) -> None:
    """Operations are not found at first."""
    conditions.unseen_polls = 3


def lingering(conditions: Any) -> None:
    """Lists have what is no more."""
    conditions.lingering = True


def reverting(conditions: Any) -> None:
    """The add-on manager makes its own storage class the default one again."""
    conditions.reverting = True


@pytest.mark.parametrize("oddity", [odd_status, unseen, lingering, reverting])
def test_a_whole_life(oddity: Callable[[Any], None], tmp_path: Path) -> None:
    with account(tmp_path, oddity) as found:
        before = found.look()
        assert found.up().ok
        if oddity is not reverting:
            complete(found)
        else:
            sleep(1.0)  # it does so every half second at this pace
            assert found.plan().empty
        assert found.destroy().ok
        nothing(found, before)


def test_a_lock_that_comes_after_the_plan_protects_what_it_is_on(tmp_path: Path) -> None:
    """``destroy`` names it, leaves that alone, and goes on once it is gone."""
    with account(tmp_path, lambda _: None) as found:
        before = found.look()
        assert found.up().ok
        [network] = [one.id for one in found.case.look(found) if one.kind == "virtual-network"]
        plan = found.destroy_plan()
        assert not plan.blocked
        lock = f"{network}/providers/Microsoft.Authorization/locks/stay"
        azure = Account(found)
        azure("PUT", lock, {"properties": {"level": "CanNotDelete"}})
        outcome = found.cluster().apply(plan, found.events.append)
        assert not outcome.ok
        assert any(isinstance(error, Protected) for error in outcome.failed.values())
        assert [one.id for one in found.case.look(found) if one.kind == "virtual-network"]
        azure("DELETE", lock)
        assert found.destroy().ok
        nothing(found, before)


def test_a_subnet_whose_change_failed_is_written_again(tmp_path: Path) -> None:
    """AKS takes no subnet in the state ``Failed``."""
    with account(tmp_path, lambda _: None) as found:
        found.settle(found.up())
        without = found.load(edited(found.case.profile, {"network.nat": "none"}))
        found.facts(without)
        found.sandbox.faults.set([Rule("network:Subnets_CreateOrUpdate", "terminal")])
        assert "virtual-network/main" in found.up(without).failed
        found.sandbox.faults.clear()
        found.settle(found.up(without))
        assert found.plan(without).empty


@pytest.mark.parametrize("kind", ["virtual-network", "nat-gateway", "public-ip", "registry"])
def test_what_is_in_use_is_never_removed_for_a_failed_change(kind: str, tmp_path: Path) -> None:
    """Not a network with machines in it, nor a registry with images: it is written again."""
    registry = {"registry": {"name": "demo", "repositories": ["app"]}}
    case = replace(MINIMAL_CASE, profile=edited(MINIMAL_CASE.profile, registry))
    with world(case, tmp_path) as found:
        found.settle(found.up())
        [one] = [one for one in found.case.look(found) if one.kind == kind]
        [emulator] = found.sandbox._emulators
        before = emulator.store.any(one.id)  # type: ignore[attr-defined]
        before.properties["provisioningState"] = "Failed"
        [step] = found.plan().todo
        assert step.op == "update"
        found.settle(found.up())
        assert emulator.store.any(one.id) is before  # type: ignore[attr-defined]
        assert before.properties["provisioningState"] == "Succeeded"
        assert found.plan().empty


class SlowPools(Pace):
    """Nothing takes time but a pool's changes."""

    def seconds(self, what: str) -> float:
        return 1.0 if what == "azure/agentpool/update" else 0.0

    __eq__ = object.__eq__  # or a sandbox of the plain pace is taken for one of this
    __hash__ = object.__hash__


def test_up_ends_when_pools_have_taken_their_tags(tmp_path: Path) -> None:
    with world(MINIMAL_CASE, tmp_path, SlowPools(60)) as found:
        found.settle(found.up())
        tagged = found.load(edited(MINIMAL_CASE.profile, {"tags": {"team": "ops"}}))
        found.settle(found.up(tagged))
        [cluster] = [thing for thing in found.things().values() if thing.kind == "cluster"]
        pools = Account(found)("GET", f"{cluster.id}/agentPools")["value"]
        assert [each["properties"]["provisioningState"] for each in pools] == ["Succeeded"]
