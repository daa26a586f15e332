"""What the status and the inventory say, whatever is in the way, and when an object may go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusterkit import Cluster
from clusterkit.engine.cloud_lock import Holder
from clusterkit.engine.operation import ended
from clusterkit.errors import NotOurs, ProfileError, ServerError
from clusterkit.gke.client import Clients
from clusterkit.gke.cluster import begin, clusters
from clusterkit.operator import names, reconcile
from clusterkit.operator.reconcile import Reconciler
from clusterkit.operator.wanted import profile_of
from clusterkit_sandbox.faults import Faults
from tests.operator.test_attacks import reconciler
from tests.operator.test_rights import INVENTORY, PROFILES
from tests.operator.world import CRDS, POOLS, World, spec, world


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With the inventory's CRD and no operator: the tests run what they need."""
    with world(tmp_path_factory.mktemp("operator"), "gke") as made:
        made.kube.apply(f"{CRDS}/{INVENTORY['metadata']['name']}", INVENTORY)
        yield made


def make(here: World, name: str) -> Reconciler:
    """A cluster."""
    found = reconciler(here, Reconciler, here.apply(name, spec("gke")))
    assert look(found) == "Changed"
    assert look(found) == "InSync"
    return found


def look(found: Reconciler) -> str:
    """What came of a look."""
    return asyncio.run(found._look())[1]


def destroy(here: World, name: str) -> None:
    """Somebody does it at a terminal."""
    person = here.cluster(name, "gke")
    assert person.apply(person.plan_destroy(), lambda _: None).ok


def healthy(here: World, name: str) -> str:
    """What the inventory says."""
    profile: Any = here.kube.get(f"{PROFILES}/{name}")
    return str(profile["status"]["conditions"][0]["status"])


def test_the_inventory_says_when_a_cluster_is_lost(here: World) -> None:
    kept = make(here, "lost")
    assert healthy(here, "lost") == "True"
    here.patch("lost", policy="Observe")
    destroy(here, "lost")
    kept.see(here.get("lost") or {})
    assert look(kept) == "Drifted"
    assert here.condition("lost", "Ready")["status"] == healthy(here, "lost") == "False"
    here.patch("lost", tags={"clusterkit-odd": "refused"})
    kept = reconciler(here, Reconciler, here.get("lost") or {})
    with pytest.raises(ProfileError) as refused:
        look(kept)
    asyncio.run(kept._failed(refused.value))
    assert here.condition("lost", "Ready")["status"] == healthy(here, "lost") == "False"


def test_ready_is_told_while_a_deletion_waits(here: World) -> None:
    kept = make(here, "waits")
    here.delete("waits")
    destroy(here, "waits")
    assert look(kept) == "Unconfirmed"
    assert here.condition("waits", "Ready")["status"] == healthy(here, "waits") == "False"
    here.patch("waits", paused=True)
    assert look(kept) == "Paused"
    here.patch("waits", paused=False)
    assert look(kept) == "Unconfirmed"
    assert here.condition("waits", "Paused")["status"] == "False"


def test_a_cluster_that_is_there_is_not_said_to_be_made(here: World) -> None:
    """A look has failed before the run."""
    told: list[str] = []

    class Spy(Reconciler):
        async def _run(self, *plan: Any, **more: Any) -> Any:
            told.append(here.condition("there", "Ready")["reason"])
            return await super()._run(*plan, **more)

    make(here, "there")
    unknown = {"type": "Ready", "status": "Unknown", "reason": "CredentialsError"}
    path = names.path("default", "there", "status")
    here.kube.patch(path, {"status": {"conditions": [unknown]}})
    here.patch("there", pools=[{**POOLS[0], "count": 1}])
    assert look(reconciler(here, Spy, here.get("there") or {})) == "Changed"
    assert told == ["Running"]


def test_a_cluster_whose_cloud_is_down_may_be_ready(here: World) -> None:
    make(here, "alive")
    kept = reconciler(here, Reconciler, here.get("alive") or {})
    here.sandbox.faults.take(Faults.parse("error=1"))
    try:
        hasty = replace(kept._shared.credentials._base, patience=0.5)
        kept._shared.credentials._base = hasty
        with pytest.raises(ServerError) as failed:
            look(kept)
        asyncio.run(kept._failed(failed.value))
    finally:
        here.sandbox.faults.take(Faults.parse(""))
    told = here.condition("alive", "Ready")
    assert (told["status"], told["reason"]) == ("Unknown", "ServerError")
    assert healthy(here, "alive") == "Unknown"


def test_a_name_that_no_label_takes_is_refused_before_anything_is_made(here: World) -> None:
    body = here.apply("a" * 64, spec("gke", name="long"))
    with pytest.raises(ProfileError, match="must be at most 63 characters"):
        look(reconciler(here, Reconciler, body))
    assert here.things("long", "gke") == set()


