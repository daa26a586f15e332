"""The operations of the emulated Alibaba Cloud services, as faults name them: ``vpc:CreateVpc``."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from clusterkit_sandbox.alibaba import model
from clusterkit_sandbox.alibaba.models import (
    Acl,
    Cluster,
    Disk,
    Eip,
    KeyPair,
    Namespace,
    NatGateway,
    NetworkInterface,
    NodePool,
    Policy,
    Repository,
    Role,
    SecurityGroup,
    SnatEntry,
    Thing,
    Vpc,
    VSwitch,
)

TERMINAL = ("cs:CreateCluster", "cs:CreateClusterNodePool")

LATE: Mapping[str, type[Thing]] = {
    "cr:CreateNamespace": Namespace,
    "cr:CreateRepository": Repository,
    "cs:CreateCluster": Cluster,
    "cs:CreateClusterNodePool": NodePool,
    "ecs:CreateDisk": Disk,
    "ecs:CreateNetworkInterface": NetworkInterface,
    "ecs:CreateSecurityGroup": SecurityGroup,
    "ecs:ImportKeyPair": KeyPair,
    "ram:CreatePolicy": Policy,
    "ram:CreateRole": Role,
    "slb:CreateAccessControlList": Acl,
    "vpc:AllocateEipAddress": Eip,
    "vpc:CreateNatGateway": NatGateway,
    "vpc:CreateSnatEntry": SnatEntry,
    "vpc:CreateVSwitch": VSwitch,
    "vpc:CreateVpc": Vpc,
}
"""what the fault ``late`` hides from reads, by the call that makes it"""


class AlibabaOperations:
    """Implements ``clusterkit_sandbox.fault_targets.Operations``."""

    services: Collection[str] = tuple(model.HOSTS)
    terminal: Collection[str] = TERMINAL
    late: Collection[str] = tuple(LATE)

    def names(self, service: str) -> Collection[str]:
        """Every operation that the vendor publishes for a service."""
        return [
            f"{service}:{name}"
            for product in model.products().values()
            if product.name == service
            for name in (*product.operations, *product.others)
        ]

    def other(self, pattern: str) -> bool:
        """None: the published descriptions are complete."""
        return False
