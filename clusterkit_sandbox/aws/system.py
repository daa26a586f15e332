"""What add-ons install into ``kube-system``: DaemonSets, Deployments with budgets, a Service.

Names, labels, ServiceAccounts, replicas and requests are those of the add-ons' published manifests:
aws/amazon-vpc-cni-k8s, kubernetes-sigs/aws-ebs-csi-driver, aws/eks-pod-identity-agent, and EKS User
Guide, "Amazon EKS add-ons". Their programs do nothing here, and their roles are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit_sandbox.aws.catalog import EBS_ADDON, EBS_DRIVER, addons
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.kit.drain import Unreachable

_LOG = logging.getLogger(__name__)
Object = dict[str, Any]
NAMESPACE = "kube-system"
SELF_MANAGED = ("vpc-cni", "kube-proxy", "coredns")
"""what EKS installs into a cluster without add-ons (EKS User Guide, "Create a cluster")"""
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_PLURALS = {
    "CSIDriver": "/apis/storage.k8s.io/v1/csidrivers",
    "DaemonSet": f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets",
    "Deployment": f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
    "PodDisruptionBudget": f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets",
    "Service": f"/api/v1/namespaces/{NAMESPACE}/services",
    "ServiceAccount": f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
}


@dataclass(frozen=True)
class Part:
    """A DaemonSet, or a Deployment with this many replicas."""

    name: str
    image: str
    labels: Mapping[str, str]
    account: str = ""
    replicas: int = 0
    requests: Mapping[str, str] | None = None
    host: bool = False
    """on the node's network"""


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


def objects(addon: str, version: str, region: str, role: str = "") -> Iterator[Object]:
    """What an add-on of this version installs, with the role of its ServiceAccounts, if any."""
    for part in _PARTS.get(addon, ()):
        if part.account:
            marks = {"eks.amazonaws.com/role-arn": role} if role else {}
            yield _object("v1", "ServiceAccount", part.account, part.labels, annotations=marks)
        yield _workload(part, version, region)
        if part.replicas:
            spec = {"maxUnavailable": 1, "selector": {"matchLabels": dict(part.labels)}}
            yield _object("policy/v1", "PodDisruptionBudget", part.name, part.labels, spec)
    if addon == "coredns":
        ports = [
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        ]
        labels = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true"}
        spec = {"selector": {"k8s-app": "kube-dns"}, "ports": ports}
        yield _object("v1", "Service", "kube-dns", labels, spec)
    if addon == EBS_ADDON:
        found = _object("storage.k8s.io/v1", "CSIDriver", EBS_DRIVER, _app(EBS_ADDON))
        del found["metadata"]["namespace"]
        yield {**found, "spec": {"attachRequired": True, "podInfoOnMount": False}}


def of_cluster(version: str, region: str) -> Iterator[Object]:
    """What a new cluster has that installs its own network."""
    for name in SELF_MANAGED:
        yield from objects(name, addons(version)[name].versions[0], region)


def _object(
    api: str,
    kind: str,
    name: str,
    labels: Mapping[str, str],
    spec: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    found: Object = {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": dict(labels)},
    }
    if annotations:
        found["metadata"]["annotations"] = dict(annotations)
    return found if spec is None else {**found, "spec": dict(spec)}


def _workload(part: Part, version: str, region: str) -> Object:
    container: Object = {
        "name": part.name,
        "image": f"602401143452.dkr.ecr.{region}.amazonaws.com/{part.image}:{version}",
    }
    if part.requests:
        container["resources"] = {"requests": dict(part.requests)}
    priority = "system-cluster-critical" if part.replicas else "system-node-critical"
    tolerated: Object = {"operator": "Exists"}
    if part.replicas:
        tolerated |= {"key": "CriticalAddonsOnly"}
    pod: Object = {
        "priorityClassName": priority,
        "tolerations": [tolerated],
        "containers": [container],
    }
    if part.account:
        pod["serviceAccountName"] = part.account
    if part.host:
        pod["hostNetwork"] = True
    template = {"metadata": {"labels": dict(part.labels)}, "spec": pod}
    spec: Object = {"selector": {"matchLabels": dict(part.labels)}, "template": template}
    if part.replicas:
        spec["replicas"] = part.replicas
    kind = "Deployment" if part.replicas else "DaemonSet"
    return _object("apps/v1", kind, part.name, part.labels, spec)


def install(eks: Eks, cluster: str, some: list[Object]) -> None:
    """Apply objects in a cluster, with no lock held, as soon as the clock comes to it."""
    _each(eks, cluster, "PATCH", some)


def uninstall(eks: Eks, cluster: str, some: list[Object]) -> None:
    """Delete them."""
    _each(eks, cluster, "DELETE", some)


def _each(eks: Eks, cluster: str, method: str, some: list[Object]) -> None:
    def change() -> None:
        client = eks.endpoints.drainer(cluster)
        if client is None:
            return
        try:
            for one in some:
                place = f"{_PLURALS[one['kind']]}/{one['metadata']['name']}"
                if method == "PATCH":
                    client.ask(method, f"{place}?fieldManager=eks&force=true", one, _APPLY)
                else:
                    client.ask(method, place)
        except Unreachable as error:
            _LOG.warning("an add-on is not as it should be: %s", error)
        finally:
            client.close()

    eks.clock.after(0, change)
