"""The calls of S3 that are served, most of them by moto.

S3 User Guide: "General purpose bucket naming rules", "Blocking public access", "Controlling
ownership of objects", "Setting default server-side encryption behavior"; S3 API Reference, the page
of each operation. Words of refusals: facts/aws.tsv.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from clusterkit_sandbox.answer import Answer, Environ, Wsgi
from clusterkit_sandbox.aws import s3_lists, s3_rights
from clusterkit_sandbox.aws.moto_answers import ask_moto
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.aws.s3_requests import GLOBAL, S3Request, malformed

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_TAG = re.compile(r"[\w .:/=+@-]*")
_OPEN = ("public-read", "public-read-write", "authenticated-read", "aws-exec-read")
"""canned ACLs that let others in"""
_ENCRYPTED = {
    "Rule": {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": "false",
    }
}
_PARTS = 10_000
_ENFORCED = "BucketOwnerEnforced"
ACCOUNT_HEADER = "HTTP_X_MOTO_ACCOUNT_ID"
"""whose account moto answers for"""


def bucket_of(name: str) -> Any:
    """Moto's bucket, whoever has it; None if nobody has."""
    from moto.s3.models import s3_backends

    where = s3_backends.bucket_accounts.get(name)
    return s3_backends[where[1]][where[0]].buckets.get(name) if where else None


def backend_of(account: str) -> Any:
    """Moto's S3 of an account."""
    from moto.s3.models import s3_backends

    return s3_backends[account]["aws"]


@dataclass(frozen=True)
class Told:
    """One call, as it was sent."""

    asked: S3Request
    environ: Environ
    body: bytes
    sent: Any
    """what the body says"""
    region: str
    owner: str
    """the caller's account"""
    forced: int | None
    """how long a page may be"""


