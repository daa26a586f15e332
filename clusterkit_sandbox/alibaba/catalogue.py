"""What the emulated Alibaba Cloud offers: regions, zones, machines, disks, versions.

A small, plausible part of the real offer. Names, sizes and limits are the vendor's; which zone has
which machine in stock is invented, because it changes by the day, and that is the point: a driver
must ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

REGIONS: Mapping[str, str] = {
    "cn-hangzhou": "ghijk",
    "cn-beijing": "fghijkl",
    "cn-shanghai": "befglmn",
    "cn-hongkong": "bcd",
    "ap-southeast-1": "abc",
    "ap-northeast-1": "abc",
    "eu-central-1": "abc",
    "us-east-1": "ab",
    "us-west-1": "ab",
}
"""Region to the letters of its zones (vendor: "Regions and zones")."""


def zones(region: str) -> list[str]:
    """``cn-hangzhou-g`` in China, ``eu-central-1a`` elsewhere."""
    dash = "-" if region.startswith("cn-") else ""
    return [f"{region}{dash}{letter}" for letter in REGIONS[region]]


def in_mainland(region: str) -> bool:
    """Whether a region is in mainland China: all of ``cn-`` except Hong Kong."""
    return region.startswith("cn-") and region != "cn-hongkong"


@dataclass(frozen=True)
class InstanceType:
    """One machine type."""

    name: str
    cpu: int
    """cores"""
    memory: int
    """GiB"""
    family: str
    architecture: str = "X86"
    disks: tuple[str, ...] = ("cloud_essd", "cloud_auto", "cloud_essd_entry")
    without: str = ""
    """letters of the zones where it is out of stock"""


_SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16}
_ESSD = ("cloud_essd", "cloud_auto")
_OLD = ("cloud_essd", "cloud_ssd", "cloud_efficiency")
_FAMILIES: tuple[tuple[str, int, str, tuple[str, ...], str], ...] = (
    # family, GiB per core, architecture, system disks, zones without stock
    ("ecs.c6", 2, "X86", _OLD, "fjkl"),
    ("ecs.g6", 4, "X86", _OLD, "fjkl"),
    ("ecs.c7", 2, "X86", _ESSD, ""),
    ("ecs.g7", 4, "X86", _ESSD, ""),
    ("ecs.r7", 8, "X86", _ESSD, "a"),
    ("ecs.g8i", 4, "X86", _ESSD, "ag"),
    ("ecs.u1-c1m2", 2, "X86", ("cloud_essd", "cloud_auto", "cloud_essd_entry"), ""),
    ("ecs.u1-c1m4", 4, "X86", ("cloud_essd", "cloud_auto", "cloud_essd_entry"), ""),
    ("ecs.g8y", 4, "ARM", _ESSD, "abfgh"),
)
INSTANCE_TYPES: Mapping[str, InstanceType] = {
    f"{family}.{size}": InstanceType(
        f"{family}.{size}", cores, cores * ratio, family, architecture, disks, without
    )
    for family, ratio, architecture, disks, without in _FAMILIES
    for size, cores in _SIZES.items()
}
"""Every type on sale. ``ecs.c4`` and its like are retired (vendor: "Retired instance types")."""


@dataclass(frozen=True)
class DiskCategory:
    """Sizes in GiB that a disk may have."""

    system: tuple[int, int]
    data: tuple[int, int]
    levels: Mapping[str, int]
    """the minimum size by performance level, if there are levels"""


DISKS: Mapping[str, DiskCategory] = {
    "cloud_essd": DiskCategory(
        (20, 2048), (1, 65536), {"PL0": 1, "PL1": 20, "PL2": 461, "PL3": 1261}
    ),
    "cloud_auto": DiskCategory((20, 2048), (1, 65536), {}),
    "cloud_essd_entry": DiskCategory((20, 2048), (10, 32768), {}),
    "cloud_ssd": DiskCategory((20, 500), (20, 32768), {}),
    "cloud_efficiency": DiskCategory((20, 500), (20, 32768), {}),
}
"""Vendor: ECS "Elastic Block Storage", and pkg/disk/category.go of the CSI driver."""
DEFAULT_LEVEL = "PL1"


def least_size(category: str, level: str | None) -> int:
    """The smallest data disk in GiB; ``KeyError`` for an unknown category or level."""
    disk = DISKS[category]
    return disk.levels[level or DEFAULT_LEVEL] if disk.levels else disk.data[0]


@dataclass(frozen=True)
class KubernetesVersion:
    """One version of Container Service."""

    name: str
    creatable: bool
    released: str
    expires: str


VERSIONS: tuple[KubernetesVersion, ...] = (
    KubernetesVersion("1.36.2-aliyun.1", True, "2026-08-20T00:00:00Z", "2028-08-31T00:00:00Z"),
    KubernetesVersion("1.35.7-aliyun.1", True, "2026-03-17T00:00:00Z", "2028-03-31T00:00:00Z"),
    KubernetesVersion("1.34.10-aliyun.1", True, "2025-11-18T00:00:00Z", "2027-11-30T00:00:00Z"),
    KubernetesVersion("1.33.9-aliyun.1", False, "2025-07-15T00:00:00Z", "2027-07-31T00:00:00Z"),
    KubernetesVersion("1.32.13-aliyun.1", False, "2025-03-12T00:00:00Z", "2027-03-31T00:00:00Z"),
)
"""Newest first. Only the three newest minors can be created, each in its newest patch only
(as operators saw it in September 2026); the dates are estimates.
"""
RUNTIME = "2.1.4.1"
"""containerd; four parts is correct (as seen in DescribeKubernetesVersionMetadata)"""


def minor(version: str) -> str:
    """``1.36.2-aliyun.1`` to ``1.36``."""
    return ".".join(version.split(".")[:2])


def upgrade_of(version: str) -> str:
    """The version that a cluster of this version can be upgraded to; empty for the newest."""
    names = [v.name for v in reversed(VERSIONS)]
    for name in names[names.index(version) + 1 :] if version in names else names:
        if minor(name) != minor(version):
            return name
    return ""


DEFAULT_ADDONS: Mapping[str, str] = {
    "ack-node-problem-detector": "1.2.28",
    "coredns": "v1.11.3.5-5321daf49-aliyun",
    "metrics-server": "v0.3.9.13-3a5cdb5-aliyun",
}
"""Installed unless the request lists them with ``disabled``. Network and storage are not among
them, nor is the ingress controller, in managed clusters (vendor: CreateCluster, ``addons``).
"""
ADDONS: Mapping[str, str] = {
    **DEFAULT_ADDONS,
    "ack-pod-identity-webhook": "0.4.0.1",
    "aliyun-acr-credential-helper": "v23.02.06.3-83a9ff1-aliyun",
    "cluster-autoscaler": "v1.3.1-aliyun",
    "csi-plugin": "v1.36.1-8aacf90-aliyun",
    "csi-provisioner": "v1.36.1-8aacf90-aliyun",
    "flannel": "v0.15.1.23-c7e5b6a-aliyun",
    "loongcollector": "v3.1.6.0-aliyun",
    "managed-aliyun-acr-credential-helper": "v24.12.11.0-aliyun",
    "managed-csiprovisioner": "v1.36.1-8aacf90-aliyun",
    "nginx-ingress-controller": "v1.13.2-aliyun.1",
    "storage-operator": "v1.36.1-a0dc7b8-aliyun",
    "terway-eniip": "v1.14.2",
}
"""Every add-on, with its version (the vendor's form of version, the figures invented)."""
NETWORK_ADDONS = ("flannel", "terway-eniip")
PROVISIONER_ADDONS = ("csi-provisioner", "managed-csiprovisioner")

SERVICE_ROLES = (
    "AliyunCISDefaultRole",
    "AliyunCSDefaultRole",
    "AliyunCSKubernetesAuditRole",
    "AliyunCSManagedArmsRole",
    "AliyunCSManagedCmsRole",
    "AliyunCSManagedCsiPluginRole",
    "AliyunCSManagedCsiProvisionerRole",
    "AliyunCSManagedCsiRole",
    "AliyunCSManagedKubernetesRole",
    "AliyunCSManagedLogRole",
    "AliyunCSManagedNetworkRole",
    "AliyunCSServerlessKubernetesRole",
)
"""The quick-authorisation set (vendor: "ACK default roles")."""
LIFECYCLE_ROLE = "AliyunOOSLifecycleHook4CSRole"
"""Runs what happens when a pool's machines come and go; trusted by two services (vendor: "ACK
default roles").
"""
AUTO_SCALER_ROLE = "AliyunCSManagedAutoScalerRole"
"""What the scaler of nodes acts as (vendor: "ACK default roles"); not in the set."""
NEEDED_ROLES = (
    "AliyunCSDefaultRole",
    "AliyunCSManagedKubernetesRole",
    "AliyunCSManagedNetworkRole",
    "AliyunCSManagedCsiPluginRole",
    "AliyunCSManagedCsiProvisionerRole",
)
"""The roles without which a managed cluster cannot be created."""
