"""A Kubernetes API that is no cloud's: where an operator's objects live when it is tried on one
machine.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.kube import kube_server
from clusterkit_sandbox.kube.interfaces import Injected, RunningPod, ScalerPod, VolumeRequest
from clusterkit_sandbox.pace import Pace

VERSION = "1.35"
_LIFE = 30 * 24 * 3600.0
"""seconds the administrator's certificate lives"""


class NoCloud:
    """Beneath it is no cloud: there are no nodes, volumes or load balancers."""

    def ensure_load_balancer(
        self, kind: str, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> str:
        return ""

    def delete_load_balancer(self, uid: str) -> None:
        return None

    def provisioners(self) -> Sequence[str]:
        return ()

    def create_volume(self, asked: VolumeRequest) -> str:
        raise RuntimeError("there are no volumes here")

    def delete_volume(self, volume: str) -> None:
        return None

    def injected(self, pod: RunningPod) -> Injected | None:
        return None

    def nearby(
        self, pod: RunningPod, method: str, url: str, headers: Mapping[str, str]
    ) -> Answer | None:
        return None

    def scaling(self, pod: ScalerPod | None) -> None:
        return None


@dataclass(frozen=True)
class Management:
    """A running API server."""

    server: str
    """``https://127.0.0.1:PORT``"""
    ca_pem: str
    kubeconfig: Path
    """of its administrator, readable by this user alone"""


@contextmanager
def management(directory: Path, kube: str = "embedded") -> Iterator[Management]:
    """Serve a Kubernetes API until the context ends; what was in it is gone then.

    ``directory`` is private to it; ``kube`` is ``embedded`` or ``envtest``.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    api = kube_server(kube, Pace(math.inf), directory)
    try:
        cluster = api.open(
            "management",
            hosts=["management.example.test"],
            version=VERSION,
            review=lambda _: None,
            hooks=NoCloud(),
        )
        host, port = cluster.address
        server = f"https://{host}:{port}"
        pair = cluster.client_certificate("admin", ["system:masters"], _LIFE)
        file = directory / "kubeconfig"
        _write(file, _kubeconfig(server, cluster.ca_pem, *pair))
        yield Management(server, cluster.ca_pem, file)
    finally:
        api.close()


def _kubeconfig(server: str, ca: str, certificate: str, key: str) -> str:
    def data(pem: str) -> str:
        return base64.b64encode(pem.encode()).decode()

    user = {"client-certificate-data": data(certificate), "client-key-data": data(key)}
    name = "clusterkit-management"
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": server, "certificate-authority-data": data(ca)},
            }
        ],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(whole, indent=2)


def _write(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
        new.write(text)
