"""What the graph needs to know of Alibaba Cloud, and what Alibaba Cloud would refuse later.

What the profile leaves open is decided here once: an existing cluster keeps its version, its zones
and its instance types, so that a newer version or type never shows up as a change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network
from typing import Any

from clusterkit.alibaba import activation
from clusterkit.alibaba.client import Clients, at_path
from clusterkit.alibaba.cluster import clusters, owned
from clusterkit.alibaba.machine_types import Stock, machine_types, stock
from clusterkit.alibaba.network import Vpc, VpcState, VSwitch, VSwitchState
from clusterkit.alibaba.nodes import NodePoolState, pools, sold_out
from clusterkit.alibaba.profile import AlibabaNetwork, AlibabaPool, AlibabaProfile, AlibabaRegistry
from clusterkit.alibaba.quota import check_clusters, check_quota
from clusterkit.alibaba.registry import NOT_ALONE, check_personal, domains, servers, space
from clusterkit.engine.alike import check_alike
from clusterkit.engine.background import Background
from clusterkit.engine.dates import utc
from clusterkit.engine.preflight import (
    Known,
    MachineType,
    Offers,
    Report,
    Several,
    choose,
    zones_of,
)
from clusterkit.engine.quotas import Share
from clusterkit.engine.scope import Scope
from clusterkit.engine.versions import minor, number
from clusterkit.errors import CloudError, Finding, Gone, PreflightError
from clusterkit.naming import CLUSTER, MACHINE, NAME
from clusterkit.profile.cidr import positions
from clusterkit.profile.pool import Machine, machine_text


@dataclass(frozen=True)
class Offered:
    """A version ACK creates."""

    version: str
    """``1.35.7-aliyun.1``"""
    ends: datetime | None


def offered(clients: Clients) -> list[Offered]:
    """Every version that can be created, from DescribeKubernetesVersionMetadata."""
    operation, path = "DescribeKubernetesVersionMetadata", "/api/v1/metadata/versions"
    of = {"Region": clients.region, "ClusterType": "ManagedKubernetes", "Profile": "Default"}
    listed: list[Any] = clients.cs(operation, "GET", path, **of)
    return [
        Offered(item["version"], utc(item.get("expiration_date")))
        for item in listed or ()
        if item.get("creatable", True)
    ]


def choose_version(
    profile: AlibabaProfile, there: str | None, versions: Iterable[Offered], report: Report
) -> str:
    """The full version: ACK creates the newest patches of the three newest minors. It is the
    cluster's own, ``there``, if it has the minor version the profile asks
    for, else the newest patch of that minor.
    """
    wanted = profile.kubernetes
    if there and (wanted is None or minor(there) == minor(wanted)):
        return there
    newest = sorted(versions, key=lambda one: number(one.version), reverse=True)
    for one in newest:
        if wanted is None or minor(one.version) == minor(wanted):
            report.end_of_support(one.version, one.ends, "choose a newer minor version")
            return one.version
    minors = dict.fromkeys(".".join(map(str, minor(one.version))) for one in newest)
    what = f"ACK does not offer Kubernetes {wanted} for new clusters"
    report.error(what, "kubernetes", f"choose from {', '.join(minors)}")
    return f"{wanted}.0"


NODES = "nodes-"
"""how the names of the nodes' VSwitches begin; a letter for the zone follows"""
SEVERAL = {False: Several(most=3), True: Several(most=5, least=3)}
"""instance types of a pool that asks for a size, because stock runs out by type and zone; more of a
spot pool, whose machines are reclaimed"""


@dataclass(frozen=True)
class Facts:
    """What the graph needs besides the profile."""

    account: str
    version: str
    zones: tuple[str, ...]
    pools: Mapping[str, tuple[MachineType, ...]]
    """a pool's name to its instance types, the preferred one first"""
    nat_zones: frozenset[str] = frozenset()
    """zones that have NAT gateways"""
    vpc: VpcState | None = None
    """the existing VPC of ``network.existing``"""
    vswitches: Mapping[str, VSwitchState] = field(default_factory=dict)
    """the existing VSwitches, by id"""
    registry: tuple[str, ...] = ()
    """the registry's host names, the one inside the VPC first"""
    shares: tuple[Share, ...] = ()
    warnings: tuple[Finding, ...] = ()


def account(clients: Clients) -> str:
    """The account's number; ``CredentialsError`` with the cure."""
    return str(clients.sts("GetCallerIdentity")["AccountId"])


def preflight(profile: AlibabaProfile, clients: Clients) -> Facts:
    """Decide what the profile leaves open, and check it against the account.

    ``PreflightError`` with every finding at once.
    """
    try:
        return _preflight(profile, clients)
    except CloudError as error:
        if error.code != activation.NOT_ENABLED:
            raise
        what = "Container Service is not activated in this account"
        raise PreflightError([Finding(what, "account", activation.CURE)]) from error


