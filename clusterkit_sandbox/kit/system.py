"""What a managed Kubernetes, or an add-on of it, installs into ``kube-system``.

A cloud says what there is: names, labels and ServiceAccounts, each with its source. The programs do
nothing here, and have no roles.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from clusterkit_sandbox.kit.cluster import Endpoints
from clusterkit_sandbox.kit.drain import Unreachable
from clusterkit_sandbox.kit.life import Clock

_LOG = logging.getLogger(__name__)
Object = dict[str, Any]
NAMESPACE = "kube-system"
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_CRITICAL = ("CriticalAddonsOnly",)


@dataclass(frozen=True)
class Part:
    """A DaemonSet, or a Deployment with this many replicas."""

    name: str
    image: str
    labels: Mapping[str, str]
    account: str = ""
    replicas: int = 0
    requests: Mapping[str, str] | None = None
    host: bool = False
    """on the node's network"""
    budget: bool = False
    """whether one of the replicas at most may be away"""
    nodes: Mapping[str, str] | None = None
    """labels of the nodes that have it"""
    tolerated: tuple[str, ...] = _CRITICAL
    """keys of taints; a DaemonSet tolerates all"""


def objects(
    parts: Iterable[Part], registry: str, version: str = "", **annotations: str
) -> Iterator[Object]:
    """Parts with their ServiceAccounts and budgets; the image of a part is ``registry``, what it
    says itself, and ``version``. The annotations are the accounts'.
    """
    for part in parts:
        if part.account:
            yield thing("v1", "ServiceAccount", part.account, part.labels, annotations=annotations)
        yield _workload(part, registry + part.image + (version and f":{version}"))
        if part.budget:
            spec = {"maxUnavailable": 1, "selector": {"matchLabels": dict(part.labels)}}
            yield thing("policy/v1", "PodDisruptionBudget", part.name, part.labels, spec)


def tenth(services: str) -> str:
    """The address that the DNS of clusters has by convention, in this range of Services
    (Kubernetes documentation, "Service ClusterIP allocation").
    """
    return str(IPv4Network(services)[10])


def dns(address: str) -> Object:
    """The Service of the cluster's DNS."""
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    labels = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true"}
    spec = {"clusterIP": address, "selector": {"k8s-app": "kube-dns"}, "ports": ports}
    return thing("v1", "Service", "kube-dns", labels, spec)


def thing(
    api: str,
    kind: str,
    name: str,
    labels: Mapping[str, str],
    spec: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """An object in ``kube-system``."""
    found: Object = {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": dict(labels)},
    }
    if annotations:
        found["metadata"]["annotations"] = dict(annotations)
    return found if spec is None else {**found, "spec": dict(spec)}


def _workload(part: Part, image: str) -> Object:
    container: Object = {"name": part.name, "image": image}
    if part.requests:
        container["resources"] = {"requests": dict(part.requests)}
    pod: Object = {
        "priorityClassName": f"system-{'cluster' if part.replicas else 'node'}-critical",
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
    }
    if part.replicas:
        pod["tolerations"] = [{"key": key, "operator": "Exists"} for key in part.tolerated]
    if part.account:
        pod["serviceAccountName"] = part.account
    if part.host:
        pod["hostNetwork"] = True
    if part.nodes:
        pod["nodeSelector"] = dict(part.nodes)
    template = {"metadata": {"labels": dict(part.labels)}, "spec": pod}
    spec: Object = {"selector": {"matchLabels": dict(part.labels)}, "template": template}
    if part.replicas:
        spec["replicas"] = part.replicas
    kind = "Deployment" if part.replicas else "DaemonSet"
    return thing("apps/v1", kind, part.name, part.labels, spec)


def _place(one: Object) -> str:
    api, metadata = one["apiVersion"], one["metadata"]
    space = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    root = "apis" if "/" in api else "api"
    return f"/{root}/{api}{space}/{one['kind'].lower()}s/{metadata['name']}"


@dataclass(frozen=True)
class Installer:
    """Changes what is installed, with no lock held and no change under way: admission and
    controllers ask the cloud back.
    """

    endpoints: Endpoints
    clock: Clock
    manager: str
    """the field manager"""

    def install(self, cluster: str, some: Iterable[Object]) -> None:
        """Apply objects in a cluster."""
        self._each(cluster, "PATCH", some)

    def uninstall(self, cluster: str, some: Iterable[Object]) -> None:
        """Delete them."""
        self._each(cluster, "DELETE", some)

    def _each(self, cluster: str, method: str, some: Iterable[Object]) -> None:
        wanted = list(some)

        def call() -> None:
            client = self.endpoints.drainer(cluster)
            if client is None:
                return
            try:
                for one in wanted:
                    place = _place(one)
                    if method == "PATCH":
                        query = f"fieldManager={self.manager}&force=true"
                        client.ask(method, f"{place}?{query}", one, _APPLY)
                    else:
                        client.ask(method, place)
            except Unreachable as error:
                _LOG.warning("an add-on is not as it should be: %s", error)
            finally:
                client.close()

        if wanted:
            self.clock.aside(call)