class S3Call:
    """One call that is served."""

    def __init__(self, told: Told, application: Wsgi, may: Callable[[str, str], bool]) -> None:
        """``may`` says whether the caller has the right to an action on a resource."""
        self._told = told
        self._asked = told.asked
        self._sent = told.sent
        self._owner = told.owner
        self._application = application
        self._may = may

    def answer(self) -> Answer:
        asked = self._asked
        if asked.operation == "ListBuckets":
            every = list(backend_of(self._owner).buckets.values())
            return _xml(s3_lists.buckets(asked, every, self._told.forced))
        if asked.operation == "CreateBucket":
            return self._create()
        bucket = self._bucket(asked.bucket)
        owner = asked.headers.get("x-amz-expected-bucket-owner", self._owner)
        if owner != bucket.account_id:
            raise Refusal("AccessDenied", "Access Denied", 403)
        if asked.operation == "PutBucketTagging":
            return self._tag(bucket)
        if asked.operation == "ListObjectVersions":
            return _xml(s3_lists.versions(asked, bucket, self._told.forced))
        if asked.operation == "ListMultipartUploads":
            return _xml(s3_lists.uploads(asked, bucket, self._told.forced))
        if asked.operation == s3_rights.EACH:
            return self._delete_each()
        if check := _CHECKS.get(asked.operation):
            check(self, bucket)
        answer = self._moto()
        if answer.status == 404 and asked.operation in ("GetObject", "HeadObject"):
            self._hidden()
        if answer.status < 300 and (follow := _FOLLOWS.get(asked.operation)):
            answer = follow(self, bucket, answer)
        return answer

    def _bucket(self, name: str) -> Any:
        """The caller's bucket; ``Refusal`` if there is none, or if it is somebody else's."""
        bucket = bucket_of(name)
        if bucket is None:
            text = "The specified bucket does not exist"
            raise Refusal("NoSuchBucket", text, 404, BucketName=name)
        if bucket.account_id != self._owner:
            raise Refusal("AccessDenied", "Access Denied", 403)
        return bucket

    def _moto(self, body: bytes | None = None) -> Answer:
        """Moto's answer to the request as if it named the bucket in the path."""
        asked, environ = self._asked, dict(self._told.environ)
        raw = f"/{asked.bucket}" + (f"/{asked.raw_key}" if asked.key else "")
        query = self._query()
        environ |= {
            "HTTP_HOST": f"s3.{self._told.region}.amazonaws.com",
            "PATH_INFO": f"/{asked.bucket}/{asked.key}".encode().decode("latin-1")
            if asked.key
            else raw,
            "QUERY_STRING": query,
            "RAW_URI": f"{raw}?{query}" if query else raw,
            "REQUEST_URI": f"{raw}?{query}" if query else raw,
            ACCOUNT_HEADER: self._owner,
        }
        if not str(environ.get("HTTP_RANGE", "")).startswith("bytes="):
            environ.pop("HTTP_RANGE", None)  # S3 ignores what is no range
        return ask_moto(self._application, environ, self._told.body if body is None else body, "s3")

    def _query(self) -> str:
        query = str(self._told.environ.get("QUERY_STRING", ""))
        if self._asked.operation not in ("ListObjects", "ListObjectsV2"):
            return query
        most = s3_lists.size(self._asked, "max-keys", self._told.forced)
        kept = [one for one in query.split("&") if one and not one.startswith("max-keys=")]
        return "&".join([*kept, f"max-keys={most}"])

    # -- buckets -----------------------------------------------------------------------------------

    def _create(self) -> Answer:
        name, sent, headers = self._asked.bucket, self._sent or {}, self._asked.headers
        if (
            not _NAME.fullmatch(name)
            or ".." in name
            or _ADDRESS.fullmatch(name)
            or name.startswith(_PREFIXES)
            or name.endswith(_SUFFIXES)
        ):
            text = "The specified bucket is not valid."
            raise Refusal("InvalidBucketName", text, BucketName=name)
        if sent.get("LocationConstraint") == "EU":
            text = "The sandbox does not serve the constraint EU, which means eu-west-1."
            raise Refusal("NotImplemented", text, 501)
        tags = _tags(sent.get("Tags") or [])
        open_ = headers.get("x-amz-acl") in _OPEN
        if open_ and headers.get("x-amz-object-ownership", _ENFORCED) == _ENFORCED:
            raise Refusal(
                "InvalidBucketAclWithObjectOwnership",
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
            )
        self._located(sent.get("LocationConstraint", ""))
        there = bucket_of(name)
        if there is not None and there.account_id != self._owner:
            raise Refusal(
                "BucketAlreadyExists",
                "The requested bucket name is not available. The bucket namespace is shared by all"
                " users of the system. Please select a different name and try again.",
                409,
                BucketName=name,
            )
        if there is not None and (there.region_name, self._asked.region) != (GLOBAL, GLOBAL):
            text = (
                "Your previous request to create the named bucket succeeded and you already own it."
            )
            raise Refusal("BucketAlreadyOwnedByYou", text, 409, BucketName=name)
        answer = self._moto()
        made = bucket_of(name)
        if answer.status >= 300 or made is None or there is not None:
            return answer
        self._defaults(made)
        if tags:
            backend_of(self._owner).put_bucket_tagging(name, tags)
        return answer

    def _located(self, constraint: str) -> None:
        """Only Virginia takes a bucket for another region, and none for itself by name."""
        region = self._told.region
        if region == GLOBAL:
            if constraint == GLOBAL:
                text = "The specified location-constraint is not valid"
                raise Refusal("InvalidLocationConstraint", text)
        elif constraint != region:
            raise Refusal(
                "IllegalLocationConstraintException",
                f"The {constraint or 'unspecified'} location constraint is incompatible for the"
                " region specific endpoint this request was sent to.",
            )

    def _defaults(self, bucket: Any) -> None:
        """What a bucket has since 2023: it is encrypted, private, and without ACLs."""
        from moto.s3.models import PublicAccessBlock

        bucket.encryption = _ENCRYPTED
        bucket.public_access_block = PublicAccessBlock(True, True, True, True)
        bucket.ownership_rule = bucket.ownership_rule or _ENFORCED

    def _empty(self, bucket: Any) -> None:
        if not bucket.keys:
            return
        text = "The bucket you tried to delete is not empty"
        if bucket.versioning_status:
            text += ". You must delete all versions in the bucket."
        raise Refusal("BucketNotEmpty", text, 409, BucketName=bucket.name)

    def _deleted(self, bucket: Any, answer: Answer) -> Answer:
        backend_of(self._owner).tagger.delete_all_tags_for_resource(bucket.arn)
        return answer

    def _tag(self, bucket: Any) -> Answer:
        tags = _tags(self._sent["TagSet"])
        backend_of(self._owner).put_bucket_tagging(bucket.name, tags)
        return Answer(204, (), b"")

    def _encrypted(self, bucket: Any, answer: Answer) -> Answer:
        bucket.encryption = _ENCRYPTED
        return answer

    # -- objects -----------------------------------------------------------------------------------

    def _owned(self, bucket: Any) -> None:
        acl = self._asked.headers.get("x-amz-acl", "bucket-owner-full-control")
        if bucket.ownership_rule == _ENFORCED and acl != "bucket-owner-full-control":
            raise Refusal("AccessControlListNotSupported", "The bucket does not allow ACLs")

    def _delete_each(self) -> Answer:
        """DeleteObjects says of each object what became of it."""
        given = self._sent["Objects"]
        if not any(name.startswith(("content-md5", "x-amz-checksum-")) for name in _names(self)):
            text = "Missing required header for this request: Content-MD5"
            raise Refusal("InvalidRequest", text)
        if not 1 <= len(given) <= 1000:
            raise malformed()
        allowed: list[dict[str, str]] = []
        denied: list[dict[str, str]] = []
        for one in given:
            right = s3_rights.deleting(self._asked.bucket, one["Key"], one.get("VersionId", ""))
            (allowed if self._may(*right) else denied).append(one)
        told: dict[str, Any] = {"Deleted": [], "Error": []}
        backend = backend_of(self._owner)
        for one in allowed:
            version = one.get("VersionId")
            _, meta = backend.delete_object(self._asked.bucket, one["Key"], version_id=version)
            marker = meta.get("version-id") if version is None else None
            told["Deleted"].append(
                {
                    "Key": one["Key"],
                    "VersionId": version,
                    "DeleteMarker": True if marker else None,
                    "DeleteMarkerVersionId": marker,
                }
            )
        refused = {"Code": "AccessDenied", "Message": "Access Denied"}
        told["Error"] = [
            {"Key": one["Key"], "VersionId": one.get("VersionId"), **refused} for one in denied
        ]
        if self._sent.get("Quiet"):
            told["Deleted"] = []
        return _xml(s3_lists.xml("DeleteResult", told))

    def _hidden(self) -> None:
        """Who may not list is not told what is missing (S3 API Reference, GetObject)."""
        if not self._may("s3:ListBucket", s3_rights.arn(self._asked.bucket)):
            raise Refusal("AccessDenied", "Access Denied", 403)

    def _part(self, bucket: Any) -> None:
        number = self._asked.query.get("partNumber", "")
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= _PARTS):
            text = f"Part number must be an integer between 1 and {_PARTS}, inclusive"
            raise Refusal("InvalidArgument", text)
        self._uploading(bucket)
        if self._asked.operation == "UploadPartCopy":
            self._source()

    def _uploading(self, bucket: Any) -> None:
        upload = self._asked.query["uploadId"]
        there = backend_of(self._owner).get_object(bucket.name, self._asked.key)
        done = getattr(there, "multipart", None)  # completing it again is no error
        if upload not in bucket.multiparts and getattr(done, "id", None) != upload:
            text = (
                "The specified upload does not exist. The upload ID may be invalid, or the upload"
                " may have been aborted or completed."
            )
            raise Refusal("NoSuchUpload", text, 404, UploadId=upload)

    def _copied(self, bucket: Any) -> None:
        self._owned(bucket)
        self._source()

    def _source(self) -> None:
        name, _, key = unquote(self._asked.headers["x-amz-copy-source"]).lstrip("/").partition("/")
        if not key:
            text = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
            raise Refusal("InvalidArgument", text)
        self._bucket(name)

    def _versioned(self, _: Any) -> None:
        if "Status" not in self._sent:
            text = "The Versioning element must be specified"
            raise Refusal("IllegalVersioningConfigurationException", text)

    def _begun(self, bucket: Any, answer: Answer) -> Answer:
        upload = ElementTree.fromstring(answer.body).findtext(f"{{{s3_lists.SPACE}}}UploadId", "")
        stamp = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
        bucket.multiparts[upload].begun = stamp
        return answer


