"""The lists of S3 that moto does not page: buckets, versions of objects, uploads in parts.

S3 API Reference, ListBuckets, ListObjectVersions, ListMultipartUploads. Moto orders the versions of
an object by the millisecond.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.aws.s3_requests import S3Request

SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_MOST = {"max-buckets": 10_000, "max-keys": 1000, "max-uploads": 1000}
_OWNER = {"ID": "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"}
Told = dict[str, Any]


def xml(name: str, told: Told) -> bytes:
    """An answer; a list is as many elements, and what is None is left out."""
    root = ElementTree.Element(name, xmlns=SPACE)
    _fill(root, told)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root)


def _fill(parent: ElementTree.Element, told: Told) -> None:
    for name, value in told.items():
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            element = ElementTree.SubElement(parent, name)
            if isinstance(one, dict):
                _fill(element, one)
            else:
                element.text = str(one).lower() if isinstance(one, bool) else str(one)


def size(asked: S3Request, name: str, forced: int | None) -> int:
    """How many a page has; ``forced`` is the most."""
    given = asked.query.get(name) or str(_MOST[name])
    if not given.isascii() or not given.isdigit() or int(given) > 2**31 - 1:
        raise Refusal("InvalidArgument", f"Provided {name} not an integer or within integer range")
    return min(int(given), _MOST[name], forced or _MOST[name])


def buckets(asked: S3Request, every: list[Any], forced: int | None) -> bytes:
    """Those of the account. Without ``max-buckets`` the list is whole."""
    prefix, region = asked.query.get("prefix", ""), asked.query.get("bucket-region", "")
    after = _unmarked(asked.query.get("continuation-token", ""))
    found = sorted(
        (
            one
            for one in every
            if one.name.startswith(prefix) and region in ("", one.region_name) and one.name > after
        ),
        key=lambda one: one.name,
    )
    paged = "max-buckets" in asked.query
    page = found[: size(asked, "max-buckets", forced)] if paged else found
    more = len(page) < len(found) and page
    listed = [
        {
            "Name": one.name,
            "CreationDate": one.creation_date_ISO8601,
            "BucketRegion": one.region_name if paged or region or prefix else None,
            "BucketArn": one.arn,
        }
        for one in page
    ]
    return xml(
        "ListAllMyBucketsResult",
        {
            "Owner": _OWNER,
            "Buckets": {"Bucket": listed},
            "ContinuationToken": _marked(page[-1].name) if more else None,
            "Prefix": prefix or None,
        },
    )


def _marked(name: str) -> str:
    return base64.b64encode(name.encode()).decode()


def _unmarked(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except ValueError:
        raise Refusal("InvalidArgument", "The continuation token provided is incorrect") from None


def versions(asked: S3Request, bucket: Any, forced: int | None) -> bytes:
    """Every version of every object, the newest of each first."""
    query = asked.query
    after = query.get("key-marker", ""), query.get("version-id-marker", "")
    if after[1] and not after[0]:
        text = "A version-id marker cannot be specified without a key marker."
        raise Refusal("InvalidArgument", text)
    rows = (row for row in _versions(bucket) if row[0].startswith(query.get("prefix", "")))
    most = size(asked, "max-keys", forced)
    page, folders, last = _page(_after(rows, after), query, most, after[0])
    url = query.get("encoding-type") == "url"
    told: Told = {
        "Name": bucket.name,
        "Prefix": _shown(query.get("prefix", ""), url),
        "KeyMarker": _shown(after[0], url),
        "VersionIdMarker": after[1],
        "MaxKeys": most,
        "Delimiter": query.get("delimiter"),
        "EncodingType": query.get("encoding-type"),
        "IsTruncated": last is not None,
        "NextKeyMarker": _shown(last[0], url) if last else None,
        "NextVersionIdMarker": (last[1] or None) if last else None,
        "Version": [_version(row, url) for row in page if hasattr(row[3], "etag")],
        "DeleteMarker": [_version(row, url) for row in page if not hasattr(row[3], "etag")],
        "CommonPrefixes": [{"Prefix": _shown(one, url)} for one in folders],
    }
    return xml("ListVersionsResult", told)


Row = tuple[str, str, bool, Any]
"""a key, a version, whether it is the latest, and what moto has"""


def _versions(bucket: Any) -> Iterator[Row]:
    for name, every in sorted(bucket.keys.iterlists()):
        for place, one in enumerate(reversed(every)):
            yield name, str(one.version_id or "null"), place == 0, one


def _version(row: Row, url: bool) -> Told:
    key, version, latest, one = row
    told: Told = {"Key": _shown(key, url), "VersionId": version, "IsLatest": latest}
    told |= {"LastModified": one.last_modified_ISO8601, "Owner": _OWNER}
    if hasattr(one, "etag"):
        told |= {"ETag": one.etag, "Size": one.size, "StorageClass": one.storage_class}
    return told


def uploads(asked: S3Request, bucket: Any, forced: int | None) -> bytes:
    """Those that were neither completed nor aborted."""
    query = asked.query
    after = query.get("key-marker", ""), query.get("upload-id-marker", "")
    if not after[0]:
        after = "", ""  # "If key-marker is not specified, the upload-id-marker is ignored"
    every = sorted(
        (one.key_name, one.id, True, one)
        for one in bucket.multiparts.values()
        if one.key_name.startswith(query.get("prefix", ""))
    )
    most = size(asked, "max-uploads", forced)
    page, folders, last = _page(_after(iter(every), after), query, most, after[0])
    url = query.get("encoding-type") == "url"
    listed = [
        {
            "Key": _shown(key, url),
            "UploadId": upload,
            "Initiator": _OWNER,
            "Owner": _OWNER,
            "StorageClass": one.storage,
            "Initiated": getattr(one, "begun", None),
        }
        for key, upload, _, one in page
    ]
    told: Told = {
        "Bucket": bucket.name,
        "KeyMarker": _shown(after[0], url),
        "UploadIdMarker": after[1],
        "NextKeyMarker": _shown(last[0], url) if last else None,
        "NextUploadIdMarker": (last[1] or None) if last else None,
        "Prefix": query.get("prefix"),
        "Delimiter": query.get("delimiter"),
        "EncodingType": query.get("encoding-type"),
        "MaxUploads": most,
        "IsTruncated": last is not None,
        "Upload": listed,
        "CommonPrefixes": [{"Prefix": _shown(one, url)} for one in folders],
    }
    return xml("ListMultipartUploadsResult", told)


def _after(rows: Iterator[Row], marker: tuple[str, str]) -> Iterator[Row]:
    """Those behind a marker: the keys behind its key, and the rest of that key if it names one of
    its versions or uploads.
    """
    key, one = marker
    passed = False
    for row in rows:
        if row[0] > key or (passed and row[0] == key):
            yield row
        passed = passed or (row[0] == key and row[1] == one)


def _page(
    rows: Iterator[Row], query: Any, most: int, marker: str
) -> tuple[list[Row], list[str], tuple[str, str] | None]:
    """Rows, common prefixes, and the last of both if there are more."""
    page: list[Row] = []
    folders: list[str] = []
    last = "", ""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    for row in rows:
        head, found, _ = row[0][len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        folder = prefix + head + found if found else ""
        if folder and (folder in folders or folder == marker):
            continue
        if len(page) + len(folders) >= most:
            return page, folders, last if most else None
        if folder:
            folders.append(folder)
            last = folder, ""
        else:
            page.append(row)
            last = row[0], row[1]
    return page, folders, None


def _shown(text: str, url: bool) -> str:
    return quote(text, safe="/") if url else text
