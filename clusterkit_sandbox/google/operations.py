"""The methods of the emulated Google services, as faults name them: ``compute.networks.insert``."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from clusterkit_sandbox.google import model
from clusterkit_sandbox.google.accounts import ServiceAccount
from clusterkit_sandbox.google.clusterrecords import Cluster, NodePool
from clusterkit_sandbox.google.resources import (
    Address,
    Disk,
    Firewall,
    FirewallPolicy,
    Network,
    Router,
    Subnetwork,
)
from clusterkit_sandbox.kit.store import Kept

_CHANGED = ("networks", "routers", "subnetworks")
TERMINAL: tuple[str, ...] = (
    "artifactregistry.projects.locations.repositories.create",
    "artifactregistry.projects.locations.repositories.delete",
    "serviceusage.services.batchEnable",
    "serviceusage.services.enable",
    *(f"compute.{kind}.{verb}" for verb in ("delete", "insert") for kind in _CHANGED),
    "compute.addresses.insert",
    "compute.disks.insert",
    "compute.firewalls.insert",
    "compute.networkFirewallPolicies.insert",
    "compute.routers.patch",
    "compute.subnetworks.patch",
    *(
        f"container.projects.{form}.clusters.{kind}{verb}"
        for form in ("locations", "zones")
        for verb in ("create", "delete", "update")
        for kind in ("", "nodePools.")
    ),
    *(f"container.projects.{form}.clusters.nodePools.setSize" for form in ("locations", "zones")),
    "serviceusage.services.batchEnable",
    "serviceusage.services.enable",
)
"""the methods whose operation can be made to end with an error"""

LATE: Mapping[str, type[Kept]] = {
    "compute.addresses.insert": Address,
    "compute.disks.insert": Disk,
    "compute.firewalls.insert": Firewall,
    "compute.networkFirewallPolicies.insert": FirewallPolicy,
    "compute.networks.insert": Network,
    "compute.routers.insert": Router,
    "compute.subnetworks.insert": Subnetwork,
    "container.projects.locations.clusters.create": Cluster,
    "container.projects.locations.clusters.nodePools.create": NodePool,
    "iam.projects.serviceAccounts.create": ServiceAccount,
}
"""what the fault ``late`` hides from reads, by the method that makes it"""
USABLE = ("serviceusage.services.batchEnable", "serviceusage.services.enable")
"""the methods for which ``late`` means that what they enable is refused for longer"""
STALE = (
    "artifactregistry.projects.locations.repositories.setIamPolicy",
    "cloudresourcemanager.projects.setIamPolicy",
    "iam.projects.serviceAccounts.setIamPolicy",
)
"""the methods for which ``late`` means that reads answer what was before (openshift/installer#2790)
"""
TOKEN = "oauth2.token"
"""what exchanges a signed assertion for an access token"""


class GoogleOperations:
    """Implements ``clusterkit_sandbox.fault_targets.Operations``."""

    services: Collection[str] = (*model.SERVICES, "oauth2")
    terminal: Collection[str] = TERMINAL
    late: Collection[str] = (*LATE, *USABLE, *STALE)

    def names(self, service: str) -> Collection[str]:
        """Every method that Google publishes for a service."""
        if service == "oauth2":
            return (TOKEN,)
        found = (api for api in model.apis() if api.name == service)
        return {method for api in found for method in (*api.methods, *api.others)}

    def other(self, pattern: str) -> bool:
        """None: the published descriptions are complete."""
        return False
