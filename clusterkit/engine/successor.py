"""Why one thing is created and another deleted: settings that cannot be changed in place are hashed
into the names of some kinds, so that other settings are another thing, made before the old one
goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from clusterkit.engine.inventory import Named
from clusterkit.engine.kind import AnyKind, Kind, Leftover
from clusterkit.engine.seen import details
from clusterkit.engine.step import Step


def explained(steps: Iterable[Step], found: Mapping[AnyKind, Named]) -> tuple[Step, ...]:
    """The steps, with the reason on those whose things take each other's place."""
    every = [*steps]
    new = {_stem(step): step for step in every if step.op == "create" and _stem(step)[1]}
    old = {_stem(step): step for step in every if step.op == "delete" and _stem(step)[1]}
    return tuple(_told(step, new, old, found) for step in every)


def _stem(step: Step) -> tuple[str, str]:
    kind = step.kind
    return (kind.kind, "" if isinstance(kind, Leftover) else kind.stem(step.name))


def _told(
    step: Step,
    new: Mapping[tuple[str, str], Step],
    old: Mapping[tuple[str, str], Step],
    found: Mapping[AnyKind, Named],
) -> Step:
    before, after = old.get(_stem(step)), new.get(_stem(step))
    if before is None or after is None or after.wish is None or step.op not in ("create", "delete"):
        return step
    if step.op == "delete":
        return replace(step, why=f"{after.key} takes its place")
    [have, *_] = found[before.kind][before.name]
    return replace(step, why=f"takes the place of {before.key}: {_difference(after.wish, have)}")


def _difference(wish: Kind[Any, Any], have: Any) -> str:
    """What of it is not the same, as far as both tell it."""
    there = details(have)
    changed = [
        f"{key}: {there[key]} -> {value}"
        for key, value in wish.details.items()
        if key in there and there[key] != value and key not in wish.in_place
    ]
    return "; ".join(changed) or wish.unseen
