"""For what a management lock holds."""

from __future__ import annotations

import pytest

from clusterkit.aks.locks import ManagementLock

SUBSCRIPTION = "/subscriptions/s"
GROUP = f"{SUBSCRIPTION}/resourceGroups/demo"
NETWORK = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/main"


@pytest.mark.parametrize(
    ("scope", "thing", "covers", "keeps"),
    [
        (SUBSCRIPTION, NETWORK, True, True),
        (GROUP, NETWORK, True, True),
        (GROUP, GROUP.upper(), True, True),
        (NETWORK, f"{NETWORK}/subnets/nodes", True, True),
        (NETWORK, f"{NETWORK}/providers/Microsoft.Authorization/roleAssignments/r", True, True),
        # what has a locked thing in it cannot be deleted, but changed
        (NETWORK, GROUP, False, True),
        (f"{GROUP}-nodes", NETWORK, False, False),
        (f"{NETWORK}2", NETWORK, False, False),
    ],
)
def test_what_a_lock_holds_for(scope: str, thing: str, covers: bool, keeps: bool) -> None:
    path = f"{scope}/providers/Microsoft.Authorization/locks/stay"
    lock = ManagementLock(path, "CanNotDelete", scope.lower())
    assert (lock.covers(thing), lock.keeps(thing)) == (covers, keeps)
    assert lock.cure == f"az lock delete --ids {path}"
