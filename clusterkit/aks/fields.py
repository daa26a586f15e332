"""Fields of Azure's form: regions, zones, subscriptions, ids, machine types, names, tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import AfterValidator

from clusterkit.profile.cidr import Cidr
from clusterkit.profile.fields import Form, every, lower_case
from clusterkit.profile.problems import Problem, shown
from clusterkit.profile.tags import TagLimits


def _region_cure(text: str) -> str:
    plain = re.sub(r"[ -]", "", text.lower())
    if " " in text or text != text.lower():
        return f"write {plain}"
    if "-" in text:
        return "this is another cloud's; Azure's have no dash: az account list-locations -o table"
    return ""


OTHER_CLOUDS = ("china", "usgov", "usdod")
"""how the regions begin of the clouds that Microsoft keeps apart, with hosts of their own
(https://learn.microsoft.com/azure/reliability/regions-list)"""


def region_problem(region: str) -> Problem | None:
    """What is wrong with a region."""
    if region.startswith(OTHER_CLOUDS):
        what = f"{shown(region)} is in another cloud of Microsoft's"
        return Problem(what, "clusterkit reaches the regions of Azure's public cloud")
    return None


REGION = Form(r"[a-z]+[a-z0-9]*", "an Azure region such as westeurope", 40, _region_cure)
Region = Annotated[str, REGION]
"""https://learn.microsoft.com/azure/reliability/regions-list"""

ZONES = ("1", "2", "3")
"""a region's availability zones, as each subscription numbers them
(https://learn.microsoft.com/azure/reliability/availability-zones-overview)"""


def zone_problem(zone: str) -> str | None:
    """What is wrong with a zone's name: ``"1"``."""
    if zone in ZONES:
        return None
    return f'{shown(zone)} is not a zone; Azure calls them "1", "2" and "3"'


_GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
SubscriptionId = Annotated[
    str, Form(_GUID, "the id of a subscription: az account show --query id", 36, lower_case)
]
ObjectId = Annotated[
    str,
    Form(_GUID, "an object id in Microsoft Entra ID: az ad signed-in-user show", 36, lower_case),
]
"""of a user, a group or a service principal"""


def _group_cure(text: str) -> str:
    return f"write {text.rpartition('/')[2]}" if "/" in text else ""


ResourceGroupName = Annotated[
    str,
    Form(
        r"[A-Za-z0-9._()-]*[A-Za-z0-9_()-]",
        "a resource group: letters, digits, '.', '_', '-' and parentheses",
        90,
        _group_cure,
    ),
]
"""https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules"""
VirtualNetworkId = Annotated[
    str,
    Form(
        r"/subscriptions/[^/]+/resource[Gg]roups/[^/]+/providers/Microsoft\.Network/virtualNetworks/[^/]+",
        "the id of a virtual network: az network vnet show --query id",
        400,
    ),
]
SubnetName = Annotated[
    str,
    Form(
        r"[A-Za-z0-9]([A-Za-z0-9._-]{0,78}[A-Za-z0-9_])?",
        "a subnet: letters, digits, '.', '_' and '-'",
        80,
    ),
]


def _registry_cure(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", text.lower().removesuffix(".azurecr.io"))
    return f"write {plain}" if 5 <= len(plain) <= 50 else ""


RegistryName = Annotated[
    str,
    Form(
        r"[a-z0-9]{5,50}",
        "a container registry's name: 5 to 50 lower-case letters and digits, no dashes",
        50,
        _registry_cure,
    ),
]
"""unique in all of Azure (Microsoft.ContainerRegistry, ``registries``; Azure/azure-cli#8984)"""
User = Annotated[
    str,
    Form(
        r"[A-Za-z][-A-Za-z0-9_]*",
        "a user name: letters, digits, '-' and '_', beginning with a letter",
        32,
    ),
]
"""``linuxProfile.adminUsername`` of Microsoft.ContainerService"""


def _machine_cure(text: str) -> str:
    if text.lower().startswith("standard_"):
        return f"write Standard_{text[9:]}"
    return "a size such as {cpu: 4, memory: 16} works on every cloud"


MachineType = Annotated[
    str,
    Form(
        r"Standard_[A-Z]+[0-9]+[A-Za-z0-9_-]*",
        "a VM size such as Standard_D4s_v5",
        64,
        _machine_cure,
    ),
]
"""https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions"""

_REFUSED = tuple(
    map(
        IPv4Network,
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "224.0.0.0/3"),
    )
)
"""https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq"""
_OF_AKS = tuple(map(IPv4Network, ("172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24")))
"""for pods, Services and nodes (https://learn.microsoft.com/azure/aks/azure-cni-overlay)"""


def node_range(shortest: int, longest: int) -> AfterValidator:
    """An annotation for a range of nodes, pods or Services, between two prefixes."""

    def problems(cidr: IPv4Network | None) -> Iterator[Problem]:
        if cidr is None:
            return
        if not shortest <= cidr.prefixlen <= longest:
            yield Problem(f"must be between /{shortest} and /{longest}, is {cidr}")
        for block in (*_REFUSED, *_OF_AKS):
            if cidr.overlaps(block):
                what = f"{cidr} overlaps {block}, which Azure keeps for itself"
                yield Problem(what, "use a range within 10.0.0.0/8, for example")
                return

    return every(problems)


NodeRange = Annotated[Cidr, node_range(8, 27)]

_UNFIT = re.compile(r"[<>%&\\?/]")


def _tags(tags: dict[str, str]) -> Iterator[Problem]:
    for key in tags:
        if found := _UNFIT.search(key):
            yield Problem(f"the key must not contain {found[0]}", "choose another key", (key,))


Tags = Annotated[
    dict[str, str],
    every(TagLimits(40, 512, 256, ("microsoft", "azure", "windows"))),
    every(_tags),
]
"""a resource has at most 50, of which clusterkit and AKS need some
(https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources)"""

_POOL = "pools: [{{name: default, {}}}]"
OUTDATED: Mapping[str, str] = {
    "location": "region: westeurope",
    "resource_group_name": "resource_group: my-group",
    "subscription_id": "subscription: 00000000-0000-0000-0000-000000000000",
    "node_count": _POOL.format("count: 3"),
    "min_count": _POOL.format("count: {min: 1, max: 5}"),
    "max_count": _POOL.format("count: {min: 1, max: 5}"),
    "enable_cluster_autoscaler": _POOL.format("count: {min: 1, max: 5}"),
    "node_vm_size": _POOL.format("machine: Standard_D4s_v5"),
    "node_osdisk_size": _POOL.format("disk: {size: 100}"),
    "os_sku": _POOL.format("os: ubuntu"),
    "nodepool_labels": _POOL.format("labels: {team: ci}"),
    "nodepool_taints": _POOL.format("taints: [{key: a, value: b, effect: NoSchedule}]"),
    "kubernetes_version": 'kubernetes: "1.35"',
    "attach_acr": "registry: {name: demo, repositories: [app]}",
    "vnet_subnet_id": "network: {existing: {vpc: ID, subnet: NAME}}",
    "pod_cidr": "network: {pods: 10.244.0.0/16}",
    "service_cidr": "network: {services: 10.240.0.0/16}",
    "outbound_type": "network: {nat: true}",
    "api_server_authorized_ip_ranges": "endpoint: {allowed: [203.0.113.0/24]}",
    "enable_private_cluster": "endpoint: {public: false}",
    "enable_aad": "entra: {admins: [OBJECT-ID]}",
    "disable_local_accounts": "entra: {admins: [OBJECT-ID], local_accounts: false}",
    "enable_managed_identity": "remove it: identities of the cluster's own are always used",
    "service_principal": "remove it: identities of the cluster's own are always used",
    "generate_ssh_keys": "ssh_key: ~/.ssh/id_ed25519.pub",
    "ssh_key_value": "ssh_key: ~/.ssh/id_ed25519.pub",
}
"""The flags of ``az aks create``, and what to write in a profile."""
_RANGE = "count: {min: 1, max: 5}"
POOL_OUTDATED: Mapping[str, str] = {
    **dict.fromkeys(("vm_size", "vmSize", "node_vm_size"), "machine: Standard_D4s_v5"),
    **dict.fromkeys(("node_count", "nodeCount"), "count: 3"),
    **dict.fromkeys(("min_count", "max_count", "minCount", "maxCount"), _RANGE),
    **dict.fromkeys(("enable_auto_scaling", "enableAutoScaling", "auto_scaling_enabled"), _RANGE),
    **dict.fromkeys(("os_disk_size_gb", "osDiskSizeGB", "node_osdisk_size"), "disk: {size: 100}"),
    **dict.fromkeys(("os_sku", "osSKU", "os_type"), "os: ubuntu"),
    **dict.fromkeys(("node_labels", "nodeLabels"), "labels: {team: ci}"),
    **dict.fromkeys(
        ("node_taints", "nodeTaints"), "taints: [{key: a, value: b, effect: NoSchedule}]"
    ),
    **dict.fromkeys(("priority", "scaleSetPriority"), "spot: true"),
    **dict.fromkeys(("zones", "availabilityZones"), "network.zones, for all pools"),
}
"""Fields of a pool in az, ARM and Terraform, and what to write in a profile."""
