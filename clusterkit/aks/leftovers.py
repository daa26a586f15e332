"""What Kubernetes made in Azure and left behind.

Nearly all of it lies in the node resource group (load balancers, their addresses, network
interfaces, disks), which AKS deletes with the cluster
(https://learn.microsoft.com/azure/aks/faq, "Why are two resource groups created with AKS?"). Disks
of our StorageClass lie in the cluster's own group, with our tag: they outlive the cluster, and go
or stay as their PersistentVolumes said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clusterkit.aks import ids, locks
from clusterkit.aks.client import Clients
from clusterkit.aks.cluster import listed
from clusterkit.aks.errors import CLUSTERS
from clusterkit.aks.group import home, nodes_name
from clusterkit.aks.iam import keeps_volumes
from clusterkit.aks.tags import here, within, write_tags
from clusterkit.engine.kind import Found, Leftover, Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import ClusterkitError, Gone
from clusterkit.kube.volumes import KEPT, VolumeState, policies, rows
from clusterkit.naming import CLUSTER

CLAIM = "kubernetes.io-created-for-pvc-"
"""how the tags begin by which the CSI driver names a claim
(kubernetes-sigs/azuredisk-csi-driver ``pkg/azureconstants``)"""


def _disks(scope: Scope[Clients]) -> Iterator[VolumeState]:
    try:
        for shown in scope.client.pages(f"{home(scope)}/providers/Microsoft.Compute/disks"):
            tags = shown.get("tags") or {}
            if tags.get(CLUSTER) == scope.cluster and here(scope, shown):
                yield _volume(shown, tags)
    except Gone:  # there is no such group
        return


def _volume(shown: Mapping[str, Any], tags: Tags) -> VolumeState:
    properties = shown.get("properties") or {}
    claim = "/".join(tags.get(f"{CLAIM}{part}", "?") for part in ("namespace", "name"))
    about = f"claim {claim}, {properties.get('diskSizeGB')} GiB"
    return VolumeState(shown["id"], str(properties.get("diskState") or ""), about, tags)


def _keeps(scope: Scope[Clients]) -> str:
    unknown = "nothing says whether the profile keeps volumes"
    return {True: KEPT, False: "", None: unknown}[keeps_volumes(scope)]


Disks, DisksToKeep = rows(
    "disks",
    _disks,
    _keeps,
    tag=lambda scope, disk, tags: write_tags(scope.client, disk, tags),
    delete=lambda scope, have: scope.client.begin("DELETE", have.id),
    command="az disk delete --ids {}",
    uses=("identity", "resource-group"),
    within=lambda have: within(have.id),
)
"""Disks of claims; they never block anything and cost until somebody removes them."""


def _doomed(scope: Scope[Clients]) -> Iterator[Found]:
    """Volumes that are to stay, and lie where they go with the cluster."""
    keep = keeps_volumes(scope)
    for handle, policy in policies(scope).items():
        inside = ids.part(handle, "resourceGroups").lower() == nodes_name(
            scope.cluster, scope.region
        )
        if inside and (policy == "Retain" or keep):
            yield Found(handle, policy)


def _refuse(_: Scope[Clients], have: Found) -> None:
    disk = ids.last(have.id)
    what = f"volume {disk} is to stay, and lies in the node resource group, which goes with the "
    raise ClusterkitError(
        what + "cluster",
        hint=f"copy it (az snapshot create --source {have.id}), then delete its claim "
        "and its PersistentVolume; volumes of the default StorageClass do not lie there",
    )


def _node_groups(scope: Scope[Clients]) -> Iterator[Found]:
    """The group of the nodes whose cluster is gone: ``managedBy`` says whose it is. A cluster of
    another region may have the same name in the same group.
    """
    owner = ids.key(f"{home(scope)}/providers/{CLUSTERS}/{scope.cluster}")
    if any(ids.key(shown["id"]) == owner for shown in listed(scope)):
        return
    for shown in scope.client.pages(f"{scope.client.path}/resourcegroups"):
        if ids.key(shown.get("managedBy")) == owner and here(scope, shown):
            yield Found(shown["id"], str(shown["properties"].get("provisioningState") or ""))


NodeGroups = Leftover[Clients](
    "node-groups",
    _node_groups,
    lambda scope, have: scope.client.begin("DELETE", have.id),
    occupants=lambda scope, have: locks.on(scope, have.id),
    uses=("virtual-network", "identity", "resource-group"),
    dies_with="cluster",
)
"""What a cluster that was deleted left of its nodes: their machines are in our subnet."""

DoomedVolumes = Leftover[Clients](
    "doomed-volumes",
    _doomed,
    _refuse,
    uses=("cluster",),
    optional=True,
    verbs=("checking", "checked"),
)
"""Volumes of other classes that say Retain and would be lost: destroy stops for them."""
