"""A cluster of the sandbox's own Kubernetes, and a cloud beneath it that only keeps books."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.kube.interfaces import (
    Identity,
    Injected,
    KubeCluster,
    Node,
    RunningPod,
    ScalerPod,
    Scaling,
    VolumeRequest,
)

HOST = "c.example.test"
DRIVER = "ebs.csi.aws.com"
TOKENS = {
    "admin": Identity("admin", ("system:masters",)),
    "nobody": Identity("nobody", ("developers",)),
}
GP3 = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "gp3",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": DRIVER,
    "volumeBindingMode": "WaitForFirstConsumer",
}


@dataclass
class Cloud:
    """What Kubernetes makes outside itself."""

    balancers: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    drivers: list[str] = field(default_factory=lambda: [DRIVER])
    trouble: str = ""
    """what every call fails with"""
    scaler: Scaling | None = None
    asked: list[ScalerPod | None] = field(default_factory=list)
    """who asked for it"""
    _count: Iterator[int] = field(default_factory=itertools.count)

    def _check(self) -> None:
        if self.trouble:
            raise RuntimeError(self.trouble)

    def ensure_load_balancer(
        self, kind: str, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> str:
        self._check()
        return self.balancers.setdefault(uid, f"{namespace}-{name}.example.test")

    def delete_load_balancer(self, uid: str) -> None:
        self._check()
        self.balancers.pop(uid, None)

    def provisioners(self) -> Sequence[str]:
        return self.drivers

    def create_volume(self, asked: VolumeRequest) -> str:
        self._check()
        volume = f"vol-{next(self._count)}"
        self.volumes[volume] = f"{asked.zone} {asked.size}"
        return volume

    def delete_volume(self, volume: str) -> None:
        self._check()
        self.volumes.pop(volume, None)

    def injected(self, pod: RunningPod) -> Injected | None:
        return None

    def nearby(
        self, pod: RunningPod, method: str, url: str, headers: Mapping[str, str]
    ) -> Answer | None:
        return None

    def scaling(self, pod: ScalerPod | None) -> Scaling | None:
        self._check()
        self.asked.append(pod)
        return self.scaler


def node(number: int, **more: object) -> Node:
    """A machine of two cores in zone a."""
    values: dict[str, object] = {
        "name": f"node-{number}",
        "provider_id": f"aws:///eu-west-1a/i-{number}",
        "instance_type": "m7i.large",
        "zone": "eu-west-1a",
        "region": "eu-west-1",
        "cpu": 2,
        "memory": 8192,
    }
    return Node(**(values | more))  # type: ignore[arg-type]


def kubeconfig(cluster: KubeCluster, folder: Path, token: str = "admin") -> Path:
    """A kubeconfig for the cluster, with a bearer token."""
    import json

    (folder / "ca.pem").write_text(cluster.ca_pem)
    host, port = cluster.address
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": f"https://{host}:{port}",
                    "certificate-authority": str(folder / "ca.pem"),
                },
            }
        ],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = folder / f"kubeconfig-{token[-10:]}"
    path.write_text(json.dumps(config))
    return path
