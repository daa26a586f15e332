"""What AKS has in ``kube-system``.

Names: vendor, "Use Privileged Identity Management", which lists the pods; with Azure CNI
``azure-cns`` (Azure/azure-container-networking, cns/azure-cns.yaml), with Cilium its agent and
operator in the place of kube-proxy (vendor: "Configure Azure CNI Powered by Cilium"). Labels:
kubernetes/ingress-nginx#10262 and the manifests of the drivers and of cloud-provider-azure.
Replicas: Azure/AKS#4515. Versions: vendor, "Supported Kubernetes versions".
"""

from __future__ import annotations

from collections.abc import Iterator

from clusterkit_sandbox.azure.failure import Json
from clusterkit_sandbox.kit import system
from clusterkit_sandbox.kit.system import Object, Part

_CSI = "oss/v2/kubernetes-csi/"
_OSS = "oss/v2/kubernetes/"


def _of(name: str) -> dict[str, str]:
    return {"k8s-app": name}


_PARTS = (
    Part("azure-ip-masq-agent", "aks/ip-masq-agent-v2:v0.1.15-2",
         {"k8s-app": "azure-ip-masq-agent", "tier": "node"}, host=True),
    Part("cloud-node-manager", f"{_OSS}azure-cloud-node-manager:v1.35.1-1",
         _of("cloud-node-manager"), "cloud-node-manager", host=True),
    Part("csi-azuredisk-node", f"{_CSI}azuredisk-csi:v1.34.2", {"app": "csi-azuredisk-node"},
         "csi-azuredisk-node-sa", host=True),
    Part("csi-azurefile-node", f"{_CSI}azurefile-csi:v1.35.1", {"app": "csi-azurefile-node"},
         "csi-azurefile-node-sa", host=True),
    Part("coredns", f"{_OSS}coredns:v1.13.1-6", _of("kube-dns"), "coredns", 2),
    Part("coredns-autoscaler", f"{_OSS}autoscaler/cluster-proportional-autoscaler:v1.9.0-1",
         _of("coredns-autoscaler"), replicas=1),
    Part("konnectivity-agent", f"{_OSS}apiserver-network-proxy/agent:v0.31.4-3",
         {"app": "konnectivity-agent"}, replicas=2),
    Part("metrics-server", f"{_OSS}metrics-server:v0.8.0-8", _of("metrics-server"), replicas=2),
)  # fmt: skip
_PROXY = Part("kube-proxy", f"{_OSS}kube-proxy", {"component": "kube-proxy", "tier": "node"},
              host=True)  # fmt: skip
_CNS = Part("azure-cns", "containernetworking/azure-cns", _of("azure-cns"), "azure-cns", host=True)
_CILIUM = (
    Part("cilium", f"{_OSS}cilium-agent:v1.18.6-260312", _of("cilium"), "cilium", host=True),
    Part("cilium-operator", f"{_OSS}cilium-operator-generic:v1.18.6-260312",
         {"name": "cilium-operator"}, "cilium-operator", 2, host=True),
)  # fmt: skip


def of_cluster(network: Json) -> Iterator[Object]:
    """What a cluster with this ``networkProfile`` has."""
    parts = list(_PARTS)
    if network["networkPlugin"] == "azure":
        parts.append(_CNS)
    parts += _CILIUM if network.get("networkDataplane") == "cilium" else (_PROXY,)
    yield from system.objects(parts, "mcr.microsoft.com/")
    yield system.dns(network["dnsServiceIP"])
