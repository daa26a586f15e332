"""Kaniko on the sandbox's ACK: a Secret with a password of Container Registry that passes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.sandbox.aliyun import Aliyun, ask
from tests.sandbox.builds import Builder, docker
from tests.sandbox.oci import files
from tests.sandbox.test_alibaba_images import HERE, HOST, cloud, enterprise, namespace, shared
from tests.sandbox.workloads import Workloads

__all__ = ["cloud", "shared"]
INSIDE = HOST.replace("-registry", "-registry-vpc")


@pytest.fixture
def builder(cloud: Aliyun, tmp_path: Path) -> Iterator[Builder]:
    cluster = cloud.cluster()
    cloud.done(cloud.pool(cluster)["task_id"])
    found = yaml.safe_load(
        cloud("cs:DescribeClusterUserKubeconfig", cluster["cluster_id"])["config"]
    )
    kube = Workloads.by_kubeconfig(found, tmp_path, cloud.sandbox.proxy)
    made = Builder(kube.api.configuration)
    made.context(hello="world")
    yield made
    kube.close()


def build(builder: Builder, repository: str, name: str) -> tuple[int, str]:
    secret = {
        "secretName": "regcred",
        "items": [{"key": ".dockerconfigjson", "path": "config.json"}],
    }
    return builder.built(
        f"--destination={INSIDE}/{repository}:v1",
        name=name,
        pod={"volumes": [{"name": "docker", "secret": secret}]},
        container={"volumeMounts": [{"name": "docker", "mountPath": "/kaniko/.docker"}]},
    )


def test_by_a_password_that_passes(cloud: Aliyun, builder: Builder) -> None:
    namespace(cloud)
    made = ask(cloud.client("cr"), "cr", "GetAuthorizationToken", **HERE)
    pair = f"{made['TempUsername']}:{made['AuthorizationToken']}"
    builder.regcred(docker(auths={INSIDE: {"auth": base64.b64encode(pair.encode()).decode()}}))
    code, digest = build(builder, "demo/app", "kaniko")
    assert code == 0, builder.log()
    (layer,) = enterprise(cloud).pull("demo/app", digest)
    assert files(layer)["hello"] == "world"
    code, message = build(builder, "other/app", "elsewhere")
    assert code == 1
    assert f"POST https://{INSIDE}/v2/other/app/blobs/uploads/: UNAUTHORIZED:" in message
