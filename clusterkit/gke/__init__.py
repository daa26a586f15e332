"""Google Kubernetes Engine: what ``clouds.Cloud`` asks of a driver."""

from __future__ import annotations

from clusterkit.engine.kind import AnyKind
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.gke import cluster, iam, leftovers, network, nodes, registry, storage, workload
from clusterkit.gke.access import access as access
from clusterkit.gke.access import credential as credential
from clusterkit.gke.access import exec_native as exec_native
from clusterkit.gke.activation import activate as activate
from clusterkit.gke.builds import KeySecret
from clusterkit.gke.builds import push_access as push_access
from clusterkit.gke.checks import checks as checks
from clusterkit.gke.client import Clients
from clusterkit.gke.graph import graph as graph
from clusterkit.gke.jenkinsx import platform as platform
from clusterkit.gke.lock import FirewallPolicyLock
from clusterkit.gke.preflight import account as account
from clusterkit.gke.preflight import preflight as preflight
from clusterkit.gke.profile import GkeProfile
from clusterkit.kube import drain
from clusterkit.kube.kubeconfig import no_administrator
from clusterkit.kube.manifest import ConfigMap, Namespace
from clusterkit.kube.storage import StorageClass
from clusterkit.ready.jenkinsx import RegistryAuth
from clusterkit.ready.registry import RegistryLogin
from clusterkit.ready.repair import Repair

Profile = GkeProfile
administrator = no_administrator

VolumeClaims = drain.volume_claims(lambda scope: leftovers.keeps_volumes(scope) is not False)

KINDS: tuple[AnyKind, ...] = (
    iam.Unmarked,
    storage.Unmarked,
    iam.IamServiceAccount,
    registry.Repository,
    registry.GcrRepository,
    storage.Bucket,
    network.Network,
    network.Subnetwork,
    network.Router,
    network.Firewall,
    leftovers.Disks,
    # what proves whose the others are goes last
    leftovers.Firewalls,
    leftovers.InstanceGroups,
    leftovers.EndpointGroups,
    leftovers.Addresses,
    leftovers.HealthChecks,
    leftovers.HttpHealthChecks,
    leftovers.TargetPools,
    leftovers.BackendServices,
    leftovers.UrlMaps,
    leftovers.HttpsProxies,
    leftovers.HttpProxies,
    leftovers.ForwardingRules,
    cluster.Cluster,
    nodes.NodePool,
    workload.WorkloadAccess,
    StorageClass,
    Namespace,
    workload.ServiceAccount,
    ConfigMap,
    RegistryLogin,
    RegistryAuth,
    KeySecret,
    VolumeClaims,
    drain.Ingresses,
    drain.LoadBalancerServices,
    leftovers.DisksToKeep,
    leftovers.Snapshots,
)
REPAIR = Repair(
    kinds=frozenset(
        {
            "bucket",
            "gcr-repository",
            "iam-service-account",
            "key-secret",
            "namespace",
            "registry-auth",
            "registry-login",
            "repository",
            "service-account",
            "workload-access",
        }
    ),
    # pools keep the account that they are made with
    besides=frozenset({"iam-service-account/nodes"}),
    checks=frozenset({"G1", "G2", "G3", "G4", "G5", "G7"}),
)
LOCK = FirewallPolicyLock()
MINUTES = None
"""an access token lasts an hour"""


def connect(target: Target, wire: CloudConnection) -> Clients:
    """The clients; no network."""
    return Clients(target, wire, lambda clients: access(clients, target))
