"""What things are called in the management cluster."""

from __future__ import annotations

GROUP = "clusterkit.dev"
VERSION = "v1alpha1"
KIND = "CloudCluster"
PLURAL = "cloudclusters"
FINALIZER = f"{GROUP}/destroy"
CONFIRM = f"{GROUP}/confirm-deletion"
"""annotation: the object's own name, without which nothing is destroyed"""
AT = f"{GROUP}/reconcile-at"
"""annotation: any new value asks for a look at once"""
PAUSED = f"{GROUP}/paused"
"""annotation: pauses like ``spec.paused``, unless it is ``false``"""
ADOPT = f"{GROUP}/adopt"
"""annotation: the object's own name, to take over a cluster that was made at a terminal"""
DEFAULT_CREDENTIALS = f"{GROUP}/default-credentials"
"""annotation of a Namespace: ``true`` lets its CloudClusters use the operator's own identity"""
NAMESPACE = "clusterkit-system"
"""where the operator is installed unless another one is named"""
ACCOUNT = "clusterkit-operator"
"""of its Deployment, ServiceAccount and roles"""


def path(namespace: str, name: str, part: str = "") -> str:
    """The path of a CloudCluster, or of a part of it: ``status``."""
    tail = f"/{part}" if part else ""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}/{name}{tail}"


def core(namespace: str, kind: str, name: str) -> str:
    """The path of a namespaced object of the core API."""
    return f"/api/v1/namespaces/{namespace}/{kind}/{name}"
