"""The fault ``late``: AWS answers reads from copies that may not know a new resource yet.

For some seconds a read that names the new resource is refused as not found, and lists leave it out
(EC2 documentation, "Eventual consistency in the Amazon EC2 API"; IAM documentation, "Changes that I
make are not always immediately visible").
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.faults import Faults

_READS = ("Describe", "Get", "Head", "List")
Pairs = Collection[tuple[str, str]]
"""the parameters of a request; a list is as many pairs, each with the list's name"""


@dataclass(frozen=True)
class Kind:
    """How one kind of resource is named in requests and answers, and how it is not found."""

    name: str
    """the parameter of the create, else the member of its answer, that holds the name or id"""
    parameters: tuple[str, ...]
    """the parameters that name it in reads"""
    listing: str
    """the operation that lists it"""
    member: str
    """the member of a listed item that holds the name or id; empty where items are names"""
    code: str
    message: str
    status: int = 400
    parent: str = ""
    """the parameter that must be the same too: node groups have names within their cluster"""


def _ec2(name: str, listing: str, code: str, message: str) -> Kind:
    parameter = name[:1].upper() + name[1:]
    return Kind(name, (parameter,), listing, name, code, message)


def _eks(name: str, listing: str, what: str, *more: str) -> Kind:
    parent = "" if what == "cluster" else "clusterName"
    member = "associationId" if name == "associationId" else ""
    message = f"No {what} found for name: {{}}."
    return Kind(
        name, (name, *more), listing, member, "ResourceNotFoundException", message, 404, parent
    )


KINDS: Mapping[str, Kind] = {
    # codes: EC2 API reference, "Error codes"
    "ec2:AllocateAddress": _ec2(
        "allocationId", "DescribeAddresses", "InvalidAllocationID.NotFound",
        "The allocation ID '{}' does not exist",
    ),
    "ec2:CreateInternetGateway": _ec2(
        "internetGatewayId", "DescribeInternetGateways", "InvalidInternetGatewayID.NotFound",
        "The internetGateway ID '{}' does not exist",
    ),
    "ec2:CreateNatGateway": _ec2(
        "natGatewayId", "DescribeNatGateways", "NatGatewayNotFound",
        "The Nat Gateway {} was not found",
    ),
    "ec2:CreateRouteTable": _ec2(
        "routeTableId", "DescribeRouteTables", "InvalidRouteTableID.NotFound",
        "The routeTable ID '{}' does not exist",
    ),
    "ec2:CreateSecurityGroup": _ec2(
        "groupId", "DescribeSecurityGroups", "InvalidGroup.NotFound",
        "The security group '{}' does not exist",
    ),
    "ec2:CreateLaunchTemplate": _ec2(
        "launchTemplateId", "DescribeLaunchTemplates", "InvalidLaunchTemplateId.NotFound",
        "The specified launch template, with template ID {}, does not exist.",
    ),
    "ec2:CreateSubnet": _ec2(
        "subnetId", "DescribeSubnets", "InvalidSubnetID.NotFound",
        "The subnet ID '{}' does not exist",
    ),
    "ec2:CreateVpc": _ec2(
        "vpcId", "DescribeVpcs", "InvalidVpcID.NotFound", "The vpc ID '{}' does not exist"
    ),
    "ec2:ImportKeyPair": _ec2(
        "keyName", "DescribeKeyPairs", "InvalidKeyPair.NotFound",
        "The key pair '{}' does not exist",
    ),
    # IAM API reference, GetRole
    "iam:CreateRole": Kind(
        "RoleName", ("RoleName",), "ListRoles", "RoleName", "NoSuchEntity",
        "The role with name {} cannot be found.", 404,
    ),
    # IAM API reference, GetOpenIDConnectProvider
    "iam:CreateOpenIDConnectProvider": Kind(
        "OpenIDConnectProviderArn", ("OpenIDConnectProviderArn",), "ListOpenIDConnectProviders",
        "Arn", "NoSuchEntity", "OpenIDConnect Provider not found for arn {}", 404,
    ),
    # ECR API reference, DescribeRepositories
    "ecr:CreateRepository": Kind(
        "repositoryName", ("repositoryName", "repositoryNames"), "DescribeRepositories",
        "repositoryName", "RepositoryNotFoundException",
        "The repository with name '{}' does not exist in the registry",
    ),
    # CloudWatch Logs API reference, ListTagsForResource and DescribeLogStreams
    "logs:CreateLogGroup": Kind(
        "logGroupName", ("logGroupName",), "DescribeLogGroups", "logGroupName",
        "ResourceNotFoundException", "The specified log group does not exist.",
    ),
    # S3 User Guide, "Amazon S3 data consistency model" (of buckets)
    "s3:CreateBucket": Kind(
        "Bucket", ("Bucket",), "ListBuckets", "Name", "NoSuchBucket",
        "The specified bucket does not exist", 404,
    ),
    # EKS API reference, DescribeCluster and the others
    "eks:CreateCluster": _eks("name", "ListClusters", "cluster", "clusterName"),
    "eks:CreateNodegroup": _eks("nodegroupName", "ListNodegroups", "node group"),
    "eks:CreateAddon": _eks("addonName", "ListAddons", "addon"),
    "eks:CreateAccessEntry": _eks("principalArn", "ListAccessEntries", "access entry"),
    "eks:CreatePodIdentityAssociation": _eks(
        "associationId", "ListPodIdentityAssociations", "association"
    ),
}  # fmt: skip
"""what can be late, by the operation that creates it"""


