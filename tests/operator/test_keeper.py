"""What a keeper does between two looks."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from clusterkit.engine.cache import Survey
from clusterkit.engine.target import CloudConnection
from clusterkit.kube.api import Access, KubeApi
from clusterkit.operator.credentials import Wallet
from clusterkit.operator.metrics import Metrics
from clusterkit.operator.reconcile import Keeper, Shared


class Waits(Keeper):
    """One whose kubeconfig is due, and which cannot write it now."""

    looks = 0

    async def _look(self) -> tuple[float, str]:
        self.looks += 1
        self._renew_at = time.monotonic() - 1.0
        return 600.0, "Unconfirmed"


def test_a_kubeconfig_that_cannot_be_renewed_waits_for_the_next_look(tmp_path: Path) -> None:
    kube = KubeApi(lambda: Access("https://127.0.0.1:1", ""))
    wallet = Wallet(kube, CloudConnection(), tmp_path, everybody=False)
    shared = Shared(kube, wallet, Metrics(), "fleet", 600.0, 1.0, Survey(), lambda *_: None)
    keeper = Waits(shared, {"metadata": {"uid": "u", "name": "a"}, "spec": {}})

    async def work() -> None:
        task = asyncio.create_task(keeper.keep())
        await asyncio.sleep(0.1)
        keeper.close()
        await task

    asyncio.run(work())
    assert keeper.looks == 1
