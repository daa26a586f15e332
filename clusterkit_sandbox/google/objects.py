"""Cloud Storage v1: the objects in buckets, and the deletion of a bucket, which has none.

Words: facts/gcp.tsv. What a bucket keeps of deleted objects for its ``softDeletePolicy`` is not
emulated: nobody is hindered by it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from urllib.parse import quote

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.google import uploads
from clusterkit_sandbox.google.buckets import (
    NONE,
    Bucket,
    etag,
    find,
    match,
    merged,
    patch,
    permit,
    timestamp,
)
from clusterkit_sandbox.google.failure import Json, not_emulated, storage
from clusterkit_sandbox.google.policies import Policy
from clusterkit_sandbox.google.service import Call, method
from clusterkit_sandbox.google.store import Store

_LONGEST = 1024
"""bytes of a name (vendor: "About Cloud Storage objects", naming)"""
_CASTAGNOLI = 0x82F63B78
"""the polynomial of RFC 3720's CRC32c, reflected"""
_FREE = (
    "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType",
    "customTime", "eventBasedHold", "metadata", "temporaryHold",
)  # fmt: skip
"""what clients say of an object"""


@dataclass(kw_only=True, eq=False)
class StoredObject:
    """One version of an object; implements ``kit.store.Kept``."""

    id: str
    """``NAME#GENERATION``"""
    scope: str
    """its bucket"""
    shown: Json
    content: bytes

    def needs(self) -> Iterable[str]:
        """Nothing."""
        return ()

    @property
    def name(self) -> str:
        """Unique in its bucket among the live ones."""
        return str(self.shown["name"])

    @property
    def live(self) -> bool:
        """Whether it is the version that is meant where none is named."""
        return "timeDeleted" not in self.shown


@cache
def _table() -> Sequence[int]:
    found = []
    for one in range(256):
        value = one
        for _ in range(8):
            value = value >> 1 ^ (_CASTAGNOLI if value & 1 else 0)
        found.append(value)
    return found


def crc32c(content: bytes) -> str:
    """The checksum that clients compare, in base64."""
    value, table = 0xFFFFFFFF, _table()
    for one in content:
        value = value >> 8 ^ table[(value ^ one) & 0xFF]
    return base64.b64encode((value ^ 0xFFFFFFFF).to_bytes(4, "big")).decode()


def live(store: Store, bucket: str, name: str) -> StoredObject | None:
    """The version that is meant where none is named."""
    every = store.all(StoredObject, bucket)
    return next((one for one in every if one.live and one.name == name), None)


def _find(call: Call, bucket: Bucket, name: str, generation: str) -> StoredObject:
    if generation:
        found = call.store.get(StoredObject, f"{name}#{generation}", bucket.id)
    else:
        found = live(call.store, bucket.id, name)
    if found is None:
        raise storage("notFound", f"No such object: {bucket.id}/{name}")
    return found


def _asked(call: Call) -> tuple[Bucket, StoredObject]:
    """The bucket and the object that a call is about."""
    if call.get("softDeleted"):
        raise not_emulated("objects that were deleted softly")
    bucket = find(call)
    found = _find(call, bucket, str(call["object"]), str(call.get("generation", "")))
    match(call, found.shown)
    return bucket, found


def _retire(store: Store, bucket: Bucket, found: StoredObject) -> None:
    """Remove a live object, or keep it as a version."""
    if bucket.versioned:
        found.shown["timeDeleted"] = timestamp()
    else:
        store.remove(found)


def _put(call: Call, bucket: Bucket, name: str, given: Json, content: bytes) -> StoredObject:
    if not name or len(name.encode()) > _LONGEST or name in (".", "..") or set(name) & set("\r\n"):
        raise storage("invalid", f"Invalid object name: '{name}'")
    before = live(call.store, bucket.id, name)
    match(call, before.shown if before is not None else {})
    if before is not None:
        permit(call, "storage.objects.delete", bucket, "object")
        _retire(call.store, bucket, before)
    now, generation = timestamp(), str(int(datetime.now(UTC).timestamp() * 1e6))
    while call.store.get(StoredObject, f"{name}#{generation}", bucket.id) is not None:
        generation = str(int(generation) + 1)
    path = f"storage/v1/b/{bucket.id}/o/{quote(name, safe='')}"
    shown: Json = {
        **{key: given[key] for key in _FREE if given.get(key) is not None},
        "kind": "storage#object",
        "id": f"{bucket.id}/{name}/{generation}",
        "selfLink": f"https://www.googleapis.com/{path}",
        "mediaLink": (
            f"https://storage.googleapis.com/download/{path}?generation={generation}&alt=media"
        ),
        "name": name,
        "bucket": bucket.id,
        "generation": generation,
        "metageneration": "1",
        "storageClass": given.get("storageClass") or bucket.shown["storageClass"],
        "size": str(len(content)),
        "md5Hash": base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode(),
        "crc32c": crc32c(content),
        "etag": etag(1),
        "timeCreated": now,
        "timeFinalized": now,
        "timeStorageClassUpdated": now,
        "updated": now,
    }
    for hashed in ("md5Hash", "crc32c"):
        if given.get(hashed) not in (None, "", shown[hashed]):
            text = f'Provided {hashed} hash "{given[hashed]}" doesn\'t match calculated'
            raise storage("invalid", f'{text} {hashed} hash "{shown[hashed]}".')
    made = StoredObject(id=f"{name}#{generation}", scope=bucket.id, shown=shown, content=content)
    return call.store.add(made)


# -- methods ---------------------------------------------------------------------------------------


