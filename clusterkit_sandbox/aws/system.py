"""What add-ons install into ``kube-system``: DaemonSets, Deployments with budgets, a Service.

Names, labels, ServiceAccounts, replicas and requests are those of the add-ons' published manifests:
aws/amazon-vpc-cni-k8s, kubernetes-sigs/aws-ebs-csi-driver, aws/eks-pod-identity-agent, and EKS User
Guide, "Amazon EKS add-ons".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from clusterkit_sandbox.aws.catalog import EBS_ADDON, EBS_DRIVER, addons
from clusterkit_sandbox.kit import system
from clusterkit_sandbox.kit.system import Object, Part

SELF_MANAGED = ("vpc-cni", "kube-proxy", "coredns")
"""what EKS installs into a cluster without add-ons (EKS User Guide, "Create a cluster")"""


def _app(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name}


_PARTS: Mapping[str, tuple[Part, ...]] = {
    "vpc-cni": (
        Part("aws-node", "amazon-k8s-cni", {"k8s-app": "aws-node", **_app("aws-node")},
             "aws-node", requests={"cpu": "50m"}, host=True),
    ),
    "kube-proxy": (
        Part("kube-proxy", "eks/kube-proxy", {"k8s-app": "kube-proxy"}, "kube-proxy",
             requests={"cpu": "100m"}, host=True),
    ),
    "coredns": (
        Part("coredns", "eks/coredns", {"k8s-app": "kube-dns", "eks.amazonaws.com/component":
             "coredns"}, "coredns", 2, {"cpu": "100m", "memory": "70Mi"}),
    ),
    EBS_ADDON: (
        Part("ebs-csi-node", "eks/aws-ebs-csi-driver", {"app": "ebs-csi-node", **_app(EBS_ADDON)},
             "ebs-csi-node-sa", requests={"cpu": "30m", "memory": "120Mi"}),
        Part("ebs-csi-controller", "eks/aws-ebs-csi-driver", {"app": "ebs-csi-controller",
             **_app(EBS_ADDON)}, "ebs-csi-controller-sa", 2, {"cpu": "60m", "memory": "240Mi"}),
    ),
    "eks-pod-identity-agent": (
        Part("eks-pod-identity-agent", "eks/eks-pod-identity-agent",
             _app("eks-pod-identity-agent"), host=True),
    ),
    "metrics-server": (
        Part("metrics-server", "eks/metrics-server", _app("metrics-server"), "metrics-server", 2,
             {"cpu": "100m", "memory": "200Mi"}),
    ),
    "aws-efs-csi-driver": (
        Part("efs-csi-node", "eks/aws-efs-csi-driver", {"app": "efs-csi-node"},
             "efs-csi-node-sa", host=True),
        Part("efs-csi-controller", "eks/aws-efs-csi-driver", {"app": "efs-csi-controller"},
             "efs-csi-controller-sa", 2),
    ),
    "snapshot-controller": (
        Part("snapshot-controller", "eks/snapshot-controller", {"app": "snapshot-controller"},
             "snapshot-controller", 2),
    ),
}  # fmt: skip


def objects(
    addon: str, version: str, region: str, services: str, role: str = ""
) -> Iterator[Object]:
    """What an add-on of this version installs, with the role of its ServiceAccounts, if any;
    ``services`` is the cluster's range.
    """
    parts = [replace(one, budget=one.replicas > 0) for one in _PARTS.get(addon, ())]
    registry = f"602401143452.dkr.ecr.{region}.amazonaws.com/"
    marks = {"eks.amazonaws.com/role-arn": role} if role else {}
    yield from system.objects(parts, registry, version, **marks)
    if addon == "coredns":
        yield system.dns(system.tenth(services))
    if addon == EBS_ADDON:
        spec = {"attachRequired": True, "podInfoOnMount": False}
        found = system.thing("storage.k8s.io/v1", "CSIDriver", EBS_DRIVER, _app(EBS_ADDON), spec)
        del found["metadata"]["namespace"]
        yield found


def of_cluster(version: str, region: str, services: str) -> Iterator[Object]:
    """What a new cluster has that installs its own network."""
    for name in SELF_MANAGED:
        yield from objects(name, addons(version)[name].versions[0], region, services)
