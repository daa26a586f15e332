"""No change leaves without the lock it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterkit.engine.exchange import Exchange, Observe

if TYPE_CHECKING:
    from clusterkit.engine.lock import Lock


class Fence:
    """Each request passes it before it leaves: no change without the lock it needs."""

    def __init__(self, tell: Observe) -> None:
        """``tell`` is told of each request that passed, and of its answer."""
        self._tell = tell
        self.lock: Lock | None = None
        """the lock that changes need now; the driver's clients hold the fence, so it is no longer
        than a run here
        """

    @property
    def held_here(self) -> bool:
        """Whether this thread holds the lock."""
        return self.lock is not None and self.lock.of_this_thread

    def drop(self, lock: Lock) -> None:
        """Changes do not need this lock any more; another one, taken since, they do."""
        if self.lock is lock:
            self.lock = None

    def __call__(self, exchange: Exchange) -> None:
        """``Locked`` for a change whose lock another run has."""
        if self.lock is not None and exchange.mutating and exchange.phase == "before":
            self.lock.check()
        self._tell(exchange)
