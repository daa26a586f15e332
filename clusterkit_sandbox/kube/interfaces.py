"""The interface between a cloud's emulator and the Kubernetes side of the sandbox.

The emulator asks a ``KubeServer`` for an endpoint when it makes a cluster, says which nodes there
are, and is called back through ``CloudHooks`` for the things Kubernetes makes in a cloud: load
balancers and volumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from clusterkit_sandbox.answer import Answer


@dataclass(frozen=True)
class Identity:
    """A Kubernetes user."""

    username: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    may: Callable[[str, str, str], str] | None = field(default=None, compare=False, repr=False)
    """the cloud's own authorizer: why a verb on a group's resource is allowed, empty if it is not;
    asked where RBAC allows nothing
    """


TokenReview = Callable[[str], Identity | None]
"""Bearer token to identity; None means 401. Called for every request that carries an unknown token.
"""


@dataclass(frozen=True)
class Node:
    """One machine of a node pool, as the node object shows it."""

    name: str
    provider_id: str
    """``aws:///eu-west-1a/i-0abc``"""
    instance_type: str
    zone: str
    region: str
    cpu: int
    """cores"""
    memory: int
    """MiB"""
    architecture: str = "amd64"
    internal_ip: str = "10.0.0.1"
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()
    """(key, value, effect), effect in Kubernetes' spelling: ``NoSchedule``"""
    unschedulable: bool = False
    """whether it registers cordoned"""


@dataclass(frozen=True)
class VolumeRequest:
    """What the volume of a claim is to be."""

    provisioner: str
    """the CSI driver"""
    name: str
    """the PersistentVolume's"""
    size: int
    """GiB"""
    zone: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """the StorageClass's"""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Volume:
    """A volume as it was made; ``size`` in GiB, which may be more than was asked for."""

    id: str
    size: int


@dataclass(frozen=True)
class ScalerPod:
    """A running pod of the cluster autoscaler that somebody installed."""

    namespace: str
    name: str
    account: str
    """its ServiceAccount's name"""
    annotations: Mapping[str, str]
    """the ServiceAccount's"""
    arguments: tuple[str, ...]
    """its container's command line, without the program"""
    environment: Mapping[str, str]
    token: Callable[[str], str]
    """a token of the ServiceAccount for an audience"""


@dataclass(frozen=True)
class RunningPod:
    """A pod whose program runs, as the cloud and its machine see it."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    account: str
    """its ServiceAccount's name"""
    annotations: Mapping[str, str]
    """the ServiceAccount's"""
    machine: str
    """the provider id of its node"""
    host_network: bool
    token: Callable[[str], str]
    """a token of the ServiceAccount for an audience"""


@dataclass(frozen=True)
class Injected:
    """What a cloud's admission webhook adds to the containers of a pod."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """a variable that the container has already is kept"""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """path to the audience of the ServiceAccount's token that is there"""


@dataclass(frozen=True)
class ScalingRules:
    """How an autoscaler goes about it: the defaults of the cluster autoscaler's flags of these
    names (kubernetes/autoscaler, cluster-autoscaler/FAQ.md, "What are the parameters to CA?").
    Seconds are the real service's.
    """

    scan_interval: float = 10
    scale_down_unneeded_time: float = 600
    scale_down_delay_after_add: float = 600
    scale_down_delay_after_failure: float = 180
    scale_down_utilization_threshold: float = 0.5
    initial_node_group_backoff_duration: float = 300
    max_node_provision_time: float = 900
    max_graceful_termination: float = 600
    skip_nodes_with_system_pods: bool = True
    skip_nodes_with_local_storage: bool = True
    scale_down_enabled: bool = True


@dataclass(frozen=True)
class NodeGroup:
    """Machines that an autoscaler may add to or take from."""

    name: str
    """as its events and its status show it"""
    least: int
    most: int
    target: int
    """how many there are to be"""
    template: Node
    """a machine as the next one would be"""
    machines: tuple[str, ...]
    """provider ids of those there are"""


