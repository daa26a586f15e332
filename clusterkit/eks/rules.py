"""Forms of AWS's names: regions, zones, instance types, ARNs, ids, ECR repositories, tags."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Annotated, Literal

from clusterkit.core.forms import Form
from clusterkit.core.refusal import shown


def _region_cure(text: str) -> str:
    if re.fullmatch(r"[a-z]+(-[a-z]+)+-[0-9][a-z]", text):
        return f"that is a zone; its region is {text[:-1]}"
    return ""


Region = Annotated[
    str,
    Form(
        r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}", "an AWS region such as eu-west-1", 32, _region_cure
    ),
]
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

ServiceAccount = Annotated[
    str,
    Form(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?",
        "a service account as namespace/name",
        317,
    ),
]

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


def reserved_key(key: str) -> bool:
    """Whether EKS refuses a label or taint: "cannot contain reserved prefixes [kubernetes.io/,
    k8s.io/, …]"."""
    return any(
        f"{reserved}/" in key for reserved in ("kubernetes.io", "k8s.io", "eks.amazonaws.com")
    )


_TAG = re.compile(r"[\w\s.:/=+\-@]*")


def tag_problem(key: str, value: str) -> str | None:
    """What is wrong with a tag, by
    https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html.

    ``Name`` and ``kubernetes.io/cluster/`` are set by the driver and by Kubernetes.
    """
    if not 1 <= len(key) <= 128:
        return f"key {shown(key)} must have 1 to 128 characters"
    if key.lower().startswith("aws:"):
        return f"key {shown(key)}: AWS keeps the prefix aws: for itself"
    if key == "Name" or key.startswith("kubernetes.io/cluster/"):
        return f"key {shown(key)} is set by clusterkit itself"
    if len(value) > 256:
        return f"the value of {shown(key)} must have at most 256 characters, has {len(value)}"
    if not _TAG.fullmatch(key) or not _TAG.fullmatch(value):
        return f"{shown(key)} must be letters, digits, spaces and . : / = + - @ _ only"
    return None
