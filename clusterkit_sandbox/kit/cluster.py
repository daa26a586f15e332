"""What every managed Kubernetes does: endpoints, nodes that join, and what its controllers make.

How nodes are emptied is in ``drain.py``.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from clusterkit_sandbox.kit.drain import Drainer

if TYPE_CHECKING:
    from clusterkit_sandbox.answer import Answer
    from clusterkit_sandbox.kube.interfaces import (
        CloudHooks,
        Injected,
        KubeCluster,
        KubeServer,
        Node,
        RunningPod,
        ScalerPod,
        Scaling,
        TokenReview,
        Volume,
        VolumeRequest,
    )

B = TypeVar("B")
ADDRESS = "CLUSTERKIT_SANDBOX_ADDRESS"
"""the variable that says which address this machine has for clusters, one of the VPC's, say"""
MACHINE = "8.8.8.8"
"""the address without that: one that a list of allowed ranges may have"""


def inside(blocks: Iterable[str]) -> bool:
    """Whether this machine's address is in one of these ranges."""
    here = IPv4Address(os.environ.get(ADDRESS, MACHINE))
    return any(here in ip_network(block, strict=False) for block in blocks)


@dataclass
class _Opened:
    endpoint: KubeCluster
    hosts: Sequence[str]


class Endpoints:
    """The API servers of a cloud's clusters, by what identifies a cluster there."""

    def __init__(self, server: KubeServer, prefix: str) -> None:
        """``prefix`` tells this cloud's clusters from those of others."""
        self._server = server
        self._prefix = prefix
        self._lock = threading.Lock()
        self._opened: dict[str, _Opened] = {}
        self._syncing = threading.Lock()

    def open(
        self,
        cluster: str,
        *,
        hosts: Sequence[str],
        version: str,
        review: TokenReview,
        hooks: CloudHooks,
        admins: Sequence[str] = (),
        objects: Sequence[Mapping[str, object]] = (),
        issuer: str = "",
        services: str = "",
    ) -> KubeCluster:
        """Start a cluster's API server, as ``KubeServer.open`` does."""
        endpoint = self._server.open(
            f"{self._prefix}{cluster}", hosts=hosts, version=version, review=review, hooks=hooks,
            admins=admins, objects=objects, issuer=issuer, services=services,
        )  # fmt: skip
        with self._lock:
            self._opened[cluster] = _Opened(endpoint, hosts)
        return endpoint

    def get(self, cluster: str) -> KubeCluster | None:
        """The cluster's API server, if it is up."""
        with self._lock:
            opened = self._opened.get(cluster)
        return opened.endpoint if opened is not None else None

    def rename(self, cluster: str, hosts: Sequence[str]) -> None:
        """Serve these host names from now on; nothing if it is not up."""
        with self._lock:
            opened = self._opened.get(cluster)
            if opened is not None:
                opened.hosts = hosts
        if opened is not None:
            opened.endpoint.rename(hosts)

    def sync(self, cluster: str, nodes: Callable[[], Sequence[Node]]) -> None:
        """Make the node objects those that ``nodes`` says, which is asked one at a time: machines
        that have not joined have none.
        """
        with self._syncing:
            endpoint, found = self.get(cluster), nodes()
            if endpoint is not None:
                endpoint.set_nodes(found)

    def drainer(self, cluster: str) -> Drainer | None:
        """A client of the cluster's API server that empties nodes; None if it is not up."""
        with self._lock:
            opened = self._opened.get(cluster)
        return Drainer(opened.endpoint, opened.hosts[-1]) if opened is not None else None

    def close(self, cluster: str) -> None:
        """Stop the cluster's API server, if it is up."""
        with self._lock:
            opened = self._opened.pop(cluster, None)
        if opened is not None:
            opened.endpoint.close()

    def clear(self) -> None:
        """Stop every API server."""
        with self._lock:
            opened, self._opened = list(self._opened.values()), {}
        for one in opened:
            one.endpoint.close()


class Controllers(ABC, Generic[B]):
    """What a cluster's controllers make in the cloud: load balancers for Services, volumes for
    claims; implements ``kube.interfaces.CloudHooks``.

    A cloud says how it finds and makes them, with its own tags and protections. Everything is made
    once: it is looked for before. All of its methods are called with ``lock`` held.
    """

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock

    @abstractmethod
    def balancer(self, uid: str) -> B | None:
        """The load balancer of the Service with this uid."""

    @abstractmethod
    def make_balancer(
        self, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> B:
        """Make it; ``RuntimeError`` says in an Event why it cannot be."""

    @abstractmethod
    def host_of(self, balancer: B) -> str:
        """What the Service's status shows."""

    @abstractmethod
    def remove_balancer(self, uid: str) -> None:
        """Delete it, if it exists."""

    @abstractmethod
    def drivers(self) -> Sequence[str]:
        """The CSI drivers that work at the moment."""

    @abstractmethod
    def volume(self, name: str) -> str | Volume | None:
        """The volume of the PersistentVolume with this name."""

    @abstractmethod
    def make_volume(self, asked: VolumeRequest) -> str | Volume:
        """Make it; ``RuntimeError`` says in an Event why it cannot be."""

    @abstractmethod
    def remove_volume(self, volume: str) -> None:
        """Delete it, if it exists."""

    def ensure_load_balancer(
        self, kind: str, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> str:
        """The load balancer of a Service. An Ingress has none: nobody installs a controller."""
        if kind != "Service":
            return ""
        with self._lock:
            found = self.balancer(uid)
            if found is None:
                found = self.make_balancer(namespace, name, uid, annotations)
            return self.host_of(found)

    def delete_load_balancer(self, uid: str) -> None:
        """Delete it, if it exists."""
        with self._lock:
            self.remove_balancer(uid)

    def injected(self, pod: RunningPod) -> Injected | None:
        """Nothing, where a cloud has no webhook for identities."""
        return None

    def nearby(
        self, pod: RunningPod, method: str, url: str, headers: Mapping[str, str]
    ) -> Answer | None:
        """Nothing answers."""
        return None

    def scaling(self, pod: ScalerPod | None) -> Scaling | None:
        """Nothing, where a cloud has no autoscaler or this one is not on."""
        return None

    def provisioners(self) -> Sequence[str]:
        """The CSI drivers that work at the moment."""
        with self._lock:
            return self.drivers()

    def create_volume(self, asked: VolumeRequest) -> str | Volume:
        """The volume of a claim."""
        with self._lock:
            if asked.provisioner not in self.drivers():
                raise RuntimeError(f"there is no provisioner {asked.provisioner}")
            return self.volume(asked.name) or self.make_volume(asked)

    def delete_volume(self, volume: str) -> None:
        """Delete it, if it exists."""
        with self._lock:
            self.remove_volume(volume)


def balancer_name(uid: str) -> str:
    """What the cloud providers call the load balancer of a Service: ``a`` and its uid, 32
    characters at most (kubernetes/cloud-provider, ``DefaultLoadBalancerName``).
    """
    return f"a{uid.replace('-', '')}"[:32]
