"""What Kubernetes made in AWS and left behind.

``kubernetes.io/cluster/NAME`` is put on by the cloud controller manager, the EBS CSI driver, EKS
and Karpenter; ``elbv2.k8s.aws/cluster`` by the AWS Load Balancer Controller. All of these are swept
only when the cluster is destroyed, after it is gone.

Tags with a name prove nothing of whose cluster it was. So a thing is removed only if it also lies
in a VPC that provably held this cluster (``homes``); every row ``uses`` what proves that. What lies
elsewhere is told and kept. A cluster of somebody else's with that name ends the plan
(``Cluster.list``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.cluster import Cluster
from clusterkit.eks.errors import ERRORS
from clusterkit.eks.iam import cluster_role, keeps_volumes
from clusterkit.eks.network import Vpc
from clusterkit.eks.occupants import (
    ENDED,
    ENDPOINTS,
    GROUPS,
    GUARD_DUTY,
    NODE,
    SCALED,
    of_group,
    ours,
    referring,
    shown,
    tags_of,
)
from clusterkit.eks.tags import of_cluster, read_tags, where, write_tags
from clusterkit.engine.cloud_lock import PREFIX as LOCK
from clusterkit.engine.kind import Durations, Leftover, Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import ClusterkitError, Gone, InUse
from clusterkit.kube import left
from clusterkit.kube.volumes import KEPT, VolumeState, rows
from clusterkit.naming import CLUSTER, HOME

BATCH = 20
"""load balancers or target groups per DescribeTags call (ELB API)"""
UNPROVEN = "it is tagged for a cluster of this name, but nothing shows that it was clusterkit's"
PROTECTION = "deletion_protection.enabled"
HELD = ("instances", "network-interfaces", "security-groups", "subnet", "internet-gateway")
"""what a load balancer keeps from being deleted"""


@dataclass(frozen=True)
class LeftoverState:
    """Something left behind."""

    id: str
    status: str = ""
    vpc: str = ""
    """the VPC it lies in"""
    kept: str = ""
    """why it stays"""


Find = Callable[[Scope[Clients]], Iterable[LeftoverState]]
Delete = Callable[[Scope[Clients], LeftoverState], object]


def homes(scope: Scope[Clients]) -> frozenset[str]:
    """The VPCs that provably hold or held this cluster: those with our tags, the one the cluster
    with our tags lies in, and the one its role names.
    """
    role = read_tags((cluster_role(scope) or {}).get("Tags")).get(HOME, "")
    found = {*_owned_vpcs(scope)} | {each.vpc for each in Cluster.list(scope)} | {role}
    return frozenset(found - {""})


def _row(kind: str, find: Find, delete: Delete, *uses: str, **more: Any) -> Leftover[Clients]:
    """A row that keeps what lies in no VPC of the cluster."""

    def listed(scope: Scope[Clients]) -> Iterable[LeftoverState]:
        found = [*find(scope)]
        proven = homes(scope) if found else frozenset()
        kept = (replace(each, kept=f"{UNPROVEN}: {each.id} in {each.vpc}") for each in found)
        return [
            have if have.vpc in proven else told for have, told in zip(found, kept, strict=True)
        ]

    return Leftover(kind, listed, delete, keep=_kept, uses=("role", "vpc", *uses), **more)


def _kept(have: LeftoverState) -> str | None:
    return have.kept or None


def _balancers(service: str, operation: str, items: str, key: str, ids: str, tagged: str) -> Find:
    """Load balancers of the cluster, most in the account being other people's: any may go at any
    time. ``ids`` and ``tagged`` are what DescribeTags calls the ids it is asked for and answers.
    """

    def listed(scope: Scope[Clients]) -> Iterator[LeftoverState]:
        elb = getattr(scope.client, service)
        found = {each[key]: each for each in pages(elb, operation, items)}
        names = [*found]
        for start in range(0, len(found), BATCH):
            for told in described(elb, names[start : start + BATCH]):
                if of_cluster(scope, read_tags(told.get("Tags"))):
                    each = found[told[tagged]]
                    vpc = each.get("VpcId") or each.get("VPCId") or ""
                    yield LeftoverState(told[tagged], vpc=vpc)

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
            wanted = (tag.format(scope.cluster), value.format(scope.cluster))
            one = where(f"tag:{wanted[0]}", wanted[1])
            for each in pages(scope.client.ec2, operation, items, Filters=[one]):
                if wanted in tags_of(each).items():
                    yield LeftoverState(each[key], each.get("Status", ""), each.get("VpcId", ""))

    return listed


OWNED = ("kubernetes.io/cluster/{}", "owned")


def _instances(scope: Scope[Clients]) -> Iterator[LeftoverState]:
    owned = (OWNED[0].format(scope.cluster), OWNED[1])
    tagged = [where(f"tag:{owned[0]}", owned[1])]
    for some in pages(scope.client.ec2, "describe_instances", "Reservations", Filters=tagged):
        for each in some["Instances"]:
            tags, status = tags_of(each), each["State"]["Name"]
            # a node group removes its own, and an Auto Scaling group would replace one
            grouped = NODE in tags or SCALED in tags
            if owned in tags.items() and status != ENDED[-1] and not grouped:
                yield LeftoverState(each["InstanceId"], status, each.get("VpcId", ""))


Instances = _row(
    "instances",
    _instances,
    lambda scope, have: scope.client.ec2.terminate_instances(InstanceIds=[have.id]),
    "network-interfaces",
    "security-groups",
    "subnet",
    "internet-gateway",
    takes=Durations(delete=60),
)
"""Machines that Karpenter started, which nothing stops once the cluster is gone
(https://karpenter.sh/docs/concepts/nodeclasses/, "spec.tags")."""


def _guard_duty(scope: Scope[Clients]) -> Iterator[LeftoverState]:
    for vpc in _owned_vpcs(scope):
        for each in shown(scope, ENDPOINTS, vpc):
            managed = GUARD_DUTY in tags_of(each).items()
            service = each.get("ServiceName", "").endswith(".guardduty-data")
            if managed and service and each.get("State", "").lower() != "deleted":
                yield LeftoverState(each["VpcEndpointId"], each.get("State", ""), vpc)


def _owned_vpcs(scope: Scope[Clients]) -> list[str]:
    return [v.id for v in Vpc.list(scope) if (v.tags or {}).get(CLUSTER) == scope.cluster]


def _delete_endpoint(scope: Scope[Clients], have: LeftoverState) -> None:
    operation = scope.client.ec2.delete_vpc_endpoints
    for refused in operation(VpcEndpointIds=[have.id]).get("Unsuccessful", ()):
        told = refused.get("Error", {})
        code, text = told.get("Code", ""), told.get("Message", "")
        raise ERRORS.classify(code, 400, text, "DeleteVpcEndpoints")


Endpoints = _row(
    "vpc-endpoints",
    _guard_duty,
    _delete_endpoint,
    "network-interfaces",
    "security-groups",
    "subnet",
)
"""The endpoint that GuardDuty made in a VPC of ours and would leave there (``GUARD_DUTY``)."""

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
    rules = {
        "ingress": ("IpPermissions", ec2.revoke_security_group_ingress),
        "egress": ("IpPermissionsEgress", ec2.revoke_security_group_egress),
    }
    for side, other in referring(scope, have.id):
        if other.get("VpcId") != have.vpc or not ours(scope, tags_of(other)):
            raise InUse(f"rules of security group {other['GroupId']} refer to {have.id}")
        key, revoke = rules[side]
        revoke(GroupId=other["GroupId"], IpPermissions=_naming(have.id, other[key]))
    ec2.delete_security_group(GroupId=have.id)


def _naming(group: str, rules: Iterable[Any]) -> list[Any]:
    """The part of these rules that names a group."""
    return [
        {**rule, "UserIdGroupPairs": pairs, "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": []}
        for rule in rules
        if (pairs := [pair for pair in rule["UserIdGroupPairs"] if pair.get("GroupId") == group])
    ]


_tagged_groups = _ec2(
    "describe_security_groups",
    "SecurityGroups",
    "GroupId",
    OWNED,
    ("elbv2.k8s.aws/cluster", "{}"),
    ("aws:eks:cluster-name", "{}"),
)


def _groups(scope: Scope[Clients]) -> Iterator[LeftoverState]:
    yield from _tagged_groups(scope)
    for vpc in _owned_vpcs(scope):
        for each in shown(scope, GROUPS, vpc):
            named = each["GroupName"] == f"GuardDutyManagedSecurityGroup-{vpc}"
            if named and GUARD_DUTY in tags_of(each).items():
                yield LeftoverState(each["GroupId"], vpc=vpc)


SecurityGroups = _row(
    "security-groups",
    _groups,
    _delete_group,
    occupants=lambda scope, have: of_group(scope, have.id, have.vpc),
)
"""Security groups of load balancers, of the cluster, and of GuardDuty's endpoint."""


def _volumes(scope: Scope[Clients]) -> Iterator[VolumeState]:
    owned = (OWNED[0].format(scope.cluster), OWNED[1])
    tagged = [where(f"tag:{owned[0]}", owned[1])]
    for each in pages(scope.client.ec2, "describe_volumes", "Volumes", Filters=tagged):
        tags = tags_of(each)
        if owned in tags.items() and each["State"] != "deleting":
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
    command="aws ec2 delete-volume --volume-id {} --region {region}",
    uses=("role",),
)
"""EBS volumes of claims; they never block anything and cost until somebody removes them."""


