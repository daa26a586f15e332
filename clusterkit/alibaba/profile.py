"""The Alibaba profile: what ACK adds to the common profile, and Alibaba Cloud's rules.

What Alibaba Cloud would refuse, and what can be checked offline, is refused here. Parameters and
limits: CreateCluster and CreateClusterNodePool of CS 2015-12-15, CreateVpc and CreateVSwitch of VPC
2016-04-28.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Annotated, ClassVar, Literal

from pydantic import Field, Tag, WithJsonSchema

from clusterkit.alibaba.fields import (
    OUTDATED,
    InstanceType,
    Mirror,
    Namespace,
    PersonalHost,
    Region,
    RegistryId,
    RepositoryName,
    ResourceGroupId,
    Tags,
    VpcId,
    VpcRange,
    VSwitchId,
    mainland,
    zone_problem,
)
from clusterkit.errors import Finding
from clusterkit.profile import model, network, pool
from clusterkit.profile.cidr import SLOTS, Cidr, private
from clusterkit.profile.fields import Many, every, unique
from clusterkit.profile.network import Nat, Zones, zone_count
from clusterkit.profile.pool import Size, repeated_names, several, size_or
from clusterkit.profile.problems import Problem

MOST_TYPES = 10
"""``instance_types`` of CreateClusterNodePool"""
PODS = IPv4Network("172.20.0.0/16")
SERVICES = IPv4Network("172.21.0.0/20")
"""default ranges of Flannel's pods and of Services"""
NODE_PREFIX = 26
"""of the range each node gets for its pods (``node_cidr_mask`` of CreateCluster)"""


class AlibabaDisk(pool.Disk):
    """System disk of a node, on ESSD; node pools have not accepted older disks since 2025.

    Sizes: ``system_disk_size`` of CreateClusterNodePool.
    """

    size: int = Field(default=80, ge=20, le=2048, description="GiB, 20 to 2048")
    type: Literal["cloud_essd", "cloud_auto", "cloud_essd_entry"] = Field(
        default="cloud_essd", description="ESSD, ESSD AutoPL or ESSD Entry"
    )
    encrypted: bool = Field(default=False, description="encrypt with the account's service key")


class AlibabaPool(pool.Pool):
    """A node pool."""

    machine: Annotated[
        Size
        | Annotated[InstanceType, Tag("<type>")]
        | Annotated[Many[InstanceType], several(MOST_TYPES, "ACK"), Tag("<types>")],
        size_or("an ECS type (ecs.g7.xlarge)"),
    ] = Field(
        description="a size such as `{cpu: 4, memory: 16}`, for which several types are chosen, "
        "or an ECS instance type such as "
        "`ecs.g7.xlarge`, or up to 10 of them, the preferred one first"
    )
    disk: AlibabaDisk = Field(default_factory=AlibabaDisk, description="system disk of each node")


class ExistingNetwork(network.ExistingNetwork):
    """An existing VPC to use; clusterkit never changes or deletes it."""

    vpc: VpcId = Field(description="id of the VPC")
    vswitches: Annotated[Many[VSwitchId], unique("VSwitch")] = Field(
        min_length=1, max_length=5, description="ids of the VSwitches for the nodes, 1 to 5"
    )
    pod_vswitches: Annotated[Many[VSwitchId], unique("VSwitch")] = Field(
        default=(), description="ids of the VSwitches for the pods, with plugin: terway"
    )


def _nat(nat: str) -> Iterator[Problem]:
    if nat == "per-zone":
        yield Problem(
            "cannot be per-zone: all VSwitches of a VPC share its route table and its NAT gateway",
            "nat: true",
        )


class AlibabaNetwork(network.Network):
    """A new VPC, or an existing one.

    ``pods`` and ``services`` must be private ranges that do not overlap the VPC (CreateCluster,
    ``container_cidr`` and ``service_cidr``).
    """

    cidr: VpcRange = Field(default=network.DEFAULT, description="range of the VPC, /16 to /24")
    zones: Annotated[Zones, zone_count(1, "two zones survive the loss of one")] = Field(
        default=2, description=f"number of zones, 1 to {SLOTS}, or their names"
    )
    nat: Annotated[Nat, every(_nat)] = Field(
        default="one",
        description="how nodes reach the internet: `one` NAT gateway (`true`) or `none` (`false`)",
    )
    plugin: Literal["flannel", "terway"] = Field(
        default="flannel",
        description="`flannel` (pods have their own range) or `terway` (pods get addresses of the "
        "VPC)",
    )
    pods: Annotated[Cidr | None, private(16, 24)] = Field(
        default=None,
        description=f"range of the pods with Flannel, a /{NODE_PREFIX} for each node; default: "
        f"{PODS}",
    )
    services: Annotated[Cidr | None, private(16, 24)] = Field(
        default=None, description=f"range of the Services; default: {SERVICES}"
    )
    existing: ExistingNetwork | None = Field(default=None, description=network.EXISTING)

    @property
    def pod_range(self) -> IPv4Network | None:
        return None if self.plugin == "terway" else self.pods or PODS

    @property
    def service_range(self) -> IPv4Network:
        return self.services or SERVICES

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.plugin == "terway" and self.pods:
            what = "cannot be combined with plugin: terway, whose pods get addresses of the VPC"
            yield Problem(what, "remove it, or use plugin: flannel", ("pods",))
        if self.existing and (self.plugin == "terway") != bool(self.existing.pod_vswitches):
            what = "must be set with plugin: terway, and only then"
            yield Problem(what, place=("existing", "pod_vswitches"))


