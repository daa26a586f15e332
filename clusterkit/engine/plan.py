"""Look and compare, change nothing: ``up`` is the plan of a desired state, ``destroy`` that of an
empty one.

The plan predicts; the reconcile loop looks again and decides.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID, uuid4

from clusterkit.engine import backoff, ownership, removal, successor
from clusterkit.engine.cloud_lock import PREFIX
from clusterkit.engine.compare import differences, refuse, usable
from clusterkit.engine.edit import Edit
from clusterkit.engine.events import Op
from clusterkit.engine.inventory import Inventory, Named
from clusterkit.engine.kind import AnyKind, Env, Existing, Kind, Leftover, closure
from clusterkit.engine.look import look
from clusterkit.engine.scheduler import Scheduler
from clusterkit.engine.scope import Scope
from clusterkit.engine.seen import hint, reason
from clusterkit.engine.step import Kept, Step
from clusterkit.errors import (
    Absent,
    CloudError,
    ClusterkitError,
    Finding,
    Gone,
    Immutable,
    NotOurs,
    Propagating,
    Retryable,
)
from clusterkit.naming import CLUSTER, OWNER


@dataclass(frozen=True)
class Snapshot:
    """What the look of a plan saw."""

    run: UUID
    states: Mapping[str, Any]
    """key to state, of what exists once and of what is used without being ours"""
    turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    """held while the plan is applied"""

    def tags(self, cluster: str) -> dict[str, Mapping[str, str]]:
        """Those of the cluster's own things, by key: the network that they are in may be another
        cluster's, and what a lock lies in is made for the lock.
        """
        every = {key: getattr(state, "tags", None) or {} for key, state in self.states.items()}
        mine = (key for key, tags in every.items() if tags.get(CLUSTER) == cluster)
        return {key: every[key] for key in mine if PREFIX not in every[key]}

    def owners(self, cluster: str) -> set[str]:
        """The CloudClusters that its things belong to, as their tags say."""
        return {tags[OWNER] for tags in self.tags(cluster).values() if OWNER in tags}


@dataclass(frozen=True)
class Plan:
    """The steps in an order they may run in, and what the look found besides."""

    steps: tuple[Step, ...]
    snapshot: Snapshot
    kept: tuple[Kept, ...] = ()
    blocked: tuple[Kept, ...] = ()
    """what destroy cannot delete, because what is not ours is in the way"""
    warnings: tuple[Finding, ...] = ()
    barriers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    destroy: bool = False

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
        """Seconds of the real cloud that the critical path usually takes."""
        ends: dict[str, float] = {}
        deps = {step.key: step.deps for step in self.steps} | dict(self.barriers)
        takes = {step.key: step.typical for step in self.steps}
        for key in TopologicalSorter(deps).static_order():
            before = max((ends[dep] for dep in deps.get(key, ())), default=0.0)
            ends[key] = before + takes.get(key, 0.0)
        return max(ends.values(), default=0.0)


def plan(
    wish: Iterable[Kind[Any, Any]],
    kinds: Sequence[AnyKind],
    scope: Scope[Any],
    *,
    scale: float = 1.0,
    run: UUID | None = None,
    destroy: bool = False,
    prune: bool = True,
    threads: int = 16,
) -> Plan:
    """What has to be done to reach the desired state; with ``destroy`` that is an empty one, and
    leftovers are swept.

    ``kinds`` in creation order. Raises ``Immutable`` for what the profile cannot have, ``NotOurs``
    for what is not ours, and whatever a look raised.
    """
    run, scope = run or uuid4(), replace(scope, destroying=destroy)
    looked = [k for k in kinds if destroy or not isinstance(k, Leftover)]
    inventory = Inventory(scope, scale=scale)
    seen = look(looked, inventory, scale=scale, threads=threads)
    wanted = closure(wish)  # may wait for preflight, which runs beside the look
    for each in wanted:
        if (refusal := seen.denied.get(type(each))) is not None:
            raise refusal
    if destroy:
        removal.check_guards(seen.found)
        removal.check_denied(seen.found, seen.denied)
    wished = [w for w in wanted if w.kind not in seen.unreached]
    states = _single(seen.found)
    states |= {w.key: w.state for w in wished if isinstance(w, Existing)}
    env = Env(scope.client, scope.cluster, scope.region, run, scale, states, place=scope.place)
    twins = {} if destroy else _twins(seen.found)
    denied = {kind.kind for kind in seen.denied}
    warnings = [
        finding if destroy or finding.where in denied else _left_out(finding)
        for finding in seen.warnings
    ]
    try:
        single = [w for w in wished if w.key not in twins]
        steps, taken = _steps(single, env, warnings, threads)
    except ClusterkitError:
        if twins:  # what they are compared with may be missing for that reason alone
            raise ownership.all_of([*twins.values()]) from None
        raise
    missing = [step.key for step in steps if step.op == "create"]
    errors = [*twins.values(), *taken, *ownership.orphans(wished, seen.found, missing)]
    if errors:
        raise ownership.all_of(errors)
    keys = frozenset(step.key for step in steps)
    kept = ownership.strangers(seen.found) if destroy else []
    # what could not be compared is left out, and wanted all the same
    wanted_keys = frozenset(each.key for each in wanted)
    surplus = removal.surplus(looked, seen.found, wanted_keys, kept)
    if not (destroy or prune):
        surplus = {kind: [] for kind in looked}
    surplus, blocked, verdict = removal.blocked(
        surplus, seen.found, scope, scale=scale, threads=threads
    )
    warnings += verdict.warnings
    rows = frozenset(kind.kind for kind in looked if isinstance(kind, Leftover)) - verdict.kinds
    if not destroy:
        warnings += [Finding(f"stays: {k.reason}", where=k.key, hint=k.hint) for k in blocked]
    reached = [kind for kind in looked if kind.kind not in seen.unreached]
    stay = frozenset(each.key for each in blocked)
    removals, barriers = removal.steps(reached, surplus, keys, rows, stay)
    snapshot = Snapshot(run, states)
    everything = successor.explained((*steps, *removals), seen.found)
    return Plan(everything, snapshot, tuple(kept), blocked, tuple(warnings), barriers, destroy)


def _single(found: Mapping[AnyKind, Named]) -> dict[str, Any]:
    return {
        f"{kind.kind}/{name}": states[0]
        for kind, named in found.items()
        for name, states in named.items()
        if len(states) == 1 and not isinstance(kind, Leftover)
    }


def _twins(found: Mapping[AnyKind, Named]) -> dict[str, NotOurs]:
    """Key to error, of every name that several things have."""
    return {
        f"{kind.kind}/{name}": ownership.twins(kind, name, states)
        for kind, named in found.items()
        for name, states in named.items()
        if len(states) > 1
    }


def _left_out(finding: Finding) -> Finding:
    what = f"left out of this plan, because it cannot be listed: {finding.what}"
    return Finding(what, where=finding.where, hint=finding.hint)


def _steps(
    wished: Sequence[Kind[Any, Any]], env: Env[Any], warnings: list[Finding], threads: int
) -> tuple[list[Step], list[NotOurs]]:
    """A step for each resource, compared in parallel, and the names that others have taken."""
    scheduler = Scheduler(threads, place=env.place)
    steps: dict[str, Step] = {}
    refused: list[Immutable] = []
    taken: list[NotOurs] = []
    failed: list[Exception] = []

    def ask(wish: Kind[Any, Any], attempt: int = 1) -> None:
        def then(step: Any, error: Exception | None) -> None:
            if error is None:
                steps[wish.key] = step
            elif isinstance(error, Immutable):
                refused.append(error)
            elif isinstance(error, NotOurs):
                error.where = error.where or wish.key
                taken.append(error)
            elif isinstance(error, Retryable) and attempt <= backoff.COMPARE_TRIES:
                wait = backoff.delay(attempt, error.after, env.scale)
                scheduler.later(wait, lambda: ask(wish, attempt + 1))
            elif wish.optional and isinstance(error, CloudError):
                what = f"left out of this plan: {error.what}"
                warnings.append(Finding(what, where=wish.key, hint=error.hint))
            else:
                failed.append(error)

        scheduler.call(lambda: _step(wish, env), then)

    for wish in wished:
        ask(wish)
    scheduler.run()
    if failed:
        raise failed[0]
    if refused:
        raise refused[0] if len(refused) == 1 else _all(refused)
    ordered = [steps[wish.key] for wish in wished if wish.key in steps]
    for step in ordered:
        kind, have = step.kind, env.states.get(step.key)
        if have is not None and not isinstance(kind, Leftover) and have.status in kind.unhealthy:
            warnings.append(Finding(reason(have), where=step.key, hint=hint(have)))
        if have is not None and not isinstance(kind, Leftover) and usable(kind, have):
            told = kind.noted(have)
            warnings += [Finding(each.what, each.where or step.key, each.hint) for each in told]
    return ordered, taken


def _step(wish: Kind[Any, Any], env: Env[Any]) -> Step:
    have = env.states.get(wish.key)
    deps = frozenset(needed.key for needed in wish.needs())
    kind = type(wish)

    def step(op: Op, changes: tuple[Edit, ...] = (), why: str = "") -> Step:
        return Step(op, wish.key, kind, wish, changes, deps, why=why, name=wish.name)

    if have is None:
        holder = None
        if not _homeless(wish, env):
            # what it lies in does not exist yet, or does not know yet who asks
            with suppress(Absent, Gone, Propagating):
                holder = wish.taken(env)
        if holder is not None and not _listed_soon(wish, env, holder):
            raise ownership.not_ours(wish, holder.id)
        return step("create")
    if have.status in kind.failed:
        return step("replace", why=reason(have))
    if not usable(kind, have):
        return step("wait")
    try:
        edits = tuple(differences(wish, env, have))
    except Absent as needed:
        edits = (Edit(str(needed), None, "known after it is created", _later),)
    refuse(wish, edits)
    if any(edit.replace for edit in edits):
        return step("replace", edits, why="cannot be changed in place")
    return step("update" if edits else "keep", edits)


def _homeless(wish: Kind[Any, Any], env: Env[Any]) -> bool:
    """Whether what it lies in does not exist, so that nothing there has its name."""
    homes = (needed for needed in wish.needs() if needed.kind == wish.dies_with)
    return any(home.key not in env.states for home in homes)


def _listed_soon(wish: Kind[Any, Any], env: Env[Any], holder: Any) -> bool:
    """Whether it carries our tags, so that the list only lags behind."""
    ours = (holder.tags or {}).get(CLUSTER) == env.cluster
    return ours and wish.name_of(holder) == wish.name


def _later() -> None:
    """Stands for the call of an edit that only the run can make."""


def _all(refused: Sequence[Immutable]) -> Immutable:
    """Every refusal in one error, so that the user hears of all of them at once."""
    hints = dict.fromkeys(error.hint for error in refused)
    return Immutable("\n".join(map(str, refused)), hint="; ".join(hints))
