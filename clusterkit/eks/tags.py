"""How ownership tags are written on AWS: in the create call, where the service can.

Keys and values fit every service's rules (EC2: 128 and 256 characters; IAM and EKS the same).
IAM lists by path, not by tag, so a role is ours by its path (``iam.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from clusterkit.engine.kind import Env, Kind, S, Tags
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import ResourceTypeType
    from mypy_boto3_ec2.type_defs import FilterTypeDef, TagSpecificationTypeDef

    from clusterkit.eks.client import Clients

REPLACE = "change the profile back, or destroy the cluster and run up again"


@dataclass(frozen=True, kw_only=True, eq=False)
class Tagged(Kind["Clients", S]):
    """A kind with AWS tags: ours, the profile's, and a ``Name`` for the console."""

    def marks(self, env: Env[Any]) -> dict[str, str]:
        return {"Name": f"{env.cluster}-{self.name}", **super().marks(env)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Ec2(Tagged[S]):
    """A kind of EC2's, tagged by its id."""

    type: ClassVar[ResourceTypeType]
    patience: ClassVar[float] = 1200.0
    """as terraform-provider-aws waits for a subnet or a gateway to go (internal/service/ec2)"""

    def specification(self, env: Env[Any]) -> list[TagSpecificationTypeDef]:
        """``TagSpecifications`` of the create call."""
        return [{"ResourceType": self.type, "Tags": write_tags(self.marks(env))}]

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        scope.client.ec2.create_tags(Resources=[identifier], Tags=write_tags(labels))


def ours(scope: Scope[Any]) -> FilterTypeDef:
    """The EC2 filter for this cluster's things."""
    return where(f"tag:{CLUSTER}", scope.cluster)


def where(name: str, *values: str) -> FilterTypeDef:
    """An EC2 filter: any of the values."""
    return {"Name": name, "Values": values}


def read_tags(tags: Iterable[Any] | None) -> dict[str, str]:
    """``[{"Key": …, "Value": …}]`` as a mapping; EC2 leaves an empty set out."""
    return {tag["Key"]: tag.get("Value", "") for tag in tags or ()}


def write_tags(tags: Mapping[str, str]) -> list[Any]:
    """A mapping as ``[{"Key": …, "Value": …}]``."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
