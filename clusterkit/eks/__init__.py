"""Amazon EKS: what ``clouds.Cloud`` asks of a driver."""

from __future__ import annotations

from collections.abc import Sequence

from clusterkit.eks import (
    addons,
    cluster,
    entries,
    iam,
    irsa,
    keypair,
    leftovers,
    network,
    nodes,
    registry,
    storage,
)
from clusterkit.eks.access import access as access
from clusterkit.eks.access import credential as credential
from clusterkit.eks.access import exec_native as exec_native
from clusterkit.eks.builds import push_access as push_access
from clusterkit.eks.checks import checks as checks
from clusterkit.eks.client import Clients
from clusterkit.eks.graph import graph as graph
from clusterkit.eks.jenkinsx import platform as platform
from clusterkit.eks.lock import LaunchTemplateLock
from clusterkit.eks.preflight import account as account
from clusterkit.eks.preflight import preflight as preflight
from clusterkit.eks.profile import EksProfile
from clusterkit.engine.kind import AnyKind
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.kube import drain
from clusterkit.kube.deployment import Deployment
from clusterkit.kube.kubeconfig import no_administrator
from clusterkit.kube.manifest import ConfigMap, Namespace, ServiceAccount
from clusterkit.kube.rbac import (
    ClusterRole,
    ClusterRoleBinding,
    NamespacedRole,
    NamespacedRoleBinding,
)
from clusterkit.kube.storage import StorageClass
from clusterkit.ready.jenkinsx import RegistryAuth
from clusterkit.ready.registry import RegistryLogin
from clusterkit.ready.repair import Repair

Profile = EksProfile
administrator = no_administrator


VolumeClaims = drain.volume_claims(lambda scope: iam.keeps_volumes(scope) is not False)

KINDS: tuple[AnyKind, ...] = (
    leftovers.Untagged,
    keypair.KeyPair,
    iam.Role,
    registry.Repository,
    storage.Bucket,
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
    leftovers.Endpoints,
    leftovers.TargetGroups,
    leftovers.LoadBalancers,
    leftovers.ClassicLoadBalancers,
    leftovers.Instances,
    cluster.Cluster,
    entries.AccessEntry,
    irsa.OidcProvider,
    irsa.PodRole,
    addons.PodIdentity,
    addons.Addon,
    nodes.NodeGroup,
    StorageClass,
    Namespace,
    ServiceAccount,
    ClusterRole,
    ClusterRoleBinding,
    NamespacedRole,
    NamespacedRoleBinding,
    Deployment,
    ConfigMap,
    RegistryLogin,
    RegistryAuth,
    VolumeClaims,
    drain.Ingresses,
    drain.LoadBalancerServices,
    leftovers.VolumesToKeep,
    leftovers.Snapshots,
)


REPAIR = Repair(
    kinds=frozenset(
        {
            "config-map",
            "namespace",
            "oidc-provider",
            "pod-identity",
            "pod-role",
            "registry-auth",
            "registry-login",
            "repository",
            "role",
            "service-account",
        }
    ),
    checks=frozenset({"E1", "E2", "E3", "E4"}),
)
LOCK = LaunchTemplateLock()

MINUTES = None
"""a token always lasts 15"""


def connect(target: Target, wire: CloudConnection) -> Clients:
    """The clients; no network."""
    return Clients(target, wire, lambda clients: access(clients, target))


def activate(_: EksProfile, __: Clients) -> Sequence[str]:
    """AWS services need no activation."""
    return ()
