"""What the graph needs to know of Azure, and what it would refuse later.

What the profile leaves open is decided here once: an existing cluster keeps its version, its zones
and its VM sizes, so that a newer version or size never shows up as a change. Quotas and sizes that
a subscription may not have are the most frequent reasons for a create to fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clusterkit.aks import activation, group, ids, locks, network, taken
from clusterkit.aks.client import RESOURCES, Clients
from clusterkit.aks.cluster import owned
from clusterkit.aks.clusterstate import SUPPORT, ClusterState
from clusterkit.aks.credentials import claims
from clusterkit.aks.errors import ROLES
from clusterkit.aks.group import GroupState
from clusterkit.aks.machine_types import LEAST_OF_SYSTEM, NO_ZONE, Offer, offers, usages
from clusterkit.aks.pools import ours
from clusterkit.aks.profile import AksPool, AksProfile
from clusterkit.aks.quotas import (
    addresses_needed,
    check_networks,
    check_quota,
    cores_needed,
    has_address,
    networks_used,
)
from clusterkit.aks.zones import ZoneState, zone_of
from clusterkit.engine.background import Background
from clusterkit.engine.preflight import Choice, Known, MachineType, Offers, Report, choose
from clusterkit.engine.quotas import Share
from clusterkit.engine.scope import Scope
from clusterkit.engine.versions import minor, number
from clusterkit.errors import CloudError, Denied, Finding, Gone, PreflightError, Propagating
from clusterkit.naming import MACHINE
from clusterkit.profile.pool import machine_text

ASSIGN = "Microsoft.Authorization/roleAssignments/write"
JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"
ACTIONS = (
    ASSIGN,
    "Microsoft.Authorization/roleAssignments/delete",
    "Microsoft.Compute/virtualMachineScaleSets/delete",
    "Microsoft.Compute/virtualMachineScaleSets/write",
    "Microsoft.ContainerService/managedClusters/agentPools/write",
    "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action",
    "Microsoft.ContainerService/managedClusters/write",
    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    "Microsoft.ManagedIdentity/userAssignedIdentities/write",
)
"""those that are asked for first; docs/permissions has all"""
NETWORK = (JOIN, "Microsoft.Network/virtualNetworks/write")
GATEWAY = ("Microsoft.Network/natGateways/write", "Microsoft.Network/publicIPAddresses/write")
OWN_GROUP = "Microsoft.Resources/subscriptions/resourceGroups/write"
REGISTRY = "Microsoft.ContainerRegistry/registries/write"
FILES = "Microsoft.Storage/storageAccounts/write"
SECRETS = "Microsoft.KeyVault/vaults/write"
BUILDS = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write"


@dataclass(frozen=True)
class Facts:
    """What the graph needs besides the profile."""

    account: str
    """the subscription's id"""
    version: str
    zones: tuple[str, ...]
    """of the nodes; none in a region without zones"""
    pools: Mapping[str, MachineType] = field(default_factory=dict)
    """a pool's name to its VM size"""
    group: GroupState | None = None
    """the existing resource group"""
    existing: network.Outside | None = None
    """that of ``network.existing``"""
    registry: str = ""
    """the registry's name in Azure"""
    storage: str = ""
    """the storage account's"""
    vault: str = ""
    """the key vault's"""
    zone: ZoneState | None = None
    """that of ``ready.jenkins_x.domain``, if Azure hosts it"""
    shares: tuple[Share, ...] = ()
    warnings: tuple[Finding, ...] = ()


def account(clients: Clients) -> str:
    """The subscription's id; ``CredentialsError`` with the cure."""
    return str(clients.call("GET", clients.path)["subscriptionId"]).lower()


