"""Volumes of claims: what their PersistentVolume says counts, and what nobody knows stays."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from clusterkit.aks import leftovers as of_aks
from clusterkit.alibaba.leftovers import Disks, DisksToKeep
from clusterkit.eks.leftovers import Volumes, VolumesToKeep
from clusterkit.errors import ClusterkitError
from clusterkit.gke import leftovers as of_gke
from clusterkit_sandbox.faults import Rule
from tests.drivers import aks, aks_cases, alibaba_cases, eks_cases, gke, gke_cases
from tests.drivers.alibaba import Account
from tests.drivers.world import Case, World, world

CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"


@dataclass(frozen=True)
class Disk:
    """What a cloud calls a volume, and how one is reached."""

    case: Case
    kind: str
    driver: str
    sweep: Any
    tag: Any
    refused: str
    deletes: str = "{} --region {region} deletes it"
    """the end of the reason of one that is kept"""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """of a class whose volumes outlive the cluster"""


DISKS = (
    Disk(
        eks_cases.MINIMAL_CASE,
        "volume",
        "ebs.csi.aws.com",
        Volumes,
        VolumesToKeep,
        "ec2:CreateTags",
    ),
    Disk(
        alibaba_cases.MINIMAL_CASE,
        "disk",
        "diskplugin.csi.alibabacloud.com",
        Disks,
        DisksToKeep,
        "ecs:TagResources",
    ),
    Disk(
        replace(
            gke_cases.MINIMAL_CASE,
            profile={**gke_cases.MINIMAL, "storage": {"default": "ssd"}},
        ),
        "disk",
        "pd.csi.storage.gke.io",
        of_gke.Disks,
        of_gke.DisksToKeep,
        "compute.disks.setLabels",
        "{} deletes it",
    ),
    Disk(
        aks_cases.MINIMAL_CASE,
        "disk",
        "disk.csi.azure.com",
        of_aks.Disks,
        of_aks.DisksToKeep,
        "resources:Tags_UpdateAtScope",
        "{} deletes it",
        {"resourceGroup": "clusterkit-demo-westeurope", "tags": "clusterkit-cluster=demo"},
    ),
)


@pytest.fixture(params=DISKS, ids=["eks", "alibaba", "gke", "aks"])
def disk(request: pytest.FixtureRequest) -> Disk:
    found: Disk = request.param
    return found


@pytest.fixture
def used(disk: Disk, tmp_path: Path) -> Iterator[World]:
    """A cluster with a claim of ours, one that is retained and one of somebody's own class."""
    with world(disk.case, tmp_path) as found:
        found.settle(found.up())
        kube = found.clients().kube
        for name, policy in (("keep", "Retain"), ("own", "Delete")):
            kube.apply(
                f"/apis/storage.k8s.io/v1/storageclasses/{name}",
                {
                    "apiVersion": "storage.k8s.io/v1",
                    "kind": "StorageClass",
                    "metadata": {"name": name},
                    "provisioner": disk.driver,
                    "parameters": dict(disk.parameters),
                    "reclaimPolicy": policy,
                },
            )
        for name, storage in (("ours", {}), *((n, {"storageClassName": n}) for n in CLASSES)):
            claim = {"accessModes": ["ReadWriteOnce"], "resources": SIZE, **storage}
            spec = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": claim}
            kube.apply(f"{CLAIMS}/{name}", {**spec, "metadata": {"name": name}})
            pod = {"name": "main", "image": "example.test/app"}
            volume = {"name": "data", "persistentVolumeClaim": {"claimName": name}}
            kube.apply(
                f"/api/v1/namespaces/default/pods/{name}",
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": name},
                    "spec": {
                        "containers": [pod],
                        "volumes": [volume],
                        "tolerations": [{"operator": "Exists"}],
                    },
                },
            )
        until = time.monotonic() + 20
        while len(handles(found)) < 3:
            assert time.monotonic() < until
            time.sleep(0.05)
        yield found


CLASSES = ("keep", "own")
HELD = "lies in it"
"""why something stays that holds what is kept"""
SIZE = {"requests": {"storage": "20Gi"}}


def handles(found: World) -> dict[str, str]:
    """The claim's name to the volume's id."""
    volumes = found.clients().kube.list("/api/v1/persistentvolumes")
    return {
        item["spec"]["claimRef"]["name"]: item["spec"]["csi"]["volumeHandle"] for item in volumes
    }