def _preflight(profile: AlibabaProfile, clients: Clients) -> Facts:
    report, existing = Report(), profile.network.existing
    with Background() as background:
        lacking = background(lambda: list(activation.check(profile, clients)))
        ours = background(lambda: owned(clients, profile.name))
        versions = background(lambda: offered(clients))
        stocks = background(lambda: _stocks(profile, clients))
        slots = background(lambda: {} if existing else _known_zones(profile, clients))
        nat_zones = background(lambda: _nat_zones(profile, clients))
        given = background(lambda: _existing(profile.name, profile.network, clients, report))
        registry = background(lambda: _registry(profile, clients, report))
        if findings := lacking.result():
            raise PreflightError(findings)  # it is also why the other calls are refused
        cluster = next(iter(ours.result()), None)
        groups = _node_pools(profile, clients, cluster.id) if cluster else []
        scarce = _scarce(profile, groups, clients)
        known, missing = _known_types(profile, groups, scarce), _missing_nodes(profile, groups)
        described = background(lambda: _types(profile, known, missing, clients))
        if not cluster:
            check_clusters(clients, report)
        there = cluster.version if cluster else None
        version = choose_version(profile, there, versions.result(), report)
        vpc, vswitches = given.result() or (None, {})
        wanted = profile.network.zones
        if existing:
            wanted = zones_of(vswitches, existing.vswitches)
        found, sold = described.result(), stocks.result()
        sold = {
            name: {kind: zones for kind, zones in each.items() if kind not in scarce.get(name, ())}
            for name, each in sold.items()
        }
        offers = Offers(
            frozenset[str]().union(*(zones for each in sold.values() for zones in each.values())),
            {pool.name: _in_stock(found.values(), sold[pool.name]) for pool in profile.pools},
            {pool.name: f"with a {pool.disk.type} disk" for pool in profile.pools},
        )
        kept = {
            name: _in_stock([found.get(each, MachineType(each)) for each in types], sold[name])
            for name, types in known.items()
        }
        has = Known(slots.result(), kept)
        several = {pool.name: SEVERAL[pool.spot] for pool in profile.pools}
        choice = choose(profile.pools, wanted, offers, has, report, several=several)
        check_alike(profile.pools, choice, report)
        if missing:
            needed = Counter[bool]()
            for pool in profile.pools:
                if pool.name in choice.types:
                    cpu = max(kind.cpu for kind in choice.types[pool.name])
                    needed[pool.spot] += cpu * missing.get(pool.name, 0)
            check_quota(clients, needed, report)
    report.raise_errors()
    return Facts(
        account=account(clients),
        version=version,
        zones=choice.zones,
        pools=choice.types,
        nat_zones=nat_zones.result(),
        vpc=vpc,
        vswitches=vswitches,
        registry=registry.result(),
        shares=(*report.shares,),
        warnings=(*report.warnings, *profile.warnings()),
    )


def _in_stock(types: Iterable[MachineType], sold: Stock) -> list[MachineType]:
    return [kind._replace(zones=sold.get(kind.name, frozenset())) for kind in types]


def _stocks(profile: AlibabaProfile, clients: Clients) -> dict[str, Stock]:
    """A pool's name to the types it may have, each with its zones."""
    kinds = {(pool.disk.type, pool.spot) for pool in profile.pools}
    found = {(disk, spot): stock(clients, disk, spot=spot) for disk, spot in kinds}
    return {pool.name: found[pool.disk.type, pool.spot] for pool in profile.pools}


def _known_zones(profile: AlibabaProfile, clients: Clients) -> dict[int, str]:
    """The position of each of the nodes' VSwitches to its zone."""
    listed = VSwitch.list(Scope(clients, profile.name))
    found = [state for state in listed if state.tags.get(CLUSTER) == profile.name]
    return positions({state.tags.get(NAME, ""): state.zone for state in found}, NODES)


def _node_pools(profile: AlibabaProfile, clients: Clients, cluster: str) -> list[NodePoolState]:
    """The cluster's node pools that carry our tag."""
    return [one for one in pools(clients, cluster) if one.tags.get(CLUSTER) == profile.name]


def _known_types(
    profile: AlibabaProfile, groups: Iterable[NodePoolState], scarce: Mapping[str, frozenset[str]]
) -> dict[str, tuple[str, ...]]:
    """A pool's name to the types that were chosen when a pool for such a machine was created."""
    types = {(one.tags.get(MACHINE), one.spot): one.types for one in groups}
    known = {pool.name: types.get((machine_text(pool), pool.spot)) for pool in profile.pools}
    return {name: found for name, found in known.items() if found and name not in scarce}


def _scarce(
    profile: AlibabaProfile, groups: Sequence[NodePoolState], clients: Clients
) -> dict[str, frozenset[str]]:
    """The name of a pool that asks for a size to the types that it lately did not get."""
    sizes = [pool for pool in profile.pools if isinstance(pool.machine, Machine)]
    scope = Scope(clients, profile.name)
    out = {
        pool.name: frozenset[str]().union(
            *(sold_out(scope, one) for one in groups if one.tags.get(MACHINE) == machine_text(pool))
        )
        for pool in sizes
    }
    return {name: types for name, types in out.items() if types}


