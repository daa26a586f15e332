"""Alibaba Cloud ACK: what ``clouds.Cloud`` asks of a driver."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

from clusterkit.alibaba import leftovers
from clusterkit.alibaba.access_list import AccessList
from clusterkit.alibaba.activation import activate as activate
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster import Cluster, owned
from clusterkit.alibaba.graph import graph as graph
from clusterkit.alibaba.iam import Role
from clusterkit.alibaba.keypair import KeyPair
from clusterkit.alibaba.lock import KeyPairLock
from clusterkit.alibaba.namesakes import Namesakes
from clusterkit.alibaba.nat import Eip, NatGateway
from clusterkit.alibaba.network import SecurityGroup, Vpc, VSwitch, keeps_volumes
from clusterkit.alibaba.nodes import NodePool
from clusterkit.alibaba.preflight import account as account
from clusterkit.alibaba.preflight import preflight as preflight
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.alibaba.registry import PersonalRepository, RegistryLogin, Repository
from clusterkit.engine.dates import utc
from clusterkit.engine.kind import AnyKind
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import Absent, ClusterkitError
from clusterkit.kube import drain, issued
from clusterkit.kube.api import Access, Credential
from clusterkit.kube.manifest import Namespace, ServiceAccount
from clusterkit.kube.storage import StorageClass

Profile = AlibabaProfile

VolumeClaims = drain.volume_claims(keeps_volumes)

KINDS: tuple[AnyKind, ...] = (
    Namesakes,
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
    leftovers.ApplicationLoadBalancers,
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
    leftovers.DisksToKeep,
)


def connect(target: Target, wire: CloudConnection) -> Clients:
    """The clients; no network. ``ClusterkitError`` without the vendor's SDK."""
    if find_spec("aliyunsdkcore") is None:
        what = "the alibaba driver needs Alibaba Cloud's SDK, which is not installed"
        raise ClusterkitError(what, hint="pip install 'clusterkit[alibaba]'")
    return Clients(target, wire, lambda clients: access(clients, target))


def exec_native(target: Target) -> Mapping[str, Any]:
    """ACK's own tool for kubectl, ack-ram-authenticator, has to be set up in the cluster first."""
    what = "Alibaba Cloud's own tools give kubectl no credentials by themselves"
    hint = "leave --auth out: clusterkit gets a client certificate for an hour each time"
    raise ClusterkitError(what, where=target.name, hint=hint)


LIFETIME = 60
"""minutes a certificate is valid, unless told otherwise"""
LOCK = KeyPairLock()

MINUTES = range(15, 4321)
"""``TemporaryDurationMinutes`` of DescribeClusterUserKubeconfig"""
EARLY = timedelta(minutes=5)
REACHABLE = ("running", "updating", "upgrading", "scaling", "draining", "removing")
"""states in which the API server answers"""


def access(clients: Clients, target: Target, minutes: int = LIFETIME) -> Access:
    """How to reach the cluster's Kubernetes API, which knows no bearer tokens but short-lived
    client certificates; until shortly before the certificate's end. ``Absent`` while there is no
    running cluster of ours.

    Without ``TemporaryDurationMinutes`` it is valid for years, so that is always sent.
    """
    found = [one for one in owned(clients, target.name) if one.status in REACHABLE]
    if not found:
        raise Absent(target.name)
    operation, path = "DescribeClusterUserKubeconfig", f"/k8s/{found[0].id}/user_config"
    query = {"PrivateIpAddress": not found[0].public, "TemporaryDurationMinutes": minutes}
    given = clients.cs(operation, "GET", path, **query)
    end = datetime.now(UTC) + timedelta(minutes=minutes)
    until = (utc(given.get("expiration")) or end) - EARLY
    return issued.access(given["config"], f"CS.{operation}", proxy=clients.wire.proxy, until=until)


def credential(clients: Clients, target: Target, minutes: int | None = None) -> Credential:
    """A client certificate for kubectl, good for an hour unless told otherwise."""
    found = access(clients, target, minutes or LIFETIME)
    end = (found.until or datetime.now(UTC)) + EARLY
    pair = (found.client_certificate or "", found.client_key or "")
    return Credential(end, certificate=pair[0], key=pair[1])
