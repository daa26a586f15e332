"""The commands, their words, their exit codes, and what they leave alone."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from clusterkit_sandbox import daemon
from clusterkit_sandbox.pace import Pace
from tests.clients.conftest import ALIBABA, EKS, TOOL, Cloud, Running, User, new_user, quick_on

OTHERS = """\
# kept by hand
apiVersion: v1
kind: Config
clusters:
- {name: mine, cluster: {server: "https://example.invalid"}}  # do not touch
contexts:
- {name: mine, context: {cluster: mine, user: mine}}
users:
- {name: mine, user: {token: abc}}
current-context: mine
"""


def test_up_says_what_it_did_and_again_does_nothing(user: User) -> None:
    profile = user.profile("twice")
    config = Path(user.env["KUBECONFIG"])
    config.write_text(OTHERS)
    config.chmod(0o600)
    first = user.tool("up", profile, "--yes")
    assert "kubectl --context clusterkit_sandbox_eks_eu-west-1_twice get nodes" in first.stdout
    assert re.search(r"^up twice: \d+ to do$", first.stderr, re.M)
    assert re.search(r"cluster/\S+: created in ", first.stderr)
    assert not re.search(r"\x1b", first.stdout + first.stderr)
    second = user.tool("up", profile, "--yes")
    assert "twice: nothing to do" in second.stderr
    assert user.tool("plan", profile).stdout == "twice: nothing to do\n"
    text = config.read_text()
    assert "# kept by hand" in text
    assert "# do not touch" in text
    assert "clusterkit_sandbox_eks_eu-west-1_twice" in text
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    gone = user.tool("destroy", profile, "--yes")
    assert gone.stdout == "twice: nothing is left\n"
    assert "clusterkit_" not in config.read_text()
    assert "# do not touch" in config.read_text()


def test_no_secret_is_ever_printed_or_stored(
    user: User, cloud: Cloud, running: Callable[[Cloud], Running]
) -> None:
    profile = running(cloud).profile
    done = [
        running(cloud).up,
        user.tool("kubeconfig", profile),  # another test may have replaced the file
        user.tool("status", profile, "--output", "json"),
        user.tool("plan", profile, "--debug"),
    ]
    secrets = [v for k, v in user.vendor.items() if v and ("SECRET" in k or "TOKEN" in k)]
    assert secrets
    state = Path(user.env["XDG_STATE_HOME"])
    kept = [f.read_text(errors="replace") for f in state.rglob("*") if f.is_file()]
    kept.append(Path(user.env["KUBECONFIG"]).read_text())
    for text in [t for d in done for t in (d.stdout, d.stderr)] + kept:
        for secret in secrets:
            assert secret not in text
        assert "k8s-aws-v1." not in text
        assert "PRIVATE KEY" not in text
        assert "client-key-data" not in text


def test_json_lines_tell_a_machine_everything(user: User) -> None:
    profile = user.profile("json")
    done = user.tool("up", profile, "--yes", "--output", "json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    names = [line["event"] for line in lines]
    assert names[0] == "Warnings"
    assert "Plan" in names
    assert names[-1] == "Result"
    assert {"RunStarted", "StepStarted", "StepDone", "RunEnded"} <= set(names)
    gone = user.tool("destroy", profile, "--yes", "--output", "json")
    assert json.loads(gone.stdout.splitlines()[-1])["kept"] == []


def test_destroy_needs_no_profile(user: User, cloud: Cloud) -> None:
    profile = user.profile("lost", cloud)
    user.tool("up", profile, "--yes")
    profile.unlink()
    words = cloud.target("lost")
    done = user.tool("destroy", *words, "--yes")
    assert done.stdout == "lost: nothing is left\n"
    assert user.tool("status", *words, ok=1).stdout.startswith("lost: nothing carries its tags")
    again = user.tool("destroy", *words, "--yes").stdout
    assert again.startswith("lost: nothing to delete: nothing carries its tags in ")


def test_nobody_to_ask_is_an_error_before_anything(user: User) -> None:
    profile = user.profile("asked")
    done = user.tool("up", profile, ok=1)
    assert "--yes" in done.stderr
    assert user.tool("status", profile, ok=1)


def test_a_moved_region_is_caught_by_the_receipt(user: User) -> None:
    profile = user.profile("moved")
    user.tool("up", profile, "--yes")
    text = profile.read_text()
    profile.write_text(text.replace("eu-west-1", "eu-central-1"))
    done = user.tool("up", profile, "--yes", ok=1)
    assert "eu-west-1" in done.stderr
    assert "destroy that cluster first" in done.stderr
    assert "--sandbox" in done.stderr  # or the command would be for a real account
    # another profile of that name is another cluster
    other = user.home / "other.yaml"
    other.write_text(profile.read_text())
    assert user.tool("plan", other, ok=20)
    profile.write_text(text)
    user.tool("destroy", profile, "--yes")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("validate", "nowhere.yaml"), 2, "does not exist"),
        (("up", "nowhere.yaml", "--yes"), 2, "clusterkit init"),
        (("destroy", "--cloud", "eks", "--name", "x"), 2, "--region is missing"),
        (
            ("destroy", "--cloud", "oks", "--region", "r", "--name", "x", "--yes"),
            2,
            "unknown cloud 'oks'",
        ),
        (("up", "--adopt"), 2, "requires an argument"),
        (("sandbox", "faults", "nonsense"), 1, "nonsense"),
        (("sandbox", "start", "--pace", "quick"), 1, "quick"),
    ],
)
def test_mistakes_are_named_with_their_cure(
    user: User, words: tuple[str, ...], code: int, said: str
) -> None:
    done = user.tool(*words, ok=code)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_stops_soon_and_says_how_to_continue(tmp_path: Path) -> None:
    user = new_user(tmp_path, Pace(60))
    try:
        profile = user.profile("stopped")
        child = user.start(TOOL, "up", str(profile), "--yes")
        assert user.wait_for_requests(60, lambda: child.poll() is None)
        child.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, err = child.communicate(timeout=30)
        assert child.returncode == 130
        assert time.monotonic() - started < 3
        assert f"To continue: clusterkit up {profile} --sandbox" in err
        assert "Traceback" not in err
        user.tool("destroy", profile, "--yes")
        assert user.tool("status", profile, ok=1)
    finally:
        daemon.stop(user.info.directory)


def test_in_a_terminal_of_eighty_columns_no_line_is_longer(user: User) -> None:
    """A pseudo-terminal: what is drawn stays within 80 columns."""
    profile = user.profile("drawn")
    pid, master = pty.fork()
    if pid == 0:
        env = {k: v for k, v in user.env.items() if k != "NO_COLOR"}
        env |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        os.chdir(user.home)
        os.execve(TOOL, [TOOL, "up", str(profile)], env)
    text = ""
    answered = False
    end = time.monotonic() + 60
    while time.monotonic() < end:
        ready, _, _ = select.select([master], [], [], 0.2)
        if ready:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            text += data.decode(errors="replace")
        if not answered and "[y/N]" in text:
            os.write(master, b"y\n")
            answered = True
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, text
    assert answered
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "✓ cluster/" in plain
    frames = [line for line in re.split(r"[\r\n]+", plain) if " done, " in line or "✓" in line]
    assert frames
    assert max(map(len, frames)) <= 80
    user.tool("destroy", profile, "--yes")


def test_a_terminal_breaks_messages_between_words(user: User) -> None:
    profile = user.home / "wrong.yaml"
    profile.write_text("cloud: eks\nname: x\nregion: eu-west-1\nmachinee: 1\npools: []\n")
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(user.env | {"COLUMNS": "60", "TERM": "xterm"})
        os.execv(TOOL, [TOOL, "validate", str(profile)])
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:
        pass  # how Linux says that nobody writes any more
    os.waitpid(pid, 0)
    os.close(terminal)
    lines = shown.decode().replace("\r", "").splitlines()
    hint = lines[next(i for i, line in enumerate(lines) if "known keys:" in line) :]
    assert len(hint) > 2
    assert all(line.startswith("       ") for line in hint[:3])
    assert all(len(line) <= 60 for line in hint[:3])
    whole = user.tool("validate", profile, ok=2).stderr
    assert " ".join(line.strip() for line in hint[:3]) in whole


def _lives(user: User, target: tuple[str, ...], *words: str) -> float:
    """How many minutes a credential lives."""
    found = json.loads(user.tool("token", *target, *words).stdout)
    end = datetime.fromisoformat(found["status"]["expirationTimestamp"])
    return (end - datetime.now(UTC)).total_seconds() / 60


def test_credentials_live_as_long_as_was_asked_for_and_up_keeps_it(user: User) -> None:
    profile = user.profile("long", ALIBABA)
    target = ALIBABA.target("long")
    user.tool("up", profile, "--yes")
    assert 55 < _lives(user, target) < 61
    assert 230 < _lives(user, target, "--minutes", "240") < 241
    user.tool("kubeconfig", profile, "--minutes", "240")
    user.tool("up", profile, "--yes")
    assert '"--minutes"' in json.dumps(yaml.safe_load(Path(user.env["KUBECONFIG"]).read_text()))
    said = user.tool("token", *target, "--minutes", "14", ok=2).stderr
    assert "must be 15 to 4320" in said
    user.tool("destroy", profile, "--yes")


def test_where_the_cloud_decides_how_long_they_live_nobody_else_does(user: User) -> None:
    said = user.tool("token", *EKS.target("any"), "--minutes", "60", ok=2).stderr
    assert "eks sets the lifetime of credentials itself" in said


@quick_on(EKS)
def test_commands_that_read_outlast_a_bad_connection(
    user: User, cloud: Cloud, running: Callable[[Cloud], Running]
) -> None:
    profile = running(cloud).profile
    try:
        for fault in ("throttle=0.3", "error=0.3", "lost=0.3"):
            user.tool("sandbox", "faults", fault)
            user.tool("token", profile)
            user.tool("kubeconfig", profile, "--stdout")
            user.tool("status", profile)
            assert user.tool("plan", profile).stdout == f"{profile.stem}: nothing to do\n"
    finally:
        user.tool("sandbox", "faults")


@pytest.mark.parametrize("option", [(), ("--adopt", "vpc/main=vpc-1"), ("--activate",)])
def test_credentials_of_another_account_change_nothing(
    user: User, cloud: Cloud, running: Callable[[Cloud], Running], option: tuple[str, ...]
) -> None:
    profile = running(cloud).profile
    state = Path(user.env["XDG_STATE_HOME"])
    receipt = next(state.rglob(f"{cloud.name}_*_{profile.stem}.json"))
    known = receipt.read_text()
    account = json.loads(known)["account"]
    receipt.write_text(known.replace(account, "999999999999"))
    try:
        before = user.requests()
        done = user.tool("up", profile, "--yes", *option, ok=3)
        assert f"of account {account}, but the cluster belongs to 999999999999" in done.stderr
        assert str(receipt) in done.stderr
        assert user.requests() - before <= 3  # Entra: its discovery, a token, the subscription
        user.tool("destroy", profile, "--yes", ok=3)
    finally:
        receipt.write_text(known)


def test_a_trace_is_written_for_the_user_only(user: User, cloud: Cloud) -> None:
    profile = user.profile("traced", cloud)
    file = user.home / "trace.jsonl"
    user.tool("plan", profile, "--trace", file, ok=20)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) > 20
    assert {line["what"] for line in lines} == {"request", "answer"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secrets = [v for k, v in user.vendor.items() if v and ("SECRET" in k or "KEY_ID" in k)]
    assert len(secrets) > 1
    for secret in secrets:
        assert secret not in file.read_text()
    said = user.tool("plan", profile, "--trace", user.home, ok=1).stderr
    assert "cannot be written" in said


@pytest.mark.client
def test_kubectl_uses_the_cluster_and_a_claim_binds(user: User, cloud: Cloud) -> None:
    kubectl = shutil.which("kubectl", path=user.env["PATH"])
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    profile = user.profile("used", cloud)
    user.tool("up", profile, "--yes")
    nodes = user.run(kubectl, "get", "nodes", "-o", "json")
    assert len(json.loads(nodes.stdout)["items"]) == 2
    classes = json.loads(user.run(kubectl, "get", "storageclass", "-o", "json").stdout)["items"]
    default = "storageclass.kubernetes.io/is-default-class"
    assert [
        c["metadata"]["name"]
        for c in classes
        if c["metadata"].get("annotations", {}).get(default) == "true"
    ] == [cloud.storage_class]
    manifest = user.home / "claim.yaml"
    manifest.write_text(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: small}\n"
        "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n---\n"
        "apiVersion: v1\nkind: Pod\nmetadata: {name: user}\nspec:\n"
        "  containers: [{name: c, image: busybox, volumeMounts: [{name: v, mountPath: /v}]}]\n"
        "  volumes: [{name: v, persistentVolumeClaim: {claimName: small}}]\n"
    )
    user.run(kubectl, "apply", "-f", str(manifest))
    user.run(kubectl, "wait", "--for=jsonpath={.status.phase}=Bound", "pvc/small", "--timeout=20s")
    service = ("create", "service", "loadbalancer", "web", "--tcp=80:80")
    user.run(kubectl, *service)
    assert user.tool("destroy", profile, "--yes").stdout == "used: nothing is left\n"


def test_aws_sees_what_clusterkit_made(user: User, running: Callable[[Cloud], Running]) -> None:
    aws = shutil.which("aws")
    if aws is None:
        pytest.skip("aws is not installed")
    name = running(EKS).profile.stem
    shown = subprocess.run(
        [aws, "eks", "describe-cluster", "--name", name, "--region", "eu-west-1"],
        env=user.vendor | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    cluster = json.loads(shown.stdout)["cluster"]
    assert cluster["status"] == "ACTIVE"
    assert cluster["accessConfig"]["authenticationMode"] == "API"
    assert cluster["tags"]["clusterkit-cluster"] == name
