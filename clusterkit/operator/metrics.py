"""What Prometheus reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clusterkit.engine.exchange import Exchange

TYPE = "text/plain; version=0.0.4; charset=utf-8"
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


class Metrics:
    """Those of one process; any thread may add to them."""

    def __init__(self) -> None:
        self._registry, self._all = CollectorRegistry(), dict[str, Counter | Histogram]()
        more: Any = {"namespace": "clusterkit", "registry": self._registry}
        for name, about in COUNTERS.items():
            self._all[name] = Counter(name, *about, **more)
        for name, about in SECONDS.items():
            self._all[name] = Histogram(f"{name}_seconds", *about, buckets=BUCKETS, **more)

    def add(self, name: str, **labels: str) -> None:
        """Count one."""
        cast("Counter", self._all[name].labels(**labels)).inc()

    def took(self, name: str, began: float, **labels: str) -> None:
        """Note how long something took that began then, by ``time.monotonic()``."""
        seconds = time.monotonic() - began
        cast("Histogram", self._all[name].labels(**labels)).observe(seconds)

    def gauge(self, name: str, read: Callable[[], Mapping[str, int]]) -> None:
        """``read`` is asked at each scrape: by cloud."""
        self._registry.register(_Gauge(name, read))

    def watch(self, cloud: str) -> Callable[[Exchange], None]:
        """An observer that counts the requests of a cluster's clients."""

        def seen(exchange: Exchange) -> None:
            if exchange.phase == "after":
                where = {"cloud": cloud, "service": exchange.service}
                self.took("cloud_call", time.monotonic() - exchange.seconds, **where)
                if exchange.status == 429 or "hrottl" in exchange.error:
                    self.add("cloud_throttles", **where)

        return seen

    def text(self) -> str:
        """The page, in the text format."""
        return generate_latest(self._registry).decode()


class _Gauge(Collector):
    def __init__(self, name: str, read: Callable[[], Mapping[str, int]]) -> None:
        self._name = name
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Ask."""
        found = GaugeMetricFamily(f"clusterkit_{self._name}", GAUGES[self._name], labels=["cloud"])
        for cloud, number in self._read().items():
            found.add_metric([cloud], number)
        yield found
