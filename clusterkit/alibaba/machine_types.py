"""From ``machine: {cpu, memory}`` to instance types the region's zones really have in stock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit.alibaba.client import Clients
from clusterkit.profile.model import Machine

FAMILIES = ("g", "c", "r", "u", "t")
"""general, compute, memory, universal and burstable, in the order they are preferred among equals
(https://www.alibabacloud.com/help/en/ecs/user-guide/overview-of-instance-families)"""
_TYPE = re.compile(r"ecs\.(?P<family>[a-z]+)(?P<generation>\d+)(?P<options>[a-z]*)\.(?P<size>\S+)")
_PLAIN = {"", "i", "a", "y", "e", "1"}
"""options of a family that change its processor and nothing else: Intel, AMD, Yitian"""
ARCHITECTURES = {"amd64": "X86", "arm64": "ARM"}
MOST_TYPES = 3
"""types of a pool; several, because stock runs out by type and zone (a pool takes ten)"""
PAGE = 100


@dataclass(frozen=True)
class InstanceType:
    """A type as DescribeInstanceTypes shows it."""

    name: str
    cpu: int
    memory: float
    """GiB"""
    architecture: str
    """``X86``, ``ARM``"""


def stock(clients: Clients, disk: str, *, spot: bool) -> Mapping[str, frozenset[str]]:
    """Every type that can be had today with this system disk, to the zones that have it."""

    def read() -> Mapping[str, frozenset[str]]:
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

    return clients.recall(f"stock {disk} {spot}", read)


def _available(zone: Any) -> Iterable[str]:
    for resource in (zone.get("AvailableResources") or {}).get("AvailableResource") or ():
        for item in (resource.get("SupportedResources") or {}).get("SupportedResource") or ():
            out = "WithoutStock" in str(item.get("StatusCategory") or "")
            if item.get("Status") == "Available" and not out:
                yield str(item["Value"])


def fitting(clients: Clients, machine: Machine) -> list[InstanceType]:
    """Every type of the asked architecture with as many processors, or up to four times."""
    return _described(
        clients,
        MinimumCpuCoreCount=machine.cpu,
        MaximumCpuCoreCount=4 * machine.cpu,
        MinimumMemorySize=machine.memory,
        CpuArchitecture=ARCHITECTURES[machine.arch],
    )


def processors(clients: Clients, names: Iterable[str]) -> dict[str, int]:
    """How many processors these types have."""
    wanted = sorted(set(names))
    return {kind.name: kind.cpu for kind in _described(clients, InstanceTypes=wanted)}


def _described(clients: Clients, **parameters: Any) -> list[InstanceType]:
    return [
        InstanceType(
            item["InstanceTypeId"],
            int(item["CpuCoreCount"]),
            float(item["MemorySize"]),
            str(item.get("CpuArchitecture") or "X86"),
        )
        for item in clients.every("DescribeInstanceTypes", **parameters)
        if not int(item.get("GPUAmount") or 0)
    ]


def choose(machine: Machine, types: Iterable[InstanceType]) -> list[InstanceType]:
    """The smallest type that fits, and others of the very same size, at most ``MOST_TYPES``.

    Smallest is by memory beyond what is asked and processors; among equals the newest generation
    comes first, then plain families. Empty if nothing fits.
    """
    wanted = ARCHITECTURES[machine.arch]
    ranked = sorted(
        (rank, candidate.name, candidate)
        for candidate in types
        if candidate.architecture == wanted
        and candidate.cpu >= machine.cpu
        and candidate.memory >= machine.memory
        and (rank := _rank(candidate)) is not None
    )
    if not ranked:
        return []
    first = ranked[0][2]
    same = [c for _, _, c in ranked if (c.cpu, c.memory) == (first.cpu, first.memory)]
    return same[:MOST_TYPES]


def _rank(candidate: InstanceType) -> tuple[Any, ...] | None:
    match = _TYPE.fullmatch(candidate.name)
    if match is None or match["family"] not in FAMILIES or match["options"] not in _PLAIN:
        return None
    return (
        match["family"] == "t",
        candidate.cpu * 2 + candidate.memory,
        -int(match["generation"]),
        FAMILIES.index(match["family"]),
        match["options"],
    )
