"""A CloudCluster's life: made, kept, changed, refused, paused, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterkit.operator import names
from tests.operator.world import POOLS, World, spec, text, world

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One operator, which looks when it is told to."""
    with world(tmp_path_factory.mktemp("operator"), "eks") as made, made.operator():
        yield made


@pytest.fixture(scope="module")
def made(here: World) -> World:
    """With a cluster ``demo`` in it."""
    here.apply("demo", spec())
    here.until_reason("demo", "InSync")
    return here


def test_a_cluster_is_made_and_told_of(made: World) -> None:
    status = made.until(lambda: (made.get("demo") or {})["status"].get("wouldKeep") is not None
                        and (made.get("demo") or {})["status"], "status")  # fmt: skip
    assert status["nodes"] == {"ready": 2, "total": 2}
    assert status["version"].startswith("v1.")
    assert status["endpoint"].startswith("https://")
    assert status["plan"]["summary"] == "nothing to do"
    assert status["observedGeneration"] == 1
    assert status["target"] == {"cloud": "eks", "name": "demo", "region": "eu-west-1"}
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "Synced": "True", "Ready": "True",
    }  # fmt: skip
    events = text(made.events("demo"))
    assert "up demo: " in events
    assert "cluster/demo: created in" in events


def test_the_kubeconfig_of_the_secret_works(made: World) -> None:
    nodes = made.workload("demo").list("/api/v1/nodes")
    assert len(nodes) == 2
    secret = made.kube.get("/api/v1/namespaces/default/secrets/demo-kubeconfig")
    assert secret is not None
    assert secret["metadata"]["ownerReferences"][0]["kind"] == "CloudCluster"


def test_one_that_was_restored_without_its_status_is_not_forgotten(tmp_path: Path) -> None:
    """Backups of objects leave the status out."""
    with world(tmp_path, "gke") as made:
        with made.operator():
            made.apply("demo", spec("gke"))
            made.until_reason("demo", "InSync")
        made.kube.patch(names.path("default", "demo", "status"), {"status": None})
        assert not (made.get("demo") or {})["status"]
        made.delete("demo")
        made.apply("never", {**spec("gke"), "deletionPolicy": "Delete"})
        made.delete("never")
        with made.operator():
            made.until_reason("demo", "Unconfirmed", "Deleting")
            made.until_gone("never")
            made.annotate("demo", confirm_deletion="demo")
            made.until_gone("demo")
        assert made.things("demo", "gke") == set()


def test_clusters_of_one_account_are_looked_at_together(tmp_path: Path) -> None:
    """And what somebody says has changed is asked again."""
    with world(tmp_path, "gke") as made:
        asked = made.sandbox.requests
        with made.operator():
            for name in ("one", "two"):
                made.apply(name, spec("gke"))
            for name in ("one", "two"):
                made.until_reason(name, "InSync")
        for name in ("one", "two"):
            made.kube.delete(names.core("default", "secrets", f"{name}-kubeconfig"))
        asked.clear()
        with made.operator():
            for name in ("one", "two"):
                made.workload(name)  # it is written by the first look
            shared = ("compute.networks.list", "storage.buckets.list", "compute.regions.get")
            assert [asked.count(each) for each in shared] == [1, 1, 1]
            made.look("one")
            made.until(lambda: asked.count("compute.networks.list") == 2, "it is asked again")


def test_drift_is_mended(made: World) -> None:
    work = made.workload("demo")
    work.delete(f"{CLASSES}/gp3")
    made.look("demo")
    made.until(lambda: work.get(f"{CLASSES}/gp3"), "the storage class is back")
    made.until_reason("demo", "InSync")


def test_a_cluster_that_somebody_destroyed_is_not_ready_until_it_is_back(made: World) -> None:
    person = made.cluster("demo")
    assert person.apply(person.plan_destroy(), lambda _: None).ok
    made.look("demo")
    assert made.until_reason("demo", "Creating", "Ready")["status"] == "False"
    made.until_reason("demo", "Running", "Ready")
    made.until_reason("demo", "InSync")
    assert len(made.workload("demo").list("/api/v1/nodes")) == 2


