"""clusterkit as a user runs it: the command, in processes of its own, on a background sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from clusterkit_sandbox import daemon
from clusterkit_sandbox.pace import Pace

TOOL = str(Path(sys.executable).parent / "clusterkit")


@dataclass(frozen=True)
class Cloud:
    """A cloud, and a small profile for it."""

    name: str
    region: str
    profile: str
    storage_class: str
    """the default one"""

    def target(self, cluster: str) -> tuple[str, ...]:
        """The options that name a cluster without its profile."""
        return ("--cloud", self.name, "--region", self.region, "--name", cluster)

    def context(self, cluster: str) -> str:
        """What the cluster is called in a kubeconfig."""
        return f"clusterkit_sandbox_{self.name}_{self.region}_{cluster}"


EKS = Cloud(
    "eks",
    "eu-west-1",
    """\
cloud: eks
name: {name}
region: eu-west-1
kubernetes: "1.35"
pools:
  - {{name: default, machine: m6i.large}}
registry: {{name: {name}, repositories: [app], keep: false}}
""",
    "gp3",
)
ALIBABA = Cloud(
    "alibaba",
    "ap-southeast-1",
    """\
cloud: alibaba
name: {name}
region: ap-southeast-1
kubernetes: "1.35"
endpoint: {{allowed: [203.0.113.0/24, 8.8.8.0/24]}}
pools:
  - {{name: default, machine: ecs.g7.large}}
""",
    "clusterkit-ssd",
)
GKE = Cloud(
    "gke",
    "europe-west1",
    """\
cloud: gke
name: {name}
region: europe-west1
kubernetes: "1.35"
endpoint: {{allowed: [203.0.113.0/24, 8.8.8.0/24]}}
pools:
  - {{name: default, machine: e2-standard-2}}
registry: {{name: {name}, repositories: [app], keep: false}}
""",
    "standard-rwo",
)
AKS = Cloud(
    "aks",
    "westeurope",
    """\
cloud: aks
name: {name}
region: westeurope
kubernetes: "1.35"
endpoint: {{allowed: [203.0.113.0/24, 8.8.8.0/24]}}
pools:
  - {{name: default, machine: Standard_D4s_v5}}
""",
    "clusterkit-ssd",
)


@dataclass
class User:
    """A person with a sandbox, a home and a folder with a profile."""

    home: Path
    info: daemon.Info
    env: dict[str, str] = field(repr=False)

    @property
    def vendor(self) -> dict[str, str]:
        """The environment after ``eval "$(clusterkit sandbox env)"``."""
        return self.env | daemon.environment(self.info)

    def profile(self, name: str, cloud: Cloud = EKS) -> Path:
        """A profile for a cluster of this name."""
        file = self.home / f"{name}.yaml"
        file.write_text(cloud.profile.format(name=name))
        return file

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Begin a command."""
        return subprocess.Popen(
            words,
            cwd=self.home,
            env=dict(env or self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *words: str, ok: int | None = 0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; ``ok`` is the exit code it must have, None for any."""
        with self.start(*words, env=env) as child:
            out, err = child.communicate(timeout=100)
        done = subprocess.CompletedProcess(words, child.returncode, out, err)
        assert ok is None or done.returncode == ok, f"{words}: {done.returncode}\n{out}\n{err}"
        return done

    def tool(self, *words: object, ok: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run clusterkit."""
        return self.run(TOOL, *map(str, words), ok=ok)

    def requests(self) -> int:
        """How many requests the sandbox has had."""
        return int(daemon.describe(self.info)["requests"])

    def wait_for_requests(self, count: int, while_: Callable[[], bool]) -> bool:
        """Until the sandbox has had ``count`` requests; False if ``while_`` ended first."""
        while self.requests() < count:
            if not while_():
                return False
            time.sleep(0.002)
        return True


def new_user(home: Path, pace: Pace) -> User:
    """A user with a sandbox of this pace."""
    place = home / "sandbox"
    info = daemon.start(pace, directory=place)
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
    env = keep | {
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "CLUSTERKIT_SANDBOX": "1",
        "CLUSTERKIT_SANDBOX_DIR": str(place),
        "KUBECONFIG": str(home / "kubeconfig"),
        "NO_COLOR": "1",
    }
    env["PATH"] = f"{Path(sys.executable).parent}:{env.get('PATH', '')}"
    return User(home, info, env)


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """One user per module, on a sandbox without latency."""
    home = tmp_path_factory.mktemp("user")
    found = new_user(home, Pace(float("inf")))
    yield found
    daemon.stop(found.info.directory)


@pytest.fixture(scope="module", params=[EKS, ALIBABA, GKE, AKS], ids=lambda cloud: cloud.name)
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Every cloud."""
    found: Cloud = request.param
    return found


def quick_on(*quick: Cloud) -> pytest.MarkDecorator:
    """The test on these clouds in ``make test``, on the others in the long matrix."""
    every = (EKS, ALIBABA, GKE, AKS)
    cases = [
        pytest.param(each, marks=() if each in quick else pytest.mark.deep, id=each.name)
        for each in every
    ]
    return pytest.mark.parametrize("cloud", cases, indirect=True)


@dataclass(frozen=True)
class Running:
    """A cluster that is up."""

    profile: Path
    up: subprocess.CompletedProcess[str]
    """the command that made it, with JSON lines"""


@pytest.fixture(scope="module")
def running(user: User) -> Callable[[Cloud], Running]:
    """One cluster per cloud and module, for tests that leave it as it is."""

    @cache
    def made(cloud: Cloud) -> Running:
        profile = user.profile(f"running-{cloud.name}", cloud)
        return Running(profile, user.tool("up", profile, "--yes", "--output", "json"))

    return made