class Scaling(Protocol):
    """A cloud as an autoscaler uses it. All are called from threads; ``RuntimeError`` is the
    cloud's refusal, in the words that the autoscaler would log.
    """

    @property
    def rules(self) -> ScalingRules:
        """How it goes about it."""

    def groups(self) -> Sequence[NodeGroup]:
        """The groups that it may scale."""

    def grow(self, group: str, size: int) -> None:
        """Ask for so many machines."""

    def remove(self, group: str, machines: Sequence[str]) -> None:
        """Remove the machines with these provider ids, and ask for so many fewer."""


class CloudHooks(Protocol):
    """The cloud controller manager and the storage driver, as far as they act on the cloud.

    All are called from threads of the Kubernetes side, never under its locks; each may raise
    ``RuntimeError`` with a message that then shows as an Event, and is tried again.
    """

    def ensure_load_balancer(
        self, kind: str, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> str:
        """Create (or find) the load balancer of a ``Service`` or ``Ingress``; return its host name,
        empty if no controller of this cluster is responsible for the kind.
        """

    def delete_load_balancer(self, uid: str) -> None:
        """Delete it, if it exists."""

    def provisioners(self) -> Sequence[str]:
        """Names of the CSI drivers that work at the moment (``ebs.csi.aws.com`` once the add-on is
        active).
        """

    def create_volume(self, asked: VolumeRequest) -> str | Volume:
        """Make the volume; return its id, or the volume if it came out larger."""

    def delete_volume(self, volume: str) -> None:
        """Delete it, if it exists."""

    def injected(self, pod: RunningPod) -> Injected | None:
        """What the pod's containers get besides what its spec says, if anything."""

    def nearby(
        self, pod: RunningPod, method: str, url: str, headers: Mapping[str, str]
    ) -> Answer | None:
        """The answer of an address that only machines of the cloud reach: its metadata service,
        an agent on the node. None if nothing answers the pod there.
        """

    def scaling(self, pod: ScalerPod | None) -> Scaling | None:
        """What scales the cluster's nodes: the cloud's own autoscaler, or the one that runs in this
        pod. None if nothing does; ``RuntimeError`` says why it cannot work.
        """


class KubeCluster(Protocol):
    """One cluster's Kubernetes API."""

    @property
    def ca_pem(self) -> str:
        """The certificate authority that signed the endpoint's certificate and signs client
        certificates.
        """

    @property
    def address(self) -> tuple[str, int]:
        """The loopback (host, port) that speaks TLS for every host name given to ``open``."""

    def set_nodes(self, nodes: Sequence[Node]) -> None:
        """Make the node objects be exactly these: new ones turn Ready, vanished ones go."""

    def rename(self, hosts: Sequence[str]) -> None:
        """Serve these host names instead of those given to ``open``."""

    def client_certificate(
        self, username: str, groups: Sequence[str], seconds: float
    ) -> tuple[str, str]:
        """A new client certificate and key (PEM) that lives ``seconds``."""

    def close(self) -> None:
        """Close the endpoint."""


class KubeServer(Protocol):
    """The Kubernetes side: ``embedded`` or ``envtest``, used alike."""

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
    ) -> KubeCluster:
        """Start a cluster's endpoint.

        ``key`` is unique in the sandbox; ``hosts`` are the names its certificate is for (the proxy
        routes them here); ``version`` is ``1.34``-like and is served as ``v1.34.N`` with the
        vendor's suffix left out; ``admins`` are user names bound to cluster-admin (groups bind by
        ``system:masters``); ``objects`` are applied before the endpoint answers (the vendor's own
        storage class, say); ``issuer`` is whose the tokens of service accounts are, if not the
        usual one's; ``services`` is the range of Services' addresses, if not the usual one.
        """

    def hosts(self) -> Mapping[str, tuple[str, int]]:
        """Host name to loopback address, of every open cluster."""

    def close(self) -> None:
        """Close every cluster."""
