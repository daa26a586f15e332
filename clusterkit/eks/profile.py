"""The EKS profile: what Amazon EKS adds to the common profile, and AWS's rules.

What AWS would refuse, and what can be checked offline, is refused here; each rule names the page or
API model it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Annotated, ClassVar, Literal

from pydantic import Field, Tag

from clusterkit.eks.fields import (
    OUTDATED,
    POOL_OUTDATED,
    RESERVED_RANGES,
    EcrName,
    EksLabels,
    EksTaintKey,
    InstanceType,
    LogDays,
    PrincipalArn,
    Region,
    SubnetId,
    Tags,
    VpcId,
    VpcRange,
    zone_problem,
)
from clusterkit.errors import Finding
from clusterkit.profile import model, network, pool
from clusterkit.profile.cidr import SLOTS, Cidr, private
from clusterkit.profile.fields import Many, every, unique
from clusterkit.profile.network import ANYWHERE, Zones, zone_count
from clusterkit.profile.pool import Size, repeated_names, repeated_taints, several, size_or
from clusterkit.profile.problems import Problem

MOST_TYPES = 20
"""``instanceTypes`` of CreateNodegroup"""
MOST_RANGES = 40
"""ranges that may connect to a cluster's public endpoint
(https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html)"""


MOST_WITH_JENKINS_X = 35
"""characters of the name of a cluster with Jenkins X, as its Terraform module takes
(jenkins-x/terraform-aws-eks-jx, ``modules/cluster/local.tf``)"""
MOST_WITH_SECRETS = 31
"""the same where the role ``NAME-external-secrets-secrets-manager`` has to fit into IAM's 64"""
OTHER_PARTITIONS = ("cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-")
"""how regions begin whose ARNs do not begin with ``arn:aws:`` (botocore, ``partitions.json``)"""


class EksDisk(pool.Disk):
    """Root volume of a node, on EBS.

    Sizes of gp3: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html; the AL2023
    image needs 20 GiB.
    """

    size: int = Field(default=80, ge=20, le=65_536, description="GiB, 20 to 65536")
    type: Literal["gp3"] = Field(default="gp3", description="EBS volume type")
    encrypted: bool = Field(default=True, description="encrypt with the account's EBS key")


class EksTaint(pool.Taint):
    """A taint of every node of the node group."""

    key: EksTaintKey = Field(description="`name` or `prefix/name`, at most 63 characters")


class EksPool(pool.Pool):
    """A managed node group."""

    outdated: ClassVar[Mapping[str, str]] = POOL_OUTDATED

    machine: Annotated[
        Size
        | Annotated[InstanceType, Tag("<type>")]
        | Annotated[Many[InstanceType], several(MOST_TYPES, "EKS"), Tag("<types>")],
        size_or("an EC2 instance type (m7i.xlarge)"),
    ] = Field(
        description="a size such as `{cpu: 4, memory: 16}`, or an EC2 instance type such as "
        "`m7i.xlarge`, or up to 20 of them, "
        "the preferred one first; a spot pool of a size gets several by itself; types with NVIDIA "
        "GPUs or AWS's own accelerators get the image with their drivers"
    )
    disk: EksDisk = Field(default_factory=EksDisk, description="root volume of each node")
    labels: EksLabels = Field(default_factory=dict, description="Kubernetes labels")
    taints: Annotated[Many[EksTaint], every(repeated_taints)] = Field(
        default=(), description="Kubernetes taints"
    )
    max_unavailable: int = Field(
        default=1, ge=1, le=100, description="nodes that may be unavailable during an update"
    )


class ExistingNetwork(network.ExistingNetwork):
    """An existing VPC to use; clusterkit never changes or deletes it."""

    vpc: VpcId = Field(description="id of the VPC")
    subnets: Annotated[Many[SubnetId], unique("subnet")] = Field(
        min_length=2, description="ids of the subnets for the nodes, in at least two zones"
    )
    public_subnets: Annotated[Many[SubnetId], unique("subnet")] = Field(
        default=(), description="ids of the subnets for public load balancers"
    )


def _pods(pods: IPv4Network | None) -> Iterator[Problem]:
    if pods:
        yield Problem(
            "cannot be set on EKS: pods get addresses of the VPC's subnets",
            "remove it, and choose a network.cidr that has room for the pods",
        )


class EksNetwork(network.Network):
    """A new VPC, or an existing one.

    EKS needs subnets in at least two zones:
    https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html. Range of the Services:
    ``serviceIpv4Cidr`` of the EKS API's KubernetesNetworkConfigRequest.
    """

    cidr: VpcRange = Field(default=network.DEFAULT, description="range of the VPC, /16 to /24")
    zones: Annotated[Zones, zone_count(2, "EKS puts its control plane in at least two zones")] = (
        Field(default=2, description=f"number of availability zones, 2 to {SLOTS}, or their names")
    )
    pods: Annotated[Cidr | None, every(_pods)] = Field(
        default=None, description="not available on EKS: pods get addresses of the VPC"
    )
    services: Annotated[Cidr | None, private(12, 24)] = Field(
        default=None, description="range of the Services, /12 to /24; default: chosen by EKS"
    )
    existing: ExistingNetwork | None = Field(default=None, description=network.EXISTING)