def preflight(profile: AksProfile, clients: Clients) -> Facts:
    """Decide what the profile leaves open, and check it against the subscription.

    ``PreflightError`` with every finding at once.
    """
    report, scope = Report(), Scope(clients, profile.name, profile.region)
    subscription = account(clients)
    if profile.subscription not in (None, subscription):
        what = f"the profile's subscription is {profile.subscription}, and {subscription} is used"
        report.error(what, "subscription", "make the Cluster with Cluster.from_profile(profile)")
    if findings := [*activation.check(profile, clients)]:
        raise PreflightError(findings)  # it is also why other calls would be refused
    with Background() as background:
        given_group = background(lambda: _group(profile, clients, report))
        background(lambda: check_permissions(profile, clients, report))
        background(lambda: check_admins(profile, clients, report))
        background(lambda: check_locks(scope, report))
        clusters = background(lambda: owned(scope))
        there = background(lambda: network.existing(profile, clients, report))
        offered = background(lambda: offers(clients))
        used = background(lambda: usages(clients))
        versions = background(
            lambda: clients.aks("managed_clusters.list_kubernetes_versions", profile.region)
        )
        registry = background(lambda: taken.registry_name(profile, scope, report))
        storage = background(lambda: taken.storage_name(profile, scope, report))
        vault = background(lambda: taken.vault_name(profile, scope, report))
        zone = background(lambda: _zone(profile, clients, report))
        cluster = next(iter(clusters.result()), None)
        version = choose_version(profile, cluster, versions.result().get("values") or (), report)
        pools = _pools(cluster, profile.name) if cluster else []
        choice = _choose(profile, pools, offered.result(), used.result(), report)
        check_system(profile, choice, report)
        needed = cores_needed(profile, choice, pools, offered.result())
        check_quota(needed, used.result(), report)
        if not cluster and not has_address(scope):
            wanted = addresses_needed(profile, there.result())
            check_networks(wanted, networks_used(clients), report)
    report.raise_errors()
    return Facts(
        account=subscription,
        version=version,
        zones=() if NO_ZONE in choice.zones else choice.zones,
        pools={name: types[0] for name, types in choice.types.items()},
        group=given_group.result(),
        existing=there.result(),
        registry=registry.result(),
        storage=storage.result(),
        vault=vault.result(),
        zone=zone.result(),
        shares=(*report.shares,),
        warnings=(*report.warnings, *profile.warnings()),
    )


def _group(profile: AksProfile, clients: Clients, report: Report) -> GroupState | None:
    """The existing resource group."""
    name = profile.resource_group
    if name is None:
        return None
    there = group.named(clients, name)
    if there is None:
        cure = f"az group create --name {name} --location {profile.region}, or leave it out"
        report.error(f"there is no resource group {name}", "resource_group", cure)
    return there


def check_permissions(profile: AksProfile, clients: Clients, report: Report) -> None:
    """Whether the credentials may do what ``up`` does; conditions are not seen."""
    wanted, there = {*ACTIONS}, profile.network.existing
    if profile.registry:
        wanted.add(REGISTRY)
    if profile.push_accounts:
        wanted.add(BUILDS)
    if profile.keeps_files:
        wanted.add(FILES)
    if profile.keeps_secrets:
        wanted.add(SECRETS)
    if there is None:
        wanted |= {*NETWORK, *(GATEWAY if profile.network.nat != "none" else ())}
    if profile.resource_group is None:
        wanted.add(OWN_GROUP)
    home = f"/resourceGroups/{profile.resource_group}" if profile.resource_group else ""
    _check_scope(f"{clients.path}{home}", wanted, clients, report)
    if there is not None:
        # the network may lie in a group where they may do other things
        _check_scope(there.vpc, {ASSIGN, JOIN}, clients, report)


def _check_scope(where: str, wanted: Iterable[str], clients: Clients, report: Report) -> None:
    try:
        found = [*clients.pages(f"{where}/providers/Microsoft.Authorization/permissions")]
    except (Denied, Gone, Propagating):
        return  # another check says why
    if lacking := sorted(action for action in wanted if not _allowed(action, found)):
        on = "the subscription" if where == clients.path else ids.last(where)
        what = f"the credentials lack permissions on {on}: {', '.join(lacking)}"
        report.error(what, "subscription", ROLES)


