"""From ``machine: {cpu, memory}`` to an instance type the region and its zones really offer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import pages
from clusterkit.profile.model import Machine

FAMILIES = ("m", "c", "r", "t")
"""general, compute, memory and burstable, in the order they are preferred among equals
(https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-types.html)"""
_TYPE = re.compile(r"(?P<family>[a-z]+)(?P<generation>\d+)(?P<options>[a-z-]*)\.(?P<size>\S+)")
_PLAIN = {"", "i", "a", "g"}
"""options of a type that change its processor and nothing else: Intel, AMD, Graviton"""
MOST_VALUES = 200
"""values of one filter (EC2 API, "Filtering")"""
ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}


@dataclass(frozen=True)
class InstanceType:
    """A type as DescribeInstanceTypes shows it."""

    name: str
    cpu: int
    memory: int
    """MiB"""
    architectures: frozenset[str]
    """``x86_64``, ``arm64``"""
    current: bool

    @property
    def architecture(self) -> str:
        """As Kubernetes spells it."""
        return "arm64" if self.architectures == {"arm64"} else "amd64"


def offered(clients: Clients, names: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """The named types to the zones that offer them; a type nobody offers is missing."""
    found: dict[str, set[str]] = {}
    filters: Any = [{"Name": "instance-type", "Values": sorted(names)}]
    listed = pages(
        clients.ec2,
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=filters,
    )
    for item in listed:
        found.setdefault(item["InstanceType"], set()).add(item["Location"])
    return {name: frozenset(zones) for name, zones in found.items()}


def fitting(clients: Clients, machine: Machine) -> list[InstanceType]:
    """Every current type of the asked architecture with as many processors, or up to four times."""
    cores = [str(count) for count in range(machine.cpu, 4 * machine.cpu + 1)]
    filters: Any = [
        {"Name": "current-generation", "Values": ["true"]},
        {"Name": "processor-info.supported-architecture", "Values": [ARCHITECTURES[machine.arch]]},
        {"Name": "vcpu-info.default-vcpus", "Values": cores[:MOST_VALUES]},
    ]
    return _described(clients, Filters=filters)


def named(clients: Clients, names: Iterable[str]) -> list[InstanceType]:
    """The named types; those there are not are missing."""
    filters: Any = [{"Name": "instance-type", "Values": sorted(names)}]
    return _described(clients, Filters=filters)


def _described(clients: Clients, **parameters: Any) -> list[InstanceType]:
    listed = pages(clients.ec2, "describe_instance_types", "InstanceTypes", **parameters)
    return [
        InstanceType(
            name=item["InstanceType"],
            cpu=item["VCpuInfo"]["DefaultVCpus"],
            memory=item["MemoryInfo"]["SizeInMiB"],
            architectures=frozenset(item["ProcessorInfo"]["SupportedArchitectures"]),
            current=bool(item.get("CurrentGeneration", True)),
        )
        for item in listed
    ]


def choose(machine: Machine, types: Iterable[InstanceType]) -> InstanceType | None:
    """The smallest type that fits; among equals the newest generation, then plain families first.

    Smallest is by memory beyond what is asked, then by processors. None if nothing fits.
    """
    wanted = ARCHITECTURES[machine.arch]
    fitting = [
        (rank, candidate)
        for candidate in types
        if candidate.current
        and wanted in candidate.architectures
        and candidate.cpu >= machine.cpu
        and candidate.memory >= machine.memory * 1024
        and (rank := _rank(candidate)) is not None
    ]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _rank(candidate: InstanceType) -> tuple[Any, ...] | None:
    match = _TYPE.fullmatch(candidate.name)
    if match is None or match["family"] not in FAMILIES or match["options"] not in _PLAIN:
        return None
    burstable = match["family"] == "t"
    return (
        burstable,
        candidate.cpu * 2048 + candidate.memory,
        -int(match["generation"]),
        FAMILIES.index(match["family"]),
        match["options"] == "a",
        candidate.name,
    )
