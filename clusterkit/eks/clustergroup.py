"""The security group that EKS makes for a cluster's control plane and nodes.

EKS makes its rules once, and nodes need them
(https://docs.aws.amazon.com/eks/latest/userguide/sec-group-reqs.html). Controllers and people add
theirs, which stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.seen import range_of
from clusterkit.errors import Finding

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

CONTROLLERS = ("kubernetes.io/rule/", "elbv2.k8s.aws/")
"""how descriptions of rules begin that Kubernetes' controllers make and remove
(kubernetes/cloud-provider-aws ``pkg/providers/v1/aws_loadbalancer.go``,
kubernetes-sigs/aws-load-balancer-controller ``pkg/networking``)"""


class Rules(NamedTuple):
    """What a cluster's group lets through."""

    within_group: bool
    """its members may talk to each other"""
    out_of_group: bool
    """they may talk to others"""
    open_ports: tuple[str, ...]
    """what everybody may reach, and no controller of Kubernetes has opened"""


def rules(identifier: str, group: Any) -> Rules:
    """What the group lets through, as DescribeSecurityGroups shows it."""
    inward = group["IpPermissions"]
    own = any(
        rule["IpProtocol"] == "-1"
        and any(pair.get("GroupId") == identifier for pair in rule.get("UserIdGroupPairs", ()))
        for rule in inward
    )
    opened = tuple(_ports(rule) for rule in inward if _to_everybody(rule))
    # whoever narrowed what may go out on purpose has rules of their own
    return Rules(own, bool(group["IpPermissionsEgress"]), opened)


def edits(ec2: EC2Client, identifier: str, *, inside: bool, outside: bool) -> Iterator[Edit]:
    """What gives the group back the rules that EKS made."""
    admit: Any = partial(ec2.authorize_security_group_ingress, GroupId=identifier)
    pair = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": identifier}]}
    let_out: Any = partial(ec2.authorize_security_group_egress, GroupId=identifier)
    anywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    yield from edit("traffic among nodes", inside, True, partial(admit, IpPermissions=[pair]))
    yield from edit("traffic to others", outside, True, partial(let_out, IpPermissions=[anywhere]))


def noted(identifier: str, open_ports: Iterable[str]) -> Iterator[Finding]:
    """That somebody has opened it to everybody."""
    if ports := ", ".join(open_ports):
        what = f"security group {identifier} of nodes and control plane is open to everybody: "
        hint = "if that is not meant: aws ec2 revoke-security-group-ingress "
        yield Finding(what + ports, hint=hint + f"--group-id {identifier} --ip-permissions …")


def _to_everybody(rule: Any) -> bool:
    ranges = [*rule.get("IpRanges", ()), *rule.get("Ipv6Ranges", ())]
    return any(
        (each.get("CidrIp") or each.get("CidrIpv6")) in ("0.0.0.0/0", "::/0")
        and not each.get("Description", "").startswith(CONTROLLERS)
        for each in ranges
    )


def _ports(rule: Any) -> str:
    if rule["IpProtocol"] == "-1":
        return "all traffic"
    ports = range_of(rule.get("FromPort", 0), rule.get("ToPort", 0))
    return f"{rule['IpProtocol']} {ports}"
