"""ECS 2014-05-26: what can be had where."""

from __future__ import annotations

from collections.abc import Iterable

from clusterkit_sandbox.alibaba.catalogue import (
    DISKS,
    INSTANCE_TYPES,
    REGIONS,
    InstanceType,
    least_size,
    zones,
)
from clusterkit_sandbox.alibaba.failure import bad, missing
from clusterkit_sandbox.alibaba.service import Call, Json, operation
from clusterkit_sandbox.alibaba.stock import in_stock


@operation("ecs:DescribeRegions")
def _regions(_call: Call) -> object:
    found = [
        {
            "RegionId": region,
            "LocalName": region,
            "RegionEndpoint": f"ecs.{region}.aliyuncs.com",
            "Status": "available",
        }
        for region in REGIONS
    ]
    return {"Regions": {"Region": found}}


@operation("ecs:DescribeZones")
def _zones(call: Call) -> object:
    found = [
        {
            "ZoneId": zone,
            "LocalName": zone,
            "ZoneType": "AvailabilityZone",
            "AvailableInstanceTypes": {
                "InstanceTypes": [t for t in INSTANCE_TYPES if in_stock(call.store, t, zone)]
            },
            "AvailableDiskCategories": {"DiskCategories": list(DISKS)},
            "AvailableResourceCreation": {"ResourceTypes": ["VSwitch", "Instance", "Disk"]},
        }
        for zone in zones(call.region)
    ]
    return {"Zones": {"Zone": found}}


def _status(available: bool) -> Json:
    """Vendor: DescribeAvailableResource, StatusCategory."""
    if available:
        return {"Status": "Available", "StatusCategory": "WithStock"}
    return {"Status": "SoldOut", "StatusCategory": "WithoutStock"}


def _wanted_types(call: Call) -> list[InstanceType]:
    return [
        kind
        for kind in INSTANCE_TYPES.values()
        if call.get("InstanceType") in (None, kind.name)
        and call.get("Cores") in (None, kind.cpu)
        and call.get("Memory") in (None, kind.memory)
    ]


@operation("ecs:DescribeAvailableResource")
def _available(call: Call) -> object:
    wanted = call["DestinationResource"]
    if wanted in ("SystemDisk", "DataDisk") and call.get("InstanceType") is None:
        # vendor: DestinationResource, "if SystemDisk is given, InstanceType is needed too"
        raise missing("InstanceType")
    offers = {
        "Zone": _zone_offers,
        "InstanceType": _type_offers,
        "SystemDisk": _disk_offers,
        "DataDisk": _disk_offers,
    }.get(wanted)
    if offers is None:
        raise bad("InvalidParameter", f"The sandbox knows no resource {wanted!r}.")
    kind = call.get("InstanceType")
    if kind is not None and kind not in INSTANCE_TYPES:
        raise bad("InvalidInstanceType.ValueNotSupported", "The InstanceType is not supported.")
    found = []
    for zone in zones(call.region):
        if call.get("ZoneId") not in (None, zone):
            continue
        supported = list(offers(call, zone))
        some = any(one["Status"] == "Available" for one in supported)
        found.append(
            {
                "ZoneId": zone,
                "RegionId": call.region,
                **_status(some),
                "AvailableResources": {
                    "AvailableResource": [
                        {
                            "Type": wanted,
                            "SupportedResources": {"SupportedResource": supported},
                        }
                    ]
                },
            }
        )
    return {"AvailableZones": {"AvailableZone": found}}


def _zone_offers(call: Call, zone: str) -> Iterable[Json]:
    some = any(in_stock(call.store, kind.name, zone) for kind in _wanted_types(call))
    return [{"Value": zone, **_status(some)}]


def _type_offers(call: Call, zone: str) -> Iterable[Json]:
    category = call.get("SystemDiskCategory")
    return [
        {"Value": kind.name, **_status(in_stock(call.store, kind.name, zone))}
        for kind in _wanted_types(call)
        if category is None or category in kind.disks
    ]


def _disk_offers(call: Call, zone: str) -> Iterable[Json]:
    kind = INSTANCE_TYPES[call["InstanceType"]]
    here = in_stock(call.store, kind.name, zone)
    system = call["DestinationResource"] == "SystemDisk"
    for category in kind.disks:
        disk = DISKS[category]
        low, high = disk.system if system else (least_size(category, None), disk.data[1])
        yield {"Value": category, "Min": low, "Max": high, "Unit": "GiB", **_status(here)}


@operation("ecs:DescribeInstanceTypes")
def _types(call: Call) -> object:
    names, families = call.get("InstanceTypes", []), call.get("InstanceTypeFamilies", [])
    found = [
        kind
        for kind in INSTANCE_TYPES.values()
        if (not names or kind.name in names)
        and (not families or kind.family in families)
        and call.get("InstanceTypeFamily") in (None, kind.family)
        and call.get("CpuArchitecture") in (None, kind.architecture)
        and call.get("MinimumCpuCoreCount", 0) <= kind.cpu
        and call.get("MaximumCpuCoreCount", kind.cpu) >= kind.cpu
        and call.get("MinimumMemorySize", 0) <= kind.memory
        and call.get("MaximumMemorySize", kind.memory) >= kind.memory
    ]
    token, some = call.slice(found, default=100, most=1600)
    described = [
        {
            "InstanceTypeId": kind.name,
            "InstanceTypeFamily": kind.family,
            "InstanceFamilyLevel": "EnterpriseLevel",
            "CpuCoreCount": kind.cpu,
            "MemorySize": float(kind.memory),
            "CpuArchitecture": kind.architecture,
            "GPUAmount": 0,
            "EniQuantity": max(2, min(8, kind.cpu // 2 + 1)),
            "EniPrivateIpAddressQuantity": max(6, min(30, kind.cpu * 3)),
        }
        for kind in some
    ]
    return {"NextToken": token, "InstanceTypes": {"InstanceType": described}}
