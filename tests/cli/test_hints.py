"""The commands in hints are about this cluster and this sandbox, ready to be copied."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from clusterkit.cli.runs import operated
from clusterkit.cli.target import Choice, command, complete
from clusterkit.cluster import Plan
from clusterkit.engine.plan import Snapshot
from clusterkit.errors import ClusterkitError, Finding, PreflightError

HERE = Choice(Path("my profile.yaml"), cloud_profile="ci", sandbox=True)


@pytest.mark.parametrize(
    ("hint", "whole"),
    [
        (
            "clusterkit up --adopt vpc/main=vpc-1 tags it again",
            "clusterkit up 'my profile.yaml' --cloud-profile ci --sandbox "
            "--adopt vpc/main=vpc-1 tags it again",
        ),
        (
            "clusterkit status lists what exists",
            "clusterkit status 'my profile.yaml' --cloud-profile ci --sandbox lists what exists",
        ),
        ("clusterkit destroy --cloud eks --name x", "clusterkit destroy --cloud eks --name x"),
        ("clusterkit sandbox stop", "clusterkit sandbox stop"),
        ("clusterkit uploads nothing", "clusterkit uploads nothing"),
    ],
)
def test_hints_are_completed(hint: str, whole: str) -> None:
    one, several = ClusterkitError("x", hint=hint), PreflightError([Finding("x", hint=hint)])
    complete(HERE, one, several, ValueError("not ours"))
    assert one.hint == several.findings[0].hint == whole
    complete(HERE, one)
    assert one.hint == whole, "completed twice, it stays as it is"


def test_without_a_profile_the_cluster_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    choice = Choice(cloud="eks", region="eu-west-1", name="demo")
    named = "--cloud eks --region eu-west-1 --name demo"
    assert command("destroy", choice) == f"clusterkit destroy {named}"
    assert command("up", choice) == "clusterkit up PROFILE", "up takes no name"
    Path("profile.yaml").touch()
    assert command("destroy", choice) == f"clusterkit destroy {named}", "not another cluster's"


@pytest.mark.parametrize("of", ["demo", "another"])
def test_who_works_on_an_operators_cluster_is_told(of: str) -> None:
    tags = {"clusterkit-cluster": of, "clusterkit-owner": "1a2b"}
    plan = Plan((), Snapshot(uuid4(), {"vpc/main": SimpleNamespace(tags=tags)}))
    told = [str(each) for each in operated(plan, "demo").warnings]
    assert [each.startswith("demo: a CloudCluster has made it") for each in told] == (
        [True] if of == "demo" else []
    )