def _routed(ranges: tuple[IPv4Network, ...]) -> Iterator[Problem]:
    if len(ranges) > MOST_RANGES:
        yield Problem(f"has {len(ranges)} ranges, EKS allows at most {MOST_RANGES}")
    for index, allowed in enumerate(ranges):
        if allowed != ANYWHERE and any(allowed.subnet_of(block) for block in RESERVED_RANGES):
            yield Problem(
                f"{allowed} is not an internet address range",
                "use the public address of your network; private: true serves the VPC",
                (index,),
            )


class EksEndpoint(network.Endpoint):
    """The Kubernetes API endpoint."""

    allowed: Annotated[Many[Cidr], unique("range"), every(_routed)] = Field(
        default=(ANYWHERE,),
        description=f"ranges that may connect to the public endpoint, at most {MOST_RANGES}; "
        "default: 0.0.0.0/0",
    )


class EksRegistry(model.Registry):
    """ECR repositories."""

    name: EcrName = Field(description="first part of every repository's name")
    repositories: Annotated[Many[EcrName], unique("repository")] = Field(
        min_length=1, description="repositories to create, each `<name>/<repository>`"
    )
    cache_days: int = Field(
        default=14, ge=1, le=3650, description="days after which cached layers expire"
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        suffix = len("/cache") if self.cache else 0
        for index, repository in enumerate(self.repositories):
            if (length := len(f"{self.name}/{repository}") + suffix) > 256:
                what = f"the full name has {length} characters, ECR allows at most 256"
                yield Problem(what, place=("repositories", index))


class EksProfile(model.BaseProfile):
    """A cluster on Amazon EKS."""

    outdated: ClassVar[Mapping[str, str]] = OUTDATED
    immutable: ClassVar[tuple[str, ...]] = (
        "network.cidr",
        "network.existing.vpc",
        "network.services",
    )

    cloud: Literal["eks"] = Field(description="Amazon EKS")
    region: Region = Field(description="AWS region such as `eu-west-1`")
    support: Literal["standard", "extended"] = Field(
        default="standard",
        description="when standard support of the version ends: `standard` upgrades, `extended` "
        "costs more",
    )
    network: EksNetwork = Field(default_factory=EksNetwork, description="VPC")
    endpoint: EksEndpoint = Field(default_factory=EksEndpoint, description="API endpoint")
    admins: Annotated[Many[PrincipalArn], unique("principal")] = Field(
        default=(),
        description="ARNs of IAM users and roles that administer the cluster, in addition to its "
        "creator",
    )
    logging: Annotated[
        Many[Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]],
        unique("log"),
    ] = Field(default=(), description="control plane logs to send to CloudWatch")
    log_days: LogDays = Field(default=30, description="days CloudWatch keeps the logs")
    pools: Annotated[Many[EksPool], every(repeated_names)] = Field(
        min_length=1, description="managed node groups"
    )
    registry: EksRegistry | None = Field(default=None, description="ECR; default: none")
    tags: Tags = Field(
        default_factory=dict, description="added to everything that can be tagged, at most 40"
    )

    def zone_problem(self, zone: str) -> str | None:
        return zone_problem(zone, self.region)

    @property
    def _from_outside(self) -> bool:
        """Whether nodes too reach the endpoint from the internet, and not everybody may."""
        way = self.endpoint
        return way.public and not way.private and ANYWHERE not in way.allowed

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self._from_outside and not self.network.existing:
            what = "cannot be false while endpoint.allowed is a list: the nodes connect from their "
            what += "NAT gateway's address, which is not known yet, and would never join"
            yield Problem(what, "set private: true", ("endpoint", "private"))
        if wanted := self.ready.jenkins_x:
            most = MOST_WITH_SECRETS if wanted.cloud_secrets else MOST_WITH_JENKINS_X
            if len(self.name) > most:
                what = f"has {len(self.name)} characters; the roles for Jenkins X are called after "
                what += f"it, and their names have room for {most}"
                yield Problem(what, "choose a shorter name", ("name",))

    def warnings(self) -> Iterator[Finding]:
        yield from super().warnings()
        if self._from_outside and self.network.existing:
            what = "nodes join only if the addresses by which they reach the internet are among "
            what += "endpoint.allowed"
            hint = "set private: true, or list the addresses of the VPC's NAT gateways"
            yield Finding(what, "endpoint.private", hint)
        if self.ready.jenkins_x and self.region.startswith(OTHER_PARTITIONS):
            what = "Jenkins X finds no role in this region: its charts write arn:aws: before each"
            hint = "set the annotations of its service accounts in your cluster repository"
            yield Finding(what, "ready.jenkins_x", hint)
