"""What a CloudCluster leaves in its namespace for others: a kubeconfig, and the cluster in the
inventory of SIG Multicluster.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clusterkit.cluster import Cluster
from clusterkit.errors import CloudError, ClusterkitError, CredentialsError, NotOurs
from clusterkit.kube import tokens
from clusterkit.kube.api import KubeApi, Object
from clusterkit.kube.conditions import Condition
from clusterkit.kube.inventory import enter
from clusterkit.kube.kubeconfig import standalone
from clusterkit.kube.overview import overview
from clusterkit.naming import OWNER
from clusterkit.operator.conditions import reason, told
from clusterkit.operator.names import GROUP, KIND, VERSION, core

LIFE = 0.6
"""part of a credential's life after which it is replaced"""
LEAST = 60.0
"""seconds between two tokens, whatever the clocks of the two clusters say"""
SECRET, LABEL = "-kubeconfig", "cluster.x-k8s.io/cluster-name"


def kubeconfig(kube: KubeApi, body: Mapping[str, Any]) -> Object | None:
    """The Secret ``NAME-kubeconfig``; ``NotOurs`` if it is not this CloudCluster's."""
    name = f"{body['metadata']['name']}{SECRET}"
    there = kube.get(core(body["metadata"]["namespace"], "secrets", name))
    owners = (there or {"metadata": {}})["metadata"].get("ownerReferences") or ()
    if there is not None and all(each["uid"] != body["metadata"]["uid"] for each in owners):
        hint = "rename it or this CloudCluster; nothing of it was changed"
        raise NotOurs(f"Secret {name} exists and is not this CloudCluster's", hint=hint)
    return there


def write_kubeconfig(
    kube: KubeApi, body: Mapping[str, Any], cluster: Cluster, mark: str, *, make: bool
) -> float:
    """Write the Secret ``NAME-kubeconfig``; the seconds until it has to be written again.

    In it is a token of the cluster's own (``kube/tokens.py``); ``mark`` says whose its
    ServiceAccount is, ``make`` whether that may be made. ``Absent`` if there is none, ``NotOurs``
    if there is a Secret or a ServiceAccount that is not this CloudCluster's.
    """
    metadata = _metadata(body, SECRET)
    kubeconfig(kube, body)
    credential = tokens.administrator(cluster.kube, OWNER, mark, make=make)
    text = standalone(cluster.target, cluster.access(), credential)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "cluster.x-k8s.io/secret",
        "metadata": {**metadata, "labels": {LABEL: body["metadata"]["name"]}},
        "data": {"value": base64.b64encode(text.encode()).decode()},
    }
    kube.apply(core(metadata["namespace"], "secrets", metadata["name"]), secret)
    return max((credential.expires - datetime.now(UTC)).total_seconds() * LIFE, LEAST)


def write_profile(kube: KubeApi, body: Mapping[str, Any], status: Mapping[str, Any]) -> None:
    """Say in the inventory what the status says of a cluster that has been reached."""
    if "version" in status:
        told = {f"{key}.{GROUP}": str(body["spec"][key]) for key in ("cloud", "region")}
        enter(kube, _metadata(body), status["version"], told, status["conditions"])


def _metadata(body: Mapping[str, Any], tail: str = "") -> Object:
    """Of a thing that the garbage collector removes with the CloudCluster."""
    name, namespace, uid = (body["metadata"][key] for key in ("name", "namespace", "uid"))
    owner = {"kind": KIND, "name": name, "uid": uid, "controller": True}
    owners = [{"apiVersion": f"{GROUP}/{VERSION}", **owner}]
    return {"name": f"{name}{tail}", "namespace": namespace, "ownerReferences": owners}


def ready(cluster: Cluster) -> tuple[Condition, Object]:
    """Whether the Kubernetes API answers, and what it says for the status. Nobody knows while the
    cloud does not say where that is.
    """
    server = ""
    try:
        server = cluster.access().server
        seen = {**overview(cluster.kube), "endpoint": server}
    except ClusterkitError as error:
        unknown = isinstance(error, CredentialsError if server else CloudError | CredentialsError)
        return Condition("Ready", None if unknown else False, reason(error), told(error)), {}
    return Condition("Ready", True, "Running", "the Kubernetes API answers"), seen
