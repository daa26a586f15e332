"""What a page shows of one cluster: collected while a plan runs, or from what exists."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from clusterkit.cluster import Kept, Observation, Plan
from clusterkit.engine.events import (
    Event,
    Op,
    RunEnded,
    RunStarted,
    StepDone,
    StepFailed,
    StepNoted,
    StepRetried,
    StepStarted,
    StepStopped,
    Warned,
)
from clusterkit.engine.seen import about
from clusterkit.engine.words import done_word, verb
from clusterkit.errors import Finding

Tone = Literal["good", "bad", "late", "same", "idle"]
"""reached, failed, needs a look, left as it was, not there yet"""


@dataclass
class Thing:
    """A resource, and what happened to it; times are seconds since the run began."""

    key: str
    op: Op = "keep"
    word: str = "unchanged"
    tone: Tone = "same"
    id: str = ""
    about: str = ""
    needs: frozenset[str] = frozenset()
    begin: float | None = None
    end: float = 0.0
    typical: float = 0.0
    said: list[tuple[float, str]] = field(default_factory=list)
    retries: list[tuple[float, float, str]] = field(default_factory=list)
    """when, how long until the next try, and why"""
    idle: bool = False
    """a sweep that found nothing"""

    @property
    def kind(self) -> str:
        """The vendor's noun."""
        return self.key.partition("/")[0]

    @property
    def name(self) -> str:
        """The name within the kind."""
        return self.key.partition("/")[2]

    @property
    def seconds(self) -> float:
        """How long it took; 0 for what did not begin."""
        return 0.0 if self.begin is None else self.end - self.begin


@dataclass
class Picture:
    """One cluster on a page."""

    label: str
    where: tuple[str, ...] = ()
    """cloud, region and account, as far as they are known"""
    word: str = ""
    """how it ended: ``up``, ``failed``, …"""
    tone: Tone = "same"
    things: dict[str, Thing] = field(default_factory=dict)
    errors: Sequence[BaseException] = ()
    warnings: list[Finding] = field(default_factory=list)
    stay: list[Kept] = field(default_factory=list)
    """what a destroy keeps, and what it cannot delete"""
    began: datetime | None = None
    start: float = 0.0
    """``time.monotonic()`` of its beginning, to compare it with others"""
    seconds: float = 0.0
    scale: float = 1.0
    """how long a second of the real cloud lasted here"""


class Recording:
    """Takes the events of a cluster's run, on one thread, and keeps what a page shows of them."""

    def __init__(self, picture: Picture, clock: Callable[[], float] = time.monotonic) -> None:
        self.picture = picture
        self._clock = clock

    def plan(self, plan: Plan) -> None:
        """What is to be done; a later plan takes its place."""
        shown = self.picture
        shown.warnings = list(plan.warnings)
        shown.stay = [*plan.blocked, *plan.kept]
        shown.things = planned(plan)

    def __call__(self, event: Event) -> None:
        """Take the event into account."""
        shown = self.picture
        now = self._clock() - shown.start
        thing = shown.things.get(getattr(event, "key", ""))
        match event:
            case RunStarted():
                shown.start, shown.began = self._clock(), local_time()
            case Warned(where, what):
                shown.warnings.append(Finding(what, where=where))
            case RunEnded():
                self._end(now)
            case _:
                if thing is not None:
                    self._step(thing, event, now)

    def _step(self, thing: Thing, event: Event, now: float) -> None:
        match event:
            case StepStarted(_, op, typical):
                thing.begin, thing.typical = now, typical
                thing.word, thing.tone = verb(op), "late"
            case StepNoted(_, note):
                thing.said.append((now, note))
            case StepRetried(_, reason, delay):
                thing.retries.append((now, delay, reason))
            case StepDone(_, op, _, note):
                thing.word = " ".join(filter(None, (done_word(op), note)))
                thing.id = event.id or thing.id
                self._over(thing, now, "good")
                thing.idle = op == "sweep" and note in ("", "none")
            case StepFailed(_, _, _, error):
                thing.word = "failed"
                thing.said.append((now, str(error)))
                self._over(thing, now, "bad")
            case StepStopped(_, note):
                thing.word = "left out" if note == "left out" else "stopped"
                thing.said.append((now, note))
                self._over(thing, now, "late")
            case RunStarted() | Warned() | RunEnded():
                return

    def _over(self, thing: Thing, now: float, tone: Tone) -> None:
        thing.end, thing.tone = now, tone
        self.picture.seconds = max(self.picture.seconds, now)

    def _end(self, now: float) -> None:
        self.picture.seconds = now
        for thing in self.picture.things.values():
            if thing.begin is not None and not thing.end:
                thing.word, thing.end = "stopped", now


