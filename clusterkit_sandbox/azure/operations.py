"""The operations of the emulated services, as faults name them:
``containerservice:ManagedClusters_CreateOrUpdate``. Their names are those of the vendor's
specifications.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from clusterkit_sandbox.azure import entra, graph, model
from clusterkit_sandbox.azure.resources import (
    AgentPool,
    Cluster,
    FederatedCredential,
    Group,
    Identity,
    NatGateway,
    PublicIp,
    Registry,
    RoleAssignment,
    StorageAccount,
    Subnet,
    Vault,
    VirtualNetwork,
)
from clusterkit_sandbox.kit.store import Kept

TERMINAL: tuple[str, ...] = (
    "containerregistry:Registries_Create",
    "containerservice:AgentPools_CreateOrUpdate",
    "containerservice:ManagedClusters_CreateOrUpdate",
    "network:NatGateways_CreateOrUpdate",
    "network:PublicIPAddresses_CreateOrUpdate",
    "network:Subnets_CreateOrUpdate",
    "network:VirtualNetworks_CreateOrUpdate",
)
"""the operations that can be made to fail after they were accepted"""

LATE: Mapping[str, type[Kept]] = {
    "authorization:RoleAssignments_Create": RoleAssignment,
    "containerregistry:Registries_Create": Registry,
    "containerservice:AgentPools_CreateOrUpdate": AgentPool,
    "containerservice:ManagedClusters_CreateOrUpdate": Cluster,
    "managedidentity:FederatedIdentityCredentials_CreateOrUpdate": FederatedCredential,
    "managedidentity:UserAssignedIdentities_CreateOrUpdate": Identity,
    "network:NatGateways_CreateOrUpdate": NatGateway,
    "network:PublicIPAddresses_CreateOrUpdate": PublicIp,
    "network:Subnets_CreateOrUpdate": Subnet,
    "network:VirtualNetworks_CreateOrUpdate": VirtualNetwork,
    "keyvault:Vaults_CreateOrUpdate": Vault,
    "resources:ResourceGroups_CreateOrUpdate": Group,
    "storage:StorageAccounts_Create": StorageAccount,
}
"""what the fault ``late`` hides from reads, by the operation that makes it"""
_OTHERS: Mapping[str, tuple[str, ...]] = {
    "entra": (entra.TOKEN, entra.DISCOVERY),
    "graph": (graph.READ,),
}


class AzureOperations:
    """Implements ``clusterkit_sandbox.fault_targets.Operations``."""

    services: Collection[str] = (*model.NAMESPACES, *_OTHERS)
    terminal: Collection[str] = TERMINAL
    late: Collection[str] = tuple(LATE)

    def names(self, service: str) -> Collection[str]:
        """Every operation that the vendor publishes for a service."""
        if service in _OTHERS:
            return _OTHERS[service]
        found = model.descriptions()[service]
        names = (*found.operations, *found.others, *model.UNDESCRIBED)
        return {f"{service}:{name}" for name in names}

    def other(self, pattern: str) -> bool:
        """None: the published descriptions are complete."""
        return False
