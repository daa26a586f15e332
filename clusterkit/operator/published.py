"""What a CloudCluster leaves in its namespace for others: a kubeconfig, and the cluster in the
inventory of SIG Multicluster.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clusterkit.cluster import Cluster
from clusterkit.errors import ClusterkitError, CredentialsError, NotOurs
from clusterkit.kube import tokens
from clusterkit.kube.api import KubeApi, Object
from clusterkit.kube.conditions import Condition
from clusterkit.kube.kubeconfig import standalone
from clusterkit.kube.overview import overview
from clusterkit.operator.conditions import reason, told
from clusterkit.operator.names import GROUP, KIND, OWNER, VERSION, core

LIFE = 0.6
"""part of a credential's life after which it is replaced"""
LEAST = 60.0
"""seconds between two tokens, whatever the clocks of the two clusters say"""
PROFILES = "/apis/multicluster.x-k8s.io/v1alpha1"
"""KEP-4322, https://github.com/kubernetes/enhancements/tree/master/keps/sig-multicluster/"""
MANAGER = "clusterkit"


def owner(body: Mapping[str, Any]) -> Object:
    """The reference that makes the garbage collector remove a thing with its CloudCluster."""
    metadata = body["metadata"]
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }


def kubeconfig(kube: KubeApi, body: Mapping[str, Any]) -> Object | None:
    """The Secret ``NAME-kubeconfig``; ``NotOurs`` if it is not this CloudCluster's."""
    name = f"{body['metadata']['name']}-kubeconfig"
    there = kube.get(core(body["metadata"]["namespace"], "secrets", name))
    _check_ours(there, body, f"Secret {name}")
    return there


def write_kubeconfig(
    kube: KubeApi, body: Mapping[str, Any], cluster: Cluster, mark: str, *, make: bool
) -> float:
    """Write the Secret ``NAME-kubeconfig``; the seconds until it has to be written again.

    In it is a token of the cluster's own (``kube/tokens.py``); ``mark`` says whose its
    ServiceAccount is, ``make`` whether that may be made. ``Absent`` if there is none, ``NotOurs``
    if there is a Secret or a ServiceAccount that is not this CloudCluster's.
    """
    metadata = body["metadata"]
    name = f"{metadata['name']}-kubeconfig"
    kubeconfig(kube, body)
    credential = tokens.administrator(cluster.kube, OWNER, mark, make=make)
    text = standalone(cluster.target, cluster.access(), credential)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "cluster.x-k8s.io/secret",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {"cluster.x-k8s.io/cluster-name": metadata["name"]},
            "ownerReferences": [owner(body)],
        },
        "data": {"value": base64.b64encode(text.encode()).decode()},
    }
    kube.apply(core(metadata["namespace"], "secrets", name), secret)
    return max((credential.expires - datetime.now(UTC)).total_seconds() * LIFE, LEAST)


def write_profile(kube: KubeApi, body: Mapping[str, Any], status: Mapping[str, Any]) -> None:
    """Publish a ClusterProfile, if the CRD is there; one of another manager's is left alone."""
    if kube.get(PROFILES) is None:
        return
    metadata, spec = body["metadata"], body["spec"]
    path = f"{PROFILES}/namespaces/{metadata['namespace']}/clusterprofiles/{metadata['name']}"
    try:
        _check_ours(kube.get(path), body, f"ClusterProfile {metadata['name']}")
    except NotOurs:
        return
    head = {"apiVersion": PROFILES.removeprefix("/apis/"), "kind": "ClusterProfile"}
    where = {"name": metadata["name"], "namespace": metadata["namespace"]}
    more = {
        "labels": {"x-k8s.io/cluster-manager": MANAGER},
        "ownerReferences": [owner(body)],
    }
    inside = {"displayName": metadata["name"], "clusterManager": {"name": MANAGER}}
    kube.apply(path, {**head, "metadata": {**where, **more}, "spec": inside})
    ready = next((c for c in status["conditions"] if c["type"] == "Ready"), None)
    told: dict[str, Any] = {
        "version": {"kubernetes": status.get("version", "")},
        "properties": [
            {"name": f"{key}.{GROUP}", "value": spec[key]} for key in ("cloud", "region")
        ],
    }
    if ready:
        healthy = {key: ready[key] for key in ("status", "reason", "message", "lastTransitionTime")}
        told["conditions"] = [{**healthy, "type": "ControlPlaneHealthy"}]
    kube.apply(f"{path}/status", {**head, "metadata": where, "status": told})


def _check_ours(there: Object | None, body: Mapping[str, Any], what: str) -> None:
    owners = (there or {"metadata": {}})["metadata"].get("ownerReferences") or ()
    if there is not None and all(each["uid"] != body["metadata"]["uid"] for each in owners):
        hint = "rename it or this CloudCluster; nothing of it was changed"
        raise NotOurs(f"{what} exists and is not this CloudCluster's", hint=hint)


def ready(cluster: Cluster) -> tuple[Condition, Object]:
    """Whether the Kubernetes API answers, and what it says for the status."""
    try:
        seen = overview(cluster.kube)
        seen["endpoint"] = cluster.access().server
    except ClusterkitError as error:
        answered = None if isinstance(error, CredentialsError) else False  # it cannot be asked
        return Condition("Ready", answered, reason(error), told(error)), {}
    return Condition("Ready", True, "Running", "the Kubernetes API answers"), seen
