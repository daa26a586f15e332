"""Buckets of Cloud Storage: where Jenkins X keeps logs, reports and artifacts.

The names of buckets are shared by the whole world, so each has a random end; a bucket is found by
its labels. What is in it cannot be public, and who has access stands in its policy alone
(https://cloud.google.com/storage/docs/uniform-bucket-level-access).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

from clusterkit.engine.background import Background
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Kind, Leftover, Record, State, Tags
from clusterkit.engine.operation import Done, Operation, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied, Gone, InUse
from clusterkit.gke import policies
from clusterkit.gke.client import Clients
from clusterkit.gke.errors import DISABLED
from clusterkit.gke.policies import Grant, changed, held
from clusterkit.gke.tags import USABLE
from clusterkit.naming import CLUSTER, KEEP, digest
from clusterkit.ready.jenkinsx import STORAGE

SERVICE = "storage"
WRITER = "roles/storage.objectAdmin"
"""as Jenkins X's own Terraform module grants it, there in the whole project
(https://github.com/jenkins-x/terraform-google-jx, ``modules/cluster/serviceaccount.tf``)"""
READER = "roles/storage.objectViewer"
CLOSED = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"}
PAGE = 1000
"""most objects of a page (storage v1, ``objects.list``)"""


class BucketState(Record):
    """A bucket; ``id`` is its name."""

    id: str
    tags: Tags
    closed: bool = True
    """as ``CLOSED`` has it"""
    grants: frozenset[Grant] = frozenset()
    """those that are ours to change"""
    status: str = ""

    @property
    def url(self) -> str:
        """As Jenkins X has it."""
        return f"gs://{self.id}"


class Bucket(Kind[Clients, BucketState]):
    """A bucket in the cluster's region."""

    kind: ClassVar[str] = "bucket"
    propagation: ClassVar[float] = USABLE
    takes: ClassVar[Durations] = Durations(create=2, delete=2)
    keep: bool = True
    writers: tuple[Kind[Any, State], ...] = ()
    """service accounts of ours"""
    readers: tuple[Kind[Any, State], ...] = ()

    def own_tags(self) -> Tags:
        return {KEEP: str(self.keep).lower()}

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[BucketState]:
        """Those in the region: names and labels hold none."""
        return _listed(scope)

    @classmethod
    def read(cls, scope: Scope[Clients], found: BucketState) -> BucketState:
        there = policies.bucket(found.id).grants(scope.client)
        ours = frozenset(grant for grant in there if policies.is_account(scope, grant.member))
        return replace(found, grants=policies.without_others(scope, ours) if ours else ours)

    def create(self, env: Env[Clients]) -> BucketState:
        body = {
            "name": f"{self.name}-{env.cluster}-{digest(env.token(self), length=policies.END)}",
            "location": env.region,
            "labels": self.marks(env),
            "iamConfiguration": CLOSED,
        }
        asked = {"project": env.client.project}
        return _state(env.client.call(SERVICE, "buckets.insert", "POST", "b", body, **asked))

    def taken(self, env: Env[Clients]) -> BucketState | None:
        """One of its name without a mark: this cluster's, as far as anybody can tell."""
        return next((have for have in _unmarked(env) if _is_called(env, have, self.name)), None)

    def edits(self, env: Env[Clients], have: BucketState) -> Iterator[Edit]:
        wanted = held(env, {READER: self.readers, WRITER: self.writers})
        holder = policies.bucket(have.id)

        def grant() -> Operation[Clients]:
            # pods use it long after
            others = have.grants - wanted
            return changed(env, holder, wanted, lambda each: each in others, effect=0.0)

        close = partial(_patch, env.client, have.id, {"iamConfiguration": CLOSED})
        yield from edit("closed to the public", have.closed, True, close)
        yield from edit("grants", have.grants, wanted, grant)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: BucketState) -> Operation[Clients] | None:
        try:
            _delete(scope.client, have.id)
        except InUse:  # it is not empty
            return Emptied(have.id)
        return None

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        _patch(scope.client, identifier, {"labels": dict(labels)})

    @classmethod
    def kept(cls, have: BucketState) -> str | None:
        kept = "the profile keeps the buckets (ready.jenkins_x.keep_storage); they cost by the GB"
        return kept if have.tags.get(KEEP) == "true" else None


@dataclass
class Emptied:
    """All that is in a bucket is deleted, older versions too, and then the bucket."""

    bucket: str
    removed: int = 0

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """Delete one page."""
        client, asked = scope.client, {"versions": "true", "maxResults": PAGE}
        shown = client.call(SERVICE, "objects.list", "GET", f"b/{self.bucket}/o", **asked)
        found = shown.get("items") or ()
        if not found:
            _delete(client, self.bucket)
            return Done()
        with Background() as background:
            calls = [background(partial(_remove, client, self.bucket, each)) for each in found]
        for call in calls:
            call.result()
        self.removed += len(found)
        return Running(f"{self.removed} objects deleted")


def owned(scope: Scope[Clients]) -> list[BucketState]:
    """The cluster's buckets, kept ones too."""
    return [have for have in _listed(scope) if have.tags.get(CLUSTER) == scope.cluster]


def _listed(scope: Scope[Clients]) -> list[BucketState]:
    asked = {"project": scope.client.project, "projection": "noAcl"}
    try:
        found = [*scope.client.pages(SERVICE, "buckets.list", "b", "items", **asked)]
    except Denied as error:
        if error.code in DISABLED:  # the API, so there is none
            return []
        raise
    here = scope.region.upper()
    return [_state(shown) for shown in found if str(shown.get("location")).upper() == here]


def _is_called(scope: Scope[Clients], have: BucketState, name: str) -> bool:
    """Whether the bucket may be this one of the cluster's."""
    return (
        re.fullmatch(f"{name}-{re.escape(scope.cluster)}-[0-9a-f]{{{policies.END}}}", have.id)
        is not None
    )


def _unmarked(scope: Scope[Clients]) -> Iterator[BucketState]:
    """Buckets with a name of this cluster's and the mark of none."""
    for have in _listed(scope):
        if CLUSTER not in have.tags and _is_called(scope, have, f"({'|'.join(STORAGE)})"):
            yield have


def _why(have: BucketState) -> str:
    what = "this bucket has a name of this cluster's, but not its label"
    return f"{what}; gcloud storage rm --recursive gs://{have.id} deletes it"


Unmarked = Leftover[Clients](
    "unmarked-buckets", _unmarked, lambda *_: None, keep=_why, optional=True
)
"""Buckets that are named and left, because nothing else tells of them when the cluster is gone."""


def _state(shown: Any) -> BucketState:
    access = shown.get("iamConfiguration") or {}
    uniform = (access.get("uniformBucketLevelAccess") or {}).get("enabled") is True
    closed = uniform and access.get("publicAccessPrevention") == "enforced"
    return BucketState(id=str(shown["name"]), tags=shown.get("labels") or {}, closed=closed)


def _patch(client: Clients, name: str, body: Any) -> None:
    client.call(SERVICE, "buckets.patch", "PATCH", f"b/{name}", body)


def _delete(client: Clients, name: str) -> None:
    client.call(SERVICE, "buckets.delete", "DELETE", f"b/{name}")


def _remove(client: Clients, bucket: str, found: Any) -> None:
    path = f"b/{bucket}/o/{quote(found['name'], safe='')}"
    with suppress(Gone):
        asked = {"generation": str(found["generation"])}
        client.call(SERVICE, "objects.delete", "DELETE", path, **asked)
