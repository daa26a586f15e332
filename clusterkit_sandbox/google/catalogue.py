"""What the account is offered: regions, zones, machine types, disk types, quotas.

The figures and their sources are in ``data/catalogue.json``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from clusterkit_sandbox.google.tables import table

_DATA = table("catalogue")
REGIONS: Mapping[str, tuple[str, ...]] = {
    region: tuple(f"{region}-{letter}" for letter in letters)
    for region, letters in _DATA["zones"].items()
}
ZONES: Mapping[str, str] = {zone: region for region, zones in REGIONS.items() for zone in zones}
"""Zone to region."""


class MachineType(NamedTuple):
    """One machine type; ``memory`` in MiB."""

    name: str
    cpus: int
    memory: int
    shared: bool = False
    arm: bool = False


class DiskType(NamedTuple):
    """The sizes that disks of a type have, in GB, and the quota that they count for."""

    least: int
    most: int
    metric: str


def _machines() -> Iterator[MachineType]:
    for name, memory in _DATA["shared"].items():
        yield MachineType(name, 2, memory, shared=True)
    for series, shapes in _DATA["series"].items():
        for shape in shapes.keys() - {"cpus"}:
            for cpus in shapes["cpus"]:
                name, arm = f"{series}-{shape}-{cpus}", series in _DATA["arm"]
                if name not in _DATA["missing"]:
                    yield MachineType(name, cpus, cpus * shapes[shape], arm=arm)


MACHINE_TYPES: Mapping[str, MachineType] = {one.name: one for one in sorted(_machines())}
DISK_TYPES: Mapping[str, DiskType] = {k: DiskType(*v) for k, v in _DATA["disk_types"].items()}
HYPERDISK_ONLY: tuple[str, ...] = tuple(_DATA["hyperdisk_only"])
"""Series that take no Persistent Disk."""
REGION_QUOTAS: Mapping[str, int] = _DATA["region_quotas"]
PROJECT_QUOTAS: Mapping[str, int] = _DATA["project_quotas"]


def offered(zone: str) -> Iterator[MachineType]:
    """The machine types of a zone, by name; a series is not in every one."""
    for machine in MACHINE_TYPES.values():
        places = _DATA["only_in"].get(machine.name.partition("-")[0])
        if places is None or zone in places or ZONES[zone] in places:
            yield machine
