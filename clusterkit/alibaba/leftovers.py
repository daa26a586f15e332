"""What Kubernetes made in Alibaba Cloud and left behind, found by the cluster's own tag.

``ack.aliyun.com`` with the cluster's id is put on by ACK (machines), by the CSI driver (disks:
``DISKTAGKEY3`` of kubernetes-sigs/alibaba-cloud-csi-driver) and by the cloud controller manager
(load balancers: ``ACKKEY`` of kubernetes/cloud-provider-alibaba-cloud). The id is known while the
cluster is there, and remembered on our security group after. Nothing is found by VPC alone, so a
VPC may be shared. All of these are swept only when the cluster is destroyed, after it is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import gone_is_fine
from clusterkit.alibaba.security_group import CLUSTER_ID, keeps_volumes, remembered
from clusterkit.alibaba.tags import read_tags
from clusterkit.engine.resource import Ctx, Durations, Leftover, S
from clusterkit.errors import CloudError
from clusterkit.naming import CLUSTER

OWNER = "ack.aliyun.com"
PAGE = 100
"""the most that DescribeSecurityGroups, DescribeDisks and DescribeNetworkInterfaces all give"""


def cluster_tag(cx: Ctx[Clients]) -> list[dict[str, str]]:
    """The tag of everything the cluster made; empty if no id is known, then there is nothing."""
    identifier = (remembered(cx) or {}).get(CLUSTER_ID)
    return [{"Key": OWNER, "Value": identifier}] if identifier else []


class _Leftover(Leftover[Clients, S]):
    patience: ClassVar[float] = 900.0

    @classmethod
    def listed(cls, cx: Ctx[Clients], action: str, path: str) -> Iterator[Any]:
        """What ECS lists with the cluster's tag; not what carries our own mark."""
        tag = cluster_tag(cx)
        if not tag:
            return
        clients = cx.clients
        region = clients.region
        found = clients.chain(clients.ecs, action, path, RegionId=region, Tag=tag, MaxResults=PAGE)
        for item in list(found):
            if read_tags(item).get(CLUSTER) != cx.cluster:
                yield item


@dataclass(frozen=True)
class LeftoverState:
    """Something left behind."""

    id: str
    status: str = ""


class NetworkInterfaces(_Leftover[LeftoverState]):
    """Interfaces that Terway leaks, and those still in use by what is going: those are waited
    for.
    """

    kind: ClassVar[str] = "network-interfaces"
    takes: ClassVar[Durations] = Durations(delete=30)

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, LeftoverState]:
        path = "NetworkInterfaceSets.NetworkInterfaceSet"
        found = cls.listed(cx, "DescribeNetworkInterfaces", path)
        return {
            item["NetworkInterfaceId"]: LeftoverState(item["NetworkInterfaceId"], item["Status"])
            for item in found
            if item.get("Type") != "Primary"
        }

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: LeftoverState) -> None:
        gone_is_fine(
            cx.clients.ecs,
            "DeleteNetworkInterface",
            RegionId=cx.clients.region,
            NetworkInterfaceId=have.id,
        )


class SecurityGroups(_Leftover[LeftoverState]):
    """Groups ACK and its controllers made; not ours, which is a kind of its own."""

    kind: ClassVar[str] = "security-groups"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, LeftoverState]:
        found = cls.listed(cx, "DescribeSecurityGroups", "SecurityGroups.SecurityGroup")
        return {item["SecurityGroupId"]: LeftoverState(item["SecurityGroupId"]) for item in found}

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: LeftoverState) -> None:
        where = cx.clients.region
        gone_is_fine(cx.clients.ecs, "DeleteSecurityGroup", RegionId=where, SecurityGroupId=have.id)


@dataclass(frozen=True)
class DiskState:
    """A disk of a claim."""

    id: str
    status: str
    size: int
    """GiB"""
    name: str
    keep: bool
    why: str = ""


