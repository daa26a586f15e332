"""Fields of AWS's form: regions, zones, instance types, ARNs, ids, ECR repositories, tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import WithJsonSchema

from clusterkit.profile.cidr import Cidr, carvable
from clusterkit.profile.fields import Form, every, lower_case
from clusterkit.profile.labels import Labels, TaintKey
from clusterkit.profile.problems import Problem, shown
from clusterkit.profile.tags import TagLimits


def _region_cure(text: str) -> str:
    if re.fullmatch(r"[a-z]+(-[a-z]+)+-[0-9][a-z]", text):
        return f"this is a zone; its region is {text[:-1]}"
    return ""


REGION = Form(
    r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}", "an AWS region such as eu-west-1", 32, _region_cure
)
Region = Annotated[str, REGION]
"""https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html"""


def zone_problem(zone: str, region: str) -> str | None:
    """What is wrong with an availability zone's name in ``region``; EKS supports no Local Zones and
    no Wavelength Zones."""
    if re.fullmatch(re.escape(region) + "[a-z]", zone):
        return None
    if zone.startswith(f"{region}-"):
        return f"{shown(zone)} is a Local or Wavelength Zone, which EKS does not support"
    return f"{shown(zone)} is not an availability zone of {region}, such as {region}a"


def _machine_cure(text: str) -> str:
    if text.startswith("ecs.") or "_" in text or re.fullmatch(r"[a-z0-9]+-[a-z]+-\d+", text):
        return "this is another cloud's; a size such as {cpu: 4, memory: 16} works on every cloud"
    return ""


InstanceType = Annotated[
    str,
    Form(
        r"[a-z][a-z0-9-]*\.([a-z]+|[0-9]*xlarge|metal-[0-9]+xl)",
        "an EC2 instance type such as m7i.xlarge",
        64,
        _machine_cure,
    ),
]
"""https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html"""


def _arn_cure(text: str) -> str:
    session = re.fullmatch(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/.+", text)
    if session:
        partition, account, role = session.groups()
        return (
            f"this is a session; its role is arn:{partition}:iam::{account}:role/{role} "
            "(with its path, if it has one)"
        )
    if re.fullmatch(r"arn:[a-z-]+:iam::\d{12}:(root|group/.+)", text):
        return "access entries are for users and roles, not for accounts or groups"
    return "aws iam get-role --role-name NAME --query Role.Arn prints the ARN of a role"


PrincipalArn = Annotated[
    str,
    Form(
        r"arn:aws[a-z-]*:iam::[0-9]{12}:(user|role)/[A-Za-z0-9+=,.@_/-]+",
        "the ARN of an IAM user or role",
        2048,
        _arn_cure,
    ),
]
"""who an EKS access entry can be for:
https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html"""

VpcId = Annotated[str, Form(r"vpc-([0-9a-f]{8}|[0-9a-f]{17})", "the id of a VPC, vpc-…")]
SubnetId = Annotated[
    str, Form(r"subnet-([0-9a-f]{8}|[0-9a-f]{17})", "the id of a subnet, subnet-…")
]
VpcRange = Annotated[Cidr, carvable(16)]
"""https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"""

EcrName = Annotated[
    str,
    Form(
        r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
        "a repository name: lower-case letters and digits, joined by '-', '_', '.' or '/'",
        256,
        lower_case,
    ),
]
"""``repositoryName`` of the ECR API"""

_DAYS = "1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653"
RETENTIONS = tuple(map(int, _DAYS.split()))
"""``retentionInDays`` of CloudWatch Logs' PutRetentionPolicy"""


def _retention(days: int) -> Iterator[Problem]:
    if days not in RETENTIONS:
        yield Problem(f"must be one of {', '.join(map(str, RETENTIONS))}, is {days}")


LogDays = Annotated[int, every(_retention), WithJsonSchema({"enum": list(RETENTIONS)})]

_RESERVED = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.2.0/24 "
    "192.168.0.0/16 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"
)
RESERVED_RANGES = tuple(map(IPv4Network, _RESERVED.split()))
"""ranges that are not routed on the internet (IANA's special-purpose registry), documentation
ranges included: CreateCluster refuses them ("not allowed in publicAccessCidrs")"""

RESERVED_PREFIXES = ("kubernetes.io/", "k8s.io/", "eks.amazonaws.com/")
"""InvalidParameterException of CreateNodegroup: "cannot contain reserved prefixes
[kubernetes.io/, k8s.io/, eks.amazonaws.com/]\""""


def _key(key: str) -> Iterator[Problem]:
    if any(prefix in key for prefix in RESERVED_PREFIXES):
        what = f"EKS reserves the prefixes {', '.join(RESERVED_PREFIXES)}"
        yield Problem(what, "use another prefix")
    if len(key) > 63:
        yield Problem(f"EKS allows keys of at most 63 characters, this one has {len(key)}")


def _labels(labels: dict[str, str]) -> Iterator[Problem]:
    for key, value in labels.items():
        for problem in _key(key):
            yield replace(problem, place=(key,))
        if not value:
            what = "is empty, but EKS requires a value"
            yield Problem(what, 'set a value, such as "true"', (key,))


EksLabels = Annotated[Labels, every(_labels)]
"""``labelKey`` and ``labelValue`` of the EKS API: 1 to 63 characters each"""
EksTaintKey = Annotated[TaintKey, every(_key)]
"""``taintKey`` of the EKS API: 1 to 63 characters"""

_TAG = re.compile(r"[\w\s.:/=+\-@]*")


def _tags(tags: dict[str, str]) -> Iterator[Problem]:
    for key, value in tags.items():
        if key == "Name" or key.startswith("kubernetes.io/cluster/"):
            yield Problem("clusterkit and Kubernetes set this tag themselves", place=(key,))
        if not _TAG.fullmatch(key) or not _TAG.fullmatch(value):
            yield Problem("allows only letters, digits, spaces and . : / = + - @ _", place=(key,))


Tags = Annotated[dict[str, str], every(TagLimits(40, 128, 256, ("aws:",))), every(_tags)]
"""https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html: of 50 tags per resource,
ten are left to clusterkit, EKS and Kubernetes"""

_RANGE = "count: {min: 1, max: 5}"
OUTDATED: Mapping[str, str] = {
    **dict.fromkeys(
        ("managedNodeGroups", "nodeGroups", "node_groups", "eks_managed_node_groups"),
        "pools: [{name: default, machine: {cpu: 4, memory: 16}}]",
    ),
    **dict.fromkeys(("metadata", "apiVersion", "kind"), "name: and region: alone"),
    **dict.fromkeys(("version", "cluster_version", "kubernetes_version"), 'kubernetes: "1.35"'),
    **dict.fromkeys(("availabilityZones", "azs"), "network: {zones: 2}"),
}
"""Keys of eksctl and of Terraform's module, and what to write in a profile."""
POOL_OUTDATED: Mapping[str, str] = {
    **dict.fromkeys(
        ("instanceType", "instanceTypes", "instance_type", "instance_types"), "machine: m7i.xlarge"
    ),
    **dict.fromkeys(("desiredCapacity", "desired_size"), "count: 3"),
    **dict.fromkeys(("minSize", "maxSize", "min_size", "max_size"), _RANGE),
    **dict.fromkeys(("volumeSize", "disk_size"), "disk: {size: 100}"),
    **dict.fromkeys(("capacityType", "capacity_type"), "spot: true"),
    **dict.fromkeys(("availabilityZones", "zones"), "network.zones, for all pools"),
}
"""The same of a node group."""
