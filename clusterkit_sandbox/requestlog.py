"""The request log, for tests, benchmarks and users.

It keeps names and numbers only: bodies, headers and query strings contain keys, tokens and
signatures.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from fnmatch import fnmatchcase

_KEPT = 20_000
_NAMES = 2_000
_OTHER = "other:Other"


@dataclass(frozen=True)
class Entry:
    """One request."""

    at: float
    """when it was answered, seconds since the epoch"""
    emulator: str
    """the emulator's name: ``eks``"""
    operation: str
    """``ec2:CreateVpc``"""
    status: int
    """the HTTP status; 0 when the answer was lost on purpose"""
    seconds: float
    """from the end of the request to the complete response"""
    user_agent: str
    """the first 200 characters"""


class RequestLog:
    """The last requests and the number of calls of each operation. Thread-safe.

    The last 20,000 requests are kept. The counts cover all requests since ``clear()``, for up to
    2,000 operations; calls of any others are counted as ``other:Other``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._counts: Counter[str] = Counter()

    def add(
        self, emulator: str, operation: str, status: int, seconds: float, user_agent: str
    ) -> None:
        """Record one answered request."""
        entry = Entry(time.time(), emulator, operation, status, seconds, user_agent[:200])
        with self._lock:
            self._entries.append(entry)
            known = operation in self._counts or len(self._counts) < _NAMES
            self._counts[operation if known else _OTHER] += 1

    def count(self, pattern: str = "*") -> int:
        """The number of requests for operations that match (``ec2:Describe*``, case-sensitive)."""
        with self._lock:
            return sum(n for name, n in self._counts.items() if fnmatchcase(name, pattern))

    def entries(self) -> list[Entry]:
        """The requests kept, oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Remove all entries and counts."""
        with self._lock:
            self._entries.clear()
            self._counts.clear()
