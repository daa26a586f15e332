"""The buckets of Kubernetes Service: how many requests it takes at once, and how fast they refill.

"Throttling limits on AKS resource provider APIs" (facts/azure.tsv): per cluster, per agent pool, or
per subscription and region. They refill in keeping with the pace. What runs over is answered 429
with ``Retry-After``; the words are recorded for a PUT of a cluster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from clusterkit_sandbox.azure.failure import refusal
from clusterkit_sandbox.azure.running import wait
from clusterkit_sandbox.kit.life import Clock


@dataclass(frozen=True)
class _Limit:
    """A bucket's size, and the requests that it regains in a second."""

    size: int
    rate: float
    handler: str
    of_subscription: bool = False


_LIMITS: Mapping[str, _Limit] = {
    "containerservice:AgentPools_CreateOrUpdate": _Limit(20, 1 / 60, "PutAgentPoolHandler.PUT"),
    "containerservice:ManagedClusters_CreateOrUpdate": _Limit(
        20, 1 / 60, "PutManagedClusterHandler.PUT"
    ),
    "containerservice:ManagedClusters_Get": _Limit(60, 1.0, "GetManagedClusterHandler.GET"),
    "containerservice:OperationStatuses_Get": _Limit(
        200, 2.0, "GetOperationStatusHandler.GET", of_subscription=True
    ),
}


class Buckets:
    """The buckets of the account. Call it with the store's lock held."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: dict[tuple[str, str], tuple[float, float]] = {}
        """(operation, resource) to what was left, and when"""

    def clear(self) -> None:
        """Fill every bucket."""
        self._left.clear()

    def take(self, operation: str, path: str, subscription: str) -> None:
        """Count a request; ``Failure`` if the bucket of what it is about is empty."""
        limit = _LIMITS.get(operation)
        pace = self._clock.pace
        if limit is None or math.isinf(pace.factor):
            return
        key = (operation, subscription if limit.of_subscription else path.lower())
        now, rate = self._clock.now, limit.rate * pace.factor
        left, since = self._left.get(key, (float(limit.size), now))
        left = min(float(limit.size), left + (now - since) * rate)
        if left >= 1:
            self._left[key] = (left - 1, now)
            return
        self._left[key] = (left, now)
        seconds = (1 - left) / rate
        raise refusal(
            "Throttled",
            headers=wait(seconds),
            what=limit.handler,
            subscription=subscription,
            seconds=math.ceil(seconds),
        )
