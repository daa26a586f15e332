"""Cloud Storage v1 (the JSON API): buckets and their policies.

Recorded of the real service (Config Connector's traffic): the form of a bucket, ``The specified
bucket does not exist.``, a deletion that answers 204. The policy that a new bucket has: "IAM roles
for Cloud Storage". Names: "About Cloud Storage buckets", naming. Refusals: facts/gcp.tsv.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.google import access, account
from clusterkit_sandbox.google.accounts import Identities
from clusterkit_sandbox.google.authorization import may
from clusterkit_sandbox.google.catalogue import REGIONS
from clusterkit_sandbox.google.failure import Failure, Json, not_emulated, storage
from clusterkit_sandbox.google.policies import Binding, Member, Policy
from clusterkit_sandbox.google.service import Call, method
from clusterkit_sandbox.google.store import Store

NONE = Answer(204, (("Content-Type", "application/json"),), b"")
"""what a deletion answers"""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{1,220}[a-z0-9]")
_PART = 63
"""characters between two dots"""
_MULTI = ("ASIA", "EU", "US")
_DUAL = ("ASIA1", "EUR4", "EUR5", "EUR7", "EUR8", "NAM4")
_CLASSES = (
    "ARCHIVE", "COLDLINE", "DURABLE_REDUCED_AVAILABILITY", "MULTI_REGIONAL", "NEARLINE",
    "REGIONAL", "STANDARD",
)  # fmt: skip
_SERVERS = (
    "etag", "generation", "hardDeleteTime", "id", "kind", "location", "locationType",
    "metageneration", "name", "owner", "projectNumber", "satisfiesPZI", "satisfiesPZS", "selfLink",
    "softDeleteTime", "timeCreated", "updated",
)  # fmt: skip
"""what a change does not reach"""
_LOCKED = timedelta(days=90)
"""after which uniform access cannot be switched off (vendor: "Uniform bucket-level access")"""
_SOFT = "604800"
"""seconds that deleted objects are kept, where a bucket does not say (recorded)"""


@dataclass(kw_only=True, eq=False)
class Bucket:
    """One bucket; implements ``kit.store.Kept``."""

    id: str
    """its name, which is unique in the world"""
    project: str
    shown: Json
    scope: str = ""

    def needs(self) -> Iterable[str]:
        """Nothing."""
        return ()

    @property
    def resource(self) -> str:
        """Under what its policy is kept."""
        return f"projects/{self.project}/buckets/{self.id}"

    @property
    def versioned(self) -> bool:
        """Whether what is replaced or deleted stays, as a version."""
        return bool((self.shown.get("versioning") or {}).get("enabled"))

    def changed(self) -> None:
        """Count a change."""
        now, number = timestamp(), int(self.shown.get("metageneration", "0")) + 1
        self.shown |= {"updated": now, "metageneration": str(number), "etag": etag(number)}


def timestamp(at: datetime | None = None) -> str:
    """``2024-04-01T12:34:56.123Z``"""
    when = (at or datetime.now(UTC)).isoformat(timespec="milliseconds")
    return when.replace("+00:00", "Z")


def etag(number: int) -> str:
    """As a bucket or an object of this metageneration has."""
    return f"CA{chr(65 + number % 26)}="


def find(call: Call, name: str = "") -> Bucket:
    """The bucket of this name, or the one that the call is about."""
    wanted = name or str(call["bucket"])
    if wanted in call.store.conditions.taken_buckets:
        raise denied(call, "storage.buckets.get", "bucket")
    found = call.store.get(Bucket, wanted)
    if found is None:
        raise storage("notFound", "The specified bucket does not exist.")
    return found


def denied(call: Call, permission: str, what: str) -> Failure:
    """403 for a permission that is missing on a bucket, an object or a project; ``what`` it is."""
    place = "project" if what == "project" else f"Storage {what}"
    return storage(
        "forbidden",
        f"{call.caller.email or 'Caller'} does not have {permission} access to the Google Cloud"
        f" {place}. Permission '{permission}' denied on resource (or it may not exist).",
    )


def permit(call: Call, permission: str, bucket: Bucket | None, what: str) -> None:
    """Refuse who lacks a permission on a bucket, or on the call's project."""
    resource = bucket.resource if bucket is not None else f"projects/{call.project}"
    if not may(call.store, call.caller, permission, resource):
        raise denied(call, permission, what)


def check(call: Call) -> None:
    """Refuse what the caller may not do. Who asks for a bucket that is not there is told so."""
    _, kind, verb = (*call.operation.split(".")[:2], call.operation.rpartition(".")[2])
    verb = {"insert": "create", "patch": "update"}.get(verb, verb)
    if kind == "projects" or verb == "testIamPermissions":
        return
    if kind == "buckets" and verb in ("create", "list"):
        permit(call, f"storage.buckets.{verb}", None, "project")
        return
    named = call.parameters.get("bucket") or call.parameters.get("destinationBucket")
    found = find(call, str(named or call.parameters.get("sourceBucket")))
    on_bucket = kind == "buckets" or verb == "list"
    permit(call, f"storage.{kind}.{verb}", found, "bucket" if on_bucket else "object")


