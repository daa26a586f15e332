"""What the engine remembers of one step while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from clusterkit.engine.events import Op
from clusterkit.engine.plan import Kind, Step
from clusterkit.engine.resource import Resource


@dataclass(eq=False)
class Task:
    """One step under way; touched only by the loop's thread."""

    step: Step
    started: float
    deadline: float
    since: float
    """when the wait it is in began"""
    removing: bool = False
    """on the way to not being there (delete, and the first half of a replacement)"""
    served: bool = False
    """has been shown a look"""
    asked: bool = False
    """a create or delete was accepted and its effect is awaited"""
    made: bool = False
    """created by this run"""
    unsure: bool = False
    """a create may have had its effect although it failed"""
    appeared: bool = False
    updates: int = 0
    """since the number of differences last shrank"""
    differences: int = 0
    refusals: int = 0
    attempts: int = 0
    settled_after: float = 0.0
    due: float = 0.0
    not_before: float = 0.0
    note: str = ""
    finished: bool = False
    """a sweep that is done stays at hand: a later delete that finds something in the way wakes it
    """
    calling: int = 0
    swept: set[str] = field(default_factory=set)
    removed: int = 0

    @property
    def key(self) -> str:
        """The step's key."""
        return self.step.key

    @property
    def op(self) -> Op:
        """What the plan predicted."""
        return self.step.op

    @property
    def kind(self) -> Kind:
        """The resource's class."""
        return self.step.kind

    @property
    def name(self) -> str:
        """The resource's name within its kind."""
        return self.key.partition("/")[2]

    @property
    def wish(self) -> Resource[object, object]:
        """The resource to converge to; only for steps that have one."""
        if self.step.wish is None:
            raise ValueError(f"{self.key} has no wish")
        return self.step.wish
