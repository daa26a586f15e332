"""``clusterkit ready``, as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROFILE = str(ROOT / "profiles" / "gke-jenkins-x.yaml")
TOKEN = "ghp_very-secret"
HELM = """\
#!{python}
import json, os, sys
config = sys.argv[sys.argv.index("--kubeconfig") + 1]
seen = {{"words": sys.argv[1:], "input": sys.stdin.read(), "config": open(config).read()}}
seen["mode"] = oct(os.stat(os.path.dirname(config)).st_mode & 0o777)
open(os.environ["SEEN"], "w").write(json.dumps(seen))
print("Release installed")
sys.exit(int(os.environ.get("FAILS", "0")))
"""


@dataclass
class Desk:
    """A shell with a sandbox of its own, and a helm that writes down what it is given."""

    folder: Path

    def run(self, *words: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        tools = self.folder / "bin"
        env = {
            "HOME": str(self.folder),
            "PATH": f"{tools}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "CLUSTERKIT_SANDBOX_DIR": str(self.folder / "sandbox"),
            "CLUSTERKIT_SANDBOX": "1",
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "SEEN": str(self.folder / "seen.json"),
            **more,
        }
        return subprocess.run(
            [sys.executable, "-m", "clusterkit", *words],
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def give_helm(self) -> None:
        script = self.folder / "bin" / "helm"
        script.parent.mkdir(exist_ok=True)
        script.write_text(HELM.format(python=sys.executable))
        script.chmod(0o755)

    def seen(self) -> Any:
        return json.loads((self.folder / "seen.json").read_text())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    assert found.run("sandbox", "start", "--pace", "max").returncode == 0
    try:
        yield found
    finally:
        found.run("sandbox", "stop")


def test_the_token_reaches_helm_and_nothing_else(desk: Desk) -> None:
    install = ("ready", "jenkins-x", PROFILE, "--install", "--git-user", "me")
    done = desk.run(*install, "--git-token-stdin", stdin=f"{TOKEN}\n")
    assert done.returncode == 1
    assert "there is no running cluster" in done.stderr
    assert desk.run("up", PROFILE, "--yes", "--activate").returncode == 0

    done = desk.run("ready", "jenkins-x", PROFILE)
    assert done.returncode == 0, done.stderr
    values = yaml.safe_load(done.stdout)
    assert not {"username", "password"} & values.keys()
    assert "helm upgrade --install jxgo jx-git-operator --repo" in done.stderr
    assert "is a template" in done.stderr

    done = desk.run(*install, "--git-token-stdin", stdin=f"{TOKEN}\n")
    assert done.returncode == 1
    assert "helm is not on PATH" in done.stderr
    assert TOKEN not in done.stdout + done.stderr

    desk.give_helm()
    done = desk.run(*install, "--git-token-stdin", stdin=f"{TOKEN}\n")
    assert done.returncode == 0, done.stderr
    assert "Release installed" in done.stderr
    seen = desk.seen()
    given = yaml.safe_load(seen["input"])
    assert given == {**values, "username": "me", "password": TOKEN}
    assert seen["words"][:4] == ["upgrade", "--install", "jxgo", "jx-git-operator"]
    assert seen["words"][-2:] == ["--values", "-"]
    assert seen["mode"] == "0o700"
    for place in (*seen["words"], seen["config"], done.stdout, done.stderr):
        assert TOKEN not in place
    config = Path(seen["words"][seen["words"].index("--kubeconfig") + 1])
    assert not config.exists()

    done = desk.run(*install, CLUSTERKIT_GIT_TOKEN=TOKEN, FAILS="3")
    assert done.returncode == 1
    assert "helm failed with exit code 3" in done.stderr


@pytest.mark.parametrize(
    ("words", "stdin", "told"),
    [
        (["--git-user", "me"], "", "--git-token-stdin: the token of the git user is missing"),
        (["--git-user", "me", "--git-token-stdin"], "", "the token of the git user is missing"),
        (["--git-token-stdin"], "x", "--git-user: the git user is missing"),
        (["--git-user", "me", "--git-token-stdin"], "a\nb", "line breaks"),
        (["--git-user", "me@example.com", "--git-token-stdin"], "x", "cannot use, @"),
    ],
)
def test_half_a_login_is_refused(words: list[str], stdin: str, told: str, tmp_path: Path) -> None:
    done = Desk(tmp_path).run("ready", "jenkins-x", PROFILE, "--install", *words, stdin=stdin)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_profile_without_them_is_refused(tmp_path: Path) -> None:
    profile = tmp_path / "profile.yaml"
    text = "cloud: eks\nname: demo\nregion: eu-west-1\npools: [{name: a, machine: m7i.xlarge}]\n"
    profile.write_text(text)
    done = Desk(tmp_path).run("ready", "jenkins", str(profile), CLUSTERKIT_SANDBOX="0")
    assert done.returncode == 2
    assert "does not prepare the cluster for Jenkins" in done.stderr
    done = Desk(tmp_path).run("ready", "jenkins-x", str(profile), CLUSTERKIT_SANDBOX="0")
    assert done.returncode == 2
    assert "does not prepare the cluster for Jenkins X" in done.stderr
