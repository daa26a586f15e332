"""What is not ours and keeps things of ours from being deleted, looked for before the first delete.

What is independent of it goes; the thing in question and (``Kind.uses``) what that needs stay, with
the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusterkit.engine import backoff
from clusterkit.engine.inventory import Named
from clusterkit.engine.kind import AnyKind, Leftover
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scheduler import Scheduler
from clusterkit.engine.scope import Scope
from clusterkit.errors import CloudError, Finding, Gone, Retryable

MOST_NAMED = 5
"""occupants of one thing that a reason names"""
TRIES = 8
"""questions about one thing, before the destroy goes on without an answer"""


@dataclass(frozen=True)
class Stay:
    """Why something cannot be deleted, and what to do about it."""

    reason: str
    hint: str = ""


@dataclass(frozen=True)
class Verdict:
    """What of the things to be deleted stays."""

    stays: Mapping[tuple[AnyKind, str], Stay]
    """by kind and id"""
    kinds: frozenset[str]
    """kinds of which nothing can be deleted, because what stays needs them"""
    warnings: Sequence[Finding]
    """what could not be asked"""


Things = Mapping[AnyKind, Sequence[tuple[str, Any]]]
"""key and state of what is to be deleted, by kind"""


def blocked(
    found: Mapping[AnyKind, Named],
    things: Things,
    scope: Scope[Any],
    *,
    scale: float,
    threads: int,
) -> Verdict:
    """What cannot be deleted, and why.

    ``found`` is everything of ours, leftovers included: none of it is in the way.
    """
    ours = {str(have.id) for named in found.values() for same in named.values() for have in same}
    asked, warnings = _ask(things, scope, scale, threads)
    out: dict[tuple[AnyKind, str], Stay] = {}
    causes: dict[str, str] = {}
    for (occupied, key, identifier), occupants in asked.items():
        if foreign := [each for each in occupants if each.id not in ours]:
            out[occupied, identifier] = _stay(foreign)
            causes.setdefault(occupied.kind, key)
    uses = {kind.kind: kind.uses for kind in things}
    kept = _needed(causes, uses)
    inside = {kind.kind: kind.dies_with for kind in things if isinstance(kind, Leftover)}
    kept |= {kind: causes[lies] for kind, lies in inside.items() if lies in causes}
    for kind, states in things.items():
        if cause := kept.get(kind.kind):
            for _, have in states:
                out.setdefault((kind, str(have.id)), Stay(f"{cause} stays"))
    return Verdict(out, frozenset(kept), warnings)


def _stay(foreign: Sequence[Occupant]) -> Stay:
    names = ", ".join(map(str, foreign[:MOST_NAMED]))
    more = f" and {len(foreign) - MOST_NAMED} more" if len(foreign) > MOST_NAMED else ""
    verb = "is" if len(foreign) == 1 else "are"
    cures = dict.fromkeys(each.cure for each in foreign[:MOST_NAMED] if each.cure)
    return Stay(f"{names}{more} {verb} not this cluster's and in the way", "; ".join(cures))


def _needed(causes: Mapping[str, str], uses: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Kind to cause, of everything that the kinds in ``causes`` use, directly or not."""
    out: dict[str, str] = {}
    todo = [*causes.items()]
    while todo:
        kind, cause = todo.pop()
        for needed in uses.get(kind, ()):
            if needed not in out:
                out[needed] = cause
                todo.append((needed, cause))
    return out


Look = Callable[[Scope[Any], Any], Iterable[Occupant]]


def _look(kind: AnyKind) -> Look | None:
    """How to find what is in the way of one; None if nothing of others can be."""
    return kind.occupants if isinstance(kind, Leftover) or kind.occupiable() else None


def _ask(
    things: Things, scope: Scope[Any], scale: float, threads: int
) -> tuple[dict[tuple[AnyKind, str, str], list[Occupant]], list[Finding]]:
    """The occupants of every thing, asked in parallel; in the order of ``things``."""
    scheduler = Scheduler(threads, place=scope.place)
    out: dict[tuple[AnyKind, str, str], list[Occupant]] = {}
    warnings: list[Finding] = []
    failed: list[Exception] = []

    def ask(kind: AnyKind, key: str, have: Any, look: Look, attempt: int = 1) -> None:
        def then(found: Any, error: Exception | None) -> None:
            if error is None:
                out[kind, key, str(have.id)] = found
            elif isinstance(error, Retryable) and attempt < TRIES:
                delay = backoff.delay(attempt, error.after, scale)
                scheduler.later(delay, lambda: ask(kind, key, have, look, attempt + 1))
            elif isinstance(error, CloudError):
                if not isinstance(error, Gone):
                    what = f"cannot tell whether something of others is in the way: {error.what}"
                    warnings.append(Finding(what, where=key, hint=error.hint))
            else:
                failed.append(error)

        scheduler.call(lambda: [*look(scope, have)], then)

    for kind, states in things.items():
        if look := _look(kind):
            for key, have in states:
                out[kind, key, str(have.id)] = []
                ask(kind, key, have, look)
    scheduler.run()
    if failed:
        raise failed[0]
    return out, warnings
