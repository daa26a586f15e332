"""What Kubernetes creates in the cloud: load balancers for Services, disks for claims.

Sources: kubernetes/cloud-provider-alibaba-cloud (annotations, names and tags of load balancers) and
kubernetes-sigs/alibaba-cloud-csi-driver (pkg/disk: categories, least sizes, and
``volumeSizeAutoAvailable``, which raises a claim below 20 GiB to 20; its chart has the storage
classes, none of which is the default).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clusterkit_sandbox.alibaba.catalogue import (
    DEFAULT_LEVEL,
    DISKS,
    PROVISIONER_ADDONS,
    least_size,
)
from clusterkit_sandbox.alibaba.models import (
    Cluster,
    Disk,
    Eip,
    LoadBalancer,
    NetworkInterface,
    NodePool,
    VSwitch,
)
from clusterkit_sandbox.alibaba.poollife import PoolLife
from clusterkit_sandbox.alibaba.scaler import PoolScaling
from clusterkit_sandbox.alibaba.store import Store
from clusterkit_sandbox.kit.cluster import Controllers, balancer_name
from clusterkit_sandbox.kube.interfaces import ScalerPod, Scaling, Volume, VolumeRequest

PROVISIONER = "diskplugin.csi.alibabacloud.com"
AUTO_AVAILABLE = 20
"""minimum GiB with volumeSizeAutoAvailable"""
_PREFIX = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-"
_DEFAULT_TYPES = "cloud_essd,cloud_ssd,cloud_efficiency"
_UID = "kubernetes.service.uid"


def storage_classes() -> list[Mapping[str, object]]:
    """The storage classes of the disk driver's chart."""
    classes = (
        ("alicloud-disk-topology-alltype", _DEFAULT_TYPES, "WaitForFirstConsumer"),
        ("alicloud-disk-essd", "cloud_essd", "Immediate"),
        ("alicloud-disk-ssd", "cloud_ssd", "Immediate"),
        ("alicloud-disk-efficiency", "cloud_efficiency", "Immediate"),
    )
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": PROVISIONER,
            "parameters": {"type": types},
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": True,
            "volumeBindingMode": binding,
        }
        for name, types, binding in classes
    ]


def remove_balancer(store: Store, balancer: LoadBalancer) -> None:
    """Delete it and release its address; its interfaces go some time later."""
    for interface in store.all(NetworkInterface):
        if interface.owner == balancer.id:
            store.remove_later("nlb/interfaces/release", interface)
    for eip in store.all(Eip):
        if eip.instance == balancer.id:
            eip.instance = eip.instance_type = ""
    store.remove(balancer)


