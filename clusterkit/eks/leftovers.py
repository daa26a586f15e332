"""What Kubernetes made in AWS and left behind, found by the cluster's own tags.

``kubernetes.io/cluster/NAME`` is put on by the cloud controller manager, the EBS CSI driver and
EKS; ``elbv2.k8s.aws/cluster`` by the AWS Load Balancer Controller. Nothing is found by VPC alone,
so a VPC may be shared. All of these are swept only when the cluster is destroyed, after it is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import call, gone_is_fine, pages
from clusterkit.eks.iam import keeps_volumes
from clusterkit.eks.tags import Tags, read_tags
from clusterkit.engine.resource import Ctx, Durations, Leftover, S
from clusterkit.engine.scope import Scope

T = TypeVar("T")
BATCH = 20
"""load balancers or target groups per DescribeTags call (ELB API)"""


def cluster_tag(cx: Ctx[Clients]) -> str:
    """The tag key Kubernetes' controllers put on what they make."""
    return f"kubernetes.io/cluster/{cx.cluster}"


def _is_of(cx: Ctx[Clients], tags: Mapping[str, str]) -> bool:
    """Whether tags say a thing belongs to this cluster."""
    return (
        tags.get(cluster_tag(cx)) == "owned"
        or tags.get("elbv2.k8s.aws/cluster") == cx.cluster
        or tags.get("eks:eks-cluster-name") == cx.cluster
        or tags.get("aws:eks:cluster-name") == cx.cluster
    )


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = list(items)
    while rest:
        yield rest[:BATCH]
        rest = rest[BATCH:]


class _Leftover(Leftover[Clients, S]):
    patience: ClassVar[float] = 900.0


@dataclass(frozen=True)
class LeftoverState:
    """Something left behind: its id, and what else deleting it needs."""

    id: str
    status: str = ""
    attachment: str | None = None
    tags: Tags = field(default_factory=dict)


class ClassicLoadBalancers(_Leftover[LeftoverState]):
    """Classic load balancers of Services."""

    kind: ClassVar[str] = "classic-load-balancers"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> dict[str, LeftoverState]:
        elb, found = cx.clients.elb, {}
        listed = pages(elb, "describe_load_balancers", "LoadBalancerDescriptions")
        for names in _batches(item["LoadBalancerName"] for item in listed):
            shown = call(elb.describe_tags, LoadBalancerNames=names)["TagDescriptions"]
            for item in shown:
                if _is_of(cx, _plain(item["Tags"])):
                    found[item["LoadBalancerName"]] = LeftoverState(item["LoadBalancerName"])
        return found

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: LeftoverState) -> None:
        gone_is_fine(cx.clients.elb.delete_load_balancer, LoadBalancerName=have.id)


class LoadBalancers(_Leftover[LeftoverState]):
    """Application and network load balancers of Services, Ingresses and Gateways."""

    kind: ClassVar[str] = "load-balancers"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> dict[str, LeftoverState]:
        listed = pages(cx.clients.elbv2, "describe_load_balancers", "LoadBalancers")
        return _tagged_v2(cx, (item["LoadBalancerArn"] for item in listed))

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: LeftoverState) -> None:
        gone_is_fine(cx.clients.elbv2.delete_load_balancer, LoadBalancerArn=have.id)


class TargetGroups(_Leftover[LeftoverState]):
    """Target groups, which outlive their load balancers."""

    kind: ClassVar[str] = "target-groups"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> dict[str, LeftoverState]:
        listed = pages(cx.clients.elbv2, "describe_target_groups", "TargetGroups")
        return _tagged_v2(cx, (item["TargetGroupArn"] for item in listed))

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: LeftoverState) -> None:
        gone_is_fine(cx.clients.elbv2.delete_target_group, TargetGroupArn=have.id)


def _tagged_v2(cx: Ctx[Clients], arns: Iterable[str]) -> dict[str, LeftoverState]:
    found = {}
    for batch in _batches(arns):
        shown = call(cx.clients.elbv2.describe_tags, ResourceArns=batch)["TagDescriptions"]
        for item in shown:
            if _is_of(cx, _plain(item["Tags"])):
                found[item["ResourceArn"]] = LeftoverState(item["ResourceArn"])
    return found


def _plain(tags: Iterable[Any]) -> Tags:
    return {tag["Key"]: tag.get("Value", "") for tag in tags}


