"""A pod's service account assumes a role by its token, and does what the role's policies allow."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import urllib3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from clusterkit_sandbox.aws.emulator import AwsEmulator
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.oci import files, layer
from tests.sandbox.test_eks_registry import ACCOUNT, APP, PULL, PUSH, login, made
from tests.sandbox.test_eks_service import POLICY, REGION, Aws, refused


class World:
    """A sandbox with EKS, and its emulator."""

    def __init__(self, sandbox: Sandbox, emulator: AwsEmulator) -> None:
        self.emulator = emulator
        self.aws = Aws(sandbox)
        self.sandbox = sandbox
        self.issuer = str(self.aws.cluster()["identity"]["oidc"]["issuer"])
        self.host = self.issuer.removeprefix("https://")
        self.provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{self.host}"

    def token(self, audience: str = "sts.amazonaws.com") -> str:
        """The token of a service account, as a pod has it."""
        client = self.emulator._eks.endpoints.drainer(f"{REGION}/demo")
        assert client is not None
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 3600},
        }
        status, found = client.ask("POST", path, body)
        client.close()
        assert status == 201, found
        return str(found["status"]["token"])

    def provide(self, *clients: str) -> None:
        self.aws.iam.create_open_id_connect_provider(
            Url=self.issuer, ClientIDList=list(clients or ("sts.amazonaws.com",))
        )

    def role(self, *actions: str, subject: str = "default:default", **condition: Any) -> str:
        """A role that the service account may assume, with a policy that allows this."""
        claims = {
            f"{self.host}:sub": f"system:serviceaccount:{subject}",
            f"{self.host}:aud": "sts.amazonaws.com",
        }
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": self.provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition or {"StringEquals": claims},
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        role = self.aws.iam.create_role(RoleName="push", AssumeRolePolicyDocument=trust)
        arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{APP}"
        allow = [
            {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
            {"Effect": "Allow", "Action": list(actions), "Resource": arn},
        ]
        document = json.dumps({"Version": "2012-10-17", "Statement": allow})
        self.aws.iam.put_role_policy(RoleName="push", PolicyName="p", PolicyDocument=document)
        return str(role["Role"]["Arn"])

    def assume(self, role: str, token: str) -> Any:
        """Credentials of a role."""
        sts = boto3.client(
            "sts", region_name=REGION, verify=str(self.sandbox.ca_file),
            config=Config(proxies={"https": self.sandbox.proxy}, signature_version=UNSIGNED,
                          retries={"total_max_attempts": 1}),
        )  # fmt: skip
        return sts.assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="kaniko", WebIdentityToken=token
        )["Credentials"]

    def session(self, found: Any, **more: str) -> Aws:
        """Who has these credentials."""
        one = Aws(self.sandbox)
        one._session = boto3.Session(
            aws_access_key_id=found["AccessKeyId"],
            aws_secret_access_key=found["SecretAccessKey"],
            aws_session_token=more.get("token", found["SessionToken"]),
            region_name=REGION,
        )
        return one


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    found: list[AwsEmulator] = []

    def make(context: SandboxContext) -> AwsEmulator:
        found.append(AwsEmulator(context))
        return found[0]

    directory = tmp_path_factory.mktemp("sandbox")
    with Sandbox(directory=directory, pace=Pace(math.inf), emulators=[make]) as sandbox:
        yield World(sandbox, found[0])


def test_a_pod_pushes_by_its_role(world: World) -> None:
    world.provide()
    role = world.role(*PUSH, *PULL)
    made(world.aws)
    made(world.aws, f"{APP}/cache")
    session = world.session(world.assume(role, world.token()))
    who = session.sts.get_caller_identity()["Arn"]
    assert who == f"arn:aws:sts::{ACCOUNT}:assumed-role/push/kaniko"
    client = login(session)
    assert client.push(APP, "v1", layer(a="1")).status == 201
    assert [files(one) for one in client.pull(APP, "v1")] == [{"a": "1"}]
    status, code, message = client.push(f"{APP}/cache", "key", layer(a="1")).error
    assert (status, code) == (403, "DENIED")
    assert message.startswith(f"User: {who} is not authorized to perform: ecr:InitiateLayerUpload")
    refused("AccessDeniedException", session.ecr.describe_images, repositoryName=APP)
    world.aws.iam.attach_role_policy(
        RoleName="push", PolicyArn=f"{POLICY}AmazonEC2ContainerRegistryPowerUser"
    )
    assert client.push(f"{APP}/cache", "key", layer(a="1")).status == 201
    session.ecr.describe_images(repositoryName=APP)
    world.aws.iam.detach_role_policy(
        RoleName="push", PolicyArn=f"{POLICY}AmazonEC2ContainerRegistryPowerUser"
    )
    assert client.push(f"{APP}/cache", "other", layer(a="1")).error[1] == "DENIED"


def refusal(world: World, role: str, token: str) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        world.assume(role, token)
    found = caught.value.response
    status = found["ResponseMetadata"]["HTTPStatusCode"]
    return found["Error"]["Code"], status, found["Error"]["Message"]


def test_who_may_not_assume_a_role(world: World) -> None:
    role, token = world.role(*PUSH), world.token()
    text = f"No OpenIDConnect provider found in your account for {world.issuer}"
    assert refusal(world, role, token) == ("InvalidIdentityToken", 400, text)
    world.provide()
    assert refusal(world, role, "x.y.z")[:2] == ("InvalidIdentityToken", 400)
    assert refusal(world, role, world.token("other"))[:2] == ("InvalidIdentityToken", 400)
    old = {"iss": world.issuer, "aud": ["sts.amazonaws.com"], "exp": 1}
    claims = base64.urlsafe_b64encode(json.dumps(old).encode()).decode()
    assert refusal(world, role, f"x.{claims}.z")[:2] == ("ExpiredTokenException", 400)
    forged = claims.replace(claims[-8:], "")
    assert refusal(world, role, f"x.{forged}.z")[:2] == ("InvalidIdentityToken", 400)
    denied = ("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    assert refusal(world, f"arn:aws:iam::{ACCOUNT}:role/none", token) == denied
    world.assume(role, token)


@pytest.mark.parametrize("subject", ["builds:kaniko", "default:other"])
def test_another_service_account_is_not_trusted(world: World, subject: str) -> None:
    world.provide()
    role = world.role(*PUSH, subject=subject)
    assert refusal(world, role, world.token())[0] == "AccessDenied"


def test_conditions_of_a_trust_policy(world: World) -> None:
    world.provide()
    like = {f"{world.host}:sub": "system:serviceaccount:default:*"}
    world.assume(world.role(*PUSH, StringLike=like), world.token())


def test_temporary_keys_need_their_token(world: World) -> None:
    world.provide()
    found = world.assume(world.role(*PUSH), world.token())
    wrong = world.session(found, token="x")
    refused("UnrecognizedClientException", wrong.ecr.get_authorization_token)


def test_anybody_can_check_a_token(world: World) -> None:
    door = urllib3.ProxyManager(
        world.sandbox.proxy, ca_certs=str(world.sandbox.ca_file), retries=False
    )
    found = door.request("GET", f"{world.issuer}/.well-known/openid-configuration").json()
    assert (found["issuer"], found["jwks_uri"]) == (world.issuer, f"{world.issuer}/keys")
    keys = door.request("GET", found["jwks_uri"]).json()["keys"]
    head = json.loads(base64.urlsafe_b64decode(world.token().split(".")[0] + "=="))
    assert head["kid"] in [one["kid"] for one in keys]
    other = world.issuer[:-1] + ("0" if world.issuer[-1] != "0" else "1")
    assert door.request("GET", f"{other}/keys").status == 404


def test_a_pod_writes_its_own_bucket_only(world: World) -> None:
    """As Jenkins X stores its logs."""
    world.provide()
    role = world.role(*PUSH)
    for name in ("logs-demo", "logs-other"):
        world.aws.s3.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    allow = [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::logs-demo"},
        {"Effect": "Allow", "Action": "s3:*Object", "Resource": "arn:aws:s3:::logs-demo/*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": allow})
    world.aws.iam.put_role_policy(RoleName="push", PolicyName="s3", PolicyDocument=document)
    bot = world.session(world.assume(role, world.token())).s3
    bot.put_object(Bucket="logs-demo", Key="jenkins-x/logs/1.log", Body=b"done")
    assert bot.list_objects_v2(Bucket="logs-demo")["KeyCount"] == 1
    text = refused("AccessDenied", bot.put_object, Bucket="logs-other", Key="1.log", Body=b"")
    assert 's3:PutObject on resource: "arn:aws:s3:::logs-other/1.log"' in text
    refused("AccessDenied", bot.get_bucket_tagging, Bucket="logs-demo")
    refused("AccessDenied", bot.delete_bucket, Bucket="logs-demo")
