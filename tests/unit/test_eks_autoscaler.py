"""What the cluster autoscaler on EKS is given: a release, and rights to its own node groups."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clusterkit.eks.autoscaler import RELEASES, image, policy
from clusterkit.kube.deployment import Deployment


@pytest.mark.parametrize(
    ("version", "release"),
    [("1.34", "v1.34.4"), ("1.36", "v1.36.1"), ("1.99", "v1.36.1"), ("1.20", "v1.31.5")],
)
def test_the_release_of_the_clusters_version(version: str, release: str) -> None:
    """Of one that is not known yet, or no more, the nearest."""
    assert image(version) == f"registry.k8s.io/autoscaling/cluster-autoscaler:{release}"
    assert [*RELEASES] == [*range(min(RELEASES), max(RELEASES) + 1)]


def test_it_changes_its_own_groups_only() -> None:
    statements = json.loads(policy("demo", "arn:aws:eks:r:1:nodegroup/demo/*"))["Statement"]
    changing = {
        action: each
        for each in statements
        for action in each["Action"]
        if not action.partition(":")[2].startswith(("Describe", "Get"))
    }
    assert set(changing) == {
        "autoscaling:SetDesiredCapacity",
        "autoscaling:TerminateInstanceInAutoScalingGroup",
    }
    for each in changing.values():
        assert each["Condition"] == {
            "StringEquals": {"aws:ResourceTag/k8s.io/cluster-autoscaler/demo": "owned"}
        }
    (described,) = [each for each in statements if "eks:DescribeNodegroup" in each["Action"]]
    assert described["Resource"] == "arn:aws:eks:r:1:nodegroup/demo/*"


def _deployment(observed: int, updated: int, **conditions: tuple[str, str]) -> dict[str, Any]:
    told = [
        {"type": kind, "status": status, "message": message}
        for kind, (status, message) in conditions.items()
    ]
    status = {"observedGeneration": observed, "updatedReplicas": updated, "conditions": told}
    metadata = {"name": "a", "namespace": "b", "generation": 2}
    return {"metadata": metadata, "spec": {"replicas": 1}, "status": status}


@pytest.mark.parametrize(
    ("item", "status", "reason"),
    [
        (_deployment(2, 1, Available=("True", "")), "Available", ""),
        (_deployment(1, 1, Available=("True", "")), "Progressing", ""),
        (_deployment(2, 0, Available=("True", "")), "Progressing", ""),
        (
            _deployment(2, 1, Available=("False", ""), Progressing=("True", "rolling out")),
            "Progressing",
            "rolling out",
        ),
        (
            _deployment(2, 1, Available=("False", ""), Progressing=("False", "timed out")),
            "Stalled",
            "timed out",
        ),
    ],
)
def test_when_a_deployment_is_ready(item: dict[str, Any], status: str, reason: str) -> None:
    have = Deployment.state(item)
    assert (have.id, have.status, have.reason) == ("b/a", status, reason)
