"""ECR's own hosts: what is pushed there is what boto3 sees, and the other way round."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox import oci
from tests.sandbox.oci import Client, digest_of, files, layer
from tests.sandbox.test_eks_service import REGION, Aws, refused

ACCOUNT = "123456789012"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
APP = "kanikorepo/kaniko-demo"
PUSH = (
    "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage",
)  # fmt: skip
"""ECR user guide, "IAM permissions for pushing an image" """
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    directory = tmp_path_factory.mktemp("sandbox")
    with Sandbox(directory=directory, pace=Pace(math.inf), emulators=["eks"]) as sandbox:
        yield Aws(sandbox)


@pytest.fixture
def aws(shared: Aws) -> Iterator[Aws]:
    yield shared
    shared.sandbox.faults.clear()
    shared.sandbox.reset()


def login(aws: Aws) -> Client:
    """As ``docker login`` does it."""
    found = aws.ecr.get_authorization_token()["authorizationData"][0]
    assert found["proxyEndpoint"] == f"https://{HOST}"
    assert 43_000 < found["expiresAt"].timestamp() - time.time() <= 43_200
    user, password = base64.b64decode(found["authorizationToken"]).decode().split(":")
    assert user == "AWS"
    return Client(aws.sandbox, HOST, user, password)


def made(aws: Aws, name: str = APP, **more: Any) -> None:
    aws.ecr.create_repository(repositoryName=name, **more)


def limited(aws: Aws, *actions: str) -> Client:
    """The client of a user who may do only this."""
    environ = aws.sandbox.identity(actions).environment
    keys = {"key": environ["AWS_ACCESS_KEY_ID"], "secret": environ["AWS_SECRET_ACCESS_KEY"]}
    return login(Aws(aws.sandbox, **keys))


def test_an_image_that_was_pushed(aws: Aws) -> None:
    made(aws)
    client = login(aws)
    answer = client.push(APP, "v1", layer(a="hello"), layer(b="more"))
    assert answer.status == 201, answer.data
    digest = answer.headers["Docker-Content-Digest"]
    assert [files(one) for one in client.pull(APP, "v1")] == [{"a": "hello"}, {"b": "more"}]
    [image] = aws.ecr.describe_images(repositoryName=APP)["imageDetails"]
    assert (image["imageDigest"], image["imageTags"]) == (digest, ["v1"])
    assert image["imageManifestMediaType"] == oci.IMAGE
    sizes = [one["size"] for one in client("GET", f"/v2/{APP}/manifests/v1").json["layers"]]
    assert image["imageSizeInBytes"] > sum(sizes)
    found = aws.ecr.batch_get_image(repositoryName=APP, imageIds=[{"imageTag": "v1"}])["images"]
    assert digest_of(found[0]["imageManifest"].encode()) == digest
    there = [digest_of(layer(a="hello"))]
    checked = aws.ecr.batch_check_layer_availability(repositoryName=APP, layerDigests=there)
    assert checked["layers"][0]["layerAvailability"] == "AVAILABLE"


def test_a_tag_that_moves_leaves_the_image(aws: Aws) -> None:
    made(aws)
    client = login(aws)
    first = client.push(APP, "v1", layer(a="1")).headers["Docker-Content-Digest"]
    client.push(APP, "v1", layer(a="2"))
    assert [files(one) for one in client.pull(APP, first)] == [{"a": "1"}]
    details = aws.ecr.describe_images(repositoryName=APP)["imageDetails"]
    assert {one["imageDigest"]: one.get("imageTags", []) for one in details}[first] == []
    assert len(details) == 2


def test_what_the_api_does_is_so_here(aws: Aws) -> None:
    made(aws)
    client = login(aws)
    client.push(APP, "v1", layer(a="1"))
    text = client("GET", f"/v2/{APP}/manifests/v1").data.decode()
    aws.ecr.put_image(repositoryName=APP, imageManifest=text, imageTag="v2",
                      imageManifestMediaType=oci.IMAGE)  # fmt: skip
    assert client("GET", f"/v2/{APP}/tags/list").json["tags"] == ["v1", "v2"]
    assert client("GET", f"/v2/{APP}/manifests/v2").data.decode() == text
    aws.ecr.batch_delete_image(repositoryName=APP, imageIds=[{"imageTag": "v1"}])
    assert client("GET", f"/v2/{APP}/tags/list").json["tags"] == ["v2"]
    aws.ecr.batch_delete_image(
        repositoryName=APP, imageIds=[{"imageDigest": digest_of(text.encode())}]
    )
    assert client("GET", f"/v2/{APP}/manifests/v2").error[:2] == (404, "MANIFEST_UNKNOWN")
    assert aws.ecr.describe_images(repositoryName=APP)["imageDetails"] == []
    assert client("GET", f"/v2/{APP}/tags/list").json["tags"] == []


def test_a_repository_with_images_stays(aws: Aws) -> None:
    made(aws)
    client = login(aws)
    client.push(APP, "v1", layer(a="1"))
    refused("RepositoryNotEmptyException", aws.ecr.delete_repository, repositoryName=APP)
    aws.ecr.delete_repository(repositoryName=APP, force=True)
    text = f"The repository with name '{APP}' does not exist in the registry with id '{ACCOUNT}'"
    assert client.push(APP, "v1", layer(a="1")).error == (404, "NAME_UNKNOWN", text)
    made(aws)
    assert client("GET", f"/v2/{APP}/tags/list").json["tags"] == []
    path = f"/v2/{APP}/blobs/{digest_of(layer(a='1'))}"
    assert client("HEAD", path).status == 404


def test_the_cache_is_a_repository_of_its_own(aws: Aws) -> None:
    made(aws)
    client = login(aws)
    assert client.push(f"{APP}/cache", "key", layer(a="1")).error[:2] == (404, "NAME_UNKNOWN")
    made(aws, f"{APP}/cache")
    assert client.push(f"{APP}/cache", "key", layer(a="1")).status == 201
    aws.ecr.delete_repository(repositoryName=APP)
    assert [files(one) for one in client.pull(f"{APP}/cache", "key")] == [{"a": "1"}]


def test_immutable_tags(aws: Aws) -> None:
    made(aws, imageTagMutability="IMMUTABLE")
    client = login(aws)
    assert client.push(APP, "v1", layer(a="1")).status == 201
    text = (
        f"The image tag 'v1' already exists in the '{APP}' repository and cannot be overwritten"
        " because the repository is immutable."
    )
    assert client.push(APP, "v1", layer(a="2")).error == (400, "TAG_INVALID", text)
    assert client.push(APP, "v2", layer(a="2")).status == 201


def test_another_region_has_other_images(aws: Aws) -> None:
    made(aws)
    client = login(aws)
    client.push(APP, "v1", layer(a="1"))
    there = Client(aws.sandbox, HOST.replace(REGION, "us-east-1"), "AWS")
    there._basic = client._basic
    assert there("GET", f"/v2/{APP}/manifests/v1").error[:2] == (404, "NAME_UNKNOWN")
    other = Client(aws.sandbox, HOST.replace(ACCOUNT, "999999999999"))
    other._basic = client._basic
    assert "with id '999999999999'" in other("GET", f"/v2/{APP}/manifests/v1").error[2]


# -- who may do what -------------------------------------------------------------------------------


def test_no_token(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    made(aws)
    for client in (Client(aws.sandbox, HOST), Client(aws.sandbox, HOST, "AWS", "wrong")):
        answer = client("POST", f"/v2/{APP}/blobs/uploads/")
        assert (answer.status, answer.data) == (401, b"Not Authorized\n")
        challenge = f'Basic realm="https://{HOST}/",service="ecr.amazonaws.com"'
        assert answer.headers["Www-Authenticate"] == challenge
    good = login(aws)
    assert good("GET", "/v2/").json == {}
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 12 * 3600 + 1)
    text = "Your authorization token has expired. Reauthenticate and try again."
    assert good("GET", "/v2/").error == (403, "DENIED", text)


@pytest.mark.parametrize("lacks", PUSH[2:])
def test_a_push_needs_each_action(aws: Aws, lacks: str) -> None:
    made(aws)
    client = limited(aws, *(one for one in PUSH if one != lacks))
    status, code, message = client.push(APP, "v1", layer(a="1")).error
    assert (status, code) == (403, "DENIED")
    assert message.endswith(
        f"is not authorized to perform: {lacks} on resource: arn:aws:ecr:{REGION}:{ACCOUNT}"
        f":repository/{APP} because no identity-based policy allows the {lacks} action"
    )
    assert message.startswith(f"User: arn:aws:iam::{ACCOUNT}:user/limited-")


def test_these_actions_are_enough(aws: Aws) -> None:
    made(aws)
    client = limited(aws, *PUSH)
    assert client.push(APP, "v1", layer(a="1")).status == 201
    assert "ecr:BatchGetImage" in client("GET", f"/v2/{APP}/manifests/v1").error[2]
    reader = limited(aws, "ecr:GetAuthorizationToken", *PULL)
    assert [files(one) for one in reader.pull(APP, "v1")] == [{"a": "1"}]
    assert "ecr:BatchDeleteImage" in reader("DELETE", f"/v2/{APP}/manifests/v1").error[2]
    assert login(aws)("DELETE", f"/v2/{APP}/manifests/v1").status == 202


def test_the_repository_has_a_policy(aws: Aws) -> None:
    made(aws)
    client = limited(aws, "ecr:GetAuthorizationToken")

    def policy(effect: str, principal: Any, *actions: str) -> None:
        one = {"Effect": effect, "Principal": principal, "Action": list(actions)}
        document = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "a", **one}]})
        aws.ecr.set_repository_policy(repositoryName=APP, policyText=document)

    policy("Allow", {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "ecr:*")
    assert client.push(APP, "v1", layer(a="1")).status == 201
    policy("Allow", {"AWS": f"arn:aws:iam::{ACCOUNT}:user/somebody"}, "ecr:*")
    assert client.push(APP, "v1", layer(a="1")).error[1] == "DENIED"
    policy("Deny", "*", "ecr:PutImage")
    _, code, message = login(aws).push(APP, "v2", layer(a="1")).error
    assert code == "DENIED"
    assert message.endswith("with an explicit deny in a resource-based policy")
