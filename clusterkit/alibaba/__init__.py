"""Alibaba Cloud ACK: what ``clouds.Cloud`` asks of a driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from clusterkit.alibaba import access as kubernetes
from clusterkit.alibaba import activation, leftovers
from clusterkit.alibaba.access_list import AccessList
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster import Cluster
from clusterkit.alibaba.graph import graph
from clusterkit.alibaba.iam import Role
from clusterkit.alibaba.keypair import KeyPair
from clusterkit.alibaba.nat import Eip, NatGateway
from clusterkit.alibaba.network import SecurityGroup, Vpc, VSwitch, keeps_volumes
from clusterkit.alibaba.nodes import NodePool
from clusterkit.alibaba.personal_registry import PersonalRepository
from clusterkit.alibaba.preflight import Facts
from clusterkit.alibaba.preflight import preflight as _preflight
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.alibaba.registry import RegistryLogin, Repository
from clusterkit.engine.kind import AnyKind
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import ClusterkitError
from clusterkit.kube import drain
from clusterkit.kube.api import Access, Credential
from clusterkit.kube.manifest import Namespace, ServiceAccount
from clusterkit.kube.storage import StorageClass

__all__ = [
    "KINDS",
    "MINUTES",
    "Profile",
    "access",
    "account",
    "activate",
    "connect",
    "credential",
    "exec_native",
    "graph",
    "preflight",
]

Profile = AlibabaProfile


VolumeClaims = drain.volume_claims(keeps_volumes)

KINDS: tuple[AnyKind, ...] = (
    KeyPair,
    Repository,
    PersonalRepository,
    Vpc,
    VSwitch,
    Eip,
    NatGateway,
    SecurityGroup,
    leftovers.Disks,
    leftovers.SecurityGroups,
    leftovers.NetworkInterfaces,
    leftovers.ClassicLoadBalancers,
    leftovers.NetworkLoadBalancers,
    leftovers.LogProjects,
    Cluster,
    AccessList,
    Role,
    NodePool,
    StorageClass,
    Namespace,
    ServiceAccount,
    RegistryLogin,
    VolumeClaims,
    drain.Ingresses,
    drain.LoadBalancerServices,
)

MINUTES = kubernetes.ALLOWED


def connect(target: Target, wire: CloudConnection) -> Clients:
    """The clients; no network. ``ClusterkitError`` without the vendor's SDK."""
    if find_spec("aliyunsdkcore") is None:
        what = "the alibaba driver needs Alibaba Cloud's SDK, which is not installed"
        raise ClusterkitError(what, hint="pip install 'clusterkit[alibaba]'")
    return Clients(target, wire, lambda clients: access(clients, target))


def account(clients: Clients) -> str:
    """The account's number; ``CredentialsError`` with the cure."""
    return str(clients.sts("GetCallerIdentity")["AccountId"])


def activate(profile: AlibabaProfile, clients: Clients) -> Sequence[str]:
    """Activate Container Service and make the service roles that are missing."""
    return activation.activate(profile, clients)


def preflight(profile: AlibabaProfile, clients: Clients) -> Facts:
    """What the graph needs to know of Alibaba Cloud; ``PreflightError`` with all findings."""
    return _preflight(profile, clients, account(clients))


def access(clients: Clients, target: Target) -> Access:
    """How to reach the cluster's Kubernetes API; ``Absent`` while none of ours is running."""
    return kubernetes.access(clients, target)


def credential(clients: Clients, target: Target, minutes: int | None) -> Credential:
    """A client certificate for the cluster, good for an hour unless told otherwise."""
    return kubernetes.credential(clients, target, minutes)


def exec_native(target: Target) -> Mapping[str, Any]:
    """ACK's own tool for kubectl, ack-ram-authenticator, has to be set up in the cluster first."""
    raise ClusterkitError(
        "Alibaba Cloud's own tools give kubectl no credentials by themselves",
        where=target.name,
        hint="leave --auth out: clusterkit gets a client certificate for an hour each time",
    )
