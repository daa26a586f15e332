"""The same EKS stack by Terraform and by clusterkit, against the same emulator, in one run.

``python bench/terraform.py [--pace max,60]`` starts a sandbox per pace and lets each tool plan,
build, plan again and destroy, each command a process of its own, as a user runs it. It prints wall
time, requests at the proxy, processor time and peak memory, and the ratios; the goals for times are
for pace max, where nothing is waited for. Without terraform or its AWS provider it says so and
exits 0. Exits 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from measure import Bench, Taken

from clusterkit_sandbox.pace import Pace

HERE = Path(__file__).parent
STEPS = ("plan", "up", "empty plan", "destroy")
GOALS = {"up": 10.0, "destroy": 20.0, "empty plan": 4.0}
"""how many times as fast as Terraform clusterkit is to be, at no latency"""
PROCESSOR = 0.7
"""seconds of processor time that an empty plan may take, at no latency"""


def provider_mirror() -> Path | None:
    """The folder of a file-system mirror that holds Terraform's AWS provider, found by its name."""
    named = os.environ.get("CLUSTERKIT_TERRAFORM_MIRROR")
    places = [Path(named)] if named else []
    places += [Path.home() / ".terraform.d/plugins", Path.home() / ".local/share/terraform/plugins"]
    places += [Path("/usr/local/share/terraform/plugins"), Path("/usr/share/terraform/plugins")]
    places += [Path("/opt")]
    for place in places:
        for binary in place.glob("**/hashicorp/aws/*/*/terraform-provider-aws*"):
            return binary.parents[5]
    return None


def terraform(bench: Bench, key: str, mirror: Path) -> dict[str, Taken]:
    """Terraform's four steps."""
    where = bench.folder / "terraform"
    shutil.copytree(HERE / "terraform", where)
    settings = where / "terraform.rc"
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
        "disable_checkpoint = true\n"
    )
    env = bench.env | {"TF_CLI_CONFIG_FILE": str(settings), "TF_VAR_public_key": key}
    env |= {"TF_IN_AUTOMATION": "1"}
    bench.run(["terraform", "init", "-input=false"], where, env, 0)
    plan = ["terraform", "plan", "-input=false", "-detailed-exitcode"]
    apply = ["terraform", "apply", "-input=false", "-auto-approve"]
    destroy = ["terraform", "destroy", "-input=false", "-auto-approve"]
    return {
        "plan": bench.run(plan, where, env, 2),
        "up": bench.run(apply, where, env, 0),
        "empty plan": bench.run(plan, where, env, 0),
        "destroy": bench.run(destroy, where, env, 0),
    }


def clusterkit(bench: Bench, key: str) -> dict[str, Taken]:
    """clusterkit's four steps; it makes the default StorageClass and the kubeconfig besides."""
    where = bench.folder / "clusterkit"
    where.mkdir()
    shutil.copy(HERE / "eks.yaml", where / "profile.yaml")
    (where / "id_ed25519.pub").write_text(key + "\n")
    tool = [str(Path(sys.executable).parent / "clusterkit")]
    env = bench.env | {"CLUSTERKIT_SANDBOX": "1", "CLUSTERKIT_SANDBOX_DIR": str(bench.sandbox)}
    return {
        "plan": bench.run([*tool, "plan"], where, env, 20),
        "up": bench.run([*tool, "up", "--yes"], where, env, 0),
        "empty plan": bench.run([*tool, "plan"], where, env, 0),
        "destroy": bench.run([*tool, "destroy", "--yes"], where, env, 0),
    }


def table(pace: Pace, peer: Mapping[str, Taken], ours: Mapping[str, Taken]) -> list[str]:
    """The figures of both, and how many times less clusterkit takes."""
    lines = [f"pace {pace}", "| step | tool | wall s | requests | processor s | memory MB |"]
    lines.append("|---|---|---|---|---|---|")
    for step in STEPS:
        for tool, taken in (("terraform", peer[step]), ("clusterkit", ours[step])):
            lines.append(
                f"| {step} | {tool} | {taken.wall:.2f} | {taken.requests} | {taken.processor:.2f} "
                f"| {taken.memory:.0f} |"
            )
        a, b = peer[step], ours[step]
        lines.append(
            f"| | **ratio** | {a.wall / b.wall:.1f} | {a.requests / max(b.requests, 1):.1f} "
            f"| {a.processor / b.processor:.1f} | {a.memory / b.memory:.1f} |"
        )
    return lines


def verdict(peer: Mapping[str, Taken], ours: Mapping[str, Taken]) -> list[str]:
    """A line per goal."""
    found = []
    for step, goal in GOALS.items():
        ratio = peer[step].wall / ours[step].wall
        met = "met" if ratio >= goal else "MISSED"
        found.append(f"{step}: {ratio:.1f} times as fast (goal {goal:.0f}): {met}")
    used = ours["empty plan"].processor
    met = "met" if used <= PROCESSOR else "MISSED"
    found.append(f"empty plan: {used:.2f} s of processor time (goal {PROCESSOR}): {met}")
    return found


def fewer(peer: Mapping[str, Taken], ours: Mapping[str, Taken]) -> str:
    """The goal where things take their time, and most requests ask whether they are done."""
    a, b = peer["up"].requests, ours["up"].requests
    return f"up: {b} requests, Terraform's are {a}: {'met' if b < a else 'MISSED'}"


def main() -> int:
    """Measure at every pace asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pace", default="max,60", help="paces, as in max,60")
    paces = [Pace.parse(text) for text in parser.parse_args().pace.split(",")]
    mirror = provider_mirror()
    if shutil.which("terraform") is None or mirror is None:
        print("skipped: terraform, or a file-system mirror with its AWS provider, is not here")
        return 0
    missed = False
    for pace in paces:
        with tempfile.TemporaryDirectory(prefix="clusterkit-bench-") as name:
            folder = Path(name)
            key_file = folder / "key"
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key_file)],
                check=True,
            )
            key = key_file.with_suffix(".pub").read_text().strip()
            bench = Bench(folder, pace)
            try:
                peer, ours = terraform(bench, key, mirror), clusterkit(bench, key)
            finally:
                bench.close()
        lines = verdict(peer, ours) if math.isinf(pace.factor) else [fewer(peer, ours)]
        print("\n".join([*table(pace, peer, ours), *lines]), flush=True)
        missed = missed or any("MISSED" in line for line in lines)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
