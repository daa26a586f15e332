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
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import pages
from clusterkit.eks.iam import keeps_volumes
from clusterkit.eks.tags import read_tags, where
from clusterkit.engine.kind import Durations, Leftover
from clusterkit.engine.scope import Scope
from clusterkit.errors import Gone, InUse

BATCH = 20
"""load balancers or target groups per DescribeTags call (ELB API)"""
UNPROVEN = "it is tagged for a cluster of this name, but nothing shows that it was clusterkit's"


@dataclass(frozen=True)
class LeftoverState:
    """Something left behind."""

    id: str
    status: str = ""
    kept: str = ""
    """why it stays"""


Find = Callable[[Scope[Clients]], Iterable[LeftoverState]]


def _proven(find: Find) -> Find:
    """Keeps everything while nothing shows that the cluster was ours."""

    def listed(scope: Scope[Clients]) -> Iterable[LeftoverState]:
        found = [*find(scope)]
        if found and keeps_volumes(scope) is None:
            return [replace(each, kept=f"{UNPROVEN}: {each.id}") for each in found]
        return found

    return listed


def _kept(have: LeftoverState) -> str | None:
    return have.kept or None


def _is_of(scope: Scope[Any], tags: Mapping[str, str]) -> bool:
    """Whether tags say a thing belongs to a cluster of this name."""
    name = scope.cluster
    return (
        tags.get(f"kubernetes.io/cluster/{name}") == "owned"
        or tags.get("elbv2.k8s.aws/cluster") == name
        or tags.get("eks:eks-cluster-name") == name
        or tags.get("aws:eks:cluster-name") == name
    )


def _tagged(
    scope: Scope[Any], ids: Iterable[str], key: str, ask: Callable[[list[str]], list[Any]]
) -> Iterator[LeftoverState]:
    """Those of these ids that are the cluster's; ``key`` is where a description has the id."""
    rest = [*ids]
    for start in range(0, len(rest), BATCH):
        for shown in _descriptions(rest[start : start + BATCH], ask):
            if _is_of(scope, read_tags(shown["Tags"])):
                yield LeftoverState(shown[key])


def _descriptions(ids: list[str], ask: Callable[[list[str]], list[Any]]) -> Iterator[Any]:
    """The tags of load balancers, most of them other people's: any may go at any time."""
    try:
        yield from ask(ids)
    except Gone:
        for identifier in ids:
            with suppress(Gone):
                yield from ask([identifier])


def _classic(scope: Scope[Clients]) -> Iterable[LeftoverState]:
    elb = scope.client.elb
    listed = pages(elb, "describe_load_balancers", "LoadBalancerDescriptions")
    return _tagged(
        scope,
        (each["LoadBalancerName"] for each in listed),
        "LoadBalancerName",
        lambda names: elb.describe_tags(LoadBalancerNames=names)["TagDescriptions"],
    )


def _delete_classic(scope: Scope[Clients], have: LeftoverState) -> None:
    scope.client.elb.delete_load_balancer(LoadBalancerName=have.id)


ClassicLoadBalancers = Leftover[Clients](
    "classic-load-balancers",
    _proven(_classic),
    _delete_classic,
    keep=_kept,
    uses=("role", "subnet", "internet-gateway"),
)
"""Classic load balancers of Services."""


def _elbv2(operation: str, items: str, key: str) -> Find:
    def listed(scope: Scope[Clients]) -> Iterable[LeftoverState]:
        elb = scope.client.elbv2
        found = (each[key] for each in pages(elb, operation, items))
        return _tagged(
            scope,
            found,
            "ResourceArn",
            lambda arns: elb.describe_tags(ResourceArns=arns)["TagDescriptions"],
        )

    return _proven(listed)


PROTECTION = "deletion_protection.enabled"


def _unprotect(scope: Scope[Clients], have: LeftoverState) -> None:
    elb = scope.client.elbv2
    shown = elb.describe_load_balancer_attributes(LoadBalancerArn=have.id)["Attributes"]
    if {"Key": PROTECTION, "Value": "true"} in shown:
        off: Any = [{"Key": PROTECTION, "Value": "false"}]
        elb.modify_load_balancer_attributes(LoadBalancerArn=have.id, Attributes=off)


