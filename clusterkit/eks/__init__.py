"""Amazon EKS: what ``clouds.Cloud`` asks of a driver."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from clusterkit.eks import addons, cluster, iam, keypair, leftovers, network, nodes, registry, token
from clusterkit.eks.client import Clients
from clusterkit.eks.graph import graph as graph
from clusterkit.eks.preflight import Facts
from clusterkit.eks.preflight import preflight as _preflight
from clusterkit.eks.profile import EksProfile
from clusterkit.engine.kind import AnyKind
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import Absent, Gone
from clusterkit.kube import drain
from clusterkit.kube.api import Access, Credential
from clusterkit.kube.storage import StorageClass
from clusterkit.naming import CLUSTER

Profile = EksProfile


VolumeClaims = drain.volume_claims(lambda scope: iam.keeps_volumes(scope) is not False)

KINDS: tuple[AnyKind, ...] = (
    keypair.KeyPair,
    iam.Role,
    registry.Repository,
    registry.LogGroup,
    network.Vpc,
    network.InternetGateway,
    # a subnet that goes takes its associations along
    network.RouteTable,
    network.Subnet,
    network.ElasticIp,
    network.NatGateway,
    nodes.LaunchTemplate,
    leftovers.Volumes,
    leftovers.SecurityGroups,
    leftovers.NetworkInterfaces,
    leftovers.TargetGroups,
    leftovers.LoadBalancers,
    leftovers.ClassicLoadBalancers,
    cluster.Cluster,
    cluster.AccessEntry,
    addons.PodIdentity,
    addons.Addon,
    nodes.NodeGroup,
    StorageClass,
    VolumeClaims,
    drain.Ingresses,
    drain.LoadBalancerServices,
)


MINUTES = None
"""a token always lasts 15"""


def connect(target: Target, wire: CloudConnection) -> Clients:
    """The clients; no network."""
    return Clients(target, wire, lambda clients: access(clients, target))


def account(clients: Clients) -> str:
    """The account's 12 digits; ``CredentialsError`` with the cure."""
    return clients.sts.get_caller_identity()["Account"]


def activate(_: EksProfile, __: Clients) -> Sequence[str]:
    """AWS services need no activation."""
    return ()


def preflight(profile: EksProfile, clients: Clients) -> Facts:
    """What the graph needs to know of AWS; ``PreflightError`` with all findings."""
    return _preflight(profile, clients, account(clients))


def access(clients: Clients, target: Target) -> Access:
    """How to reach the cluster's Kubernetes API; ``Absent`` while none of ours is active."""
    try:
        shown = clients.eks.describe_cluster(name=target.name)["cluster"]
    except Gone:
        raise Absent(target.name) from None
    ours = shown.get("tags", {}).get(CLUSTER) == target.name
    if not ours or not shown.get("endpoint") or shown["status"] in ("CREATING", "DELETING"):
        raise Absent(target.name)
    return Access(
        server=shown["endpoint"],
        ca=base64.b64decode(shown["certificateAuthority"]["data"]).decode(),
        token=lambda: token.bearer(clients)[0],
        proxy=clients.wire.proxy,
    )


def credential(clients: Clients, _: Target, __: int | None) -> Credential:
    """A bearer token for the cluster."""
    bearer, expires = token.bearer(clients)
    return Credential(expires, token=bearer)


def exec_native(target: Target) -> Mapping[str, Any]:
    """The ``exec`` stanza ``aws eks update-kubeconfig`` writes."""
    args = ["--region", target.region, "eks", "get-token", "--cluster-name", target.name]
    stanza: dict[str, Any] = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": [*args, "--output", "json"],
        "interactiveMode": "Never",
    }
    if target.cloud_profile:
        stanza["env"] = [{"name": "AWS_PROFILE", "value": target.cloud_profile}]
    return stanza
