"""The Alibaba profile: what ACK adds to every cloud's profile, and Alibaba Cloud's own rules.

Everything ACK would refuse and that can be known offline is refused here. Parameters and limits:
CreateCluster and CreateClusterNodePool of CS 2015-12-15, CreateVpc and CreateVSwitch of VPC
2016-04-28.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Annotated, ClassVar, Literal

from pydantic import Field, Tag, WithJsonSchema

from clusterkit.alibaba.fields import (
    PRIVATE,
    InstanceType,
    Mirror,
    Namespace,
    PersonalHost,
    Region,
    RegistryId,
    RepositoryName,
    VpcId,
    VSwitchId,
    tag_problems,
    zone_problem,
)
from clusterkit.alibaba.legacy_fields import OUTDATED
from clusterkit.profile.cidr import SLOTS, Cidr, carvable, overlaps
from clusterkit.profile.fields import Many, Strict, choice, every, unique
from clusterkit.profile.labels import ServiceAccount
from clusterkit.profile.model import BaseProfile, Registry, our_tags
from clusterkit.profile.network import Nat, Network, Zones
from clusterkit.profile.pool import Disk, Machine, Pool, repeated_names
from clusterkit.profile.problems import Problem

PODS = IPv4Network("172.20.0.0/16")
SERVICES = IPv4Network("172.21.0.0/20")
"""what Flannel and Services get when the profile leaves it open"""


class AlibabaDisk(Disk):
    """A node's system disk, on ESSD: the older kinds are refused in node pools since 2025.

    Sizes: ``system_disk_size`` of CreateClusterNodePool.
    """

    size: int = Field(default=80, ge=20, le=2048, description="GiB, 20 to 2048")
    type: Literal["cloud_essd", "cloud_auto", "cloud_essd_entry"] = Field(
        default="cloud_essd", description="ESSD, ESSD AutoPL or ESSD Entry"
    )
    encrypted: bool = Field(default=False, description="encrypted with the account's service key")


class AlibabaPool(Pool):
    """A node pool."""

    machine: Annotated[
        Annotated[Machine, Tag("<size>")] | Annotated[InstanceType, Tag("<type>")],
        choice(
            "must be a size such as {cpu: 4, memory: 16}, or an ECS type (ecs.g7.xlarge)",
            size=(dict, Machine),
            type=str,
        ),
    ] = Field(description="a size, or an ECS instance type such as `ecs.g7.xlarge`")
    disk: AlibabaDisk = Field(default_factory=AlibabaDisk, description="system disk of each node")


class ExistingNetwork(Strict):
    """A VPC that is there already; it is used and never changed or removed."""

    vpc: VpcId = Field(description="id of the VPC")
    vswitches: Annotated[Many[VSwitchId], unique("VSwitch")] = Field(
        min_length=1, max_length=5, description="ids of the VSwitches for the nodes, 1 to 5"
    )
    pod_vswitches: Annotated[Many[VSwitchId], unique("VSwitch")] = Field(
        default=(), description="ids of the VSwitches for the pods, with plugin: terway"
    )


def _zones(zones: int | tuple[str, ...]) -> Iterator[Problem]:
    number = len(zones) if isinstance(zones, tuple) else zones
    if not 1 <= number <= SLOTS:
        yield Problem(f"must be 1 to {SLOTS} zones, is {number}", "two survive the loss of one")


def _nat(nat: str) -> Iterator[Problem]:
    if nat == "per-zone":
        yield Problem(
            "cannot be per-zone: all VSwitches of a VPC share its route table and its NAT gateway",
            "nat: true",
        )


def _private(network: IPv4Network | None, longest: int) -> Iterator[Problem]:
    if network is None:
        return
    if not any(network.subnet_of(block) for block in PRIVATE):
        yield Problem(
            f"{network} is not private: ACK takes parts of 10.0.0.0/8, 172.16.0.0/12 and "
            "192.168.0.0/16"
        )
    elif not 16 <= network.prefixlen <= longest:
        yield Problem(f"must be between /16 and /{longest}, is {network}")


class AlibabaNetwork(Network):
    """A VPC of our own, or an existing one.

    ``pods`` and ``services`` must lie in the private ranges and share no address with the VPC
    (CreateCluster, ``container_cidr`` and ``service_cidr``).
    """

    cidr: Annotated[Cidr, every(carvable)] = Field(
        default=IPv4Network("10.0.0.0/16"), description="range of the VPC, /16 to /24"
    )
    zones: Annotated[Zones, every(_zones)] = Field(
        default=2, description=f"number of zones, 1 to {SLOTS}, or their names"
    )
    nat: Annotated[Nat, every(_nat)] = Field(
        default="one",
        description="how nodes reach the Internet: `one` NAT gateway (`true`) or `none` (`false`)",
    )
    plugin: Literal["flannel", "terway"] = Field(
        default="flannel",
        description="`flannel` (pods have addresses of their own) or `terway` (of the VPC)",
    )
    pods: Annotated[Cidr | None, every(lambda net: _private(net, 24))] = Field(
        default=None, description=f"range of the pods with Flannel; left out: {PODS}"
    )
    services: Annotated[Cidr | None, every(lambda net: _private(net, 24))] = Field(
        default=None, description=f"range of the Services; left out: {SERVICES}"
    )
    existing: ExistingNetwork | None = Field(
        default=None,
        description="use this VPC instead of making one; leave out cidr, zones and nat then",
    )

    @property
    def pod_range(self) -> IPv4Network | None:
        """What Flannel gives to pods; None with Terway."""
        return None if self.plugin == "terway" else self.pods or PODS

    @property
    def service_range(self) -> IPv4Network:
        """What Services get."""
        return self.services or SERVICES

    def problems(self) -> Iterator[Problem]:
        # the ranges that were left out count too, so Network's own comparison is not enough
        yield from Strict.problems(self)
        cidr = None if self.existing else self.cidr
        named = [("cidr", cidr), ("pods", self.pod_range), ("services", self.service_range)]
        yield from overlaps(named)
        if self.plugin == "terway" and self.pods:
            yield Problem(
                "means nothing with terway, whose pods have addresses of the VPC",
                "leave it out, or take plugin: flannel",
                ("pods",),
            )
        if self.existing is None:
            return
        for field in ("cidr", "zones", "nat"):
            if field in self.model_fields_set:
                yield Problem(
                    "means nothing beside existing:, whose VSwitches decide it",
                    "leave it out, or leave out existing",
                    (field,),
                )
        if (self.plugin == "terway") != bool(self.existing.pod_vswitches):
            what = "are needed with plugin: terway, and only then"
            yield Problem(what, place=("existing", "pod_vswitches"))


class AlibabaRegistry(Registry):
    """Repositories of Container Registry: the account's Personal Edition, or an Enterprise Edition
    instance there is.

    An instance is bought, which clusterkit never does.
    """

    instance: RegistryId | None = Field(
        default=None,
        description="id of an Enterprise Edition instance there is, `cri-…`, never bought; left "
        "out: the account's Personal Edition",
    )
    host: PersonalHost | None = Field(
        default=None,
        description="host name of the Personal Edition, `crpi-….personal.cr.aliyuncs.com`, if the "
        "cloud tells another; left out: what it tells",
    )
    name: Namespace = Field(description="namespace of the repositories")
    repositories: Annotated[Many[RepositoryName], unique("repository")] = Field(
        min_length=1, description="repositories to make, each `<name>/<repository>`"
    )
    cache: bool = Field(default=True, description="a layer cache `<repository>-cache` beside each")
    push: Annotated[Many[ServiceAccount], unique("service account")] = Field(
        default=(),
        description="who may push, beside what `ready` asks for: service accounts `namespace/name`",
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.instance and self.host:
            what = "means nothing beside instance, whose host names the cloud tells"
            yield Problem(what, "leave it out", ("host",))


_REFUSED = {
    "dedicated": "ACK dedicated clusters can no longer be created: take edition: pro, whose "
    "control plane Alibaba Cloud runs",
    "serverless": "ACK Serverless is closed to new users since 2025-02-17: take edition: pro, or "
    "Container Compute Service by other means",
}


def _edition(edition: str) -> Iterator[Problem]:
    if reason := _REFUSED.get(edition):
        yield Problem(f"cannot be {edition}", reason)
    elif edition not in ("pro", "standard"):
        yield Problem("must be pro or standard", "pro has a service level and costs by the hour")


class AlibabaProfile(BaseProfile):
    """One cluster on Alibaba Cloud Container Service for Kubernetes (ACK), managed."""

    outdated: ClassVar[Mapping[str, str]] = OUTDATED

    cloud: Literal["alibaba"] = Field(description="Alibaba Cloud ACK")
    region: Region = Field(description="region such as `ap-southeast-1`")
    edition: Annotated[
        str, every(_edition), WithJsonSchema({"type": "string", "enum": ["pro", "standard"]})
    ] = Field(
        default="pro",
        description="`pro` (ack.pro.small, costs by the hour) or `standard` (free, 10 nodes)",
    )
    network: AlibabaNetwork = Field(default_factory=AlibabaNetwork, description="VPC")
    pools: Annotated[Many[AlibabaPool], every(repeated_names)] = Field(
        min_length=1, description="node pools"
    )
    registry: AlibabaRegistry | None = Field(
        default=None, description="Container Registry repositories; left out: none"
    )
    mirror: Mirror | None = Field(
        default=None,
        description="registry, without a login, through which nodes pull images of docker.io, "
        "gcr.io, ghcr.io, quay.io and registry.k8s.io: `<mirror>/gcr.io/…` is `gcr.io/…`",
    )
    tags: Annotated[dict[str, str], every(our_tags), every(tag_problems)] = Field(
        default_factory=dict, description="put on everything that takes tags, at most 12"
    )
    deletion_protection: bool = Field(
        default=False, description="`destroy` refuses until this is set to false by `up`"
    )

    @property
    def push_accounts(self) -> tuple[str, ...]:
        """Service accounts ``namespace/name`` that may push, sorted, each once; none without a
        registry.
        """
        if self.registry is None:
            return ()
        return tuple(sorted({*self.registry.push, *self.ready.pushers}))

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if isinstance(self.network.zones, tuple):
            for index, zone in enumerate(self.network.zones):
                if what := zone_problem(zone, self.region):
                    yield Problem(what, place=("network", "zones", index))
        if not self.endpoint.private:
            hint = "leave it out: nodes reach the API server inside the VPC"
            yield Problem("cannot be false on ACK", hint, ("endpoint", "private"))
        nodes = sum(pool.maximum for pool in self.pools)
        if self.edition == "standard" and nodes > 10:
            what = f"standard clusters have at most 10 nodes, the pools ask for {nodes}"
            yield Problem(what, "edition: pro", ("edition",))