def same(identifiers: Iterable[str]) -> set[str]:
    """Ids to compare: case says nothing in those of Azure, and tells no two others apart."""
    return {each.lower() for each in identifiers}


def left(found: World, disk: Disk) -> set[str]:
    """The volumes in the account, without the machines' own."""
    return same(
        thing.id
        for thing in found.case.look(found)
        if thing.kind == disk.kind and (thing.shown or {}).get("Type") != "system"
    )


def cluster_goes(found: World) -> None:
    """Somebody deletes the cluster elsewhere."""
    if found.case.cloud == "alibaba":
        account = Account(found)
        (cluster,) = account("cs:DescribeClustersV1")["clusters"]
        account("cs:DeleteCluster", cluster["cluster_id"])
        return
    if found.case.cloud == "gke":
        google = gke.Account(found)
        path = f"projects/{google.project}/locations/{gke_cases.ZONES[0]}/clusters/demo"
        google("container", "DELETE", path)
        return
    if found.case.cloud == "aks":
        azure = aks.Account(found)
        group = f"{azure.path}/resourceGroups/clusterkit-demo-{azure.region}"
        azure("DELETE", f"{group}/providers/Microsoft.ContainerService/managedClusters/demo")
        return
    eks = found.clients().eks
    for group in eks.list_nodegroups(clusterName="demo")["nodegroups"]:
        eks.delete_nodegroup(clusterName="demo", nodegroupName=group)
    until = time.monotonic() + 20
    while eks.list_nodegroups(clusterName="demo")["nodegroups"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    eks.delete_cluster(name="demo")


def test_a_retained_volume_is_kept_and_told(used: World, disk: Disk) -> None:
    volumes = handles(used)
    plan = used.destroy_plan()
    [kept] = [each for each in plan.kept if HELD not in each.reason]
    assert volumes["keep"] in kept.key
    assert "Retain" in kept.reason
    region = used.profile.region
    assert disk.deletes.format(volumes["keep"], region=region) in kept.reason
    used.settle(used.destroy())
    assert left(used, disk) == same([volumes["keep"]])
    assert not used.destroy_plan().todo


def test_the_tags_tell_when_the_cluster_is_gone(used: World, disk: Disk) -> None:
    volumes, scope = handles(used), used.scope()
    for have in disk.tag.list(scope):
        disk.tag.delete(scope, have)
    assert not [*disk.tag.list(used.scope())]
    cluster_goes(used)
    used.settle(used.destroy())
    assert left(used, disk) == same([volumes["keep"]])


def test_what_nobody_knows_stays(used: World, disk: Disk) -> None:
    volumes = handles(used)
    cluster_goes(used)
    stays = [each for each in used.destroy_plan().kept if HELD not in each.reason]
    kept = {each.key.partition("/")[2]: each.reason for each in stays}
    assert kept.keys() == {volumes["keep"], volumes["own"]}
    deletes = disk.deletes.format(volumes["own"], region=used.profile.region)
    assert deletes in kept[volumes["own"]]
    used.settle(used.destroy())
    assert left(used, disk) == same(kept)


def test_nothing_goes_that_cannot_be_tagged(used: World, disk: Disk) -> None:
    used.sandbox.faults.set([Rule(disk.refused, "refuse", code="Forbidden", status=403)])
    outcome = used.destroy()
    [(key, error)] = outcome.failed.items()
    assert key == f"{disk.tag.kind}/*"
    assert isinstance(error, ClusterkitError)
    assert handles(used)["keep"].lower() in left(used, disk)
    used.sandbox.faults.clear()
    used.settle(used.destroy())
    assert len(left(used, disk)) == 1


def test_a_policy_that_changes_is_followed(used: World, disk: Disk) -> None:
    volumes, scope = handles(used), used.scope()
    for have in disk.tag.list(scope):
        disk.tag.delete(scope, have)
    for item in scope.client.kube.list("/api/v1/persistentvolumes"):
        path = f"/api/v1/persistentvolumes/{item['metadata']['name']}"
        ours = item["spec"]["claimRef"]["name"] == "ours"
        policy = {"persistentVolumeReclaimPolicy": "Retain" if ours else "Delete"}
        scope.client.kube.patch(path, {"spec": policy})
    told = {have.id: have.keep for have in disk.tag.list(used.scope())}
    assert told == {volumes["ours"]: True, volumes["keep"]: False}
    used.settle(used.destroy())
    assert left(used, disk) == same([volumes["ours"]])
