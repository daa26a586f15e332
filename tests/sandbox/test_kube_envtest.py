"""``--kube envtest``: a real API server behind a proxy.

The embedded endpoint stands in for the real API server; a real one is used where there is one.
"""

from __future__ import annotations

import math
import os
import shutil
import ssl
from pathlib import Path

import aiohttp
import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube import kube_server
from clusterkit_sandbox.kube.auth_proxy import _impersonation
from clusterkit_sandbox.kube.interfaces import Identity
from clusterkit_sandbox.kube.real import RealCluster, RealClusters
from clusterkit_sandbox.pace import Pace
from tests.sandbox.kubes import GP3, HOST, TOKENS, Cloud, kubeconfig, node

PACE = Pace(math.inf)
CLOUD = {
    "cloud-admin": Identity("arn:aws:iam::1:user/me", ("system:masters",)),
    "cloud-user": Identity("arn:aws:iam::1:user/you", ("people",)),
}


def test_the_api_server_behind_the_proxy_takes_the_clouds_tokens(tmp_path: Path) -> None:
    own = kube_server("embedded", PACE, tmp_path)
    behind = own.open("own", hosts=[HOST], version="1.35", review=TOKENS.get, hooks=Cloud())
    behind.set_nodes([node(1)])
    trust = ssl.create_default_context(cadata=behind.ca_pem)
    trust.check_hostname = False

    def connect() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=trust)
        admin = {"Authorization": "Bearer admin"}
        return aiohttp.ClientSession(connector=connector, headers=admin, auto_decompress=False)

    clusters = RealClusters(tmp_path, Faults())
    base = "https://{}:{}".format(*behind.address)
    opened = RealCluster(clusters, ["c.eks.test"], connect, base, lambda: clusters.forget("c"))
    clusters.add("c", opened)
    try:
        opened.start(CLOUD.get, [GP3])
        assert clusters.hosts() == {"c.eks.test": opened.address}

        def core(token: str) -> client.CoreV1Api:
            path = kubeconfig(opened, tmp_path, token)
            return client.CoreV1Api(config.new_client_from_config(str(path)))

        assert [item.metadata.name for item in core("cloud-admin").list_node().items] == ["node-1"]
        admin = core("cloud-admin").api_client
        classes = client.StorageV1Api(admin).list_storage_class().items
        assert "gp3" in [item.metadata.name for item in classes]
        who = client.AuthenticationV1Api(core("cloud-user").api_client)
        found = who.create_self_subject_review({}).status.user_info
        assert found.username == "arn:aws:iam::1:user/you"
        assert "people" in found.groups
        for token, code in (("cloud-user", 403), ("nobody-at-all", 401)):
            with pytest.raises(ApiException) as caught:
                core(token).list_node()
            assert caught.value.status == code
        # a token of the cluster behind is its own business, and works
        assert core("admin").list_node().items
        pretending = core("cloud-user")
        pretending.api_client.set_default_header("Impersonate-User", "admin")
        with pytest.raises(ApiException) as caught:
            pretending.list_node()
        assert caught.value.status == 403
    finally:
        clusters.close()
        own.close()


def test_who_asks_is_passed_on_in_names_of_headers() -> None:
    """Any key of ``extra``: Kubernetes documentation, "Authenticating", user impersonation."""
    extra = {"authentication.kubernetes.io/pod-name": ("web-0",)}
    headers = _impersonation(Identity("me", ("people",), "uid-1", extra))
    assert ("Impersonate-Uid", "uid-1") in headers
    assert ("Impersonate-Extra-authentication.kubernetes.io%2Fpod-name", "web-0") in headers


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for unknown in ("minikube", "kubeconfig:/home/me/.kube/config"):
        with pytest.raises(ValueError, match="give embedded or envtest"):
            kube_server(unknown, PACE, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    with pytest.raises(ValueError, match="setup-envtest"):
        kube_server("envtest", PACE, tmp_path)


@pytest.mark.client
def test_a_real_api_server_under_each_cluster(tmp_path: Path) -> None:
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not all(shutil.which(name, path=folder) for name in ("etcd", "kube-apiserver")):
        pytest.skip("kube-apiserver and etcd are not installed")
    server = kube_server("envtest", PACE, tmp_path)
    try:
        opened = server.open(
            "c", hosts=[HOST], version="1.35", review=CLOUD.get, hooks=Cloud(), objects=[GP3]
        )
        opened.set_nodes([node(1)])
        path = kubeconfig(opened, tmp_path, "cloud-admin")
        core = client.CoreV1Api(config.new_client_from_config(str(path)))
        assert [item.metadata.name for item in core.list_node().items] == ["node-1"]
    finally:
        server.close()
