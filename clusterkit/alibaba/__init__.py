"""Alibaba Cloud ACK: what ``clouds.Cloud`` asks of a driver."""

from __future__ import annotations

from clusterkit.alibaba import leftovers
from clusterkit.alibaba.access import access as access
from clusterkit.alibaba.access import credential as credential
from clusterkit.alibaba.access import exec_native as exec_native
from clusterkit.alibaba.access_list import AccessList
from clusterkit.alibaba.activation import activate as activate
from clusterkit.alibaba.builds import push_access as push_access
from clusterkit.alibaba.checks import checks as checks
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster import Cluster
from clusterkit.alibaba.graph import graph as graph
from clusterkit.alibaba.iam import Role
from clusterkit.alibaba.jenkinsx import platform as platform
from clusterkit.alibaba.keypair import KeyPair
from clusterkit.alibaba.lock import KeyPairLock
from clusterkit.alibaba.namesakes import Namesakes
from clusterkit.alibaba.nat import Eip, NatGateway
from clusterkit.alibaba.network import SecurityGroup, Vpc, VSwitch, keeps_volumes
from clusterkit.alibaba.nodes import NodePool
from clusterkit.alibaba.preflight import account as account
from clusterkit.alibaba.preflight import preflight as preflight
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.alibaba.registry import PersonalRepository, Repository
from clusterkit.engine.kind import AnyKind
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.kube import drain
from clusterkit.kube.kubeconfig import no_administrator
from clusterkit.kube.manifest import ConfigMap, Namespace, ServiceAccount
from clusterkit.kube.storage import StorageClass
from clusterkit.ready.jenkinsx import RegistryAuth
from clusterkit.ready.registry import RegistryLogin
from clusterkit.ready.repair import Repair

Profile = AlibabaProfile
administrator = no_administrator

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
    ConfigMap,
    RegistryLogin,
    RegistryAuth,
    VolumeClaims,
    drain.Ingresses,
    drain.LoadBalancerServices,
    leftovers.DisksToKeep,
    leftovers.Snapshots,
    leftovers.FileSystems,
)
REPAIR = Repair(
    kinds=frozenset(
        {
            "config-map",
            "namespace",
            "personal-repository",
            "registry-auth",
            "registry-login",
            "repository",
            "service-account",
        }
    ),
    checks=frozenset({"A7"}),
)
LOCK = KeyPairLock()
MINUTES = range(15, 4321)
"""``TemporaryDurationMinutes`` of DescribeClusterUserKubeconfig"""


def connect(target: Target, wire: CloudConnection) -> Clients:
    """The clients; no network."""
    return Clients(target, wire, lambda clients: access(clients, target))
