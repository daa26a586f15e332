"""Which IAM actions a call needs, and how each service denies one.

A call needs the action of its own name (Service Authorization Reference). Besides that:

- what makes something with tags needs the service's tagging action: EC2 ("Grant permission to tag
  Amazon EC2 resources during creation"), IAM ("Tags for IAM resources"), EKS (denials of
  ``eks:TagResource`` to CreateCluster and CreateAddon in public logs; EKS user guide, "Tagging"),
  ECR and Logs (Service Authorization Reference, dependent actions of CreateRepository and
  CreateLogGroup), Elastic Load Balancing ("Tag resources during creation", ``AddTags``);
- who passes a role to EKS needs ``iam:PassRole`` (EKS user guide, "Cluster IAM role");
- who gives a node group a launch template needs ``ec2:RunInstances``; EKS tells the lack of it as
  InvalidRequestException with EC2's words ("You are not authorized to launch instances with this
  launch template", in public logs of CreateNodegroup).

GetCallerIdentity and GetSessionToken need none (STS API Reference). Texts and statuses: public logs
of each service; ``facts/aws.tsv`` names the codes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

from clusterkit_sandbox.aws import autoscaling
from clusterkit_sandbox.aws.account import ACCOUNT
from clusterkit_sandbox.aws.records import ClusterRecord, Group, Record
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.aws.signature import Scope

_PREFIXES = {
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "resourcegroupstaggingapi": "tag",
    "service-quotas": "servicequotas",
}
_FREE = ("sts:GetCallerIdentity", "sts:GetSessionToken")
_TAGGING = {
    "ec2": ("TagSpecification.", "ec2:CreateTags"),
    "iam": ("Tags.member.", "iam:Tag{}"),
    "elb": ("Tags.member.", "elasticloadbalancing:AddTags"),
    "elbv2": ("Tags.member.", "elasticloadbalancing:AddTags"),
    "ecr": ("tags", "ecr:TagResource"),
    "eks": ("tags", "eks:TagResource"),
    "kms": ("Tags", "kms:TagResource"),
    "logs": ("tags", "logs:TagResource"),
}
"""by service: where a create has its tags, and what they need; ``{}`` is what it creates"""
LAUNCH = "ec2:RunInstances"
PASS = "iam:PassRole"
_CODES = {
    "ec2": ("UnauthorizedOperation", 403),
    "eks": ("AccessDeniedException", 403),
    "ecr": ("AccessDeniedException", 400),
    "kms": ("AccessDeniedException", 400),
    "logs": ("AccessDeniedException", 400),
    "servicequotas": ("AccessDeniedException", 400),
    "ssm": ("AccessDeniedException", 400),
    "tagging": ("AccessDeniedException", 400),
}


def needed(operation: str, body: bytes) -> Iterator[str]:
    """The actions that a call of ``ec2:CreateVpc`` with this body needs."""
    service, _, name = operation.partition(":")
    if operation in _FREE:
        return
    yield f"{_PREFIXES.get(service, service)}:{name}"
    given = _parameters(service, body)
    where, tagging = _TAGGING.get(service, ("", ""))
    makes = name.startswith(("Allocate", "Create", "Import")) and name != "CreateTags"
    if where and makes and _has(given, where):
        yield tagging.format(name.removeprefix("Create"))
    if service == "eks":
        if any(_roles(given)):
            yield PASS
        if given.get("launchTemplate"):
            yield LAUNCH


def resource_of(eks: Eks, scope: Scope, path: str, body: bytes) -> tuple[str, dict[str, str]]:
    """The ARN of what a call is about and the condition keys of its tags; ``*`` for none.

    Service Authorization Reference: SetDesiredCapacity and TerminateInstanceInAutoScalingGroup of
    Auto Scaling are about a group, the Describe calls about nothing; of EKS, a call is about the
    node group, else the cluster, that its path names; AssumeRole is about the role.
    """
    if scope.service == "autoscaling":
        asked = dict(parse_qsl(body.decode(errors="replace")))
        if not asked.get("Action", "").startswith("Describe"):
            group = autoscaling.group_of(eks, scope.region, asked)
            if group is not None:
                tags = autoscaling.tags_of(group)
                return autoscaling.arn_of(group), _tags(tags, "autoscaling")
    if scope.service == "sts":
        asked = dict(parse_qsl(body.decode(errors="replace")))
        return asked.get("RoleArn", "*"), {}
    if scope.service == "eks":
        names = [unquote(part) for part in path.split("/")]
        if len(names) > 2 and names[1] == "clusters":
            record = eks.store.get(ClusterRecord, names[2], scope.region)
            if record is None:
                return f"arn:aws:eks:{scope.region}:{ACCOUNT}:cluster/{names[2]}", {}
            found: Record = record
            if len(names) > 4 and names[3] == "node-groups":
                found = eks.store.get(Group, names[4], record.key) or record
            return found.arn, _tags(found.shown.get("tags") or {}, "eks")
    return "*", {}


def _tags(tags: dict[str, str], service: str) -> dict[str, str]:
    return {f"{one}:ResourceTag/{k}": v for k, v in tags.items() for one in ("aws", service)}


def denial(service: str, action: str, arn: str, resource: str = "*") -> Refusal:
    """How the service says that this user may not do this."""
    if service == "eks" and action == LAUNCH:
        text = "You are not authorized to launch instances with this launch template."
        return Refusal("InvalidRequestException", text, 400)
    code, status = _CODES.get(service, ("AccessDenied", 403))
    shown = f'"{resource}"' if service == "s3" else resource
    where = "" if resource == "*" else f" on resource: {shown}"
    text = (
        f"User: {arn} is not authorized to perform: {action}{where} because no identity-based"
        f" policy allows the {action} action"
    )
    if service == "ec2":
        text = (
            f"You are not authorized to perform this operation. {text}. Encoded authorization "
            "failure message: sandbox"
        )
    return Refusal(code, text, status)


def _parameters(service: str, body: bytes) -> dict[str, Any]:
    if service in ("ecr", "eks", "kms", "logs"):
        try:
            found = json.loads(body or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
    return dict(parse_qs(body.decode(errors="replace")))


def _has(given: dict[str, Any], where: str) -> bool:
    if where.endswith("."):
        return any(name.startswith(where) for name in given)
    return bool(given.get(where))


def _roles(given: dict[str, Any]) -> Iterator[str]:
    """The roles that a request passes to EKS."""
    pods = given.get("podIdentityAssociations") or ()
    for holder in (given, *(each for each in pods if isinstance(each, dict))):
        for name in ("roleArn", "nodeRole", "serviceAccountRoleArn"):
            if holder.get(name):
                yield holder[name]
