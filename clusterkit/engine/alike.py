"""Whether machine types that a pool names can share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from clusterkit.engine.preflight import Choice, MachineType, Pool, Report


class ScalingPool(Pool, Protocol):
    """A pool that an autoscaler may change."""

    @property
    def automatic(self) -> bool: ...


def check_alike(pools: Sequence[ScalingPool], choice: Choice, report: Report) -> None:
    """Whether the types that a pool names can share it: one image serves one architecture, and an
    autoscaler takes all nodes of a pool for equal (kubernetes/autoscaler,
    cluster-autoscaler/FAQ.md, "How does scale-up work?").
    """
    for index, pool in enumerate(pools):
        if not isinstance(pool.machine, tuple):
            continue
        where = f"pools[{index}].machine"
        known = [kind for kind in choice.types.get(pool.name, ()) if kind.cpu]
        archs, drivers, sizes = (
            {each(kind) for kind in known} for each in (_arch, _accelerator, _shape)
        )
        if len(archs) > 1:
            what = f"the types have different architectures: {_told(known, _arch)}"
            report.error(what, where, "add a pool for each architecture")
        elif len(drivers) > 1:
            what = f"the types need images with different drivers: {_told(known, _accelerator)}"
            report.error(what, where, "add a pool for each kind of accelerator")
        elif len(sizes) > 1 and pool.automatic:
            what = f"the types differ in size: {_told(known, _shape)}"
            hint = "the autoscaler considers only the first; choose types of one size"
            report.warn(what, where, hint)


def _arch(kind: MachineType) -> str:
    return kind.arch


def _accelerator(kind: MachineType) -> str:
    return kind.accelerator or "no accelerator"


def _shape(kind: MachineType) -> str:
    return f"{kind.cpu} CPUs and {kind.memory_gib:g} GiB"


def _told(kinds: Iterable[MachineType], of: Callable[[MachineType], str]) -> str:
    return ", ".join(f"{kind.name} ({of(kind)})" for kind in kinds)
