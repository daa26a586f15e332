"""What a run does for the decisions about its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from clusterkit.engine.operation import Operation
from clusterkit.engine.task import Task
from clusterkit.errors import Retryable


class Actions(Protocol):
    """What the run does for a decision."""

    def now(self) -> float:
        """Seconds on the run's clock."""

    def call(
        self,
        task: Task,
        function: Callable[[], object],
        then: Callable[[Task, Any, Exception | None], None],
    ) -> None:
        """Run ``function`` on a worker, then ``then(task, result, error)``."""

    def wait(self, task: Task, delay: float | None = None, note: str = "") -> None:
        """Look at the task again in ``delay`` seconds, or when a poll is due."""

    def operate(self, task: Task, operation: Operation[Any]) -> None:
        """Poll the operation to its end, then look."""

    def again(self, task: Task, error: Retryable) -> None:
        """The call is worth another try, after a look."""

    def note(self, task: Task, note: str) -> None:
        """Say what the task is doing."""

    def done(self, task: Task, note: str = "") -> None:
        """The task's desired state is reached."""

    def fail(self, task: Task, error: Exception) -> None:
        """The task has failed."""

    def sweep_again(self) -> None:
        """Something is in the way of a delete."""
