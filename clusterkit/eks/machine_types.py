"""The instance types of EC2 that may serve a pool."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from clusterkit.eks.client import Clients, pages
from clusterkit.engine.preflight import MachineType
from clusterkit.profile.model import Machine
from clusterkit.profile.pool import Pool

FAMILIES = ("m", "c", "r", "t")
"""general purpose, compute, memory and burstable, the preferred one first
(https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-types.html)"""
OPTIONS = ("", "g", "i", "a")
"""options that change the processor and nothing else: Graviton, Intel, AMD"""
RANKS = {pair: rank for rank, pair in enumerate(product(FAMILIES, OPTIONS))}
_TYPE = re.compile(r"([a-z]+)(\d+)([a-z-]*)\..+")
MOST_VALUES = 200
"""values of one filter (EC2 API, "Filtering")"""
ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}


def machine_types(clients: Clients, pools: Iterable[Pool]) -> list[MachineType]:
    """The types that the pools name, and those that may fit their sizes."""
    asked = [*pools]
    named = {name for pool in asked for name in pool.types}
    found = {kind.name: kind for kind in map(_machine_type, _named(clients, sorted(named)))}
    for size in {pool.machine for pool in asked if isinstance(pool.machine, Machine)}:
        fitting = map(_machine_type, _fitting(clients, size))
        found |= {kind.name: kind for kind in fitting if kind.rank is not None}
    zones: dict[str, set[str]] = {name: set() for name in found}
    for some in _filters(sorted(found)):
        for item in pages(
            clients.ec2,
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone",
            Filters=some,
        ):
            zones[item["InstanceType"]].add(item["Location"])
    return [kind._replace(zones=frozenset(zones[name])) for name, kind in found.items()]


def _filters(names: list[str]) -> Iterator[Any]:
    for start in range(0, len(names), MOST_VALUES):
        yield [{"Name": "instance-type", "Values": names[start : start + MOST_VALUES]}]


def _named(clients: Clients, names: list[str]) -> Iterator[Any]:
    for some in _filters(names):
        yield from pages(clients.ec2, "describe_instance_types", "InstanceTypes", Filters=some)


def _fitting(clients: Clients, size: Machine) -> Iterable[Any]:
    """Current types with as many CPUs as asked for, or up to four times as many."""
    cores = [str(count) for count in range(size.cpu, 4 * size.cpu + 1)]
    filters: Any = [
        {"Name": "current-generation", "Values": ["true"]},
        {"Name": "processor-info.supported-architecture", "Values": [ARCHITECTURES[size.arch]]},
        {"Name": "vcpu-info.default-vcpus", "Values": cores[:MOST_VALUES]},
    ]
    return pages(clients.ec2, "describe_instance_types", "InstanceTypes", Filters=filters)


def _machine_type(shown: Any) -> MachineType:
    match = _TYPE.fullmatch(shown["InstanceType"])
    family, generation, options = match.groups() if match else ("", "0", "")
    return MachineType(
        name=shown["InstanceType"],
        cpu=shown["VCpuInfo"]["DefaultVCpus"],
        memory_gib=shown["MemoryInfo"]["SizeInMiB"] / 1024,
        arch="arm64" if shown["ProcessorInfo"]["SupportedArchitectures"] == ["arm64"] else "amd64",
        generation=int(generation),
        rank=RANKS.get((family, options)) if shown.get("CurrentGeneration", True) else None,
        burstable=family == "t",
        accelerator=_accelerator(shown),
    )


def _accelerator(shown: Any) -> str:
    """NVIDIA's GPUs, and AWS's own chips: EKS has no image with the drivers of others."""
    makers = {each.get("Manufacturer") for each in shown.get("GpuInfo", {}).get("Gpus", ())}
    if "NVIDIA" in makers:
        return "NVIDIA"
    return "NEURON" if "NeuronInfo" in shown or "InferenceAcceleratorInfo" in shown else ""