def _names(call: S3Call) -> list[str]:
    return [
        name[5:].lower().replace("_", "-")
        for name in call._told.environ
        if name.startswith("HTTP_")
    ]


def _tags(given: list[dict[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given:
        key, value = one["Key"], one["Value"]
        if key.startswith("aws:"):
            text = "System tags cannot be added/updated by requester"
            raise Refusal("InvalidTag", text)
        if not 1 <= len(key) <= 128 or not _TAG.fullmatch(key):
            raise Refusal("InvalidTag", "The TagKey you have provided is invalid")
        if len(value) > 256 or not _TAG.fullmatch(value):
            raise Refusal("InvalidTag", "The TagValue you have provided is invalid")
        if key in found:
            text = "Cannot provide multiple Tags with the same key"
            raise Refusal("InvalidTag", text)
        found[key] = value
    return found


_CHECKS: dict[str, Callable[[S3Call, Any], None]] = {
    "CompleteMultipartUpload": S3Call._uploading,
    "CopyObject": S3Call._copied,
    "CreateMultipartUpload": S3Call._owned,
    "DeleteBucket": S3Call._empty,
    "PutBucketVersioning": S3Call._versioned,
    "PutObject": S3Call._owned,
    "UploadPart": S3Call._part,
    "UploadPartCopy": S3Call._part,
}
_FOLLOWS: dict[str, Callable[[S3Call, Any, Answer], Answer]] = {
    "CreateMultipartUpload": S3Call._begun,
    "DeleteBucket": S3Call._deleted,
    "DeleteBucketEncryption": S3Call._encrypted,
}


def _xml(body: bytes) -> Answer:
    return Answer(200, (("Content-Type", "application/xml"),), body)
