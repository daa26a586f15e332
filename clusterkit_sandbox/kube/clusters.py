"""The clusters of a sandbox: each has a TLS port of its own, all of them are on one event loop.

What serves them is an embedded endpoint, or a real API server behind a proxy.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kube.certificates import ClusterAuthority
from clusterkit_sandbox.kube.interfaces import CloudHooks, TokenReview
from clusterkit_sandbox.kube.serving import EventLoop, Listener, Public, no_public


@dataclass(frozen=True)
class Wanted:
    """What a cluster is to be: see ``KubeServer.open``."""

    hosts: Sequence[str]
    version: str
    review: TokenReview
    hooks: CloudHooks
    admins: Sequence[str]
    objects: Sequence[Mapping[str, object]]
    issuer: str
    services: str


class Cluster(ABC):
    """One cluster's endpoint, as it is used by the emulator that made it."""

    def __init__(self, listener: Listener, loop: EventLoop, forget: Callable[[], None]) -> None:
        self.listener = listener
        self.loop = loop
        self.closed = False
        self._forget = forget

    @property
    def ca_pem(self) -> str:
        """The authority of the endpoint's certificate."""
        return self.listener.authority.pem

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self.listener.address

    def rename(self, hosts: Sequence[str]) -> None:
        """Serve these host names instead."""
        self.listener.rename(hosts)

    def client_certificate(
        self, username: str, groups: Sequence[str], seconds: float
    ) -> tuple[str, str]:
        """A new client certificate and its key (PEM); ``ValueError`` for a user name too long."""
        return self.listener.authority.client(username, groups, seconds)

    def close(self) -> None:
        """Close the cluster; may be repeated."""
        if not self.closed:
            self.closed = True
            self._forget()
            self.end()

    @abstractmethod
    def end(self) -> None:
        """Stop serving; called once."""


C = TypeVar("C", bound=Cluster)


class Clusters(ABC, Generic[C]):
    """Those of one sandbox."""

    def __init__(self, directory: Path, faults: Faults, public: Public | None = None) -> None:
        """``directory`` is private to the sandbox; keys pass through it."""
        self.directory = directory
        self.loop = EventLoop()
        self._faults = faults
        self._public = public or no_public
        self._clusters: dict[str, C] = {}
        self._lock = threading.Lock()

    def open(
        self,
        key: str,
        *,
        hosts: Sequence[str],
        version: str,
        review: TokenReview,
        hooks: CloudHooks,
        admins: Sequence[str] = (),
        objects: Sequence[Mapping[str, object]] = (),
        issuer: str = "",
        services: str = "",
    ) -> C:
        """Start a cluster's endpoint; ``ValueError`` if the key is taken."""
        wanted = Wanted(hosts, version, review, hooks, admins, objects, issuer, services)
        with self._lock:
            if key in self._clusters:
                raise ValueError(f"cluster {key!r} is open already")
            authority = ClusterAuthority()
            listener = Listener(authority, hosts, self.directory, self._faults, self._public)
            self._clusters[key] = self.start(wanted, listener, lambda: self._forget(key))
            return self._clusters[key]

    @abstractmethod
    def start(self, wanted: Wanted, listener: Listener, forget: Callable[[], None]) -> C:
        """Start a cluster that is reached by the listener."""

    def hosts(self) -> Mapping[str, tuple[str, int]]:
        """Host name to address, of every open cluster."""
        with self._lock:
            listeners = [cluster.listener for cluster in self._clusters.values()]
        return {host: listener.address for listener in listeners for host in listener.hosts}

    def close(self) -> None:
        """Close every cluster and end the thread; may be repeated."""
        with self._lock:
            clusters = list(self._clusters.values())
        for cluster in clusters:
            cluster.close()
        self.loop.close()

    def _forget(self, key: str) -> None:
        with self._lock:
            self._clusters.pop(key, None)