def test_a_kubeconfig_follows_the_endpoint(here: World) -> None:
    """Google gives the control plane another address; the token is young."""
    kept, secret = make(here, "moved"), names.core("default", "secrets", "moved-kubeconfig")
    here.kube.patch(secret, {"data": {"value": "b2xk"}})
    path = names.path("default", "moved", "status")
    here.kube.patch(path, {"status": {"endpoint": "https://192.0.2.1"}})
    assert look(kept) == "InSync"
    assert (here.kube.get(secret) or {})["data"]["value"] != "b2xk"


def test_a_cloud_that_is_down_is_not_asked_for_long(here: World) -> None:
    """Each question holds one of the operator's threads, which others wait for."""
    hasty = Cluster(here.cluster("down", "gke").target, replace(here.base, patience=0.5))
    here.sandbox.faults.take(Faults.parse("error=1"))
    try:
        began = time.monotonic()
        with pytest.raises(ServerError):
            hasty.account()
        assert time.monotonic() - began < 20
    finally:
        here.sandbox.faults.take(Faults.parse(""))


# -- when an object may go ------------------------------------------------------------------------


def begun(here: World, name: str) -> Reconciler:
    """An object with its finalizer and without a status, to be deleted."""
    path = names.path("default", name)
    here.kube.patch(path, {"metadata": {"finalizers": [names.FINALIZER]}})
    here.kube.patch(f"{path}/status", {"status": None})
    here.annotate(name, confirm_deletion=name)
    here.delete(name)
    return reconciler(here, Reconciler, here.get(name) or {})


def test_the_lock_of_a_run_that_died_before_it_told_of_itself_goes_too(here: World) -> None:
    here.apply("died", spec("gke"))
    cluster = here.cluster("died", "gke")
    dead = Holder("r1", "host-1", "77", "another-place", str(int(time.time())))
    scope = cluster._scope(cluster._snapshot())
    cluster._cloud.LOCK.take(scope, dead.tags("died"))
    assert look(begun(here, "died")) == "Destroyed"
    assert not cluster.locked()


def test_what_the_cloud_does_not_tell_apart_is_not_let_go(here: World) -> None:
    """The status is lost, and so are the cluster's own labels."""
    make(here, "mixed")
    cluster = here.cluster("mixed", "gke")
    clients: Clients = cluster._snapshot()
    [path] = (each.path for each in clusters(clients) if each.path.endswith("/mixed"))
    shown = clients.container("get_cluster", {"name": path})
    bare = {"name": path, "resourceLabels": {}, "labelFingerprint": shown["labelFingerprint"]}
    clients.unshare()
    ended(begin(clients, "set_labels", bare), cluster._scope(clients))
    with pytest.raises(NotOurs, match="does not carry clusterkit's labels"):
        look(begun(here, "mixed"))
    assert here.get("mixed") is not None


def test_what_carries_no_owner_is_neither_destroyed_nor_let_go(here: World) -> None:
    """Such are a person's cluster and the first things of a run, which may take no such tags."""
    body, cluster = here.apply("nobodys", spec("gke")), here.cluster("nobodys", "gke")
    assert cluster.apply(cluster.plan(profile_of(body)), lambda _: None).ok
    there = here.things("nobodys", "gke")
    kept = begun(here, "nobodys")
    with pytest.raises(NotOurs, match="no CloudCluster has made"):
        look(kept)
    assert here.things("nobodys", "gke") == there
    here.patch("nobodys", deletionPolicy="Orphan")
    assert look(kept) == "Orphaned"


def test_a_run_ends_when_its_object_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes the finalizer off, and the watch does not tell."""
    monkeypatch.setattr(reconcile, "PROGRESS", 0.2)
    with world(tmp_path, "gke", pace=60) as slow:
        kept = reconciler(slow, Reconciler, slow.apply("removed", spec("gke")))

        async def work() -> str:
            task = asyncio.create_task(kept._look())
            await asyncio.to_thread(slow.until, lambda: slow.things("removed", "gke"), "it began")
            slow.kube.patch(names.path("default", "removed"), {"metadata": {"finalizers": []}})
            slow.delete("removed")
            return (await asyncio.wait_for(task, 60))[1]

        assert asyncio.run(work()) == "Changed"
        assert not any("cluster/" in each for each in slow.things("removed", "gke"))


def test_a_finalizer_that_somebody_drops_comes_back(here: World) -> None:
    """As after ``kubectl replace`` with a file that does not have it."""
    with here.operator():
        here.apply("dropped", spec("gke"))
        here.until_reason("dropped", "InSync")
        path = names.path("default", "dropped")

        def again() -> bool:
            there: Any = here.get("dropped")
            return names.FINALIZER in there["metadata"].get("finalizers", ())

        here.kube.patch(path, {"metadata": {"finalizers": []}})
        here.until(again, "it is back")
