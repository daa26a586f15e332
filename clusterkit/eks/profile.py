"""The EKS profile: what Amazon EKS adds to every cloud's profile, and AWS's own rules.

Everything AWS would refuse and that can be known offline is refused here, with the vendor's page or
API model named at the rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field, Tag

from clusterkit.eks.fields import (
    LOG_DAYS,
    RESERVED_RANGES,
    SERVICE_RANGES,
    EcrName,
    EksLabels,
    EksTaintKey,
    InstanceType,
    PrincipalArn,
    Region,
    SubnetId,
    VpcId,
    tag_problems,
    zone_problem,
)
from clusterkit.profile.cidr import SLOTS, Cidr, carvable
from clusterkit.profile.fields import Many, Strict, choice, every, unique
from clusterkit.profile.labels import ServiceAccount
from clusterkit.profile.model import BaseProfile, Registry, our_tags
from clusterkit.profile.network import ANYWHERE, Endpoint, Network, Zones
from clusterkit.profile.pool import Disk, Machine, Pool, Taint, repeated_names, repeated_taints
from clusterkit.profile.problems import Problem


class EksDisk(Disk):
    """A node's root volume on EBS.

    Sizes of gp3: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html; the AL2023
    image needs 20 GiB.
    """

    size: int = Field(default=80, ge=20, le=65_536, description="GiB, 20 to 65536")
    type: Literal["gp3"] = Field(default="gp3", description="EBS volume type")
    encrypted: bool = Field(default=True, description="encrypted with the account's EBS key")


class EksTaint(Taint):
    """Keeps pods without a matching toleration away from a node group's nodes."""

    key: EksTaintKey = Field(description="`name` or `prefix/name`, at most 63 characters")


class EksPool(Pool):
    """A managed node group."""

    machine: Annotated[
        Annotated[Machine, Tag("<size>")] | Annotated[InstanceType, Tag("<type>")],
        choice(
            "must be a size such as {cpu: 4, memory: 16}, or an EC2 instance type (m7i.xlarge)",
            size=(dict, Machine),
            type=str,
        ),
    ] = Field(description="a size, or an EC2 instance type such as `m7i.xlarge`")
    disk: EksDisk = Field(default_factory=EksDisk, description="root volume of each node")
    labels: EksLabels = Field(default_factory=dict, description="Kubernetes labels")
    taints: Annotated[Many[EksTaint], every(repeated_taints)] = Field(
        default=(), description="Kubernetes taints"
    )
    max_unavailable: int = Field(
        default=1, ge=1, le=100, description="nodes an update may take away at one time"
    )


class ExistingNetwork(Strict):
    """A VPC that is there already; it is used and never changed or removed."""

    vpc: VpcId = Field(description="id of the VPC")
    subnets: Annotated[Many[SubnetId], unique("subnet")] = Field(
        min_length=2, description="ids of the subnets for the nodes, in two zones or more"
    )
    public_subnets: Annotated[Many[SubnetId], unique("subnet")] = Field(
        default=(), description="ids of subnets for public load balancers"
    )


def _zones(zones: int | tuple[str, ...]) -> Iterator[Problem]:
    number = len(zones) if isinstance(zones, tuple) else zones
    if not 2 <= number <= SLOTS:
        yield Problem(
            f"must be 2 to {SLOTS} zones, is {number}",
            "EKS puts its control plane in at least two zones",
        )


def _pods(pods: IPv4Network | None) -> Iterator[Problem]:
    if pods:
        yield Problem(
            "cannot be set on EKS: pods take addresses of the VPC's subnets",
            "leave it out, and give network.cidr enough room for the pods",
        )


def _services(services: IPv4Network | None) -> Iterator[Problem]:
    if services is None:
        return
    if not any(services.subnet_of(block) for block in SERVICE_RANGES):
        yield Problem(
            f"{services} is not private: EKS takes parts of 10.0.0.0/8, 172.16.0.0/12 and "
            "192.168.0.0/16",
            "172.20.0.0/16 is usual",
        )
    elif not 12 <= services.prefixlen <= 24:
        yield Problem(f"must be between /12 and /24, is {services}")


class EksNetwork(Network):
    """A VPC of our own, or an existing one.

    EKS wants subnets in at least two zones:
    https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html. A VPC is /16 to /28:
    https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html. Rules of the Services'
    range: ``serviceIpv4Cidr`` of the EKS API's KubernetesNetworkConfigRequest.
    """

    cidr: Annotated[Cidr, every(carvable)] = Field(
        default=IPv4Network("10.0.0.0/16"), description="range of the VPC, /16 to /24"
    )
    zones: Annotated[Zones, every(_zones)] = Field(
        default=2, description=f"number of availability zones, 2 to {SLOTS}, or their names"
    )
    pods: Annotated[Cidr | None, every(_pods)] = Field(
        default=None, description="not on EKS: pods take addresses of the VPC"
    )
    services: Annotated[Cidr | None, every(_services)] = Field(
        default=None, description="range of the Services, /12 to /24; left out: chosen by EKS"
    )
    existing: ExistingNetwork | None = Field(
        default=None,
        description="use this VPC instead of making one; leave out cidr, zones and nat then",
    )

    def problems(self) -> Iterator[Problem]:
        if self.existing is None:
            yield from super().problems()
            return
        # the existing VPC's own range is not known here, so there is nothing to compare with
        for field in ("cidr", "zones", "nat"):
            if field in self.model_fields_set:
                yield Problem(
                    "means nothing beside existing:, whose subnets decide it",
                    "leave it out, or leave out existing",
                    (field,),
                )