def match(call: Call, shown: Json, prefix: str = "if") -> None:
    """Refuse a precondition that does not hold: ``ifMetagenerationMatch`` and its kin."""
    for word in ("Generation", "Metageneration"):
        has = str(shown.get(word.lower(), "0"))
        wanted = call.parameters.get(f"{prefix}{word}Match", has)
        if str(wanted) != has or str(call.parameters.get(f"{prefix}{word}NotMatch", "")) == has:
            text = "At least one of the pre-conditions you specified did not hold."
            raise storage("conditionNotMet", text)


def patch(call: Call) -> Json:
    """What a patch asks for: its body as it was checked, and with the nulls that remove."""
    raw: Any = json.loads(call.request.body or b"{}")
    found: Json = _with_nulls(call.body, raw)
    return found


def _with_nulls(checked: Any, raw: Any) -> Any:
    if not isinstance(raw, dict) or not isinstance(checked, dict):
        return checked
    return {
        name: None if one is None else _with_nulls(checked[name], one)
        for name, one in raw.items()
        if one is None or name in checked
    }


def merged(before: Any, patch: Any) -> Any:
    """RFC 7396, which the vendor's patches follow ("Patch requests"): null removes."""
    if not isinstance(patch, dict):
        return patch
    found = dict(before) if isinstance(before, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def _view(call: Call, bucket: Bucket) -> Json:
    """As the call's projection shows it."""
    full = call.get("projection") == "full" or call.operation.endswith((".patch", ".update"))
    if not full:
        return bucket.shown
    number = bucket.shown["projectNumber"]
    found = bucket.shown | {"owner": {"entity": f"project-owners-{number}"}}
    if bucket.shown["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]:
        return found
    roles = {"owners": "OWNER", "editors": "OWNER", "viewers": "READER"}
    listed = [
        {
            "entity": f"project-{team}-{number}",
            "projectTeam": {"projectNumber": number, "team": team},
            "role": role,
            "etag": bucket.shown["etag"],
        }
        for team, role in roles.items()
    ]
    own = {"kind": "storage#bucketAccessControl", "bucket": bucket.id}
    return found | {
        "acl": [{**own, **one, "id": f"{bucket.id}/{one['entity']}"} for one in listed],
        "defaultObjectAcl": [{"kind": "storage#objectAccessControl", **one} for one in listed],
    }


# -- methods ---------------------------------------------------------------------------------------


@method("storage.buckets.insert")
def _insert(call: Call) -> object:
    name, body = str(call.body.get("name") or ""), call.body
    parts = name.split(".")
    good = _NAME.fullmatch(name) and all(1 <= len(one) <= _PART for one in parts)
    if not good or name.startswith("goog") or (len(parts) == 1 and len(name) > _PART):
        raise storage("invalid", f"Invalid bucket name: '{name}'")
    location = str(body.get("location") or "US").upper()
    if location.lower() not in REGIONS and location not in (*_MULTI, *_DUAL):
        raise storage("invalid", "The specified location constraint is not valid.")
    known = call.store.get(Bucket, name)
    if known is not None and known.project == call.project:
        text = "Your previous request to create the named bucket succeeded and you already own it."
        raise storage("conflict", text)
    if known is not None or name in call.store.conditions.taken_buckets:
        text = (
            "The requested bucket name is not available. The bucket namespace is shared by all"
            " users of the system. Please select a different name and try again."
        )
        raise storage("conflict", text)
    now = timestamp()
    kind = "region" if location.lower() in REGIONS else "dual-region"
    shown: Json = {
        **{key: value for key, value in body.items() if key not in _SERVERS},
        "kind": "storage#bucket",
        "id": name,
        "name": name,
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{name}",
        "projectNumber": call.number,
        "location": location,
        "locationType": "multi-region" if location in _MULTI else kind,
        "generation": str(int(datetime.now(UTC).timestamp() * 1e6)),
        "timeCreated": now,
    }
    if kind != "region":
        shown.setdefault("rpo", "DEFAULT")
    _settled(shown)
    made = Bucket(id=name, project=call.project, shown=shown)
    made.changed()
    call.store.add(made)
    _furnish(call.store, made)
    return _view(call, made)


def _settled(shown: Json) -> None:
    """Check what clients say, and add what follows from it."""
    shown["storageClass"] = str(shown.get("storageClass") or "STANDARD").upper()
    if shown["storageClass"] not in _CLASSES:
        raise storage("invalid", f"Invalid storage class: {shown['storageClass']}")
    now = datetime.now(UTC)
    soft = shown.setdefault("softDeletePolicy", {"retentionDurationSeconds": _SOFT})
    if soft.get("retentionDurationSeconds", "0") != "0":
        soft.setdefault("effectiveTime", timestamp(now))
    else:
        soft.pop("effectiveTime", None)
    given: Json = shown.get("iamConfiguration") or {}
    # the older name of the same setting
    uniform = dict(given.get("uniformBucketLevelAccess") or given.get("bucketPolicyOnly") or {})
    uniform["enabled"] = bool(uniform.get("enabled"))
    if uniform["enabled"]:
        uniform.setdefault("lockedTime", timestamp(now + _LOCKED))
    else:
        uniform.pop("lockedTime", None)
    shown["iamConfiguration"] = {
        "publicAccessPrevention": given.get("publicAccessPrevention") or "inherited",
        "uniformBucketLevelAccess": uniform,
        "bucketPolicyOnly": dict(uniform),
    }
    for name in ("labels", "lifecycle", "cors", "logging", "website", "encryption"):
        if shown.get(name) in ({}, [], {"rule": []}, None):
            shown.pop(name, None)


def _furnish(store: Store, bucket: Bucket) -> None:
    """The policy of a new bucket."""
    policy, project = access.of(store, bucket.resource), bucket.project
    uniform = bucket.shown["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]
    kinds = ("Bucket", "Object") if uniform else ("Bucket",)
    for kind in kinds:
        owners = [Member(f"projectEditor:{project}"), Member(f"projectOwner:{project}")]
        viewers = [Member(f"projectViewer:{project}")]
        policy.bindings += [
            Binding(f"roles/storage.legacy{kind}Owner", None, owners),
            Binding(f"roles/storage.legacy{kind}Reader", None, viewers),
        ]


@method("storage.buckets.get")
def _get(call: Call) -> object:
    if call.get("softDeleted"):
        raise not_emulated("buckets that were deleted softly")
    found = find(call)
    match(call, found.shown)
    return _view(call, found)


@method("storage.buckets.list")
def _list(call: Call) -> object:
    if call.get("softDeleted"):
        raise not_emulated("buckets that were deleted softly")
    prefix = str(call.get("prefix", ""))
    mine = [one for one in call.store.all(Bucket) if one.project == call.project]
    mine = sorted((one for one in mine if one.id.startswith(prefix)), key=lambda one: one.id)
    some, after = call.page(mine, size="maxResults", default=1000, most=1000)
    listed: Json = {"kind": "storage#buckets"}
    if some:
        listed["items"] = [_view(call, one) for one in some]
    return listed | ({"nextPageToken": after} if after else {})


@method("storage.buckets.patch")
def _patch(call: Call) -> object:
    return _written(call, patch(call), whole=False)


@method("storage.buckets.update")
def _update(call: Call) -> object:
    return _written(call, call.body, whole=True)


def _written(call: Call, given: Json, *, whole: bool) -> Json:
    found = find(call)
    match(call, found.shown)
    wanted = {key: value for key, value in given.items() if key not in _SERVERS}
    kept = {key: value for key, value in found.shown.items() if key in _SERVERS}
    shown: Json = kept | wanted if whole else merged(found.shown, wanted)
    _settled(shown)
    found.shown = shown
    found.changed()
    return _view(call, found)


@method("storage.buckets.getStorageLayout")
def _layout(call: Call) -> object:
    shown = find(call).shown
    space = shown.get("hierarchicalNamespace") or {"enabled": False}
    named = {key: shown[key] for key in ("location", "locationType")}
    kind = "storage#storageLayout"
    return {"kind": kind, "bucket": shown["id"], **named, "hierarchicalNamespace": space}


@method("storage.managedFolders.list")
def _folders(call: Call) -> object:
    """None: nothing here makes one."""
    find(call)
    return {"kind": "storage#managedFolders"}


@method("storage.projects.serviceAccount.get")
def _agent(call: Call) -> object:
    number = account.PROJECTS[call.project]
    email = f"service-{number}@gs-project-accounts.iam.gserviceaccount.com"
    return {"kind": "storage#serviceAccount", "email_address": email}


# -- policies --------------------------------------------------------------------------------------


def _policy(bucket: Bucket, policy: Policy, store: Store, version: int) -> Json:
    shown = policy.shown(Identities(store), version)
    own = {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{bucket.id}"}
    return {**own, "version": 1, **shown}


@method("storage.buckets.getIamPolicy")
def _get_policy(call: Call) -> object:
    found = find(call)
    version = int(call.get("optionsRequestedPolicyVersion", 1))
    return _policy(found, access.of(call.store, found.resource), call.store, version)


@method("storage.buckets.setIamPolicy")
def _set_policy(call: Call) -> object:
    found, names = find(call), Identities(call.store)
    policy = access.of(call.store, found.resource)
    try:
        policy.replace(call.body, names, call.store.clock.now)
    except Failure as failure:
        if failure.code == "ABORTED":
            text = "At least one of the pre-conditions you specified did not hold."
            raise storage("conditionNotMet", text) from None
        raise storage("invalid", failure.message) from None
    return _policy(found, policy, call.store, 3)


@method("storage.buckets.testIamPermissions")
def _test(call: Call) -> object:
    found, asked = find(call), call.get("permissions") or []
    held = [one for one in asked if may(call.store, call.caller, str(one), found.resource)]
    kind = {"kind": "storage#testIamPermissionsResponse"}
    return {**kind, "permissions": held} if held else kind
