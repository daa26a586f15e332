"""What Prometheus reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from clusterkit.clouds import CLOUDS
from clusterkit.engine.exchange import Exchange
from clusterkit.engine.target import CloudConnection

GAUGES: Mapping[str, str] = {
    "clusters": "CloudClusters this replica works on.",
    "drifted": "CloudClusters of this replica whose cluster differs from its spec.",
    "running": "CloudClusters of this replica with a run in progress.",
}
COUNTERS: Mapping[str, tuple[str, Sequence[str]]] = {
    "cloud_throttles": ("Requests that a service throttled.", ("cloud", "service")),
    "kubeconfigs_written": ("kubeconfig Secrets written.", ("cloud",)),
}
SECONDS: Mapping[str, tuple[str, Sequence[str]]] = {
    "reconcile": ("Looks at a cluster and what followed from them.", ("cloud", "result")),
    "run": ("Runs, by action and result.", ("cloud", "action", "result")),
    "cloud_call": ("Requests to clouds and their clusters.", ("cloud", "service")),
}
BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 600, 900, 1200, 1800, 3600)
"""seconds: from a call to a run as long as the longest step may take (``Kind.patience``)"""


class Metrics:
    """The metrics of one process; any thread may add to them."""

    def __init__(self) -> None:
        self._registry, self._all = CollectorRegistry(), dict[str, Counter | Histogram]()
        self._more: Any = {"namespace": "clusterkit", "registry": self._registry}
        for name, about in COUNTERS.items():
            self._all[name] = Counter(name, *about, **self._more)
        for name, about in SECONDS.items():
            self._all[name] = Histogram(f"{name}_seconds", *about, buckets=BUCKETS, **self._more)

    def add(self, name: str, **labels: str) -> None:
        """Count one."""
        cast("Counter", self._all[name].labels(**labels)).inc()

    def took(self, name: str, began: float, **labels: str) -> None:
        """Note how long something took that began then, by ``time.monotonic()``."""
        seconds = time.monotonic() - began
        cast("Histogram", self._all[name].labels(**labels)).observe(seconds)

    def gauge(self, name: str, read: Callable[[str], int]) -> None:
        """``read`` is asked at each scrape: how many of a cloud."""
        found = Gauge(name, GAUGES[name], ("cloud",), **self._more)
        for cloud in CLOUDS:
            found.labels(cloud).set_function(partial(read, cloud))

    def watched(self, connection: CloudConnection, cloud: str) -> CloudConnection:
        """The connection, with its requests and what is throttled of them counted."""

        def seen(exchange: Exchange) -> None:
            if exchange.phase == "after":
                self.took("cloud_call", exchange.started, cloud=cloud, service=exchange.service)

        def throttled(service: str) -> None:
            self.add("cloud_throttles", cloud=cloud, service=service)

        return replace(connection, observe=seen, throttled=throttled)

    def text(self) -> str:
        """The page, in the text format."""
        return generate_latest(self._registry).decode()
