"""A machine that refuses things: broken kubeconfigs, odd environments, few file descriptors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from clusterkit_sandbox import daemon
from clusterkit_sandbox.pace import Pace
from tests.clients.conftest import EKS, TOOL, Cloud, Running, User, new_user


def test_a_broken_kubeconfig_is_found_before_anything_is_built(user: User) -> None:
    config = Path(user.env["KUBECONFIG"])
    had = config.read_text() if config.exists() else ""
    profile = user.profile("early")
    before = user.requests()
    try:
        config.write_text("clusters: [")
        done = user.tool("up", profile, "--yes", ok=4)
        assert f"{config}: is not valid YAML" in done.stderr
        state = user.home / "nowhere"
        state.touch()
        env = user.env | {"XDG_STATE_HOME": str(state / "below")}
        done = user.run(TOOL, "up", str(profile), "--yes", ok=4, env=env)
        assert "is not valid YAML" in done.stderr
        assert "set XDG_STATE_HOME to a directory you can write to" in done.stderr
    finally:
        config.write_text(had)
    assert user.requests() == before


def test_destroy_ends_well_without_the_kubeconfig(user: User) -> None:
    profile, config = user.profile("late"), Path(user.env["KUBECONFIG"])
    user.tool("up", profile, "--yes")
    had = config.read_text()
    try:
        config.write_text("clusters: [")
        done = user.tool("destroy", profile, "--yes")
        assert done.stdout == "late: nothing is left\n"
        assert "warning: " in done.stderr
        assert "the cluster's context is still there: is not valid YAML" in done.stderr
        assert "kubectl config delete-context clusterkit_sandbox_eks_eu-west-1_late" in done.stderr
        assert not list(Path(user.env["XDG_STATE_HOME"]).rglob("*_late.json"))
    finally:
        config.write_text(had)


@pytest.mark.deep
def test_a_cluster_is_told_also_when_its_context_cannot_be_written(tmp_path: Path) -> None:
    user = new_user(tmp_path, Pace(60))
    try:
        profile, config = user.profile("built"), Path(user.env["KUBECONFIG"])
        child = user.start(TOOL, "up", str(profile), "--yes", "--output", "json")
        assert user.wait_for_requests(60, lambda: child.poll() is None)
        config.write_text("clusters: [")
        out, err = child.communicate(timeout=100)
        assert child.returncode == 1, out
        assert "built is up, but there is no context for it: is not valid YAML" in err
        assert f"then run: clusterkit kubeconfig {profile} --sandbox" in err
        lines = [json.loads(line) for line in out.splitlines()]
        told = {"event": "Result", "cluster": "built", "context": None, "kubeconfig": None}
        assert [line for line in lines if told.items() <= line.items()], lines
        config.unlink()
        user.tool("kubeconfig", profile)
        user.tool("destroy", profile, "--yes")
    finally:
        daemon.stop(user.info.directory)


def test_variables_for_a_real_account_do_not_reach_the_sandbox(
    user: User, cloud: Cloud, running: Callable[[Cloud], Running]
) -> None:
    odd = {"AWS_PROFILE": "nope", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_CA_BUNDLE": "/x"}
    odd |= {"ALIBABA_CLOUD_PROFILE": "nope", "HTTPS_PROXY": "http://127.0.0.1:1"}
    profile = str(running(cloud).profile)
    user.run(TOOL, "plan", profile, env=user.env | odd)
    user.run(TOOL, "token", profile, env=user.env | odd)


def test_the_vendors_tool_finds_the_sandbox_too(
    user: User, running: Callable[[Cloud], Running]
) -> None:
    printed = user.tool("kubeconfig", running(EKS).profile, "--auth", "aws", "--stdout").stdout
    stanza = yaml.safe_load(printed)["users"][0]["user"]["exec"]
    environ = {each["name"]: each["value"] for each in stanza["env"]}
    assert stanza["command"] == "aws"
    assert environ["HTTPS_PROXY"] == user.info.proxy
    assert environ["AWS_CA_BUNDLE"] == str(user.info.ca_file)


@pytest.mark.parametrize("limits", ["ulimit -n 64", "ulimit -n 20", "ulimit -v 300000"])
def test_few_resources_are_enough_or_named(
    user: User, running: Callable[[Cloud], Running], limits: str
) -> None:
    profile = running(EKS).profile
    script = f"{limits}; exec {TOOL} plan {profile}"
    done = user.run("bash", "-c", script, ok=None)
    if limits == "ulimit -n 64" or done.returncode == 0:
        assert done.stdout == f"{profile.stem}: nothing to do\n"
    else:
        assert "ulimit" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_process_without_a_terminal_is_told_what_to_add(user: User) -> None:
    profile = user.profile("closed")
    done = user.run("bash", "-c", f"exec {TOOL} up {profile} <&-", ok=1)
    assert "cannot ask for confirmation: stdin is not a terminal" in done.stderr
