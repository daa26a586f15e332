"""What Kubernetes says stays in the cloud, and goes on costing, when the cluster is gone.

Snapshots of volumes and volumes that are no disks are data, or share something with others, so
destroy never removes them: it names them while Kubernetes can be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from clusterkit.engine.kind import Found, Leftover
from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent, CloudError
from clusterkit.kube.api import Object

SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents"
"""of kubernetes-csi/external-snapshotter, if it is installed"""
VOLUMES = "/api/v1/persistentvolumes"


def snapshots(driver: str, command: str) -> Leftover[Any]:
    """The snapshots that a storage driver has made; ``command`` deletes one by hand, with ``{}``
    for its handle and ``{region}``.
    """

    def handles(items: Iterable[Object]) -> Iterator[str]:
        for item in items:
            handle = (item.get("status") or {}).get("snapshotHandle")
            if handle and item["spec"].get("driver") == driver:
                yield str(handle)

    what = "a snapshot of a volume costs by GB and month"
    return _row("volume-snapshots", SNAPSHOTS, handles, f"{what}; {command} deletes it")


def retained(kind: str, driver: str, told: str) -> Leftover[Any]:
    """Volumes of a storage driver whose PersistentVolume says ``Retain``; ``told``: what is to be
    known of one, with ``{}`` for its handle and ``{region}``.
    """

    def handles(items: Iterable[Object]) -> Iterator[str]:
        for item in items:
            spec = item["spec"]
            csi = spec.get("csi") or {}
            if csi.get("driver") == driver and spec["persistentVolumeReclaimPolicy"] == "Retain":
                yield str(csi["volumeHandle"])

    return _row(kind, VOLUMES, handles, told)


def _row(
    kind: str, path: str, handles: Callable[[Iterable[Object]], Iterator[str]], told: str
) -> Leftover[Any]:
    def listed(scope: Scope[Any]) -> Iterable[Found]:
        try:
            items = scope.client.kube.list(path)
        except (Absent, CloudError):  # gone, or not installed
            return []
        return [Found(one, told.format(one, region=scope.region)) for one in handles(items)]

    return Leftover[Any](kind, listed, lambda *_: None, keep=lambda have: have.status)