def _delete_balancer(scope: Scope[Clients], have: LeftoverState) -> None:
    scope.client.elbv2.delete_load_balancer(LoadBalancerArn=have.id)


LoadBalancers = Leftover[Clients](
    "load-balancers",
    _elbv2("describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    _delete_balancer,
    disarm=_unprotect,
    keep=_kept,
    uses=("role", "subnet", "internet-gateway"),
)
"""Application and network load balancers of Services, Ingresses and Gateways."""


def _delete_target_group(scope: Scope[Clients], have: LeftoverState) -> None:
    scope.client.elbv2.delete_target_group(TargetGroupArn=have.id)


TargetGroups = Leftover[Clients](
    "target-groups",
    _elbv2("describe_target_groups", "TargetGroups", "TargetGroupArn"),
    _delete_target_group,
    keep=_kept,
    uses=("role",),
)
"""Target groups, which outlive their load balancers."""


def _ec2(
    scope: Scope[Clients], operation: str, items: str, key: str, **tags: str
) -> Iterator[LeftoverState]:
    """What carries any of these tags."""
    for tag, value in tags.items():
        for each in pages(scope.client.ec2, operation, items, Filters=[where(tag, value)]):
            yield LeftoverState(each[key], each.get("Status", ""))


def _interfaces(scope: Scope[Clients]) -> Iterator[LeftoverState]:
    tags = {
        f"tag:kubernetes.io/cluster/{scope.cluster}": "owned",
        "tag:cluster.k8s.amazonaws.com/name": scope.cluster,
    }
    operation, items = "describe_network_interfaces", "NetworkInterfaces"
    return _ec2(scope, operation, items, "NetworkInterfaceId", **tags)


def _delete_interface(scope: Scope[Clients], have: LeftoverState) -> None:
    scope.client.ec2.delete_network_interface(NetworkInterfaceId=have.id)


NetworkInterfaces = Leftover[Clients](
    "network-interfaces",
    _proven(_interfaces),
    _delete_interface,
    keep=_kept,
    takes=Durations(delete=30),
    uses=("role", "subnet"),
)
"""Interfaces the VPC CNI leaks when a node dies at the wrong moment, and those still in use by what
is going: those are waited for.

The CNI describes its own as ``aws-K8S-INSTANCE`` and tags them with the cluster
(amazon-vpc-cni-k8s, ``CLUSTER_NAME``).
"""


def _groups(scope: Scope[Clients]) -> Iterator[LeftoverState]:
    tags = {
        f"tag:kubernetes.io/cluster/{scope.cluster}": "owned",
        "tag:elbv2.k8s.aws/cluster": scope.cluster,
        "tag:aws:eks:cluster-name": scope.cluster,
    }
    return _ec2(scope, "describe_security_groups", "SecurityGroups", "GroupId", **tags)


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


SecurityGroups = Leftover[Clients](
    "security-groups", _proven(_groups), _delete_group, keep=_kept, uses=("role", "vpc")
)
"""Security groups of load balancers and of the cluster."""


def _volumes(scope: Scope[Clients]) -> Iterable[LeftoverState]:
    """EBS volumes of claims; they never block anything and cost until somebody removes them."""
    owned = where(f"tag:kubernetes.io/cluster/{scope.cluster}", "owned")
    listed = [*pages(scope.client.ec2, "describe_volumes", "Volumes", Filters=[owned])]
    if not listed:
        return ()
    keep = keeps_volumes(scope)
    why = "the profile keeps volumes (storage.keep_volumes)" if keep else UNPROVEN
    return [
        LeftoverState(
            each["VolumeId"],
            each["State"],
            "" if keep is False else f"{why}; {_claim(each)}, costs by GB and month",
        )
        for each in listed
    ]


def _claim(volume: Any) -> str:
    tags = read_tags(volume.get("Tags"))
    prefix = "kubernetes.io/created-for/pvc/"
    namespace, name = (tags.get(f"{prefix}{part}", "?") for part in ("namespace", "name"))
    return f"claim {namespace}/{name}, {volume['Size']} GiB"


def _delete_volume(scope: Scope[Clients], have: LeftoverState) -> None:
    scope.client.ec2.delete_volume(VolumeId=have.id)


Volumes = Leftover[Clients]("volumes", _volumes, _delete_volume, keep=_kept, uses=("role",))
"""EBS volumes of claims."""
