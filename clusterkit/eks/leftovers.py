"""What Kubernetes made in AWS and left behind, found by the cluster's own tags.

``kubernetes.io/cluster/NAME`` is put on by the cloud controller manager, the EBS CSI driver and
EKS; ``elbv2.k8s.aws/cluster`` by the AWS Load Balancer Controller. Nothing is found by VPC alone,
so a VPC may be shared. All of these are swept only when the cluster is destroyed, after it is gone.

Tags with a name prove nothing of whose cluster it was. So nothing is removed without the role that
clusterkit creates before a cluster and deletes after everything else, and every row ``uses`` it; a
cluster of somebody else's with that name ends the plan (``Cluster.list``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.iam import keeps_volumes
from clusterkit.eks.tags import read_tags, where, write_tags
from clusterkit.engine.kind import Durations, Leftover, Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import Gone, InUse
from clusterkit.kube.volumes import KEPT, VolumeState, rows

BATCH = 20
"""load balancers or target groups per DescribeTags call (ELB API)"""
UNPROVEN = "it is tagged for a cluster of this name, but nothing shows that it was clusterkit's"
PROTECTION = "deletion_protection.enabled"
HELD = ("network-interfaces", "security-groups", "subnet", "internet-gateway")
"""what a load balancer keeps from being deleted"""


@dataclass(frozen=True)
class LeftoverState:
    """Something left behind."""

    id: str
    status: str = ""
    kept: str = ""
    """why it stays"""


Find = Callable[[Scope[Clients]], Iterable[LeftoverState]]
Delete = Callable[[Scope[Clients], LeftoverState], object]


def _row(kind: str, find: Find, delete: Delete, *uses: str, **more: Any) -> Leftover[Clients]:
    """A row that keeps everything while nothing shows that the cluster was ours."""

    def listed(scope: Scope[Clients]) -> Iterable[LeftoverState]:
        found = [*find(scope)]
        if found and not found[0].kept and keeps_volumes(scope) is None:
            return [replace(each, kept=f"{UNPROVEN}: {each.id}") for each in found]
        return found

    def keep(have: LeftoverState) -> str | None:
        return have.kept or None

    return Leftover(kind, listed, delete, keep=keep, uses=("role", *uses), **more)


def _is_of(scope: Scope[Any], tags: Mapping[str, str]) -> bool:
    """Whether tags say a thing belongs to a cluster of this name."""
    name = scope.cluster
    return (
        tags.get(f"kubernetes.io/cluster/{name}") == "owned"
        or tags.get("elbv2.k8s.aws/cluster") == name
        or tags.get("eks:eks-cluster-name") == name
        or tags.get("aws:eks:cluster-name") == name
    )


def _balancers(service: str, operation: str, items: str, key: str, ids: str, tagged: str) -> Find:
    """Load balancers of the cluster, most in the account being other people's: any may go at any
    time. ``ids`` and ``tagged`` are what DescribeTags calls the ids it is asked for and answers.
    """

    def listed(scope: Scope[Clients]) -> Iterator[LeftoverState]:
        elb = getattr(scope.client, service)
        found = [each[key] for each in pages(elb, operation, items)]
        for start in range(0, len(found), BATCH):
            for shown in described(elb, found[start : start + BATCH]):
                if _is_of(scope, read_tags(shown["Tags"])):
                    yield LeftoverState(shown[tagged])

    def described(elb: Any, batch: list[str]) -> Iterator[Any]:
        try:
            yield from elb.describe_tags(**{ids: batch})["TagDescriptions"]
        except Gone:
            for one in batch if len(batch) > 1 else ():
                yield from described(elb, [one])

    return listed


ClassicLoadBalancers = _row(
    "classic-load-balancers",
    _balancers(
        "elb",
        "describe_load_balancers",
        "LoadBalancerDescriptions",
        "LoadBalancerName",
        "LoadBalancerNames",
        "LoadBalancerName",
    ),
    lambda scope, have: scope.client.elb.delete_load_balancer(LoadBalancerName=have.id),
    *HELD,
)
"""Classic load balancers of Services."""


def _elbv2(operation: str, items: str, key: str) -> Find:
    return _balancers("elbv2", operation, items, key, "ResourceArns", "ResourceArn")


def _unprotect(scope: Scope[Clients], have: LeftoverState) -> None:
    elb = scope.client.elbv2
    shown = elb.describe_load_balancer_attributes(LoadBalancerArn=have.id)["Attributes"]
    if {"Key": PROTECTION, "Value": "true"} in shown:
        off: Any = [{"Key": PROTECTION, "Value": "false"}]
        elb.modify_load_balancer_attributes(LoadBalancerArn=have.id, Attributes=off)


LoadBalancers = _row(
    "load-balancers",
    _elbv2("describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    lambda scope, have: scope.client.elbv2.delete_load_balancer(LoadBalancerArn=have.id),
    *HELD,
    disarm=_unprotect,
)
"""Application and network load balancers of Services, Ingresses and Gateways."""

TargetGroups = _row(
    "target-groups",
    _elbv2("describe_target_groups", "TargetGroups", "TargetGroupArn"),
    lambda scope, have: scope.client.elbv2.delete_target_group(TargetGroupArn=have.id),
)
"""Target groups, which outlive their load balancers."""


def _ec2(operation: str, items: str, key: str, *tags: tuple[str, str]) -> Find:
    """What carries any of these tags, in which ``{}`` is the cluster."""

    def listed(scope: Scope[Clients]) -> Iterator[LeftoverState]:
        for tag, value in tags:
            one = where(f"tag:{tag.format(scope.cluster)}", value.format(scope.cluster))
            for each in pages(scope.client.ec2, operation, items, Filters=[one]):
                yield LeftoverState(each[key], each.get("Status", ""))

    return listed


OWNED = ("kubernetes.io/cluster/{}", "owned")

NetworkInterfaces = _row(
    "network-interfaces",
    _ec2(
        "describe_network_interfaces",
        "NetworkInterfaces",
        "NetworkInterfaceId",
        OWNED,
        ("cluster.k8s.amazonaws.com/name", "{}"),
    ),
    lambda scope, have: scope.client.ec2.delete_network_interface(NetworkInterfaceId=have.id),
    "security-groups",
    "subnet",
    takes=Durations(delete=30),
)
"""Interfaces the VPC CNI leaks when a node dies at the wrong moment, and those still in use by what
is going: those are waited for.

