"""For every driver's preflight: collect findings, choose zones and machine types together.

The driver asks its cloud and translates the answers to the types here; nothing here calls a cloud.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import NamedTuple, Protocol, TypeVar

from clusterkit.engine.quotas import Share
from clusterkit.errors import Finding, PreflightError

T = TypeVar("T")

WARN_BEFORE = timedelta(days=90)
"""how long before a version's end of support ``Report.end_of_support`` warns: about the time
between two minor versions of Kubernetes (https://kubernetes.io/releases/release/)"""


class Report:
    """Errors and warnings of one preflight, in the order they were found.

    Several threads may report at once.
    """

    def __init__(self) -> None:
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []
        self.shares: list[Share] = []
        """what the plan takes of quotas, for plans that are made together"""

    def error(self, what: str, where: str = "", hint: str = "") -> None:
        """The cloud would refuse this later."""
        self.errors.append(Finding(what, where, hint))

    def warn(self, what: str, where: str = "", hint: str = "") -> None:
        """The cloud accepts this, but it may not be what the user wants."""
        self.warnings.append(Finding(what, where, hint))

    def end_of_support(self, version: str, ends: datetime | None, hint: str) -> None:
        """Warn if support of a Kubernetes version ends in less than ``WARN_BEFORE``."""
        if ends is None or (left := ends - datetime.now(UTC)) >= WARN_BEFORE:
            return
        when = f"ends in {left.days} days" if left.days >= 0 else f"ended on {ends:%Y-%m-%d}"
        self.warn(f"support of Kubernetes {version} {when}", "kubernetes", hint)

    def takes(
        self, quota: str, more: int, used: int, most: int, cure: str, *, everywhere: bool = False
    ) -> bool:
        """Note what the plan takes of a quota; whether there is room for it alone."""
        share = Share(quota, more, used, most, cure, everywhere)
        self.shares.append(share)
        return share.fits

    def too_many_cpus(self, more: int, kind: str, in_use: int, most: str, cure: str) -> None:
        """The quota of virtual CPUs of a kind (``spot``) does not suffice."""
        what = (
            f"the pools need {more} more {kind} vCPUs; {in_use} of {most} are in use in the region"
        )
        self.error(what, "pools", f"use fewer or smaller machines, or {cure}")

    def existing(
        self, ids: Iterable[str], there: Mapping[str, T], what: str, within: str, where: str
    ) -> dict[str, T]:
        """Those of ``there`` that the profile names; an error for each that is not there."""
        wanted = [*ids]
        for missing in (identifier for identifier in wanted if identifier not in there):
            self.error(f"{what} {missing} does not exist in {within}", where)
        return {identifier: there[identifier] for identifier in wanted if identifier in there}

    def raise_errors(self) -> None:
        """Raise ``PreflightError`` with every error, if there is one."""
        if self.errors:
            raise PreflightError(self.errors)


class InZone(Protocol):
    """Something that lies in a zone."""

    @property
    def zone(self) -> str: ...


def zones_of(there: Mapping[str, InZone], ids: Iterable[str]) -> tuple[str, ...]:
    """The zones of what exists, in the order in which the profile names it."""
    return tuple(dict.fromkeys(there[identifier].zone for identifier in ids if identifier in there))


class MachineType(NamedTuple):
    """A machine type, as the cloud offers it for one pool."""

    name: str
    cpu: int = 0
    """virtual CPUs; 0 if the driver did not ask, which it need not for types a pool already has"""
    memory_gib: float = 0
    arch: str = "amd64"
    """``amd64`` or ``arm64``"""
    zones: frozenset[str] = frozenset()
    """where the cloud has it"""
    generation: int = 0
    """larger is newer"""
    rank: int | None = None
    """the driver's order among types of the same size and generation, the lowest first; None:
    never chosen for a size, only when the profile names it"""
    burstable: bool = False
    """a shared CPU: chosen for a size only if no other type fits"""
    accelerator: str = ""
    """whose driver the image of its nodes must have (``NVIDIA``), or their type (``nvidia-l4``);
    empty: none"""
    accelerators: int = 0
    """how many of them, where the cloud wants to be told"""


class Size(Protocol):
    """The least a machine must have."""

    @property
    def cpu(self) -> int: ...

    @property
    def memory(self) -> int:
        """GiB"""

    @property
    def arch(self) -> str: ...


class Pool(Protocol):
    """What the profile asks for one pool."""

    @property
    def name(self) -> str: ...

    @property
    def machine(self) -> Size | str | tuple[str, ...]:
        """A size, the name of a machine type, or several names, the preferred one first."""


class Offers(NamedTuple):
    """What the cloud has."""

    zones: frozenset[str]
    """zones the cluster may use"""
    types: Mapping[str, Sequence[MachineType]]
    """a pool's name to the types to choose from"""
    conditions: Mapping[str, str] = {}
    """a pool's name to what else its types must support, for messages: ``with a fast disk``"""


class Several(NamedTuple):
    """How many machine types a pool gets for a size."""

    most: int = 1
    """of the same size"""
    least: int = 1
    """if fewer are of one size, the next larger ones too"""


class Known(NamedTuple):
    """What an existing cluster has, and keeps."""

    zones: Mapping[int, str] = {}
    """the position of a zone in the network to its name; a run that was stopped may leave gaps"""
    types: Mapping[str, Sequence[MachineType]] = {}
    """a pool's name to the types chosen when the pool was created, the preferred one first"""


@dataclass(frozen=True)
class Choice:
    """Zones and machine types that go together; what could not be chosen is missing."""

    zones: tuple[str, ...] = ()
    types: Mapping[str, tuple[MachineType, ...]] = field(default_factory=dict)
    """a pool's name to its types, the preferred one first"""


def choose(
    pools: Sequence[Pool],
    zones_wanted: int | tuple[str, ...],
    offers: Offers,
    known: Known,
    report: Report,
    *,
    several: Mapping[str, Several] | None = None,
) -> Choice:
    """Zones, and for every pool a machine type that is offered in all of them.

    ``zones_wanted`` is a number, or the names of the zones. Zones and types an existing cluster has
    are kept. Otherwise the zones are those in which the smallest types fit, the newest generation
    first; among equals the first by name. A pool that asks for a size gets as many types as
    ``several`` says by its name, one if that says nothing; one that names types gets all of them.
    What cannot be had is reported.
    """
    many = several or {}
    candidates = [
        _Candidates(index, pool, offers, known, many.get(pool.name, Several()))
        for index, pool in enumerate(pools)
    ]
    if isinstance(zones_wanted, tuple):
        usable = tuple(z for z in zones_wanted if z in offers.zones or z in known.zones.values())
        for zone in zones_wanted:
            if zone not in usable:
                report.error(
                    f"zone {zone} does not exist or has no instance types in stock",
                    "network.zones",
                    f"choose from {_listed(offers.zones)}",
                )
        return _fixed(candidates, usable, report)
    kept = {slot: zone for slot, zone in known.zones.items() if slot < zones_wanted}
    rest = sorted(offers.zones - set(kept.values()))
    lacking = zones_wanted - len(kept)
    if not lacking:
        return _fixed(candidates, tuple(kept[slot] for slot in range(zones_wanted)), report)
    if lacking > len(rest):
        report.error(
            f"asks for {zones_wanted} zones, but only {len(rest) + len(kept)} can be "
            "used in this region",
            "network.zones",
            f"available: {_listed(offers.zones)}",
        )
        return Choice()
    choices = list(_combinations(kept, rest, zones_wanted))
    costs = ((_costs(candidates, zones), zones) for zones in choices)
    possible = [(cost, zones) for cost, zones in costs if cost is not None]
    if possible:
        return _fixed(candidates, min(possible)[1], report)
    _explain(candidates, choices, zones_wanted, report)
    return Choice()


def _combinations(
    kept: Mapping[int, str], rest: Sequence[str], wanted: int
) -> Iterator[tuple[str, ...]]:
    """Every way to fill the free positions, by name."""
    for new in combinations(rest, wanted - len(kept)):
        free = iter(new)
        yield tuple(kept[slot] if slot in kept else next(free) for slot in range(wanted))


class _Candidates:
    """The types one pool may get, the best first."""

    def __init__(
        self, index: int, pool: Pool, offers: Offers, known: Known, several: Several
    ) -> None:
        self.name = pool.name
        self.machine = pool.machine
        self.where = f"pools[{index}].machine"
        self.condition = f" {offers.conditions.get(pool.name, '')}".rstrip()
        self.known = tuple(known.types.get(pool.name, ()))
        self.old_zones = frozenset(known.zones.values())
        self.several = several
        self.names = _names(self.machine)
        offered = [kind for kind in offers.types.get(pool.name, ()) if kind.zones]
        if isinstance(self.machine, str | tuple):
            by_name = {kind.name: kind for kind in offered}
            self.types = [by_name[name] for name in self.names if name in by_name]
        else:
            size = self.machine
            self.types = sorted((kind for kind in offered if _fits(kind, size)), key=_order)

    def within(self, zones: Sequence[str]) -> tuple[MachineType, ...]:
        """The types for a cluster in these zones; empty if none is offered in all of them."""
        if self.known and set(zones) - self.old_zones <= self.known[0].zones:
            return self.known
        offered = [kind for kind in self.types if kind.zones.issuperset(zones)]
        if self.names:
            return tuple(offered) if len(offered) == len(self.names) else ()
        size = {(kind.cpu, kind.memory_gib) for kind in offered[:1]}
        chosen = [kind for kind in offered if (kind.cpu, kind.memory_gib) in size]
        chosen = chosen[: self.several.most]
        larger = [kind for kind in offered if (kind.cpu, kind.memory_gib) not in size]
        return (*chosen, *larger[: max(0, self.several.least - len(chosen))])

    def cost(self, zones: Sequence[str]) -> tuple[float, ...] | None:
        """How good the best type in these zones is, the lowest best; None if there is none."""
        if not (found := self.within(zones)):
            return None
        return (0, 0, 0) if found is self.known else _order(found[0])[:3]

    def report_missing(self, zones: str, report: Report) -> None:
        """That no type is offered in ``zones``."""
        machine, condition = self.machine, self.condition
        hint = "choose other zones, another type, or a size such as {cpu: 4, memory: 16}"
        if isinstance(machine, tuple):
            zones_of = {kind.name: _listed(kind.zones) for kind in self.types}
            each = "; ".join(f"{name} in {zones_of.get(name, 'none')}" for name in machine)
            what = f"not all of these types are offered{condition} in {zones}: {each}"
        elif not isinstance(machine, str):
            size = f"{machine.cpu} CPUs and {machine.memory} GiB ({machine.arch})"
            what = f"no machine type with at least {size} is offered{condition} in {zones}"
            hint = "choose other zones or a smaller size, or name a machine type"
        elif self.types:
            only = _listed(self.types[0].zones)
            what = f"{machine} is not offered{condition} in {zones}, only in {only}"
        else:
            what = f"{machine} is not offered{condition} in this region"
            hint = "choose another type, or a size such as {cpu: 4, memory: 16}"
        report.error(what, self.where, hint)


def _names(machine: Size | str | tuple[str, ...]) -> tuple[str, ...]:
    """The types that the profile names."""
    if isinstance(machine, tuple):
        return machine
    return (machine,) if isinstance(machine, str) else ()


def _fits(kind: MachineType, size: Size) -> bool:
    return (
        kind.rank is not None
        and kind.arch == size.arch
        and kind.cpu >= size.cpu
        and kind.memory_gib >= size.memory
    )


def _size(kind: MachineType) -> float:
    # one CPU counts like 2 GiB, the ratio of compute-optimized types
    return kind.cpu * 2 + kind.memory_gib


def _order(kind: MachineType) -> tuple[float, float, float, int, str]:
    return (kind.burstable, _size(kind), -kind.generation, kind.rank or 0, kind.name)


def _costs(candidates: Sequence[_Candidates], zones: Sequence[str]) -> tuple[float, ...] | None:
    """The sum over all pools; None if one of them gets nothing in these zones."""
    costs = [pool.cost(zones) for pool in candidates]
    found = [cost for cost in costs if cost is not None]
    return tuple(map(sum, zip(*found, strict=True))) if len(found) == len(costs) else None


def _fixed(candidates: Sequence[_Candidates], zones: tuple[str, ...], report: Report) -> Choice:
    """The types in zones that are decided."""
    chosen = {pool.name: pool.within(zones) for pool in candidates}
    for pool in candidates:
        if not chosen[pool.name]:
            pool.report_missing(_listed(zones), report)
    return Choice(zones, {name: types for name, types in chosen.items() if types})


def _explain(
    candidates: Sequence[_Candidates],
    choices: Sequence[tuple[str, ...]],
    wanted: int,
    report: Report,
) -> None:
    """Why no zones serve all pools: one pool finds none alone, or the pools need different ones."""
    alone = {pool: [zones for zones in choices if pool.within(zones)] for pool in candidates}
    for pool, zones in alone.items():
        if not zones:
            pool.report_missing(f"{wanted} zones", report)
    if all(alone.values()):
        needs = (
            f"pool {pool.name} needs {' or '.join(' + '.join(z) for z in zones[:3])}"
            for pool, zones in alone.items()
            if len(zones) < len(choices)
        )
        report.error(
            f"asks for {wanted} zones, but no {wanted} zones offer machines for "
            f"every pool: {'; '.join(needs)}",
            "network.zones",
            "ask for fewer zones, or choose other machines",
        )


def _listed(zones: frozenset[str] | Sequence[str]) -> str:
    return ", ".join(sorted(zones)) or "none"
