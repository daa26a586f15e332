"""ECS instance types a pool may get, and the zones that have them in stock."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import product
from typing import Any

from clusterkit.alibaba.client import Clients
from clusterkit.engine.preflight import MachineType
from clusterkit.profile.model import Machine

FAMILIES = ("g", "c", "r", "u", "t", "e")
"""general purpose, compute, memory, universal, burstable and economy, the preferred one first
(https://www.alibabacloud.com/help/en/ecs/user-guide/overview-of-instance-families)"""
OPTIONS = ("", "a", "e", "i", "y")
"""options that change the processor and nothing else: AMD, enhanced, Intel, Yitian"""
RANKS = {pair: rank for rank, pair in enumerate(product(FAMILIES, OPTIONS))}
_TYPE = re.compile(r"ecs\.([a-z]+?)(\d*)([a-z]*)(?:-c\d+m\d+)?\..+")
"""``ecs.g7a.xlarge``, ``ecs.u1-c1m2.large``, ``ecs.e-c1m1.large``"""
ARCHITECTURES = {"amd64": "X86", "arm64": "ARM"}
IMAGES = {"amd64": "AliyunLinux3", "arm64": "AliyunLinux3Arm64"}
"""``image_type`` of CreateClusterNodePool"""

Stock = Mapping[str, frozenset[str]]
"""an instance type to the zones that have it"""


def stock(clients: Clients, disk: str, *, spot: bool) -> Stock:
    """Every type that is available today with this system disk."""
    answer = clients.ecs(
        "DescribeAvailableResource",
        RegionId=clients.region,
        DestinationResource="InstanceType",
        InstanceChargeType="PostPaid",
        IoOptimized="optimized",
        SystemDiskCategory=disk,
        SpotStrategy="SpotAsPriceGo" if spot else "NoSpot",
    )
    found: dict[str, set[str]] = {}
    for zone in (answer.get("AvailableZones") or {}).get("AvailableZone") or ():
        for name in _available(zone):
            found.setdefault(name, set()).add(zone["ZoneId"])
    return {name: frozenset(zones) for name, zones in found.items()}


def categories(clients: Clients, machine: str, zone: str) -> frozenset[str]:
    """The categories of data disks that a machine of this type takes in a zone today."""
    answer = clients.ecs(
        "DescribeAvailableResource",
        RegionId=clients.region,
        ZoneId=zone,
        DestinationResource="DataDisk",
        InstanceChargeType="PostPaid",
        IoOptimized="optimized",
        InstanceType=machine,
    )
    zones = (answer.get("AvailableZones") or {}).get("AvailableZone") or ()
    return frozenset(name for each in zones for name in _available(each))


def _available(zone: Any) -> Iterator[str]:
    for resource in (zone.get("AvailableResources") or {}).get("AvailableResource") or ():
        for item in (resource.get("SupportedResources") or {}).get("SupportedResource") or ():
            out = "WithoutStock" in str(item.get("StatusCategory") or "")
            if item.get("Status") == "Available" and not out:
                yield str(item["Value"])


def machine_types(clients: Clients, asked: Collection[Machine | str]) -> list[MachineType]:
    """The types named in ``asked``, and for each size the types that may fit it; without zones."""
    found: dict[str, MachineType] = {}
    if names := sorted(machine for machine in asked if isinstance(machine, str)):
        found |= _described(clients, InstanceTypes=names)
    for size in {machine for machine in asked if isinstance(machine, Machine)}:
        found |= _described(
            clients,
            MinimumCpuCoreCount=size.cpu,
            MaximumCpuCoreCount=4 * size.cpu,
            MinimumMemorySize=size.memory,
            CpuArchitecture=ARCHITECTURES[size.arch],
        )
    return list(found.values())


def _described(clients: Clients, **parameters: Any) -> dict[str, MachineType]:
    listed = clients.every("DescribeInstanceTypes", **parameters)
    return {item["InstanceTypeId"]: _machine_type(item) for item in listed}


def _machine_type(shown: Any) -> MachineType:
    match = _TYPE.fullmatch(shown["InstanceTypeId"])
    family, generation, options = match.groups() if match else ("", "", "")
    return MachineType(
        name=shown["InstanceTypeId"],
        cpu=int(shown["CpuCoreCount"]),
        memory_gib=float(shown["MemorySize"]),
        arch="arm64" if shown.get("CpuArchitecture") == "ARM" else "amd64",
        generation=int(generation or 0),
        rank=None if int(shown.get("GPUAmount") or 0) else RANKS.get((family, options)),
        burstable=family in ("t", "e"),
    )
