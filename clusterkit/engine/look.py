"""List every kind at once, in parallel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from clusterkit.engine import backoff
from clusterkit.engine.inventory import Inventory, Named
from clusterkit.engine.kind import AnyKind
from clusterkit.engine.scheduler import Scheduler
from clusterkit.errors import CloudError, Denied, Finding, Retryable, TimedOut, Unreachable

PATIENCE = 300.0
"""seconds of the real cloud for which a list is tried again"""


@dataclass
class Look:
    """What each kind lists, and what could not be listed."""

    found: dict[AnyKind, Named] = field(default_factory=dict)
    warnings: list[Finding] = field(default_factory=list)
    unreached: set[str] = field(default_factory=set)
    """kinds that are left out: optional ones that did not answer, and denied ones"""
    denied: dict[AnyKind, Denied] = field(default_factory=dict)
    """kinds that the credentials may not list"""


def look(
    kinds: Sequence[AnyKind],
    inventory: Inventory,
    *,
    scale: float = 1.0,
    threads: int = 16,
) -> Look:
    """List every kind in parallel; an optional kind that does not answer is a warning.

    So is one that the credentials may not list. ``Denied`` if they may list nothing at all.
    """
    scheduler = Scheduler(threads, place=inventory.scope.place)
    seen = Look()
    failed: list[Exception] = []
    asked: defaultdict[AnyKind, float] = defaultdict(float)
    give_up = scheduler.now() + backoff.deadline(PATIENCE, scale)

    def listed(kind: AnyKind) -> Named:
        began = scheduler.now()
        try:
            return inventory.owned(kind)
        finally:
            asked[kind] += scheduler.now() - began  # without the wait for a thread

    def ask(kind: AnyKind, attempt: int = 1) -> None:
        def then(named: Any, error: Exception | None) -> None:
            if error is None:
                seen.found[kind] = named
                return
            again = isinstance(error, Retryable) and not failed and scheduler.now() < give_up
            if kind.optional and isinstance(error, Unreachable):
                again = again and attempt < backoff.PROBES
                again = again and asked[kind] < backoff.PROBING
            elif kind.optional and isinstance(error, CloudError):
                again = again and attempt < backoff.OPTIONAL_TRIES
            if again and isinstance(error, Retryable):
                delay = backoff.delay(attempt, error.after, scale)
                scheduler.later(delay, lambda: ask(kind, attempt + 1))
            elif kind.optional and isinstance(error, CloudError):
                seen.found[kind] = {}
                seen.unreached.add(kind.kind)
                seen.warnings.append(Finding(error.what, where=kind.kind, hint=error.hint))
            elif isinstance(error, Denied):
                seen.denied[kind] = error
                seen.found[kind] = {}
                seen.unreached.add(kind.kind)
                what = f"could not be looked for, and stays if there is any: {error.what}"
                seen.warnings.append(Finding(what, where=kind.kind, hint=error.hint))
            elif isinstance(error, Retryable):
                timeout = TimedOut(f"timed out listing; last error: {error}", where=kind.kind)
                timeout.hint = error.hint
                failed.append(timeout)
            else:
                failed.append(error)

        scheduler.call(lambda: listed(kind), then)

    for kind in kinds:
        ask(kind)
    scheduler.run()
    if failed:
        raise failed[0]
    seen.warnings = _joined(seen.warnings)
    if seen.denied and all(kind.kind in seen.unreached for kind in kinds):
        raise next(iter(seen.denied.values()))
    return seen


def _joined(warnings: Sequence[Finding]) -> list[Finding]:
    """Each warning once, with all the kinds it is about."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for each in warnings:
        kinds.setdefault((each.what, each.hint), []).append(each.where)
    return [Finding(what, ", ".join(sorted(where)), hint) for (what, hint), where in kinds.items()]
