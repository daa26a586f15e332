"""What a plan removes: what exists beyond the desired state, and in which order it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clusterkit.engine import blockers
from clusterkit.engine.blockers import Verdict
from clusterkit.engine.inventory import Named
from clusterkit.engine.kind import AnyKind, Leftover
from clusterkit.engine.scope import Scope
from clusterkit.engine.step import Kept, Step
from clusterkit.errors import Denied, Rejected

Surplus = dict[AnyKind, list[tuple[str, Any, bool]]]
"""name, state and whether it has twins, of what is to be removed"""


def check_guards(found: Mapping[AnyKind, Named]) -> None:
    """Raise ``Rejected`` if something must not be destroyed, before anything is."""
    for kind, named in found.items():
        if isinstance(kind, Leftover):
            continue
        for name, states in named.items():
            for state in states:
                if guard := kind.guarded(state):
                    raise Rejected(guard.what, where=f"{kind.kind}/{name}", hint=guard.hint)


def check_denied(found: Mapping[AnyKind, Named], denied: Mapping[AnyKind, Denied]) -> None:
    """Raise ``Denied`` for a kind that could not be listed and is in the way, or holds what was
    found: whoever may not see it cannot delete what depends on it.
    """
    there = {kind.kind for kind, named in found.items() if named}
    holders = {
        parent
        for kind, named in found.items()
        if not isinstance(kind, Leftover)
        for states in named.values()
        for have in states
        for parent in kind.within(have)
    }
    for kind, error in denied.items():
        if kind.kind in holders or not there.isdisjoint(kind.uses):
            raise error


def surplus(
    kinds: Sequence[AnyKind],
    found: Mapping[AnyKind, Named],
    keys: frozenset[str],
    kept: list[Kept],
) -> Surplus:
    """Name, state and whether it has twins, of what exists beyond the desired state. What is kept
    keeps what it lies in.
    """
    out: Surplus = {kind: [] for kind in kinds}
    holders: dict[tuple[str, str], str] = {}
    for kind in kinds:
        for name, states in found[kind].items():
            key = f"{kind.kind}/{name}"
            if key in keys:
                continue
            for state in states:
                why = kind.keep(state) if isinstance(kind, Leftover) else kind.kept(state)
                if why:
                    kept.append(Kept(key, why, state))
                    holders |= dict.fromkeys(kind.within(state).items(), key)
                else:
                    out[kind].append((name, state, len(states) > 1))
    for kind in kinds if holders else ():
        for name, state, twin in [*out[kind]]:
            if holder := holders.get((kind.kind, str(state.id))):
                kept.append(Kept(f"{kind.kind}/{name}", f"{holder} is kept and lies in it", state))
                out[kind].remove((name, state, twin))
    return out


def blocked(
    going: Surplus,
    found: Mapping[AnyKind, Named],
    scope: Scope[Any],
    *,
    scale: float,
    threads: int,
) -> tuple[Surplus, tuple[Kept, ...], Verdict]:
    """What of the surplus can be deleted, and what stays because of things that are not ours."""
    things = {
        kind: [(_key(kind, name, state, twin), state) for name, state, twin in items]
        for kind, items in going.items()
    }
    verdict = blockers.blocked(found, things, scope, scale=scale, threads=threads)
    stay = [
        Kept(key, why.reason, state, why.hint)
        for kind, keyed in things.items()
        for key, state in keyed
        if (why := verdict.stays.get((kind, str(state.id))))
    ]
    free: Surplus = {
        kind: [item for item in items if (kind, str(item[1].id)) not in verdict.stays]
        for kind, items in going.items()
    }
    return free, tuple(stay), verdict


def _key(kind: AnyKind, name: str, state: Any, twin: bool) -> str:
    return f"{kind.kind}/{name}" + (f"={state.id}" if twin else "")


def steps(
    kinds: Sequence[AnyKind],
    going: Surplus,
    keys: frozenset[str],
    rows: frozenset[str],
    blocked: frozenset[str],
) -> tuple[list[Step], dict[str, frozenset[str]]]:
    """Deletions by reverse order of kinds, parallel inside a kind: each kind waits for the one
    after it. ``rows``: the leftovers that are removed, but for the keys in ``blocked``. What goes
    with a thing that is blocked stays with it.
    """
    ends = {k.kind for k in kinds if going[k]} | {key.partition("/")[0] for key in blocked}
    barriers = {"barrier/wish": keys}
    before = "barrier/wish"
    out: list[Step] = []
    for kind in reversed(kinds):
        deps = frozenset({before})
        if isinstance(kind, Leftover):
            if kind.kind not in rows:
                continue
            prefix = f"{kind.kind}/"
            stays = frozenset(k.removeprefix(prefix) for k in blocked if k.startswith(prefix))
            sweep = Step("sweep", f"{prefix}*", kind, deps=deps, found=len(going[kind]))
            here = [replace(sweep, stays=stays)]
        elif kind.dies_with in ends:
            continue
        else:
            here = [
                Step(
                    "delete",
                    _key(kind, name, state, twin),
                    kind,
                    deps=deps,
                    name=name,
                    id=state.id,
                )
                for name, state, twin in going[kind]
            ]
        if here:
            out += here
            before = f"barrier/{kind.kind}"
            barriers[before] = frozenset(step.key for step in here)
    return out, barriers
