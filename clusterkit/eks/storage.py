"""S3 buckets for what Jenkins X keeps: logs, reports, artifacts.

A bucket's name is taken once in the whole partition, so a hash of account, region and cluster ends
it; whose it is, only its tags say. S3 encrypts every object by itself
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html) and gives no
object another owner (``BucketOwnerEnforced``, the default since 2023).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.errors import ERRORS
from clusterkit.eks.tags import AwsState, Tagged, read_tags, write_tags
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env, Tags
from clusterkit.engine.operation import Done, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.errors import ClusterkitError, Exists, Gone, NotOurs
from clusterkit.naming import CLUSTER, KEEP, digest
from clusterkit.ready.jenkinsx import STORAGE

PRIVATE = (
    "BlockPublicAcls",
    "BlockPublicPolicy",
    "IgnorePublicAcls",
    "RestrictPublicBuckets",
)
FIRST = "us-east-1"
"""the region that CreateBucket does not take as a location (S3 API)"""
ROUND = 10
"""pages of up to 1,000 objects that are deleted between two looks at the clock"""


def bucket_name(purpose: str, cluster: str, account: str, region: str) -> str:
    """The bucket's name: the same in every run, and nobody else's but by intent."""
    return f"{purpose}-{cluster}-{digest(account, region, cluster)}"


class BucketState(AwsState):
    """A bucket; ``id`` is its name."""

    private: bool = False
    """all public access is blocked"""


class Bucket(Tagged[BucketState]):
    """A bucket of the cluster's; ``name`` is what for."""

    kind: ClassVar[str] = "bucket"
    patience: ClassVar[float] = 3600.0
    """it is emptied first"""
    account: str
    """part of its name"""
    keep: bool = True

    def own_tags(self) -> Tags:
        return {KEEP: str(self.keep).lower()}

    def bucket(self, scope: Scope[Clients]) -> str:
        """Its name in S3."""
        return bucket_name(self.name, scope.cluster, self.account, scope.region)

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[BucketState]:
        return [have for have in _listed(scope) if _form(scope).fullmatch(have.id)]

    @classmethod
    def read(cls, scope: Scope[Clients], found: BucketState) -> BucketState:
        tags = _tags(scope, found.id)
        private = tags.get(CLUSTER) == scope.cluster and _private(scope, found.id)
        return replace(found, tags=tags, private=private)

    def create(self, env: Env[Clients]) -> None:
        setup: Any = {"Tags": write_tags(self.marks(env))}
        if env.region != FIRST:
            setup["LocationConstraint"] = env.region
        name = self.bucket(env)
        try:
            env.client.s3.create_bucket(Bucket=name, CreateBucketConfiguration=setup)
        except Exists as error:
            if error.code == "BucketAlreadyOwnedByYou":
                raise
            what = f"the bucket {name} exists in another account or region"
            raise NotOurs(what, hint="choose another name for the cluster") from error

    def edits(self, env: Env[Clients], have: BucketState) -> Iterator[Edit]:
        block = partial(env.client.s3.put_public_access_block, Bucket=have.id)
        block = partial(block, PublicAccessBlockConfiguration=dict.fromkeys(PRIVATE, True))
        yield from edit("public access blocked", have.private, True, block)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: BucketState) -> Emptying:
        return Emptying(have.id)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        if not _form(scope).fullmatch(identifier):
            what = f"{identifier} is not called as a bucket of this cluster's is"
            raise ClusterkitError(what, hint="delete it, or choose another name for the cluster")
        # PutBucketTagging replaces all tags
        tags = {**_tags(scope, identifier), **labels}
        scope.client.s3.put_bucket_tagging(Bucket=identifier, Tagging={"TagSet": write_tags(tags)})

    def taken(self, env: Env[Clients]) -> BucketState | None:
        return self.found(env)

    def found(self, scope: Scope[Clients]) -> BucketState | None:
        """What the account has of its name in this region, whoever's it is."""
        name = self.bucket(scope)
        return next((self.read(scope, have) for have in _listed(scope) if have.id == name), None)

    @classmethod
    def kept(cls, have: BucketState) -> str | None:
        kept = "the profile keeps it (ready.jenkins_x.keep_storage); objects cost by GB and month"
        return kept if (have.tags or {}).get(KEEP) == "true" else None


def _form(scope: Scope[Any]) -> re.Pattern[str]:
    return re.compile(rf"({'|'.join(STORAGE)})-{re.escape(scope.cluster)}-[0-9a-f]{{8}}")


def _listed(scope: Scope[Clients]) -> Sequence[BucketState]:
    """The account's buckets in this region."""
    found = pages(scope.client.s3, "list_buckets", "Buckets", BucketRegion=scope.region)
    return [BucketState(id=each["Name"], arn=each.get("BucketArn", "")) for each in found]


def _tags(scope: Scope[Clients], name: str) -> dict[str, str]:
    try:
        return read_tags(scope.client.s3.get_bucket_tagging(Bucket=name)["TagSet"])
    except Gone:
        return {}


def _private(scope: Scope[Clients], name: str) -> bool:
    try:
        shown = scope.client.s3.get_public_access_block(Bucket=name)
    except Gone:
        return False
    return all(shown["PublicAccessBlockConfiguration"].get(each) for each in PRIVATE)


@dataclass(frozen=True)
class Emptying:
    """Deletes what is in a bucket, old versions and unfinished uploads too, then the bucket: S3
    deletes empty ones only (DeleteBucket).
    """

    bucket: str

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """Delete some more."""
        s3, name = scope.client.s3, self.bucket
        for upload in pages(s3, "list_multipart_uploads", "Uploads", Bucket=name):
            key, number = upload["Key"], upload["UploadId"]
            s3.abort_multipart_upload(Bucket=name, Key=key, UploadId=number)
        last = ""
        for _ in range(ROUND):
            shown = s3.list_object_versions(Bucket=name)
            there = [*shown.get("Versions", ()), *shown.get("DeleteMarkers", ())]
            if not there:
                s3.delete_bucket(Bucket=name)
                return Done()
            some: Any = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in there]
            last = some[-1]["Key"]
            done = s3.delete_objects(Bucket=name, Delete={"Objects": some, "Quiet": True})
            for each in done.get("Errors", ()):
                what = f"{each['Key']}: {each.get('Message', '')}"
                raise ERRORS.classify(each.get("Code", ""), 0, what, "DeleteObjects")
        return Running(f"deleting what is in it, at {last}")
