"""Alibaba Cloud ACK: what ``clouds.Cloud`` asks of a driver."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from clusterkit.alibaba import leftovers
from clusterkit.alibaba.access import MINUTES, access, credential
from clusterkit.alibaba.access_list import AccessList
from clusterkit.alibaba.activation import activate
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster import Cluster
from clusterkit.alibaba.graph import graph
from clusterkit.alibaba.iam import Role
from clusterkit.alibaba.keypair import KeyPair
from clusterkit.alibaba.nat import Eip, NatGateway
from clusterkit.alibaba.network import SecurityGroup, Vpc, VSwitch, keeps_volumes
from clusterkit.alibaba.nodes import NodePool
from clusterkit.alibaba.preflight import account, preflight
from clusterkit.alibaba.profile import AlibabaProfile as Profile
from clusterkit.alibaba.registry import PersonalRepository, RegistryLogin, Repository
from clusterkit.engine.kind import AnyKind
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import ClusterkitError
from clusterkit.kube import drain
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


def connect(target: Target, wire: CloudConnection) -> Clients:
    """The clients; no network. ``ClusterkitError`` without the vendor's SDK."""
    if find_spec("aliyunsdkcore") is None:
        what = "the alibaba driver needs Alibaba Cloud's SDK, which is not installed"
        raise ClusterkitError(what, hint="pip install 'clusterkit[alibaba]'")
    return Clients(target, wire, lambda clients: access(clients, target))


def exec_native(target: Target) -> Mapping[str, Any]:
    """ACK's own tool for kubectl, ack-ram-authenticator, has to be set up in the cluster first."""
    raise ClusterkitError(
        "Alibaba Cloud's own tools give kubectl no credentials by themselves",
        where=target.name,
        hint="leave --auth out: clusterkit gets a client certificate for an hour each time",
    )
