"""The EKS profile: what Amazon EKS adds to every cloud's profile, and AWS's own rules.

Everything AWS would refuse and that can be known offline is refused here, with the vendor's page or
API model named at the rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field, Tag

from clusterkit.core.cidr import SLOTS, check_carvable
from clusterkit.core.forms import Many, Strict, choice
from clusterkit.core.profile import (
    ANYWHERE,
    BaseProfile,
    Disk,
    Endpoint,
    Machine,
    Network,
    Pool,
    Registry,
)
from clusterkit.core.refusal import Problem, Refused, repeated, shown
from clusterkit.eks.rules import (
    LOG_DAYS,
    RESERVED_RANGES,
    SERVICE_RANGES,
    EcrName,
    InstanceType,
    PrincipalArn,
    Region,
    ServiceAccount,
    SubnetId,
    VpcId,
    reserved_key,
    tag_problem,
    zone_problem,
)

JENKINS_X_ACCOUNT = "jx/tekton-bot"
"""the service account Jenkins X 3 runs its pipelines under"""


class EksDisk(Disk):
    """A node's root volume on EBS.

    Sizes of gp3: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html; the AL2023
    image needs 20 GiB.
    """

    size: int = Field(default=80, ge=20, le=65_536, description="GiB, 20 to 65536")
    type: Literal["gp3"] = Field(default="gp3", description="EBS volume type")
    encrypted: bool = Field(default=True, description="encrypted with the account's EBS key")


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
    max_unavailable: int = Field(
        default=1, ge=1, le=100, description="nodes an update may take away at one time"
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        for key, value in self.labels.items():
            if reserved_key(key):
                yield Problem(
                    f"label {key}: EKS lets nobody set labels of kubernetes.io, k8s.io and "
                    "eks.amazonaws.com",
                    "use a prefix of your own",
                    ("labels", key),
                )
            if len(key) > 63:
                yield Problem(
                    f"label {shown(key)} is longer than the 63 characters EKS takes",
                    place=("labels", key),
                )
            if not value:
                yield Problem(
                    f"label {key} is empty, which EKS does not take",
                    'give it a value, such as "true"',
                    ("labels", key),
                )
        for index, taint in enumerate(self.taints):
            if reserved_key(taint.key):
                yield Problem(
                    f"{taint.key}: EKS lets nobody set taints of kubernetes.io, k8s.io and "
                    "eks.amazonaws.com",
                    "use a prefix of your own",
                    ("taints", index, "key"),
                )
            if len(taint.key) > 63:
                yield Problem(
                    f"{shown(taint.key)} is longer than the 63 characters EKS takes",
                    place=("taints", index, "key"),
                )


class ExistingNetwork(Strict):
    """A VPC that is there already; it is used and never changed or removed."""

    vpc: VpcId = Field(description="id of the VPC")
    subnets: Many[SubnetId] = Field(
        min_length=2, description="ids of the subnets for the nodes, in two zones or more"
    )
    public_subnets: Many[SubnetId] = Field(
        default=(), description="ids of subnets for public load balancers"
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        for field, ids in (("subnets", self.subnets), ("public_subnets", self.public_subnets)):
            for problem in repeated(ids, "subnet"):
                yield Problem(problem.what, place=(field, *problem.place))


class EksNetwork(Network):
    """A VPC of our own, or an existing one.

    EKS wants subnets in at least two zones:
    https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html. A VPC is /16 to /28:
    https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html. Rules of the Services'
    range: ``serviceIpv4Cidr`` of the EKS API's KubernetesNetworkConfigRequest.
    """

    existing: ExistingNetwork | None = Field(
        default=None,
        description="use this VPC instead of making one; leave out cidr, zones and nat then",
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.existing:
            for field in ("cidr", "zones", "nat"):
                if field in self.model_fields_set:
                    yield Problem(
                        "means nothing beside existing:, whose subnets decide it",
                        "leave it out, or leave out existing",
                        (field,),
                    )
        else:
            yield from self._own()
        if self.pods:
            yield Problem(
                "cannot be set on EKS: pods take addresses of the VPC's subnets",
                "leave it out, and give network.cidr enough room for the pods",
                ("pods",),
            )
        if self.services:
            yield from _services(self.services)

    def _own(self) -> Iterator[Problem]:
        try:
            check_carvable(self.cidr, 16)
        except Refused as refused:
            for problem in refused.problems:
                yield Problem(problem.what, problem.hint, ("cidr",))
        zones = len(self.zones) if isinstance(self.zones, tuple) else self.zones
        if not 2 <= zones <= SLOTS:
            yield Problem(
                f"must be 2 to {SLOTS} zones, is {zones}",
                "EKS puts its control plane in at least two zones",
                ("zones",),
            )


def _services(services: IPv4Network) -> Iterator[Problem]:
    if not any(services.subnet_of(block) for block in SERVICE_RANGES):
        yield Problem(
            f"{services} is not private: EKS takes parts of 10.0.0.0/8, 172.16.0.0/12 and "
            "192.168.0.0/16",
            "172.20.0.0/16 is usual",
            ("services",),
        )
    elif not 12 <= services.prefixlen <= 24:
        yield Problem(f"must be between /12 and /24, is {services}", place=("services",))


class EksEndpoint(Endpoint):
    """The Kubernetes API's address.

    At most 40 ranges per cluster:
    https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html. Ranges that are not routed
    on the Internet are refused by CreateCluster ("not allowed in publicAccessCidrs").
    """

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if len(self.allowed) > 40:
            yield Problem(
                f"EKS takes at most 40 ranges, there are {len(self.allowed)}", place=("allowed",)
            )
        for index, allowed in enumerate(self.allowed):
            if allowed != ANYWHERE and any(allowed.subnet_of(block) for block in RESERVED_RANGES):
                yield Problem(
                    f"{allowed} is not an Internet address range, EKS refuses it",
                    "give the public address you are seen with; private: true serves the VPC",
                    ("allowed", index),
                )


class EksRegistry(Registry):
    """ECR repositories."""

    name: EcrName = Field(description="first part of every repository's name")
    repositories: Many[EcrName] = Field(
        min_length=1, description="repositories to make, each `<name>/<repository>`"
    )
    cache_days: int = Field(
        default=14, ge=1, le=3650, description="days after which cached layers expire"
    )
    push: Annotated[
        Annotated[Literal["node"], Tag("<node>")]
        | Annotated[Many[ServiceAccount], Tag("<accounts>")],
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
        if isinstance(self.push, tuple):
            for problem in repeated(self.push, "service account"):
                yield Problem(problem.what, place=("push", *problem.place))


class EksProfile(BaseProfile):
    """One cluster on Amazon EKS."""

    cloud: Literal["eks"] = Field(description="Amazon EKS")
    region: Region = Field(description="AWS region such as `eu-west-1`")
    network: EksNetwork = Field(default_factory=EksNetwork, description="VPC")
    endpoint: EksEndpoint = Field(default_factory=EksEndpoint, description="address of the API")
    pools: Many[EksPool] = Field(min_length=1, description="managed node groups")
    registry: EksRegistry | None = Field(
        default=None, description="ECR repositories; left out: none"
    )
    admins: Many[PrincipalArn] = Field(
        default=(),
        description="ARNs of IAM users and roles that administer the cluster, beside its creator",
    )
    logging: Many[Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]] = (
        Field(default=(), description="control plane logs to send to CloudWatch")
    )
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
        accounts = set(self.registry.push)
        if kaniko := self.ready.kaniko:
            accounts.add(f"{kaniko.namespace}/{kaniko.service_account}")
        if self.ready.jenkins_x:
            accounts.add(JENKINS_X_ACCOUNT)
        return tuple(sorted(accounts))

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        for field in ("admins", "logging"):
            for problem in repeated(getattr(self, field), "this"):
                yield Problem(problem.what, place=(field, *problem.place))
        if isinstance(self.network.zones, tuple):
            for index, zone in enumerate(self.network.zones):
                if what := zone_problem(zone, self.region):
                    yield Problem(what, place=("network", "zones", index))
        if len(self.tags) > 40:
            yield Problem(
                f"at most 40 tags, there are {len(self.tags)}",
                "AWS takes 50, and clusterkit, EKS and Kubernetes add theirs",
                ("tags",),
            )
        for key, value in self.tags.items():
            if what := tag_problem(key, value):
                yield Problem(what, place=("tags", key))