def _allowed(action: str, permissions: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of the roles allows an action."""
    return any(
        _matches(action, each.get("actions")) and not _matches(action, each.get("notActions"))
        for each in permissions
    )


def _matches(action: str, patterns: Iterable[str] | None) -> bool:
    found = (re.escape(each).replace(r"\*", ".*") for each in patterns or ())
    return any(re.fullmatch(each, action, re.IGNORECASE) for each in found)


def check_locks(scope: Scope[Clients], report: Report) -> None:
    """Whether a lock is in the way of what ``up`` makes, replaces and removes."""
    try:
        found = [each for each in locks.locks(scope.client) if each.covers(group.home(scope))]
    except CloudError:
        return  # a delete tells
    for each in found:
        where = ids.last(each.scope) or "the subscription"
        what = f"lock {each.name} ({each.level}) on {where} is in the way"
        if each.level == locks.READ_ONLY:
            report.error(f"{what} of every change", "resource_group", each.cure)
        else:
            report.warn(f"{what} of replacing and removing", "resource_group", each.cure)


def check_admins(profile: AksProfile, clients: Clients, report: Report) -> None:
    """Whether whoever runs this may use Kubernetes afterwards; a group may let them."""
    if profile.entra is None:
        return
    who = str(claims(clients.bearer(RESOURCES).token).get("oid") or "").lower()
    if who and who not in profile.entra.admins:
        what = f"these credentials (object id {who}) are not among the administrators"
        hint = "add the id, unless one of them is a group that they belong to; or up cannot make "
        report.warn(what, "entra.admins", hint + "the StorageClass and what else is in Kubernetes")


def choose_version(
    profile: AksProfile,
    cluster: ClusterState | None,
    offered: Sequence[Mapping[str, Any]],
    report: Report,
) -> str:
    """The version: the cluster's own if it has the minor one that the profile asks for, else that
    minor one, of which AKS takes the newest patch; without a wish the newest with support.
    """
    wanted, plan = profile.kubernetes, SUPPORT[profile.support]
    if cluster and (wanted is None or minor(cluster.version) == minor(wanted)):
        return cluster.version
    supported = sorted(
        (
            str(each["version"])
            for each in offered
            if not each.get("isPreview")
            and plan in ((each.get("capabilities") or {}).get("supportPlan") or ())
        ),
        key=number,
    )
    if wanted is None and supported:
        return supported[-1]
    if wanted in supported:
        return str(wanted)
    what = f"AKS does not support Kubernetes {wanted or 'at all'} in {profile.region}"
    hint = f"choose from {', '.join(supported) or 'none'}"
    if profile.support == "standard":
        hint += "; support: long-term has older ones"
    report.error(what, "kubernetes", hint)
    return str(wanted or "")


def _pools(cluster: ClusterState, name: str) -> list[Mapping[str, Any]]:
    """The cluster's pools that carry our tag."""
    return [pool for pool in cluster.pools if ours(name, pool)]


def _tags(pool: Mapping[str, Any]) -> Mapping[str, str]:
    return pool.get("tags") or {}


def _choose(
    profile: AksProfile,
    pools: Sequence[Mapping[str, Any]],
    found: Mapping[str, Offer],
    used: Mapping[str, tuple[int, int]],
    report: Report,
) -> Choice:
    """Zones, and a size for each pool that all of them have, of a family whose quota has room."""
    kinds = [offer.type for offer in found.values()]
    zones = frozenset(zone for kind in kinds for zone in kind.zones)
    wanted = profile.network.zones
    if zones == {NO_ZONE}:
        what = f"{profile.region} has no availability zones; all nodes lie in one place"
        report.warn(what, "network.zones", "choose another region")
        wanted = 1
    zones = zones - {NO_ZONE} or zones
    lies = sorted({str(zone) for pool in pools for zone in pool.get("availabilityZones") or ()})
    lies = lies or ([NO_ZONE] if pools else [])
    sizes = {_tags(pool).get(MACHINE): str(pool.get("vmSize")) for pool in pools}
    known = {
        pool.name: [found[size].type if size in found else MachineType(size, zones=zones)]
        for pool in profile.pools
        if (size := sizes.get(machine_text(pool)))
    }
    candidates = {pool.name: _with_room(pool, found, used) or kinds for pool in profile.pools}
    has = Known(dict(enumerate(lies)), known)
    return choose(profile.pools, wanted, Offers(zones, candidates), has, report)


def _with_room(
    pool: AksPool, found: Mapping[str, Offer], used: Mapping[str, tuple[int, int]]
) -> list[MachineType]:
    """The sizes whose family has room for a pool's first nodes, and what has no quota shown."""

    def fits(offer: Offer) -> bool:
        there, most = used.get(offer.family.lower(), (0, 0))
        needed = pool.minimum * offer.type.cpu
        return pool.spot or offer.family.lower() not in used or there + needed <= most

    return [offer.type for offer in found.values() if fits(offer)]


def check_system(profile: AksProfile, choice: Choice, report: Report) -> None:
    """Whether the machines of system pools are large enough for what AKS runs there."""
    cpu, memory = LEAST_OF_SYSTEM
    for index, pool in enumerate(profile.pools):
        for kind in choice.types.get(pool.name, ())[:1]:
            small = 0 < kind.cpu < cpu or 0 < kind.memory_gib < memory
            if profile.mode(pool) == "system" and small:
                what = f"a system pool needs {cpu} vCPUs and {memory} GiB; {kind.name} has less"
                report.error(what, f"pools[{index}].machine", "choose a larger one")


def _zone(profile: AksProfile, clients: Clients, report: Report) -> ZoneState | None:
    """The DNS zone of Jenkins X's domain, a warning if the subscription has none."""
    wanted = profile.ready.jenkins_x
    if wanted is None or wanted.domain is None:
        return None
    try:
        zone = zone_of(wanted.domain, clients)
    except Denied:
        zone = None
    if zone is None:
        what = f"no DNS zone of {wanted.domain} is found in the subscription"
        hint = "az network dns zone create, or create the records of the domain yourself"
        report.warn(what, "ready.jenkins_x.domain", hint)
    return zone
