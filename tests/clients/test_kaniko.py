"""``clusterkit kaniko build`` as a user runs it: a folder goes in, an image is in the registry."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.clients.conftest import AKS, ALIBABA, EKS, GKE, Cloud, User

BUILDS = """\
registry: {{name: {name}, repositories: [app], keep: false}}
ready: {{kaniko: {{}}}}
"""


def builder(cloud: Cloud) -> Cloud:
    """The cloud with a profile that prepares the cluster for builds."""
    lines = cloud.profile.splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("registry:", "endpoint:"))]
    return replace(cloud, profile="".join(kept) + BUILDS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cloud", [EKS, ALIBABA, GKE, AKS], ids=lambda cloud: cloud.name)
def test_a_folder_becomes_an_image(user: User, cloud: Cloud) -> None:
    context = user.home / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY a.txt /\n")
    (context / "a.txt").write_text(cloud.name)
    profile = user.profile("builds", builder(cloud))
    user.tool("up", profile, "--yes", "--activate")

    done = user.tool("kaniko", "build", context, profile, "--destination", "app:v1")
    assert re.fullmatch("sha256:[0-9a-f]{64}\n", done.stdout), done.stderr
    assert "no Dockerfile was executed" in done.stderr
    pushed = re.findall(r"Pushed (\S+)@(\S+?)\"", done.stderr)
    assert pushed[-1][0].endswith("/builds/app"), pushed
    assert pushed[-1][1] == done.stdout.strip()

    # a registry that the build has no password for
    other = user.tool("kaniko", "build", context, profile, "-d", "docker.io/me/app:v1", ok=None)
    assert other.returncode not in (0, 2)
    assert "error: job/builds/kaniko-" in other.stderr
    assert other.stdout == ""
    user.tool("destroy", profile, "--yes")
