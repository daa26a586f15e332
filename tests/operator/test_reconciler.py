"""What a reconciler does between two looks, and a replica at its end."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clusterkit.engine.cache import Survey
from clusterkit.engine.events import Warned
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import ClusterkitError, CredentialsError, Unreachable
from clusterkit.kube import tokens
from clusterkit.kube.api import Access, Credential, KubeApi
from clusterkit.kube.members import Members
from clusterkit.operator.credentials import CredentialSource
from clusterkit.operator.metrics import Metrics
from clusterkit.operator.published import LEAST, ready, write_kubeconfig
from clusterkit.operator.reconcile import Reconciler
from clusterkit.operator.run import Operator
from clusterkit.operator.shared import Shared


class Waits(Reconciler):
    """One whose kubeconfig is due, and which cannot write it now."""

    looks = 0

    async def _look(self) -> tuple[float, str]:
        self.looks += 1
        self._renew_at = time.monotonic() - 1.0
        return 600.0, "Unconfirmed"


NOWHERE = KubeApi(lambda: Access("https://127.0.0.1:1", ""))


def shared(folder: Path) -> Shared:
    credentials = CredentialSource(NOWHERE, CloudConnection(), folder, everybody=False)
    return Shared(NOWHERE, credentials, Metrics(), "fleet", 600.0, 1.0, Survey(), lambda *_: None)


def test_a_kubeconfig_that_cannot_be_renewed_waits_for_the_next_look(tmp_path: Path) -> None:
    reconciler = Waits(
        shared(tmp_path), {"metadata": {"uid": "u", "name": "a", "namespace": "n"}, "spec": {}}
    )

    async def work() -> None:
        task = asyncio.create_task(reconciler.work())
        await asyncio.sleep(0.1)
        reconciler.close()
        await task

    asyncio.run(work())
    assert reconciler.looks == 1


class Kept(KubeApi):
    """Objects, and nothing else of an API server."""

    def __init__(self) -> None:
        super().__init__(lambda: Access("https://127.0.0.1:1", ""))
        self.objects: dict[str, Any] = {}

    def get(self, path: str) -> Any:
        return self.objects.get(path)

    def apply(self, path: str, body: Any, *, dry_run: bool = False) -> Any:
        self.objects[path] = body
        return body


def test_a_wrong_clock_does_not_make_it_write_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Credential(datetime.now(UTC) - timedelta(hours=1), token="t")
    monkeypatch.setattr(tokens, "administrator", lambda *_, **__: old)
    cluster: Any = SimpleNamespace(
        kube=None, target=Target("eks", "demo", "eu-west-1"), access=lambda: Access("https://a", "")
    )
    body = {"metadata": {"uid": "u", "name": "a", "namespace": "n"}}
    assert write_kubeconfig(Kept(), body, cluster, "me", make=True) == LEAST


@pytest.mark.parametrize(("error", "status"), [(CredentialsError, None), (Unreachable, False)])
def test_what_cannot_be_asked_is_not_told_as_not_ready(
    error: type[ClusterkitError], status: bool | None
) -> None:
    class Refused:
        def access(self) -> Access:
            return Access("https://a", "")

        @property
        def kube(self) -> KubeApi:
            raise error("no")

    cluster: Any = Refused()
    assert ready(cluster)[0].ok is status


class Slow(Members):
    """Renewals that take their time."""

    def __init__(self) -> None:
        super().__init__(NOWHERE, "n", "me", life=0.03)
        self.begun, self.told = threading.Event(), list[str]()

    def renew(self) -> None:
        self.begun.set()
        time.sleep(0.1)
        self.told.append("renewed")

    def leave(self) -> None:
        self.told.append("left")


def test_no_lease_is_made_again_by_a_replica_that_has_left(tmp_path: Path) -> None:
    members = Slow()

    async def work() -> None:
        operator = Operator(shared(tmp_path), members)
        beat = asyncio.create_task(operator.beat())
        await asyncio.to_thread(members.begun.wait)
        beat.cancel()
        await operator.leave()
        await asyncio.sleep(0.1)

    asyncio.run(work())
    assert members.told == ["renewed", "left"]


def test_an_event_does_not_say_twice_that_it_is_a_warning(tmp_path: Path) -> None:
    told: list[tuple[str, ...]] = []
    body = {"metadata": {"uid": "u", "name": "a", "namespace": "n"}, "spec": {}}
    posting = replace(shared(tmp_path), post=lambda _, *said: told.append(said))
    Reconciler(posting, body)._post_event(Warned("demo", "another run works on it"))
    assert told == [("Warning", "Warned", "demo: another run works on it")]
