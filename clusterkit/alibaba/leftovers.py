"""What Kubernetes made in Alibaba Cloud and left behind, found by the cluster's own tag.

``ack.aliyun.com`` with the cluster's id is put on by ACK (machines), by the CSI driver (disks:
``DISKTAGKEY3`` of kubernetes-sigs/alibaba-cloud-csi-driver) and by the cloud controller manager
(load balancers: ``ACKKEY`` of kubernetes/cloud-provider-alibaba-cloud). Our VPC and security group
remember the id, and stay while a sweep of these fails. Nothing is found by VPC alone, so a VPC may
be shared. All of these are removed only when the cluster is destroyed, after it is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import NO_ANSWER
from clusterkit.alibaba.network import KEEP_VOLUMES, remembered, remembered_clusters
from clusterkit.alibaba.tags import OWNER, read_tags, write_tags
from clusterkit.engine.kind import Durations, Found, Leftover, Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import CloudError, Denied, ServerError
from clusterkit.kube import left
from clusterkit.kube.volumes import KEPT, VolumeState, rows
from clusterkit.naming import CLUSTER

MEMORY = ("security-group", "vpc")
"""kinds that remember the cluster's id"""


def _made(scope: Scope[Clients], action: str) -> Iterator[Any]:
    """What a list call shows with the cluster's tag and without our own; nothing if no id is known:
    then there was no cluster.
    """
    for identifier in remembered_clusters(scope):
        for item in scope.client.every(action, Tag=write_tags({OWNER: identifier})):
            tags = read_tags(item)
            if tags.get(OWNER) == identifier and tags.get(CLUSTER) != scope.cluster:
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


def _disks(scope: Scope[Clients]) -> Iterable[VolumeState]:
    for item in _made(scope, "DescribeDisks"):
        if item.get("Type") != "system":
            about = f"{item.get('DiskName') or '?'}, {item.get('Size')} GiB"
            yield VolumeState(item["DiskId"], item["Status"], about, read_tags(item))


def _keeps(scope: Scope[Clients]) -> str:
    kept = {"true": KEPT, "false": ""}
    unknown = "nothing says whether the profile keeps volumes"
    return kept.get(remembered(scope).get(KEEP_VOLUMES, ""), unknown)


def _tag(scope: Scope[Clients], disk: str, tags: Tags) -> None:
    wanted = {"ResourceType": "disk", "ResourceId": [disk], "Tag": write_tags(tags)}
    scope.client.ecs("TagResources", **wanted)


Disks, DisksToKeep = rows(
    "disks",
    _disks,
    _keeps,
    tag=_tag,
    delete=_by_id("ecs", "DeleteDisk", "DiskId"),
    command="aliyun ecs DeleteDisk --DiskId {} --region {region}",
    uses=MEMORY,
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
    partial(_listed, "nlb:ListLoadBalancers", "LoadBalancerId", "LoadBalancerStatus"),
    _by_id("nlb", "DeleteLoadBalancer", "LoadBalancerId"),
    disarm=_by_id(
        "nlb", "UpdateLoadBalancerProtection", "LoadBalancerId", DeletionProtectionEnabled=False
    ),
    uses=(*MEMORY, "vswitch"),
)
"""Network load balancers of Services (NLB 2022-04-30), the default since September 2025, protected
in the same way.
"""

UNSEEN = "*"
"""stands for what cannot be listed"""


def _albs(scope: Scope[Clients]) -> Iterator[Found]:
    """Without them a region has no such host; without a permission nobody can tell."""
    try:
        yield from _listed("alb:ListLoadBalancers", "LoadBalancerId", "LoadBalancerStatus", scope)
    except ServerError as error:
        if error.code != NO_ANSWER:
            raise
    except Denied as error:
        yield Found(UNSEEN, error.what)


def _unseen(have: Found) -> str | None:
    return f"nobody can see what Ingresses left: {have.status}" if have.id == UNSEEN else None


ApplicationLoadBalancers = Leftover[Clients](
    "application-load-balancers",
    _albs,
    _by_id("alb", "DeleteLoadBalancer", "LoadBalancerId"),
    disarm=_by_id("alb", "DisableDeletionProtection", "ResourceId"),
    keep=_unseen,
    uses=(*MEMORY, "vswitch"),
)
"""Application load balancers of Ingresses (ALB 2020-06-16), protected in the same way
(``ACKKEY`` and pkg/model/alb of kubernetes/cloud-provider-alibaba-cloud).
"""


def _log_projects(scope: Scope[Clients]) -> Iterable[Found]:
    """The log project of each cluster, ``k8s-log-ID``, while Container Service can be asked."""
    for identifier in remembered_clusters(scope):
        path, every = f"/clusters/{identifier}/resources", {"with_addon_resources": True}
        try:
            found = scope.client.cs("DescribeClusterResources", "GET", path, **every)
        except CloudError:
            continue
        for item in found or ():
            if str(item.get("resource_type") or "").upper().startswith("SLS"):
                yield Found(str(item["instance_id"]), "kept")


Snapshots = left.snapshots(
    "diskplugin.csi.alibabacloud.com",
    "aliyun ecs DeleteSnapshot --SnapshotId {} --region {region}",
)
FileSystems = left.retained(
    "file-systems",
    "nasplugin.csi.alibabacloud.com",
    "its PersistentVolume ({}) says Retain: the NAS file system and what is in it stay, and cost; "
    "aliyun nas DescribeFileSystems --region {region} shows it",
)

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
