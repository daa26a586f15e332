"""Resource Groups Tagging API: what in a region has tags, of every service, by ARN.

Which resources: User Guide "Services that support the Resource Groups Tagging API". IAM's have the
region us-east-1; roles, users and instance profiles are not listed at all, EKS's access entries and
pod identity associations are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from clusterkit_sandbox.aws.account import ACCOUNT
from clusterkit_sandbox.aws.records import KINDS
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.kit.calls import cut, page_start, page_token

_PAGE = 100
_GLOBAL = "us-east-1"
_EC2 = {
    "vpc": "vpc", "subnet": "subnet", "igw": "internet-gateway", "rtb": "route-table",
    "eipalloc": "elastic-ip", "nat": "natgateway", "sg": "security-group", "key": "key-pair",
    "lt": "launch-template", "i": "instance", "vol": "volume", "snap": "snapshot",
    "eni": "network-interface", "acl": "network-acl", "vpce": "vpc-endpoint", "ami": "image",
    "dopt": "dhcp-options", "sgr": "security-group-rule", "eigw": "egress-only-internet-gateway",
}  # fmt: skip
"""types of EC2's resources by the beginning of their ids"""

_Found = Iterator[tuple[str, Mapping[str, str]]]


def run(eks: Eks, region: str, operation: str, body: bytes) -> dict[str, Any]:
    """One call; ``Refusal`` with the service's error. Call it with the account's lock held."""
    if operation != "resourcegroupstaggingapi:GetResources":
        raise Refusal("NotImplemented", f"{operation} is not in the sandbox", 501)
    asked = json.loads(body or b"{}")
    wanted = [(one["Key"], one.get("Values") or ()) for one in asked.get("TagFilters") or ()]
    kinds, arns = asked.get("ResourceTypeFilters") or (), asked.get("ResourceARNList") or ()
    if arns and (wanted or kinds or asked.get("PaginationToken")):
        raise Refusal("InvalidParameterException", "ResourceARNList cannot be used with filters")
    found = [
        {"ResourceARN": arn, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
        for arn, tags in sorted(_everything(eks, region))
        if (arn in arns if arns else tags and _matches(arn, tags, wanted, kinds))
    ]
    try:
        start = page_start(asked.get("PaginationToken"))
    except ValueError:
        raise Refusal("InvalidParameterException", "PaginationToken is not valid") from None
    size = asked.get("ResourcesPerPage") or _PAGE
    some, after = cut(found, start, size, eks.context.faults)
    return {"ResourceTagMappingList": list(some), "PaginationToken": page_token(after) or ""}


def _matches(arn: str, tags: Mapping[str, str], wanted: Any, kinds: Any) -> bool:
    if any(key not in tags or (values and tags[key] not in values) for key, values in wanted):
        return False
    service, rest = arn.split(":")[2], arn.split(":", 5)[5]
    kind = rest.partition("/")[0].partition(":")[0]
    return not kinds or any(
        one == service or one == f"{service}:{kind}" or f"{service}:{rest}".startswith(f"{one}/")
        for one in kinds
    )


def _everything(eks: Eks, region: str) -> _Found:
    for each in (_eks, _ec2, _moto):
        yield from each(eks, region)
    if region == _GLOBAL:
        yield from _iam(eks)


def _eks(eks: Eks, region: str) -> _Found:
    for kind in KINDS:
        for one in eks.store.all(kind):
            if one.scope.partition("/")[0] == region:
                yield one.arn, one.shown.get("tags") or {}


def _ec2(eks: Eks, region: str) -> _Found:
    for identifier, tags in list(eks.account.ec2(region).tags.items()):
        kind = _EC2.get(identifier.partition("-")[0])
        if kind:
            yield f"arn:aws:ec2:{region}:{ACCOUNT}:{kind}/{identifier}", tags


def _moto(_: Eks, region: str) -> _Found:
    from moto.ecr.models import ecr_backends
    from moto.elb.models import elb_backends
    from moto.elbv2.models import elbv2_backends
    from moto.kms.models import kms_backends
    from moto.logs.models import logs_backends
    from moto.s3.models import s3_backends

    for name, balancer in elb_backends[ACCOUNT][region].load_balancers.items():
        yield f"arn:aws:elasticloadbalancing:{region}:{ACCOUNT}:loadbalancer/{name}", balancer.tags
    v2, keys = elbv2_backends[ACCOUNT][region], kms_backends[ACCOUNT][region]
    for arn in (*v2.load_balancers, *v2.target_groups):
        yield arn, v2.tagging_service.get_tag_dict_for_resource(arn)
    for key in keys.keys.values():
        yield key.arn, keys.tagger.get_tag_dict_for_resource(key.id)
    ecr, logs = ecr_backends[ACCOUNT][region], logs_backends[ACCOUNT][region]
    for repository in ecr.repositories.values():
        yield repository.arn, ecr.tagger.get_tag_dict_for_resource(repository.arn)
    for group in logs.groups.values():
        yield group.arn.removesuffix(":*"), logs.tagger.get_tag_dict_for_resource(group.arn)
    buckets = s3_backends[ACCOUNT]["aws"]
    for bucket in buckets.buckets.values():
        if bucket.region_name == region:
            yield bucket.arn, buckets.tagger.get_tag_dict_for_resource(bucket.arn)


def _iam(eks: Eks) -> _Found:
    for provider in eks.account.iam().open_id_providers.values():
        yield provider.arn, {one["Key"]: one["Value"] for one in provider.tags.values()}
