"""Several profiles in one command: one display, one question, every cluster its own end."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterkit import Cluster
from clusterkit.clouds import sandbox_connection
from clusterkit_sandbox import daemon
from clusterkit_sandbox.pace import Pace
from tests.clients.conftest import ALIBABA, EKS, GKE, TOOL, Cloud, User, new_user

AKS = Cloud(
    "aks",
    "westeurope",
    """\
cloud: aks
name: {name}
region: westeurope
pools:
  - {{name: default, machine: Standard_D2s_v5}}
""",
    "clusterkit-ssd",
)
CLOUDS = (AKS, ALIBABA, EKS, GKE)
MINE = """\
apiVersion: v1
kind: Config
clusters: [{name: mine, cluster: {server: "https://example.invalid"}}]
contexts: [{name: mine, context: {cluster: mine, user: mine}}]
users: [{name: mine, user: {token: abc}}]
current-context: mine
"""


def _fleet(user: User, name: str, clouds: tuple[Cloud, ...] = CLOUDS) -> Path:
    """A folder with a profile for each cloud; all clusters have one name."""
    folder = user.home / name
    folder.mkdir()
    for cloud in clouds:
        (folder / f"{cloud.name}.yaml").write_text(cloud.profile.format(name=name))
    return folder


def _lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def _answered(
    user: User,
    *words: object,
    answer: str,
    columns: int = 80,
    meanwhile: Callable[[], object] = lambda: None,
) -> tuple[int, str]:
    """Run it in a terminal and answer its one question, after what is done ``meanwhile``; exit code
    and what was printed.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        env = {k: v for k, v in user.env.items() if k != "NO_COLOR"}
        env |= {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "24"}
        os.chdir(user.home)
        os.execve(TOOL, [TOOL, *map(str, words)], env)
    text, asked, end = "", 0, time.monotonic() + 100
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:  # how Linux says that nobody writes any more
            break
        text += data.decode(errors="replace")
        if text.rstrip().endswith(("to go on:", "[y/N]")) and not asked:
            asked += 1
            meanwhile()
            os.write(terminal, f"{answer}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert asked == 1, text
    return os.waitstatus_to_exitcode(status), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.timeout(300)
def test_four_clouds_in_one_command_and_one_of_them_fails(user: User) -> None:
    folder = _fleet(user, "four")
    config = Path(user.env["KUBECONFIG"])
    config.write_text(MINE)
    assert user.tool("validate", folder).stdout.count("valid profile of four") == 4

    planned = _lines(user.tool("plan", folder, "--output", "json", ok=20))
    for line in planned[:-1]:
        assert {"cloud", "region", "name"} <= set(line), line
    assert [c["result"] for c in planned[-1]["clusters"]] == ["to change"] * 4

    user.tool("sandbox", "faults", "terminal:eks:CreateNodegroup@1")
    failed = _lines(user.tool("up", folder, "--yes", "--output", "json", ok=8))
    user.tool("sandbox", "faults")
    for line in failed[:-1]:
        assert (line["name"], line["cloud"]) in {("four", cloud.name) for cloud in CLOUDS}, line
    started = {line["cloud"] for line in failed if line["event"] == "RunStarted"}
    assert started == {cloud.name for cloud in CLOUDS}
    (error,) = (line for line in failed if line["event"] == "Error")
    assert error["cloud"] == "eks"
    end = failed[-1]
    assert (end["event"], end["command"], end["exit"]) == ("Summary", "up", 8)
    assert [(c["cloud"], c["result"], c["exit"]) for c in end["clusters"]] == [
        ("aks", "up", 0),
        ("alibaba", "up", 0),
        ("eks", "failed", 8),
        ("gke", "up", 0),
    ]
    kube = yaml.safe_load(config.read_text())
    assert kube["current-context"] == "mine"
    names = [context["name"] for context in kube["contexts"]]
    assert [c["context"] in names for c in end["clusters"]] == [True, True, False, True]

    again = user.tool("up", folder, "--yes")
    assert "up of 4 clusters: 3 unchanged, 1 up in " in again.stdout
    assert again.stdout.count("kubectl --context clusterkit_sandbox_") == 4
    assert "To continue" not in again.stderr
    assert user.tool("status", folder).stdout.count(" things") == 4

    gone = _lines(user.tool("destroy", folder, "--yes", "--output", "json"))
    assert [c["result"] for c in gone[-1]["clusters"]] == ["deleted"] * 4
    assert yaml.safe_load(config.read_text())["contexts"] == yaml.safe_load(MINE)["contexts"]
    assert not list(Path(user.env["XDG_STATE_HOME"]).rglob("*_four.json"))


@pytest.mark.timeout(300)
def test_one_question_about_all_of_them(user: User) -> None:
    """In a terminal of eighty columns, which no line of the display exceeds."""
    folder = _fleet(user, "asked", (EKS, GKE))
    code, said = _answered(user, "up", folder, answer="y")
    assert code == 0, said
    assert "Apply this to 2 clusters" in said
    assert "up of 2 clusters: 2 up in " in said
    frames = [line for line in re.split(r"[\r\n]+", said) if re.match(r"2 clusters: |✓|⠋", line)]
    assert len(frames) > 4
    assert max(map(len, frames)) <= 80
    code, said = _answered(user, "destroy", folder, answer="asked")
    assert (code, "nothing was changed" in said) == (1, True)
    assert "that was not 'destroy 2 clusters'" in said
    assert "Type 'destroy 2 clusters' to go on:" in said
    for cloud in (EKS, GKE):
        assert re.search(rf"asked \({cloud.name}\): {cloud.name}, {cloud.region}, account ", said)
    code, said = _answered(user, "destroy", folder, answer="destroy 2 clusters")
    assert code == 0, said
    assert "destroy of 2 clusters: 2 deleted in " in said
    assert user.tool("status", folder, ok=1)


@pytest.mark.timeout(300)
def test_a_run_that_came_and_went_while_it_was_asked_is_noticed(user: User) -> None:
    """Nothing is left of it but what it did: neither a lock nor anything that waits."""
    folder = _fleet(user, "overtaken", (GKE, ALIBABA))
    profile = folder / "gke.yaml"
    user.tool("up", profile, "--yes")
    with profile.open("a") as file:
        file.write("tags: {team: ci}\n")
    code, said = _answered(
        user, "up", folder, answer="y", meanwhile=lambda: user.tool("destroy", profile, "--yes")
    )
    assert code == 14, said
    told = "another run has changed what there is to do; this one changed nothing"
    assert told in " ".join(said.split())
    assert user.tool("status", profile, ok=1)
    assert user.tool("status", folder / "alibaba.yaml")
    user.tool("destroy", folder, "--yes")


def test_every_problem_of_every_profile_comes_before_any_change(user: User) -> None:
    folder = _fleet(user, "broken", (EKS, GKE))
    (folder / "x.yaml").write_text("cloud: eks\nname: x\nregion: nowhere\n")
    (folder / "y.yaml").write_text("cloud: oks\nname: y\nregion: eu-west-1\n")
    before = user.requests()
    for command in ("up", "destroy"):
        said = user.tool(command, folder, "--yes", ok=2).stderr
        assert "x.yaml:3: region: must be an AWS region" in said
        assert "y.yaml" in said
    assert user.requests() == before
    done = user.tool("plan", folder, ok=2)  # nothing would be changed: the others are shown
    assert "broken (eks): 2" in done.stdout
    assert "2 to change, 2 failed" in done.stdout
    valid = user.tool("validate", folder, ok=2)
    assert valid.stdout.count("valid profile") == 2
    assert "x.yaml:3" in valid.stderr


def test_what_one_cloud_refuses_does_not_stop_the_others(user: User) -> None:
    folder = _fleet(user, "refused", (EKS, GKE))
    profile = folder / "eks.yaml"
    profile.write_text(profile.read_text().replace("m6i.large", "m6i.huge"))
    done = user.tool("up", folder, "--yes", ok=4)
    assert "m6i.huge is not offered" in done.stderr
    assert "1 failed, 1 up" in done.stdout or "1 up, 1 failed" in done.stdout
    assert f"To continue: clusterkit up {folder} --sandbox" in done.stderr
    assert "destroy of 2 clusters" in user.tool("destroy", folder, "--yes").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "--use"), "kubectl config use-context"),
        (("up", "--adopt", "vpc/main=vpc-1"), "--adopt: is for one cluster"),
        (("up", "--activate", "--take-over"), "--take-over --activate: is for one cluster"),
        (("destroy", "--name", "x"), "--name: choose one cluster"),
        (("plan", "--account", "1"), "--account: is of one cloud, and the profiles are of 2"),
    ],
)
def test_options_of_one_cluster_are_refused(
    user: User, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    for cloud in (EKS, GKE):
        (tmp_path / f"{cloud.name}.yaml").write_text(cloud.profile.format(name="options"))
    before = user.requests()
    command, *options = words
    assert said in user.tool(command, tmp_path, *options, ok=2).stderr
    assert user.requests() == before


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[User]:
    """A user whose clusters take some seconds."""
    found = new_user(tmp_path, Pace(60))
    yield found
    daemon.stop(found.info.directory)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("presses", [1, pytest.param(2, marks=pytest.mark.deep)])
def test_ctrl_c_stops_all_of_them(slow: User, presses: int) -> None:
    profiles = [str(slow.profile("one")), str(slow.profile("two"))]
    child = slow.start(TOOL, "up", *profiles, "--yes")
    assert slow.wait_for_requests(140, lambda: child.poll() is None)
    for _ in range(presses):
        child.send_signal(signal.SIGINT)
        time.sleep(0.05)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in err
    if presses == 1:
        assert f"To continue: clusterkit up {' '.join(profiles)} --sandbox" in err
        assert "error: interrupted" in err
    receipts = [path.name for path in Path(slow.env["XDG_STATE_HOME"]).rglob("eks_*.json")]
    assert len(receipts) == 2
    slow.tool("destroy", *profiles, "--yes")
    assert slow.tool("status", *profiles, ok=1)


def test_what_each_may_have_and_all_together_may_not_is_refused_before_anything(
    user: User, tmp_path: Path
) -> None:
    machine = "machine: e2-standard-16, count: 2"
    for number in range(3):
        text = GKE.profile.format(name=f"big-{number}").replace("machine: e2-standard-2", machine)
        (tmp_path / f"{number}.yaml").write_text(text)
    user.tool("plan", tmp_path / "0.yaml", ok=20)
    told = "3 of the clusters together need 96 more of the quota CPUS, and 72 are left of 72"
    for command in (("plan",), ("up", "--yes")):
        assert told in user.tool(*command, tmp_path, ok=4).stderr
    assert not user.tool("status", tmp_path, ok=1).stdout.count(" thing")


def test_ten_clusters_do_not_fit_a_new_account_of_aws(user: User, tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.yaml").write_text(EKS.profile.format(name=f"n{number}"))
    before = user.requests()
    told = user.tool("up", tmp_path, "--yes", ok=4).stderr
    need = "10 of the clusters together need 10 more of the quota"
    assert f"{need} VPCs per Region, and " in told
    assert f"{need} EC2-VPC Elastic IPs, and " in told
    asked = [each.operation for each in daemon.requests(user.info)[before:]]
    assert asked.count("service-quotas:GetServiceQuota") == 3
    assert not [one for one in asked if "Create" in one]


def test_ctrl_c_while_a_lock_is_waited_for_leaves_the_others_alone(user: User) -> None:
    """Of one nothing is there yet, and somebody on another machine has just begun to build it."""
    profiles = [str(user.profile("begun")), str(user.profile("there"))]
    user.tool("up", profiles[1], "--yes")
    cluster = Cluster.from_profile(profiles[0], sandbox_connection(user.info.directory))
    lock = cluster.hold().result()
    child = user.start(TOOL, "destroy", *profiles, "--yes")
    assert child.stderr is not None
    while "another run works on this cluster" not in (line := child.stderr.readline()):
        assert line
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 130, err
    assert "destroy of 2 clusters: 2 interrupted" in out
    cluster.let_go(lock, well=True).result()
    user.tool("plan", profiles[1])
    user.tool("destroy", *profiles, "--yes")


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_a_process_keeps_its_threads_whatever_the_number_of_clusters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTERKIT_SANDBOX_QUOTAS", "off")
    user = new_user(tmp_path, Pace(600))
    try:
        folder = tmp_path / "many"
        folder.mkdir()
        for number in range(18):
            (folder / f"{number}.yaml").write_text(EKS.profile.format(name=f"n{number}"))
        child = user.start(TOOL, "up", str(folder), "--yes")
        most = 0
        while child.poll() is None:
            text = Path(f"/proc/{child.pid}/status").read_text()
            most = max(most, int(text.split("Threads:")[1].split()[0]))
            time.sleep(0.02)
        out, err = child.communicate(timeout=60)
        assert "18 up in " in out, err
        assert 16 < most <= 64
    finally:
        daemon.stop(user.info.directory)
