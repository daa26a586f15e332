"""What Jenkins X gets on EKS: names that its charts make too, and least rights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterkit import clouds
from clusterkit.eks.iam import allows, policy
from clusterkit.eks.irsa import PodRole
from clusterkit.eks.jenkinsx import Grant, grants
from clusterkit.eks.profile import EksProfile
from clusterkit.eks.storage import bucket_name
from clusterkit.errors import ProfileError
from clusterkit.profile.model import load
from clusterkit.ready.jenkinsx import STORAGE
from tests.drivers.eks_cases import JENKINS_X, JENKINS_X_CASE

ACCOUNT = "123456789012"
ALL = {"domain": "apps.example.com", "tls_email": "me@example.com"}


def profile(tmp_path: Path, name: str = "demo", **jenkins_x: Any) -> EksProfile:
    path = tmp_path / "profile.yaml"
    wanted = {**JENKINS_X_CASE.profile, "name": name}
    wanted["ready"] = {"jenkins_x": {**JENKINS_X, **jenkins_x}}
    path.write_text(yaml.safe_dump(wanted))
    found = load(path, clouds.model, clouds.CLOUDS)
    assert isinstance(found, EksProfile)
    return found


def granted(found: EksProfile) -> dict[str, Grant]:
    return {grant.role: grant for grant in grants(found, "aws", ACCOUNT)}


@pytest.mark.parametrize(
    ("jenkins_x", "roles"),
    [
        ({"secrets": "local", "storage": False}, {"tekton-bot"}),
        ({"storage": False}, {"tekton-bot", "external-secrets-secrets-manager"}),
        (
            {"secrets": "vault"},
            {"tekton-bot", "build-ctrl", "jx-pipelines-visualizer", "jx-bucketrepo"},
        ),
        (
            {"secrets": "local", "storage": False, "domain": "a.example.com"},
            {"tekton-bot", "external-dns"},
        ),
    ],
)
def test_roles_are_made_for_what_is_asked_for(
    jenkins_x: dict[str, Any], roles: set[str], tmp_path: Path
) -> None:
    assert granted(profile(tmp_path, **jenkins_x)).keys() == roles


def test_every_role_is_found_again_by_its_name(tmp_path: Path) -> None:
    assert granted(profile(tmp_path, **ALL)).keys() == PodRole.names


@pytest.mark.parametrize(("secrets", "most"), [("cloud", 31), ("local", 35)])
def test_names_fit(secrets: str, most: int, tmp_path: Path) -> None:
    """64 characters of a role (IAM), 63 of a bucket (S3)."""
    found = profile(tmp_path, "a" * most, secrets=secrets, **ALL)
    assert all(len(f"{found.name}-{role}") <= 64 for role in granted(found))
    for purpose in STORAGE:
        assert len(bucket_name(purpose, found.name, ACCOUNT, found.region)) <= 63
    with pytest.raises(ProfileError, match=f"have room for {most}"):
        profile(tmp_path, "a" * (most + 1), secrets=secrets, **ALL)


def test_a_region_whose_arns_the_charts_do_not_write(tmp_path: Path) -> None:
    found = profile(tmp_path)
    assert not [each for each in found.warnings() if "arn:aws:" in each.what]
    path = tmp_path / "profile.yaml"
    path.write_text(path.read_text().replace("eu-west-1", "cn-north-1"))
    warned = load(path, clouds.model, clouds.CLOUDS).warnings()
    assert [each.where for each in warned if "arn:aws:" in each.what] == ["ready.jenkins_x"]


LOGS, REPOSITORY = (
    f"arn:aws:s3:::{bucket_name(each, 'demo', ACCOUNT, 'eu-west-1')}"
    for each in ("logs", "repository")
)
IMAGES = f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository"
SECRET = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret"


@pytest.mark.parametrize(
    ("role", "action", "resource", "allowed"),
    [
        ("tekton-bot", "ecr:GetAuthorizationToken", "*", True),
        ("tekton-bot", "ecr:PutImage", f"{IMAGES}/demo/new", True),
        ("tekton-bot", "ecr:CreateRepository", f"{IMAGES}/demo/new", True),
        ("tekton-bot", "ecr:CreateRepository", f"{IMAGES}/others/new", False),
        ("tekton-bot", "ecr:DeleteRepository", f"{IMAGES}/demo/app", False),
        ("tekton-bot", "s3:PutObject", f"{LOGS}/a", True),
        ("tekton-bot", "s3:DeleteBucket", LOGS, False),
        ("tekton-bot", "eks:DescribeCluster", "*", False),
        ("build-ctrl", "s3:PutObject", f"{LOGS}/a", True),
        ("build-ctrl", "s3:GetObject", f"{LOGS}/a", False),
        ("jx-pipelines-visualizer", "s3:GetObject", f"{LOGS}/a", True),
        ("jx-pipelines-visualizer", "s3:PutObject", f"{LOGS}/a", False),
        ("jx-bucketrepo", "s3:PutObject", f"{REPOSITORY}/a", True),
        ("jx-bucketrepo", "s3:PutObject", f"{LOGS}/a", False),
        ("external-dns", "route53:ListHostedZones", "*", True),
        ("external-dns", "route53:DeleteHostedZone", "*", False),
        ("external-secrets-secrets-manager", "secretsmanager:GetSecretValue",
         f"{SECRET}:secret/data/jx/docker-AbCdEf", True),
        ("external-secrets-secrets-manager", "secretsmanager:GetSecretValue",
         f"{SECRET}:mine-AbCdEf", False),
    ],
)  # fmt: skip
def test_what_a_role_allows(
    role: str, action: str, resource: str, allowed: bool, tmp_path: Path
) -> None:
    statements = granted(profile(tmp_path, **ALL))[role].statements
    document = yaml.safe_load(policy(*statements))
    assert allows([document], action, resource) is allowed


def test_records_are_changed_below_the_domain_only(tmp_path: Path) -> None:
    found = granted(profile(tmp_path, **ALL))
    for role in ("external-dns", "cert-manager-cert-manager"):
        [change] = [
            each
            for each in found[role].statements
            if "route53:ChangeResourceRecordSets" in each["Action"]
        ]
        [names] = change["Condition"]["ForAllValues:StringLike"].values()
        assert names == ["apps.example.com", "*.apps.example.com"]


def test_a_condition_is_no_leave_and_a_deny_wins() -> None:
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    assert allows([{"Statement": statement}], "s3:GetObject", "x")
    assert not allows([{"Statement": [{**statement, "Condition": {}}]}], "s3:GetObject", "x")
    deny = {"Effect": "Deny", "Action": "S3:get*", "Resource": "*", "Condition": {}}
    assert not allows([{"Statement": [statement, deny]}], "s3:GetObject", "x")
    other = {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}
    assert not allows([{"Statement": other}], "s3:GetObject", "x")
