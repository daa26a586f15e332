"""The machine images that Amazon publishes for EKS, and SSM's public parameters that name them.

Parameters: EKS User Guide, "Retrieve recommended Amazon Linux AMI IDs" and "Retrieve recommended
Bottlerocket AMI IDs". Names and owners of the images: awslabs/amazon-eks-ami and bottlerocket-os.
The identifiers are the sandbox's own, one for each region.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any

from clusterkit_sandbox.aws.account import ACCOUNT
from clusterkit_sandbox.aws.catalog import VERSIONS
from clusterkit_sandbox.aws.refusals import Refusal

RELEASE = "20261110"
"""the day of the images' release"""
AMAZON, BOTTLEROCKET = "602401143452", "092701018921"
"""the accounts that publish them"""
_EKS = "/aws/service/eks/optimized-ami"
_ROCKET, _ROCKET_RELEASE = "/aws/service/bottlerocket", "1.52.0"
_VARIANTS = {"x86_64": ("standard", "nvidia", "neuron"), "arm64": ("standard", "nvidia")}
_TYPES = {
    ("x86_64", "standard"): "AL2023_x86_64_STANDARD",
    ("x86_64", "nvidia"): "AL2023_x86_64_NVIDIA",
    ("x86_64", "neuron"): "AL2023_x86_64_NEURON",
    ("arm64", "standard"): "AL2023_ARM_64_STANDARD",
    ("arm64", "nvidia"): "AL2023_ARM_64_NVIDIA",
}
"""EKS's AMI types, as node groups name them"""


@dataclass(frozen=True)
class Image:
    """One published image."""

    path: str
    """its parameter, without the last word"""
    name: str
    architecture: str
    owner: str
    release: str
    amis: tuple[str, str] = ("", "")
    """the AMI type and the version of Kubernetes of node groups that get it"""

    def id(self, region: str) -> str:
        """``ami-`` and 17 digits."""
        return f"ami-{sha256(f'{region}{self.name}'.encode()).hexdigest()[:17]}"


def release(version: str) -> str:
    """The newest release of the images for a version of Kubernetes, as EKS names it."""
    return f"{version}.2-{RELEASE}"


@cache
def published() -> tuple[Image, ...]:
    """Every image."""
    return tuple(_published())


def _published() -> Iterator[Image]:
    for version in VERSIONS:
        for architecture, variants in _VARIANTS.items():
            for variant in variants:
                kind = f"{architecture}/{variant}"
                yield Image(
                    f"{_EKS}/{version}/amazon-linux-2023/{kind}/recommended",
                    f"amazon-eks-node-al2023-{kind.replace('/', '-')}-{version}-v{RELEASE}",
                    architecture,
                    AMAZON,
                    release(version),
                    (_TYPES[architecture, variant], version),
                )
            for flavour in ("", "-nvidia"):
                short = f"aws-k8s-{version}{flavour}"
                arch = "ARM_64" if architecture == "arm64" else "x86_64"
                yield Image(
                    f"{_ROCKET}/{short}/{architecture}/latest",
                    f"bottlerocket-{short}-{architecture}-v{_ROCKET_RELEASE}-1a2b3c4d",
                    architecture,
                    BOTTLEROCKET,
                    f"{_ROCKET_RELEASE}-1a2b3c4d",
                    (f"BOTTLEROCKET_{arch}{flavour.upper().replace('-', '_')}", version),
                )


def of_group(region: str, ami: str, version: str) -> str:
    """The image of a node group of this AMI type; one that is not published for other types."""
    found = next((one for one in published() if one.amis == (ami, version)), None)
    return found.id(region) if found else f"ami-{sha256(ami.encode()).hexdigest()[:17]}"


def known(ec2: Any) -> None:
    """Put the images into moto's EC2, where DescribeImages finds them."""
    from moto.ec2.models.amis import Ami

    region = ec2.region_name
    for image in published():
        if image.id(region) not in ec2.amis:
            rocket = image.owner == BOTTLEROCKET
            ec2.amis[image.id(region)] = Ami(
                ec2,
                image.id(region),
                name=image.name,
                description=f"EKS-optimized Kubernetes node, {image.name}",
                owner_id=image.owner,
                owner_alias="amazon",
                public=True,
                virtualization_type="hvm",
                architecture=image.architecture,
                creation_date=datetime.strptime(RELEASE, "%Y%m%d").replace(tzinfo=UTC),
                image_location=f"amazon/{image.name}",
                hypervisor="xen",
                root_device_type="ebs",
                root_device_name="/dev/xvda",
                region_name=f"{region}a",
                product_codes=set(),
                boot_mode="uefi-preferred" if not rocket else "uefi",
            )


@cache
def _parameters(region: str) -> Mapping[str, str]:
    found = {}
    for image in published():
        identifier = image.id(region)
        if image.owner == BOTTLEROCKET:
            found[f"{image.path}/image_id"] = identifier
            found[f"{image.path}/image_version"] = image.release
            continue
        whole = {
            "schema_version": "2",
            "image_id": identifier,
            "image_name": image.name,
            "release_version": image.release,
        }
        found |= {f"{image.path}/{key}": value for key, value in whole.items() if key[0] != "s"}
        found[image.path] = json.dumps(whole)
        found[f"{image.path.removesuffix('recommended')}{image.name}/image_id"] = identifier
    return found


def run(region: str, operation: str, body: bytes) -> bytes:
    """A call of SSM, as JSON; ``Refusal`` with its error."""
    asked, parameters = json.loads(body or b"{}"), _parameters(region)
    if operation == "ssm:GetParameter":
        name = asked["Name"]
        if name not in parameters:
            raise Refusal("ParameterNotFound", "")
        return json.dumps({"Parameter": _shown(region, name, parameters[name])}).encode()
    if operation == "ssm:GetParameters":
        names = asked["Names"]
        there = [name for name in names if name in parameters]
        return json.dumps(
            {
                "Parameters": [_shown(region, name, parameters[name]) for name in there],
                "InvalidParameters": [name for name in names if name not in parameters],
            }
        ).encode()
    raise Refusal("NotImplemented", f"{operation} is not in the sandbox", 501)


def _shown(region: str, name: str, value: str) -> dict[str, object]:
    return {
        "Name": name,
        "Type": "String",
        "Value": value,
        "Version": 1,
        "LastModifiedDate": datetime.strptime(RELEASE, "%Y%m%d").replace(tzinfo=UTC).timestamp(),
        "ARN": f"arn:aws:ssm:{region}::parameter{name}"
        if name.startswith("/aws/")
        else f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/{name}",
        "DataType": "text",
    }
