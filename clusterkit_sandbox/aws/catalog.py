"""What EKS offers: Kubernetes versions with their dates, add-ons and their versions.

Dates: https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html as of November
2026. Add-on versions follow the numbering EKS uses; which number is current is not important here,
that each belongs to a version of Kubernetes is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Version:
    """A Kubernetes version on EKS: released, end of standard and of extended support."""

    released: datetime
    standard_until: datetime
    extended_until: datetime

    def status(self, now: datetime) -> str:
        """``STANDARD_SUPPORT``, ``EXTENDED_SUPPORT`` or ``UNSUPPORTED``."""
        if now < self.standard_until:
            return "STANDARD_SUPPORT"
        return "EXTENDED_SUPPORT" if now < self.extended_until else "UNSUPPORTED"


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _version(released: str, standard: str, extended: str) -> Version:
    return Version(_day(released), _day(standard), _day(extended))


VERSIONS: Mapping[str, Version] = {
    "1.31": _version("2024-09-26", "2025-11-26", "2026-11-26"),
    "1.32": _version("2025-01-23", "2026-03-23", "2027-03-23"),
    "1.33": _version("2025-05-29", "2026-07-29", "2027-07-29"),
    "1.34": _version("2025-10-02", "2026-12-02", "2027-12-02"),
    "1.35": _version("2026-01-27", "2027-03-27", "2028-03-27"),
    "1.36": _version("2026-06-02", "2027-08-02", "2028-08-02"),
}
DEFAULT = "1.35"
REFUSED_ZONES = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})
"""https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html"""


@dataclass(frozen=True)
class AddonOffer:
    """An add-on: its publisher, and its versions for one version of Kubernetes, newest first."""

    name: str
    versions: tuple[str, ...]
    needs_nodes: bool
    """runs as a Deployment, so it is DEGRADED while there are no nodes"""


def addons(version: str) -> Mapping[str, AddonOffer]:
    """The add-ons for a version of Kubernetes; the first version of each is the default."""
    minor = int(version.partition(".")[2])
    offers = (
        AddonOffer("vpc-cni", ("v1.21.1-eksbuild.1", "v1.20.4-eksbuild.2"), False),
        AddonOffer(
            "kube-proxy",
            (f"v{version}.1-eksbuild.2", f"v{version}.0-eksbuild.2"),
            False,
        ),
        AddonOffer("eks-pod-identity-agent", ("v1.3.10-eksbuild.1", "v1.3.8-eksbuild.2"), False),
        AddonOffer(
            "coredns",
            (f"v1.{minor - 22}.4-eksbuild.1", f"v1.{minor - 22}.3-eksbuild.1"),
            True,
        ),
        AddonOffer("aws-ebs-csi-driver", ("v1.53.0-eksbuild.1", "v1.51.1-eksbuild.1"), True),
        AddonOffer("metrics-server", ("v0.8.0-eksbuild.3",), True),
        AddonOffer("aws-efs-csi-driver", ("v2.1.13-eksbuild.1",), True),
        AddonOffer("snapshot-controller", ("v8.3.0-eksbuild.1",), True),
    )
    return {offer.name: offer for offer in offers}


ACCESS_POLICIES = (
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSAdminPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSViewPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSSecretReaderPolicy",
)
"""https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html"""
EBS_DRIVER = "ebs.csi.aws.com"
EBS_ADDON = "aws-ebs-csi-driver"
CNI_ADDON = "vpc-cni"
GP2 = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "gp2"},
    "provisioner": "kubernetes.io/aws-ebs",
    "parameters": {"type": "gp2", "fsType": "ext4"},
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}
"""present in every cluster; not the default class since 1.30
(https://docs.aws.amazon.com/eks/latest/userguide/create-storage-class.html)"""
