"""``--kube envtest``: a real API server behind a proxy.

The embedded endpoint stands in for the real API server; a real one is used where there is one.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube import kube_server
from clusterkit_sandbox.kube.auth_proxy import _impersonation
from clusterkit_sandbox.kube.clusters import Clusters, Wanted
from clusterkit_sandbox.kube.controllers.namespaces import NamespaceController
from clusterkit_sandbox.kube.interfaces import Identity
from clusterkit_sandbox.kube.real import RealCluster
from clusterkit_sandbox.kube.serving import Listener
from clusterkit_sandbox.pace import Pace
from tests.sandbox.kubes import GP3, HOST, TOKENS, Cloud, kubeconfig, node
from tests.sandbox.test_kube_controllers import gone, pod_spec, until

PACE = Pace(math.inf)
CLOUD = {
    "cloud-admin": Identity("arn:aws:iam::1:user/me", ("system:masters",)),
    "cloud-user": Identity("arn:aws:iam::1:user/you", ("people",)),
}


class Fronts(Clusters[RealCluster]):
    """Clusters before a server that the test starts."""

    def __init__(
        self, folder: Path, begin: Callable[[], tuple[str, Callable[[], aiohttp.ClientSession]]]
    ) -> None:
        super().__init__(folder, Faults())
        self._begin = begin

    def start(self, wanted: Wanted, listener: Listener, forget: Callable[[], None]) -> RealCluster:
        found = RealCluster(listener, self.loop, forget, self._begin, lambda: None)
        found.start(wanted.review, wanted.objects)
        return found


@contextlib.contextmanager
def stood_in(
    tmp_path: Path, pace: Pace = PACE
) -> Iterator[tuple[RealCluster, Callable[[str], client.ApiClient]]]:
    """A cluster of this kind before the embedded endpoint, and what makes clients of it."""
    own = kube_server("embedded", pace, tmp_path)
    behind = own.open("own", hosts=[HOST], version="1.35", review=TOKENS.get, hooks=Cloud())
    behind.set_nodes([node(1)])
    trust = ssl.create_default_context(cadata=behind.ca_pem)
    trust.check_hostname = False

    def connect() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=trust)
        admin = {"Authorization": "Bearer admin"}
        return aiohttp.ClientSession(connector=connector, headers=admin, auto_decompress=False)

    def begin() -> tuple[str, Callable[[], aiohttp.ClientSession]]:
        time.sleep(0.3)
        return "https://{}:{}".format(*behind.address), connect

    clusters = Fronts(tmp_path, begin)

    def asked(token: str) -> client.ApiClient:
        return config.new_client_from_config(str(kubeconfig(opened, tmp_path, token)))

    try:
        start = time.monotonic()
        opened = clusters.open(
            "c",
            hosts=["c.eks.test"],
            version="1.35",
            review=CLOUD.get,
            hooks=Cloud(),
            objects=[GP3],
        )
        assert time.monotonic() - start < 0.3, "whoever opens a cluster waits for its server"
        assert clusters.hosts() == {"c.eks.test": opened.address}
        yield opened, asked
    finally:
        clusters.close()
        own.close()


def test_the_api_server_behind_the_proxy_takes_the_clouds_tokens(tmp_path: Path) -> None:
    with stood_in(tmp_path) as (_, asked):

        def core(token: str) -> client.CoreV1Api:
            return client.CoreV1Api(asked(token))

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


def test_nodes_are_untainted_and_namespaces_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without controllers behind it, as in a real one: at this pace no node gets ready here."""
    monkeypatch.setattr(NamespaceController, "concerns", lambda *_: ())
    with stood_in(tmp_path, Pace(0.001)) as (opened, asked):
        core = client.CoreV1Api(asked("cloud-admin"))
        taint = ("dedicated", "build", "NoSchedule")
        opened.set_nodes([node(2, taints=(taint,)), node(3)])
        until(lambda: len(core.list_node().items) == 2, "nodes")

        def taints(name: str) -> list[str]:
            return [item.key for item in core.read_node(name).spec.taints or ()]

        until(lambda: not taints("node-3"), "untainted")
        assert taints("node-2") == ["dedicated"]
        core.create_namespace({"metadata": {"name": "jx"}})
        core.create_namespaced_config_map("jx", {"metadata": {"name": "s"}})
        core.create_namespaced_service_account("jx", {"metadata": {"name": "default"}})
        pod = {"metadata": {"name": "p"}, "spec": pod_spec(nodeName="node-2")}
        core.create_namespaced_pod("jx", pod)
        core.delete_namespace("jx")
        assert core.read_namespace("jx").status.phase == "Terminating"
        until(lambda: gone(core.read_namespace, "jx"), "finalized")


def test_a_server_that_does_not_start_is_told(tmp_path: Path) -> None:
    def begin() -> tuple[str, Callable[[], aiohttp.ClientSession]]:
        raise RuntimeError("etcd ended: no space left")

    clusters = Fronts(tmp_path, begin)
    try:
        opened = clusters.open("c", hosts=[HOST], version="1.35", review=CLOUD.get, hooks=Cloud())
        path = kubeconfig(opened, tmp_path, "cloud-admin")
        with pytest.raises(ApiException) as caught:
            client.CoreV1Api(config.new_client_from_config(str(path))).list_node()
        assert caught.value.status == 503
        assert "no space left" in caught.value.body
    finally:
        clusters.close()


def test_a_killed_sandbox_leaves_no_server(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from clusterkit_sandbox.kube.envtest import _Processes\n"
        "processes = _Processes(Path(sys.argv[1]))\n"
        "processes._run('etcd', 'sleep', '600')\n"
        "print(processes._running['etcd'].pid, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as sandbox:
        assert sandbox.stdout is not None
        server = Path("/proc") / sandbox.stdout.readline().strip()
        until(lambda: (server / "comm").read_text() == "sleep\n", "running")
        sandbox.kill()
    until(lambda: not server.exists() or "State:\tZ" in (server / "status").read_text(), "killed")


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
        until(lambda: core.list_node().items, "nodes", 60)
        assert [item.metadata.name for item in core.list_node().items] == ["node-1"]
    finally:
        server.close()