def test_drift_is_only_shown_with_observe(made: World) -> None:
    work = made.workload("demo")
    made.patch("demo", policy="Observe")
    made.until_reason("demo", "InSync")
    work.delete(f"{CLASSES}/gp3")
    made.look("demo")
    told = made.until_reason("demo", "Drifted")
    assert told["status"] == "False"
    assert "1 to create" in told["message"]
    assert work.get(f"{CLASSES}/gp3") is None
    made.patch("demo", policy="Manage")
    made.until(lambda: work.get(f"{CLASSES}/gp3"), "the storage class is back")


def test_nothing_is_changed_while_it_is_paused(made: World) -> None:
    work = made.workload("demo")
    made.patch("demo", paused=True)
    made.until_reason("demo", "Paused", "Paused")
    work.delete(f"{CLASSES}/gp3")
    made.look("demo")
    assert "1 to create (paused)" in made.until_reason("demo", "Drifted")["message"]
    assert work.get(f"{CLASSES}/gp3") is None
    made.patch("demo", paused=False)
    made.until(lambda: work.get(f"{CLASSES}/gp3"), "the storage class is back")
    assert made.condition("demo", "Paused")["status"] == "False"


def test_a_change_of_the_spec_is_carried_out(made: World) -> None:
    made.patch("demo", pools=[{**POOLS[0], "count": 3}])
    made.until(lambda: (made.get("demo") or {})["status"].get("nodes", {}).get("total") == 3,
               "three nodes")  # fmt: skip
    made.until_reason("demo", "InSync")


def test_what_cannot_be_changed_is_refused(made: World) -> None:
    """By the operator itself, whatever the API server lets through."""
    before = made.things("demo")
    made.without_rules()
    made.patch("demo", network={"cidr": "10.9.0.0/16"})
    told = made.until_reason("demo", "Immutable")
    assert "10.9.0.0/16" in told["message"]
    made.patch("demo", network=None, region="eu-central-1")
    made.until(lambda: "region" in made.condition("demo", "Synced")["message"], "the region")
    made.patch("demo", region="eu-west-1")
    made.until_reason("demo", "InSync")
    assert made.things("demo") == before


def test_a_wrong_profile_is_told_with_all_that_is_wrong(here: World) -> None:
    here.apply("wrong", spec(tags={"clusterkit-x": "y"}, ssh_key="/etc/passwd"))
    told = here.until_reason("wrong", "ProfileError")["message"]
    assert "the prefix clusterkit- is reserved" in told
    assert "ssh_key: must be the text of an OpenSSH public key" in told
    assert "root:" not in text(here.get("wrong"))
    here.delete("wrong")
    here.until_gone("wrong")  # nothing was made, so nothing is to be confirmed


def test_deletion_waits_for_its_confirmation(made: World, tmp_path: Path) -> None:
    there = made.things("demo")
    made.delete("demo")
    told = made.until_reason("demo", "Unconfirmed", "Deleting")
    assert "clusterkit.dev/confirm-deletion=demo" in told["message"]
    assert made.things("demo") == there
    made.annotate("demo", confirm_deletion="demo")
    made.until_gone("demo")
    assert made.things("demo") == set()
    secret = "/api/v1/namespaces/default/secrets/demo-kubeconfig"
    made.until(lambda: made.kube.get(secret) is None, "the kubeconfig is gone")


@pytest.mark.deep
def test_orphan_leaves_the_cluster_for_the_next_of_the_name(here: World) -> None:
    here.apply("left", spec(deletionPolicy="Orphan"))
    here.until_reason("left", "InSync")
    there = here.things("left")
    here.delete("left")
    here.until_gone("left")
    assert here.things("left") == there
    here.namespace("elsewhere")
    here.apply("left", spec(), "elsewhere")
    told = here.until_reason("left", "NotOurs", namespace="elsewhere")
    assert "belongs to another CloudCluster" in told["message"]
    here.apply("left", spec())
    here.until_reason("left", "InSync")
    assert here.things("left") == there
    for namespace in ("elsewhere", "default"):
        here.annotate("left", namespace, confirm_deletion="left")
        here.delete("left", namespace)
        here.until_gone("left", namespace)
    assert here.things("left") == set()
