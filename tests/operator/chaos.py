"""Many CloudClusters on four clouds while replicas are killed: for the test and the benchmark."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clusterkit.clouds import CLOUDS, sandbox_connection
from clusterkit.errors import ClusterkitError
from clusterkit_sandbox import daemon
from tests.operator.world import World, spec, world

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


@dataclass
class Figures:
    """What came of it."""

    clusters: int
    kills: int = 0
    up: float = 0.0
    """seconds until all were in sync"""
    mended: float = 0.0
    """seconds until all drift was mended"""
    gone: float = 0.0
    """seconds until all objects were gone"""
    twice: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)


class Replicas:
    """Three processes, one of which is killed now and then and takes its time to come again."""

    def __init__(self, here: World, directory: Path, every: float, seed: int) -> None:
        self._start: Callable[[], subprocess.Popen[bytes]] = lambda: here.process(
            "--interval", "20", CLUSTERKIT_SANDBOX_DIR=str(directory)
        )
        self._every = every
        self._random = random.Random(seed)
        self._over = threading.Event()
        self.running = [self._start() for _ in range(3)]
        self.kills = 0
        self._thread = threading.Thread(target=self._kill)
        self._thread.start()

    def _kill(self) -> None:
        while not self._over.wait(self._every * self._random.uniform(0.5, 1.5)):
            victim = self._random.randrange(len(self.running))
            self.running[victim].kill()
            self.running[victim].wait()
            self.kills += 1
            self.running[victim] = self._start()

    def close(self) -> list[int]:
        """End them as a Deployment would; their exit codes."""
        self._over.set()
        self._thread.join()
        for each in self.running:
            each.send_signal(signal.SIGTERM)
        return [each.wait(120) for each in self.running]


def run(
    folder: Path,
    count: int,
    *,
    every: float,
    within: float,
    seed: int = 1,
    kube: str = "embedded",
) -> Figures:
    """``count`` clusters come, drift and go while a replica is killed every ``every`` seconds.
    ``kube`` is the management cluster's API server: ``embedded`` or ``envtest``.
    """
    with _clouds(folder / "daemon") as directory, world(folder, "eks", kube=kube) as here:
        here.base = sandbox_connection(directory)
        found = Figures(count)
        _make(here, "decoy")
        foreign = here.things("decoy")
        names = {f"c{number}": CLOUDS[number % len(CLOUDS)] for number in range(count)}
        replicas = Replicas(here, directory, every, seed)
        try:
            began = time.monotonic()
            for name, cloud in names.items():
                here.apply(name, spec(cloud))
            _all(names, lambda name: here.condition(name, "Synced").get("reason") == "InSync",
                 within, here)  # fmt: skip
            found.up, began = time.monotonic() - began, time.monotonic()
            _drift(here, names, within)
            found.mended, began = time.monotonic() - began, time.monotonic()
            for name, cloud in names.items():
                found.twice += _twice(here, name, cloud)
            orphans = {name: cloud for place, (name, cloud) in enumerate(names.items())
                       if place // len(CLOUDS) % 2}  # fmt: skip
            there = {name: here.things(name, cloud) for name, cloud in orphans.items()}
            for name in names:
                if name in orphans:
                    here.patch(name, deletionPolicy="Orphan")
                else:
                    here.annotate(name, confirm_deletion=name)
                here.delete(name)
            _all(names, lambda name: here.get(name) is None, within, here)
            found.gone, found.kills = time.monotonic() - began, replicas.kills
        finally:
            codes = replicas.close()
        assert codes == [0, 0, 0], codes
        for name, cloud in names.items():
            if name in orphans:
                found.touched += sorted(there[name] ^ here.things(name, cloud))
            else:
                found.left += sorted(here.things(name, cloud))
        found.touched += sorted(foreign ^ here.things("decoy"))
        return found


def _make(here: World, name: str) -> None:
    from clusterkit.operator.wanted import profile_of

    profile = profile_of({"metadata": {"namespace": "default", "name": name}, "spec": spec()})
    cluster = here.cluster(name)
    outcome = cluster.apply(cluster.plan(profile), lambda _: None)
    assert outcome.ok, outcome


def _drift(here: World, names: dict[str, str], within: float) -> None:
    """Somebody deletes the storage class of each cluster, where that is not the cloud's own."""
    work = {name: here.workload(name) for name in names}
    lost = {}
    for name, kube in work.items():
        for mine in kube.list(CLASSES, {"clusterkit-cluster": name}):
            lost[name] = f"{CLASSES}/{mine['metadata']['name']}"
            kube.delete(lost[name])
    assert len(lost) >= len(names) // 2

    def back(name: str) -> bool:
        with suppress(ClusterkitError):  # the credential of the file may be old by now
            return work[name].get(lost[name]) is not None
        work[name] = here.workload(name)
        return False

    _all({name: names[name] for name in lost}, back, within, here)


def _all(names: dict[str, str], true: Callable[[str], bool], within: float, here: World) -> None:
    waiting, end = list(names), time.monotonic() + within
    while waiting := [name for name in waiting if not true(name)]:
        if time.monotonic() > end:
            told = {name: here.condition(name, "Synced") or here.get(name) for name in waiting}
            raise AssertionError(told)
        time.sleep(0.5)


def _twice(here: World, name: str, cloud: str) -> list[str]:
    keys = Counter(each.key for each in here.cluster(name, cloud).observe().things)
    return [f"{name} {key}" for key, number in keys.items() if number > 1]


@contextmanager
def _clouds(directory: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLUSTERKIT_SANDBOX_QUOTAS", "off")  # a new account has five VPCs
        daemon.start(daemon.Pace.parse("max"), directory=directory)
        try:
            yield directory
        finally:
            daemon.stop(directory)