class Disks(_Leftover[DiskState]):
    """Disks of claims; they never block anything and cost until somebody removes them."""

    kind: ClassVar[str] = "disks"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, DiskState]:
        keep = keeps_volumes(cx)
        why = (
            "the profile keeps volumes (storage.keep_volumes)"
            if keep
            else "nothing says any more whether the profile wanted it"
        )
        return {
            item["DiskId"]: DiskState(
                id=item["DiskId"],
                status=item["Status"],
                size=int(item.get("Size") or 0),
                name=item.get("DiskName") or "?",
                keep=keep is not False,
                why=why,
            )
            for item in cls.listed(cx, "DescribeDisks", "Disks.Disk")
            if item.get("Type") != "system"
        }

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: DiskState) -> None:
        gone_is_fine(cx.clients.ecs, "DeleteDisk", DiskId=have.id)

    @classmethod
    def kept(cls, have: DiskState) -> str | None:
        if not have.keep:
            return None
        return f"{have.why}; {have.name}, {have.size} GiB, costs by the GB and month"


class _Balancers(_Leftover[LeftoverState]):
    best_effort: ClassVar[bool] = True
    """DeleteCluster takes those of Services along; this finds what it left"""


class ClassicLoadBalancers(_Balancers):
    """Classic load balancers of Services (SLB 2014-05-15)."""

    kind: ClassVar[str] = "classic-load-balancers"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, LeftoverState]:
        clients, path = cx.clients, "LoadBalancers.LoadBalancer"
        if not (tag := cluster_tag(cx)):
            return {}
        found = clients.pages(
            clients.slb, "DescribeLoadBalancers", path, RegionId=clients.region, Tag=tag
        )
        return {item["LoadBalancerId"]: LeftoverState(item["LoadBalancerId"]) for item in found}

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: LeftoverState) -> None:
        where = cx.clients.region
        gone_is_fine(cx.clients.slb, "DeleteLoadBalancer", RegionId=where, LoadBalancerId=have.id)


class NetworkLoadBalancers(_Balancers):
    """Network load balancers of Services (NLB 2022-04-30), the default since September 2025."""

    kind: ClassVar[str] = "network-load-balancers"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, LeftoverState]:
        tag, clients = cluster_tag(cx), cx.clients
        if not tag:
            return {}
        listed = clients.chain(
            clients.nlb, "ListLoadBalancers", "LoadBalancers", Tag=tag, MaxResults=100
        )
        states = (
            LeftoverState(item["LoadBalancerId"], item.get("LoadBalancerStatus") or "")
            for item in listed
        )
        return {state.id: state for state in states}

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: LeftoverState) -> None:
        gone_is_fine(cx.clients.nlb, "DeleteLoadBalancer", LoadBalancerId=have.id)


class LogProjects(_Leftover[LeftoverState]):
    """The log project of the cluster, ``k8s-log-ID``: Log Service's own interface is not one
    clusterkit speaks, and DeleteCluster is asked to remove it; what stays is told.
    """

    kind: ClassVar[str] = "log-projects"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, LeftoverState]:
        identifier = (remembered(cx) or {}).get(CLUSTER_ID)
        known = cx.clients.recall("log project", lambda: _log_project(cx, identifier or ""))
        return {known: LeftoverState(known, "kept")} if known else {}

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: LeftoverState) -> None:
        """Never asked for: it is kept."""

    @classmethod
    def kept(cls, have: LeftoverState) -> str | None:
        return (
            "Log Service may keep the cluster's logs and goes on charging for them; "
            f"aliyunlog log delete_project --project_name={have.id} removes them"
        )


def _log_project(cx: Ctx[Clients], cluster: str) -> str:
    """The cluster's log project, if it has one, as long as it can be asked."""
    if not cluster:
        return ""
    path = f"/clusters/{cluster}/resources"
    try:
        found = cx.clients.cs("DescribeClusterResources", "GET", path, with_addon_resources=True)
    except CloudError:
        return ""
    for item in found or ():
        if str(item.get("resource_type") or "").upper().startswith("SLS"):
            return str(item["instance_id"])
    return ""
