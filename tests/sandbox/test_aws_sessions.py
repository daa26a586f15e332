"""Credentials of AssumeRole, GetSessionToken and CreateAccessKey work, within bounds, and end."""

from __future__ import annotations

import base64
import json
import math
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.signers import RequestSigner

from clusterkit_sandbox.aws.emulator import AwsEmulator
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.test_eks_service import ACCOUNT, ADMIN, REGION, Aws, refused

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
USER = f"arn:aws:iam::{ACCOUNT}:user/sandbox"


class World:
    """A sandbox, its emulator, and its owner's clients."""

    def __init__(self, sandbox: Sandbox, emulator: AwsEmulator) -> None:
        self.sandbox, self.emulator, self.aws = sandbox, emulator, Aws(sandbox)

    def role(self, *actions: str, trusts: str = ROOT, **more: Any) -> str:
        """A role that may do this."""
        statement = {"Effect": "Allow", "Principal": {"AWS": trusts}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        made = self.aws.iam.create_role(RoleName="ops", AssumeRolePolicyDocument=trust, **more)
        self.allow("role", "ops", *actions)
        return str(made["Role"]["Arn"])

    def allow(self, kind: str, name: str, *actions: str) -> None:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        put = getattr(self.aws.iam, f"put_{kind}_policy")
        put(**{f"{kind.title()}Name": name}, PolicyName="p", PolicyDocument=document)

    def client(self, service: str, found: dict[str, Any]) -> Any:
        """A client with credentials that an answer has."""
        return self.session(found).client(
            service,  # type: ignore[call-overload]
            verify=str(self.sandbox.ca_file),
            config=Config(proxies={"https": self.sandbox.proxy}, retries={"total_max_attempts": 1}),
        )

    @staticmethod
    def session(found: dict[str, Any]) -> boto3.Session:
        return boto3.Session(
            found["AccessKeyId"], found["SecretAccessKey"], found.get("SessionToken"), REGION
        )

    def end(self, found: dict[str, Any]) -> None:
        """Let a session's time be over."""
        sessions = self.emulator._account.sessions
        past = datetime.now(UTC) - timedelta(seconds=1)
        sessions[found["AccessKeyId"]] = replace(sessions[found["AccessKeyId"]], ends=past)

    def kubernetes(self, cluster: dict[str, Any], found: dict[str, Any]) -> tuple[int, str]:
        """What the cluster's API answers to a token of these credentials: status, user name."""
        session = self.session(found)
        keys = session.get_credentials()
        assert keys is not None
        signer = RequestSigner(
            session.client("sts").meta.service_model.service_id,
            REGION, "sts", "v4", keys, session.events,
        )  # fmt: skip
        asked = {
            "method": "GET", "body": {}, "context": {}, "headers": {"x-k8s-aws-id": "demo"},
            "url": f"https://sts.{REGION}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
        }  # fmt: skip
        url = signer.generate_presigned_url(asked, "GetCallerIdentity", 60)
        token = "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
        context, host = ssl.create_default_context(), cluster["endpoint"].removeprefix("https://")
        data = base64.b64decode(cluster["certificateAuthority"]["data"]).decode()
        context.load_verify_locations(cadata=data)
        with urllib3.ProxyManager(self.sandbox.proxy, ssl_context=context) as http:
            answer = http.request(
                "POST", f"https://{host}/apis/authentication.k8s.io/v1/selfsubjectreviews",
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                body=json.dumps({"apiVersion": "authentication.k8s.io/v1",
                                 "kind": "SelfSubjectReview"}),
            )  # fmt: skip
        status = json.loads(answer.data).get("status")
        name = status["userInfo"]["username"] if isinstance(status, dict) else ""
        return answer.status, name


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made: list[AwsEmulator] = []

    def make(context: SandboxContext) -> AwsEmulator:
        made.append(AwsEmulator(context))
        return made[0]

    with Sandbox(directory=tmp_path, pace=Pace(math.inf), emulators=[make]) as sandbox:
        yield World(sandbox, made[0])


def test_a_role_that_was_assumed_does_what_its_policies_allow_until_it_ends(world: World) -> None:
    arn = world.role("ec2:DescribeVpcs", "eks:ListClusters", "iam:ListRoles", "s3:ListAllMyBuckets")
    found = world.aws.sts.assume_role(RoleArn=arn, RoleSessionName="me", DurationSeconds=900)
    assert found["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/me"
    given = found["Credentials"]
    assert timedelta(0) < given["Expiration"] - datetime.now(UTC) <= timedelta(seconds=900)
    calls = [
        ("RequestExpired", world.client("ec2", given).describe_vpcs),
        ("ExpiredTokenException", world.client("eks", given).list_clusters),
        ("ExpiredToken", world.client("iam", given).list_roles),
        ("ExpiredToken", world.client("s3", given).list_buckets),
    ]
    for _, call in calls:
        call()
    who = world.client("sts", given).get_caller_identity()["Arn"]
    assert who == found["AssumedRoleUser"]["Arn"]
    message = refused("AccessDenied", world.client("iam", given).list_users)
    assert f"User: {who} is not authorized to perform: iam:ListUsers" in message
    world.end(given)
    for code, call in calls:
        assert "expired" in refused(code, call)
    without = {key: value for key, value in given.items() if key != "SessionToken"}
    refused("UnrecognizedClientException", world.client("eks", without).list_clusters)


def test_a_session_does_what_its_own_policies_allow_too(world: World) -> None:
    arn = world.role("ec2:DescribeVpcs", "ec2:DescribeSubnets", "iam:ListRoles")

    def policy(*actions: str) -> str:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def assume(**more: Any) -> dict[str, Any]:
        found = world.aws.sts.assume_role(RoleArn=arn, RoleSessionName="me", **more)
        return dict(found["Credentials"])

    given = assume(Policy=policy("ec2:DescribeVpcs", "iam:ListUsers"))
    world.client("ec2", given).describe_vpcs()
    refused("UnauthorizedOperation", world.client("ec2", given).describe_subnets)
    refused("AccessDenied", world.client("iam", given).list_users)
    made = world.aws.iam.create_policy(PolicyName="few", PolicyDocument=policy("iam:List*"))
    given = assume(PolicyArns=[{"arn": made["Policy"]["Arn"]}])
    world.client("iam", given).list_roles()
    refused("UnauthorizedOperation", world.client("ec2", given).describe_vpcs)
    refused("MalformedPolicyDocument", lambda: assume(Policy="{"))


def test_a_role_is_assumed_only_by_whom_it_trusts_and_as_long_as_it_says(world: World) -> None:
    asked = {"RoleArn": world.role("sts:*"), "RoleSessionName": "me"}
    assume = world.aws.sts.assume_role
    assert "MaxSessionDuration" in refused("ValidationError", assume, **asked, DurationSeconds=7200)
    chained = world.client("sts", assume(**asked)["Credentials"]).assume_role
    assert "chaining" in refused("ValidationError", chained, **asked, DurationSeconds=7200)
    chained(**asked)
    refused("AccessDenied", assume, RoleArn=f"{asked['RoleArn']}2", RoleSessionName="me")
    trust = {"Effect": "Allow", "Principal": {"AWS": USER}, "Action": "sts:AssumeRole",
             "Condition": {"StringEquals": {"sts:ExternalId": "xyz"}}}  # fmt: skip
    world.aws.iam.update_assume_role_policy(
        RoleName="ops",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    assert "sts:AssumeRole on resource: arn" in refused("AccessDenied", assume, **asked)
    assume(**asked, ExternalId="xyz")
    refused("AccessDenied", chained, **asked, ExternalId="xyz")


def test_a_users_key_works_within_the_users_policies_until_it_is_deleted(world: World) -> None:
    iam = world.aws.iam
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    ec2, sts = world.client("ec2", key), world.client("sts", key)
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/ann"
    refused("UnauthorizedOperation", ec2.describe_vpcs)
    world.allow("user", "ann", "ec2:Describe*")
    ec2.describe_vpcs()
    given = sts.get_session_token(DurationSeconds=900)["Credentials"]
    short = world.client("ec2", given)
    short.describe_vpcs()
    refused("UnauthorizedOperation", short.create_vpc, CidrBlock="10.0.0.0/16")
    world.end(given)
    refused("RequestExpired", short.describe_vpcs)
    status = {"UserName": "ann", "AccessKeyId": key["AccessKeyId"]}
    iam.update_access_key(**status, Status="Inactive")
    refused("AuthFailure", ec2.describe_vpcs)
    iam.update_access_key(**status, Status="Active")
    ec2.describe_vpcs()
    iam.delete_access_key(**status)
    refused("AuthFailure", ec2.describe_vpcs)
    refused("InvalidClientTokenId", sts.get_caller_identity)


def test_a_role_is_known_to_a_cluster_by_its_access_entry(world: World) -> None:
    cluster, arn = world.aws.cluster(), world.role("ec2:DescribeVpcs")
    given = world.aws.sts.assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    assert world.kubernetes(cluster, given) == (401, "")
    made = world.aws.eks.create_access_entry(clusterName="demo", principalArn=arn)["accessEntry"]
    assert made["username"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/{{{{SessionName}}}}"
    world.aws.eks.associate_access_policy(
        clusterName="demo", principalArn=arn, policyArn=ADMIN, accessScope={"type": "cluster"}
    )
    assert world.kubernetes(cluster, given) == (201, f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/me")
    world.end(given)
    assert world.kubernetes(cluster, given) == (401, "")


def test_a_cluster_without_access_entries_lets_in_who_made_it(world: World) -> None:
    arguments = world.aws.arguments(accessConfig={"authenticationMode": "CONFIG_MAP"})
    arn = world.role("eks:*", "iam:PassRole")
    given = world.aws.sts.assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    eks = world.client("eks", given)
    eks.create_cluster(**arguments)
    cluster = eks.describe_cluster(name="demo")["cluster"]
    owner = world.sandbox.environment()
    other = {"AccessKeyId": owner["AWS_ACCESS_KEY_ID"],
             "SecretAccessKey": owner["AWS_SECRET_ACCESS_KEY"]}  # fmt: skip
    assert world.kubernetes(cluster, given) == (201, "kubernetes-admin")
    assert world.kubernetes(cluster, other) == (401, "")
    refused("InvalidRequestException", eks.list_access_entries, clusterName="demo")
    mode = {"authenticationMode": "API_AND_CONFIG_MAP"}
    eks.update_cluster_config(name="demo", accessConfig=mode)
    eks.get_waiter("cluster_active").wait(name="demo")
    assert arn in eks.list_access_entries(clusterName="demo")["accessEntries"]
    assert world.kubernetes(cluster, given)[0] == 201
