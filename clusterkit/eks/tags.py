"""How ownership tags are written on AWS: in the create call, where the service can.

Keys and values fit every service's rules (EC2: 128 and 256 characters; IAM and EKS the same).
IAM lists by path, not by tag, so a role is ours by its path (``iam.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from clusterkit.eks.client import Clients, pages
from clusterkit.engine.kind import Env, Kind, Record, S, Tags
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER

_WILD = re.compile(r"[*?\\]")
FEW = 20
"""things of an account that cannot be listed by tag; each of as many is asked for its tags"""
REPLACE = "change the profile back, or destroy the cluster and run up again"


class AwsState(Record):
    """What AWS shows of a thing."""

    id: str
    arn: str = ""
    status: str = ""
    reason: str = ""
    tags: Tags | None = None


class Tagged(Kind[Clients, S]):
    """A kind with AWS tags: ours, the profile's, and a ``Name`` for the console."""

    def marks(self, env: Env[Any]) -> dict[str, str]:
        return {"Name": f"{env.cluster}-{self.name}", **super().marks(env)}


class Ec2State(AwsState):
    """What EC2 shows of a thing."""

    vpc: str = ""
    """the VPC it lies in, if any"""


class Ec2(Tagged[S]):
    """A kind of EC2's: found by tag, tagged by id."""

    listing: ClassVar[tuple[str, str, str]]
    """the Describe operation, and what it calls the things in its answer and their ids"""
    type: ClassVar[str] = ""
    """EC2's word for the kind; left out, ours"""
    patience: ClassVar[float] = 1200.0
    """as terraform-provider-aws waits for a subnet or a gateway to go (internal/service/ec2)"""
    propagation: ClassVar[float] = 300.0
    """facts/durations.tsv: "EC2 eventual consistency allowed for" so long"""

    @classmethod
    def state(cls, shown: Any) -> Any:
        """What EC2 shows of one."""
        return Ec2State(**cls.common(shown))

    @classmethod
    def common(cls, shown: Any) -> dict[str, Any]:
        """The fields of every ``Ec2State``."""
        vpc, status = shown.get("VpcId", ""), shown.get("State", "")
        tags = read_tags(shown.get("Tags"))
        return {"id": shown[cls.listing[2]], "vpc": vpc, "status": status, "tags": tags}

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[Any]:
        if not scope.client.together:
            return cls.found(scope, where(f"tag:{CLUSTER}", scope.cluster))
        every = cls.found(scope, where("tag-key", CLUSTER))
        return [have for have in every if have.tags.get(CLUSTER) == scope.cluster]

    @classmethod
    def found(cls, scope: Scope[Clients], *filters: Any, **parameters: Any) -> Sequence[Any]:
        """All that match, ours or not."""
        shown = pages(scope.client.ec2, *cls.listing[:2], Filters=[*filters], **parameters)
        return [cls.state(each) for each in shown]

    @classmethod
    def first(cls, scope: Scope[Clients], *filters: Any, **parameters: Any) -> Any:
        """One that fits; None if there is none."""
        return next(iter(cls.found(scope, *filters, **parameters)), None)

    def specification(self, env: Env[Any]) -> Any:
        """``TagSpecifications`` of the create call."""
        return [{"ResourceType": self.type or self.kind, "Tags": write_tags(self.marks(env))}]

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        scope.client.ec2.create_tags(Resources=[identifier], Tags=write_tags(labels))

    @classmethod
    def delete(cls, scope: Scope[Clients], have: Any) -> None:
        delete = getattr(scope.client.ec2, f"delete_{cls.kind.replace('-', '_')}")
        delete(**{cls.listing[2]: have.id})

    @classmethod
    def within(cls, have: Any) -> Mapping[str, str]:
        return {"vpc": have.vpc} if have.vpc not in ("", have.id) else {}


def where(name: str, *values: str) -> Any:
    """An EC2 filter: exactly one of the values, of which EC2 takes ``*`` and ``?`` for wildcards
    (EC2 User Guide, "Filtering").
    """
    return {"Name": name, "Values": [_WILD.sub(r"\\\g<0>", value) for value in values]}


def of_cluster(scope: Scope[Any], tags: Mapping[str, str]) -> bool:
    """Whether the tags of what Kubernetes or EKS made are those of a cluster of this name.

    They do not say whose cluster that is (``leftovers.homes``).
    """
    name = scope.cluster
    return (
        tags.get(f"kubernetes.io/cluster/{name}") == "owned"
        or tags.get("elbv2.k8s.aws/cluster") == name
        or tags.get("eks:eks-cluster-name") == name
        or tags.get("aws:eks:cluster-name") == name
        or tags.get("cluster.k8s.amazonaws.com/name") == name
    )


def read_tags(tags: Iterable[Any] | None) -> dict[str, str]:
    """``[{"Key": …, "Value": …}]`` as a mapping; EC2 leaves an empty set out."""
    return {tag["Key"]: tag.get("Value", "") for tag in tags or ()}


def write_tags(tags: Mapping[str, str]) -> list[Any]:
    """A mapping as ``[{"Key": …, "Value": …}]``."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
