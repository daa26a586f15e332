"""The operations of the emulated Alibaba Cloud services, as faults name them: ``vpc:CreateVpc``."""

from __future__ import annotations

from collections.abc import Collection

from clusterkit_sandbox.alibaba import model

TERMINAL = ("cs:CreateCluster", "cs:CreateClusterNodePool")


class AlibabaOperations:
    """Implements ``clusterkit_sandbox.fault_targets.Operations``."""

    services: Collection[str] = tuple(model.HOSTS)
    terminal: Collection[str] = TERMINAL
    late: Collection[str] = ()

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
