"""Kaniko on the sandbox's GKE: the metadata server says who it is."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.builds import NAMESPACE, Builder
from tests.sandbox.gcp import NUMBER, PROJECT, REGION, Gcp, cloud, pool, shared
from tests.sandbox.oci import Client, files
from tests.sandbox.test_google_images import grant
from tests.sandbox.test_google_registry import repository
from tests.sandbox.workloads import Workloads

__all__ = ["cloud", "shared"]
HOST = f"{REGION}-docker.pkg.dev"
APP = f"{PROJECT}/demo/app"
TO = f"--destination={HOST}/{APP}:v1"
WRITER = "roles/artifactregistry.writer"
POOL = f"{PROJECT}.svc.id.goog"
WORKLOADS: dict[str, Any] = {"workloadIdentityConfig": {"workloadPool": POOL}}
PRINCIPAL = (
    f"principal://iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools"
    f"/{POOL}/subject/ns/{NAMESPACE}/sa/kaniko"
)
DENIED = 'DENIED: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource'


def builder_of(cloud: Gcp, cluster: dict[str, Any], where: Path) -> Builder:
    authority = cluster["masterAuth"]["clusterCaCertificate"]
    endpoint = f"https://{cluster['endpoint']}"
    found = Workloads.by_token(endpoint, authority, cloud.token, where, cloud.sandbox.proxy)
    made = Builder(found.api.configuration)
    made.context(hello="world")
    made.account()
    return made


@pytest.fixture
def builder(cloud: Gcp, tmp_path: Path) -> Builder:
    repository(cloud)
    cloud.network()
    config: dict[str, Any] = {"workloadMetadataConfig": {"mode": "GKE_METADATA"}}
    cluster = cloud.cluster(nodePools=[pool(count=1, **config)], **WORKLOADS)
    return builder_of(cloud, cluster, tmp_path)


def build(builder: Builder, name: str = "kaniko", **more: Any) -> tuple[int, str]:
    return builder.built(TO, name=name, pod={"serviceAccountName": "kaniko"}, **more)


def annotate(builder: Builder, email: str) -> None:
    annotations = {"iam.gke.io/gcp-service-account": email}
    builder.core.patch_namespaced_service_account(
        "kaniko", NAMESPACE, {"metadata": {"annotations": annotations}}
    )


def test_by_the_principal_of_the_account(cloud: Gcp, builder: Builder) -> None:
    code, message = build(builder, "early")
    assert code == 1
    assert DENIED in message
    grant(cloud, WRITER, PRINCIPAL)
    code, digest = build(builder)
    assert code == 0, builder.log()
    client = Client(cloud.sandbox, HOST, "oauth2accesstoken", cloud.token)
    (layer,) = client.pull(APP, digest)
    assert files(layer)["hello"] == "world"


def test_by_an_account_of_google(cloud: Gcp, builder: Builder) -> None:
    email = cloud.account("kaniko-push")["email"]
    grant(cloud, WRITER, f"serviceAccount:{email}")
    annotate(builder, email)
    code, message = build(builder, "early")
    assert code == 1
    assert "Unauthenticated request" in message
    member = f"serviceAccount:{POOL}[{NAMESPACE}/kaniko]"
    binding = {"role": "roles/iam.workloadIdentityUser", "members": [member]}
    body = {"policy": {"bindings": [binding]}}
    cloud.iam("POST", f"serviceAccounts/{email}:setIamPolicy", body)
    code, _ = build(builder)
    assert code == 0, builder.log()


def test_a_context_in_a_bucket(cloud: Gcp, builder: Builder) -> None:
    grant(cloud, WRITER, PRINCIPAL)
    make = f"storage.googleapis.com/storage/v1/b?project={PROJECT}"
    uniform = {"uniformBucketLevelAccess": {"enabled": True}}
    cloud("POST", make, {"name": "contexts", "iamConfiguration": uniform})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in {"Dockerfile": "FROM scratch\n", "hello": "bucket"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    upload = "storage.googleapis.com/upload/storage/v1/b/contexts/o?uploadType=media&name=c.tar.gz"
    assert cloud.raw("POST", upload, packed.getvalue())[0] == 200
    asked = ("--context=gs://contexts/c.tar.gz", TO)
    pod = {"serviceAccountName": "kaniko"}
    code, message = builder.built(*asked, name="early", pod=pod)
    assert code == 1
    assert "403" in message
    iam = "storage.googleapis.com/storage/v1/b/contexts/iam"
    policy = cloud("GET", iam)
    policy["bindings"].append({"role": "roles/storage.objectViewer", "members": [PRINCIPAL]})
    cloud("PUT", iam, policy)
    code, digest = builder.built(*asked, pod=pod)
    assert code == 0, builder.log()
    (layer,) = Client(cloud.sandbox, HOST, "oauth2accesstoken", cloud.token).pull(APP, digest)
    assert files(layer)["hello"] == "bucket"


def test_by_a_key(cloud: Gcp, builder: Builder) -> None:
    email = cloud.account("kaniko-push")["email"]
    grant(cloud, WRITER, f"serviceAccount:{email}")
    made = cloud.iam("POST", f"serviceAccounts/{email}/keys", {})
    key = base64.b64decode(made["privateKeyData"]).decode()
    assert json.loads(key)["client_email"] == email
    builder.core.create_namespaced_secret(
        NAMESPACE, {"metadata": {"name": "kaniko-secret"}, "stringData": {"kaniko-secret": key}}
    )
    volume = {
        "name": "key",
        "secret": {
            "secretName": "kaniko-secret",
            "items": [{"key": "kaniko-secret", "path": "secret.json"}],
        },
    }
    container = {
        "volumeMounts": [{"name": "key", "mountPath": "/kaniko-secret"}],
        "env": [{"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/kaniko-secret/secret.json"}],
    }
    code, _ = builder.built(TO, pod={"volumes": [volume]}, container=container)
    assert code == 0, builder.log()


@pytest.mark.parametrize("scope", ["cloud-platform", "devstorage.read_only"])
def test_by_the_account_of_the_machine(cloud: Gcp, tmp_path: Path, scope: str) -> None:
    repository(cloud)
    email = cloud.account("kaniko-nodes")["email"]
    grant(cloud, WRITER, f"serviceAccount:{email}")
    cloud.network()
    config: dict[str, Any] = {
        "serviceAccount": email,
        "oauthScopes": [f"https://www.googleapis.com/auth/{scope}"],
        "workloadMetadataConfig": {"mode": "GCE_METADATA"},
    }
    cluster = cloud.cluster(nodePools=[pool(count=1, **config)])
    code, message = build(builder_of(cloud, cluster, tmp_path))
    assert (code, DENIED in message) == ((0, False) if scope == "cloud-platform" else (1, True))