def _routed(ranges: tuple[IPv4Network, ...]) -> Iterator[Problem]:
    if len(ranges) > 40:
        yield Problem(f"EKS takes at most 40 ranges, there are {len(ranges)}")
    for index, allowed in enumerate(ranges):
        if allowed != ANYWHERE and any(allowed.subnet_of(block) for block in RESERVED_RANGES):
            yield Problem(
                f"{allowed} is not an Internet address range, EKS refuses it",
                "give the public address you are seen with; private: true serves the VPC",
                (index,),
            )


class EksEndpoint(Endpoint):
    """The Kubernetes API's address.

    At most 40 ranges per cluster:
    https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html. Ranges that are not routed
    on the Internet are refused by CreateCluster ("not allowed in publicAccessCidrs").
    """

    allowed: Annotated[Many[Cidr], unique("range"), every(_routed)] = Field(
        default=(ANYWHERE,),
        description="ranges that may reach the public address, at most 40; left out: everywhere",
    )


class EksRegistry(Registry):
    """ECR repositories."""

    name: EcrName = Field(description="first part of every repository's name")
    repositories: Annotated[Many[EcrName], unique("repository")] = Field(
        min_length=1, description="repositories to make, each `<name>/<repository>`"
    )
    cache_days: int = Field(
        default=14, ge=1, le=3650, description="days after which cached layers expire"
    )
    push: Annotated[
        Annotated[Literal["node"], Tag("<node>")]
        | Annotated[Many[ServiceAccount], unique("service account"), Tag("<accounts>")],
        choice(
            "must be a list of service accounts such as [builds/kaniko], or node",
            node=str,
            accounts=(list, tuple),
        ),
    ] = Field(
        default=(),
        description="who may push, beside what `ready` asks for: service accounts "
        "`namespace/name`, or `node` for every pod on every node",
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        suffix = len("/cache") if self.cache else 0
        for index, repository in enumerate(self.repositories):
            if len(f"{self.name}/{repository}") + suffix > 256:
                yield Problem(
                    "makes a repository name of more than the 256 characters ECR takes",
                    place=("repositories", index),
                )


class EksProfile(BaseProfile):
    """One cluster on Amazon EKS."""

    cloud: Literal["eks"] = Field(description="Amazon EKS")
    region: Region = Field(description="AWS region such as `eu-west-1`")
    network: EksNetwork = Field(default_factory=EksNetwork, description="VPC")
    endpoint: EksEndpoint = Field(default_factory=EksEndpoint, description="address of the API")
    pools: Annotated[Many[EksPool], every(repeated_names)] = Field(
        min_length=1, description="managed node groups"
    )
    registry: EksRegistry | None = Field(
        default=None, description="ECR repositories; left out: none"
    )
    tags: Annotated[dict[str, str], every(our_tags), every(tag_problems)] = Field(
        default_factory=dict, description="put on everything AWS lets us tag, at most 40"
    )
    admins: Annotated[Many[PrincipalArn], unique("principal")] = Field(
        default=(),
        description="ARNs of IAM users and roles that administer the cluster, beside its creator",
    )
    logging: Annotated[
        Many[Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]],
        unique("log"),
    ] = Field(default=(), description="control plane logs to send to CloudWatch")
    log_days: LOG_DAYS = Field(default=30, description="days CloudWatch keeps the logs")
    deletion_protection: bool = Field(
        default=False, description="`destroy` refuses until this is set to false by `up`"
    )
    support: Literal["standard", "extended"] = Field(
        default="standard",
        description="what happens when standard support ends: upgrade, or pay more",
    )

    @property
    def push_accounts(self) -> tuple[str, ...]:
        """Service accounts ``namespace/name`` that get ECR push by pod identity, sorted, each once.

        Those of ``registry.push`` and those ``ready`` implies; none with ``push: node``, nor
        without a registry.
        """
        if self.registry is None or self.registry.push == "node":
            return ()
        return tuple(sorted({*self.registry.push, *self.ready.pushers}))

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if isinstance(self.network.zones, tuple):
            for index, zone in enumerate(self.network.zones):
                if what := zone_problem(zone, self.region):
                    yield Problem(what, place=("network", "zones", index))
