"""Management locks that somebody has put on a cluster's things."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clusterkit.errors import PreflightError
from tests.drivers.aks import Account
from tests.drivers.aks_cases import EXISTING_CASE, MINIMAL_CASE
from tests.drivers.world import edited, world


def put(account: Account, lock: str, level: str) -> None:
    """Put a lock on something."""
    account("PUT", lock, {"properties": {"level": level}})


@pytest.mark.parametrize("where", ["group", "registry", "nodes"])
def test_a_lock_is_named_before_anything_goes(where: str, tmp_path: Path) -> None:
    registry = {"registry": {"name": "demo", "repositories": ["app"], "keep": False}}
    case = replace(MINIMAL_CASE, profile=edited(MINIMAL_CASE.profile, registry))
    with world(case, tmp_path) as found:
        found.settle(found.up())
        account = Account(found)
        states = found.plan().snapshot.states
        group = f"{account.path}/resourceGroups/clusterkit-demo-{account.region}"
        on = {"group": group, "nodes": f"{group}-nodes"}
        scope = on.get(where) or states[next(k for k in states if k.startswith("registry/"))].path
        lock = f"{scope}/providers/Microsoft.Authorization/locks/stay"
        put(account, lock, "CanNotDelete")
        plan = found.destroy_plan()
        told = {each.key: f"{each.reason} {each.hint}" for each in plan.blocked}
        named = [key for key, text in told.items() if "az lock delete --ids" in text]
        assert named
        assert "resource-group/main" in told
        assert ("cluster/demo" in told) is (where != "registry")
        before = found.things()
        found.settle(found.cluster().apply(plan, found.events.append))
        if where == "group":  # all of it lies in the group
            assert found.things().keys() == before.keys()
        account("DELETE", lock)
        found.settle(found.destroy())
        assert not [each for each in found.things().values() if each.marks]


def test_a_read_only_group_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with world(EXISTING_CASE, tmp_path) as found:
        account = Account(found)
        lock = f"{account.path}/resourceGroups/home/providers/Microsoft.Authorization/locks/stay"
        put(account, lock, "ReadOnly")
        with pytest.raises(PreflightError) as caught:
            found.cluster().plan(found.profile)
        assert "lock stay (ReadOnly) on home is in the way" in str(caught.value)
        put(account, lock, "CanNotDelete")
        told = [str(each) for each in found.cluster().plan(found.profile).warnings]
        assert any("lock stay (CanNotDelete) on home" in each for each in told)
        account("DELETE", lock)
