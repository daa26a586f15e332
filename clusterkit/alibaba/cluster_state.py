"""What Container Service shows of a cluster.

It has no call that lists by tag: clusters are listed by name, which is not unique, and told apart
by our tag.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from clusterkit.alibaba import api_acl
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import gone_is_fine
from clusterkit.alibaba.events import reason
from clusterkit.alibaba.security_group import CLUSTER_ID, remembered
from clusterkit.alibaba.tags import Tags, read_cs_tags
from clusterkit.engine.resource import Ctx
from clusterkit.naming import CLUSTER

FINISHED = "deleted"
"""the state of what is only history"""


@dataclass(frozen=True)
class ClusterState:
    """A cluster as DescribeClustersV1 and DescribeClusterDetail show it."""

    id: str
    status: str
    version: str
    """``1.35.7-aliyun.1``"""
    spec: str
    vpc: str
    vswitches: frozenset[str]
    security_group: str
    pods: str
    services: str
    public: bool
    protected: bool
    balancer: str = ""
    """of the API server"""
    acl: str = ""
    """the access control list of ours on it"""
    allowed: frozenset[str] = frozenset()
    recorded: bool = True
    """whether our security group remembers the cluster's id"""
    oidc_arn: str = ""
    """of the provider by which pods get roles (RRSA); empty while that is off"""
    issuer: str = ""
    issues: str = ""
    tags: Tags = field(default_factory=dict)


def listed(clients: Clients, cluster: str) -> list[Any]:
    """Every cluster of this very name in the region, whoever's: the API's own filter is fuzzy."""
    found: list[Any] = []
    number = 1
    while True:
        page = clients.cs(
            "DescribeClustersV1",
            "GET",
            "/api/v1/clusters",
            name=cluster,
            region_id=clients.region,
            page_number=number,
            page_size=50,
        )
        items = page.get("clusters") or []
        found += items
        if not items or number * 50 >= int((page.get("page_info") or {}).get("total_count") or 0):
            break
        number += 1
    return [item for item in found if item["name"] == cluster and item["state"] != FINISHED]


def ours(clients: Clients, cluster: str) -> list[Any]:
    """Those of them that carry our tag."""
    found = listed(clients, cluster)
    return [shown for shown in found if read_cs_tags(shown).get(CLUSTER) == cluster]


def minor(version: str) -> tuple[int, int]:
    """``1.35.7-aliyun.1`` is (1, 35)."""
    first, second, *_ = version.split(".")
    return int(first), int(second.partition("-")[0])


def read(cx: Ctx[Clients], shown: Any) -> ClusterState:
    identifier, status = shown["cluster_id"], shown["state"]
    if status == "running":
        # the list knows nothing of RRSA
        path = f"/clusters/{identifier}"
        detail = gone_is_fine(cx.clients.cs, "DescribeClusterDetail", "GET", path)
        shown = {**shown, **(detail or {}), "state": status}
    rrsa = shown.get("rrsa_config") or {}
    acl = read_cs_tags(shown).get(api_acl.ACL, "")
    balancer = shown.get("external_loadbalancer_id") or ""
    tags = remembered(cx)
    return ClusterState(
        id=identifier,
        status=status,
        version=shown.get("current_version") or shown.get("init_version") or "0.0",
        spec=shown.get("cluster_spec") or "",
        vpc=shown.get("vpc_id") or "",
        vswitches=frozenset(shown.get("vswitch_ids") or ()),
        security_group=shown.get("security_group_id") or "",
        pods=shown.get("container_cidr") or shown.get("subnet_cidr") or "",
        services=shown.get("service_cidr") or "",
        public=public(shown),
        protected=bool(shown.get("deletion_protection")),
        balancer=balancer,
        acl=acl,
        allowed=api_acl.in_force(cx, acl, balancer),
        recorded=tags is None or tags.get(CLUSTER_ID) == identifier,
        oidc_arn=(rrsa.get("oidc_arn") or "") if rrsa.get("enabled") else "",
        issuer=(rrsa.get("issuer") or "") if rrsa.get("enabled") else "",
        issues=reason(cx, identifier) if status in ("failed", "delete_failed") else "",
        tags=read_cs_tags(shown),
    )


def public(shown: Any) -> bool:
    """Whether the API server has a public address: ``master_url`` is JSON in a string."""
    try:
        found = json.loads(str(shown.get("master_url") or "{}"))
    except ValueError:
        return False
    return isinstance(found, dict) and bool(found.get("api_server_endpoint"))
