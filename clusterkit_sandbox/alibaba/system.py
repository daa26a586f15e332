"""What the add-ons of ACK install into ``kube-system``.

Names, labels and ServiceAccounts: charts of kubernetes-sigs/alibaba-cloud-csi-driver and of
AliyunContainerService/terway; vendor's ``kubectl`` examples and component pages for coredns,
metrics-server, kube-flannel-ds, kube-proxy-worker, storage-operator, loongcollector-ds and
ack-node-problem-detector-daemonset; operators who restart aliyun-acr-credential-helper. What is
``managed-`` runs beside the control plane. Of the other add-ons no manifest is public, and the
ingress controller would bring a load balancer of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from clusterkit_sandbox.alibaba.catalogue import ADDONS
from clusterkit_sandbox.kit import system
from clusterkit_sandbox.kit.system import Object, Part


def _app(name: str) -> dict[str, str]:
    return {"app": name}


def _k8s(name: str) -> dict[str, str]:
    return {"k8s-app": name}


_ALWAYS = (Part("kube-proxy-worker", "kube-proxy", _k8s("kube-proxy-worker"), host=True),)
_PARTS: Mapping[str, tuple[Part, ...]] = {
    "ack-node-problem-detector": (
        Part("ack-node-problem-detector-daemonset", "node-problem-detector",
             _app("ack-node-problem-detector"), host=True),
    ),
    "aliyun-acr-credential-helper": (
        Part("aliyun-acr-credential-helper", "aliyun-acr-credential-helper",
             _app("aliyun-acr-credential-helper"), replicas=1),
    ),
    "coredns": (Part("coredns", "coredns", _k8s("kube-dns"), "coredns", 2),),
    "csi-plugin": (
        Part("csi-plugin", "csi-plugin", _app("csi-plugin"), "alicloud-csi-node", host=True),
    ),
    "csi-provisioner": (
        Part("csi-provisioner", "csi-provisioner", _app("csi-provisioner"),
             "alicloud-csi-provisioner", 2),
    ),
    "flannel": (Part("kube-flannel-ds", "flannel", _app("flannel"), "flannel", host=True),),
    "loongcollector": (
        Part("loongcollector-ds", "loongcollector", _k8s("loongcollector-ds"), host=True),
    ),
    "metrics-server": (
        Part("metrics-server", "metrics-server", _k8s("metrics-server"), replicas=1),
    ),
    "storage-operator": (
        Part("storage-operator", "storage-operator", _app("storage-operator"), replicas=1),
    ),
    "terway-eniip": (
        Part("terway-eniip", "terway", _app("terway-eniip"), "terway", host=True),
    ),
}  # fmt: skip


def of_addons(names: Iterable[str], region: str, services: str) -> Iterator[Object]:
    """What these add-ons install in a cluster with this range of Services."""
    for name in names:
        yield from system.objects(_PARTS.get(name, ()), _registry(region), ADDONS[name])
        if name == "coredns":
            yield system.dns(system.tenth(services))


def of_cluster(names: Iterable[str], region: str, services: str, version: str) -> Iterator[Object]:
    """What a new cluster has with these add-ons."""
    yield from system.objects(_ALWAYS, _registry(region), f"v{version}")
    yield from of_addons(names, region, services)


def _registry(region: str) -> str:
    return f"registry-{region}-vpc.ack.aliyuncs.com/acs/"
