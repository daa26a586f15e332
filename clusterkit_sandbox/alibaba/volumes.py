"""ECS 2014-05-26: disks, which Kubernetes claims may leave behind."""

from __future__ import annotations

from clusterkit_sandbox.alibaba.catalogue import DEFAULT_LEVEL, DISKS, least_size, zones
from clusterkit_sandbox.alibaba.failure import Failure, bad, missing
from clusterkit_sandbox.alibaba.instances import ids_of, some_of
from clusterkit_sandbox.alibaba.models import Disk
from clusterkit_sandbox.alibaba.service import (
    Call,
    Json,
    asked_for,
    given_tags,
    has_tags,
    iso,
    operation,
    resource_group,
    tag_key_value,
)


def _check_disk(category: str, level: str | None, size: int) -> None:
    """Refuse a data disk that cannot be made; codes and statuses of the vendor's CreateDisk."""
    if category not in DISKS:
        raise bad("InvalidDiskCategory.ValueNotSupported", f"There is no category {category!r}.")
    try:
        least = least_size(category, level)
    except KeyError:
        raise bad(
            "InvalidPerformanceLevel.Malformed", "The specified PerformanceLevel is not valid."
        ) from None
    if not least <= size <= DISKS[category].data[1]:
        raise Failure(
            403,
            "InvalidDiskSize.NotSupported",
            f"The specified disk size is not supported: a {category} disk"
            f"{f' of level {level or DEFAULT_LEVEL}' if DISKS[category].levels else ''}"
            f" has at least {least} GiB, not {size}.",
        )


@operation("ecs:CreateDisk")
def _create_disk(call: Call) -> object:
    zone = call.get("ZoneId")
    if zone is None:
        raise missing("ZoneId")
    if zone not in zones(call.region):
        raise Failure(404, "InvalidZoneId.NotFound", "The specified ZoneId does not exist.")
    if call.get("Size") is None:
        raise missing("Size")
    category, level = call.get("DiskCategory", "cloud_efficiency"), call.get("PerformanceLevel")
    _check_disk(category, level, call["Size"])
    tags, resources = given_tags(call), resource_group(call)

    def make() -> Json:
        disk = Disk(
            id=call.store.new_id("d"),
            region=call.region,
            name=call.get("DiskName", ""),
            description=call.get("Description", ""),
            tags=tags,
            resource_group=resources,
            category=category,
            level=(level or DEFAULT_LEVEL) if DISKS[category].levels else "",
            size=call["Size"],
            zone=zone,
            system=False,
            encrypted=bool(call.get("Encrypted", False)),
        )
        return {"DiskId": call.store.add(disk).id}

    return call.once(make)


def _disk_status(disk: Disk) -> str:
    return "In_use" if disk.instance else "Available"


@operation("ecs:DescribeDisks")
def _disks(call: Call) -> object:
    ids = ids_of(call, "DiskIds")
    found = [
        d
        for d in call.here(Disk)
        if (not ids or d.id in ids)
        and asked_for(call, DiskName=d.name, ZoneId=d.zone, Category=d.category)
        and asked_for(call, InstanceId=d.instance, Status=_disk_status(d))
        and call.get("DiskType", "all") in ("all", "system" if d.system else "data")
        and has_tags(d, call)
    ]
    figures, disks = some_of(call, found, 100)
    described = [
        {
            "DiskId": d.id,
            "DiskName": d.name,
            "Description": d.description,
            "RegionId": d.region,
            "ZoneId": d.zone,
            "Category": d.category,
            "PerformanceLevel": d.level,
            "Size": d.size,
            "Type": "system" if d.system else "data",
            "Status": _disk_status(d),
            "Encrypted": d.encrypted,
            "InstanceId": d.instance,
            "DiskChargeType": "PostPaid",
            "DeleteWithInstance": d.system,
            "Portable": not d.system,
            "CreationTime": iso(d.created),
            "ResourceGroupId": d.resource_group,
            "Tags": {"Tag": tag_key_value(d.tags)},
        }
        for d in disks
    ]
    return figures | {"Disks": {"Disk": described}}


@operation("ecs:DeleteDisk")
def _delete_disk(call: Call) -> object:
    disk = call.store.get(Disk, call["DiskId"])
    if disk is None:
        raise Failure(404, "InvalidDiskId.NotFound", "The specified DiskId does not exist.")
    if disk.instance:
        raise Failure(
            403, "IncorrectDiskStatus", "The current disk status does not support this operation."
        )
    call.store.remove(disk)
    return {}
