"""``clusterkit kaniko`` and the login of ``up``, as they are typed."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from clusterkit.cli import receipt
from clusterkit.cli.connect import connected
from clusterkit.cli.login import check_one_registry, registry_login
from clusterkit.cli.main import app
from clusterkit.cli.target import Choice, choices
from clusterkit.clouds import CLOUDS, model
from clusterkit.cluster import Cluster
from clusterkit.engine.target import Target, UserLogin
from clusterkit.errors import ClusterkitError, Interrupted, UsageError
from clusterkit.profile.model import BaseProfile, load
from tests.unit.apiserver import DIGEST, Kubelet, serving

POOL = "pools: [{name: default, machine: %s}]\n"
GKE = (
    "cloud: gke\nname: demo\nregion: europe-west1\nproject: my-project1\n"
    + POOL % "e2-standard-4"
    + "registry: {name: demo, repositories: [app]}\nready: {kaniko: {}}\n"
)
EKS = (
    "cloud: eks\nname: demo\nregion: eu-west-1\n"
    + POOL % "m7i.xlarge"
    + "registry: {name: demo, repositories: [app]}\nready: {kaniko: {}}\n"
)
HUB = (
    "cloud: aks\nname: demo\nregion: westeurope\n"
    + POOL % "Standard_D4s_v5"
    + "ready: {kaniko: {registry: {prefix: me}}}\n"
)
ACK = (
    "cloud: alibaba\nname: demo\nregion: ap-southeast-1\n"
    + POOL % "ecs.g7.xlarge"
    + "registry: {name: demo, repositories: [app]}\n"
    + "ready: {jenkins_x: {git_url: 'https://github.com/a/b'}}\n"
)
GIT = "--context=git://github.com/a/b"


@dataclass
class Desk:
    """A folder with a profile, without a cloud."""

    folder: Path

    def profile(self, text: str) -> str:
        path = self.folder / "profile.yaml"
        path.write_text(text)
        return str(path)

    def run(self, *words: str, stdin: bytes = b"") -> Result:
        return CliRunner().invoke(app, words, input=stdin, standalone_mode=False)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("CLUSTERKIT_SANDBOX", "CLUSTERKIT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return Desk(tmp_path)


def printed(result: Result) -> Any:
    assert result.exit_code == 0, (result.stderr, result.exception)
    return yaml.safe_load(result.stdout)


def flags(found: Any) -> Sequence[str]:
    spec = found["spec"]
    spec = spec.get("template", {}).get("spec") or spec
    found_flags: Sequence[str] = spec["containers"][0]["args"]
    return found_flags


@pytest.mark.parametrize(
    ("profile", "destination"),
    [
        (GKE, "europe-west1-docker.pkg.dev/my-project1/demo/app:1"),
        (HUB, "docker.io/me/app:1"),
    ],
)
def test_a_manifest_from_the_profile_alone(desk: Desk, profile: str, destination: str) -> None:
    """No network is there, and none is needed."""
    result = desk.run("kaniko", "manifest", desk.profile(profile), GIT, "-d", "app:1")
    found = printed(result)
    assert found["kind"] == "Job"
    assert f"--destination={destination}" in flags(found)
    assert result.stderr == ""


def test_the_receipt_tells_the_account(desk: Desk) -> None:
    path = desk.profile(EKS)
    known = receipt.Receipt(
        "eks", "demo", "eu-west-1", "123456789012", "", "2026-01-01T00:00:00+00:00"
    )
    receipt.write(known, receipt.directory())
    found = printed(desk.run("kaniko", "manifest", path, GIT, "-d", "app:1", "--pod"))
    assert found["kind"] == "Pod"
    host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    assert f"--cache-repo={host}/demo/app/cache" in flags(found)


def test_options_reach_kaniko(desk: Desk) -> None:
    words = (
        "--no-cache", "--dockerfile", "ci/Dockerfile", "--build-arg", "A=b", "--memory-limit",
        "8Gi", "--env-from", "git", "--image", "example.test/kaniko:1", "--arg=--target=x",
        "--name", "mine", "-d", "quay.io/a/b:1",
    )  # fmt: skip
    path = desk.profile(GKE)
    found = printed(desk.run("kaniko", "manifest", path, GIT, "-d", "app:1", *words))
    assert found["metadata"]["name"] == "mine"
    told = flags(found)
    assert {"--dockerfile=ci/Dockerfile", "--build-arg=A=b", "--target=x"} <= set(told)
    assert "--destination=quay.io/a/b:1" in told
    assert not [flag for flag in told if "cache=true" in flag]


@pytest.mark.parametrize(
    ("profile", "words", "said"),
    [
        (GKE.replace("{kaniko: {}}", "{}"), [GIT], "does not prepare the cluster for kaniko"),
        (GKE, ["--context=."], "reads no context"),
        (GKE, ["--context=https://github.com/a/b"], "a .tar.gz"),
    ],
)
def test_what_cannot_be(desk: Desk, profile: str, words: list[str], said: str) -> None:
    result = desk.run("kaniko", "manifest", desk.profile(profile), "-d", "app:1", *words)
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)


def built(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, kubelet: Kubelet, *words: str, stdin: bytes = b""
) -> Result:
    """A build on a cluster of a few lines."""
    (desk.folder / "server").mkdir()
    with serving(desk.folder / "server", kubelet) as api:
        monkeypatch.setattr(Cluster, "kube", property(lambda _: api))
        return desk.run("kaniko", "build", *words, "-d", "app:1", stdin=stdin)


def test_a_build_prints_its_digest_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = desk.profile(GKE)
    context = desk.folder / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\n")
    (context / ".env").write_text("TOKEN=1\n")
    (context / "a.log").write_text("x")
    (context / ".dockerignore").write_text("*.log\n")
    kubelet = Kubelet(needs_stdin=True)
    result = built(desk, monkeypatch, kubelet, str(context), profile)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{DIGEST}\n"
    assert "context: 3 files" in result.stderr
    assert "(1 left out by .dockerignore)" in result.stderr
    assert "files that usually hold secrets are sent too: .env" in result.stderr
    assert "INFO pushing" in result.stderr


def test_the_exit_code_is_kanikos(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ["error: DENIED: Permission uploadArtifacts denied on resource"]
    kubelet = Kubelet(code=7, message="", log=log)
    result = built(desk, monkeypatch, kubelet, "git://github.com/a/b", desk.profile(GKE))
    assert result.return_value == 7
    assert result.stdout == ""
    assert "Google refuses the push" in result.stderr
    assert kubelet.job is not None


def test_an_image_that_is_not_kaniko_has_pushed_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile, url = desk.profile(GKE), "git://github.com/a/b"
    result = built(desk, monkeypatch, Kubelet(message=""), url, profile)
    assert isinstance(result.exception, ClusterkitError)
    assert "no digest" in str(result.exception)


def test_what_shall_not_be_pushed_needs_no_digest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("git://github.com/a/b", desk.profile(GKE), "--arg=--no-push", "--no-cache")
    result = built(desk, monkeypatch, Kubelet(message=""), *words)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.endswith("the image was not pushed\n")


def test_standard_input_is_a_context(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet, data = Kubelet(needs_stdin=True), b"\x1f\x8b" + b"x" * 50_000
    result = built(desk, monkeypatch, kubelet, "-", desk.profile(GKE), stdin=data)
    assert result.exit_code == 0, result.stderr
    assert kubelet.stdin == data


def test_nothing_is_made_for_a_context_that_is_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubelet = Kubelet()
    result = built(desk, monkeypatch, kubelet, str(desk.folder), desk.profile(GKE))
    assert isinstance(result.exception, UsageError)
    assert kubelet.heard == []


def test_ctrl_c_removes_the_build(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet = Kubelet()
    kubelet.runs.clear()
    threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()
    result = built(desk, monkeypatch, kubelet, "git://github.com/a/b", desk.profile(GKE))
    assert isinstance(result.exception, Interrupted)
    assert kubelet.job is None
    assert [method for method, _ in kubelet.heard].count("DELETE") == 1


# -- the login --------------------------------------------------------------------------------


def test_half_a_login_is_none() -> None:
    env = {"CLUSTERKIT_REGISTRY_PASSWORD": "p"}
    assert registry_login("me", stdin=False, environ=env) == UserLogin("me", "p")
    assert registry_login(None, stdin=False, environ=env) is None
    assert registry_login("me", stdin=False, environ={}) is None
    assert "p" not in repr(registry_login("me", stdin=False, environ=env)).split("user")[0]


def test_a_password_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("s3cret\n"))
    found = registry_login("me", stdin=True, environ={})
    assert found == UserLogin("me", "s3cret")
    assert "s3cret" not in repr(found)
    monkeypatch.setattr(sys, "stdin", io.StringIO("s3cret"))
    with pytest.raises(UsageError, match="user is missing"):
        registry_login(None, stdin=True, environ={})
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(UsageError, match="standard input is empty"):
        registry_login("me", stdin=True, environ={})


def test_the_login_reaches_the_drivers() -> None:
    choices_ = choices([Path("a.yaml"), Path("b.yaml")], Choice(login=UserLogin("me", "p")))
    assert [one.login for one in choices_.each] == [UserLogin("me", "p")] * 2
    target = Target("eks", "demo", "eu-west-1")
    with connected(target, choices_.each[0], print) as here:
        assert here.cluster.connection.registry_login == UserLogin("me", "p")
        assert "'p'" not in repr(here.cluster.connection)


def test_a_login_is_for_one_registry(desk: Desk) -> None:
    def loaded(text: str) -> BaseProfile:
        return load(Path(desk.profile(text)), model, CLOUDS)

    hub, login = loaded(HUB), UserLogin("me", "p")
    other = loaded(HUB.replace("{prefix: me}", "{server: ghcr.io, prefix: me}"))
    check_one_registry([hub, hub, loaded(GKE)], login)
    check_one_registry([hub, other], None)
    with pytest.raises(UsageError, match=r"https://index.docker.io/v1/, ghcr.io|ghcr.io, https"):
        check_one_registry([hub, other], login)
    ack = loaded(ACK)
    check_one_registry([ack, loaded(GKE)], login)
    with pytest.raises(UsageError, match="Container Registry in ap-southeast-1, https://index"):
        check_one_registry([hub, ack], login)


def test_a_password_is_no_argument(desk: Desk) -> None:
    result = desk.run("up", desk.profile(HUB), "--registry-password", "s3cret")
    assert "No such option" in str(result.exception)
    assert "s3cret" not in result.output
