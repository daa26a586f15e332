"""What AKS is told to make a node pool of: the same in the call that creates the cluster with its
first pools, and in the one that adds a pool later.

A pool's name has at most 12 characters of ``[a-z0-9]`` (``agentPools`` of
Microsoft.ContainerService), so it holds a part of the profile's and a hash of all that cannot be
changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit.aks import ids
from clusterkit.engine.occupant import Occupant
from clusterkit.kube.nodes import Taint
from clusterkit.naming import CLUSTER, NAME, digest

OS = {"azurelinux": "AzureLinux", "ubuntu": "Ubuntu"}
MODES = {"system": "System", "user": "User"}
OF_AKS = "kubernetes.azure.com/"
"""how labels and taints begin that AKS puts on nodes by itself, on spot pools among others
(https://learn.microsoft.com/azure/aks/use-labels, "Reserved prefixes")"""
MAX_PODS = 110
"""of a node; an overlay gives each a /24 (https://learn.microsoft.com/azure/aks/azure-cni-overlay)"""
SHOWN_OF_NAME = 7
HASH = 5


def shown_name(name: str) -> str:
    """What is seen of a pool's name in Azure."""
    plain = re.sub(r"[^a-z0-9]", "", name)
    return (plain if plain[:1].isalpha() else f"p{plain}")[:SHOWN_OF_NAME]


def pool_name(name: str, *fixed: object) -> str:
    """What a pool of the profile is called in Azure."""
    return f"{shown_name(name)}{digest(name, *fixed, length=HASH)}"


@dataclass(frozen=True)
class PoolSettings:
    """A node pool without what only a run knows: its tags and the subnet."""

    name: str
    machine: str
    """what the profile asked for"""
    machine_type: str
    disk: int
    """GiB"""
    os: str
    """``AzureLinux``"""
    mode: str
    """``System`` or ``User``"""
    zones: tuple[str, ...]
    """none in a region without zones"""
    minimum: int
    maximum: int
    automatic: bool
    spot: bool
    labels: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...]
    version: str

    def body(self, marks: Mapping[str, str], subnet: str) -> dict[str, Any]:
        """The pool's properties, as the API's ``ManagedClusterAgentPoolProfileProperties``."""
        pool: dict[str, Any] = {
            "type": "VirtualMachineScaleSets",
            "mode": self.mode,
            "osType": "Linux",
            "osSKU": self.os,
            "vmSize": self.machine_type,
            "osDiskSizeGB": self.disk,
            "osDiskType": "Managed",
            "vnetSubnetID": subnet,
            "maxPods": MAX_PODS,
            "orchestratorVersion": self.version,
            "nodeLabels": dict(self.labels),
            "nodeTaints": taints(self.taints),
            "tags": dict(marks),
            **self.scale(self.minimum),
        }
        if self.zones:
            pool["availabilityZones"] = list(self.zones)
        if self.spot:
            # never dearer than the price without spot (``spotMaxPrice``: -1)
            pool |= {"scaleSetPriority": "Spot", "scaleSetEvictionPolicy": "Delete"}
            pool["spotMaxPrice"] = -1
        return pool

    def scale(self, count: int) -> dict[str, Any]:
        """The number of nodes, or its limits with a number within them."""
        if not self.automatic:
            return {"count": self.minimum, "enableAutoScaling": False}
        most = max(self.maximum, 1)
        within = min(max(count, self.minimum), most)
        limits = {"minCount": self.minimum, "maxCount": most}
        return {"count": within, "enableAutoScaling": True, **limits}


def taints(wanted: tuple[Taint, ...]) -> list[str]:
    """Taints as AKS writes them: ``key=value:NoSchedule``."""
    return [f"{key}={value}:{effect}" for key, value, effect in wanted]


def ours(cluster: str, shown: Mapping[str, Any]) -> bool:
    """Whether a pool is ours; what a cluster's tags were passed on to is not."""
    tags = shown.get("tags") or {}
    return (tags.get(CLUSTER), tags.get(NAME)) == (cluster, shown["name"])


def foreign(cluster: str, path: str, pools: Iterable[Mapping[str, Any]]) -> Iterator[Occupant]:
    """The pools in a cluster that others have added."""
    for shown in pools:
        if not ours(cluster, shown):
            identifier = f"{path}/agentPools/{shown['name']}"
            cure = f"az resource delete --ids {identifier}"
            yield Occupant("node pool", ids.key(identifier), str(shown["name"]), cure)
