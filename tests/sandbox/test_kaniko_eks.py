"""Kaniko on the sandbox's EKS: it may push what its identity may, by three ways of having one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.builds import NAMESPACE, Builder, archive, docker
from tests.sandbox.oci import files
from tests.sandbox.test_eks_autoscaler import token
from tests.sandbox.test_eks_registry import APP, HOST, PULL, PUSH, login
from tests.sandbox.test_eks_service import ACCOUNT, REGION, Aws, shared
from tests.sandbox.workloads import Workloads, until

__all__ = ["shared"]
TO = f"--destination={HOST}/{APP}:v1"
CONFIG = docker(credHelpers={HOST: "ecr-login"})


@pytest.fixture
def aws(shared: Aws) -> Iterator[Aws]:
    yield shared
    shared.sandbox.faults.clear()
    shared.sandbox.reset()


@pytest.fixture
def cluster(aws: Aws) -> dict[str, Any]:
    made = aws.cluster()
    aws.nodes()
    aws.eks.create_addon(clusterName="demo", addonName="vpc-cni")
    return made


def nodes(aws: Aws, cluster: dict[str, Any], **more: Any) -> None:
    size = {"minSize": 1, "maxSize": 1, "desiredSize": 1}
    aws.group(cluster, scalingConfig=size, amiType="AL2023_x86_64_STANDARD", **more)


@pytest.fixture
def builder(aws: Aws, cluster: dict[str, Any], tmp_path: Path) -> Iterator[Builder]:
    found = Workloads.by_token(
        cluster["endpoint"], cluster["certificateAuthority"]["data"], token(aws), tmp_path,
        aws.sandbox.proxy,
    )  # fmt: skip
    made = Builder(found.api.configuration)
    made.context(hello="world", Dockerfile="FROM scratch\nCOPY . /\nRUN true\n")
    made.config_map("docker-config", config__json=CONFIG)
    yield made
    found.close()


def role(aws: Aws, trust: dict[str, Any], *actions: str) -> str:
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = aws.iam.create_role(RoleName="kaniko", AssumeRolePolicyDocument=document)
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    aws.iam.put_role_policy(
        RoleName="kaniko", PolicyName="push",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )  # fmt: skip
    return str(made["Role"]["Arn"])


def associated(aws: Aws, *actions: str) -> None:
    """EKS Pod Identity for builds/kaniko."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    aws.eks.create_addon(clusterName="demo", addonName="eks-pod-identity-agent")
    aws.eks.create_pod_identity_association(
        clusterName="demo", namespace=NAMESPACE, serviceAccount="kaniko",
        roleArn=role(aws, trust, *actions),
    )  # fmt: skip


def build(builder: Builder, *arguments: str, **more: Any) -> tuple[int, str]:
    volume = {"name": "docker", "configMap": {"name": "docker-config"}}
    mount = {"name": "docker", "mountPath": "/kaniko/.docker"}
    pod = {"volumes": [volume], "serviceAccountName": "kaniko"}
    return builder.built(TO, *arguments, pod=pod, container={"volumeMounts": [mount]}, **more)


def test_by_pod_identity(aws: Aws, cluster: dict[str, Any], builder: Builder) -> None:
    nodes(aws, cluster)
    associated(aws, *PUSH, *PULL)
    builder.account()
    code, message = build(builder)
    assert code == 1
    assert (
        f"NAME_UNKNOWN: The repository with name '{APP}' does not exist in the registry with id"
        f" '{ACCOUNT}'"
    ) in message
    aws.ecr.create_repository(repositoryName=APP)
    code, digest = build(builder, "--cache=true", name="second")
    assert code == 0, builder.log("second")
    (layer,) = login(aws).pull(APP, digest)
    assert files(layer)["hello"] == "world"
    (line,) = [one for one in builder.log("second").splitlines() if "level=warning" in one
               and "cache" in one]  # fmt: skip
    assert f"failed to push to destination {HOST}/{APP}/cache:" in line
    assert "NAME_UNKNOWN" in line


def test_a_role_that_may_only_pull(aws: Aws, cluster: dict[str, Any], builder: Builder) -> None:
    nodes(aws, cluster)
    aws.ecr.create_repository(repositoryName=APP)
    associated(aws, "ecr:GetAuthorizationToken", *PULL)
    builder.account()
    code, message = build(builder)
    assert code == 1
    assert f"POST https://{HOST}/v2/{APP}/blobs/uploads/: " in message
    assert "ecr:InitiateLayerUpload" in message


@pytest.mark.parametrize("account", ["kaniko", "other"])
def test_by_the_annotation(
    aws: Aws, cluster: dict[str, Any], builder: Builder, account: str
) -> None:
    nodes(aws, cluster)
    aws.ecr.create_repository(repositoryName=APP)
    issuer = cluster["identity"]["oidc"]["issuer"]
    aws.iam.create_open_id_connect_provider(Url=issuer, ClientIDList=["sts.amazonaws.com"])
    bare = issuer.removeprefix("https://")
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{bare}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {f"{bare}:sub": f"system:serviceaccount:{NAMESPACE}:{account}"}
        },
    }
    builder.account(eks_amazonaws_com__role_arn="")
    arn = role(aws, trust, *PUSH, *PULL)
    builder.core.patch_namespaced_service_account(
        "kaniko", NAMESPACE,
        {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": arn}}},
    )  # fmt: skip
    code, message = build(builder)
    if account == "kaniko":
        assert code == 0, builder.log()
    else:
        assert code == 1
        assert "unexpected status code 401 Unauthorized: Not Authorized" in message


@pytest.mark.parametrize("limit", [1, 2])
def test_by_the_role_of_the_node(
    aws: Aws, cluster: dict[str, Any], builder: Builder, limit: int
) -> None:
    aws.ecr.create_repository(repositoryName=APP)
    template = aws.client("ec2").create_launch_template(
        LaunchTemplateName="hops",
        LaunchTemplateData={"MetadataOptions": {"HttpPutResponseHopLimit": limit}},
    )["LaunchTemplate"]["LaunchTemplateId"]
    nodes(aws, cluster, launchTemplate={"id": template, "version": "1"})
    group = aws.eks.describe_nodegroup(clusterName="demo", nodegroupName="pool")["nodegroup"]
    name = group["nodeRole"].rpartition("/")[2]
    statement = {"Effect": "Allow", "Action": [*PUSH, *PULL], "Resource": "*"}
    aws.iam.put_role_policy(
        RoleName=name, PolicyName="push",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )  # fmt: skip
    builder.account()
    until(lambda: builder.core.list_node().items, "the node")
    code, message = build(builder)
    assert (code, "401 Unauthorized" in message) == ((0, False) if limit == 2 else (1, True))


def test_a_context_in_a_bucket(aws: Aws, cluster: dict[str, Any], builder: Builder) -> None:
    nodes(aws, cluster)
    aws.ecr.create_repository(repositoryName=APP)
    associated(aws, *PUSH, *PULL, "s3:GetObject")
    builder.account()
    aws.s3.create_bucket(
        Bucket="contexts", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    text = archive(Dockerfile="FROM scratch", hello="bucket")
    aws.s3.put_object(Bucket="contexts", Key="app.tar.gz", Body=text)
    code, digest = build(builder, "--context=s3://contexts/app.tar.gz")
    assert code == 0, builder.log()
    (layer,) = login(aws).pull(APP, digest)
    assert files(layer)["hello"] == "bucket"
    code, message = build(builder, "--context=s3://contexts/none.tar.gz", name="second")
    assert code == 1
    assert "error resolving source context" in message
    assert "s3:GetObject" not in message
