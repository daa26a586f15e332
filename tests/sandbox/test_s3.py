"""S3 of the sandbox, asked with boto3: what AWS does, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from clusterkit_sandbox.faults import Rule
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.test_eks_service import REGION, Aws, refused

ACCOUNT, NEIGHBOUR = "123456789012", "210987654321"
HERE = {"LocationConstraint": REGION}


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


def s3_of(aws: Aws, region: str = REGION, *, key: str = "", secret: str = "", **more: Any) -> Any:
    """A client of the sandbox that never repeats."""
    environ = aws.sandbox.environment()
    config = {"proxies": {"https": aws.sandbox.proxy}, "retries": {"total_max_attempts": 1}}
    return boto3.client(
        "s3",
        region_name=region,
        aws_access_key_id=key or environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=secret or environ["AWS_SECRET_ACCESS_KEY"],
        verify=str(aws.sandbox.ca_file),
        config=Config(**{**config, **more}),
    )


def made(s3: Any, name: str = "logs-demo", **more: Any) -> str:
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={**HERE, **more})
    return name


# -- buckets -------------------------------------------------------------------------------------


def test_a_bucket_lives(aws: Aws) -> None:
    s3 = s3_of(aws)
    name = made(s3, Tags=[{"Key": "clusterkit-cluster", "Value": "demo"}])
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == REGION
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == REGION
    tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
    assert tags == [{"Key": "clusterkit-cluster", "Value": "demo"}]
    assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == [name]
    s3.delete_bucket(Bucket=name)
    refused("404", s3.head_bucket, Bucket=name)
    refused("NoSuchBucket", s3.get_bucket_tagging, Bucket=name)
    made(s3)
    refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=name)


def test_a_new_bucket_is_private(aws: Aws) -> None:
    s3 = s3_of(aws)
    name = made(s3)
    found = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]
    rule = found["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    assert rule == {"SSEAlgorithm": "AES256"}
    block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert len(block) == 4
    assert all(block.values())
    owned = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert owned == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    refused("AccessControlListNotSupported", s3.put_object, Bucket=name, Key="a", ACL="public-read")
    s3.put_public_access_block(
        Bucket=name, PublicAccessBlockConfiguration={"BlockPublicAcls": True}
    )
    block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert (block["BlockPublicAcls"], block["IgnorePublicAcls"]) == (True, False)
    s3.delete_public_access_block(Bucket=name)
    refused("NoSuchPublicAccessBlockConfiguration", s3.get_public_access_block, Bucket=name)
    s3.delete_bucket_encryption(Bucket=name)
    assert s3.get_bucket_encryption(Bucket=name)
    s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"},
                    "BucketKeyEnabled": True,
                }
            ]
        },
    )
    found = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert found["BucketKeyEnabled"] is True
    s3.delete_bucket_ownership_controls(Bucket=name)
    refused("OwnershipControlsNotFoundError", s3.get_bucket_ownership_controls, Bucket=name)


def test_a_name_belongs_to_one(aws: Aws) -> None:
    file = ConfigParser()
    file.read(aws.sandbox.environment()["AWS_SHARED_CREDENTIALS_FILE"])
    keys = file["neighbour"]
    other = s3_of(aws, key=keys["aws_access_key_id"], secret=keys["aws_secret_access_key"])
    name, s3 = made(other, "logs-taken"), s3_of(aws)
    place = {"Bucket": name, "CreateBucketConfiguration": HERE}
    assert "shared by all users" in refused("BucketAlreadyExists", s3.create_bucket, **place)
    refused("BucketAlreadyOwnedByYou", other.create_bucket, **place)
    refused("403", s3.head_bucket, Bucket=name)
    for call in (s3.get_bucket_tagging, s3.list_objects_v2, s3.delete_bucket):
        refused("AccessDenied", call, Bucket=name)
    assert s3.list_buckets()["Buckets"] == []
    assert [one["Name"] for one in other.list_buckets()["Buckets"]] == [name]
    refused("AccessDenied", other.get_bucket_location, Bucket=name, ExpectedBucketOwner=ACCOUNT)
    refused("404", s3.head_bucket, Bucket="logs-nobodys")
    virginia = s3_of(aws, "us-east-1")
    for _ in range(2):
        virginia.create_bucket(Bucket="logs-virginia")
    assert virginia.get_bucket_location(Bucket="logs-virginia")["LocationConstraint"] is None
    refused("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket="logs-virginia",
            CreateBucketConfiguration=HERE)  # fmt: skip


@pytest.mark.parametrize("name", ["Logs", "a..b", "192.168.5.4", "xn--logs", "logs-s3alias"])
def test_a_name_has_rules(aws: Aws, name: str) -> None:
    s3 = s3_of(aws, s3={"addressing_style": "path"})
    refused("InvalidBucketName", s3.create_bucket, Bucket=name, CreateBucketConfiguration=HERE)


def test_a_bucket_has_one_region(aws: Aws) -> None:
    s3, far = s3_of(aws), s3_of(aws, "us-west-2")
    refused("IllegalLocationConstraintException", s3.create_bucket, Bucket="logs-demo")
    refused("IllegalLocationConstraintException", far.create_bucket, Bucket="logs-demo",
            CreateBucketConfiguration=HERE)  # fmt: skip
    refused("InvalidLocationConstraint", s3_of(aws, "us-east-1").create_bucket, Bucket="logs-demo",
            CreateBucketConfiguration={"LocationConstraint": "us-east-1"})  # fmt: skip
    name = made(s3)
    # boto3 asks again where the answer points to
    assert far.head_bucket(Bucket=name)["BucketRegion"] == REGION
    assert s3_of(aws, "us-east-1").get_bucket_location(Bucket=name)["LocationConstraint"] == REGION
    said = [one for one in aws.sandbox.requests.entries() if one.operation == "s3:HeadBucket"]
    assert [one.status for one in said[-2:]] == [301, 200]
    s3_of(aws, "us-east-1").create_bucket(Bucket="logs-from-afar", CreateBucketConfiguration=HERE)
    # the global endpoint knows where the name is taken; boto3 asks again there
    taken = {"Bucket": "logs-from-afar"}
    refused("IllegalLocationConstraintException", s3_of(aws, "us-east-1").create_bucket, **taken)
    assert s3.head_bucket(Bucket="logs-from-afar")["BucketRegion"] == REGION


def test_tags(aws: Aws) -> None:
    s3 = s3_of(aws)
    name = made(s3)
    put = s3.put_bucket_tagging
    put(Bucket=name, Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    put(Bucket=name, Tagging={"TagSet": [{"Key": "b", "Value": ""}]})
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "b", "Value": ""}]
    for one in ("aws:a", "a&b", "a" * 129):
        refused("InvalidTag", put, Bucket=name, Tagging={"TagSet": [{"Key": one, "Value": ""}]})
    twice = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    refused("InvalidTag", put, Bucket=name, Tagging=twice)
    s3.delete_bucket_tagging(Bucket=name)
    refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=name)


# -- objects -------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_objects(aws: Aws, style: str) -> None:
    s3 = s3_of(aws, s3={"addressing_style": style})
    name, body = made(s3), b"what happened\n" * 5
    key = "jenkins-x/logs/ö +&%41/a=b.log"
    sent = s3.put_object(Bucket=name, Key=key, Body=body, Metadata={"build": "7"})
    assert sent["ServerSideEncryption"] == "AES256"
    found = s3.get_object(Bucket=name, Key=key)
    assert found["Body"].read() == body
    assert found["Metadata"] == {"build": "7"}
    assert "ContentEncoding" not in found
    head = s3.head_object(Bucket=name, Key=key)
    assert (head["ContentLength"], head["ETag"]) == (len(body), sent["ETag"])
    part = s3.get_object(Bucket=name, Key=key, Range="bytes=0-3")
    assert part["Body"].read() == body[:4]
    s3.copy_object(Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": key})
    listed = s3.list_objects_v2(Bucket=name)["Contents"]
    assert [one["Key"] for one in listed] == ["copy", key]
    refused("NoSuchKey", s3.get_object, Bucket=name, Key="missing")
    refused("404", s3.head_object, Bucket=name, Key="missing")
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=name)
    gone = s3.delete_objects(
        Bucket=name, Delete={"Objects": [{"Key": key}, {"Key": "copy"}, {"Key": "missing"}]}
    )
    assert [one["Key"] for one in gone["Deleted"]] == [key, "copy", "missing"]
    s3.delete_bucket(Bucket=name)


def test_versions(aws: Aws) -> None:
    s3 = s3_of(aws)
    name = made(s3)
    s3.put_object(Bucket=name, Key="a", Body=b"0")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for number in range(5):
        s3.put_object(Bucket=name, Key="a", Body=b"%d" % number)
    s3.put_object(Bucket=name, Key="b/1", Body=b"")
    s3.delete_object(Bucket=name, Key="a")
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=name)["Contents"]] == ["b/1"]
    assert "versions" in refused("BucketNotEmpty", s3.delete_bucket, Bucket=name)
    whole = s3.list_object_versions(Bucket=name)
    assert [one["IsLatest"] for one in whole["Versions"]] == [False] * 6 + [True]
    assert whole["Versions"][5]["VersionId"] == "null"
    assert whole["DeleteMarkers"][0]["IsLatest"] is True
    newest = s3.get_object(Bucket=name, Key="a", VersionId=whole["Versions"][0]["VersionId"])
    assert newest["Body"].read() == b"4"
    aws.sandbox.faults.page_size = 1
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=name))
    assert len(pages) == 8
    every = [
        one for page in pages for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
    ]
    assert sorted(one["VersionId"] for one in every) == sorted(
        one["VersionId"] for one in (*whole["Versions"], *whole["DeleteMarkers"])
    )
    ids = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in every]
    gone = s3.delete_objects(Bucket=name, Delete={"Objects": ids, "Quiet": True})
    assert "Deleted" not in gone
    s3.delete_bucket(Bucket=name)


def test_pages(aws: Aws) -> None:
    s3 = s3_of(aws)
    for number in range(3):
        made(s3, f"logs-{number}")
    name = "logs-1"
    for number in range(3):
        s3.put_object(Bucket=name, Key=f"a/{number}", Body=b"")
    s3.put_object(Bucket=name, Key="b", Body=b"")
    aws.sandbox.faults.page_size = 1
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name)
    assert [one["Key"] for page in pages for one in page["Contents"]] == [
        "a/0", "a/1", "a/2", "b"
    ]  # fmt: skip
    pages = s3.get_paginator("list_objects").paginate(Bucket=name)
    assert sum(len(page["Contents"]) for page in pages) == 4
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=name, Delimiter="/")
    found = [(page.get("CommonPrefixes"), page.get("Versions")) for page in pages]
    assert [one[0]["Prefix"] for one, _ in found if one] == ["a/"]
    assert [one[0]["Key"] for _, one in found if one] == ["b"]
    assert len(s3.list_buckets()["Buckets"]) == 3
    pages = s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2})
    assert [one["Name"] for page in pages for one in page["Buckets"]] == [
        "logs-0", "logs-1", "logs-2"
    ]  # fmt: skip
    assert s3.list_buckets(Prefix="logs-2")["Buckets"][0]["BucketRegion"] == REGION
    s3_of(aws, "us-west-2").create_bucket(
        Bucket="logs-west", CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    pages = s3.get_paginator("list_buckets").paginate(BucketRegion="us-west-2")
    assert [one["Name"] for page in pages for one in page["Buckets"]] == ["logs-west"]


def test_uploads_in_parts(aws: Aws) -> None:
    s3 = s3_of(aws)
    name, half = made(s3), b"x" * (5 << 20)
    upload = s3.create_multipart_upload(Bucket=name, Key="big")["UploadId"]
    tags = [
        s3.upload_part(Bucket=name, Key="big", UploadId=upload, PartNumber=number, Body=body)[
            "ETag"
        ]
        for number, body in ((1, half), (2, b"end"))
    ]
    parts = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
    assert len(s3.list_parts(Bucket=name, Key="big", UploadId=upload)["Parts"]) == 2
    lost = [s3.create_multipart_upload(Bucket=name, Key=f"k{n}")["UploadId"] for n in (1, 1, 2)]
    aws.sandbox.faults.page_size = 1
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=name)
    found = [one["UploadId"] for page in pages for one in page["Uploads"]]
    assert sorted(found) == sorted([upload, *lost])
    s3.complete_multipart_upload(
        Bucket=name, Key="big", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert s3.head_object(Bucket=name, Key="big")["ContentLength"] == len(half) + 3
    for key, one in zip(("k1", "k1", "k2"), lost, strict=True):
        s3.abort_multipart_upload(Bucket=name, Key=key, UploadId=one)
        refused("NoSuchUpload", s3.list_parts, Bucket=name, Key=key, UploadId=one)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=name)


def test_a_wrong_hash_is_refused(aws: Aws) -> None:
    s3 = s3_of(aws)
    name = made(s3)
    wrong = {"Bucket": name, "Key": "a", "Body": b"one"}
    refused("BadDigest", s3.put_object, **wrong, ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    refused("InvalidDigest", s3.put_object, **wrong, ContentMD5="abc")
    refused("BadDigest", s3.put_object, **wrong, ChecksumSHA256="A" * 43 + "=")
    refused("404", s3.head_object, Bucket=name, Key="a")
    refused("InvalidAccessKeyId", s3_of(aws, key="AKIA0000000000000000").list_buckets)
    refused("SignatureDoesNotMatch", s3_of(aws, secret="wrong").list_buckets)


def test_what_is_not_served_says_so(aws: Aws) -> None:
    s3 = s3_of(aws)
    name = made(s3)
    refused("NotImplemented", s3.get_bucket_website, Bucket=name)
    refused("NotImplemented", s3.put_bucket_policy, Bucket=name, Policy="{}")


def test_faults(aws: Aws) -> None:
    s3, faults = s3_of(aws), aws.sandbox.faults
    faults.set([Rule("s3:CreateBucket", "throttle", times=1)])
    refused("SlowDown", made, s3=s3)
    busy = "A conflicting conditional operation is currently in progress against this resource."
    faults.set(
        [Rule("s3:CreateBucket", "refuse", code="OperationAborted", message=busy, status=409)]
    )
    assert refused("OperationAborted", made, s3=s3) == busy
    faults.set([Rule("s3:CreateBucket", "late", seconds=60)])
    name = made(s3)
    refused("404", s3.head_bucket, Bucket=name)
    refused("NoSuchBucket", s3.get_bucket_tagging, Bucket=name)
    assert s3.list_buckets()["Buckets"] == []
    faults.clear()
    aws.sandbox.faults.set([Rule("s3:HeadBucket", "error", times=1)])
    refused("500", s3.head_bucket, Bucket=name)


ODD = [
    ("DELETE", "?versioning", b"", 405, "MethodNotAllowed"),
    ("POST", "", b"", 405, "MethodNotAllowed"),
    ("PUT", "?tagging", b"", 400, "MissingRequestBodyError"),
    ("PUT", "?tagging", b"<Tagging/>", 400, "MalformedXML"),
    ("PUT", "?tagging", b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", 400,
     "MalformedXML"),
    ("PUT", "?versioning", b"<VersioningConfiguration/>", 400,
     "IllegalVersioningConfigurationException"),
    ("PUT", "?versioning",
     b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>", 400,
     "MalformedXML"),
    ("POST", "?delete", b"<Delete><Object><Key>a</Key></Object></Delete>", 400, "InvalidRequest"),
    ("GET", "?list-type=2&max-keys=all", b"", 400, "InvalidArgument"),
    ("GET", "?versions&version-id-marker=a", b"", 400, "InvalidArgument"),
    ("PUT", "/key?uploadId=none&partNumber=1", b"a", 404, "NoSuchUpload"),
    ("PUT", "/key?uploadId=none", b"a", 400, "InvalidArgument"),
    ("GET", "/key?versionId=none", b"", 404, "NoSuchVersion"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "place", "body", "status", "code"), ODD)
def test_odd_requests(
    aws: Aws, method: str, place: str, body: bytes, status: int, code: str
) -> None:
    made(s3_of(aws))
    found = raw(aws, method, f"/logs-demo{place}", body)
    assert (found.status, f"<Code>{code}</Code>" in found.data.decode()) == (status, True)
    assert raw(aws, "GET", "/logs-demo?location").status == 200


def test_nobody_is_refused(aws: Aws) -> None:
    made(s3_of(aws))
    door = urllib3.ProxyManager(aws.sandbox.proxy, ca_certs=str(aws.sandbox.ca_file), retries=False)
    found = door.request("GET", f"https://logs-demo.s3.{REGION}.amazonaws.com/")
    assert (found.status, b"AccessDenied" in found.data) == (403, True)


def raw(aws: Aws, method: str, path: str, body: bytes = b"") -> Any:
    """A signed request that no client would send."""
    environ = aws.sandbox.environment()
    keys = Credentials(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"])
    url = f"https://s3.{REGION}.amazonaws.com{path}"
    asked = AWSRequest(method=method, url=url, data=body)
    S3SigV4Auth(keys, "s3", REGION).add_auth(asked)
    sent = asked.prepare()
    door = urllib3.ProxyManager(aws.sandbox.proxy, ca_certs=str(aws.sandbox.ca_file), retries=False)
    return door.request(method, sent.url, body=body, headers=dict(sent.headers))


# -- who may what --------------------------------------------------------------------------------


def limited(aws: Aws, *actions: str) -> Any:
    user = aws.sandbox.identity(actions)
    keys = user.environment
    return s3_of(aws, key=keys["AWS_ACCESS_KEY_ID"], secret=keys["AWS_SECRET_ACCESS_KEY"])


def test_rights(aws: Aws) -> None:
    s3 = s3_of(aws)
    poor = limited(aws, "s3:CreateBucket", "s3:PutObject")
    text = refused("AccessDenied", poor.list_buckets)
    assert text.endswith("because no identity-based policy allows the s3:ListAllMyBuckets action")
    tagged = {**HERE, "Tags": [{"Key": "a", "Value": "b"}]}
    text = refused(
        "AccessDenied", poor.create_bucket, Bucket="logs-demo", CreateBucketConfiguration=tagged
    )
    assert 's3:TagResource on resource: "arn:aws:s3:::logs-demo"' in text
    name = made(poor)
    refused("403", poor.head_bucket, Bucket=name)
    poor.put_object(Bucket=name, Key="a", Body=b"")
    refused("AccessDenied", poor.put_object, Bucket=name, Key="a", Body=b"", Tagging="a=b")
    refused("AccessDenied", poor.get_object, Bucket=name, Key="a")
    found = poor.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a"}]})
    assert found["Errors"][0]["Code"] == "AccessDenied"
    refused("AccessDenied", poor.delete_object, Bucket=name, Key="a")
    reader = limited(aws, "s3:GetObject")
    reader.get_object(Bucket=name, Key="a")
    # without the right to list it is not told what is missing
    refused("AccessDenied", reader.get_object, Bucket=name, Key="missing")
    assert s3.delete_object(Bucket=name, Key="a")