@method("storage.buckets.delete")
def _delete_bucket(call: Call) -> object:
    found = find(call)
    match(call, found.shown)
    if any(True for _ in call.store.all(StoredObject, found.id)):
        raise storage("conflict", "The bucket you tried to delete is not empty.")
    call.store.remove(found)
    policy = call.store.get(Policy, found.resource)
    if policy is not None:
        call.store.remove(policy)
    return NONE


@method("storage.objects.insert")
def _insert(call: Call) -> object:
    given = call.body
    started = uploads.begun(call.request, call.store.uploads) if call.content is None else None
    if started is not None:
        find(call)
        return started
    if call.content is None:
        raise storage("invalid", "Upload requests must include an uploadType URL parameter.")
    name = str(call.get("name") or given.get("name") or "")
    encoding = call.get("contentEncoding")
    given |= {"contentEncoding": encoding} if encoding else {}
    return _put(call, find(call), name, given, call.content).shown


@method("storage.objects.get")
def _get(call: Call) -> object:
    _, found = _asked(call)
    return media(call, found) if ("alt", "media") in call.request.query else found.shown


def media(call: Call, found: StoredObject) -> Answer:
    """The content of an object, or the part of it that a ``Range`` asks for."""
    shown, content = found.shown, found.content
    headers = [
        ("Content-Type", str(shown.get("contentType") or "application/octet-stream")),
        ("ETag", str(shown["etag"])),
        ("X-Goog-Generation", str(shown["generation"])),
        ("X-Goog-Metageneration", str(shown["metageneration"])),
        ("X-Goog-Storage-Class", str(shown["storageClass"])),
        ("X-Goog-Hash", f"crc32c={shown['crc32c']},md5={shown['md5Hash']}"),
        ("X-Goog-Stored-Content-Length", str(len(content))),
    ]
    if shown.get("contentEncoding"):
        headers.append(("Content-Encoding", str(shown["contentEncoding"])))
    asked = call.request.headers.get("range", "")
    begin, _, end = asked.removeprefix("bytes=").partition("-")
    if not asked.startswith("bytes=") or not (begin or end).isdigit():
        return Answer(200, tuple(headers), content)
    size = len(content)
    first = int(begin) if begin else max(size - int(end), 0)
    last = min(int(end), size - 1) if begin and end.isdigit() else size - 1
    if first >= size or last < first:
        raise storage("requestedRangeNotSatisfiable", "Request range not satisfiable")
    headers.append(("Content-Range", f"bytes {first}-{last}/{size}"))
    return Answer(206, tuple(headers), content[first : last + 1])


@method("storage.objects.list")
def _list(call: Call) -> object:
    if call.get("softDeleted"):
        raise not_emulated("objects that were deleted softly")
    bucket = find(call)
    begin, end = str(call.get("startOffset", "")), str(call.get("endOffset", ""))
    prefix, cut = str(call.get("prefix", "")), str(call.get("delimiter", ""))
    if call.get("matchGlob"):
        raise not_emulated("matchGlob")
    mine = [one for one in call.store.all(StoredObject, bucket.id) if one.name.startswith(prefix)]
    mine = [one for one in mine if one.live or call.get("versions")]
    mine = [one for one in mine if one.name >= begin and (not end or one.name < end)]
    mine.sort(key=lambda one: (one.name, int(one.shown["generation"])))
    entries = list(dict.fromkeys(_entries(mine, prefix, cut)))
    some, after = call.page(entries, size="maxResults", default=1000, most=1000)
    items = [one.shown for one in some if isinstance(one, StoredObject)]
    prefixes = [one for one in some if isinstance(one, str)]
    listed: Json = {"kind": "storage#objects"}
    listed |= {"items": items} if items else {}
    listed |= {"prefixes": prefixes} if prefixes else {}
    return listed | ({"nextPageToken": after} if after else {})


def _entries(mine: Iterable[StoredObject], prefix: str, cut: str) -> Iterator[StoredObject | str]:
    """Each object, or the folder that it is in."""
    for one in mine:
        rest = one.name[len(prefix) :]
        where = rest.find(cut) if cut else -1
        yield prefix + rest[: where + len(cut)] if where >= 0 else one


@method("storage.objects.delete")
def _delete(call: Call) -> object:
    bucket, found = _asked(call)
    if call.get("generation") or not found.live:
        call.store.remove(found)
    else:
        _retire(call.store, bucket, found)
    return NONE


@method("storage.objects.patch", "storage.objects.update")
def _change(call: Call) -> object:
    _, found = _asked(call)
    whole = call.operation.endswith("update")
    given = call.body if whole else patch(call)
    wanted = {key: value for key, value in given.items() if key in _FREE}
    kept = {key: value for key, value in found.shown.items() if key not in _FREE}
    found.shown = kept | wanted if whole else merged(found.shown, wanted)
    number = int(found.shown["metageneration"]) + 1
    found.shown |= {"metageneration": str(number), "etag": etag(number), "updated": timestamp()}
    return found.shown


@method("storage.objects.copy", "storage.objects.rewrite")
def _copy(call: Call) -> object:
    source = find(call, str(call["sourceBucket"]))
    permit(call, "storage.objects.get", source, "object")
    name, generation = str(call["sourceObject"]), str(call.get("sourceGeneration", ""))
    found = _find(call, source, name, generation)
    match(call, found.shown, "ifSource")
    target = find(call, str(call["destinationBucket"]))
    given = {key: found.shown[key] for key in _FREE if key in found.shown} | call.body
    made = _put(call, target, str(call["destinationObject"]), given, found.content)
    if call.operation.endswith("copy"):
        return made.shown
    size = str(len(found.content))
    done = {"done": True, "objectSize": size, "totalBytesRewritten": size}
    return {"kind": "storage#rewriteResponse", **done, "resource": made.shown}
