"""Azure Kubernetes Service: what ``clouds.Cloud`` asks of a driver."""

from __future__ import annotations

from clusterkit.aks import leftovers
from clusterkit.aks.access import access as access
from clusterkit.aks.access import administrator as administrator
from clusterkit.aks.access import credential as credential
from clusterkit.aks.access import exec_native as exec_native
from clusterkit.aks.activation import activate as activate
from clusterkit.aks.blobs import StorageAccount
from clusterkit.aks.builds import push_access as push_access
from clusterkit.aks.checks import checks as checks
from clusterkit.aks.client import Clients
from clusterkit.aks.cluster import Cluster
from clusterkit.aks.graph import graph as graph
from clusterkit.aks.group import ResourceGroup
from clusterkit.aks.iam import Identity, RoleAssignment, keeps_volumes
from clusterkit.aks.jenkinsx import platform as platform
from clusterkit.aks.keypair import SshPublicKey
from clusterkit.aks.keyvault import KeyVault
from clusterkit.aks.lock import ScaleSetLock
from clusterkit.aks.network import NatGateway, PublicIp, VirtualNetwork
from clusterkit.aks.nodes import NodePool
from clusterkit.aks.preflight import account as account
from clusterkit.aks.preflight import preflight as preflight
from clusterkit.aks.profile import AksProfile
from clusterkit.aks.registry import Registry
from clusterkit.aks.storage import StorageClass
from clusterkit.aks.workload import FederatedCredential, ServiceAccount
from clusterkit.engine.kind import AnyKind
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.kube import drain
from clusterkit.kube.manifest import ConfigMap, Namespace
from clusterkit.ready.jenkinsx import RegistryAuth
from clusterkit.ready.registry import RegistryLogin
from clusterkit.ready.repair import Repair

Profile = AksProfile

VolumeClaims = drain.volume_claims(lambda scope: keeps_volumes(scope) is not False)

KINDS: tuple[AnyKind, ...] = (
    ResourceGroup,
    SshPublicKey,
    Registry,
    StorageAccount,
    KeyVault,
    Identity,
    PublicIp,
    NatGateway,
    VirtualNetwork,
    RoleAssignment,
    leftovers.Disks,
    leftovers.NodeGroups,
    Cluster,
    FederatedCredential,
    NodePool,
    StorageClass,
    Namespace,
    ServiceAccount,
    ConfigMap,
    RegistryLogin,
    RegistryAuth,
    VolumeClaims,
    drain.Ingresses,
    drain.LoadBalancerServices,
    leftovers.DisksToKeep,
    leftovers.DoomedVolumes,
)
REPAIR = Repair(
    kinds=frozenset(
        {
            "config-map",
            "federated-credential",
            "identity",
            "namespace",
            "registry-auth",
            "registry-login",
            "role-assignment",
            "service-account",
        }
    ),
    checks=frozenset({"Z1", "Z2", "Z3", "Z4", "Z6"}),
)
LOCK = ScaleSetLock()
MINUTES = None
"""Entra ID decides how long a token is good"""


def connect(target: Target, wire: CloudConnection) -> Clients:
    """The clients; no network."""
    return Clients(target, wire, lambda clients: access(clients, target))
