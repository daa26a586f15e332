"""What must hold when somebody, or something, is in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterkit.engine.cache import Survey
from clusterkit.engine.target import CloudConnection
from clusterkit.errors import Gone, NotOurs, Rejected, UsageError
from clusterkit.kube.conditions import Condition
from clusterkit.kube.record import Record
from clusterkit.operator import names, published
from clusterkit.operator.credentials import CredentialSource
from clusterkit.operator.metrics import Metrics
from clusterkit.operator.reconcile import Reconciler
from clusterkit.operator.shared import Shared
from tests.operator.world import Body, World, spec, world


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """No operator: the tests run what they need."""
    with world(tmp_path_factory.mktemp("operator"), "gke") as made:
        yield made


def reconciler(here: World, kind: type[Reconciler], body: Body) -> Reconciler:
    """Of the object, as an operator's process has it."""
    credentials = CredentialSource(here.kube, here.base, here.folder, everybody=True)
    scale, survey = here.base.scale, Survey()

    def post(*_: object) -> None:
        """No Events."""

    shared = Shared(here.kube, credentials, Metrics(), "fleet", 600.0, scale, survey, post)
    return kind(shared, body)


# -- a Secret of another namespace ----------------------------------------------------------------

ELSEWHERE = ("../../tenant-a/secrets/theirs", "%2e%2e/%2e%2e/tenant-a/secrets/theirs", "x?y=z")


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("field", ["credentials", "registryLogin"])
def test_a_secret_of_another_namespace_cannot_be_named(
    here: World, field: str, name: str, tmp_path: Path
) -> None:
    """Neither by the API server's rules, nor where those are not evaluated."""
    key = '{"type": "service_account", "token_uri": "https://oauth2.googleapis.com/token"}'
    for each in ("tenant-a", "tenant-b"):
        here.namespace(each, trusted=False)
    theirs = {"username": "a", "password": "b", "service-account.json": key}
    here.secret("theirs", theirs, "tenant-a")
    named = spec("gke", **{field: {"secretRef": {"name": name}}})
    with pytest.raises(Rejected, match=field):
        here.apply("thief", named, "tenant-b")
    credentials = CredentialSource(here.kube, CloudConnection(), tmp_path, everybody=True)
    body = {"metadata": {"namespace": "tenant-b", "name": "thief"}, "spec": named}
    with pytest.raises(UsageError, match="not a path"):
        credentials.connection(body, "gke")


# -- an object that is gone, or another one by now ------------------------------------------------


def test_a_process_that_was_stopped_makes_nothing_for_what_is_gone(here: World) -> None:
    """It wakes up with a plan, after another replica has taken over and destroyed the cluster; the
    watch has not told it yet.
    """

    class Stopped(Reconciler):
        async def _run(self, *plan: Any, **more: Any) -> Any:
            path = names.path("default", "gone")
            here.kube.patch(path, {"metadata": {"finalizers": []}})
            here.kube.delete(path)
            return await super()._run(*plan, **more)

    body = here.apply("gone", spec("gke"))
    wait, result = asyncio.run(reconciler(here, Stopped, body)._look())
    assert (wait, result) == (0.0, "Changed")
    assert here.things("gone", "gke") == set()
    assert not here.cluster("gone", "gke").locked()


def test_what_another_run_has_made_is_not_taken_over_by_an_old_plan(here: World) -> None:
    """Two objects mean one cluster, and the second was stopped between its plan and its run."""

    class Late(Reconciler):
        async def _run(self, *plan: Any, **more: Any) -> Any:
            first = here.apply("first", spec("gke", name="same"))
            other = reconciler(here, Reconciler, first)
            assert (await other._look())[1] == "Changed"
            assert (await other._look())[1] == "InSync"
            self.made = here.things("same", "gke")
            return await super()._run(*plan, **more)

    late = reconciler(here, Late, here.apply("late", spec("gke", name="same")))

    async def work() -> None:
        task = asyncio.create_task(late.work())
        await asyncio.to_thread(here.until_reason, "late", "NotOurs")
        late.close()
        await task

    asyncio.run(work())
    assert isinstance(late, Late)
    assert here.things("same", "gke") == late.made
    status = (here.get("late") or {})["status"]
    assert "target" not in status  # so that it may go
    here.delete("late")
    again = reconciler(here, Reconciler, here.get("late") or {})
    assert asyncio.run(again._look()) == (None, "Orphaned")


