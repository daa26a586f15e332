"""Forms of AWS's names: regions, zones, instance types, ARNs, ids, ECR repositories, tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Annotated, Literal

from clusterkit.profile.fields import Form, every
from clusterkit.profile.labels import Labels, TaintKey
from clusterkit.profile.problems import Problem, shown


def _region_cure(text: str) -> str:
    if re.fullmatch(r"[a-z]+(-[a-z]+)+-[0-9][a-z]", text):
        return f"that is a zone; its region is {text[:-1]}"
    return ""


REGION = Form(
    r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}", "an AWS region such as eu-west-1", 32, _region_cure
)
Region = Annotated[str, REGION]
"""https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html"""


def zone_problem(zone: str, region: str) -> str | None:
    """What is wrong with an availability zone's name in ``region``; EKS takes no Local or
    Wavelength Zones."""
    if re.fullmatch(re.escape(region) + "[a-z]", zone):
        return None
    if zone.startswith(f"{region}-"):
        return f"{shown(zone)} is a Local or Wavelength Zone, where EKS puts no control plane"
    return f"{shown(zone)} is not an availability zone of {region}, such as {region}a"


def _machine_cure(text: str) -> str:
    if text.startswith("ecs.") or "_" in text or re.fullmatch(r"[a-z0-9]+-[a-z]+-\d+", text):
        return "that is another cloud's; a size such as {cpu: 4, memory: 16} works on every cloud"
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
            f"that is a session; its role is arn:{partition}:iam::{account}:role/{role} "
            "(with the role's path, if it has one)"
        )
    if re.fullmatch(r"arn:[a-z-]+:iam::\d{12}:(root|group/.+)", text):
        return "access entries are for single users and roles, not for accounts or groups"
    return "aws iam get-role --role-name NAME --query Role.Arn prints a role's"


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

EcrName = Annotated[
    str,
    Form(
        r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
        "a repository name: lower-case letters and digits, joined by '-', '_', '.' or '/'",
        256,
        lambda text: f"write {text.lower()}" if text != text.lower() else "",
    ),
]
"""``repositoryName`` of the ECR API"""

LOG_DAYS = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
]  # fmt: skip
"""``retentionInDays`` of CloudWatch Logs' PutRetentionPolicy"""

SERVICE_RANGES = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""where ``serviceIpv4Cidr`` may lie"""

RESERVED_RANGES = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "172.16.0.0/12", "192.0.2.0/24", "192.168.0.0/16", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
"""ranges not routed on the Internet (IANA's special-purpose registry), documentation ranges among
them"""


def _reserved(key: str) -> Iterator[Problem]:
    # the words of CreateNodegroup's InvalidParameterException: "cannot contain reserved prefixes
    # [kubernetes.io/, k8s.io/, eks.amazonaws.com/]"
    if any(f"{domain}/" in key for domain in ("kubernetes.io", "k8s.io", "eks.amazonaws.com")):
        yield Problem(
            "EKS lets nobody set keys of kubernetes.io, k8s.io and eks.amazonaws.com",
            "use a prefix of your own",
        )
    if len(key) > 63:
        yield Problem(f"EKS takes keys of at most 63 characters, this has {len(key)}")


def _labels(labels: dict[str, str]) -> Iterator[Problem]:
    for key, value in labels.items():
        for problem in _reserved(key):
            yield replace(problem, place=(key,))
        if not value:
            yield Problem(
                "is empty, which EKS does not take", 'give it a value, such as "true"', (key,)
            )


EksLabels = Annotated[Labels, every(_labels)]
"""``labelKey`` and ``labelValue`` of the EKS API: 1 to 63 characters each"""
EksTaintKey = Annotated[TaintKey, every(_reserved)]
"""``taintKey`` of the EKS API: 1 to 63 characters"""

_TAG = re.compile(r"[\w\s.:/=+\-@]*")


def tag_problems(tags: dict[str, str]) -> Iterator[Problem]:
    """What AWS refuses of tags:
    https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html.

    Of its 50 per resource, ten are left to clusterkit, EKS and Kubernetes. ``Name`` and
    ``kubernetes.io/cluster/`` are set by the driver and by Kubernetes.
    """
    if len(tags) > 40:
        yield Problem(f"at most 40 tags, there are {len(tags)}")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128:
            yield Problem(f"a key has 1 to 128 characters, this has {len(key)}", place=(key,))
        if len(value) > 256:
            yield Problem(
                f"a value has at most 256 characters, this has {len(value)}", place=(key,)
            )
        if key.lower().startswith("aws:"):
            yield Problem("AWS keeps tags that begin with aws: for itself", place=(key,))
        if key == "Name" or key.startswith("kubernetes.io/cluster/"):
            yield Problem("clusterkit sets this tag itself", place=(key,))
        if not _TAG.fullmatch(key) or not _TAG.fullmatch(value):
            yield Problem("takes letters, digits, spaces and . : / = + - @ _ only", place=(key,))
