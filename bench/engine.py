"""1,000 independent resources that each take 5 s to be ready, on 16 threads.

``python bench/engine.py [COUNT] [SECONDS] [THREADS]`` prints wall time, processor time, looks,
calls and the memory above the idle interpreter. Exits 1 if the goal (7 s, 100 MB for the defaults)
is missed.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from clusterkit.engine.kind import Env, Kind
from clusterkit.engine.plan import plan
from clusterkit.engine.run import Run
from clusterkit.engine.scope import Scope


@dataclass(frozen=True)
class Thing:
    """What the cloud reports: when it will be ready."""

    id: str
    ready_at: float
    status: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class Cloud:
    """Answers a call in 2 ms, whatever it is asked."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.things: dict[str, Thing] = {}
        self.lock = threading.Lock()
        self.looks = 0
        self.most = 0
        self.calling = 0

    def enter(self) -> None:
        with self.lock:
            self.calling += 1
            self.most = max(self.most, self.calling)
        time.sleep(0.002)
        with self.lock:
            self.calling -= 1


class Slow(Kind[Cloud, Thing]):
    """Ready some seconds after it was created."""

    kind: ClassVar[str] = "slow"
    usable: ClassVar[frozenset[str]] = frozenset({"ready"})

    @classmethod
    def list(cls, scope: Scope[Cloud]) -> Iterable[Thing]:
        scope.client.enter()
        now = time.monotonic()
        with scope.client.lock:
            scope.client.looks += 1
            found = [*scope.client.things.values()]
        return [replace(one, status="ready" if one.ready_at <= now else "pending") for one in found]

    def create(self, env: Env[Cloud]) -> None:
        env.client.enter()
        with env.client.lock:
            ready_at = time.monotonic() + env.client.seconds
            env.client.things[self.name] = Thing(self.name, ready_at, tags=self.marks(env))

    @classmethod
    def delete(cls, scope: Scope[Cloud], have: Thing) -> None:
        raise AssertionError("nothing is deleted here")


def resident() -> float:
    """Peak resident memory so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    count, seconds, threads = 1000, 5.0, 16
    if len(sys.argv) > 1:
        count = int(sys.argv[1])
    if len(sys.argv) > 2:
        seconds = float(sys.argv[2])
    if len(sys.argv) > 3:
        threads = int(sys.argv[3])
    idle = resident()
    cloud = Cloud(seconds)
    scope = Scope(cloud, "bench")
    wish = [Slow(name=f"n{number}") for number in range(count)]
    wall, processor = time.perf_counter(), time.process_time()
    steps = plan(wish, [Slow], scope, threads=threads)
    outcome = Run(scope, steps, lambda _: None, threads=threads)()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    above = resident() - idle
    print(f"{Path(__file__).name}: {count} resources, {seconds:g} s each, {threads} threads")
    print(f"  wall time            {wall:8.2f} s   (in turn: {count * seconds:,.0f} s)")
    print(f"  processor time       {processor:8.2f} s")
    print(f"  memory above idle    {above:8.1f} MB")
    print(f"  looks                {cloud.looks:8d}     (each for itself: {count} or more)")
    print(f"  calls at once, most  {cloud.most:8d}")
    good = outcome.ok and wall < seconds + 2 and above < 100 and cloud.most <= threads
    print("  goal (ready + 2 s, 100 MB): " + ("met" if good else "MISSED"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
