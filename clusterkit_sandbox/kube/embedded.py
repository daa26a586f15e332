"""The embedded Kubernetes API server: each cluster has its own TLS port, all
of them on one event loop in one thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kaniko.container import Door
from clusterkit_sandbox.kube.accounts import ISSUER, TokenIssuer
from clusterkit_sandbox.kube.bootstrap import populate
from clusterkit_sandbox.kube.certificates import ClusterAuthority
from clusterkit_sandbox.kube.controllers import (
    apiservices,
    balancers,
    counting,
    endpoints,
    garbage,
    jobs,
    namespaces,
    pods,
    sets,
    volumes,
    workloads,
)
from clusterkit_sandbox.kube.controllers.autoscaler import Autoscaler
from clusterkit_sandbox.kube.controllers.builds import Builds
from clusterkit_sandbox.kube.controllers.drivers import Drivers
from clusterkit_sandbox.kube.controllers.nodes import NodeController
from clusterkit_sandbox.kube.controllers.runtime import Runtime
from clusterkit_sandbox.kube.controllers.scheduler import Scheduler
from clusterkit_sandbox.kube.endpoint import Endpoint
from clusterkit_sandbox.kube.interfaces import CloudHooks, Node, TokenReview
from clusterkit_sandbox.kube.serving import EventLoop, Listener, Public, no_public
from clusterkit_sandbox.kube.state import ClusterState
from clusterkit_sandbox.kube.writes import Writer
from clusterkit_sandbox.pace import Pace

_BOOKMARK_SECONDS = (
    60.0  # apiserver sends one about once a minute (API concepts, "Watch bookmarks")
)
_THREADS = 8


class EmbeddedKube:
    """The clusters of one sandbox."""

    def __init__(
        self,
        pace: Pace,
        directory: Path,
        faults: Faults,
        public: Public | None = None,
        door: Callable[[], Door] | None = None,
    ) -> None:
        """``directory`` is private to the sandbox; keys pass through it."""
        self._door = door
        self._pace = pace
        self._faults = faults
        self._directory = directory
        self._public = public or no_public
        self._clusters: dict[str, EmbeddedCluster] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sandbox-kube-hook")
        self._loop = EventLoop()

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
    ) -> EmbeddedCluster:
        """Start a cluster's endpoint; ``ValueError`` if the key is taken."""
        with self._lock:
            if key in self._clusters:
                raise ValueError(f"cluster {key!r} is open already")
            authority = ClusterAuthority()
            listener = Listener(authority, hosts, self._directory, self._faults, self._public)
            cluster = EmbeddedCluster(authority, listener, self._loop.run, self._forget(key))
            self._loop.run(
                cluster.start(
                    ClusterState(version, authority.pem, services),
                    review,
                    lambda state, writer: Runtime(
                        state, writer, self._pace, hooks, self._threads, self._faults
                    ),
                    lambda state, writer: populate(state, writer, admins, objects),
                    issuer,
                    self._door,
                )
            )
            self._clusters[key] = cluster
            return cluster

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
        self._loop.close()
        self._threads.shutdown(wait=True)

    def _forget(self, key: str) -> Callable[[], None]:
        def forget() -> None:
            with self._lock:
                self._clusters.pop(key, None)

        return forget


class EmbeddedCluster:
    """One cluster's API, as it is used by the emulator that made it."""

    def __init__(
        self,
        authority: ClusterAuthority,
        listener: Listener,
        run: Callable[[Coroutine[object, object, None]], None],
        forget: Callable[[], None],
    ) -> None:
        self.listener = listener
        self._authority = authority
        self._run = run
        self._forget = forget
        self._closed = False

    @property
    def ca_pem(self) -> str:
        """The cluster's certificate authority."""
        return self._authority.pem

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self.listener.address

    async def start(
        self,
        state: ClusterState,
        review: TokenReview,
        runtime: Callable[[ClusterState, Writer], Runtime],
        fill: Callable[[ClusterState, Writer], None],
        issuer_name: str,
        door: Callable[[], Door] | None,
    ) -> None:
        """Fill the cluster and listen; on the event loop."""
        writer = Writer(state)
        issuer = TokenIssuer(state, issuer_name or ISSUER)
        self._runtime = runtime(state, writer)
        self._nodes = NodeController(self._runtime)
        scheduler = Scheduler(self._runtime)
        self._builds = Builds(self._runtime, issuer, door)
        self._autoscaler = Autoscaler(self._runtime, scheduler, issuer)
        fill(state, writer)
        self._runtime.start(
            [
                namespaces.NamespaceController(self._runtime),
                namespaces.TokenSecretController(self._runtime, issuer),
                namespaces.AggregationController(self._runtime),
                garbage.GarbageCollector(self._runtime),
                self._nodes,
                scheduler,
                pods.Kubelet(self._runtime, self._builds),
                volumes.ClaimController(self._runtime),
                volumes.VolumeController(self._runtime),
                balancers.BalancerController(self._runtime),
                apiservices.ApiServiceController(self._runtime),
                counting.CountingController(self._runtime),
                endpoints.EndpointController(self._runtime),
                jobs.JobController(self._runtime),
                workloads.ReplicaSetController(self._runtime),
                workloads.DeploymentController(self._runtime),
                sets.StatefulSetController(self._runtime),
                sets.DaemonSetController(self._runtime),
                self._autoscaler,
            ]
        )
        drivers = Drivers(self._runtime)
        self._endpoint = Endpoint(
            state, writer, issuer, review, _BOOKMARK_SECONDS, self._builds, drivers
        )
        await self.listener.start(self._endpoint.application())

    def set_nodes(self, nodes: Sequence[Node]) -> None:
        """Make the node objects be exactly these."""

        async def work() -> None:
            self._nodes.set(nodes)
            self._autoscaler.look()

        if not self._closed:
            self._run(work())

    def rename(self, hosts: Sequence[str]) -> None:
        """Serve these host names instead."""
        self.listener.rename(hosts)

    def client_certificate(
        self, username: str, groups: Sequence[str], seconds: float
    ) -> tuple[str, str]:
        """A new client certificate and its key (PEM); ``ValueError`` for a user name too long."""
        return self._authority.client(username, groups, seconds)

    def close(self) -> None:
        """Close the cluster; may be repeated."""
        if self._closed:
            return
        self._closed = True
        self._forget()

        async def work() -> None:
            self._builds.close()
            self._runtime.close()
            self._endpoint.close()
            await self.listener.close()

        self._run(work())
