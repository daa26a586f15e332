"""What a driver's clients remember for the life of the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Memory:
    """Answers that take a request for each thing to find out."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def recall(self, key: str, read: Callable[[], T]) -> T:
        """What ``read`` found out, asked once per process; anew after ``forget``, which every
        change of the thing calls.
        """
        if key not in self._known:
            self._known[key] = read()
        found: T = self._known[key]
        return found

    def forget(self, key: str) -> None:
        """The thing is being changed."""
        self._known.pop(key, None)
