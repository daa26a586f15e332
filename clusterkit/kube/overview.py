"""What a cluster says of itself."""

from __future__ import annotations

from typing import Any

from clusterkit.kube.api import KubeApi, Object


def overview(kube: KubeApi) -> dict[str, Any]:
    """``{"version": "v1.33.5", "nodes": {"ready": 2, "total": 3}}``; ``CloudError`` while its API
    does not answer.
    """
    version = (kube.get("/version") or {}).get("gitVersion", "")
    nodes = kube.list("/api/v1/nodes")
    return {"version": version, "nodes": {"ready": sum(map(_ready, nodes)), "total": len(nodes)}}


def _ready(node: Object) -> bool:
    conditions = node.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
