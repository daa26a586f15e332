"""What a call of S3 needs to be allowed (Service Authorization Reference, "Actions, resources, and
condition keys for Amazon S3"; S3 User Guide, "Required permissions for Amazon S3 API operations").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from clusterkit_sandbox.aws.s3_requests import S3Request

_ACTIONS: Mapping[str, str] = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
"""those that are not called as the operation is"""
_VERSIONED = {
    "DeleteObject": "DeleteObjectVersion",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
    "GetObject": "GetObjectVersion",
    "GetObjectTagging": "GetObjectVersionTagging",
    "HeadObject": "GetObjectVersion",
    "PutObjectTagging": "PutObjectVersionTagging",
}
"""those of a call that names a version"""
_HEADERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "CreateBucket": (
        ("x-amz-acl", "PutBucketAcl"),
        ("x-amz-object-ownership", "PutBucketOwnershipControls"),
        ("x-amz-bucket-object-lock-enabled", "PutBucketObjectLockConfiguration"),
        ("x-amz-bucket-object-lock-enabled", "PutBucketVersioning"),
    ),
    "CopyObject": (("x-amz-acl", "PutObjectAcl"), ("x-amz-tagging", "PutObjectTagging")),
    "CreateMultipartUpload": (("x-amz-acl", "PutObjectAcl"), ("x-amz-tagging", "PutObjectTagging")),
    "PutObject": (("x-amz-acl", "PutObjectAcl"), ("x-amz-tagging", "PutObjectTagging")),
}
"""what else a header needs"""
EACH = "DeleteObjects"
"""the call whose answer says of each object whether it was allowed"""


def arn(bucket: str, key: str = "") -> str:
    """Of a bucket, or of an object in it."""
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def needed(asked: S3Request, body: bytes) -> Iterator[tuple[str, str]]:
    """Actions, and the ARN that each is about."""
    name = asked.operation
    if not name or name == EACH:
        return
    action = _ACTIONS.get(name, name)
    if asked.query.get("versionId"):
        action = _VERSIONED.get(name, action)
    here = arn(asked.bucket, asked.key) if asked.bucket else "*"
    yield f"s3:{action}", here
    for header, more in _HEADERS.get(name, ()):
        if header in asked.headers:
            yield f"s3:{more}", here
    if name == "CreateBucket" and b"<Tags>" in body:
        yield "s3:TagResource", here
    if source := asked.headers.get("x-amz-copy-source"):
        path, _, version = unquote(source).lstrip("/").partition("?versionId=")
        bucket, _, key = path.partition("/")
        yield ("s3:GetObjectVersion" if version else "s3:GetObject"), arn(bucket, key)


def deleting(bucket: str, key: str, version: str) -> tuple[str, str]:
    """What deleting one of several objects needs."""
    return "s3:DeleteObjectVersion" if version else "s3:DeleteObject", arn(bucket, key)


def context(asked: S3Request) -> dict[str, str]:
    """The condition keys of a call."""
    keys = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}
    return {key: asked.query[name] for name, key in keys.items() if name in asked.query}
