"""What Prometheus reads, in its text format (https://prometheus.io/docs/instrumenting/
exposition_formats/), and the health of the process: three addresses on one port."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from clusterkit.engine.exchange import Exchange

TYPE = "text/plain; version=0.0.4; charset=utf-8"
HELP: Mapping[str, tuple[str, str]] = {
    "clusters": ("gauge", "CloudClusters this replica works on."),
    "drifted": ("gauge", "CloudClusters of this replica whose cluster differs from its spec."),
    "running": ("gauge", "CloudClusters of this replica with a run in progress."),
    "reconciles_total": ("counter", "Looks at a cluster, by what came of it."),
    "reconcile_seconds_total": ("counter", "Seconds spent on them."),
    "runs_total": ("counter", "Runs that ended, by action and result."),
    "run_seconds_total": ("counter", "Seconds they took."),
    "cloud_calls_total": ("counter", "Requests to clouds and their clusters, by service."),
    "cloud_call_seconds_total": ("counter", "Seconds they took."),
    "cloud_throttles_total": ("counter", "Requests that a service throttled."),
    "kubeconfigs_written_total": ("counter", "kubeconfig Secrets written."),
}
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counters of one process; any thread may add to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, Labels], float] = {}
        self._gauges: dict[str, Callable[[], Mapping[str, int]]] = {}

    def add(self, name: str, value: float = 1, /, **labels: str) -> None:
        """Count."""
        with self._lock:
            key = (name, tuple(sorted(labels.items())))
            self._counts[key] = self._counts.get(key, 0) + value

    def took(self, what: str, began: float, **labels: str) -> None:
        """Count what began at ``began`` (``time.monotonic()``), and its seconds."""
        self.add(f"{what}s_total", 1, **labels)
        self.add(f"{what}_seconds_total", time.monotonic() - began, **labels)

    def gauge(self, name: str, read: Callable[[], Mapping[str, int]]) -> None:
        """``read`` is asked at each scrape: by cloud."""
        self._gauges[name] = read

    def watch(self, cloud: str) -> Callable[[Exchange], None]:
        """An observer that counts the requests of a cluster's clients."""

        def seen(exchange: Exchange) -> None:
            if exchange.phase == "after":
                at, took = exchange.service, exchange.seconds
                self.add("cloud_calls_total", cloud=cloud, service=at)
                self.add("cloud_call_seconds_total", took, cloud=cloud, service=at)
                if exchange.status == 429 or "hrottl" in exchange.error:
                    self.add("cloud_throttles_total", cloud=cloud, service=at)

        return seen

    def text(self) -> str:
        """The page."""
        with self._lock:
            counts = dict(self._counts)
        return "".join(self._lines(counts))

    def _lines(self, counts: Mapping[tuple[str, Labels], float]) -> Iterator[str]:
        for name, (kind, told) in HELP.items():
            yield f"# HELP clusterkit_{name} {told}\n# TYPE clusterkit_{name} {kind}\n"
            rows = {labels: value for (each, labels), value in counts.items() if each == name}
            if read := self._gauges.get(name):
                rows = {(("cloud", cloud),): number for cloud, number in read().items()}
            for labels, value in sorted(rows.items()):
                inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
                yield f"clusterkit_{name}{{{inside}}} {value:g}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