class NetworkInterfaces(_Leftover[LeftoverState]):
    """Interfaces the VPC CNI leaks when a node dies at the wrong moment, and those still in use by
    what is going: those are waited for.

    The CNI describes its own as ``aws-K8S-INSTANCE`` and tags them with the cluster
    (amazon-vpc-cni-k8s, ``CLUSTER_NAME``).
    """

    kind: ClassVar[str] = "network-interfaces"
    takes: ClassVar[Durations] = Durations(delete=30)

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> dict[str, LeftoverState]:
        ec2, found = cx.clients.ec2, {}
        filters: list[Any] = [
            {"Name": f"tag:{cluster_tag(cx)}", "Values": ["owned"]},
            {"Name": "tag:cluster.k8s.amazonaws.com/name", "Values": [cx.cluster]},
        ]
        for one in filters:
            for item in pages(
                ec2, "describe_network_interfaces", "NetworkInterfaces", Filters=[one]
            ):
                state = LeftoverState(item["NetworkInterfaceId"], item["Status"])
                found[state.id] = state
        return found

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: LeftoverState) -> None:
        gone_is_fine(cx.clients.ec2.delete_network_interface, NetworkInterfaceId=have.id)


class SecurityGroups(_Leftover[LeftoverState]):
    """Security groups of load balancers and of the cluster; they refer to each other, so every
    rule is taken out before the group is deleted.
    """

    kind: ClassVar[str] = "security-groups"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> dict[str, LeftoverState]:
        ec2, found = cx.clients.ec2, {}
        filters: list[Any] = [
            {"Name": f"tag:{cluster_tag(cx)}", "Values": ["owned"]},
            {"Name": "tag:elbv2.k8s.aws/cluster", "Values": [cx.cluster]},
            {"Name": "tag:aws:eks:cluster-name", "Values": [cx.cluster]},
        ]
        for one in filters:
            for item in pages(ec2, "describe_security_groups", "SecurityGroups", Filters=[one]):
                state = LeftoverState(item["GroupId"], tags=read_tags(item.get("Tags", ())))
                found[state.id] = state
        return found

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: LeftoverState) -> None:
        ec2 = cx.clients.ec2
        referring: Any = [{"Name": "ip-permission.group-id", "Values": [have.id]}]
        for other in pages(ec2, "describe_security_groups", "SecurityGroups", Filters=referring):
            rules: list[Any] = [
                {
                    **rule,
                    "UserIdGroupPairs": pairs,
                    "IpRanges": [],
                    "Ipv6Ranges": [],
                    "PrefixListIds": [],
                }
                for rule in other["IpPermissions"]
                if (pairs := [p for p in rule["UserIdGroupPairs"] if p.get("GroupId") == have.id])
            ]
            if rules:
                gone_is_fine(
                    ec2.revoke_security_group_ingress,
                    GroupId=other["GroupId"],
                    IpPermissions=rules,
                )
        gone_is_fine(ec2.delete_security_group, GroupId=have.id)


@dataclass(frozen=True)
class VolumeState:
    """An EBS volume of a claim."""

    id: str
    status: str
    size: int
    """GiB"""
    claim: str
    keep: bool
    why: str = ""


class Volumes(_Leftover[VolumeState]):
    """EBS volumes of claims; they never block anything and cost until somebody removes them."""

    kind: ClassVar[str] = "volumes"

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> dict[str, VolumeState]:
        ec2 = cx.clients.ec2
        filters: Any = [{"Name": f"tag:{cluster_tag(cx)}", "Values": ["owned"]}]
        listed = list(pages(ec2, "describe_volumes", "Volumes", Filters=filters))
        if not listed:
            return {}
        keep = keeps_volumes(Scope(cx.clients, cx.cluster, cx.clients.target.region))
        found = {}
        for item in listed:
            tags = read_tags(item.get("Tags", ()))
            namespace = tags.get("kubernetes.io/created-for/pvc/namespace", "?")
            claim = f"{namespace}/{tags.get('kubernetes.io/created-for/pvc/name', '?')}"
            found[item["VolumeId"]] = VolumeState(
                id=item["VolumeId"],
                status=item["State"],
                size=item["Size"],
                claim=claim,
                keep=keep is not False,
                why="the profile keeps volumes (storage.keep_volumes)"
                if keep
                else "nothing says any more whether the profile wanted it",
            )
        return found

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: VolumeState) -> None:
        gone_is_fine(cx.clients.ec2.delete_volume, VolumeId=have.id)

    @classmethod
    def kept(cls, have: VolumeState) -> str | None:
        if not have.keep:
            return None
        return f"{have.why}; claim {have.claim}, {have.size} GiB, costs by the GB and month"
