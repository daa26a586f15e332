"""Kaniko on the sandbox's AKS: workload identity, and the identity of the kubelets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.azurecloud import ACR, UAI, Azure, cloud, shared
from tests.sandbox.builds import NAMESPACE, Builder, docker
from tests.sandbox.test_azure_registry import registry
from tests.sandbox.workloads import Workloads

__all__ = ["cloud", "shared"]
HOST = "kanikodemo.azurecr.io"
TO = f"--destination={HOST}/team/app:v1"
USE = {"azure.workload.identity/use": "true"}


@pytest.fixture
def cluster(cloud: Azure) -> Any:
    registry(cloud)
    return cloud.cluster(
        oidcIssuerProfile={"enabled": True},
        securityProfile={"workloadIdentity": {"enabled": True}},
    )


@pytest.fixture
def builder(cloud: Azure, cluster: Any, tmp_path: Path) -> Iterator[Builder]:
    found = Workloads.by_kubeconfig(cloud.kubeconfig(), tmp_path, cloud.sandbox.proxy)
    made = Builder(found.api.configuration)
    made.context()
    made.config_map("docker-config", config__json=docker(credHelpers={HOST: "acr-env"}))
    yield made
    found.close()


def build(builder: Builder, **more: Any) -> tuple[int, str]:
    volume = {"name": "docker", "configMap": {"name": "docker-config"}}
    mount = {"name": "docker", "mountPath": "/kaniko/.docker"}
    container = {"volumeMounts": [mount], **more.pop("container", {})}
    pod = {"volumes": [volume], "serviceAccountName": "kaniko"}
    return builder.built(TO, pod=pod, container=container, **more)


def test_by_workload_identity(cloud: Azure, cluster: Any, builder: Builder) -> None:
    one = cloud.identity("push")["properties"]
    issuer = cluster["properties"]["oidcIssuerProfile"]["issuerURL"]
    federated = {
        "issuer": issuer,
        "subject": f"system:serviceaccount:{NAMESPACE}:kaniko",
        "audiences": ["api://AzureADTokenExchange"],
    }
    builder.account()
    annotations = {"azure.workload.identity/client-id": one["clientId"]}
    builder.core.patch_namespaced_service_account(
        "kaniko", NAMESPACE, {"metadata": {"annotations": annotations}}
    )
    code, message = build(builder, labels=USE, name="early")
    assert code == 1
    assert "err: exit status 1, out: `failed to acquire refresh token" in message
    assert "AADSTS700213" in message
    cloud("PUT", f"{UAI}/push/federatedIdentityCredentials/kaniko", {"properties": federated})
    code, message = build(builder, labels=USE, name="norole")
    assert code == 1
    assert "UNAUTHORIZED" in message
    cloud.assign("AcrPush", f"{ACR}/kanikodemo", one["principalId"])
    code, digest = build(builder, labels=USE)
    assert code == 0, builder.log()
    assert digest.startswith("sha256:")
    # the annotation alone does nothing: the pod is whoever its node is
    code, message = build(builder, name="unlabelled")
    assert code == 1


def test_by_the_identity_of_the_kubelets(cloud: Azure, cluster: Any, builder: Builder) -> None:
    kubelet = cluster["properties"]["identityProfile"]["kubeletidentity"]
    builder.account()
    env = {"env": [{"name": "AZURE_CLIENT_ID", "value": kubelet["clientId"]}]}
    code, message = build(builder, container=env, name="norole")
    assert (code, "UNAUTHORIZED" in message) == (1, True)
    cloud.assign("AcrPush", f"{ACR}/kanikodemo", kubelet["objectId"])
    code, _ = build(builder, container=env)
    assert code == 0, builder.log()
    other = {"env": [{"name": "AZURE_CLIENT_ID", "value": "00000000-0000-0000-0000-000000000000"}]}
    code, message = build(builder, container=other, name="other")
    assert (code, "Identity not found" in message) == (1, True)
