"""What Kubernetes made in Alibaba Cloud and left behind, found by the cluster's own tag.

``ack.aliyun.com`` with the cluster's id is put on by ACK (machines), by the CSI driver (disks:
``DISKTAGKEY3`` of kubernetes-sigs/alibaba-cloud-csi-driver) and by the cloud controller manager
(load balancers: ``ACKKEY`` of kubernetes/cloud-provider-alibaba-cloud). Our VPC and security group
remember the id, and stay while a sweep of these fails. Nothing is found by VPC alone, so a VPC may
be shared. All of these are removed only when the cluster is destroyed, after it is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.network import CLUSTER_ID, KEEP_VOLUMES, remembered
from clusterkit.alibaba.tags import read_tags, write_tags
from clusterkit.engine.kind import Durations, Found, Leftover
from clusterkit.engine.scope import Scope
from clusterkit.errors import CloudError
from clusterkit.naming import CLUSTER

OWNER = "ack.aliyun.com"
MEMORY = ("security-group", "vpc")
"""kinds that remember the cluster's id"""


def _made(scope: Scope[Clients], action: str) -> Iterator[Any]:
    """What a list call shows with the cluster's tag and without our own; nothing if no id is known:
    then there was no cluster.
    """
    identifier = remembered(scope).get(CLUSTER_ID)
    if not identifier:
        return
    for item in scope.client.every(action, Tag=write_tags({OWNER: identifier})):
        if read_tags(item).get(CLUSTER) != scope.cluster:
            yield item


def _listed(action: str, key: str, status: str, scope: Scope[Clients]) -> Iterable[Found]:
    return [Found(item[key], item.get(status) or "") for item in _made(scope, action)]


def _by_id(
    product: str, action: str, key: str, **more: object
) -> Callable[[Scope[Clients], Any], None]:
    def call(scope: Scope[Clients], have: Any) -> None:
        scope.client.rpc(product, action, **{key: have.id}, **more)

    return call


def _interfaces(scope: Scope[Clients]) -> Iterable[Found]:
    for item in _made(scope, "DescribeNetworkInterfaces"):
        if item.get("Type") != "Primary":
            yield Found(item["NetworkInterfaceId"], item["Status"])


NetworkInterfaces = Leftover[Clients](
    "network-interfaces",
    _interfaces,
    _by_id("ecs", "DeleteNetworkInterface", "NetworkInterfaceId"),
    takes=Durations(delete=30),
    uses=(*MEMORY, "vswitch"),
)
"""Interfaces that Terway leaks, and those of what is being deleted: those are waited for."""

SecurityGroups = Leftover[Clients](
    "security-groups",
    partial(_listed, "DescribeSecurityGroups", "SecurityGroupId", ""),
    _by_id("ecs", "DeleteSecurityGroup", "SecurityGroupId"),
    uses=MEMORY,
)
"""Groups that ACK and its controllers made."""


@dataclass(frozen=True)
class DiskState:
    """A disk of a claim."""

    id: str
    status: str
    size: int
    """GiB"""
    name: str
    keep: str
    """why destroy leaves it; empty: it does not"""


def _disks(scope: Scope[Clients]) -> Iterable[DiskState]:
    keep = {"true": "the profile keeps volumes (storage.keep_volumes)", "false": ""}.get(
        remembered(scope).get(KEEP_VOLUMES, ""), "nothing says whether the profile keeps volumes"
    )
    for item in _made(scope, "DescribeDisks"):
        if item.get("Type") != "system":
            name, size = item.get("DiskName") or "?", int(item.get("Size") or 0)
            yield DiskState(item["DiskId"], item["Status"], size, name, keep)


def _kept(have: DiskState) -> str | None:
    if not have.keep:
        return None
    return f"{have.keep}; {have.name}, {have.size} GiB, costs by the GB and month"


Disks = Leftover[Clients](
    "disks", _disks, _by_id("ecs", "DeleteDisk", "DiskId"), keep=_kept, uses=MEMORY
)
"""Disks of claims; they never block anything and cost until somebody removes them."""

ClassicLoadBalancers = Leftover[Clients](
    "classic-load-balancers",
    partial(_listed, "DescribeLoadBalancers", "LoadBalancerId", "LoadBalancerStatus"),
    _by_id("slb", "DeleteLoadBalancer", "LoadBalancerId"),
    disarm=_by_id(
        "slb", "SetLoadBalancerDeleteProtection", "LoadBalancerId", DeleteProtection="off"
    ),
    uses=(*MEMORY, "vswitch"),
)
"""Classic load balancers of Services (SLB 2014-05-15), which the cloud controller manager protects
from deletion (pkg/model/service/annotations.go of kubernetes/cloud-provider-alibaba-cloud).
"""

NetworkLoadBalancers = Leftover[Clients](
    "network-load-balancers",
    partial(_listed, "ListLoadBalancers", "LoadBalancerId", "LoadBalancerStatus"),
    _by_id("nlb", "DeleteLoadBalancer", "LoadBalancerId"),
    disarm=_by_id(
        "nlb", "UpdateLoadBalancerProtection", "LoadBalancerId", DeletionProtectionEnabled=False
    ),
    uses=(*MEMORY, "vswitch"),
)
"""Network load balancers of Services (NLB 2022-04-30), the default since September 2025, protected
in the same way.
"""


def _log_projects(scope: Scope[Clients]) -> Iterable[Found]:
    """The log project of the cluster, ``k8s-log-ID``, while Container Service can be asked."""
    identifier = remembered(scope).get(CLUSTER_ID)
    if not identifier:
        return
    path = f"/clusters/{identifier}/resources"
    try:
        found = scope.client.cs("DescribeClusterResources", "GET", path, with_addon_resources=True)
    except CloudError:
        return
    for item in found or ():
        if str(item.get("resource_type") or "").upper().startswith("SLS"):
            yield Found(str(item["instance_id"]), "kept")


LogProjects = Leftover[Clients](
    "log-projects",
    _log_projects,
    lambda *_: None,
    keep=lambda have: (
        "Log Service may keep the cluster's logs and goes on charging for them; "
        f"aliyunlog log delete_project --project_name={have.id} removes them"
    ),
)
"""clusterkit does not speak Log Service's own interface; DeleteCluster is asked to remove the
project, and destroy lists what stays.
"""
