"""Many clusters in one command: as quick as the slowest alone, on few threads, in little memory?

``python bench/fleet.py [--clusters 400] [--pace 60]`` starts a sandbox, brings up one cluster on
each cloud, a command each, and takes the slowest; then as many profiles as asked for, a quarter on
each cloud, with one ``clusterkit up``. The sandbox answers from the same machine, so past some
number of clusters its processor time, printed beside the command's, is what is measured. Exits 1 if
a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import threading
from pathlib import Path

from measure import Bench, Taken

from clusterkit_sandbox.pace import Pace

PROFILES = Path(__file__).parent.parent / "profiles"
CLOUDS = ("aks", "alibaba", "eks", "gke")
SLOWER = 1.2
"""times the slowest cluster alone"""
THREADS = 64
MEMORY = 150.0
"""MB, and one more for each cluster"""
SAMPLE = 0.1
"""seconds between two counts of threads"""
STEPS = {"plan": 20, "up": 0, "up again": 0, "status": 0, "destroy": 0}
"""the commands and what they exit with"""


def processor(pid: int) -> float:
    """Seconds, user and system, that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Threads:
    """The most threads that a child of this process has had."""

    def __init__(self) -> None:
        self.most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)

    def __enter__(self) -> Threads:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _count(self) -> None:
        me = os.getpid()
        while not self._over.wait(SAMPLE):
            for task in Path("/proc/self/task").iterdir():
                for pid in (task / "children").read_text().split():
                    try:
                        found = sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
                        command = Path(f"/proc/{pid}/cmdline").read_text()
                    except OSError:  # it has ended
                        continue
                    if int(pid) != me and "clusterkit_sandbox" not in command:
                        self.most = max(self.most, found)


def profile(cloud: str, name: str) -> str:
    """The smallest profile of a cloud, with another name."""
    return (PROFILES / f"{cloud}-minimal.yaml").read_text().replace("name: demo", f"name: {name}")


def run(bench: Bench, *words: str, good: int = 0) -> tuple[Taken, int, float]:
    """What a command took, its most threads, and the sandbox's processor time meanwhile."""
    yes = ["--yes"] if words[0] in ("up", "destroy") else []
    command = [sys.executable, "-m", "clusterkit", *words, "--sandbox", "--output", "plain", *yes]
    before = processor(bench.info.pid)
    with Threads() as threads:
        taken = bench.run(command, bench.folder, bench.env, good)
    return taken, threads.most, processor(bench.info.pid) - before


def main() -> int:
    """Measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=400)
    parser.add_argument("--pace", default="60")
    parser.add_argument("--clouds", default=",".join(CLOUDS))
    parser.add_argument("--alone", type=float, default=0.0, help="seconds, if known already")
    parser.add_argument("--only-up", action="store_true", help="no other command")
    given = parser.parse_args()
    clouds, count = given.clouds.split(","), given.clusters
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    missed = False
    with tempfile.TemporaryDirectory(prefix="clusterkit-bench-") as name:
        folder = Path(name)
        fleet = folder / "fleet"
        fleet.mkdir()
        for number in range(count):
            cloud = clouds[number % len(clouds)]
            label = f"{cloud}-{number // len(clouds):03}"
            (fleet / f"{label}.yaml").write_text(profile(cloud, label))
        os.environ["CLUSTERKIT_SANDBOX_QUOTAS"] = "off"  # a new account has five VPCs
        bench = Bench(folder, Pace.parse(given.pace))
        bench.env |= {"CLUSTERKIT_SANDBOX_DIR": str(bench.sandbox)}
        try:
            print(f"fleet.py: {count} clusters on {len(clouds)} clouds, pace {given.pace}")
            print("| step | wall s | threads | memory MB | requests | processor s | sandbox's |")
            print("|---|---|---|---|---|---|---|")
            alone = given.alone
            for cloud in () if alone else clouds:
                file = folder / f"{cloud}.yaml"
                file.write_text(profile(cloud, "alone"))
                taken, *more = run(bench, "up", str(file))
                alone = max(alone, taken.wall)
                show(f"up {cloud} alone", taken, *more)
                run(bench, "destroy", str(file))
            for step, good in STEPS.items():
                if given.only_up and step != "up":
                    continue
                taken, most, theirs = run(bench, step.split()[0], str(fleet), good=good)
                show(step, taken, most, theirs)
                if step == "up":
                    missed = not goals(taken, alone, most, count)
                    print(f"  {taken.output.strip().splitlines()[-2:]}")
        finally:
            bench.close()
    return 1 if missed else 0


def show(step: str, taken: Taken, threads: int, theirs: float) -> None:
    """A line of the table."""
    print(
        f"| {step} | {taken.wall:.1f} | {threads} | {taken.memory:.0f} | {taken.requests} "
        f"| {taken.processor:.1f} | {theirs:.1f} |",
        flush=True,
    )


def goals(taken: Taken, alone: float, threads: int, count: int) -> bool:
    """Whether all are met; a line for each."""
    ratio, memory = taken.wall / alone, MEMORY + count
    found = {
        f"wall {ratio:.2f} times the slowest alone (goal {SLOWER})": ratio <= SLOWER,
        f"{threads} threads (goal {THREADS})": threads <= THREADS,
        f"{taken.memory:.0f} MB (goal {memory:.0f})": taken.memory <= memory,
    }
    for what, met in found.items():
        print(f"{what}: {'met' if met else 'MISSED'}")
    return all(found.values())


if __name__ == "__main__":
    sys.exit(main())
