"""The GKE profile: what Google Kubernetes Engine adds to the common profile, and Google's rules.

What Google Cloud would refuse, and what can be checked offline, is refused here. Fields and limits:
the discovery documents of container v1 and compute v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Annotated, ClassVar, Literal

from pydantic import Field, Tag

from clusterkit.errors import Finding
from clusterkit.gke.fields import (
    OUTDATED,
    MachineType,
    ProjectId,
    Region,
    RepositoryId,
    ResourceName,
    Scope,
    SubnetRange,
    Tags,
    User,
    disk_problem,
    scope_url,
    subnet_range,
    zone_problem,
)
from clusterkit.profile import model, network, pool
from clusterkit.profile.cidr import SLOTS, Cidr
from clusterkit.profile.fields import ImageName, Many, choice, every, unique
from clusterkit.profile.network import Nat, Zones, zone_count
from clusterkit.profile.pool import Size, repeated_names, several, size_or
from clusterkit.profile.problems import Problem, shown
from clusterkit.profile.ready import JENKINS_X_ACCOUNT, JenkinsX

PODS = IPv4Network("172.20.0.0/14")
SERVICES = IPv4Network("172.24.0.0/20")
"""default ranges of the pods and of Services"""
KEPT = 4
"""addresses of a subnet that no node can have (https://cloud.google.com/vpc/docs/subnets#unusable-ip-addresses-in-every-subnet)"""
NODE_PREFIX = 24
"""of the range each node gets for its pods, with 110 pods a node
(https://cloud.google.com/kubernetes-engine/docs/concepts/alias-ips)"""
IAP = IPv4Network("35.235.240.0/20")
"""from which Identity-Aware Proxy forwards SSH
(https://cloud.google.com/iap/docs/using-tcp-forwarding)"""
LONGEST, SHORTEST = 23, 3
"""characters of a name from which Jenkins X makes ``NAME-tekton`` and ``NAME-bc``, ids of accounts,
which have 6 to 30 (iam v1, ``CreateServiceAccountRequest``)"""
GOOGLE = re.compile("g[o0][o0]g[l1]e")
"""what is in no bucket's name (https://cloud.google.com/storage/docs/buckets#naming)"""
MOST_RANGES = 100
"""authorized networks of a cluster
(https://cloud.google.com/kubernetes-engine/docs/how-to/authorized-networks)"""
Host = Literal["gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io"]


class GkeDisk(pool.Disk):
    """Boot disk of a node (``diskSizeGb``, ``diskType`` of NodeConfig)."""

    size: int = Field(default=80, ge=20, le=65_536, description="GB, 20 to 65536")
    type: Literal["pd-balanced", "pd-ssd", "pd-standard", "hyperdisk-balanced"] | None = Field(
        default=None,
        description="default: `pd-balanced`, or `hyperdisk-balanced` where it must be that",
    )


class GkePool(pool.Pool):
    """A node pool. ``count`` is the number of nodes in all zones together."""

    machine: Annotated[
        Size
        | Annotated[MachineType, Tag("<type>")]
        | Annotated[Many[MachineType], several(1, "GKE"), Tag("<types>")],
        size_or("a machine type (e2-standard-4)"),
    ] = Field(
        description="a size such as `{cpu: 4, memory: 16}`, or a machine type such as "
        "`e2-standard-4`; a list takes one"
    )
    disk: GkeDisk = Field(default_factory=GkeDisk, description="boot disk of each node")
    scopes: Annotated[Many[Scope], unique("scope")] = Field(
        default=("cloud-platform",),
        min_length=1,
        description="access scopes of the nodes, as gcloud names them or as URLs; IAM decides what "
        "`cloud-platform` may do",
    )

    @property
    def scope_urls(self) -> tuple[str, ...]:
        """The scopes as the API takes them, sorted."""
        return tuple(sorted({scope_url(scope) for scope in self.scopes}))

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if isinstance(self.machine, str) and (wrong := disk_problem(self.machine, self.disk.type)):
            yield Problem(wrong.what, wrong.hint, ("disk", "type"))


class ExistingNetwork(network.ExistingNetwork):
    """An existing VPC network and subnetwork to use; clusterkit never changes or deletes them."""

    vpc: ResourceName = Field(description="name of the VPC network")
    subnetwork: ResourceName = Field(description="name of the subnetwork, in the profile's region")
    pods: ResourceName = Field(description="name of the subnetwork's secondary range for the pods")
    services: ResourceName = Field(
        description="name of the subnetwork's secondary range for the Services"
    )
    project: ProjectId | None = Field(
        default=None, description="host project of a Shared VPC; default: the cluster's project"
    )


def _nat(nat: str) -> Iterator[Problem]:
    if nat == "per-zone":
        yield Problem("cannot be per-zone: Cloud NAT serves a whole region", "nat: true")


class GkeNetwork(network.Network):
    """A new VPC network with one subnetwork, or an existing one."""

    cidr: SubnetRange = Field(
        default=network.DEFAULT, description="primary range of the subnetwork, for the nodes"
    )
    zones: Annotated[Zones, zone_count(1, "three zones survive the loss of one")] = Field(
        default=1,
        description=f"number of zones with nodes, 1 to {SLOTS}, or their names; "
        "with several, the control plane is regional",
    )
    nat: Annotated[Nat, every(_nat)] = Field(
        default="one",
        description="how nodes, which have no public addresses, reach the internet: a Cloud NAT "
        "(`true`) or `none` (`false`)",
    )
    pods: Annotated[Cidr | None, subnet_range(9, 21)] = Field(
        default=None,
        description=f"range of the pods, a /24 for each node; default: {PODS}",
    )
    services: Annotated[Cidr | None, subnet_range(16, 27)] = Field(
        default=None, description=f"range of the Services; default: {SERVICES}"
    )
    existing: ExistingNetwork | None = Field(
        default=None,
        description="use this network instead of creating one; cannot be combined with cidr, nat, "
        "pods or services",
    )

    @property
    def pod_range(self) -> IPv4Network | None:
        return None if self.existing else self.pods or PODS

    @property
    def service_range(self) -> IPv4Network | None:
        return None if self.existing else self.services or SERVICES

    @property
    def zone_number(self) -> int:
        """How many zones have nodes."""
        return len(self.zones) if isinstance(self.zones, tuple) else self.zones

    def problems(self) -> Iterator[Problem]:
        # a subnetwork is in all zones of its region, so that they may be chosen for an existing one
        yield from (each for each in super().problems() if each.place != ("zones",))
        for field in ("pods", "services") if self.existing else ():
            if field in self.model_fields_set:
                what = "cannot be combined with network.existing, which names its ranges"
                yield Problem(what, f"existing: {{{field}: NAME}}", (field,))


class GkeEndpoint(network.Endpoint):
    """The Kubernetes API endpoint."""

    dns: bool = Field(
        default=False,
        description="reachable from anywhere by its DNS name too, for whom IAM lets "
        "(`container.clusters.connect`)",
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if not self.private:
            hint = "remove it: nodes reach the API server inside the network"
            yield Problem("cannot be false on GKE", hint, ("private",))
        if len(self.allowed) > MOST_RANGES:
            what = f"has {len(self.allowed)} ranges, GKE takes {MOST_RANGES}"
            yield Problem(what, "join neighbouring ranges", ("allowed",))


class GkeRegistry(model.Registry):
    """A repository of Artifact Registry; images and layer caches are paths in it."""

    name: RepositoryId = Field(description="the repository, in the profile's region")
    repositories: Annotated[Many[ImageName], unique("repository")] = Field(
        min_length=1, description="images, each `<name>/<repository>`; nothing has to be created"
    )
    hosts: Annotated[Many[Host], unique("host")] = Field(
        default=(),
        description="hosts of the former Container Registry to push to as well: creates the "
        "repositories of Artifact Registry that stand behind them",
    )
    identity: Literal["principal", "account"] = Field(
        default="principal",
        description="how pods push: `principal` as themselves, or `account` as a service account "
        "of Google's, for clients that need one",
    )


class GkeProfile(model.BaseProfile):
    """A cluster of Google Kubernetes Engine (GKE)."""

    outdated: ClassVar[Mapping[str, str]] = OUTDATED
    immutable: ClassVar[tuple[str, ...]] = (
        "project",
        "mode",
        "location",
        "network.existing.vpc",
        "network.pods",
        "network.services",
    )

    cloud: Literal["gke"] = Field(description="Google Kubernetes Engine")
    project: ProjectId | None = Field(
        default=None,
        description="id of the project; default: that of the environment or of gcloud's "
        "configuration",
    )
    region: Region = Field(description="region such as `europe-west1`")
    kubernetes: model.Version | None = Field(
        default=None,
        description="minor version in quotes; default: the default version of the release channel",
    )
    mode: Literal["standard", "autopilot"] = Field(
        default="standard",
        description="`standard`, with the pools below, or `autopilot`, whose machines GKE chooses",
    )
    location: Literal["zonal", "regional"] | None = Field(
        default=None,
        description="of the control plane: `zonal` in the first zone, or `regional`; default: "
        "regional with several zones",
    )
    channel: Literal["rapid", "regular", "stable", "extended"] = Field(
        default="regular", description="release channel, from which GKE upgrades the cluster"
    )
    network: GkeNetwork = Field(default_factory=GkeNetwork, description="VPC network")
    endpoint: GkeEndpoint = Field(default_factory=GkeEndpoint, description="API endpoint")
    ssh_user: User = Field(default="clusterkit", description="whom ssh_key lets in on the nodes")
    ssh_from: Annotated[
        Annotated[Literal["iap"], Tag("<iap>")]
        | Annotated[Many[Cidr], unique("range"), Tag("<ranges>")],
        choice("must be iap, or a list of ranges", iap=str, ranges=(list, tuple)),
    ] = Field(
        default=(),
        description="who may connect to the nodes' SSH port: `iap` (Identity-Aware Proxy, "
        "`gcloud compute ssh --tunnel-through-iap`), or ranges; default: nobody",
    )
    pools: Annotated[Many[GkePool], every(repeated_names)] = Field(
        default=(), description="node pools; none with mode: autopilot"
    )
    registry: GkeRegistry | None = Field(
        default=None, description="Artifact Registry; default: none"
    )
    tags: Tags = Field(
        default_factory=dict, description="labels of everything that can have them, at most 40"
    )

    @property
    def account(self) -> str | None:
        return self.project

    @property
    def regional(self) -> bool:
        """Whether the control plane is in several zones; always so with Autopilot."""
        if self.mode == "autopilot" or self.location == "regional":
            return True
        return self.location is None and self.network.zone_number > 1

    @property
    def pushers(self) -> tuple[str, ...]:
        """Service accounts that push as ``registry.identity`` says, with ``push_accounts``' form;
        that of Jenkins X's pipelines acts as an account of its own.
        """
        own = (JENKINS_X_ACCOUNT,) if self.ready.jenkins_x else ()
        return tuple(each for each in self.push_accounts if each not in own)

    @property
    def ssh_ranges(self) -> tuple[IPv4Network, ...]:
        """From where SSH is let in."""
        return (IAP,) if self.ssh_from == "iap" else tuple(self.ssh_from)

    def zone_problem(self, zone: str) -> str | None:
        return zone_problem(zone, self.region)

    def warnings(self) -> Iterator[Finding]:
        for each in super().warnings():
            if not (self.endpoint.dns and each.where == "endpoint.public"):
                yield each
        if not self.network.existing and self.network.nat == "none":
            what = "without a Cloud NAT, nodes can only pull images from Google's own registries"
            yield Finding(what, "network.nat", "nat: true")

    def problems(self) -> Iterator[Problem]:
        auto = self.mode == "autopilot"
        yield from (each for each in super().problems() if not (auto and each.place == ("pools",)))
        if auto and self.pools:
            what = "cannot be combined with mode: autopilot, whose machines GKE chooses"
            yield Problem(what, "remove them, or set mode: standard", ("pools",))
        if auto and self.location == "zonal":
            yield Problem("cannot be zonal with mode: autopilot", "remove it", ("location",))
        if auto and self.ssh_key:
            what = "cannot be combined with mode: autopilot, whose nodes nobody logs in to"
            yield Problem(what, "remove it", ("ssh_key",))
        if self.ssh_from and not self.ssh_key:
            yield Problem("needs a key to log in with", "set ssh_key", ("ssh_from",))
        if self.ssh_from and self.network.existing:
            what = "cannot be combined with network.existing, in which nothing is changed"
            yield Problem(what, "open the port yourself", ("ssh_from",))
        pools = ((("pools", index, "name"), each.name) for index, each in enumerate(self.pools))
        # container v1, ``Cluster.name``
        for place, name in ((("name",), self.name), *pools):
            if not name[0].isalpha():
                yield Problem(f"must begin with a letter, is {shown(name)}", "", place)
        yield from self._counts()
        if wanted := self.ready.jenkins_x:
            yield from self._jenkins_x(wanted)

    def _jenkins_x(self, wanted: JenkinsX) -> Iterator[Problem]:
        """Jenkins X names accounts and buckets after the cluster."""
        if not SHORTEST <= len(self.name) <= LONGEST:
            what = f"must have {SHORTEST} to {LONGEST} characters for Jenkins X, which names "
            what += f"service accounts after it, has {len(self.name)}"
            yield Problem(what, "choose another name", ("name",))
        if wanted.storage and GOOGLE.search(self.name):
            what = "cannot be in the names of buckets, as Google's own name cannot"
            yield Problem(what, "choose another name, or ready.jenkins_x.storage: false", ("name",))
        if self.registry and self.registry.push == "node":
            what = (
                "cannot be combined with ready.jenkins_x, whose pods act as accounts of their own"
            )
            yield Problem(what, "leave it out", ("registry", "push"))

    def _counts(self) -> Iterator[Problem]:
        """GKE takes the number of nodes per zone, and a range of pods for each node."""
        zones = self.network.zone_number
        for index, each in enumerate(self.pools):
            if isinstance(each.count, int) and (over := each.count % zones):
                below, above = each.count - over, each.count - over + zones
                what = f"{each.count} nodes cannot be spread evenly over {zones} zones"
                hint = f"count: {below} or {above}" if below else f"count: {above}"
                yield Problem(what, hint, ("pools", index, "count"))
        nodes = sum(each.maximum for each in self.pools)
        if not self.network.existing:
            yield from network.addresses_for_nodes(self.network.cidr, KEPT, nodes)
        yield from network.room_for_nodes(self.network.pod_range, NODE_PREFIX, nodes)
