"""The hosts of Artifact Registry and Container Registry: who may push, and what the API lists."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from clusterkit_sandbox.faults import Faults
from tests.sandbox.gcp import PROJECT, REGION, Gcp, cloud, eventually, shared
from tests.sandbox.oci import Client, files, layer
from tests.sandbox.test_google_registry import REPOSITORIES, repository

__all__ = ["cloud", "shared"]
HOST = f"{REGION}-docker.pkg.dev"
DEMO = f"projects/{PROJECT}/locations/{REGION}/repositories/demo"
APP = f"{PROJECT}/demo/team/app"
UPLOAD, DOWNLOAD = (
    f"artifactregistry.repositories.{one}Artifacts" for one in ("upload", "download")
)


def docker(cloud: Gcp, token: str = "", host: str = HOST) -> Client:
    return Client(cloud.sandbox, host, "oauth2accesstoken", token or cloud.token)


def denied(permission: str, resource: str = DEMO) -> tuple[int, str, str]:
    text = f'Permission "{permission}" denied on resource "{resource}" (or it may not exist)'
    return 403, "DENIED", text


def pusher(cloud: Gcp, role: str = "") -> str:
    """The token of a service account with a role on the repository."""
    email = cloud.account("pusher")["email"]
    if role:
        grant(cloud, role, f"serviceAccount:{email}")
    caller = eventually(lambda: cloud.cloud.store.principal(email))
    return str(cloud.cloud.store.tokens.grant(caller))


def grant(cloud: Gcp, role: str, member: str) -> None:
    policy = {"bindings": [{"role": role, "members": [member]}]}
    cloud("POST", f"{REPOSITORIES}/demo:setIamPolicy", {"policy": policy})


def test_an_image_that_was_pushed(cloud: Gcp) -> None:
    repository(cloud)
    client = docker(cloud)
    answer = client.push(APP, "v1", layer(a="hello"))
    assert answer.status == 201, answer.data
    digest = answer.headers["Docker-Content-Digest"]
    client.push(f"{APP}/cache", "key", layer(b="1"))
    assert [files(one) for one in client.pull(APP, "v1")] == [{"a": "hello"}]
    listed = cloud("GET", f"{REPOSITORIES}/demo/dockerImages")["dockerImages"]
    assert [one["uri"].partition("@")[0] for one in listed] == [
        f"{HOST}/{APP}",
        f"{HOST}/{APP}/cache",
    ]
    image = listed[0]
    assert image["uri"] == f"{HOST}/{APP}@{digest}"
    assert (image["tags"], image["name"]) == (["v1"], f"{DEMO}/dockerImages/team%2Fapp@{digest}")
    got = cloud("GET", f"artifactregistry.googleapis.com/v1/{quote(image['name'], '/@:')}")
    assert got == image
    page = cloud("GET", f"{REPOSITORIES}/demo/dockerImages?pageSize=1")
    assert (len(page["dockerImages"]), "nextPageToken" in page) == (1, True)
    cloud.ended("artifactregistry", cloud("DELETE", f"{REPOSITORIES}/demo"))
    text = 'Repository "demo" not found'
    assert client("GET", f"/v2/{APP}/manifests/v1").error == (404, "NAME_UNKNOWN", text)
    repository(cloud)
    assert client("GET", f"/v2/{APP}/tags/list").error[:2] == (404, "NAME_UNKNOWN")
    assert cloud("GET", f"{REPOSITORIES}/demo/dockerImages") == {}


@pytest.mark.parametrize("user", ["_json_key", "_json_key_base64", "oauth2accesstoken", "bearer"])
def test_every_way_to_log_in(cloud: Gcp, user: str) -> None:
    repository(cloud)
    key = Path(cloud.file).read_text()
    secret = {"_json_key": key, "_json_key_base64": base64.b64encode(key.encode()).decode()}
    client = Client(cloud.sandbox, HOST, user, secret.get(user, cloud.token))
    if user == "bearer":
        path = f"/v2/{APP}/blobs/uploads/"
        assert client.raw("POST", path, Authorization=f"Bearer {cloud.token}").status == 202
        return
    assert client.push(APP, "v1", layer(a="1")).status == 201
    direct = client.raw("GET", f"/v2/{APP}/manifests/v1", **client._basic)
    assert direct.status == 200


def test_no_good_credentials(cloud: Gcp) -> None:
    repository(cloud)
    anybody = Client(cloud.sandbox, HOST)
    first = anybody.raw("GET", "/v2/")
    assert first.headers["Www-Authenticate"] == f'Bearer realm="https://{HOST}/v2/token"'
    assert first.error == (401, "UNAUTHORIZED", "not authenticated: No credential was supplied.")
    asked = anybody.raw("GET", f"/v2/{APP}/manifests/v1")
    assert asked.headers["Www-Authenticate"].endswith(
        f',service="{HOST}",scope="repository:{APP}:pull"'
    )
    text = (
        "Unauthenticated request. Unauthenticated requests do not have permission"
        f' "{UPLOAD}" on resource "{DEMO}" (or it may not exist)'
    )
    pull = text.replace("upload", "download")
    assert anybody.push(APP, "v1").error == (403, "DENIED", pull)
    key = json.loads(Path(cloud.file).read_text())
    other = json.dumps({**key, "private_key_id": "0"})
    for user, secret in (
        ("oauth2accesstoken", "x"), ("_json_key", "x"), ("_json_key", other), ("_json_key", "[]"),
        ("_json_key_base64", "%"), ("somebody", cloud.token),
    ):  # fmt: skip
        refused = Client(cloud.sandbox, HOST, user, secret).push(APP, "v1")
        assert refused.error == (401, "UNAUTHORIZED", "No valid credential was supplied.")
    bad = anybody.raw("GET", f"/v2/{APP}/manifests/v1", Authorization="Bearer x")
    assert (bad.status, "Www-Authenticate" in bad.headers) == (401, False)


@pytest.mark.parametrize(
    ("role", "pulls", "pushes"),
    [("", False, False), ("reader", True, False), ("writer", True, True)],
)
def test_what_roles_allow(cloud: Gcp, role: str, pulls: bool, pushes: bool) -> None:
    repository(cloud)
    docker(cloud).push(APP, "v1", layer(a="1"))
    client = docker(cloud, pusher(cloud, f"roles/artifactregistry.{role}" if role else ""))
    found = client("GET", f"/v2/{APP}/manifests/v1")
    assert found.status == 200 if pulls else found.error == denied(DOWNLOAD)
    found = client.push(APP, "v2", layer(a="2"))
    assert found.status == 201 if pushes else found.error[:2] == (403, "DENIED")
    if role == "reader":
        assert found.error == denied(UPLOAD)
    assert client("DELETE", f"/v2/{APP}/manifests/v1").status == 403


def test_everybody_may_pull_where_the_policy_says_so(cloud: Gcp) -> None:
    repository(cloud)
    docker(cloud).push(APP, "v1", layer(a="1"))
    grant(cloud, "roles/artifactregistry.reader", "allUsers")
    anybody = Client(cloud.sandbox, HOST)
    assert [files(one) for one in anybody.pull(APP, "v1")] == [{"a": "1"}]
    assert anybody.push(APP, "v2").error[1] == "DENIED"


def test_names(cloud: Gcp) -> None:
    repository(cloud)
    client = docker(cloud)
    text = (
        "Missing image name. Pushes should be of the form docker push"
        " HOST-NAME/PROJECT-ID/REPOSITORY/IMAGE"
    )
    assert client.push(f"{PROJECT}/demo", "v1").error == (400, "NAME_INVALID", text)
    text = "invalid number of path components: 1"
    assert client("GET", "/v2/demo/manifests/v1").error == (400, "NAME_INVALID", text)
    missing = client.push(f"{PROJECT}/other/app", "v1", layer(a="1"))
    assert missing.error == (404, "NAME_UNKNOWN", 'Repository "other" not found')
    elsewhere = DEMO.replace(PROJECT, "unknown").replace("demo", "app")
    assert client.push("unknown/app/app", "v1").error == denied(DOWNLOAD, elsewhere)
    there = docker(cloud, host="us-docker.pkg.dev")
    assert there.push(APP, "v1").error[:2] == (404, "NAME_UNKNOWN")


def test_immutable_tags(cloud: Gcp) -> None:
    repository(cloud, dockerConfig={"immutableTags": True})
    client = docker(cloud)
    client.push(APP, "v1", layer(a="1"))
    assert client.push(APP, "v1", layer(a="1")).status == 201
    text = "cannot update tag v1. The repository has enabled tag immutability"
    assert client.push(APP, "v1", layer(a="2")).error == (400, "MANIFEST_INVALID", text)


def test_the_host_of_container_registry(cloud: Gcp) -> None:
    app = f"{PROJECT}/app"
    resource = f"projects/{PROJECT}/locations/us/repositories/gcr.io"
    client = docker(cloud, host="gcr.io")
    reads = client("GET", f"/v2/{app}/manifests/v1")
    assert reads.error == (404, "NAME_UNKNOWN", 'Repository "gcr.io" not found')
    email = cloud.account("writer")["email"]
    policy = cloud(
        "POST", f"cloudresourcemanager.googleapis.com/v1/projects/{PROJECT}:getIamPolicy", {}
    )
    binding = {"role": "roles/artifactregistry.writer", "members": [f"serviceAccount:{email}"]}
    policy["bindings"].append(binding)
    path = f"cloudresourcemanager.googleapis.com/v1/projects/{PROJECT}:setIamPolicy"
    cloud("POST", path, {"policy": policy})
    caller = eventually(lambda: cloud.cloud.store.principal(email))
    writer = docker(cloud, cloud.cloud.store.tokens.grant(caller), "gcr.io")
    text = (
        "gcr.io repo does not exist. Creating on push requires the"
        " artifactregistry.repositories.createOnPush permission"
    )
    assert writer.push(app, "v1", layer(a="1")).error == (403, "DENIED", text)
    assert client.push(app, "v1", layer(a="1")).status == 201  # an owner may create it
    assert writer.push(app, "v2", layer(a="2")).status == 201
    shown = cloud("GET", f"artifactregistry.googleapis.com/v1/{resource}")
    assert shown["registryUri"] == f"us-docker.pkg.dev/{PROJECT}/gcr.io"
    images: Any = cloud("GET", f"artifactregistry.googleapis.com/v1/{resource}/dockerImages")
    assert len(images["dockerImages"]) == 2
    same = docker(cloud, host="us-docker.pkg.dev")
    assert [files(one) for one in same.pull(f"{PROJECT}/gcr.io/app", "v1")] == [{"a": "1"}]


def test_faults(cloud: Gcp) -> None:
    repository(cloud)
    cloud.sandbox.faults.take(Faults.parse("error:registry:pkg/UploadChunk@1"))
    assert docker(cloud).push(APP, "v1", layer(a="1")).error[:2] == (503, "UNAVAILABLE")
    assert docker(cloud).push(APP, "v1", layer(a="1")).status == 201
