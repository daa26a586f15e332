"""``make real`` against the sandbox as if it were a real account: only the variables that
``clusterkit sandbox env`` prints, without the one that says that it is a sandbox.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from clusterkit_sandbox import daemon
from clusterkit_sandbox.pace import Pace
from tests.clients.conftest import TOOL, Cloud, User, new_user
from tools.real import anonymous

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def real(tmp_path: Path, cloud: Cloud) -> Iterator[tuple[User, dict[str, str], list[str]]]:
    """A user, the variables of a shell after ``eval``, and the command."""
    user = new_user(tmp_path, Pace(float("inf")))
    keep = {name: user.env[name] for name in ("HOME", "PATH", "XDG_STATE_HOME")}
    printed = user.run("sh", "-c", 'eval "$(clusterkit sandbox env)"; env -0').stdout
    env = dict(pair.split("=", 1) for pair in printed.split("\0") if "=" in pair) | keep
    assert env.pop("CLUSTERKIT_SANDBOX") == "1"
    profile = user.profile("first", cloud)
    command = [sys.executable, str(ROOT / "tools" / "real.py"), "--cloud", cloud.name]
    command += ["--profile", str(profile), "--folder", str(tmp_path / "real")]
    yield user, env | {"PYTHONPATH": str(ROOT)}, command
    daemon.stop(user.info.directory)


def _run(
    command: list[str], env: Mapping[str, str], answer: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=env, input=answer, capture_output=True, text=True, timeout=300, check=False
    )


def _secrets(user: User) -> list[str]:
    found = daemon.environment(user.info).items()
    return [v for k, v in found if v and re.search("SECRET|TOKEN|KEY_ID", k)]


def test_it_says_what_it_buys_and_begins_only_when_told_to(
    real: tuple[User, dict[str, str], list[str]], cloud: Cloud
) -> None:
    user, env, command = real
    done = _run(command, env, "yes\n")
    assert done.returncode == 1, done.stderr
    assert "nothing was created" in done.stdout
    assert re.search(r"^account  \S+$", done.stdout, re.M)
    assert f"region   {cloud.region}" in done.stdout
    assert re.search(
        r"\d machines (m6i.large|ecs\.g7\.large|e2-standard-2|Standard_D4s_v5) \(pool default\)",
        done.stdout,
    )
    assert "system disks of 80 GiB" in done.stdout
    assert "1 x NAT gateway" in done.stdout
    assert "1 x control plane" in done.stdout
    assert not (user.home / "real").exists()
    assert "this is for a real account" in _run(command, env | {"CLUSTERKIT_SANDBOX": "1"}).stderr
    other = [word if word != cloud.name else "other" for word in command]
    assert f"is a profile of {cloud.name}, not other" in _run(other, env).stderr
    # what is there already is somebody's, and must not be destroyed in the end
    user.tool("up", user.home / "first.yaml", "--yes")
    again = _run([*command, "--confirm", "first"], env)
    assert again.returncode == 1
    assert "this run ends by destroying it" in again.stderr
    assert user.tool("status", user.home / "first.yaml").returncode == 0


@pytest.mark.deep
def test_a_whole_life_leaves_a_report_and_nothing_else(
    real: tuple[User, dict[str, str], list[str]], cloud: Cloud
) -> None:
    user, env, command = real
    done = _run(command, env, "first\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left, by tag: nothing" in done.stdout
    (report,) = (user.home / "real").rglob("report.md")
    text = report.read_text()
    rows = re.findall(r"^\| (.*) \| (\d+) \| (\d+) \| \d+ \|$", text, re.M)
    assert len(rows) >= 10
    assert all(code == expected for _, code, expected in rows)
    assert "a tag changed" in text
    account = re.search(r"^account  (\S+)$", done.stdout, re.M)
    assert account is not None
    for secret in (*_secrets(user), account[1], str(user.home)):
        assert secret not in text
    assert not Path(user.env["KUBECONFIG"]).exists()
    assert user.tool("status", user.home / "first.yaml", ok=1)


@pytest.mark.deep
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        *(pytest.param(n, marks=pytest.mark.long) for n in (signal.SIGTERM, signal.SIGHUP)),
    ],
)
def test_it_destroys_also_after_an_interruption(
    real: tuple[User, dict[str, str], list[str]], number: int
) -> None:
    user, env, command = real
    with subprocess.Popen(
        [*command, "--confirm", "first"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        assert child.stdout is not None
        before = ""
        while "vpc/main: created" not in before:
            line = child.stdout.readline()
            assert line, before
            before += line
        child.send_signal(number)
        out = ""
        if number == signal.SIGHUP:
            child.stdout.close()  # the terminal is gone
            child.wait(300)
        else:
            out, _ = child.communicate(timeout=300)
            assert "interrupted: destroying what there is" in out
            assert "left, by tag: nothing" in out
    assert child.returncode == 1, out
    report = next((user.home / "real").rglob("report.md")).read_text()
    assert "| create the cluster |" in report
    assert "- left by tag: nothing" in report
    assert user.tool("status", user.home / "first.yaml", ok=1)


@pytest.mark.deep
@pytest.mark.long
def test_a_failure_in_between_destroys_too(
    real: tuple[User, dict[str, str], list[str]], cloud: Cloud
) -> None:
    user, env, command = real
    fault = {"eks": "refuse:eks:CreateNodegroup=InvalidRequestException"}
    fault["alibaba"] = "refuse:cs:CreateClusterNodePool=Forbidden"
    fault["aks"] = "refuse:containerservice:ManagedClusters_CreateOrUpdate=BadRequest"
    fault["gke"] = "refuse:container.projects.locations.clusters.create=INVALID_ARGUMENT"
    user.tool("sandbox", "faults", fault[cloud.name])
    done = _run([*command, "--confirm", "first"], env)
    assert done.returncode == 1, done.stdout
    assert "create the cluster: exit code" in done.stdout
    assert "left, by tag: nothing" in done.stdout
    assert fault[cloud.name].split("=")[1] in next((user.home / "real").rglob("*.md")).read_text()


def test_a_report_names_nobody() -> None:
    text = (
        f"arn:aws:sts::123456789012:assumed-role/Admin/jane@example.com {Path.home()}/p.yaml "
        "acs:ram::123456789012:user/jane arn:aws:eks:eu-west-1:123456789012:cluster/demo"
    )
    said = anonymous(text, "123456789012")
    assert "jane" not in said
    assert "123456789012" not in said
    assert str(Path.home()) not in said
    assert "cluster/demo" in said


def test_the_environment_can_be_removed_again(user: User) -> None:
    script = (
        'env -0 > before; eval "$(clusterkit sandbox env)"; '
        'test "$CLUSTERKIT_SANDBOX" = 1; eval "$(clusterkit sandbox env --unset)"; env -0 > after'
    )
    lacking = {k: v for k, v in user.env.items() if not k.startswith("CLUSTERKIT_")}
    lacking["XDG_STATE_HOME"] = str(user.home / "other")
    try:
        user.run("sh", "-ec", script, env=lacking)
    finally:
        user.run(TOOL, "sandbox", "stop", env=lacking)
    before, after = (set((user.home / n).read_text().split("\0")) for n in ("before", "after"))
    assert {each for each in after ^ before if not each.startswith("_=")} == set()
