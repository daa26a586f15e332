"""What the account is offered: regions, zones, VM sizes, Kubernetes versions, quotas.

The tables are in ``data/catalogue.json``, with their sources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clusterkit_sandbox.azure.tables import table

_TABLE = table("catalogue")
_REGIONS: Mapping[str, str] = _TABLE["regions"]
REGIONS = tuple(_REGIONS)


def region_name(given: str) -> str:
    """``eastus`` of ``East US``."""
    return given.replace(" ", "").lower()


def display_name(region: str) -> str:
    """``East US`` of ``eastus``."""
    return _REGIONS[region]


def zones(region: str) -> tuple[str, ...]:
    """The availability zones of a region."""
    return () if region in _TABLE["zoneless"] else ("1", "2", "3")


@dataclass(frozen=True)
class Size:
    """A VM size."""

    name: str
    cpus: int
    memory: float
    """GiB"""
    family: str
    """``standardDSv5Family``"""
    arm: bool = False
    premium: bool = True
    """whether it takes premium disks"""
    temporary: int = 0
    """GiB of the temporary disk"""
    spot: bool = True


def _all() -> Iterator[Size]:
    for one in _TABLE["others"]:
        yield Size(**one)
    for one in _TABLE["series"]:
        for cpus in one["cpus"]:
            yield Size(
                one["name"].format(cpus), cpus, cpus * one["memory"], one["family"],
                one.get("arm", False), temporary=cpus * one.get("temporary", 0),
            )  # fmt: skip


SIZES: Mapping[str, Size] = {one.name.lower(): one for one in sorted(_all(), key=lambda s: s.name)}
"""Every size, by its name in lower case."""
_WHERE: Mapping[str, list[str]] = _TABLE["where"]
"""Families that are in some regions only."""


def offered(region: str) -> Iterator[Size]:
    """The sizes of a region."""
    for size in SIZES.values():
        if region in _WHERE.get(size.family, [region]):
            yield size


def size_in(region: str, name: str) -> Size | None:
    """A size of a region by its name, in any case."""
    size = SIZES.get(name.lower())
    return size if size is not None and region in _WHERE.get(size.family, [region]) else None


CORE_QUOTA = 100
"""vCPUs of all families in a region, and of each (public outputs of ``az vm list-usage`` show
figures from 10 to some hundreds).
"""
FAMILY_QUOTA = 100


@dataclass(frozen=True)
class Version:
    """A minor version of Kubernetes."""

    minor: str
    patches: tuple[str, ...]
    """newest first"""
    standard: bool = True
    """whether it has the standard support, not only the long-term one"""
    default: bool = False
    preview: bool = False


VERSIONS = tuple(Version(**{**one, "patches": tuple(one["patches"])}) for one in _TABLE["versions"])


def patch_of(version: str) -> str | None:
    """The full version that a version or a minor one means; None for one that is not offered."""
    for one in VERSIONS:
        if version == one.minor:
            return one.patches[0]
        if version in one.patches:
            return version
    return None


def default_version() -> str:
    """The version of a cluster that asks for none."""
    return next(one.minor for one in VERSIONS if one.default)


def minor(version: str) -> str:
    """``1.34`` of ``1.34.9``."""
    return ".".join(version.split(".")[:2])


def number(version: str) -> tuple[int, ...]:
    """A version as figures that compare."""
    return tuple(int(part) for part in version.split("."))