def _untagged(scope: Scope[Clients]) -> Iterator[LeftoverState]:
    """What has a name that clusterkit gives, and the tags of no cluster of clusterkit's."""
    prefix, logs = f"clusterkit-{scope.cluster}-", f"/aws/eks/{scope.cluster}/cluster"
    for operation, items, name, key, named in (
        ("describe_key_pairs", "KeyPairs", "KeyName", "KeyPairId", "key-name"),
        (
            "describe_launch_templates",
            "LaunchTemplates",
            "LaunchTemplateName",
            "LaunchTemplateId",
            "launch-template-name",
        ),
    ):
        # not where(): this one is a pattern
        like: Any = [{"Name": named, "Values": [f"{prefix}*"]}]
        for each in pages(scope.client.ec2, operation, items, Filters=like):
            locks = any(tag.startswith(LOCK) for tag in tags_of(each))
            if each[name].startswith(prefix) and CLUSTER not in tags_of(each) and not locks:
                yield LeftoverState(each[key], kept=_NAMED.format(each[name]))
    client = scope.client.logs
    for each in pages(client, "describe_log_groups", "logGroups", logGroupNamePrefix=logs):
        if each["logGroupName"] == logs:
            arn = each["arn"].removesuffix(":*")
            if CLUSTER not in client.list_tags_for_resource(resourceArn=arn).get("tags", {}):
                yield LeftoverState(logs, kept=_NAMED.format("EKS's log group"))


_NAMED = "{} carries no tags of clusterkit's: if clusterkit created it, delete it by hand"


def _never(_: Scope[Clients], have: LeftoverState) -> None:
    raise ClusterkitError("is not ours to remove", where=have.id)


Untagged = Leftover[Clients]("untagged", _untagged, _never, keep=_kept)
"""What may be ours and has lost its tags, in the way of nothing: told, never removed."""

Snapshots = left.snapshots(
    "ebs.csi.aws.com", "aws ec2 delete-snapshot --snapshot-id {} --region {region}"
)
