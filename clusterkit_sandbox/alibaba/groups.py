"""ECS 2014-05-26: security groups.

``DependencyViolation`` (403) for a group in use is on the vendor's page of DeleteSecurityGroup, the
codes for rules on that of AuthorizeSecurityGroup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.instances import ids_of
from clusterkit_sandbox.alibaba.models import (
    Direction,
    Instance,
    NetworkInterface,
    Rule,
    SecurityGroup,
    Vpc,
)
from clusterkit_sandbox.alibaba.service import (
    Call,
    Json,
    asked_for,
    given_tags,
    has_tags,
    iso,
    operation,
    resource_group,
    tag_key_value,
)

_RULE = (
    "IpProtocol",
    "PortRange",
    "SourceCidrIp",
    "SourceGroupId",
    "DestCidrIp",
    "DestGroupId",
    "SourcePortRange",
    "Policy",
    "Priority",
    "Description",
)
_IDENTITY = _RULE[:-1]
_PORTS = re.compile(r"([0-9]{1,5})/([0-9]{1,5})")
_EVERY_PORT = "-1/-1"
_MOST = 200
"""Rules a group may have, both ways (vendor: ECS "Limits", basic security groups)."""


@operation("ecs:CreateSecurityGroup")
def _create(call: Call) -> object:
    tags, resources = given_tags(call), resource_group(call)
    kind = call.get("SecurityGroupType", "normal")
    if kind not in ("normal", "enterprise"):
        raise bad("InvalidParameter", "The specified SecurityGroupType is not valid.")
    vpc = call.get("VpcId", "")
    if vpc:
        call.find(Vpc, vpc, "InvalidVpcId.NotFound", "Specified VPC does not exist.")

    def make() -> Json:
        if len(call.here(SecurityGroup)) >= call.store.conditions.quotas["security-group"]:
            raise Failure(403, "QuotaExceed.SecurityGroup", "Security group quota exceeded.")
        group = SecurityGroup(
            id=call.store.new_id("sg"),
            region=call.region,
            name=call.get("SecurityGroupName", ""),
            description=call.get("Description", ""),
            tags=tags,
            resource_group=resources,
            vpc=vpc,
            kind=kind,
        )
        return {"SecurityGroupId": call.store.add(group).id}

    return call.once(make)


def _find(call: Call) -> SecurityGroup:
    return call.find(
        SecurityGroup,
        call["SecurityGroupId"],
        "InvalidSecurityGroupId.NotFound",
        "The specified SecurityGroupId does not exist.",
    )


@operation("ecs:DescribeSecurityGroups")
def _describe(call: Call) -> object:
    ids = ids_of(call, "SecurityGroupIds")
    found = [
        g
        for g in call.here(SecurityGroup)
        if (not ids or g.id in ids)
        and asked_for(call, SecurityGroupId=g.id, VpcId=g.vpc, SecurityGroupName=g.name)
        and asked_for(call, SecurityGroupType=g.kind, ResourceGroupId=g.resource_group)
        and has_tags(g, call)
    ]
    figures: Json
    if call.get("MaxResults") or call.get("NextToken"):
        token, groups = call.slice(found)
        figures = {"NextToken": token}
    else:
        figures, groups = call.page(found, most=100)
    described = [
        {
            "SecurityGroupId": g.id,
            "SecurityGroupName": g.name,
            "Description": g.description,
            "VpcId": g.vpc,
            "SecurityGroupType": g.kind,
            "CreationTime": iso(g.created),
            "RuleCount": len(g.rules),
            "ResourceGroupId": g.resource_group,
            "ServiceManaged": False,
            "Tags": {"Tag": tag_key_value(g.tags)},
        }
        for g in groups
    ]
    return figures | {"RegionId": call.region, "SecurityGroups": {"SecurityGroup": described}}


@operation("ecs:DescribeSecurityGroupAttribute")
def _describe_rules(call: Call) -> object:
    group = _find(call)
    direction = call.get("Direction", "all")
    rules = [rule for rule in group.rules if direction in ("all", rule.direction)]
    token, some = call.slice(rules, default=500, most=1000)
    described = [
        {
            "SecurityGroupRuleId": rule.id,
            "Direction": rule.direction,
            "NicType": "intranet",
            "CreateTime": iso(rule.created),
            **{k: v.capitalize() if k == "Policy" else v for k, v in rule.fields.items()},
        }
        for rule in some
    ]
    return {
        "RegionId": group.region,
        "SecurityGroupId": group.id,
        "SecurityGroupName": group.name,
        "Description": group.description,
        "VpcId": group.vpc,
        "InnerAccessPolicy": "Accept" if group.kind == "normal" else "Drop",
        "NextToken": token,
        "Permissions": {"Permission": described},
    }


@operation("ecs:ModifySecurityGroupAttribute")
def _modify(call: Call) -> object:
    group = _find(call)
    group.name = call.get("SecurityGroupName", group.name)
    group.description = call.get("Description", group.description)
    return {}


def _rules(call: Call, direction: Direction) -> list[dict[str, str]]:
    """The rules of a call: a list, or the older single fields."""
    sent: list[Mapping[str, Any]] = call.get("Permissions") or [call.parameters]
    found = []
    for one in sent:
        fields = {name: str(one[name]) for name in _RULE if one.get(name) is not None}
        fields.setdefault("Policy", "accept")
        fields.setdefault("Priority", "1")
        fields["IpProtocol"] = fields.get("IpProtocol", "").upper()
        fields["Policy"] = fields["Policy"].lower()
        if fields["IpProtocol"] not in ("TCP", "UDP", "ICMP", "ICMPV6", "GRE", "ALL"):
            raise bad("InvalidIpProtocol.ValueNotSupported", "IpProtocol is not supported.")
        if fields["Policy"] not in ("accept", "drop"):
            raise bad("InvalidPolicy.Malformed", "The specified Policy is not valid.")
        if not re.fullmatch(r"[1-9][0-9]?|100", fields["Priority"]):
            raise bad("InvalidPriority.ValueNotSupported", "The parameter Priority is invalid.")
        _check_ports(fields["IpProtocol"], fields.get("PortRange", ""))
        _check_end(call, fields, "Source" if direction == "ingress" else "Dest")
        found.append(fields)
    return found


def _check_ports(protocol: str, text: str) -> None:
    """1/65535 and the like for TCP and UDP, all of them (-1/-1) for what has no ports."""
    found = _PORTS.fullmatch(text)
    low, high = (int(found[1]), int(found[2])) if found else (0, 0)
    ported = protocol in ("TCP", "UDP")
    if not (1 <= low <= high <= 65535 if ported else text == _EVERY_PORT):
        raise bad(
            "InvalidParam.PortRange",
            f"The specified parameter PortRange {text!r} is not valid. It should be two integers"
            " less than 65535 in ?/? format.",
        )


def _check_end(call: Call, fields: dict[str, str], end: str) -> None:
    """The source or destination: a CIDR block or an existing group."""
    block, group = fields.get(f"{end}CidrIp"), fields.get(f"{end}GroupId")
    if not block and not group:
        raise bad("MissingParameter", f"One of the {end} parameters is needed.")
    if group:
        call.find(SecurityGroup, group, f"Invalid{end}GroupId.NotFound")
    if block:
        try:
            fields[f"{end}CidrIp"] = str(IPv4Network(block, strict=False))
        except ValueError:
            raise bad(
                f"Invalid{end}CidrIp.Malformed",
                f"The specified parameter {end}CidrIp is not valid.",
            ) from None


def _direction(call: Call) -> Direction:
    return "egress" if call.operation.endswith("Egress") else "ingress"


@operation("ecs:AuthorizeSecurityGroup", "ecs:AuthorizeSecurityGroupEgress")
def _authorize(call: Call) -> object:
    group, direction = _find(call), _direction(call)
    known = [_identity(rule.fields) for rule in group.rules if rule.direction == direction]
    # the vendor takes the same rule twice without complaint, and keeps one
    for fields in _rules(call, direction):
        if _identity(fields) not in known:
            if len(group.rules) >= _MOST:
                raise Failure(
                    403,
                    "AuthorizationLimitExceed",
                    "The limit of authorization records in the security group reaches.",
                )
            made = Rule(id=call.store.new_id("sgr"), fields=fields, direction=direction)
            group.rules.append(made)
    return {}


@operation("ecs:RevokeSecurityGroup", "ecs:RevokeSecurityGroupEgress")
def _revoke(call: Call) -> object:
    group, direction = _find(call), _direction(call)
    ids = call.get("SecurityGroupRuleId", [])
    if ids:
        unknown = set(ids) - {rule.id for rule in group.rules}
        if unknown:
            # vendor: RevokeSecurityGroup, error codes
            raise Failure(
                403,
                "InvalidGroupAuthItem.NotFound",
                "Specified group authorized item does not exist.",
            )
        group.rules = [rule for rule in group.rules if rule.id not in ids]
        return {}
    gone = [_identity(fields) for fields in _rules(call, direction)]
    group.rules = [
        rule
        for rule in group.rules
        if rule.direction != direction or _identity(rule.fields) not in gone
    ]
    return {}


def _identity(fields: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(fields.get(name, "") for name in _IDENTITY)


@operation("ecs:DescribeSecurityGroupReferences")
def _describe_references(call: Call) -> object:
    """Only the groups that others' rules name (vendor: DescribeSecurityGroupReferences)."""
    found = []
    for identifier in call["SecurityGroupId"]:
        groups = [
            {"AliUid": "", "SecurityGroupId": other.id}
            for other in call.store.users(identifier, SecurityGroup)
            if other.region == call.region
        ]
        if groups:
            found.append(
                {
                    "SecurityGroupId": identifier,
                    "ReferencingSecurityGroups": {"ReferencingSecurityGroup": groups},
                }
            )
    return {"SecurityGroupReferences": {"SecurityGroupReference": found}}


def in_use(call: Call, group: SecurityGroup) -> bool:
    """Whether an instance, an interface or another group's rule refers to it."""
    return bool(call.store.users(group.id, Instance, NetworkInterface, SecurityGroup))


@operation("ecs:DeleteSecurityGroup")
def _delete(call: Call) -> object:
    group = _find(call)
    if in_use(call, group):
        raise Failure(
            403,
            "DependencyViolation",
            "There is still instance(s) in the specified security group.",
        )
    call.store.remove(group)
    return {}
