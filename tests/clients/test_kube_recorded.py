"""kubectl's commands against the sandbox's Kubernetes, and what a real server answered to them.

Once with the recorded names, and once with others, so that no answer can be a copy.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusterkit_sandbox.kube import kube_server
from clusterkit_sandbox.pace import Pace
from tests.sandbox.kubes import GP3, HOST, TOKENS, Cloud, kubeconfig, node
from tests.sandbox.test_kube_kubectl import binary

pytestmark = pytest.mark.client
RECORDED = Path(__file__).parent / "recorded"
KUBECTL = "1.32"
LATER = 20.0
"""seconds that a controller may take to do what it had done when it was recorded"""
SAME = 199
"""commands of the 233 that must be answered word for word"""
NAMES = ("jx", "jenkins", "hook", "casc", "deny", "gc", "lim", "ps", "simple", "high2", "plain")
"""what is called otherwise in the second run"""
RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
PATTERNS = (
    (r"20\d\d-\d\d-\d\dT[\d:]+Z", "TS"),
    (r"https://[\w.:-]+?(?=[\s'\"/]|$)", "SERVER"),
    (r"\x1b\[[\d;]*m", ""),
    (r"[EIW]\d{4} [\d:.]+ +\d+ ", ""),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UID"),
    (r'resourceVersion: "\d+"', "resourceVersion: RV"),
    (r'"resourceVersion":"\d+"', '"resourceVersion":RV'),
    (rf"-(?:[0-9a-f]{{10}}|{RANDOM}{{8,10}})-{RANDOM}{{5}}\b", "-HASH-RAND"),
    (rf"-(?:[0-9a-f]{{10}}|{RANDOM}{{8,10}})(?=[\s\"',/:]|$)", "-HASH"),
    (r"\b\d+[smh]\d*s?\b", "AGE"),
    (r'(pod-template-hash[:=]"? ?)[0-9a-z]+', r"\1HASH"),
    (rf"\b(kaniko|manual|ttl|j1|ds)-{RANDOM}{{5}}\b", r"\1-RAND"),
    (r"\b10\.\d+\.\d+\.\d+\b", "IP"),
    (r"eyJ[\w.-]+", "JWT"),
    (r"\w{3}, \d\d \w{3} 20\d\d [\d:]+ \+0000", "DATE"),
    (r"20\d\d-\d\d-\d\d [\d:.]+ \+0000( UTC)?", "DATE"),
    (r"100\.64\.\d+\.\d+", "IP"),
    (r"\b3[0-2]\d{3}\b", "NODEPORT"),
    (r"kube-api-access-\w{5}", "kube-api-access-X"),
    (r"ip-10-0-\d+-\d+\.eu-west-1\.compute\.internal", "NODE"),
    (r"\bIP(:\d+)?(,IP(:\d+)?)+", "IPS"),
)
"""what is another in each run, and the word that was recorded for it"""


@dataclass(frozen=True)
class Command:
    """One recorded command."""

    number: int
    words: str
    code: int
    output: str | None


class Ingressless(Cloud):
    """A cloud where no controller for Ingresses is installed, as in the recording."""

    def ensure_load_balancer(self, kind: str, *what: object) -> str:
        return "" if kind == "Ingress" else super().ensure_load_balancer(kind, *what)  # type: ignore[arg-type]


def normalise(text: str) -> str:
    """Ages, ids, addresses and hashes as words, white space folded."""
    for pattern, word in PATTERNS:
        text = re.sub(pattern, word, text)
    lines = (
        re.sub(r"\s+", " ", line).strip()
        for line in text.removesuffix("\n").splitlines()
        if "version skew" not in line
    )
    return "\n".join(line for line in lines if not line.startswith("Waiting for"))


def renamed(seed: int) -> Callable[[str], str]:
    """Gives ``NAMES`` other names, in the same order; none for the seed 0."""
    if not seed:
        return lambda text: text
    letters = random.Random(seed)
    others = {name: f"{name}{''.join(letters.choices('aeiou', k=4))}" for name in NAMES}
    pattern = re.compile(rf"\b({'|'.join(NAMES)})\b(?!\.kubernetes|\.dev)")
    return lambda text: pattern.sub(lambda found: others[found[1]], text)


def commands(rename: Callable[[str], str]) -> Iterator[Command]:
    """The recorded ones."""
    for number, line in enumerate((RECORDED / "commands.jsonl").read_text().splitlines(), 1):
        told = json.loads(line)
        output = told["output"]
        yield Command(number, rename(told["command"]), told["exit"], output and rename(output))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A fresh cluster with two nodes; the environment of its kubectl."""
    program = binary(KUBECTL)
    if program is None:
        pytest.skip(f"kubectl {KUBECTL} is not installed")
    # what it is called is a field manager's name
    (tmp_path / "kubectl").symlink_to(program)
    server = kube_server("embedded", Pace(math.inf), tmp_path)
    gp3 = {**GP3, "reclaimPolicy": "Delete", "allowVolumeExpansion": True}
    opened = server.open(
        "c", hosts=[HOST], version="1.36", review=TOKENS.get, hooks=Ingressless(), objects=[gp3]
    )
    inside = "eu-west-1.compute.internal"
    names = (f"ip-10-0-{address}.{inside}" for address in ("11-115", "92-239"))
    opened.set_nodes([node(number, name=name) for number, name in enumerate(names)])
    config = kubeconfig(opened, tmp_path)
    yield {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(config)}
    server.close()


@pytest.mark.parametrize("seed", [0, pytest.param(20261128, marks=pytest.mark.deep)])
def test_kubectl_is_answered_as_by_a_real_server(
    seed: int, cluster: dict[str, str], tmp_path: Path
) -> None:
    rename = renamed(seed)
    for source in (RECORDED / "manifests").rglob("*.yaml"):
        target = tmp_path / "x" / rename(str(source.relative_to(RECORDED / "manifests")))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(rename(source.read_text()))
    big = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata: {x: " + "a" * 1_100_000
    (tmp_path / "x/big.yaml").write_text(big + "}\n")
    known = {
        int(line.split("\t")[0]) for line in (RECORDED / "differs.tsv").read_text().splitlines()[1:]
    }

    def ask(command: Command) -> tuple[bool, str]:
        done = subprocess.run(
            [str(tmp_path / "kubectl"), *shlex.split(command.words)],
            env=cluster,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        answer = normalise(done.stdout + done.stderr)
        fits = done.returncode == command.code and command.output in (None, answer)
        return fits, f"{command.number} {command.words}: {done.returncode}\n{answer}"

    same, other = 0, []
    for command in commands(rename):
        fits, told = ask(command)
        # a person typed them: what a controller does every 15 s had been done
        end = time.monotonic() + LATER
        while not fits and command.number not in known and command.words.startswith("get "):
            if time.monotonic() > end:
                break
            time.sleep(0.5)
            fits, told = ask(command)
        same += fits
        if not fits and command.number not in known:
            other.append(told)
    assert not other, "\n".join(other)
    assert same >= SAME, same
