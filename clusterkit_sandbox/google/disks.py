"""Disks. Sizes and types: ``catalogue.DISK_TYPES``."""

from __future__ import annotations

from clusterkit_sandbox.google.catalogue import DISK_TYPES, DiskType
from clusterkit_sandbox.google.changes import change
from clusterkit_sandbox.google.computing import insert, make, quota_exceeded, serve
from clusterkit_sandbox.google.failure import Json, invalid
from clusterkit_sandbox.google.resources import (
    Change,
    Collection,
    Disk,
    Instance,
    Resource,
    link_to,
    path_of,
)
from clusterkit_sandbox.google.service import Call
from clusterkit_sandbox.google.store import Store

_USUAL = "pd-standard"
"""The type of a disk that names none (vendor: disks.insert, type)."""


def _show(store: Store, disk: Resource) -> Json:
    users = [link_to(one.path) for one in store.users(disk.path, Instance)]
    return {**disk.shown, **({"users": users} if users else {})}


DISKS = serve(Collection("disks", Disk, "zones", "disk", labelled=True), show=_show)


def type_of(name: str) -> DiskType:
    """A disk type by name; 400 for one that there is not."""
    if name not in DISK_TYPES:
        why = "The referenced diskType resource cannot be found."
        raise invalid("resource.type", name, why)
    return DISK_TYPES[name]


def metric(name: str) -> str:
    """The quota that a disk type counts for."""
    return DISK_TYPES[name].metric


def gigabytes(store: Store, region: str, which: str) -> int:
    """What the disks of a region use of a quota."""
    return sum(
        int(one.shown["sizeGb"])
        for one in store.all(Disk)
        if one.place.startswith(f"zones/{region}-")
        and metric(one.shown["type"].rpartition("/")[2]) == which
    )


@change("compute.disks.insert")
def _insert(call: Call) -> Change:
    zone = str(call["zone"])

    def complete(call: Call, body: Json) -> None:
        name = path_of(body.get("type", _USUAL), call.project).rpartition("/")[2]
        bounds = type_of(name)
        size = int(body.get("sizeGb", 500))
        if not bounds.least <= size <= bounds.most:
            text = f"Disk size cannot be smaller than {bounds.least} GB or over {bounds.most} GB."
            raise invalid("resource.sizeGb", size, text)
        which, region = metric(name), zone.rpartition("-")[0]
        limit = call.store.conditions.region_quotas[which]
        if gigabytes(call.store, region, which) + size > limit:
            raise quota_exceeded(which, limit, region)
        body.update(_added(call.project, zone, name, size))

    return insert(call, DISKS, complete)


def _added(project: str, zone: str, name: str, size: int) -> Json:
    return {
        "sizeGb": str(size),
        "type": link_to(f"projects/{project}/zones/{zone}/diskTypes/{name}"),
        "status": "READY",
        "physicalBlockSizeBytes": "4096",
    }


def add_disk(
    store: Store, project: str, zone: str, name: str, kind: str, size: int, owner: str, body: Json
) -> Resource:
    """A disk that a cluster makes: a node's, or a volume's."""
    shown = {"name": name, **_added(project, zone, kind, size), **body}
    return make(store, DISKS, project, zone, shown, owner)
