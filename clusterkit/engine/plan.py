"""Look and compare, change nothing: ``up`` is the plan of a wish, ``destroy`` that of an empty one.

The plan predicts; the loop in ``run.py`` looks again and decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, TypeVar

from clusterkit.engine import backoff
from clusterkit.engine.events import Op
from clusterkit.engine.resource import Change, Ctx, Existing, Resource, closure
from clusterkit.engine.scheduler import Scheduler
from clusterkit.errors import Absent, CloudError, Finding, Immutable, Rejected, Retryable, TimedOut

T = TypeVar("T")

Kind = type[Resource[Any, Any]]


@dataclass(frozen=True)
class Step:
    """What is to be done about one resource, or (``sweep``) about all of a kind."""

    op: Op
    key: str
    kind: Kind
    wish: Resource[Any, Any] | None = None
    changes: tuple[Change, ...] = ()
    deps: frozenset[str] = frozenset()
    """keys of steps, or of barriers (``Plan.barriers``), that come first"""
    found: int = 1
    """for ``sweep``: how many there are at the moment"""
    why: str = ""
    """for ``replace``: why it is made anew"""

    @property
    def typical(self) -> float:
        """Seconds of the real cloud the step usually takes; 0 unknown."""
        takes = self.kind.takes
        match self.op:
            case "create" | "wait":
                return takes.create
            case "delete" | "sweep":
                return takes.delete if self.found else 0.0
            case "replace":
                return takes.create + takes.delete
            case "update" | "keep":
                return 0.0


@dataclass(frozen=True)
class Kept:
    """Something of ours that destroy leaves alone."""

    key: str
    reason: str
    state: object


@dataclass(frozen=True)
class Plan:
    """The steps in an order they may run in, and what the look found besides."""

    steps: tuple[Step, ...]
    kept: tuple[Kept, ...] = ()
    warnings: tuple[Finding, ...] = ()
    barriers: Mapping[str, frozenset[str]] | None = None

    @property
    def todo(self) -> tuple[Step, ...]:
        """The steps with something to do."""
        return tuple(s for s in self.steps if s.op != "keep" and s.found)

    @property
    def empty(self) -> bool:
        """Whether nothing is to be done."""
        return not self.todo

    @property
    def typical(self) -> float:
        """Seconds of the real cloud the longest chain of steps usually takes."""
        ends: dict[str, float] = {}
        deps = {step.key: step.deps for step in self.steps} | dict(self.barriers or {})
        takes = {step.key: step.typical for step in self.steps}
        for key in TopologicalSorter(deps).static_order():
            before = max((ends[dep] for dep in deps.get(key, ())), default=0.0)
            ends[key] = before + takes.get(key, 0.0)
        return max(ends.values(), default=0.0)


def look(kinds: Sequence[Kind], cx: Ctx[Any], *, destroy: bool, threads: int = 16) -> list[Finding]:
    """List every kind, in parallel, into ``cx.seen``; returns what could not be looked at on
    destroy.
    """
    found: dict[Kind, Mapping[str, Any]] = {}
    failed: list[Exception] = []
    warnings: list[Finding] = []
    loop = Scheduler(threads)
    began = loop.now()
    give_up = loop.now() + backoff.deadline(300.0, cx.scale)

    def ask(kind: Kind, attempt: int = 1) -> None:
        def then(states: Any, error: Exception | None) -> None:
            if error is None:
                found[kind] = states
            elif isinstance(error, Absent):
                found[kind] = {}
            elif destroy and kind.best_effort and isinstance(error, CloudError):
                if isinstance(error, Retryable) and attempt < backoff.BEST_EFFORT_TRIES:
                    delay = backoff.backoff(attempt, error.after, cx.scale)
                    loop.later(delay, lambda: ask(kind, attempt + 1))
                    return
                found[kind] = {}
                warnings.append(Finding(str(error), where=kind.kind, hint=error.hint))
            elif isinstance(error, Retryable) and not failed and loop.now() < give_up:
                delay = backoff.backoff(attempt, error.after, cx.scale)
                loop.later(delay, lambda: ask(kind, attempt + 1))
            elif isinstance(error, Retryable):
                failed.append(TimedOut(f"gave up listing: {error}", where=kind.kind))
            else:
                failed.append(error)

        loop.call(lambda: kind.owned(cx), then)

    for kind in kinds:
        ask(kind)
    loop.run()
    if failed:
        raise failed[0]
    cx.seen = {f"{k.kind}/{name}": state for k in kinds for name, state in found[k].items()}
    cx.looked = began
    return warnings


def plan(
    wish: Iterable[Resource[T, Any]],
    kinds: Sequence[type[Resource[T, Any]]],
    cx: Ctx[T],
    *,
    destroy: bool = False,
    prune: bool = True,
    threads: int = 16,
) -> Plan:
    """What has to be done to make ``wish`` true; with ``destroy`` the wish is empty and sweeps are
    planned.

    ``kinds`` in creation order. Raises ``Immutable`` for what the profile cannot have, ``NotOurs``,
    and whatever a look raised. ``cx.seen`` holds the states afterwards.
    """
    cx.destroying = destroy
    looked = [k for k in kinds if destroy or not k.only_on_destroy]
    warnings = look(looked, cx, destroy=destroy, threads=threads)
    if destroy:
        _unguarded(looked, cx)
    wished = closure(wish)
    cx.seen |= {
        resource.key: resource.state for resource in wished if isinstance(resource, Existing)
    }
    steps: list[Step] = []
    refused: list[Immutable] = []
    for resource in wished:
        try:
            steps.append(_step(resource, cx))
        except Immutable as error:
            refused.append(error)
    if refused:
        raise refused[0] if len(refused) == 1 else _all(refused)
    keys = frozenset(step.key for step in steps)
    orphans: dict[Kind, list[str]] = {k: [] for k in looked}
    kept: list[Kept] = []
    for kind in looked:
        for key, state in cx.seen.items():
            if key.partition("/")[0] != kind.kind or key in keys:
                continue
            if reason := kind.kept(state):
                kept.append(Kept(key, reason, state))
            else:
                orphans[kind].append(key)
    if not (destroy or prune):
        orphans = {k: [] for k in looked}
    # what could not be looked at now would be waited for in vain
    dead = {finding.where for finding in warnings}
    removals, barriers = _removals(
        [kind for kind in looked if kind.kind not in dead], orphans, keys, destroy
    )
    return Plan((*steps, *removals), tuple(kept), tuple(warnings), barriers)


def _unguarded(kinds: Sequence[Kind], cx: Ctx[Any]) -> None:
    """Raise ``Rejected`` if something must not be destroyed, before anything is."""
    for kind in kinds:
        for key, state in cx.seen.items():
            if key.partition("/")[0] == kind.kind and (reason := kind.guarded(state)):
                raise Rejected(reason.what, where=key, hint=reason.hint)


def _removals(
    kinds: Sequence[Kind], orphans: Mapping[Kind, list[str]], keys: frozenset[str], destroy: bool
) -> tuple[list[Step], dict[str, frozenset[str]]]:
    """Deletions by reverse order of kinds, parallel inside a kind: each kind waits for the one
    after it.
    """
    going = {k.kind for k in kinds if orphans[k]}
    barriers = {"barrier/wish": keys}
    before = "barrier/wish"
    steps: list[Step] = []
    for kind in reversed(kinds):
        deps = frozenset({before})
        if kind.only_on_destroy:
            if not destroy:
                continue
            here = [Step("sweep", f"{kind.kind}/*", kind, deps=deps, found=len(orphans[kind]))]
        elif kind.dies_with in going:
            continue
        else:
            here = [Step("delete", key, kind, deps=deps) for key in orphans[kind]]
        if here:
            steps += here
            before = f"barrier/{kind.kind}"
            barriers[before] = frozenset(step.key for step in here)
    return steps, barriers


def _step(resource: Resource[Any, Any], cx: Ctx[Any]) -> Step:
    have = cx.seen.get(resource.key)
    deps = frozenset(needed.key for needed in resource.needs())
    kind = type(resource)
    if have is None:
        return Step("create", resource.key, kind, resource, deps=deps)
    try:
        if not resource.ready(have):
            return Step("wait", resource.key, kind, resource, deps=deps)
    except Rejected as error:
        if not error.remake:
            raise
        return Step("replace", resource.key, kind, resource, deps=deps, why=str(error))
    try:
        changes = tuple(resource.diff(cx, have))
    except Absent as needed:
        changes = (Change(str(needed), "-", "known after it is made"),)
    refuse(resource, changes)
    if any(change.how == "replace" for change in changes):
        return Step("replace", resource.key, kind, resource, changes, deps, why="cannot be changed")
    return Step("update" if changes else "keep", resource.key, kind, resource, changes, deps)


def refuse(resource: Resource[Any, Any], changes: Iterable[Change]) -> None:
    """Raise ``Immutable`` if any of the changes cannot be made."""
    refused = [change for change in changes if change.how == "refuse"]
    if not refused:
        return
    cures = [change.why for change in refused if change.why]
    raise Immutable(
        "cannot be changed in place: " + "; ".join(map(str, refused)),
        where=resource.key,
        hint="; ".join(cures) or "change the profile back, or destroy the cluster and make it anew",
    )


def _all(refused: Sequence[Immutable]) -> Immutable:
    """Every refusal in one error, so that the user hears of all of them at once."""
    hints = dict.fromkeys(error.hint for error in refused)
    return Immutable("\n".join(map(str, refused)), hint="; ".join(hints))
