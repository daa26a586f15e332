"""What IAM allows in a cluster's own API, as Kubernetes Engine asks it for every request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from clusterkit_sandbox.google.authorization import of_kubernetes
from tests.sandbox.gcp import Gcp, cloud, shared
from tests.sandbox.test_google_kubernetes import Kube

__all__ = ["cloud", "shared"]


@pytest.mark.parametrize(
    ("verb", "resource", "permission"),
    [
        ("list", "storageclasses", "container.storageClasses.list"),
        ("watch", "pods", "container.pods.list"),
        ("patch", "namespaces", "container.namespaces.update"),
        ("get", "pods/log", "container.pods.getLogs"),
        ("create", "pods/exec", "container.pods.exec"),
        ("create", "serviceaccounts/token", "container.serviceAccounts.createToken"),
        ("patch", "deployments/scale", "container.deployments.updateScale"),
        ("get", "nodes/status", "container.nodes.getStatus"),
        ("bind", "clusterroles", "container.clusterRoles.bind"),
        ("create", "pipelineruns", "container.thirdPartyObjects.create"),
    ],
)
def test_the_permission_of_a_request(verb: str, resource: str, permission: str) -> None:
    assert of_kubernetes(verb, resource) == permission


def test_a_limited_identity_in_kubernetes(cloud: Gcp, tmp_path: Path) -> None:
    cloud.network()
    cluster = cloud.cluster()
    allowed = ["container.namespaces.list", "container.namespaces.create"]
    limited = cloud.sandbox.identity(allowed)
    key = json.loads(Path(limited.environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    cloud.token = cloud.login(key)
    limited.permissions.drain()
    core: Any = Kube(cloud, cluster, tmp_path).core
    assert "kube-system" in [one.metadata.name for one in core.list_namespace().items]
    core.create_namespace({"metadata": {"name": "jx"}})
    with pytest.raises(kubernetes.client.ApiException) as refused:
        core.list_node()
    assert refused.value.status == 403
    assert 'cannot list resource "nodes"' in json.loads(refused.value.body)["message"]
    assert limited.permissions.drain() == {*allowed, "container.nodes.list"}
