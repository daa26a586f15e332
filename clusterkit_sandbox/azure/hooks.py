"""What Kubernetes makes in Azure: front ends of load balancers for Services, disks for claims.

Sources: kubernetes-sigs/cloud-provider-azure (names, annotations and tags of load balancers and
their addresses), kubernetes-sigs/azuredisk-csi-driver (docs/driver-parameters.md), and the vendor's
pages on storage for the storage classes of a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.azure import ids, networks, noderesources, podidentity
from clusterkit_sandbox.azure.authorization import may
from clusterkit_sandbox.azure.clusterrules import control_plane
from clusterkit_sandbox.azure.failure import Json
from clusterkit_sandbox.azure.poollife import PoolLife
from clusterkit_sandbox.azure.resources import AgentPool, Cluster, Disk, Group, LoadBalancer, Subnet
from clusterkit_sandbox.azure.scaler import PoolScaling, scales
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.azure.tables import table
from clusterkit_sandbox.kit.cluster import Controllers, balancer_name
from clusterkit_sandbox.kube.interfaces import (
    Injected,
    RunningPod,
    ScalerPod,
    Scaling,
    VolumeRequest,
)

PROVISIONER = "disk.csi.azure.com"
_INTERNAL = "service.beta.kubernetes.io/azure-load-balancer-internal"
_SUBNET = "service.beta.kubernetes.io/azure-load-balancer-internal-subnet"
_JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"
_WRITE = "Microsoft.Compute/disks/write"
_TAGS = "service.beta.kubernetes.io/azure-pip-tags"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def storage_classes() -> list[Mapping[str, object]]:
    """The storage classes of every cluster; ``default`` is the default."""
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": name,
                "labels": {
                    "addonmanager.kubernetes.io/mode": "EnsureExists",
                    "kubernetes.io/cluster-service": "true",
                },
                "annotations": {DEFAULT_CLASS: "true"} if name == "default" else {},
            },
            "provisioner": provisioner,
            "parameters": {"skuname": sku},
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": True,
            "volumeBindingMode": (
                "WaitForFirstConsumer" if provisioner == PROVISIONER else "Immediate"
            ),
        }
        for name, provisioner, sku in table("defaults")["classes"]
    ]


class ClusterControllers(Controllers[tuple[LoadBalancer, Json]]):
    """The cloud side of one cluster. What it makes is in the node resource group."""

    def __init__(self, store: Store, cluster: str, pools: PoolLife) -> None:
        super().__init__(store.lock)
        self._store = store
        self._id = cluster
        self._pools = pools

    def _cluster(self) -> Cluster:
        cluster = self._store.get(Cluster, self._id)
        if cluster is None:
            raise RuntimeError(f"the cluster {self._id} is gone")
        return cluster

    def scaling(self, pod: ScalerPod | None) -> Scaling | None:
        """The autoscaler of Kubernetes Service, where a pool asks for it."""
        with self._lock:
            cluster = self._store.get(Cluster, self._id)
            if cluster is None or cluster.state == "Deleting":
                return None
            if not any(map(scales, self._store.under(AgentPool, self._id))):
                return None
            return PoolScaling(self._store, self._pools, cluster)

    def injected(self, pod: RunningPod) -> Injected | None:
        """What the webhook of workload identity adds."""
        with self._lock:
            return podidentity.injected(self._store.get(Cluster, self._id), pod)

    def nearby(
        self, pod: RunningPod, method: str, url: str, headers: Mapping[str, str]
    ) -> Answer | None:
        """The instance metadata service."""
        with self._lock:
            cluster = self._store.get(Cluster, self._id)
        return podidentity.nearby(self._store, cluster, method, url, headers)

    def balancer(self, uid: str) -> tuple[LoadBalancer, Json] | None:
        """The front end with the Service's name."""
        return noderesources.front(self._store, self._cluster(), balancer_name(uid))

    def host_of(self, balancer: tuple[LoadBalancer, Json]) -> str:
        """Its address."""
        return noderesources.address_of(self._store, balancer[1])

    def make_balancer(
        self, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> tuple[LoadBalancer, Json]:
        """A public front end with an address of its own, or a private one if an annotation asks
        for it.
        """
        store, cluster, called = self._store, self._cluster(), balancer_name(uid)
        self._may_join(cluster)
        if annotations.get(_INTERNAL, "").lower() == "true":
            subnet = self._subnet(cluster, annotations.get(_SUBNET, ""))
            address = networks.next_address(store, subnet)
            if address is None:
                raise RuntimeError(f"subnet {subnet.name} has no free address")
            noderesources.add_private_front(store, cluster, called, subnet, address)
        else:
            tags = {
                "k8s-azure-service": f"{namespace}/{name}",
                "k8s-azure-cluster-name": "kubernetes",
            }
            tags |= _pairs(annotations.get(_TAGS, ""))
            noderesources.add_public_front(store, cluster, called, tags)
        found = self.balancer(uid)
        assert found is not None
        return found

    def _may_join(self, cluster: Cluster) -> None:
        """Fail where the control plane may not use the subnets of the machines (recorded events:
        Azure/AKS#2673, #1557).
        """
        who = control_plane(self._store, cluster)
        for pool in self._store.under(AgentPool, cluster.id):
            subnet = pool.properties.get("vnetSubnetID")
            if subnet and (who is None or not may(self._store, who, _JOIN, subnet)):
                raise RuntimeError(
                    "error syncing load balancer: failed to ensure load balancer: Retriable: false,"
                    ' HTTPStatusCode: 403, RawError: {"error":{"code":"LinkedAuthorizationFailed",'
                    f'"message":"the client does not have permission to perform action {_JOIN!r} on'
                    f' the linked scope(s) {subnet!r}"}}}}'
                )

    def _subnet(self, cluster: Cluster, name: str) -> Subnet:
        for pool in self._store.under(AgentPool, cluster.id):
            place = str(pool.properties.get("vnetSubnetID") or cluster.own_subnet)
            if name:
                place = f"{place.rpartition('/')[0]}/{name}"
            found = self._store.find(Subnet, place)
            if found is not None:
                return found
        raise RuntimeError(f"there is no subnet {name}")

    def remove_balancer(self, uid: str) -> None:
        """Delete the front end with its address."""
        cluster = self._store.get(Cluster, self._id)
        if cluster is not None:
            noderesources.remove_front(self._store, cluster, balancer_name(uid))

    def drivers(self) -> Sequence[str]:
        """The disk driver, unless the cluster has it switched off."""
        cluster = self._store.get(Cluster, self._id)
        profile = cluster.properties.get("storageProfile") if cluster is not None else None
        enabled = ((profile or {}).get("diskCSIDriver") or {}).get("enabled", True)
        return (PROVISIONER,) if cluster is not None and enabled else ()

    def volume(self, name: str) -> str | None:
        """The disk with the name of the volume."""
        for disk in self._store.all(Disk):
            if disk.name == name and disk.shown["tags"].get("k8s-azure-created-by"):
                return str(disk.shown["id"])
        return None

    def _group(self, cluster: Cluster, name: str) -> Group:
        """Where disks are made: the node resource group, or the one that the class names, in which
        the control plane may write disks.
        """
        if not name:
            group = noderesources.node_group(self._store, cluster)
        else:
            place = ids.group_id(cluster.parsed.subscription, name)
            group = self._store.find(Group, place)
            who = control_plane(self._store, cluster)
            if who is None or not may(self._store, who, _WRITE, place):
                raise RuntimeError(
                    "rpc error: code = Internal desc = HTTPStatusCode: 403, AuthorizationFailed:"
                    f" the client does not have authorization to perform action {_WRITE!r} over"
                    f" scope {place!r}"
                )
        if group is None:
            raise RuntimeError(
                f"ResourceGroupNotFound: Resource group {name!r} could not be found."
            )
        return group

    def make_volume(self, asked: VolumeRequest) -> str:
        """A disk in the resource group that the class names."""
        store, cluster = self._store, self._cluster()
        parameters = {name.lower(): value for name, value in asked.parameters.items()}
        group = self._group(cluster, parameters.get("resourcegroup", ""))
        sku = parameters.get("skuname") or parameters.get("storageaccounttype") or "StandardSSD_LRS"
        zone = asked.zone.rpartition("-")[2]
        shown = {
            "id": f"{group.shown['id']}/providers/Microsoft.Compute/disks/{asked.name}",
            "name": asked.name,
            "type": "Microsoft.Compute/disks",
            "location": cluster.location,
            "tags": {
                "k8s-azure-created-by": "kubernetes-azure-dd",
                **_pairs(parameters.get("tags", "")),
                # the driver's names of these tags have no slashes, which Azure refuses
                **{key.replace("/", "-"): value for key, value in asked.tags.items()},
            },
            "sku": {"name": sku, "tier": sku.partition("_")[0].removesuffix("SSD")},
            "properties": {
                "creationData": {"createOption": "Empty"},
                "diskSizeGB": asked.size,
                "diskState": "Unattached",
                "provisioningState": "Succeeded",
            },
        }
        if zone in ("1", "2", "3") and "-" in asked.zone:
            shown["zones"] = [zone]
        return str(store.put(Disk(shown)).shown["id"])

    def remove_volume(self, volume: str) -> None:
        """Delete the disk."""
        disk = self._store.find(Disk, volume)
        if disk is not None:
            self._store.remove(disk)


def _pairs(text: str) -> dict[str, str]:
    """``a=1,b=2``, as storage classes and annotations have tags."""
    pairs = (one.partition("=") for one in text.split(",") if "=" in one)
    return {key.strip(): value.strip() for key, _, value in pairs}
