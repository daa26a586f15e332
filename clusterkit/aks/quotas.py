"""What a cluster takes of the region's quotas of vCPUs, networks and addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clusterkit.aks import network
from clusterkit.aks.client import Clients
from clusterkit.aks.errors import QUOTAS
from clusterkit.aks.machine_types import Offer, usages
from clusterkit.aks.pools import HASH, shown_name
from clusterkit.aks.profile import AksProfile
from clusterkit.engine.preflight import Choice, Report
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied
from clusterkit.naming import CLUSTER

SPOT = "lowPriorityCores"
ADDRESSES = ("PublicIPAddresses", "StandardSkuPublicIpAddresses")
"""quotas of public addresses (azure-mgmt-network, ``usages.list``); a new subscription may have
three (MicrosoftDocs/azure-docs#106096)"""
MORE = f"ask for more at {QUOTAS}"


def cores_needed(
    profile: AksProfile,
    choice: Choice,
    pools: Sequence[Mapping[str, Any]],
    found: Mapping[str, Offer],
) -> Counter[str]:
    """vCPUs of the nodes that are not there yet, by quota."""
    have: Counter[str] = Counter()
    for each in pools:
        have[str(each.get("name"))[:-HASH]] += int(each.get("count") or 0)
    needed: Counter[str] = Counter()
    for pool in profile.pools:
        nodes = pool.minimum - have[shown_name(pool.name)]
        for kind in choice.types.get(pool.name, ())[:1] if nodes > 0 else ():
            if pool.spot:
                needed[SPOT] += nodes * kind.cpu
            elif kind.name in found:
                needed["cores"] += nodes * kind.cpu
                needed[found[kind.name].family] += nodes * kind.cpu
    return needed


def check_quota(
    needed: Mapping[str, int], used: Mapping[str, tuple[int, int]], report: Report
) -> None:
    """Whether the region's quotas have room; one that is not shown does not limit."""
    for name, more in needed.items():
        if name.lower() not in used:
            continue
        there, most = used[name.lower()]
        if not report.takes(f"{name} vCPUs", more, there, most, MORE):
            report.too_many_cpus(more, name, there, str(most), MORE)


def networks_used(clients: Clients) -> Mapping[str, tuple[int, int]]:
    """The quotas of networks and addresses; none to those who may not see them."""
    try:
        return usages(clients, "Microsoft.Network")
    except Denied:
        return {}


def has_address(scope: Scope[Clients]) -> bool:
    """Whether an earlier run has made the cluster's address."""
    return any(have.tags.get(CLUSTER) == scope.cluster for have in network.PublicIp.there(scope))


def addresses_needed(profile: AksProfile, outside: network.Outside | None) -> list[str]:
    """Quotas of which a new cluster needs one: an address by which nodes go out, unless they do so
    by what the user has, and what a network of our own consists of.
    """
    if outside is not None:
        return [*ADDRESSES] if outside.outbound == network.BALANCED else []
    if profile.network.existing:
        return []
    gateway = ["NatGateways"] if profile.network.nat != "none" else []
    return ["VirtualNetworks", *gateway, *ADDRESSES]


def check_networks(
    wanted: Iterable[str], used: Mapping[str, tuple[int, int]], report: Report
) -> None:
    """Whether there is one left of each; what is not shown does not limit."""
    for name in wanted:
        if name.lower() not in used:
            continue
        there, most = used[name.lower()]
        cure = f"{MORE}, or remove what nothing uses"
        if not report.takes(f"the quota {name}", 1, there, most, cure):
            what = f"the cluster needs one more of the quota {name}, of which {there} of {most} "
            report.error(f"{what}are in use in the region", "network", cure)
