"""How each list call of Alibaba Cloud is paged, from the SDK packages' request classes and, for
Container Service and the older registry interface, the vendor's API documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Listing(NamedTuple):
    """One list call."""

    product: str
    items: str
    """where in an answer the items are"""
    most: int = 50
    """the most items on a page"""
    page: str = "PageNumber"
    """the parameter that says which page: a number, or with an empty ``total`` a token"""
    size: str = "PageSize"
    total: str = "TotalCount"
    """where in an answer the number of all items is"""
    path: str = ""
    """of products that speak REST"""


_TOKEN: Mapping[str, Any] = {"most": 100, "page": "NextToken", "size": "MaxResults", "total": ""}
_CR: Mapping[str, Any] = {"most": 100, "page": "PageNo"}
_CS: Mapping[str, Any] = {"most": 100, "page": "pageNumber", "size": "pageSize"}

LISTS: Mapping[str, Listing] = {
    "DescribeVpcs": Listing("vpc", "Vpcs.Vpc"),
    "DescribeVSwitches": Listing("vpc", "VSwitches.VSwitch"),
    "DescribeEipAddresses": Listing("vpc", "EipAddresses.EipAddress"),
    "DescribeNatGateways": Listing("vpc", "NatGateways.NatGateway"),
    "DescribeSnatTableEntries": Listing("vpc", "SnatTableEntries.SnatTableEntry"),
    "DescribeKeyPairs": Listing("ecs", "KeyPairs.KeyPair"),
    "DescribeInstanceTypes": Listing("ecs", "InstanceTypes.InstanceType", **_TOKEN),
    "DescribeSecurityGroups": Listing("ecs", "SecurityGroups.SecurityGroup", **_TOKEN),
    "DescribeSecurityGroupAttribute": Listing(
        "ecs", "Permissions.Permission", **{**_TOKEN, "most": 1000}
    ),
    "DescribeNetworkInterfaces": Listing(
        "ecs", "NetworkInterfaceSets.NetworkInterfaceSet", **_TOKEN
    ),
    "DescribeDisks": Listing("ecs", "Disks.Disk", **_TOKEN),
    "ListRoles": Listing("ram", "Roles.Role", most=100, page="Marker", size="MaxItems", total=""),
    "ListInstance": Listing("cr", "Instances", **_CR),
    "ListNamespace": Listing("cr", "Namespaces", **_CR),
    "ListRepository": Listing("cr", "Repositories", **_CR),
    "DescribeLoadBalancers": Listing("slb", "LoadBalancers.LoadBalancer"),
    "DescribeAccessControlLists": Listing("slb", "Acls.Acl"),
    "DescribeAccessControlListAttribute": Listing(
        "slb", "AclEntrys.AclEntry", page="Page", total="TotalAclEntry"
    ),
    "ListLoadBalancers": Listing("nlb", "LoadBalancers", **_TOKEN),
    "DescribeClustersV1": Listing(
        "cs",
        "clusters",
        page="page_number",
        size="page_size",
        total="page_info.total_count",
        path="/api/v1/clusters",
    ),
    "DescribeClusterNodes": Listing(
        "cs", "nodes", **_CS, total="page.total_count", path="/clusters/{}/nodes"
    ),
    "GetRepoList": Listing(
        "personal", "repos", most=100, page="Page", total="total", path="/repos"
    ),
}


def at_path(answer: Any, path: str) -> Any:
    """What an answer holds at ``Vpcs.Vpc``; None if it has none."""
    for step in path.split("."):
        answer = (answer or {}).get(step)
    return answer
