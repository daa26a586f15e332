"""The AKS profile: what Azure Kubernetes Service adds to the common profile, and Azure's rules.

What Azure would refuse, and what can be checked offline, is refused here. Fields and limits:
Microsoft.ContainerService 2026-08-01 and the pages that are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Annotated, ClassVar, Literal

from pydantic import Field, Tag

from clusterkit.aks.fields import (
    OUTDATED,
    POOL_OUTDATED,
    MachineType,
    NodeRange,
    ObjectId,
    Region,
    RegistryName,
    ResourceGroupName,
    SubnetName,
    SubscriptionId,
    Tags,
    User,
    VirtualNetworkId,
    node_range,
    region_problem,
    zone_problem,
)
from clusterkit.errors import Finding
from clusterkit.profile import model, network, pool
from clusterkit.profile.cidr import Cidr
from clusterkit.profile.fields import ImageName, Many, Strict, every, unique
from clusterkit.profile.network import ANYWHERE, Nat, Zones, zone_count
from clusterkit.profile.pool import Size, repeated_names, several, size_or
from clusterkit.profile.problems import Problem
from clusterkit.profile.ready import JENKINS_X_ACCOUNT

PODS = IPv4Network("10.244.0.0/16")
SERVICES = IPv4Network("10.240.0.0/16")
"""default ranges of the pods (an overlay, outside the virtual network) and of Services"""
KEPT = 5
"""addresses of a subnet that no node can have (https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq)"""
NODE_PREFIX = 24
"""of the range each node gets for its pods
(https://learn.microsoft.com/azure/aks/azure-cni-overlay)"""
MOST_CREDENTIALS = 20
"""federated credentials of an identity
(https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations)"""
MOST_RANGES = 200
"""authorized ranges of a cluster
(https://learn.microsoft.com/azure/aks/api-server-authorized-ip-ranges)"""
Mode = Literal["system", "user"]


class AksDisk(pool.Disk):
    """OS disk of a node (``osDiskSizeGB``)."""

    size: int = Field(default=80, ge=30, le=2048, description="GiB, 30 to 2048")


class AksPool(pool.Pool):
    """A node pool."""

    outdated: ClassVar[Mapping[str, str]] = POOL_OUTDATED

    machine: Annotated[
        Size
        | Annotated[MachineType, Tag("<type>")]
        | Annotated[Many[MachineType], several(1, "AKS"), Tag("<types>")],
        size_or("a VM size (Standard_D4s_v5)"),
    ] = Field(
        description="a size such as `{cpu: 4, memory: 16}`, or a VM size such as "
        "`Standard_D4s_v5`; a list takes one"
    )
    disk: AksDisk = Field(default_factory=AksDisk, description="OS disk of each node")
    mode: Mode | None = Field(
        default=None,
        description="`system` for what AKS itself runs, or `user`; default: `system` for the first "
        "pool that can be one",
    )
    os: Literal["azurelinux", "ubuntu"] = Field(
        default="azurelinux", description="operating system of the nodes"
    )

    @property
    def fits_system(self) -> bool:
        """Whether what AKS runs finds a place here: no spot capacity, no taint, one node always."""
        free = all(taint.effect == "PreferNoSchedule" for taint in self.taints)
        return not self.spot and free and self.minimum > 0

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.mode == "system" and self.spot:
            yield Problem("a system pool cannot use spot capacity", "mode: user", ("mode",))
        if self.mode == "system" and self.minimum < 1:
            hint = "count: {min: 1, max: …}, or mode: user"
            yield Problem("a system pool needs at least one node", hint, ("count",))


class ExistingNetwork(network.ExistingNetwork):
    """An existing virtual network and subnet to use; clusterkit never changes or deletes them."""

    vpc: VirtualNetworkId = Field(
        description="id of the virtual network, in the profile's region and subscription"
    )
    subnet: SubnetName = Field(description="name of the subnet for the nodes")


def _nat(nat: str) -> Iterator[Problem]:
    if nat == "per-zone":
        yield Problem("cannot be per-zone: one NAT gateway serves a subnet", "nat: true")


class AksNetwork(network.Network):
    """A new virtual network with one subnet, or an existing one."""

    cidr: NodeRange = Field(
        default=network.DEFAULT, description="range of the network and of its subnet for the nodes"
    )
    zones: Annotated[Zones, zone_count(1, "three zones survive the loss of one")] = Field(
        default=2, description='number of availability zones, or their names ("1", "2", "3")'
    )
    nat: Annotated[Nat, every(_nat)] = Field(
        default="one",
        description="how nodes, which have no public addresses, reach the internet: a NAT gateway "
        "(`true`), or the cluster's load balancer (`false`)",
    )
    pods: Annotated[Cidr | None, node_range(8, 23)] = Field(
        default=None, description=f"range of the pods, a /24 for each node; default: {PODS}"
    )
    services: Annotated[Cidr | None, node_range(12, 28)] = Field(
        default=None, description=f"range of the Services; default: {SERVICES}"
    )
    existing: ExistingNetwork | None = Field(
        default=None,
        description="use this network instead of creating one; cannot be combined with cidr or nat",
    )

    @property
    def pod_range(self) -> IPv4Network:
        return self.pods or PODS

    @property
    def service_range(self) -> IPv4Network:
        return self.services or SERVICES

    @property
    def dns_address(self) -> str:
        """The address of the cluster's DNS Service; the first of the range is the API server's."""
        return str(self.service_range[10])

    def problems(self) -> Iterator[Problem]:
        # zones are those of the nodes, whatever network they are in
        yield from (each for each in super().problems() if each.place != ("zones",))


class AksEndpoint(network.Endpoint):
    """The Kubernetes API endpoint: public, or with a private address in the network."""

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if len(self.allowed) > MOST_RANGES - 1:
            what = f"has {len(self.allowed)} ranges, AKS takes {MOST_RANGES - 1} and the nodes' own"
            yield Problem(what, "join neighbouring ranges", ("allowed",))


class Entra(Strict):
    """Microsoft Entra ID decides who may use Kubernetes."""

    admins: Annotated[Many[ObjectId], unique("object id")] = Field(
        min_length=1,
        description="object ids of the users, groups and service principals that administer the "
        "cluster; whoever runs `up` should be among them",
    )
    local_accounts: bool = Field(
        default=False,
        description="also let in whoever has the cluster's own client certificate",
    )


class AksRegistry(model.Registry):
    """An Azure Container Registry; images and layer caches are repositories in it."""

    name: ImageName = Field(description="first part of every image's name")
    repositories: Annotated[Many[ImageName], unique("repository")] = Field(
        min_length=1, description="images, each `<name>/<repository>`; a push creates them"
    )
    acr: RegistryName | None = Field(
        default=None,
        description="name of the registry, `<acr>.azurecr.io`, unique in all of Azure; default: "
        "made of the cluster's name and a hash",
    )
    sku: Literal["basic", "standard", "premium"] = Field(
        default="basic", description="price tier of the registry"
    )
    abac: bool = Field(
        default=False,
        description="permissions by repository (ABAC) in place of the whole registry's",
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.abac and self.push == "secret":
            # its token has the rights of whoever runs up, and those of a subscription's owner do
            # not reach into such a registry
            what = "cannot be secret with abac: true"
            yield Problem(what, "leave push out: pods push as themselves", ("push",))


class AksProfile(model.BaseProfile):
    """A cluster of Azure Kubernetes Service (AKS)."""

    outdated: ClassVar[Mapping[str, str]] = OUTDATED
    immutable: ClassVar[tuple[str, ...]] = (
        "subscription",
        "resource_group",
        "endpoint.public",
        "network.cidr",
        "network.existing.vpc",
        "network.existing.subnet",
        "network.pods",
        "network.services",
    )

    cloud: Literal["aks"] = Field(description="Azure Kubernetes Service")
    subscription: SubscriptionId | None = Field(
        default=None,
        description="id of the subscription; default: that of the environment or of az",
    )
    resource_group: ResourceGroupName | None = Field(
        default=None,
        description="name of an existing resource group to use; default: one of the cluster's own, "
        "`clusterkit-<name>-<region>`",
    )
    region: Region = Field(description="region such as `westeurope`")
    tier: Literal["free", "standard", "premium"] = Field(
        default="free",
        description="price tier of the control plane; `free` has no promise of uptime",
    )
    support: Literal["standard", "long-term"] = Field(
        default="standard",
        description="how long a version is supported; `long-term` needs `tier: premium`",
    )
    network: AksNetwork = Field(default_factory=AksNetwork, description="virtual network")
    endpoint: AksEndpoint = Field(default_factory=AksEndpoint, description="API endpoint")
    entra: Entra | None = Field(
        default=None,
        description="Microsoft Entra ID decides who may use Kubernetes; default: whoever may fetch "
        "the cluster's credentials in Azure",
    )
    ssh_user: User = Field(default="azureuser", description="whom ssh_key lets in on the nodes")
    pools: Annotated[Many[AksPool], every(repeated_names)] = Field(
        min_length=1, description="node pools"
    )
    registry: AksRegistry | None = Field(
        default=None, description="Azure Container Registry; default: none"
    )
    tags: Tags = Field(
        default_factory=dict, description="tags of everything that can have them, at most 40"
    )

    @property
    def account(self) -> str | None:
        return self.subscription

    @property
    def home(self) -> str:
        return self.resource_group or ""

    @property
    def push_accounts(self) -> tuple[str, ...]:
        """Without Jenkins X's own, whose pods push as their node (``node_pushes``)."""
        named = self.registry.push if self.registry else ()
        return tuple(
            each for each in super().push_accounts if each != JENKINS_X_ACCOUNT or each in named
        )

    @property
    def node_pushes(self) -> bool:
        """Whether every pod may push, as its node: Jenkins X on Azure knows no other way
        (https://github.com/jenkins-x/jx3-versions, ``charts/jxgh/jxboot-helmfile-resources``).
        """
        kaniko, wanted = self.ready.kaniko, self.registry
        elsewhere = kaniko is not None and kaniko.registry is not None
        by_node = self.ready.jenkins_x is not None and not elsewhere
        return wanted is not None and (by_node or wanted.push == "node")

    @property
    def keeps_files(self) -> bool:
        """Whether there is a storage account."""
        return self.ready.jenkins_x is not None and self.ready.jenkins_x.storage

    @property
    def keeps_secrets(self) -> bool:
        """Whether there is a key vault."""
        wanted = self.ready.jenkins_x
        return wanted is not None and wanted.secrets in (None, "cloud")

    def mode(self, pool: AksPool) -> Mode:
        """What a pool is for."""
        first = next((each for each in self.pools if each.fits_system and not each.mode), None)
        return pool.mode or ("system" if pool is first else "user")

    def zone_problem(self, zone: str) -> str | None:
        return zone_problem(zone)

    def warnings(self) -> Iterator[Finding]:
        yield from super().warnings()
        both = self.endpoint.public and self.endpoint.private
        if both and "private" in self.endpoint.model_fields_set:
            what = "AKS has either a public or a private endpoint; this one is public"
            yield Finding(what, "endpoint.private", "remove it, or set public: false")
        for index, each in enumerate(self.pools):
            if each.spot and not each.taints:
                what = "AKS taints spot nodes with kubernetes.azure.com/scalesetpriority=spot"
                hint = "pods that may run there need a toleration for it"
                yield Finding(what, f"pools[{index}].spot", hint)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if wrong := region_problem(self.region):
            yield Problem(wrong.what, wrong.hint, ("region",))
        if self.support == "long-term" and self.tier != "premium":
            yield Problem("needs tier: premium", "tier: premium", ("support",))
        if all(self.mode(each) == "user" for each in self.pools):
            what = "AKS needs a system pool: at least one node, no spot capacity"
            hint = "add a pool with count ≥ 1, without spot and without NoSchedule taints"
            yield Problem(what, hint, ("pools",))
        if not self.endpoint.public and ANYWHERE not in self.endpoint.allowed:
            yield Problem("applies to a public endpoint only", "remove it", ("endpoint", "allowed"))
        if len(self.push_accounts) > MOST_CREDENTIALS:
            what = f"{len(self.push_accounts)} service accounts push; an identity takes "
            what += f"{MOST_CREDENTIALS}"
            yield Problem(what, "let builds share a service account", ("registry", "push"))
        nodes = sum(each.maximum for each in self.pools)
        if not self.network.existing:
            yield from network.addresses_for_nodes(self.network.cidr, KEPT, nodes)
        yield from network.room_for_nodes(self.network.pod_range, NODE_PREFIX, nodes)
