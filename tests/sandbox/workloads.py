"""Deployments on an emulated cluster, and what became of them."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubernetes import client, config


class Workloads:
    """The official client's APIs of one cluster."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.core: Any = client.CoreV1Api(api)
        self.apps: Any = client.AppsV1Api(api)

    @classmethod
    def by_token(
        cls, endpoint: str, authority: str, token: str, where: Path, proxy: str
    ) -> Workloads:
        """With a bearer token and the cluster's authority (base64), through the sandbox's proxy."""
        ca = where / "cluster-ca.pem"
        ca.write_bytes(b64decode(authority))
        settings: Any = client.Configuration()
        settings.host, settings.ssl_ca_cert = endpoint, str(ca)
        settings.api_key = {"authorization": f"Bearer {token}"}
        settings.proxy = proxy
        return cls(client.ApiClient(settings))

    @classmethod
    def by_kubeconfig(cls, found: dict[str, Any], where: Path, proxy: str) -> Workloads:
        """With a kubeconfig, through the sandbox's proxy."""
        settings: Any = client.Configuration()
        config.load_kube_config_from_dict(
            found, client_configuration=settings, temp_file_path=str(where)
        )
        settings.proxy = proxy
        return cls(client.ApiClient(settings))

    def close(self) -> None:
        """Close its connections."""
        self.api.rest_client.pool_manager.clear()
        self.api.close()

    def deploy(
        self,
        name: str,
        replicas: int,
        cpu: str = "1500m",
        annotations: dict[str, str] | None = None,
        **spec: Any,
    ) -> None:
        """A Deployment of pods that ask for this much."""
        labels, resources = {"app": name}, {"requests": {"cpu": cpu}}
        metadata = {"labels": labels, "annotations": annotations or {}}
        pod = {"containers": [{"name": "main", "image": "x", "resources": resources}], **spec}
        body = {
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": metadata, "spec": pod},
            },
        }
        self.apps.create_namespaced_deployment("default", body)

    def scale(self, name: str, replicas: int) -> None:
        """So many pods from now on."""
        self.apps.patch_namespaced_deployment_scale(
            name, "default", {"spec": {"replicas": replicas}}
        )

    def running(self) -> int:
        """How many pods of default run."""
        pods = self.core.list_namespaced_pod("default").items
        return sum(pod.status.phase == "Running" for pod in pods)

    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.core.list_node().items)

    def told(self, reason: str, namespace: str = "default") -> set[str]:
        """The messages of events with this reason."""
        events = self.core.list_namespaced_event(namespace)
        return {item.message for item in events.items if item.reason == reason}

    def full(self) -> bool:
        """Whether a pod waits because no group may grow."""
        reached = "max node group size reached"
        return any(reached in told for told in self.told("NotTriggerScaleUp"))


def until(true: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what}: never"
        time.sleep(0.05)


def stays(true: Callable[[], object], seconds: float = 1.0) -> None:
    """It is so, and still is after a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert true()
        time.sleep(0.05)


def grows_and_shrinks(kube: Workloads, least: int, most: int) -> None:
    """Pods that fit no node bring some, up to the most; idle ones go, down to the least."""
    kube.deploy("web", most + 1)
    until(kube.full, "one pod too many waits")
    until(lambda: kube.nodes() == most, "as many nodes as may be")
    until(lambda: kube.running() == most, "a pod on each")
    assert kube.told("TriggeredScaleUp")
    stays(lambda: kube.nodes() == most, 0.5)
    kube.scale("web", 0)
    until(lambda: kube.nodes() == least, "idle nodes gone")
    stays(lambda: kube.nodes() == least, 0.5)
