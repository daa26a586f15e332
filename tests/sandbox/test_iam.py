"""Providers of identities and roles by path in the sandbox's IAM, asked with boto3."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.test_eks_service import ACCOUNT, REGION, Aws, refused

HOST = f"oidc.eks.{REGION}.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    directory: Path = tmp_path_factory.mktemp("sandbox")
    with Sandbox(directory=directory, pace=Pace(math.inf), emulators=["eks"]) as sandbox:
        yield Aws(sandbox)


@pytest.fixture
def aws(shared: Aws) -> Iterator[Aws]:
    yield shared
    shared.sandbox.faults.clear()
    shared.sandbox.reset()


def provide(aws: Aws, **more: object) -> None:
    aws.iam.create_open_id_connect_provider(
        Url=f"https://{HOST}", ClientIDList=["sts.amazonaws.com"], **more
    )


def test_a_provider_lives(aws: Aws) -> None:
    iam, named = aws.iam, {"OpenIDConnectProviderArn": ARN}
    provide(aws, Tags=[{"Key": "clusterkit-cluster", "Value": "demo"}])
    found = iam.get_open_id_connect_provider(**named)
    assert (found["Url"], found["ClientIDList"]) == (HOST, ["sts.amazonaws.com"])
    assert found["Tags"] == [{"Key": "clusterkit-cluster", "Value": "demo"}]
    assert [len(one) for one in found["ThumbprintList"]] == [40]
    text = refused(
        "EntityAlreadyExists", iam.create_open_id_connect_provider, Url=f"https://{HOST}"
    )
    assert HOST in text
    iam.add_client_id_to_open_id_connect_provider(**named, ClientID="other")
    iam.add_client_id_to_open_id_connect_provider(**named, ClientID="other")
    found = iam.get_open_id_connect_provider(**named)["ClientIDList"]
    assert found == ["sts.amazonaws.com", "other"]
    iam.remove_client_id_from_open_id_connect_provider(**named, ClientID="other")
    iam.tag_open_id_connect_provider(**named, Tags=[{"Key": "team", "Value": "ci"}])
    tags = iam.list_open_id_connect_provider_tags(**named)["Tags"]
    assert {one["Key"]: one["Value"] for one in tags} == {
        "clusterkit-cluster": "demo", "team": "ci"
    }  # fmt: skip
    iam.untag_open_id_connect_provider(**named, TagKeys=["team"])
    listed = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert [one["Arn"] for one in listed] == [ARN]
    iam.delete_open_id_connect_provider(**named)
    refused("NoSuchEntity", iam.get_open_id_connect_provider, **named)
    refused("NoSuchEntity", iam.add_client_id_to_open_id_connect_provider, **named, ClientID="a")


def test_a_provider_may_be_late(aws: Aws) -> None:
    aws.sandbox.faults.set([Rule("iam:CreateOpenIDConnectProvider", "late", seconds=60)])
    provide(aws)
    refused("NoSuchEntity", aws.iam.get_open_id_connect_provider, OpenIDConnectProviderArn=ARN)
    assert aws.iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []


def test_tags_need_their_own_right(aws: Aws) -> None:
    user = aws.sandbox.identity(["iam:CreateOpenIDConnectProvider", "iam:CreateRole"])
    keys = user.environment
    poor = Aws(aws.sandbox, key=keys["AWS_ACCESS_KEY_ID"], secret=keys["AWS_SECRET_ACCESS_KEY"])
    provide(poor)
    text = refused(
        "AccessDenied", poor.iam.create_open_id_connect_provider, Url=f"https://{HOST}",
        Tags=[{"Key": "a", "Value": "b"}],
    )  # fmt: skip
    assert "iam:TagOpenIDConnectProvider" in text


def test_roles_are_listed_by_path(aws: Aws) -> None:
    aws.role("demo-tekton-bot", "ec2")
    trust = aws.iam.get_role(RoleName="demo-tekton-bot")["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Principal"] == {"Service": "ec2.amazonaws.com"}
    listed = aws.iam.list_roles(PathPrefix="/")["Roles"]
    assert [one["RoleName"] for one in listed] == ["demo-tekton-bot"]
    assert aws.iam.list_roles(PathPrefix="/clusterkit/")["Roles"] == []
