"""A cluster in the inventory of SIG Multicluster: its ``ClusterProfile`` (KEP-4322,
https://github.com/kubernetes/enhancements/tree/master/keps/sig-multicluster/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clusterkit.kube.api import KubeApi, Object

VERSION = "multicluster.x-k8s.io/v1alpha1"
MANAGER = "clusterkit"
TOLD = ("status", "reason", "message", "lastTransitionTime")
"""of the condition"""


def enter(
    kube: KubeApi,
    metadata: Object,
    version: str,
    properties: Mapping[str, str],
    conditions: Sequence[Mapping[str, Any]],
) -> None:
    """Write the ClusterProfile, if the CRD is there; another owner's is left alone.

    ``metadata``: its name, namespace and ``ownerReferences``. ``version``: of Kubernetes.
    ``conditions``: of the cluster's object, of which ``Ready`` says whether it is healthy.
    """
    if kube.get(f"/apis/{VERSION}") is None:
        return
    path = f"/apis/{VERSION}/namespaces/{metadata['namespace']}/clusterprofiles/{metadata['name']}"
    there = (kube.get(path) or {"metadata": metadata})["metadata"]
    mine = {each["uid"] for each in metadata["ownerReferences"]}
    if mine.isdisjoint(each["uid"] for each in there.get("ownerReferences") or ()):
        return
    head = {"apiVersion": VERSION, "kind": "ClusterProfile"}
    inside = {"displayName": metadata["name"], "clusterManager": {"name": MANAGER}}
    labels = {"x-k8s.io/cluster-manager": MANAGER}
    kube.apply(path, {**head, "metadata": {**metadata, "labels": labels}, "spec": inside})
    told = {
        "version": {"kubernetes": version},
        "properties": [{"name": key, "value": value} for key, value in properties.items()],
        "conditions": [
            {**{key: each[key] for key in TOLD}, "type": "ControlPlaneHealthy"}
            for each in conditions
            if each["type"] == "Ready"
        ],
    }
    where = {key: metadata[key] for key in ("name", "namespace")}
    kube.apply(f"{path}/status", {**head, "metadata": where, "status": told})