@dataclass(frozen=True)
class _Unseen:
    kind: Kind
    service: str
    region: str
    name: str
    parent: str
    until: float
    """by time.monotonic"""


class Late:
    """What reads do not find yet. Call it with the account's lock held."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._unseen: list[_Unseen] = []

    def forget(self) -> None:
        """Everything is found again."""
        self._unseen.clear()

    def made(self, operation: str, region: str, asked: Pairs, answer: Answer) -> None:
        """Hide what this answered call created, if a rule says so."""
        kind = KINDS.get(operation)
        if kind is None or answer.status >= 300:
            return
        seconds = self._faults.late(operation)
        name = dict(asked).get(kind.name) or _member(answer.body, kind.name)
        if not seconds or name is None:
            return
        service, until = operation.partition(":")[0], time.monotonic() + seconds
        parent = dict(asked).get(kind.parent, "")
        self._unseen.append(_Unseen(kind, service, region, name, parent, until))

    def check(self, operation: str, region: str, asked: Pairs) -> None:
        """``Refusal`` for a read that names a hidden resource."""
        for one in self._hidden(operation, region):
            named = any(key in one.kind.parameters and text == one.name for key, text in asked)
            if named and dict(asked).get(one.kind.parent, "") == one.parent:
                raise Refusal(one.kind.code, one.kind.message.format(one.name), one.kind.status)

    def without(self, operation: str, region: str, asked: Pairs, answer: Answer) -> Answer:
        """The answer of a list, without hidden resources."""
        for one in self._hidden(operation, region):
            lists = operation == f"{one.service}:{one.kind.listing}"
            if (
                lists
                and answer.status == 200
                and dict(asked).get(one.kind.parent, "") == one.parent
            ):
                answer = _without(answer, one.kind.member, one.name)
        return answer

    def _hidden(self, operation: str, region: str) -> Iterator[_Unseen]:
        service, _, name = operation.partition(":")
        if not self._unseen or not name.startswith(_READS):
            return
        now = time.monotonic()
        self._unseen = [one for one in self._unseen if one.until > now]
        for one in self._unseen:
            if (one.service, one.region) == (service, region):
                yield one


def flat(body: bytes) -> Pairs:
    """The parameters of an ``ec2`` or ``query`` request; ``VpcId.1`` counts as ``VpcId``."""
    return [
        (key.partition(".")[0], text)
        for key, text in parse_qsl(body.decode(), keep_blank_values=True)
    ]


def nested(parameters: Mapping[str, Any]) -> Pairs:
    """The parameters of a JSON request."""
    return [
        (key, str(item))
        for key, value in parameters.items()
        for item in (value if isinstance(value, list) else [value])
    ]


def pairs(body: bytes) -> Pairs:
    """The parameters of a request in either format."""
    if body.lstrip()[:1] == b"{":
        return nested(json.loads(body))
    return flat(body)


def _member(body: bytes, name: str) -> str | None:
    """The first member of that name in an answer."""
    if body.lstrip()[:1] != b"{":
        root = ElementTree.fromstring(body)
        return next((one.text for one in root.iter() if _local(one.tag) == name), None)
    shown = json.loads(body)
    for value in (shown, *shown.values()):
        if isinstance(value, dict) and isinstance(value.get(name), str):
            return str(value[name])
    return None


def _without(answer: Answer, member: str, name: str) -> Answer:
    if answer.body.lstrip()[:1] == b"{":
        shown = {
            key: [item for item in value if not _is(item, member, name)]
            if isinstance(value, list)
            else value
            for key, value in json.loads(answer.body).items()
        }
        return replace(answer, body=json.dumps(shown).encode())
    root = ElementTree.fromstring(answer.body)
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    # EC2 lists in the root, the query protocol one level below
    for parent in (root, *root):
        for listed in parent:
            for item in [one for one in listed if one.findtext(space + member) == name]:
                listed.remove(item)
    if space:
        ElementTree.register_namespace("", space[1:-1])
    return replace(answer, body=ElementTree.tostring(root, encoding="utf-8"))


def _is(item: Any, member: str, name: str) -> bool:
    return bool(item.get(member) == name if isinstance(item, dict) else item == name)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
