"""What a run says: frozen dataclasses, handed to one renderer, in order and from one thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Op = Literal["create", "update", "replace", "wait", "keep", "delete", "sweep"]


@dataclass(frozen=True)
class RunStarted:
    """A run begins; ``steps`` are the ones with something to do, in an order they may run in."""

    action: Literal["up", "destroy"]
    cluster: str
    run_id: str
    steps: tuple[tuple[str, Op], ...]


@dataclass(frozen=True)
class StepStarted:
    """A step's edges are ready and it begins; ``typical`` is in seconds here (already scaled), 0
    unknown.
    """

    key: str
    op: Op
    typical: float = 0.0


@dataclass(frozen=True)
class StepNoted:
    """What the step is doing now: ``creating``, the cloud's own status, a count."""

    key: str
    note: str


@dataclass(frozen=True)
class StepRetried:
    """A call failed in a way worth another try, ``delay`` seconds from now."""

    key: str
    reason: str
    delay: float


@dataclass(frozen=True)
class StepDone:
    """The step has reached its desired state."""

    key: str
    op: Op
    seconds: float
    note: str = ""
    id: str = ""
    """the cloud's, of what is there now"""


@dataclass(frozen=True)
class StepFailed:
    """The step ended with an error; nothing that needs it starts."""

    key: str
    op: Op
    seconds: float
    error: Exception


@dataclass(frozen=True)
class StepStopped:
    """The run ended while this step waited; ``note`` says what goes on in the cloud without us."""

    key: str
    note: str


@dataclass(frozen=True)
class Warned:
    """Something the user should know that stops nothing."""

    where: str
    what: str


@dataclass(frozen=True)
class RunEnded:
    """The run is over."""

    action: Literal["up", "destroy"]
    cluster: str
    done: int
    failed: int
    stopped: int
    seconds: float


Event = (
    RunStarted
    | StepStarted
    | StepNoted
    | StepRetried
    | StepDone
    | StepFailed
    | StepStopped
    | Warned
    | RunEnded
)
Emit = Callable[[Event], None]