The CNI describes its own as ``aws-K8S-INSTANCE`` and tags them with the cluster
(amazon-vpc-cni-k8s, ``CLUSTER_NAME``).
"""


def _delete_group(scope: Scope[Clients], have: LeftoverState) -> None:
    """Groups refer to each other, so every rule that names this one is taken out before."""
    ec2 = scope.client.ec2
    for side, rules, revoke in (
        ("", "IpPermissions", ec2.revoke_security_group_ingress),
        ("egress.", "IpPermissionsEgress", ec2.revoke_security_group_egress),
    ):
        refers = [where(f"{side}ip-permission.group-id", have.id)]
        for other in pages(ec2, "describe_security_groups", "SecurityGroups", Filters=refers):
            if not _is_of(scope, read_tags(other.get("Tags"))):
                raise InUse(f"rules of security group {other['GroupId']} refer to {have.id}")
            revoke(GroupId=other["GroupId"], IpPermissions=_naming(have.id, other[rules]))
    ec2.delete_security_group(GroupId=have.id)


def _naming(group: str, rules: Iterable[Any]) -> list[Any]:
    """The part of these rules that names a group."""
    return [
        {**rule, "UserIdGroupPairs": pairs, "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": []}
        for rule in rules
        if (pairs := [pair for pair in rule["UserIdGroupPairs"] if pair.get("GroupId") == group])
    ]


SecurityGroups = _row(
    "security-groups",
    _ec2(
        "describe_security_groups",
        "SecurityGroups",
        "GroupId",
        OWNED,
        ("elbv2.k8s.aws/cluster", "{}"),
        ("aws:eks:cluster-name", "{}"),
    ),
    _delete_group,
    "vpc",
)
"""Security groups of load balancers and of the cluster."""


def _volumes(scope: Scope[Clients]) -> Iterator[VolumeState]:
    owned = where(f"tag:kubernetes.io/cluster/{scope.cluster}", "owned")
    for each in pages(scope.client.ec2, "describe_volumes", "Volumes", Filters=[owned]):
        tags = read_tags(each.get("Tags"))
        if each["State"] != "deleting":
            yield VolumeState(each["VolumeId"], each["State"], _claim(tags, each["Size"]), tags)


def _claim(tags: Tags, size: int) -> str:
    prefix = "kubernetes.io/created-for/pvc/"
    namespace, name = (tags.get(f"{prefix}{part}", "?") for part in ("namespace", "name"))
    return f"claim {namespace}/{name}, {size} GiB"


def _keeps(scope: Scope[Clients]) -> str:
    keep = keeps_volumes(scope)
    return UNPROVEN if keep is None else KEPT if keep else ""


def _tag(scope: Scope[Clients], volume: str, tags: Tags) -> None:
    scope.client.ec2.create_tags(Resources=[volume], Tags=write_tags(tags))


Volumes, VolumesToKeep = rows(
    "volumes",
    _volumes,
    _keeps,
    tag=_tag,
    delete=lambda scope, have: scope.client.ec2.delete_volume(VolumeId=have.id),
    command="aws ec2 delete-volume --volume-id {}",
    uses=("role",),
)
"""EBS volumes of claims; they never block anything and cost until somebody removes them."""