class AlibabaRegistry(model.Registry):
    """Container Registry: the account's Personal Edition, or an existing Enterprise Edition
    instance, which clusterkit never buys."""

    cache_suffix: ClassVar[str] = "-cache"

    name: Namespace = Field(description="namespace of the repositories")
    repositories: Annotated[Many[RepositoryName], unique("repository")] = Field(
        min_length=1, description="repositories to create, each `<name>/<repository>`"
    )
    cache: bool = Field(
        default=True, description="also create a layer cache `<repository>-cache` for each"
    )
    instance: RegistryId | None = Field(
        default=None,
        description="id of an existing Enterprise Edition instance, `cri-…`; default: the "
        "account's Personal Edition",
    )
    host: PersonalHost | None = Field(
        default=None,
        description="host name of the Personal Edition, `crpi-….personal.cr.aliyuncs.com`; "
        "default: what the cloud reports",
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.instance and self.host:
            what = "cannot be combined with instance, whose host names the cloud reports"
            yield Problem(what, "remove it", ("host",))
        if self.push == "node":
            what = "cannot be node: what builds images has no use for a node's role here"
            cure = "leave push out, or push: secret; both give builds a password for an hour"
            yield Problem(what, cure, ("push",))


_REFUSED = {
    "dedicated": "ACK no longer creates dedicated clusters: use edition: pro, whose control plane "
    "Alibaba Cloud manages",
    "serverless": "ACK Serverless has been closed to new users since 2025-02-17: use edition: pro, "
    "or set up Container Compute Service without clusterkit",
}


def _edition(edition: str) -> Iterator[Problem]:
    if reason := _REFUSED.get(edition):
        yield Problem(f"cannot be {edition}", reason)
    elif edition not in ("pro", "standard"):
        yield Problem("must be pro or standard", "pro has a service level and costs by the hour")


class AlibabaProfile(model.BaseProfile):
    """A managed cluster of Alibaba Cloud Container Service for Kubernetes (ACK)."""

    outdated: ClassVar[Mapping[str, str]] = OUTDATED
    immutable: ClassVar[tuple[str, ...]] = (
        "resource_group",
        "network.cidr",
        "network.existing.vpc",
        "network.pods",
        "network.services",
    )

    cloud: Literal["alibaba"] = Field(description="Alibaba Cloud ACK")
    region: Region = Field(description="region such as `ap-southeast-1`")
    resource_group: ResourceGroupId | None = Field(
        default=None,
        description="id of an existing resource group, `rg-…`, for everything that takes one; "
        "default: the account's own default group",
    )
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
        default=None, description="Container Registry; default: none"
    )
    mirror: Mirror | None = Field(
        default=None,
        description="registry without a login from which nodes pull images of docker.io, gcr.io, "
        "ghcr.io, quay.io and registry.k8s.io: `<mirror>/gcr.io/…` is `gcr.io/…`",
    )
    tags: Tags = Field(
        default_factory=dict, description="added to everything that can be tagged, at most 12"
    )

    @property
    def login_for(self) -> str | None:
        own = f"Container Registry in {self.region}" if self.ready.jenkins_x else None
        return super().login_for or own

    @property
    def home(self) -> str:
        return self.resource_group or ""

    def zone_problem(self, zone: str) -> str | None:
        return zone_problem(zone, self.region)

    def warnings(self) -> Iterator[Finding]:
        yield from super().warnings()
        if mainland(self.region) and not self.mirror:
            what = "gcr.io, ghcr.io and Docker Hub are hard to reach from mainland China"
            yield Finding(what, "mirror", "set mirror to a registry that mirrors them")
        if not self.network.existing and self.network.nat == "none":
            what = "without a NAT gateway, nodes can only pull from Alibaba Cloud's registries"
            yield Finding(what, "network.nat", "nat: true")

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if not self.endpoint.private:
            hint = "remove it: nodes reach the API server inside the VPC"
            yield Problem("cannot be false on ACK", hint, ("endpoint", "private"))
        if self.ready.jenkins_x and self.ready.jenkins_x.secrets == "cloud":
            what = "cannot be cloud: Jenkins X knows no service for secrets of Alibaba Cloud's"
            yield Problem(what, "secrets: local, or vault", ("ready", "jenkins_x", "secrets"))
        nodes = sum(pool.maximum for pool in self.pools)
        yield from network.room_for_nodes(self.network.pod_range, NODE_PREFIX, nodes)
        if self.edition == "standard" and nodes > 10:
            what = f"standard clusters have at most 10 nodes, but the pools ask for {nodes}"
            yield Problem(what, "edition: pro", ("edition",))
