"""Machine types of Compute Engine, zone by zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from clusterkit.engine.background import Background
from clusterkit.engine.preflight import MachineType
from clusterkit.gke.client import Clients
from clusterkit.gke.fields import series

SERIES = ("e2", "n2", "n2d", "t2d", "n1", "t2a", "c4a", "n4a")
"""series that are chosen for a size, the preferred one first: general purpose, on sale in many
regions, and but for the Arm ones of the end with Persistent Disks, which the vendor's default
StorageClass makes (https://cloud.google.com/compute/docs/general-purpose-machines)"""
GPU = "nvidia-"
"""how the types of GPUs begin; TPUs are no accelerators of a pool
(https://cloud.google.com/compute/docs/gpus)"""


def machine_types(
    clients: Clients, zones: Iterable[str], background: Background
) -> dict[str, MachineType]:
    """Every type on sale by name, with the zones that have it; all zones are asked at once."""
    there: dict[str, set[str]] = {}
    shown: dict[str, Any] = {}
    for zone, found in [(zone, background(partial(_in_zone, clients, zone))) for zone in zones]:
        for each in found.result():
            if (each.get("deprecated") or {}).get("state") not in ("DELETED", "OBSOLETE"):
                shown[each["name"]] = each
                there.setdefault(each["name"], set()).add(zone)
    return {name: _machine_type(each, frozenset(there[name])) for name, each in shown.items()}


def _in_zone(clients: Clients, zone: str) -> list[Any]:
    path = f"projects/{clients.project}/zones/{zone}/machineTypes"
    return [*clients.pages("compute", "machineTypes.list", path)]


def _machine_type(shown: Mapping[str, Any], zones: frozenset[str]) -> MachineType:
    name, family = shown["name"], series(shown["name"])
    plain = not shown.get("accelerators") and not shown.get("bundledLocalSsds")
    cards = shown.get("accelerators") or ()
    gpus = [each for each in cards if str(each["guestAcceleratorType"]).startswith(GPU)]
    return MachineType(
        name=name,
        cpu=int(shown["guestCpus"]),
        memory_gib=int(shown["memoryMb"]) / 1024,
        arch="arm64" if shown.get("architecture") == "ARM64" else "amd64",
        zones=zones,
        rank=SERIES.index(family) if family in SERIES and plain else None,
        burstable=bool(shown.get("isSharedCpu")),
        accelerator=gpus[0]["guestAcceleratorType"] if gpus else "",
        accelerators=int(gpus[0]["guestAcceleratorCount"]) if gpus else 0,
    )


def cpu_metric(machine_type: str) -> str:
    """The region's quota of virtual CPUs that a type counts against: ``N2_CPUS``; the first two
    series have none of their own (https://cloud.google.com/compute/resource-usage#cpu_quota).
    """
    family = series(machine_type)
    return "CPUS" if family in ("e2", "n1", "f1", "g1") else f"{family.upper()}_CPUS"


def gpu_metric(accelerator: str) -> str:
    """The region's quota of a type of GPUs: ``NVIDIA_L4_GPUS`` of ``nvidia-l4``, ``NVIDIA_T4_GPUS``
    of ``nvidia-tesla-t4`` (https://cloud.google.com/compute/resource-usage#gpu_quota).
    """
    plain = accelerator.replace("nvidia-tesla-", GPU)
    return f"{plain.upper().replace('-', '_')}_GPUS"


def disk_metric(disk_type: str) -> str:
    """The region's quota in GB that a boot disk counts against
    (https://cloud.google.com/compute/resource-usage#disk_quota).
    """
    if disk_type.startswith("hyperdisk"):
        return "HDB_TOTAL_GB"
    return "DISKS_TOTAL_GB" if disk_type == "pd-standard" else "SSD_TOTAL_GB"
