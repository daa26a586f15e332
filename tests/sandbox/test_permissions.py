"""A user who may do some things only, as the vendors' own SDKs see the refusals."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from clusterkit_sandbox.alibaba import authorization as ram
from clusterkit_sandbox.aws import authorization as iam
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.permissions import Permissions, actions
from clusterkit_sandbox.sandbox import Sandbox
from tests.drivers.eks_cases import TRUST
from tests.sandbox.aliyun import account, refused

TAGS = [{"Key": "a", "Value": "b"}]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(
        directory=tmp_path_factory.mktemp("sandbox"), pace=Pace(math.inf), emulators=["eks"]
    ) as found:
        yield found


def aws(sandbox: Sandbox, *allowed: str) -> Any:
    """A maker of clients of a user who may do only this."""
    environ = sandbox.identity(allowed).environment
    session = boto3.Session(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"])
    config = Config(proxies={"https": sandbox.proxy}, retries={"total_max_attempts": 1})
    ca = str(sandbox.ca_file)
    return lambda service: session.client(service, "eu-west-1", verify=ca, config=config)


def refusal(call: Any, **given: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(**given)
    told = caught.value.response
    status = told["ResponseMetadata"]["HTTPStatusCode"]
    return told["Error"]["Code"], status, told["Error"]["Message"]


def test_aws_denies_in_each_service_words(sandbox: Sandbox) -> None:
    client = aws(sandbox, "ec2:DescribeVpcs")
    assert "Vpcs" in client("ec2").describe_vpcs()
    who = client("sts").get_caller_identity()["Arn"]
    why = "because no identity-based policy allows the"
    assert refusal(client("ec2").create_vpc, CidrBlock="10.0.0.0/16") == (
        "UnauthorizedOperation",
        403,
        f"You are not authorized to perform this operation. User: {who} is not authorized to "
        f"perform: ec2:CreateVpc {why} ec2:CreateVpc action. Encoded authorization failure "
        "message: sandbox",
    )
    for service, call, action, code, status in (
        ("eks", "list_clusters", "eks:ListClusters", "AccessDeniedException", 403),
        ("iam", "list_roles", "iam:ListRoles", "AccessDenied", 403),
        ("ecr", "describe_repositories", "ecr:DescribeRepositories", "AccessDeniedException", 400),
        ("logs", "describe_log_groups", "logs:DescribeLogGroups", "AccessDeniedException", 400),
        ("elb", "describe_load_balancers", "elasticloadbalancing:DescribeLoadBalancers",
         "AccessDenied", 403),
        ("elbv2", "describe_target_groups", "elasticloadbalancing:DescribeTargetGroups",
         "AccessDenied", 403),
    ):  # fmt: skip
        text = f"User: {who} is not authorized to perform: {action} {why} {action} action"
        assert refusal(getattr(client(service), call)) == (code, status, text)


def test_tags_and_roles_need_actions_of_their_own(sandbox: Sandbox) -> None:
    client = aws(sandbox, "ec2:CreateVpc", "iam:CreateRole", "eks:CreateCluster", "eks:Create*")
    ec2 = client("ec2")
    ec2.create_vpc(CidrBlock="10.0.0.0/16")
    spec = [{"ResourceType": "vpc", "Tags": TAGS}]
    told = refusal(ec2.create_vpc, CidrBlock="10.0.0.0/16", TagSpecifications=spec)
    assert "ec2:CreateTags" in told[2]
    client("iam").create_role(RoleName="a", AssumeRolePolicyDocument=TRUST)
    told = refusal(
        client("iam").create_role, RoleName="b", AssumeRolePolicyDocument=TRUST, Tags=TAGS
    )
    assert "iam:TagRole" in told[2]
    cluster = {"name": "a", "roleArn": "arn:aws:iam::1:role/a", "resourcesVpcConfig": {}}
    assert "iam:PassRole" in refusal(client("eks").create_cluster, **cluster)[2]
    group: Any = {"clusterName": "a", "nodegroupName": "a", "subnets": ["subnet-1"]}
    passing = aws(sandbox, "eks:*", "iam:PassRole")
    told = refusal(
        passing("eks").create_nodegroup, **group, nodeRole="arn:a", launchTemplate={"id": "lt-1"}
    )
    assert told[:2] == ("InvalidRequestException", 400)
    assert "launch instances with this launch template" in told[2]


def test_pod_identities_pass_roles_too() -> None:
    body = json.dumps({"addonName": "a", "podIdentityAssociations": [{"roleArn": "arn"}]})
    assert list(iam.needed("eks:CreateAddon", body.encode())) == ["eks:CreateAddon", "iam:PassRole"]
    assert list(iam.needed("ec2:CreateTags", b"ResourceId.1=a&Tag.1.Key=b")) == ["ec2:CreateTags"]
    assert list(iam.needed("sts:GetCallerIdentity", b"")) == []


def test_alibaba_denies_in_each_service_words(tmp_path: Path) -> None:
    with account(tmp_path) as cloud:
        user = cloud.sandbox.identity(["vpc:DescribeVpcs", "cs:DescribeClustersV1"]).environment
        cloud.key = user["ALIBABA_CLOUD_ACCESS_KEY_ID"]
        cloud.secret = user["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
        assert cloud.rpc("vpc", "DescribeVpcs")[0] == 200
        assert cloud("sts:GetCallerIdentity")["Arn"].endswith("user/limited-1")
        status, told = cloud.rpc("vpc", "DescribeVSwitches")
        assert (status, told["Code"]) == (403, "Forbidden.RAM")
        assert told["Message"].startswith("User not authorized to operate on the specified")
        with refused("NoPermission", 403) as words:
            cloud("ram:ListRoles")
        assert "Action: ram:ListRoles" in words[0]
        status, told = cloud.roa("GET", "/api/v1/clusters")
        assert (status, told["code"]) == (403, "StatusForbidden")
        assert told["message"] == "RAM policy Forbidden for action cs:GetClusters"


def test_alibaba_actions_that_are_called_otherwise() -> None:
    assert ram.needed("vpc:CreateVpc") == ("vpc:CreateVpc",)
    assert ram.needed("personalcr:GetRepoList") == ("cr:ListRepository",)
    assert ram.needed("personalcr:CreateNamespace") == ("cr:CreateNamespace",)


def test_patterns_and_what_was_asked_for() -> None:
    found = Permissions(["EC2:describe*", "vpc:*"])
    assert found.missing(["ec2:DescribeVpcs", "vpc:CreateVpc"]) is None
    assert found.missing(["ec2:DescribeVpcs", "ec2:CreateVpc", "ec2:Other"]) == "ec2:CreateVpc"
    assert found.drain() == {"ec2:DescribeVpcs", "vpc:CreateVpc", "ec2:CreateVpc"}
    assert found.drain() == frozenset()
    with pytest.raises(ValueError, match="CreateVpc' is not an action"):
        Permissions(["CreateVpc"])


def test_a_policy_document() -> None:
    role = '{"title": "up", "includedPermissions": ["compute.networks.create"]}'
    assert actions(role) == ["compute.networks.create"]
    role = '{"Name": "up", "Actions": ["Microsoft.Network/*/read"], "NotActions": []}'
    assert actions(role) == ["Microsoft.Network/*/read"]
    assert actions('{"Statement": {"Effect": "Allow", "Action": "a:B", "Resource": "*"}}') == [
        "a:B"
    ]
    for text in (
        "",
        "[]",
        '{"Actions": ["*"], "NotActions": ["*/write"]}',
        '{"Statement": [{"Effect": "Deny", "Action": "a:B"}]}',
    ):
        with pytest.raises(ValueError, match=r"policy|Effect Allow|Actions only"):
            actions(text)
