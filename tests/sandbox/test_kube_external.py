"""``--kube kubeconfig:PATH`` and ``--kube envtest``: a real API server behind a front.

Here the "user's own cluster" is the embedded endpoint; a real one is used where there is one.
"""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from clusterkit_sandbox.kube import kube_server
from clusterkit_sandbox.kube.interfaces import Identity
from clusterkit_sandbox.pace import Pace
from tests.sandbox.kubes import GP3, HOST, TOKENS, Cloud, kubeconfig, node

PACE = Pace(math.inf)
CLOUD = {
    "cloud-admin": Identity("arn:aws:iam::1:user/me", ("system:masters",)),
    "cloud-user": Identity("arn:aws:iam::1:user/you", ("people",)),
}


@pytest.mark.client
def test_the_users_own_cluster_takes_the_clouds_tokens(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    own = kube_server("embedded", PACE, tmp_path)
    behind = own.open("own", hosts=[HOST], version="1.35", review=TOKENS.get, hooks=Cloud())
    behind.set_nodes([node(1)])
    server = kube_server(f"kubeconfig:{kubeconfig(behind, tmp_path)}", PACE, tmp_path)
    try:
        opened = server.open(
            "c", hosts=["c.eks.test"], version="1.35", review=CLOUD.get, hooks=Cloud(),
            objects=[GP3],
        )  # fmt: skip
        assert server.hosts() == {"c.eks.test": opened.address}

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
        server.close()
        own.close()
    assert not list(tmp_path.glob("envtest-*"))


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="there is no such file"):
        kube_server(f"kubeconfig:{tmp_path / 'none'}", PACE, tmp_path)
    with pytest.raises(ValueError, match="embedded, envtest or kubeconfig:PATH"):
        kube_server("minikube", PACE, tmp_path)
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
