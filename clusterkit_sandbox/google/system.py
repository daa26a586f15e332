"""What GKE has in ``kube-system``.

Names: workloads of clusters with their labels in kubernetes/ingress-nginx#9248 and
GoogleCloudPlatform/kubeflow-distribution#379; ``netd`` and ``gke-metadata-server`` come with
Workload Identity, and run where the vendor's label says so, ``node-local-dns`` with its add-on,
``anetd`` with Dataplane V2 in the place of kube-proxy (vendor: "GKE Dataplane V2"), else that is
a static pod of each node, which no API object stands for. Tolerations: vendor, "Isolate your
workloads in dedicated node pools".
"""

from __future__ import annotations

from collections.abc import Iterator

from clusterkit_sandbox.google.failure import Json
from clusterkit_sandbox.kit import system
from clusterkit_sandbox.kit.system import Object, Part

_TOLERATED = ("CriticalAddonsOnly", "components.gke.io/gke-managed-components")
_SERVER = {"iam.gke.io/gke-metadata-server-enabled": "true"}


def _of(name: str, **more: str) -> dict[str, str]:
    return {"k8s-app": name, **more}


def _one(name: str, image: str, account: str = "") -> Part:
    return Part(name, image, _of(name), account, replicas=1, tolerated=_TOLERATED)


_ALWAYS = (
    _one("kube-dns", "k8s-dns-kube-dns:1.26.7", "kube-dns"),
    _one("konnectivity-agent", "proxy-agent:v0.31.1"),
    _one("metrics-server", "metrics-server:v0.7.2"),
    Part("gke-metrics-agent", "gke-metrics-agent", _of("gke-metrics-agent",
         component="gke-metrics-agent"), host=True),
)  # fmt: skip
_LOGS = Part("fluentbit-gke", "fluent-bit", _of("fluentbit-gke", component="fluentbit-gke"))
_DISKS = Part("pdcsi-node", "gcp-compute-persistent-disk-csi-driver:v1.22.4", _of("pdcsi-node"),
              host=True)  # fmt: skip
_CACHE = Part("node-local-dns", "k8s-dns-node-cache", _of("node-local-dns"), host=True)
_DATAPATH = Part("anetd", "cilium/cilium", _of("cilium"), host=True)
_IDENTITY = (
    Part("gke-metadata-server", "gke-metadata-server", _of("gke-metadata-server"), host=True,
         nodes=_SERVER),
    Part("netd", "netd", _of("netd"), host=True, nodes=_SERVER),
)  # fmt: skip


def of_cluster(shown: Json) -> Iterator[Object]:
    """What a cluster has, by its API object."""
    addons = shown["addonsConfig"]
    parts = list(_ALWAYS)
    if "SYSTEM_COMPONENTS" in shown["loggingConfig"]["componentConfig"].get("enableComponents", ()):
        parts.append(_LOGS)
    if (addons.get("gcePersistentDiskCsiDriverConfig") or {}).get("enabled"):
        parts.append(_DISKS)
    if (addons.get("dnsCacheConfig") or {}).get("enabled"):
        parts.append(_CACHE)
    if shown["networkConfig"].get("datapathProvider") == "ADVANCED_DATAPATH":
        parts.append(_DATAPATH)
    if (shown.get("workloadIdentityConfig") or {}).get("workloadPool"):
        parts += _IDENTITY
    yield from system.objects(parts, "gke.gcr.io/")
    yield system.dns(system.tenth(shown["servicesIpv4Cidr"]))