def test_a_cluster_that_is_taken_back_is_ready_at_once(here: World) -> None:
    class Told(Reconciler):
        async def _run(self, *plan: Any, **more: Any) -> Any:
            self.ready = here.condition("returned", "Ready")["reason"]
            return await super()._run(*plan, **more)

    def look(body: Body) -> Told:
        found = reconciler(here, Told, body)
        assert isinstance(found, Told)
        assert asyncio.run(found._look())[1] == "Changed"
        return found

    assert look(here.apply("returned", spec("gke", deletionPolicy="Orphan"))).ready == "Creating"
    here.delete("returned")
    asyncio.run(reconciler(here, Told, here.get("returned") or {})._look())
    here.until_gone("returned")
    assert look(here.apply("returned", spec("gke", tags={"team": "a"}))).ready == "Running"


def test_what_is_told_of_an_object_never_reaches_another_of_its_name(here: World) -> None:
    path = names.path("default", "twin")
    old = Record(here.kube, path, here.apply("twin", spec("gke", policy="Observe")))
    old.read()
    here.patch("twin", paused=True)
    old.tell([Condition("Synced", True, "InSync")])
    assert here.condition("twin", "Synced")["observedGeneration"] == 1  # that was looked at
    here.delete("twin")
    new = here.apply("twin", spec("gke", policy="Observe"))
    with pytest.raises(Gone):
        old.tell([Condition("Synced", True, "InSync")], {"target": {"name": "another"}})
    with pytest.raises(Gone):
        old.finalizer(names.FINALIZER, add=True)
    assert here.get("twin") == new


# -- the kubeconfig -------------------------------------------------------------------------------


def test_a_kubeconfig_stays_fresh_whatever_becomes_of_the_object(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "LIFE", 0.0003)  # of an hour: a second
    monkeypatch.setattr(published, "LEAST", 0.1)
    secret = names.core("default", "secrets", "fresh-kubeconfig")

    def renewed(after: str) -> None:
        """At its time, with nobody asking for it; and who removes it gets it back."""
        before = (here.kube.get(secret) or {})["data"]
        here.until(lambda: (here.kube.get(secret) or {})["data"] != before, after)

    with here.operator():
        here.apply("fresh", spec("gke"))
        here.until_reason("fresh", "InSync")
        renewed("while it is in sync")
        here.kube.delete(secret)
        here.until(lambda: here.kube.get(secret), "it is back")
        here.patch("fresh", tags={"clusterkit-odd": "refused"})
        here.until_reason("fresh", "ProfileError")
        renewed("while its spec is refused")
        here.delete("fresh")
        here.until_reason("fresh", "Unconfirmed", "Deleting")
        here.look("fresh")
        renewed("while its deletion waits")


def test_a_kubeconfig_removed_by_hand_comes_back(here: World) -> None:
    secret = names.core("default", "secrets", "back-kubeconfig")
    with here.operator():
        here.apply("back", spec("gke"))
        here.until_reason("back", "InSync")
        here.kube.delete(secret)
        here.look("back")
        here.until(lambda: here.kube.get(secret), "it is back")


def test_a_secret_of_the_name_that_is_anothers_is_told_of_steadily(here: World) -> None:
    here.secret("foreign-kubeconfig", {"value": "mine"})
    secret = names.core("default", "secrets", "foreign-kubeconfig")
    before = here.kube.get(secret)
    kept = reconciler(here, Reconciler, here.apply("foreign", spec("gke")))
    assert asyncio.run(kept._look())[1] == "Changed"
    for _ in range(2):
        with pytest.raises(NotOurs, match="Secret foreign-kubeconfig exists") as found:
            asyncio.run(kept._look())
        assert here.condition("foreign", "Synced")["reason"] != "InSync"
        asyncio.run(kept._failed(found.value))
    assert here.condition("foreign", "Synced")["reason"] == "NotOurs"
    assert here.condition("foreign", "Ready")["status"] == "True"
    assert here.kube.get(secret) == before
