"""A cluster that is made again under its name, at once: its builds push at the first try.

What it had before is of another life: roles, accounts and policies of the same names that still
know the old ones (https://github.com/openshift/installer/issues/2790), rights that take minutes to
have their effect. The sandbox's grants take as long as the clouds', at sixty times their speed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clusterkit.profile.ready import Kaniko
from clusterkit.ready import context
from clusterkit.ready.build import Ended, Runner
from clusterkit.ready.jenkinsx import Platform
from clusterkit.ready.kaniko import STDIN, Build
from clusterkit_sandbox.pace import Pace
from tests.drivers.cases import MINIMAL
from tests.drivers.world import Case, World, edited, world

REGISTRY = {"name": "demo", "repositories": ["app"]}
PROFILE = {"registry": REGISTRY, "ready": {"kaniko": {}}}
OTHERWISE = {
    "eks": {"registry.push": "node"},
    "gke": {"registry.identity": "account"},
    "aks": {"registry.push": "node"},
}
"""another identity that pushes"""


ANNOTATIONS: Mapping[str, Callable[[Platform], dict[str, str]]] = {
    "eks": lambda told: {
        "eks.amazonaws.com/role-arn": f"arn:aws:iam::{told.project}:role/{told.cluster}-tekton-bot"
    },
    "gke": lambda told: {
        "iam.gke.io/gcp-service-account": f"{told.cluster}-tekton@{told.project}"
        ".iam.gserviceaccount.com"
    },
}
"""what the charts of Jenkins X write on the account of pipelines (jenkins-x/jx3-versions,
``charts/jxgh/jxboot-helmfile-resources/values.yaml.gotmpl``)"""


def pipelines(found: World) -> Kaniko:
    """The namespace as Jenkins X's own charts make it; nobody else's names are in it."""
    told, kube = found.cloud.platform(found.profile, found.clients(), None), found.clients().kube
    core = "/api/v1/namespaces"
    kube.apply(f"{core}/jx", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "jx"}})
    account = {"name": "tekton-bot", "annotations": ANNOTATIONS[found.case.cloud](told)}
    kube.apply(
        f"{core}/jx/serviceaccounts/tekton-bot",
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
    )
    if config := kube.get(f"{core}/builds/configmaps/docker-config"):
        mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "docker-config"}}
        kube.apply(f"{core}/jx/configmaps/docker-config", {**mine, "data": config["data"]})
    return Kaniko(namespace="jx", service_account="tekton-bot")


def build(found: World, folder: Path, kaniko: Kaniko | None) -> Ended:
    """What ``clusterkit kaniko build . --destination app:v1`` runs: one Job with one try."""
    cluster = found.cluster()
    access = cluster.push_access(found.profile, None)
    assert kaniko
    assert access is not None
    source = partial(context.pack, context.look(folder, "Dockerfile"))
    run = Runner(
        cluster.kube,
        kaniko,
        access,
        tell=lambda _: None,
        log=lambda _: None,
        stop=threading.Event(),
        scale=cluster.connection.scale,
    )
    return run(Build(STDIN, ("app:v1",), "Dockerfile", cache=True), source)


def cases() -> list[Any]:
    found = []
    for case in MINIMAL:
        for label, edits in (("default", {}), ("otherwise", OTHERWISE.get(case.cloud))):
            if edits is not None:
                made = replace(case, profile=edited(case.profile, PROFILE | edits))
                found.append(pytest.param(made, id=f"{case.cloud}-{label}"))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    made.mkdir()
    (made / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    return made


@pytest.mark.deep
@pytest.mark.parametrize("case", cases())
def test_the_first_build_of_a_second_life_pushes(case: Case, folder: Path, tmp_path: Path) -> None:
    with world(case, tmp_path, Pace(60)) as found:
        found.cloud.activate(found.profile, found.clients())
        for life in ("first", "second"):
            found.settle(found.up())
            ended = build(found, folder, found.profile.ready.kaniko)
            assert (life, ended.code) == (life, 0), "\n".join(ended.tail)
            assert ended.digest
            found.settle(found.destroy())


@pytest.mark.deep
@pytest.mark.parametrize(
    "case", [one for one in MINIMAL if one.cloud in ANNOTATIONS], ids=lambda case: case.cloud
)
def test_the_first_pipeline_of_a_second_life_pushes(
    case: Case, folder: Path, tmp_path: Path
) -> None:
    """Jenkins X knows its identities by names that are the same in each life."""
    edits = PROFILE | {"ready.jenkins_x": {"git_url": "https://github.com/a/b"}}
    with world(replace(case, profile=edited(case.profile, edits)), tmp_path, Pace(60)) as found:
        found.cloud.activate(found.profile, found.clients())
        for life in ("first", "second"):
            found.settle(found.up())
            ended = build(found, folder, pipelines(found))
            assert (life, ended.code) == (life, 0), "\n".join(ended.tail)
            found.settle(found.destroy())
