"""The embedded Kubernetes API server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.kaniko.container import Door
from clusterkit_sandbox.kube.accounts import ISSUER, TokenIssuer
from clusterkit_sandbox.kube.bootstrap import populate
from clusterkit_sandbox.kube.clusters import Cluster, Clusters, Wanted
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
from clusterkit_sandbox.kube.interfaces import Node
from clusterkit_sandbox.kube.serving import Listener, Public
from clusterkit_sandbox.kube.state import ClusterState
from clusterkit_sandbox.kube.writes import Writer
from clusterkit_sandbox.pace import Pace

_BOOKMARK_SECONDS = (
    60.0  # apiserver sends one about once a minute (API concepts, "Watch bookmarks")
)
_THREADS = 8


class EmbeddedKube(Clusters["EmbeddedCluster"]):
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
        super().__init__(directory, faults, public)
        self.pace = pace
        self.faults = faults
        self.door = door
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sandbox-kube-hook")

    def start(
        self, wanted: Wanted, listener: Listener, forget: Callable[[], None]
    ) -> EmbeddedCluster:
        """Fill a cluster and serve it."""
        cluster = EmbeddedCluster(listener, self.loop, forget)
        self.loop.run(cluster.start(wanted, self))
        return cluster

    def close(self) -> None:
        """Close every cluster and end the threads; may be repeated."""
        super().close()
        self.threads.shutdown(wait=True)


class EmbeddedCluster(Cluster):
    """One cluster's API."""

    async def start(self, wanted: Wanted, kube: EmbeddedKube) -> None:
        """Fill the cluster and listen; on the event loop."""
        state = ClusterState(wanted.version, self.ca_pem, wanted.services)
        writer = Writer(state)
        issuer = TokenIssuer(state, wanted.issuer or ISSUER)
        self._runtime = Runtime(state, writer, kube.pace, wanted.hooks, kube.threads, kube.faults)
        self._nodes = NodeController(self._runtime)
        scheduler = Scheduler(self._runtime)
        self._builds = Builds(self._runtime, issuer, kube.door)
        self._autoscaler = Autoscaler(self._runtime, scheduler, issuer)
        populate(state, writer, wanted.admins, wanted.objects)
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
            state, writer, issuer, wanted.review, _BOOKMARK_SECONDS, self._builds, drivers
        )
        await self.listener.start(self._endpoint.application())

    def set_nodes(self, nodes: Sequence[Node]) -> None:
        """Make the node objects be exactly these."""

        async def work() -> None:
            self._nodes.set(nodes)
            self._autoscaler.look()

        if not self.closed:
            self.loop.run(work())

    def end(self) -> None:
        """End what runs, the watches and the connections."""

        async def work() -> None:
            self._builds.close()
            self._runtime.close()
            self._endpoint.close()
            await self.listener.close()

        self.loop.run(work())
