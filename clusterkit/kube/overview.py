"""What a cluster says of itself."""

from __future__ import annotations

from typing import Any

from clusterkit.kube.api import KubeApi
from clusterkit.kube.nodes import is_ready


def overview(kube: KubeApi) -> dict[str, Any]:
    """``{"version": "v1.33.5", "nodes": {"ready": 2, "total": 3}}``; ``CloudError`` while its API
    does not answer.
    """
    version = (kube.get("/version") or {}).get("gitVersion", "")
    nodes = kube.list("/api/v1/nodes")
    ready = sum(map(is_ready, nodes))
    return {"version": version, "nodes": {"ready": ready, "total": len(nodes)}}
