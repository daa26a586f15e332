"""How much longer ``up`` takes than its critical path: what it has to wait for in turn.

``python bench/critical_path.py [--pace 60] [--cloud aks,alibaba,eks,gke]`` starts a sandbox and
brings up one cluster per cloud, each command a process of its own, as a user runs it. The critical
path is the sum of recorded durations (``clusterkit_sandbox/pace.py``) that nothing can shorten. Two
figures are compared with it: the time of the run, from its first step to its last, which has the
goal; and that of the whole command, which also starts Python, runs preflight and the first look,
writes the kubeconfig (these take as long at every pace) and, on AKS and GKE, activates APIs. Exits
1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from measure import Bench, Taken

from clusterkit_sandbox.pace import Pace

PROFILES = Path(__file__).parent.parent / "profiles"
PATHS = {
    "aks": (
        "azure/public-ip/create",
        "azure/nat-gateway/create",
        "azure/network/create",
        "azure/role-assignment/effect",
        "azure/cluster/create",
    ),
    "alibaba": (
        "alibaba/vpc/create",
        "alibaba/vswitch/create",
        "alibaba/cluster/create",
        "alibaba/nodepool/create",
        "kube/node/ready",
    ),
    "eks": (
        "iam/propagation",
        "eks/cluster/create",
        "eks/addon/create",
        "eks/nodegroup/create",
        "eks/addon/create",
    ),
    "gke": (
        "compute/network/insert",
        "compute/subnetwork/insert",
        "google/cluster/create",
        "google/policy/effective",
    ),
}
"""what up waits for one after the other; for EKS the role, the cluster, the first add-ons, the
nodes, the last add-ons; for AKS the right to use the network before the cluster; for GKE last what
gives pods their rights, which takes the first cluster of a project
"""
GOAL = 0.05
"""how much longer than the critical path the run may take, as a share"""


def up(bench: Bench, cloud: str) -> tuple[Taken, float]:
    """The command, and the seconds its run took by its own account."""
    where = bench.folder / cloud
    where.mkdir()
    shutil.copy(PROFILES / f"{cloud}-jenkins-x.yaml", where / "profile.yaml")
    tool = str(Path(sys.executable).parent / "clusterkit")
    env = bench.env | {"CLUSTERKIT_SANDBOX": "1", "CLUSTERKIT_SANDBOX_DIR": str(bench.sandbox)}
    # once, so that the sandbox has loaded its models; 4 where the account has to activate APIs
    bench.run([tool, "plan"], where, env, 20, 4)
    taken = bench.run([tool, "up", "--yes", "--activate", "--output", "json"], where, env, 0)
    events = map(json.loads, taken.output.splitlines())
    ended = next(event for event in events if event["event"] == "RunEnded")
    bench.run([tool, "destroy", "--yes"], where, env, 0)
    return taken, float(ended["seconds"])


def main() -> int:
    """Measure each cloud asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pace", default="60", help="how many times faster than the real cloud")
    parser.add_argument("--cloud", default=",".join(PATHS), help="as in aks,alibaba,eks,gke")
    given = parser.parse_args()
    pace, missed = Pace.parse(given.pace), False
    print(f"pace {pace}: seconds, and how much more than the critical path")
    print("| cloud | critical path | run | | goal 5 % | command | | requests |")
    print("|---|---|---|---|---|---|---|---|")
    for cloud in given.cloud.split(","):
        with tempfile.TemporaryDirectory(prefix="clusterkit-bench-") as name:
            bench = Bench(Path(name), pace)
            try:
                taken, run = up(bench, cloud)
            finally:
                bench.close()
        critical = sum(pace.seconds(what) for what in PATHS[cloud])
        over, whole = run / critical - 1, taken.wall / critical - 1
        met = "met" if over <= GOAL else "MISSED"
        missed = missed or over > GOAL
        print(
            f"| {cloud} | {critical:.2f} | {run:.2f} | {over:+.1%} | {met} "
            f"| {taken.wall:.2f} | {whole:+.1%} | {taken.requests} |",
            flush=True,
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
