"""Buckets, their policies and their objects in the emulated Google Cloud."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any
from urllib.parse import quote

import pytest

from clusterkit_sandbox.faults import Faults
from tests.sandbox.gcp import NUMBER, PROJECT, Gcp, cloud, shared

__all__ = ["cloud", "shared"]
STORAGE = "storage.googleapis.com/storage/v1"
BUCKETS = f"{STORAGE}/b?project={PROJECT}"
UPLOAD = "storage.googleapis.com/upload/storage/v1/b"
UNIFORM = {"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}}}


def bucket(cloud: Gcp, name: str = "demo-logs", **more: Any) -> dict[str, Any]:
    body = {"name": name, "location": "europe-west1", **UNIFORM, **more}
    made: dict[str, Any] = cloud("POST", BUCKETS, body)
    return made


def put(cloud: Gcp, name: str, content: bytes = b"text", bucket: str = "demo-logs") -> Any:
    url = f"{UPLOAD}/{bucket}/o?uploadType=media&name={quote(name, safe='')}"
    status, found = cloud.raw("POST", url, content)
    assert status == 200, found
    return found


def refusal(cloud: Gcp, verb: str, url: str, body: Any = None, token: str = "") -> Any:
    status, found = cloud.send(verb, url, body, token)
    assert found["error"]["code"] == status
    assert "status" not in found["error"]
    return status, found["error"]["errors"][0]["reason"], found["error"]["message"]


def test_a_bucket_lives_and_dies(cloud: Gcp) -> None:
    made = bucket(cloud, labels={"team": "ci"})
    assert (made["location"], made["locationType"]) == ("EUROPE-WEST1", "region")
    assert made["projectNumber"] == NUMBER
    assert made["iamConfiguration"]["uniformBucketLevelAccess"]["lockedTime"]
    assert made["softDeletePolicy"]["retentionDurationSeconds"] == "604800"
    assert cloud("GET", f"{STORAGE}/b/demo-logs") == made
    assert cloud("GET", BUCKETS)["items"] == [made]
    assert "items" not in cloud("GET", f"{BUCKETS}&prefix=other")
    assert cloud.send("DELETE", f"{STORAGE}/b/demo-logs")[0] == 204
    gone = (404, "notFound", "The specified bucket does not exist.")
    assert refusal(cloud, "GET", f"{STORAGE}/b/demo-logs") == gone
    assert refusal(cloud, "DELETE", f"{STORAGE}/b/demo-logs") == gone
    bucket(cloud)


def test_a_patch_merges_and_null_removes(cloud: Gcp) -> None:
    rule = {"action": {"type": "Delete"}, "condition": {"age": 1}}
    bucket(cloud, labels={"team": "ci", "old": "x"}, lifecycle={"rule": [rule]})
    url = f"{STORAGE}/b/demo-logs"
    changed = cloud("PATCH", url, {"labels": {"team": "web", "old": None, "new": "y"}})
    assert changed["labels"] == {"team": "web", "new": "y"}
    assert changed["metageneration"] == "2"
    changed = cloud("PATCH", f"{url}?ifMetagenerationMatch=2", {"versioning": {"enabled": True}})
    assert changed["versioning"] == {"enabled": True}
    assert changed["lifecycle"]
    assert refusal(cloud, "PATCH", f"{url}?ifMetagenerationMatch=2", {"labels": None}) == (
        412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.",
    )  # fmt: skip
    whole = cloud("PUT", url, {"labels": {"only": "this"}})
    assert whole["labels"] == {"only": "this"}
    assert "versioning" not in whole


def test_names_are_unique_in_the_world(cloud: Gcp) -> None:
    bucket(cloud)
    cloud.cloud.store.conditions.taken_buckets.add("somebodys")
    body = {"name": "demo-logs"}
    status, reason, said = refusal(cloud, "POST", BUCKETS, body)
    assert (status, reason) == (409, "conflict")
    assert said.endswith("succeeded and you already own it.")
    for url, name in (
        (f"{STORAGE}/b?project=clusterkit-host", "demo-logs"),
        (BUCKETS, "somebodys"),
    ):
        status, reason, said = refusal(cloud, "POST", url, {"name": name})
        assert (status, reason) == (409, "conflict")
        assert said.startswith("The requested bucket name is not available.")
    assert refusal(cloud, "GET", f"{STORAGE}/b/somebodys")[:2] == (403, "forbidden")


@pytest.mark.parametrize("name", ["ab", "Demo", "goog-logs", "x" * 64, "-demo", "a..b", ""])
def test_a_bad_name_is_refused(cloud: Gcp, name: str) -> None:
    assert cloud.send("POST", BUCKETS, {"name": name})[0] == 400


def test_a_place_that_does_not_exist_is_refused(cloud: Gcp) -> None:
    body = {"name": "demo-logs", "location": "us-central-1"}
    text = "The specified location constraint is not valid."
    assert refusal(cloud, "POST", BUCKETS, body) == (400, "invalid", text)
    assert bucket(cloud, location="us")["locationType"] == "multi-region"


def test_a_bucket_with_objects_is_not_deleted(cloud: Gcp) -> None:
    bucket(cloud, versioning={"enabled": True})
    first = put(cloud, "jx/logs/1.log")
    put(cloud, "jx/logs/1.log", b"again")
    url = f"{STORAGE}/b/demo-logs"
    full = (409, "conflict", "The bucket you tried to delete is not empty.")
    assert refusal(cloud, "DELETE", url) == full
    objects = f"{url}/o"
    assert len(cloud("GET", objects)["items"]) == 1
    versions = cloud("GET", f"{objects}?versions=true")["items"]
    assert versions[0]["generation"] == first["generation"]
    where = f"{objects}/{quote('jx/logs/1.log', safe='')}"
    assert cloud.send("DELETE", where)[0] == 204
    assert refusal(cloud, "GET", where)[:2] == (404, "notFound")
    # what a deletion left are versions
    assert refusal(cloud, "DELETE", url) == full
    for one in cloud("GET", f"{objects}?versions=true")["items"]:
        assert cloud.send("DELETE", f"{where}?generation={one['generation']}")[0] == 204
    assert cloud.send("DELETE", url)[0] == 204


def test_objects_are_listed_in_pages_and_folders(cloud: Gcp) -> None:
    bucket(cloud)
    for name in ("a/1", "a/2", "b", "c/x/y"):
        put(cloud, name)
    url = f"{STORAGE}/b/demo-logs/o"
    found = cloud("GET", f"{url}?delimiter=/")
    assert (found["prefixes"], [one["name"] for one in found["items"]]) == (["a/", "c/"], ["b"])
    names, token = [], ""
    while True:
        page = cloud("GET", f"{url}?maxResults=3&pageToken={token}")
        names += [one["name"] for one in page["items"]]
        if not (token := page.get("nextPageToken", "")):
            break
    assert names == ["a/1", "a/2", "b", "c/x/y"]


def test_an_object_comes_back_as_it_was_sent(cloud: Gcp) -> None:
    bucket(cloud)
    made = put(cloud, "a b", b"123456789")
    # the check value of CRC-32C, of which every catalogue of them has this one
    assert b64decode(made["crc32c"]).hex() == "e3069283"
    assert made["contentType"] == "application/json"
    pool, headers = cloud._pool, {"Authorization": f"Bearer {cloud.token}", "Range": "bytes=2-4"}
    url = f"https://{STORAGE}/b/demo-logs/o/a%20b?alt=media"
    part = pool.request("GET", url, headers=headers)
    assert (part.status, part.data) == (206, b"345")
    assert part.headers["Content-Range"] == "bytes 2-4/9"


def test_an_object_by_its_short_address(cloud: Gcp) -> None:
    bucket(cloud)
    put(cloud, "jx/context.tar.gz", b"packed")
    pool, login = cloud._pool, {"Authorization": f"Bearer {cloud.token}"}
    root = "https://storage.googleapis.com"
    read = pool.request("GET", f"{root}/demo-logs/jx/context.tar.gz", headers=login)
    assert (read.status, read.data) == (200, b"packed")
    for path, code in (("demo-logs/none", "NoSuchKey"), ("none/none", "NoSuchBucket")):
        gone = pool.request("GET", f"{root}/{path}", headers=login)
        assert gone.status == 404
        assert f"<Code>{code}</Code>".encode() in gone.data
    assert pool.request("GET", f"{root}/demo-logs/jx/context.tar.gz").status == 401


def test_an_upload_in_parts(cloud: Gcp) -> None:
    bucket(cloud)
    pool, login = cloud._pool, {"Authorization": f"Bearer {cloud.token}"}
    url = f"https://{UPLOAD}/demo-logs/o?uploadType=resumable"
    body = json.dumps({"name": "big", "metadata": {"who": "me"}}).encode()
    begun = pool.request("POST", url, headers=login, body=body)
    where = begun.headers["Location"]
    sent = {"Content-Range": "bytes 0-3/*"}
    part = pool.request("PUT", where, headers=sent, body=b"abcd")
    assert (part.status, part.headers["Range"]) == (308, "bytes=0-3")
    assert pool.request("PUT", where, headers={"Content-Range": "bytes */6"}).status == 308
    done = pool.request("PUT", where, headers={"Content-Range": "bytes 4-5/6"}, body=b"ef")
    assert json.loads(done.data)["metadata"] == {"who": "me"}
    read = pool.request("GET", f"https://{STORAGE}/b/demo-logs/o/big?alt=media", headers=login)
    assert read.data == b"abcdef"


def test_a_role_on_a_bucket_lets_its_account_write_there(cloud: Gcp) -> None:
    bucket(cloud)
    bucket(cloud, "demo-other")
    writer = cloud.account("demo-tekton")
    key = cloud.iam("POST", f"serviceAccounts/{writer['email']}/keys", {})
    token = cloud.login(json.loads(b64decode(key["privateKeyData"])))
    listed = f"{STORAGE}/b/demo-logs/o"
    status, reason, said = refusal(cloud, "GET", listed, token=token)
    assert (status, reason) == (403, "forbidden")
    assert said.startswith(f"{writer['email']} does not have storage.objects.list access")
    url = f"{STORAGE}/b/demo-logs/iam"
    policy = cloud("GET", f"{url}?optionsRequestedPolicyVersion=3")
    assert policy["resourceId"] == "projects/_/buckets/demo-logs"
    roles = {one["role"] for one in policy["bindings"]}
    assert "roles/storage.legacyBucketOwner" in roles
    member = f"serviceAccount:{writer['email']}"
    stale = dict(policy)
    policy["bindings"].append({"role": "roles/storage.objectAdmin", "members": [member]})
    changed = cloud("PUT", url, policy)
    assert changed["etag"] != policy["etag"]
    assert refusal(cloud, "PUT", url, stale)[:2] == (412, "conditionNotMet")
    assert cloud("GET", listed, token=token)["kind"] == "storage#objects"
    asked = "permissions=storage.objects.create&permissions=storage.buckets.delete"
    held = cloud("GET", f"{url}/testPermissions?{asked}", token=token)["permissions"]
    assert held == ["storage.objects.create"]
    assert refusal(cloud, "GET", f"{STORAGE}/b/demo-other/o", token=token)[0] == 403
    assert refusal(cloud, "GET", BUCKETS, token=token)[0] == 403
    # an account that is made again under the same name is another one
    cloud.iam("DELETE", f"serviceAccounts/{writer['email']}")
    cloud.account("demo-tekton")
    left = [one for one in cloud("GET", url)["bindings"] if one["role"].endswith("objectAdmin")]
    assert left[0]["members"] == [f"deleted:{member}?uid={writer['uniqueId']}"]


def test_a_member_that_is_not_there_is_refused(cloud: Gcp) -> None:
    bucket(cloud)
    url = f"{STORAGE}/b/demo-logs/iam"
    member = f"serviceAccount:nobody@{PROJECT}.iam.gserviceaccount.com"
    policy = {"bindings": [{"role": "roles/storage.objectViewer", "members": [member]}]}
    status, reason, said = refusal(cloud, "PUT", url, policy)
    assert (status, reason) == (400, "invalid")
    assert said.endswith("does not exist.")


def test_faults_speak_as_the_service_does(cloud: Gcp) -> None:
    cloud.sandbox.faults.take(Faults.parse("throttle:storage.buckets.insert@1"))
    assert refusal(cloud, "POST", BUCKETS, {"name": "demo-logs"})[:2] == (429, "rateLimitExceeded")
    bucket(cloud)
    cloud.sandbox.faults.take(Faults.parse("error:storage.objects.insert@1"))
    status, found = cloud.raw("POST", f"{UPLOAD}/demo-logs/o?uploadType=media&name=a", b"x")
    assert (status, found["error"]["errors"][0]["reason"]) == (503, "backendError")
