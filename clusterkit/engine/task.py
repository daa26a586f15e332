"""What the engine remembers of one step while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clusterkit.engine import backoff
from clusterkit.engine.events import Op
from clusterkit.engine.kind import AnyKind, Kind, Leftover
from clusterkit.engine.operation import Operation
from clusterkit.engine.step import Step
from clusterkit.errors import ClusterkitError, Propagating, Retryable, TimedOut


@dataclass(eq=False)
class Task:
    """One step under way; touched only by the scheduler's thread."""

    step: Step
    started: float
    limit: float
    """seconds without any change until it has timed out"""
    since: float
    """when the wait it is in began"""
    changed: float
    """when anything last changed"""
    removing: bool = False
    """on the way to not being there (delete, and the first half of a replacement)"""
    began: float = 0.0
    """when the cloud took up the create or delete whose effect is awaited"""
    typical: float = 0.0
    """seconds of the real cloud that this usually takes; 0 unknown"""
    asked: float | None = None
    """when the create or delete was accepted whose effect is awaited"""
    made: bool = False
    """created by this run"""
    unsure: bool = False
    """a create may have had its effect although it failed"""
    appeared: bool = False
    last: Any = None
    """the state last seen"""
    operation: Operation[Any] | None = None
    """in progress in the cloud"""
    updates: int = 0
    """since the number of differences was last smaller than ever"""
    fewest: int | None = None
    """the smallest number of differences seen"""
    target: Any = None
    """the state that the last accepted delete was made for"""
    left: bool = False
    """has been seen being deleted since"""
    failures: int = 0
    """deletes that ended in a failed state"""
    attempts: int = 0
    unlisted: float | None = None
    """since when a create is answered that the name is taken, while nothing of ours is listed"""
    propagating: float | None = None
    """since when it is answered that something else does not exist yet"""
    settled_after: float = 0.0
    due: float = 0.0
    not_before: float = 0.0
    note: str = ""
    trouble: Retryable | None = None
    """why the last call was tried again; of an operation, the last poll"""
    unprotected: bool = False
    finished: bool = False
    """a sweep that is done stays at hand: a later delete that finds something in the way wakes it
    """
    calling: int = 0
    swept: set[str] = field(default_factory=set)
    removed: int = 0

    def expect(self, now: float, typical: float) -> None:
        """From now on it waits for what usually takes ``typical`` seconds of the real cloud."""
        self.began, self.typical = now, typical

    def poll(self, now: float, scale: float) -> float:
        """Seconds until it is worth another look."""
        waited, early = now - (self.began if self.typical else self.since), self.kind.takes.early
        return backoff.poll(waited, scale, self.typical, early)

    def late(self, now: float, scale: float) -> ClusterkitError | None:
        """Why it is given up, if nothing has changed for too long."""
        limit, trouble = self.limit, self.trouble
        away = trouble is not None and not isinstance(trouble, Propagating)
        if self.kind.optional and self.op != "sweep" and away:
            limit = min(limit, backoff.deadline(backoff.OPTIONAL_PATIENCE, scale))
        if isinstance(trouble, Propagating) and self.op != "sweep":
            limit += self.type.propagation * scale  # which has a bound of its own
        still = now - self.changed
        if still <= limit:
            return None
        if self.kind.optional and trouble is not None:
            return trouble
        what = f"timed out: nothing changed for {still / 60:.0f} min; last seen: {self.note}"
        if self.operation is not None and trouble is not None:
            what += f", and since then: {trouble}"
        hint = "nothing is lost: the same command again continues"
        return TimedOut(what, where=self.key, hint=hint)

    @property
    def key(self) -> str:
        """The step's key."""
        return self.step.key

    @property
    def op(self) -> Op:
        """What the plan predicted."""
        return self.step.op

    @property
    def kind(self) -> AnyKind:
        """The resource's class, or the row of the leftovers."""
        return self.step.kind

    @property
    def type(self) -> type[Kind[Any, Any]]:
        """The resource's class; only for steps that are no sweep."""
        if isinstance(self.step.kind, Leftover):
            raise TypeError(f"{self.key} is a sweep")
        return self.step.kind

    @property
    def row(self) -> Leftover[Any]:
        """The row of the leftovers; only for sweeps."""
        if not isinstance(self.step.kind, Leftover):
            raise TypeError(f"{self.key} is no sweep")
        return self.step.kind

    @property
    def wish(self) -> Kind[Any, Any]:
        """The resource to converge to; only for steps that have one."""
        if self.step.wish is None:
            raise ValueError(f"{self.key} has no desired state")
        return self.step.wish