def _missing_nodes(profile: AlibabaProfile, groups: Iterable[NodePoolState]) -> dict[str, int]:
    """A pool's name to how many of its minimum nodes the cluster does not have yet."""
    have: Counter[str] = Counter()
    for one in groups:
        have[one.name.rpartition("-")[0]] += one.nodes
    missing = {pool.name: pool.minimum - have[pool.name] for pool in profile.pools}
    return {name: number for name, number in missing.items() if number > 0}


def _types(
    profile: AlibabaProfile,
    known: Mapping[str, tuple[str, ...]],
    missing: Mapping[str, int],
    clients: Clients,
) -> dict[str, MachineType]:
    """The types of the pools that are new or lack nodes, or whose architecture only their types
    tell, by name.
    """
    asked: set[Machine | str] = set()
    for pool in profile.pools:
        if pool.name not in known:
            asked.update(pool.types)
            asked |= {pool.machine} if isinstance(pool.machine, Machine) else set()
        elif pool.name in missing or not isinstance(pool.machine, Machine):
            asked.update(known[pool.name])
    return {kind.name: kind for kind in machine_types(clients, asked)}


def arch_of(pool: AlibabaPool, types: Sequence[MachineType]) -> str:
    """The architecture of a pool's machines, all of one."""
    if isinstance(pool.machine, Machine):
        return pool.machine.arch
    return next((kind.arch for kind in types), "amd64")


def _nat_zones(profile: AlibabaProfile, clients: Clients) -> frozenset[str]:
    if profile.network.existing or profile.network.nat == "none":
        return frozenset()
    found = clients.vpc("ListEnhanhcedNatGatewayAvailableZones")
    return frozenset(zone["ZoneId"] for zone in found.get("Zones") or ())


def _registry(profile: AlibabaProfile, clients: Clients, report: Report) -> tuple[str, ...]:
    """The host names of the registry."""
    wanted, where = profile.registry, "registry.instance"
    if wanted is None:
        return ()
    scope = Scope(clients, profile.name, profile.region)
    if wanted.instance is None:
        if findings := list(check_personal(clients)):
            report.errors += findings
        else:
            _may_open(profile, scope, wanted, report)
        return servers(profile.region, wanted.host) if wanted.host else ()
    try:
        found = domains(clients, wanted.instance)
    except Gone:
        what = f"Container Registry instance {wanted.instance} does not exist in this region"
        report.error(what, where, "clusterkit uses an existing instance and never buys one")
        return ()
    if not found:
        hint = "enable the public or the VPC endpoint of the instance in its console"
        report.error(f"instance {wanted.instance} has no endpoint", where, hint)
    _may_open(profile, scope, wanted, report)
    return found


def _may_open(
    profile: AlibabaProfile, scope: Scope[Clients], registry: AlibabaRegistry, report: Report
) -> None:
    """Whether the namespace is ours to open to the repositories of Jenkins X's applications."""
    if profile.ready.jenkins_x is None:
        return
    there = space(scope, registry.name, registry.instance)
    if there and there.shared and not there.open:
        what = f"in the namespace {registry.name} a push makes no repository, which Jenkins X needs"
        report.error(what, "registry.name", NOT_ALONE)


def _existing(
    name: str, network: AlibabaNetwork, clients: Clients, report: Report
) -> tuple[VpcState, dict[str, VSwitchState]] | None:
    """The VPC and the VSwitches of ``network.existing``."""
    wanted, where = network.existing, "network.existing"
    if wanted is None:
        return None
    shown = next(clients.every("DescribeVpcs", VpcId=wanted.vpc), None)
    if shown is None:
        report.error(f"VPC {wanted.vpc} does not exist in this region", f"{where}.vpc")
        return None
    listed = map(VSwitch.state, clients.every("DescribeVSwitches", VpcId=wanted.vpc))
    there, ids = {one.id: one for one in listed}, (*wanted.vswitches, *wanted.pod_vswitches)
    vswitches = report.existing(ids, there, "VSwitch", wanted.vpc, f"{where}.vswitches")
    secondary = at_path(shown, "SecondaryCidrBlocks.SecondaryCidrBlock") or ()
    blocks = [(block, wanted.vpc) for block in (shown["CidrBlock"], *secondary)]
    blocks += _others(name, wanted.vpc, clients)
    for what, taken in (("pods", network.pod_range), ("services", network.service_range)):
        for block, whose in blocks:
            if taken and taken.overlaps(IPv4Network(block)):
                clash = f"{taken} overlaps {block} of {whose}"
                report.error(clash, f"network.{what}", "choose a range that does not overlap it")
    return Vpc.state(shown), vswitches


def _others(name: str, vpc: str, clients: Clients) -> Iterator[tuple[str, str]]:
    """The ranges of pods and Services of other clusters in the VPC, which CreateCluster refuses
    (``service_cidr`` of CS 2015-12-15), and whose they are.
    """
    for one in clusters(clients):
        if one.vpc == vpc and one.tags.get(CLUSTER) != name:
            for block in filter(None, (one.pods, one.services)):
                yield block, f"the cluster {one.name} in {vpc}"
