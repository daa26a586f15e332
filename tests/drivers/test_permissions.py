"""The policies in ``docs/permissions``: enough for every command, with nothing to spare."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from clusterkit.cluster import Outcome, Plan
from clusterkit.engine.events import Warned
from clusterkit.errors import Denied, PreflightError
from clusterkit_sandbox.permissions import actions
from tests.drivers.permissions import (
    FEATURES,
    FOLDER,
    OPTIONAL,
    WARNING,
    Feature,
    case_of,
    life,
    verified,
)
from tests.drivers.world import World, world

REMOVED: Mapping[str, tuple[str, ...]] = {
    "eks": ("eks:CreateNodegroup", "ec2:DeleteVpc", "ecr:DescribeRepositories"),
    "alibaba": ("vpc:CreateVSwitch", "cs:DeleteCluster", "cr:ListInstance"),
    "gke": (
        "compute.subnetworks.create",
        "container.clusters.delete",
        "iam.serviceAccounts.actAs",
    ),
    "aks": (
        "Microsoft.Authorization/roleAssignments/write",
        "Microsoft.ContainerService/managedClusters/delete",
        "Microsoft.Network/natGateways/join/action",
    ),
}
"""a few, for every day; the long matrix removes each"""
OTHERWISE = {
    "cr:ListRepository": "cr:GetRepoList",
    "resourcemanager.projects.get": "projects.get",
    "resourcemanager.projects.getIamPolicy": "projects.getIamPolicy",
    "resourcemanager.projects.setIamPolicy": "projects.setIamPolicy",
}
"""actions that the driver calls by their operation"""


DENIED = re.compile("not authorized|Forbidden|[Pp]ermission")
"""in the vendors' words"""

LONG = (pytest.mark.deep, pytest.mark.long)


def policy(cloud: str) -> list[str]:
    """The actions of the published policy."""
    return list(actions((FOLDER / f"{cloud}.json").read_text()))


def test_the_policies_can_be_attached() -> None:
    """IAM counts no white space ("IAM and AWS STS quotas"), RAM all ("Limits"); of a custom role
    of Google Cloud, title and permissions count ("IAM quotas and limits"); of Azure's nothing
    does but their number in the directory ("Azure RBAC limits").
    """
    assert len("".join((FOLDER / "eks.json").read_text().split())) <= 6144
    assert len((FOLDER / "alibaba.json").read_text()) <= 6144
    assert len((FOLDER / "gke.json").read_text()) <= 64 * 1024


def features() -> Iterator[object]:
    for cloud, found in FEATURES.items():
        for feature in found:
            long = () if feature.label == "registry" else LONG
            yield pytest.param(cloud, feature, marks=long, id=f"{cloud}-{feature.label or 'any'}")


@pytest.mark.parametrize(("cloud", "feature"), [*features()])
def test_the_policy_is_enough(cloud: str, feature: Feature, tmp_path: Path) -> None:
    with world(case_of(cloud, feature), tmp_path) as found:
        found.user = found.sandbox.identity(policy(cloud))
        plans: list[Plan] = []
        for _, step in life(found, feature, plans):
            outcome = step()
            if isinstance(outcome, Outcome):
                found.settle(outcome)
        assert not [told for told in warnings(found, plans) if DENIED.search(told)]


def looks() -> Iterator[object]:
    for cloud in FEATURES:
        for feature in verified(cloud):
            long = () if feature.label == "registry" else LONG
            yield pytest.param(cloud, feature, marks=long, id=f"{cloud}-{feature.label}")


@pytest.mark.parametrize(("cloud", "feature"), [*looks()])
def test_the_policy_is_enough_to_verify(cloud: str, feature: Feature, tmp_path: Path) -> None:
    with world(case_of(cloud, feature), tmp_path) as found:
        found.settle(found.up())
        found.user = found.sandbox.identity(policy(cloud))
        verdicts = found.cluster().verify(found.profile)
        told = [str(result) for verdict in verdicts for result in verdict.results]
        assert len(told) > 10
        assert not [each for each in told if DENIED.search(each)]


def removals() -> Iterator[object]:
    for cloud, few in REMOVED.items():
        any_profile = FEATURES[cloud][0]
        brief = replace(any_profile, changes=any_profile.changes[:1])
        for action in few:
            yield pytest.param(cloud, action, brief, id=action)
        for action in policy(cloud):
            every = f"{action}-every-change"
            yield pytest.param(cloud, action, any_profile, marks=LONG, id=every)


@pytest.mark.parametrize(("cloud", "action", "feature"), [*removals()])
def test_without_one_action(cloud: str, action: str, feature: Feature, tmp_path: Path) -> None:
    """The command that needs it fails and says so; the same command with it finishes the work."""
    with world(case_of(cloud, feature), tmp_path) as found:
        before = found.things().keys()
        rest = [each for each in policy(cloud) if each != action]
        found.user = found.sandbox.identity(rest)
        denied: list[Denied | PreflightError] = []
        plans: list[Plan] = []
        for _, step in life(found, feature, plans):
            found.user.permissions.allow(rest)
            if errors := refusals(step):
                denied += errors
                found.user.permissions.allow(policy(cloud))
                assert not refusals(step)
        needed = action in found.user.permissions.drain()
        assert found.things().keys() == before
    optional = OPTIONAL[cloud].get(action)
    told = [f"{error} {error.hint}" for error in denied] if denied else warnings(found, plans)
    assert bool(denied) == (needed and not optional), told
    name = OTHERWISE.get(action, action)
    if denied or optional == WARNING:
        assert any(name in text for text in told), told


def refusals(step: Callable[[], object]) -> list[Denied | PreflightError]:
    """What a step was denied, or would be, as preflight says; anything else that goes wrong is
    raised.
    """
    try:
        outcome = step()
    except Denied as error:
        return [error]
    except PreflightError as error:
        if [finding for finding in error.findings if "permission" not in finding.what]:
            raise
        return [error]
    if not isinstance(outcome, Outcome):
        return []
    failed = outcome.failed.values()
    for other in failed:
        if not isinstance(other, Denied):
            raise other
    return [each for each in failed if isinstance(each, Denied)]


def warnings(found: World, plans: list[Plan]) -> list[str]:
    """What plans and runs warned of."""
    told = [event.what for event in found.events if isinstance(event, Warned)]
    return told + [f"{each.what} {each.hint}" for plan in plans for each in plan.warnings]
