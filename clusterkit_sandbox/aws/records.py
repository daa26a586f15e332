"""The EKS emulator's records: each has its API object."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clusterkit_sandbox.kit.life import Living
from clusterkit_sandbox.kit.operations import LongRunning

SCALER_TAG = "k8s.io/cluster-autoscaler"
Shown = dict[str, Any]
"""an API object, with the members botocore's description names"""


@dataclass
class Record(Living):
    """A resource of EKS; its ``scope`` is the region, or the ``key`` of its cluster."""

    scope: str = field(kw_only=True)
    name_field: ClassVar[str]
    """the member of the API object that is unique in the scope"""
    arn_field: ClassVar[str]

    @property
    def id(self) -> str:
        """What is unique in the scope."""
        return str(self.shown[self.name_field])

    @property
    def arn(self) -> str:
        """The ARN the API shows."""
        return str(self.shown[self.arn_field])

    @property
    def status(self) -> str:
        """The status the API shows."""
        return str(self.shown["status"])

    def needs(self) -> Iterable[str]:
        """None: a cluster says itself what is in its way."""
        return ()


@dataclass
class Group(Record):
    """A node group, with its machines in EC2."""

    name_field = "nodegroupName"
    arn_field = "nodegroupArn"
    machines: dict[str, Any] = field(default_factory=dict)
    """moto's instances, by id, the oldest first"""
    template: str = ""
    """the launch template of EKS"""
    security_group: str | None = None
    given_tags: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """tags that others gave its Auto Scaling group, with whether instances get them"""

    @property
    def instances(self) -> list[str]:
        """The ids of its machines."""
        return list(self.machines)

    @property
    def scaling_group(self) -> str:
        """The name of its Auto Scaling group, ``eks-NODEGROUP-UUID``."""
        return str(self.shown["resources"]["autoScalingGroups"][0]["name"])

    def scaling_tags(self) -> dict[str, tuple[str, bool]]:
        """The tags of its Auto Scaling group, EKS's and others', and whether instances get them."""
        cluster = self.shown["clusterName"]
        own = {
            "eks:cluster-name": cluster,
            "eks:nodegroup-name": self.shown["nodegroupName"],
            f"{SCALER_TAG}/enabled": "true",
            f"{SCALER_TAG}/{cluster}": "owned",
            f"kubernetes.io/cluster/{cluster}": "owned",
        }
        return {**{key: (value, True) for key, value in own.items()}, **self.given_tags}

    def tags_of_machines(self) -> dict[str, str]:
        """The tags of its instances, without those of the launch template."""
        given = {key: value for key, (value, sent) in self.scaling_tags().items() if sent}
        return {
            **given,
            "aws:autoscaling:groupName": self.scaling_group,
            "aws:eks:cluster-name": self.shown["clusterName"],
        }


@dataclass
class Addon(Record):
    name_field = "addonName"
    arn_field = "addonArn"


@dataclass
class Access(Record):
    """An access entry and its policies by ARN."""

    name_field = "principalArn"
    arn_field = "accessEntryArn"
    policies: dict[str, Shown] = field(default_factory=dict)


@dataclass
class Association(Record):
    """A pod identity association."""

    name_field = "associationId"
    arn_field = "associationArn"


@dataclass
class FargateProfile(Record):
    name_field = "fargateProfileName"
    arn_field = "fargateProfileArn"


@dataclass
class ClusterRecord(Record):
    """A cluster."""

    name_field = "name"
    arn_field = "arn"
    host: str = ""
    zones: set[str] = field(default_factory=set)
    """those of the subnets that it was made with"""
    creator: str = ""
    """the principal who made it, if it has no access entries and admits its creator"""
    interfaces: list[str] = field(default_factory=list)

    @property
    def region(self) -> str:
        """Its region."""
        return self.scope

    @property
    def key(self) -> str:
        """The scope of what is in it, and what tells its API server from others."""
        return f"{self.region}/{self.id}"

    @property
    def services(self) -> str:
        """The range of Services' addresses."""
        return str(self.shown["kubernetesNetworkConfig"]["serviceIpv4Cidr"])


@dataclass(kw_only=True)
class Update(LongRunning):
    """An update; its ``parent`` is the cluster's ARN."""

    shown: Shown


KINDS: tuple[type[Record], ...] = (
    ClusterRecord,
    Group,
    Addon,
    Access,
    Association,
    FargateProfile,
)
