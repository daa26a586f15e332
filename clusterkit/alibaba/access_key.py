"""The key of the moment: as it was found, or of a role assumed with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from clusterkit.alibaba import credentials
from clusterkit.alibaba.credentials import Key, Source
from clusterkit.engine.target import CloudConnection, Target

EARLY = timedelta(minutes=5)
"""how long before its end an assumed role is assumed again"""

Assume = Callable[[Source], tuple[Key, datetime]]
"""what assuming a role gives, and when that ends"""


class Keyring:
    """Whose calls they are; nothing is read before the first key is asked for."""

    def __init__(self, target: Target, wire: CloudConnection, assume: Assume) -> None:
        self._target = target
        self._wire = wire
        self._assume = assume
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._key: tuple[Key, datetime | None] | None = None

    def hold(self, key: Key) -> None:
        """This very key, for good."""
        self._key = key, None

    def key(self) -> Key:
        """The key to sign with; an assumed role is assumed again before its time is over."""
        with self._lock:
            now = datetime.now(UTC)
            if self._key is None or (self._key[1] is not None and now >= self._key[1] - EARLY):
                self._key = self._find()
            return self._key[0]

    def _find(self) -> tuple[Key, datetime | None]:
        if self._source is None:
            given = self._wire.environ
            environ = given or credentials.process_environment()
            name = self._target.cloud_profile
            self._source = credentials.find(name, environ, only=bool(given) and name is None)
        return self._assume(self._source) if self._source.role else (self._source.key, None)
