"""What Kubernetes creates in the cloud: load balancers for Services, disks for claims.

Names, descriptions and parts of load balancers: kubernetes/cloud-provider-gcp, providers/gce
(gce_loadbalancer_external.go, gce_loadbalancer_internal.go, gce_loadbalancer_naming.go). Disks:
kubernetes-sigs/gcp-compute-persistent-disk-csi-driver (names, handles, least sizes) and the label
``goog-k8s-cluster-name`` that GKE's own has (vendor: "Label resources").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeVar

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.google import metadata
from clusterkit_sandbox.google.addresses import private_address, public_address
from clusterkit_sandbox.google.balancing import (
    FORWARDING_RULES,
    HTTP_HEALTH_CHECKS,
    REGION_BACKEND_SERVICES,
    TARGET_POOLS,
)
from clusterkit_sandbox.google.catalogue import ZONES
from clusterkit_sandbox.google.clusterbodies import region_of
from clusterkit_sandbox.google.clusterrecords import Cluster, pools_of
from clusterkit_sandbox.google.computing import make
from clusterkit_sandbox.google.disks import add_disk, gigabytes, metric
from clusterkit_sandbox.google.failure import Json
from clusterkit_sandbox.google.networks import add_firewall
from clusterkit_sandbox.google.nodes import machines_of, node_tag
from clusterkit_sandbox.google.poollife import PoolLife
from clusterkit_sandbox.google.resources import (
    BackendService,
    Disk,
    Firewall,
    ForwardingRule,
    HttpHealthCheck,
    Network,
    Resource,
    Subnetwork,
    TargetPool,
    link_to,
)
from clusterkit_sandbox.google.scaler import PoolScaling, scales
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.kit.cluster import Controllers, balancer_name
from clusterkit_sandbox.kube.interfaces import (
    RunningPod,
    ScalerPod,
    Scaling,
    Volume,
    VolumeRequest,
)

_DRIVER = "pd.csi.storage.gke.io"
_IN_TREE = "kubernetes.io/gce-pd"
"""the older name, which the same driver serves (Kubernetes documentation, "CSI migration")"""
R = TypeVar("R", bound=Resource)
_INTERNAL = ("networking.gke.io/load-balancer-type", "cloud.google.com/load-balancer-type")
_CHECKERS = ["130.211.0.0/22", "209.85.152.0/22", "209.85.204.0/22", "35.191.0.0/16"]
"""where health checks come from"""
_LEAST = {"hyperdisk-balanced": 4}
"""GiB, to which the driver raises a claim"""
_USUAL = "pd-standard"
"""of a class that names no type"""


class ClusterControllers(Controllers[ForwardingRule]):
    """The cloud side of one cluster."""

    def __init__(self, store: Store, cluster: str, scope: str, pools: PoolLife) -> None:
        super().__init__(store.lock)
        self._store = store
        self._cluster = cluster
        self._scope = scope
        self._pools = pools

    def _require(self) -> Cluster:
        cluster = self._store.get(Cluster, self._cluster, self._scope)
        if cluster is None:
            raise RuntimeError(f"the cluster {self._cluster} is gone")
        return cluster

    def scaling(self, pod: ScalerPod | None) -> Scaling | None:
        """Container Engine's own autoscaler, where a pool asks for it."""
        with self._lock:
            cluster = self._store.get(Cluster, self._cluster, self._scope)
            if cluster is None or cluster.autopilot or cluster.shown["status"] == "STOPPING":
                return None
            scaled = any(scales(pool) for pool in pools_of(self._store, cluster))
            return PoolScaling(self._store, self._pools, cluster) if scaled else None

    def nearby(
        self, pod: RunningPod, method: str, url: str, headers: Mapping[str, str]
    ) -> Answer | None:
        """The metadata server."""
        with self._lock:
            cluster = self._store.get(Cluster, self._cluster, self._scope)
        return metadata.nearby(self._store, cluster, pod, url, headers)

    # -- load balancers --------------------------------------------------------------------------

    def balancer(self, uid: str) -> ForwardingRule | None:
        """The forwarding rule with the Service's name."""
        rules = self._mine(ForwardingRule)
        return next((one for one in rules if one.name == balancer_name(uid)), None)

    def host_of(self, balancer: ForwardingRule) -> str:
        """Its address."""
        return str(balancer.shown["IPAddress"])

    def make_balancer(
        self, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> ForwardingRule:
        """A passthrough network load balancer: an external one with a target pool, or an internal
        one with a backend service.
        """
        cluster, store = self._require(), self._store
        network = store.get(Network, cluster.shown["networkConfig"]["network"])
        subnetwork = store.get(Subnetwork, cluster.shown["networkConfig"]["subnetwork"])
        if network is None or subnetwork is None:
            raise RuntimeError("the cluster's network is gone")
        internal = any(annotations.get(key, "").lower() == "internal" for key in _INTERNAL)
        short, service = balancer_name(uid), f"{namespace}/{name}"
        region, project = region_of(cluster.location), cluster.project
        address = private_address(store, subnetwork) if internal else public_address(store)
        if address is None:
            raise RuntimeError(f"IP space of '{subnetwork.path}' is exhausted")
        check = self._check(cluster, network)
        text = {"kubernetes.io/service-name": service}
        body: Json = {"name": short, "description": _json(text), "IPAddress": address,
                      "IPProtocol": "TCP"}  # fmt: skip
        if internal:
            pool = make(store, REGION_BACKEND_SERVICES, project, region, {
                "name": short, "description": _json(text), "protocol": "TCP",
                "loadBalancingScheme": "INTERNAL", "healthChecks": [link_to(check.path)],
                "network": link_to(network.path),
            }, cluster.id)  # fmt: skip
            body |= {
                "loadBalancingScheme": "INTERNAL", "backendService": link_to(pool.path),
                "network": link_to(network.path), "subnetwork": link_to(subnetwork.path),
                "ports": ["80"],
            }  # fmt: skip
        else:
            machines = [m for one in pools_of(store, cluster) for m in machines_of(store, one)]
            pool = make(store, TARGET_POOLS, project, region, {
                "name": short, "description": _json(text), "sessionAffinity": "NONE",
                "healthChecks": [link_to(check.path)],
                "instances": [link_to(machine.path) for machine in machines],
            }, cluster.id)  # fmt: skip
            body |= {
                "loadBalancingScheme": "EXTERNAL", "networkTier": "PREMIUM",
                "portRange": "80-80", "target": link_to(pool.path),
            }  # fmt: skip
        add_firewall(store, network, cluster.id, {
            "name": f"k8s-fw-{short}",
            "description": _json(text | {"kubernetes.io/service-ip": address}),
            "sourceRanges": ["0.0.0.0/0"],
            "targetTags": [node_tag(cluster)],
            "allowed": [{"IPProtocol": "tcp", "ports": ["80"]}],
        })  # fmt: skip
        made = make(store, FORWARDING_RULES, project, region, body, cluster.id)
        assert isinstance(made, ForwardingRule)
        return made

    def _check(self, cluster: Cluster, network: Network) -> HttpHealthCheck:
        """The health check of the cluster's nodes, which all of its load balancers share."""
        store, name = self._store, f"k8s-{cluster.shown['id'][:16]}-node"
        found = store.get(HttpHealthCheck, f"{HTTP_HEALTH_CHECKS.parent(cluster.project)}/{name}")
        if found is not None:
            return found
        made = make(store, HTTP_HEALTH_CHECKS, cluster.project, "", {
            "name": name, "description": _json({"kubernetes.io/cluster-id": name}),
            "port": 10256, "requestPath": "/healthz",
        }, cluster.id)  # fmt: skip
        add_firewall(store, network, cluster.id, {
            "name": f"{name}-http-hc",
            "description": _json({"kubernetes.io/cluster-id": name}),
            "sourceRanges": _CHECKERS,
            "targetTags": [node_tag(cluster)],
            "allowed": [{"IPProtocol": "tcp", "ports": ["10256"]}],
        })  # fmt: skip
        assert isinstance(made, HttpHealthCheck)
        return made

    def remove_balancer(self, uid: str) -> None:
        """Delete the forwarding rule with what it needs; with the last one the health check."""
        found = self.balancer(uid)
        if found is None:
            return
        self._drop(found.name, f"k8s-fw-{found.name}")
        if not self._mine(TargetPool) and not self._mine(BackendService):
            for check in self._mine(HttpHealthCheck):
                self._drop(check.name, f"{check.name}-http-hc")

    def _mine(self, kind: type[R]) -> list[R]:
        return [one for one in self._store.all(kind) if one.owner == self._cluster]

    def _drop(self, *names: str) -> None:
        for kind in (ForwardingRule, TargetPool, BackendService, HttpHealthCheck, Firewall):
            for one in self._mine(kind):
                if one.name in names:
                    self._store.remove(one)

    # -- disks -----------------------------------------------------------------------------------

    def drivers(self) -> Sequence[str]:
        """The disk driver, unless it has been switched off."""
        cluster = self._store.get(Cluster, self._cluster, self._scope)
        addons = cluster.shown["addonsConfig"] if cluster is not None else {}
        on = (addons.get("gcePersistentDiskCsiDriverConfig") or {}).get("enabled")
        return (_DRIVER, _IN_TREE) if on else ()

    def volume(self, name: str) -> Volume | None:
        """The cluster's disk with this name."""
        found = next((one for one in self._mine(Disk) if one.name == name), None)
        return Volume(found.path, int(found.shown["sizeGb"])) if found is not None else None

    def make_volume(self, asked: VolumeRequest) -> Volume:
        """A disk; it fails if there is no such type, or the quota is used up."""
        cluster, store = self._require(), self._store
        kind = asked.parameters.get("type", _USUAL)
        size = max(asked.size, _LEAST.get(kind, 1))
        region = ZONES.get(asked.zone, "")
        try:
            which = metric(kind)
        except KeyError:
            raise RuntimeError(f"unknown disk type {kind}") from None
        limit = store.conditions.region_quotas[which]
        if gigabytes(store, region, which) + size > limit:
            text = f"Quota '{which}' exceeded.  Limit: {float(limit)} in region {region}."
            raise RuntimeError(f"CreateVolume failed: {text}, quotaExceeded")
        labels = {
            "goog-gke-volume": "",
            "goog-k8s-cluster-name": cluster.name,
            "goog-k8s-cluster-location": cluster.location,
            **cluster.shown.get("resourceLabels", {}),
            **_labels(asked.parameters),
        }
        told = _json({**asked.tags, "storage.gke.io/created-by": _DRIVER})
        body = {"labels": labels, "description": told}
        disk = add_disk(
            store, cluster.project, asked.zone, asked.name, kind, size, cluster.id, body
        )
        return Volume(disk.path, size)

    def remove_volume(self, volume: str) -> None:
        """Delete the disk."""
        disk = self._store.get(Disk, volume)
        if disk is not None:
            self._store.remove(disk)


def _labels(parameters: Mapping[str, str]) -> dict[str, str]:
    """The labels that a storage class asks for: ``a=b,c=d``."""
    pairs = (one.partition("=") for one in parameters.get("labels", "").split(",") if one)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _json(value: Mapping[str, str]) -> str:
    return json.dumps(value, separators=(",", ":"))