def planned(plan: Plan) -> dict[str, Thing]:
    """The things of a plan, each with the ones it waits for."""
    deps: dict[str, Collection[str]] = {step.key: step.deps for step in plan.steps}
    things = {}
    for step in plan.steps:
        have = plan.snapshot.states.get(step.key)
        same = step.op == "keep" or not step.found
        things[step.key] = Thing(
            step.key,
            step.op,
            "unchanged" if step.op == "keep" else "none found" if same else "not begun",
            "same" if same else "idle",
            idle=not step.found,
            id=step.id or str(getattr(have, "id", "")),
            about="; ".join(filter(None, (about(step), *map(str, step.changes), step.why))),
        )
    for thing in things.values():
        thing.needs = _through(thing.key, deps, plan.barriers, things.keys()) - {thing.key}
    return things


def without_idle(things: Mapping[str, Thing]) -> dict[str, Thing]:
    """Without sweeps that found nothing; what waited for one now waits for what it waited for."""
    shown = {key: each for key, each in things.items() if not each.idle}
    needs = {key: each.needs for key, each in things.items()}
    return {
        key: replace(each, needs=_through(key, needs, {}, shown.keys()))
        for key, each in shown.items()
    }


def _through(
    key: str,
    deps: Mapping[str, Collection[str]],
    barriers: Mapping[str, Collection[str]],
    shown: Collection[str],
) -> frozenset[str]:
    """What comes before it, barriers and what is not shown resolved to what is."""
    found, seen, left = set[str](), set[str](), list(deps.get(key, ()))
    while left:
        each = left.pop()
        if each in seen:
            continue
        seen.add(each)
        if each in shown:
            found.add(each)
        else:
            left += [*barriers.get(each, ()), *deps.get(each, ())]
    return frozenset(found)


def observed(found: Observation, plan: Plan | None) -> dict[str, Thing]:
    """The things that exist. Compared with a profile (``plan``), what it lacks and what differs is
    among them; without one, a thing needs those whose ids its state names.
    """
    things: dict[str, Thing] = {}
    seen: list[tuple[str, str]] = []
    for each in found.things:
        twin = each.key in things
        key = f"{each.key} ({each.id})" if twin else each.key
        tone: Tone = "good" if each.ready and not twin else "late"
        thing = Thing(key, "keep", each.status, tone, id=each.id, about=about(each.state))
        names = frozenset(_words(each.state))
        thing.needs = frozenset(
            other for other, id in seen if any(n == id or n.endswith(f"/{id}") for n in names)
        )
        things[key] = thing
        seen.append((key, each.id))
    for key, wished in planned(plan).items() if plan else ():
        there = things.setdefault(key, wished)
        if wished.op == "create":
            there.word, there.tone, there.needs = "missing", "idle", wished.needs
        elif wished.op != "delete":
            there.needs = wished.needs
            there.about = wished.about or there.about
            if wished.op in ("update", "replace"):
                there.word, there.tone = f"{there.word}, to {wished.op}", "late"
    return things


def _words(state: object) -> Iterable[str]:
    """Every text in a state, but its tags."""
    if isinstance(state, str):
        yield state
    elif isinstance(state, Mapping):
        for key, value in state.items():
            if key != "tags":
                yield from _words(value)
    elif isinstance(state, list | tuple | set | frozenset):
        for value in state:
            yield from _words(value)
    elif is_dataclass(state):
        yield from _words({part.name: getattr(state, part.name) for part in fields(state)})


def local_time() -> datetime:
    """The time of day on this machine, with its zone."""
    return datetime.now(UTC).astimezone()