class ClusterControllers(Controllers[LoadBalancer]):
    """The cloud side of one cluster."""

    def __init__(self, store: Store, cluster: str, pools: PoolLife) -> None:
        super().__init__(store.lock)
        self._store = store
        self._cluster = cluster
        self._pools = pools

    def _require(self) -> Cluster:
        cluster = self._store.get(Cluster, self._cluster)
        if cluster is None:
            raise RuntimeError(f"the cluster {self._cluster} is gone")
        return cluster

    def scaling(self, pod: ScalerPod | None) -> Scaling | None:
        """The managed scaler, where it is configured and a pool scales by itself."""
        with self._lock:
            cluster = self._store.get(Cluster, self._cluster)
            scaled = any(
                pool.cluster == self._cluster and pool.body["auto_scaling"]["enable"]
                for pool in self._store.all(NodePool)
            )
            if cluster is None or cluster.state == "deleting" or not scaled:
                return None
            if cluster.autoscaling is None:
                return None
            return PoolScaling(self._store, self._pools, cluster)

    def balancer(self, uid: str) -> LoadBalancer | None:
        """The load balancer with this uid in a tag."""
        for balancer in self._store.all(LoadBalancer):
            if balancer.owner == self._cluster and balancer.tags.get(_UID) == uid:
                return balancer
        return None

    def host_of(self, balancer: LoadBalancer) -> str:
        """Its address, or the host name of a network load balancer."""
        return balancer.address

    def make_balancer(
        self, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> LoadBalancer:
        """A network load balancer, or a classic one if an annotation asks for that
        (``...-loadbalancer-spec``). Both have deletion protection, as the vendor's have.
        """
        cluster = self._require()
        kind = "clb" if f"{_PREFIX}spec" in annotations else "nlb"
        store = self._store
        address_type = annotations.get(f"{_PREFIX}address-type", "internet").lower()
        if address_type not in ("internet", "intranet"):
            raise RuntimeError(f"address type {address_type!r} must be internet or intranet")
        identifier = store.new_id("nlb" if kind == "nlb" else "lb")
        vswitches = [v for i in cluster.vswitches if (v := store.get(VSwitch, i)) is not None]
        zones: list[VSwitch] = []
        for vswitch in vswitches:
            if vswitch.zone not in [v.zone for v in zones]:
                zones.append(vswitch)
        if kind == "nlb":
            if len(zones) < 2:
                # vendor: CreateLoadBalancer (NLB), ZoneMappings, "at least two zones"
                raise RuntimeError("a network load balancer needs vSwitches in two zones")
            address = f"{identifier}.{cluster.region}.nlb.aliyuncsslb.com"
            for vswitch in zones:
                self._interface(identifier, vswitch)
        else:
            zones = zones[:1] if address_type == "intranet" else []
            found = store.private_address(zones[0]) if zones else store.public_address()
            if found is None:
                raise RuntimeError(f"vSwitch {zones[0].id} has no free address")
            address = found
        balancer = LoadBalancer(
            id=identifier,
            region=cluster.region,
            name=balancer_name(uid),
            description=f"{namespace}/{name}",
            owner=cluster.id,
            tags={
                "ack.aliyun.com": cluster.id,
                "kubernetes.do.not.delete": balancer_name(uid),
                _UID: uid,
            },
            kind=kind,
            vpc=cluster.vpc,
            vswitches=[v.id for v in zones],
            address=address,
            address_type=address_type,
            protected=annotations.get(f"{_PREFIX}delete-protection", "on") == "on",
            modification_protected=True,
            ports=[80],
        )
        return store.add(balancer)

    def _interface(self, balancer: str, vswitch: VSwitch) -> None:
        address = self._store.private_address(vswitch)
        if address is None:
            raise RuntimeError(f"vSwitch {vswitch.id} has no free address")
        self._store.add(
            NetworkInterface(
                id=self._store.new_id("eni"),
                region=vswitch.region,
                owner=balancer,
                description="created by nlb",
                vpc=vswitch.vpc,
                vswitch=vswitch.id,
                zone=vswitch.zone,
                address=address,
                mac="00:16:3e:00:00:00",
                groups=[],
                managed=True,
            )
        )

    def remove_balancer(self, uid: str) -> None:
        """Delete the load balancer with its interfaces."""
        found = self.balancer(uid)
        if found is not None:
            remove_balancer(self._store, found)

    def drivers(self) -> Sequence[str]:
        """The disk driver, if both of its parts are installed."""
        cluster = self._store.get(Cluster, self._cluster)
        installed = cluster.addons if cluster is not None else {}
        works = "csi-plugin" in installed and any(n in installed for n in PROVISIONER_ADDONS)
        return (PROVISIONER,) if works else ()

    def make_volume(self, asked: VolumeRequest) -> Volume:
        """A disk of the first category that fits; fails if the claim is too small."""
        parameters, size = asked.parameters, asked.size
        if str(parameters.get("volumeSizeAutoAvailable", "")).lower() == "true":
            size = max(size, AUTO_AVAILABLE)
        level = parameters.get("performanceLevel", DEFAULT_LEVEL).split(",")[0]
        cluster, reasons = self._require(), []
        for category in parameters.get("type", _DEFAULT_TYPES).split(","):
            reason = _unfit(category.strip(), level, size)
            if reason is None:
                wanted = {**_disk_tags(parameters), **asked.tags}
                name, zone = asked.name, asked.zone
                made = self._disk(cluster, name, size, category.strip(), level, zone, wanted)
                return Volume(made, size)
            reasons.append(reason)
        raise RuntimeError("; ".join(reasons))

    def volume(self, name: str) -> Volume | None:
        """The cluster's disk with this name."""
        for disk in self._store.all(Disk):
            if disk.owner == self._cluster and disk.name == name:
                return Volume(disk.id, disk.size)
        return None

    def _disk(
        self,
        cluster: Cluster,
        name: str,
        size: int,
        category: str,
        level: str,
        zone: str,
        tags: Mapping[str, str],
    ) -> str:
        if not zone:
            first = self._store.get(VSwitch, cluster.vswitches[0])
            zone = first.zone if first is not None else ""
        disk = Disk(
            id=self._store.new_id("d"),
            region=cluster.region,
            name=name,
            owner=cluster.id,
            tags={
                **tags,
                "ack.aliyun.com": cluster.id,
                "createdby": "alibabacloud-csi-plugin",
            },
            category=category,
            level=level if DISKS[category].levels else "",
            size=size,
            zone=zone,
            system=False,
        )
        return self._store.add(disk).id

    def remove_volume(self, volume: str) -> None:
        """Delete the disk."""
        disk = self._store.get(Disk, volume)
        if disk is not None:
            self._store.remove(disk)


def _disk_tags(parameters: Mapping[str, str]) -> dict[str, str]:
    """The tags that a storage class asks for, in either form (``parseTags`` of the disk driver)."""
    found: dict[str, str] = {}
    for tag in filter(None, parameters.get("diskTags", "").split(",")):
        key, colon, value = tag.partition(":")
        if not colon:
            raise RuntimeError(f'invalid diskTags "{tag}", no ":" found')
        found[key] = value
    prefix = "diskTags/"
    more = {k.removeprefix(prefix): v for k, v in parameters.items() if k.startswith(prefix)}
    return found | more


def _unfit(category: str, level: str, size: int) -> str | None:
    """Why ECS would refuse such a disk; None if it would not."""
    try:
        least = least_size(category, level)
    except KeyError:
        return f"InvalidDiskCategory.ValueNotSupported: {category} {level}"
    if size < least:
        return (
            "InvalidDiskSize.NotSupported: The specified disk size is not supported:"
            f" a {category} disk has at least {least} GiB, not {size}"
        )
    return None
