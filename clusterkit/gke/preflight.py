"""What the graph needs to know of Google Cloud, and what it would refuse later.

What the profile leaves open is decided here once: an existing cluster keeps its version, its zones
and its machine types, so that a newer version or type never shows up as a change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from clusterkit.engine.background import Background
from clusterkit.engine.preflight import Choice, Known, MachineType, Offers, Report, choose
from clusterkit.engine.quotas import Share
from clusterkit.engine.scope import Scope
from clusterkit.engine.versions import minor, number
from clusterkit.errors import CloudError, Denied, Finding, PreflightError
from clusterkit.gke import activation, existing, network, nodes
from clusterkit.gke.client import Clients
from clusterkit.gke.cluster import ClusterState, owned
from clusterkit.gke.errors import DISABLED, QUOTAS
from clusterkit.gke.fields import disk_problem, disk_type
from clusterkit.gke.machine_types import cpu_metric, disk_metric, gpu_metric, machine_types
from clusterkit.gke.network import NetworkState, SubnetworkState
from clusterkit.gke.nodes import NodePoolState
from clusterkit.gke.profile import GkeProfile
from clusterkit.gke.tags import last
from clusterkit.naming import CLUSTER, MACHINE
from clusterkit.profile.pool import machine_text

PERMISSIONS = (
    "compute.firewallPolicies.create compute.firewallPolicies.delete "
    "compute.networks.create compute.routers.create compute.subnetworks.create "
    "container.clusters.create container.clusters.delete container.clusters.list "
    "container.clusters.update iam.serviceAccounts.actAs iam.serviceAccounts.create "
    "iam.serviceAccounts.delete resourcemanager.projects.getIamPolicy "
    "resourcemanager.projects.setIamPolicy"
)
"""those that are asked for first; docs/permissions has all"""
NETWORK = ("compute.networks.", "compute.routers.", "compute.subnetworks.")
"""permissions that an existing network needs on its own project"""
REGISTRY = "artifactregistry.repositories.create artifactregistry.repositories.setIamPolicy"
BUCKETS = "storage.buckets.create storage.buckets.setIamPolicy"
ROLES = (
    "roles/container.admin, roles/compute.networkAdmin, roles/compute.securityAdmin, "
    "roles/iam.serviceAccountAdmin, roles/iam.serviceAccountUser, "
    "roles/resourcemanager.projectIamAdmin, roles/serviceusage.serviceUsageConsumer, "
    "roles/artifactregistry.admin and roles/storage.admin"
)
SPOT = "PREEMPTIBLE_CPUS"
OF_NETWORK = ("NETWORKS", "ROUTERS")
"""quotas of the project that a network of our own counts against"""
Quotas = Mapping[str, Mapping[str, Any]]
"""quotas by metric, as ``regions.get`` and ``projects.get`` of Compute Engine show them; those of
all regions together (``CPUS_ALL_REGIONS``) are the project's"""
MORE = f"ask for more at {QUOTAS}, or use fewer or smaller machines"


@dataclass(frozen=True)
class Facts:
    """What the graph needs besides the profile."""

    account: str
    """the project's id"""
    number: str
    """the project's number"""
    version: str
    zones: tuple[str, ...]
    """of the nodes; none with Autopilot"""
    location: str
    """of the control plane: a zone or the region"""
    pools: Mapping[str, MachineType] = field(default_factory=dict)
    """a pool's name to its machine type"""
    existing: tuple[NetworkState, SubnetworkState] | None = None
    """those of ``network.existing``"""
    shares: tuple[Share, ...] = ()
    warnings: tuple[Finding, ...] = ()


def account(clients: Clients) -> str:
    """The project's id; ``CredentialsError`` with the cure."""
    try:
        return str(_project(clients)["projectId"])
    except CloudError as error:
        if error.code not in DISABLED:
            raise
        return clients.project  # preflight says what to do


def _project(clients: Clients) -> Any:
    path = f"projects/{clients.project}"
    try:
        return clients.call("cloudresourcemanager", "projects.get", "GET", path)
    except Denied as error:
        if error.code in DISABLED:
            raise
        error.hint = "gcloud projects list shows the projects that the credentials may see"
        raise


def preflight(profile: GkeProfile, clients: Clients) -> Facts:
    """Decide what the profile leaves open, and check it against the project.

    ``PreflightError`` with every finding at once.
    """
    report = Report()
    if findings := [*activation.check(profile, clients)]:
        raise PreflightError(findings)  # it is also why other calls would be refused
    with Background() as background:
        project = background(lambda: _project(clients))
        permitted = background(lambda: check_permissions(profile, clients, report))
        clusters = background(lambda: owned(clients, profile.name))
        region = background(lambda: _region(clients))
        totals = background(lambda: _totals(clients))
        has_network = background(lambda: _has_network(profile, clients))
        given = background(lambda: existing.existing(profile, clients, report))
        where = {"name": f"projects/{clients.project}/locations/{clients.region}"}
        config = background(lambda: clients.container("get_server_config", where))
        cluster = next(iter(clusters.result()), None)
        there = cluster.version if cluster else None
        version = choose_version(profile, there, config.result(), report)
        zones = sorted(map(last, region.result().get("zones") or ()))
        pools = nodes.pools(Scope(clients, profile.name)) if cluster else []
        known, missing = _known_types(profile, pools), _missing_nodes(profile, pools)
        new = [pool for pool in profile.pools if pool.name not in known or pool.name in missing]
        found = machine_types(clients, zones if new else (), background)
        choice = Choice()
        if profile.mode == "standard":
            choice = _choose(profile, cluster, pools, found, known, zones, report)
            check_disks(profile, choice, report)
            quotas = _quotas(region.result())
            own = not (cluster or profile.network.existing or has_network.result())
            needed = quota_needed(profile, choice, missing, quotas, new_network=own)
            check_quota(quotas, needed, report)
            everywhere = everywhere_needed(needed, new_network=own)
            check_quota(_quotas(totals.result()), everywhere, report, "project")
        permitted.result()
        shown = project.result()
        if not cluster:
            existing.check_shared(profile, clients, str(shown["projectNumber"]), report)
    report.raise_errors()
    return Facts(
        account=str(shown["projectId"]),
        number=str(shown["projectNumber"]),
        version=version,
        zones=choice.zones,
        location=_location(profile, cluster, choice, report),
        pools={name: types[0] for name, types in choice.types.items()},
        existing=given.result(),
        shares=(*report.shares,),
        warnings=(*report.warnings, *profile.warnings()),
    )


def check_permissions(profile: GkeProfile, clients: Clients, report: Report) -> None:
    """Whether the credentials may do what ``up`` does."""
    wanted = [*PERMISSIONS.split(), *(REGISTRY.split() if profile.registry else ())]
    if profile.ready.jenkins_x and profile.ready.jenkins_x.storage:
        wanted += BUCKETS.split()
    if profile.network.existing:
        wanted = [name for name in wanted if not name.startswith(NETWORK)]
    path, body = f"projects/{clients.project}:testIamPermissions", {"permissions": wanted}
    operation = "projects.testIamPermissions"
    answer = clients.call("cloudresourcemanager", operation, "POST", path, body)
    if lacking := sorted({*wanted} - {*answer.get("permissions", ())}):
        what = f"the credentials lack permissions on the project: {', '.join(lacking)}"
        report.error(what, "account", f"roles that have them all are {ROLES}")


def _region(clients: Clients) -> Any:
    path = f"projects/{clients.project}/regions/{clients.region}"
    return clients.call("compute", "regions.get", "GET", path)


def _totals(clients: Clients) -> Any:
    """The project as Compute Engine shows it; nothing to those who may not see it."""
    try:
        return clients.call("compute", "projects.get", "GET", f"projects/{clients.project}")
    except Denied:
        return {}


def _quotas(shown: Any) -> Quotas:
    return {each["metric"]: each for each in shown.get("quotas") or ()}


def _has_network(profile: GkeProfile, clients: Clients) -> bool:
    """Whether an earlier run has made the cluster's network."""
    scope = Scope(clients, profile.name, profile.region)
    found = network.Network.list(scope)
    return any(have.tags.get(CLUSTER) == profile.name for have in found)


def choose_version(
    profile: GkeProfile, there: str | None, config: Mapping[str, Any], report: Report
) -> str:
    """The full version: the cluster's own, ``there``, if it has the minor version the profile asks
    for, else the newest of that minor in the release channel; without a wish the channel's default.
    """
    wanted, name = profile.kubernetes, profile.channel.upper()
    if there and (wanted is None or minor(there) == minor(wanted)):
        return there
    channels = {each.get("channel"): each for each in config.get("channels") or ()}
    channel = channels.get(name) or {}
    offered = sorted(channel.get("validVersions") or (), key=number, reverse=True)
    if wanted is None:
        return str(channel.get("defaultVersion") or config.get("defaultClusterVersion", "-"))
    for version in offered:
        if minor(version) == minor(wanted):
            return str(version)
    minors = dict.fromkeys(".".join(map(str, minor(version))) for version in offered)
    what = f"the {profile.channel} channel does not offer Kubernetes {wanted}"
    report.error(what, "kubernetes", f"choose from {', '.join(minors)}, or another channel")
    return wanted


def _known_types(profile: GkeProfile, there: Sequence[NodePoolState]) -> dict[str, str]:
    """A pool's name to the type that was chosen when a pool for such a machine was created."""
    types = {pool.tags.get(MACHINE): pool.machine_type for pool in there}
    known = {pool.name: types.get(machine_text(pool)) for pool in profile.pools}
    return {name: found for name, found in known.items() if found}


def _missing_nodes(profile: GkeProfile, there: Sequence[NodePoolState]) -> dict[str, int]:
    """A pool's name to how many of its least nodes the cluster does not have yet. A new pool begins
    with as many in each zone, which may be more than its minimum.
    """
    have, zones = Counter[str](), profile.network.zone_number
    for pool in there:
        have[pool.id.rpartition("-")[0]] += pool.size
    least = {
        pool.name: pool.minimum
        if pool.automatic and have[pool.name]
        else zones * ceil(pool.minimum / zones)
        for pool in profile.pools
    }
    return {name: more for name in least if (more := least[name] - have[name]) > 0}


def _choose(
    profile: GkeProfile,
    cluster: ClusterState | None,
    pools: Sequence[NodePoolState],
    found: Mapping[str, MachineType],
    known: Mapping[str, str],
    zones: Sequence[str],
    report: Report,
) -> Choice:
    """Zones, the control plane's first, and a type for each pool that all of them have."""
    used = [cluster.location] if cluster and cluster.location in zones else []
    used += sorted({zone for pool in pools for zone in pool.zones} - {*used})
    kept = {
        name: [found.get(kind, MachineType(kind, zones=frozenset(zones)))]
        for name, kind in known.items()
    }
    offers = Offers(frozenset(zones), {pool.name: [*found.values()] for pool in profile.pools})
    has = Known(dict(enumerate(used)), kept)
    return choose(profile.pools, profile.network.zones, offers, has, report)


def _location(
    profile: GkeProfile, cluster: ClusterState | None, choice: Choice, report: Report
) -> str:
    """Where the control plane is; an existing one stays where it is, if the profile leaves it open,
    whatever the zones of the nodes become.
    """
    wanted = profile.region if profile.regional else choice.zones[0]
    stays = cluster is not None and profile.location is None and profile.mode == "standard"
    if cluster is None or not stays or cluster.autopilot or cluster.location == wanted:
        return wanted
    what = f"the control plane stays in {cluster.location}: GKE fixes its place at creation"
    kind = "regional" if cluster.location == profile.region else "zonal"
    report.warn(what, "network.zones", f"location: {kind} in the profile says so")
    return cluster.location


def check_disks(profile: GkeProfile, choice: Choice, report: Report) -> None:
    """Whether the chosen machines take the boot disks that the profile names, and the volumes that
    the default StorageClass makes.
    """
    volumes = set()
    for index, pool in enumerate(profile.pools):
        for kind in choice.types.get(pool.name, ())[:1]:
            if wrong := disk_problem(kind.name, pool.disk.type):
                report.error(wrong.what, f"pools[{index}].disk.type", wrong.hint)
            volumes.add(disk_type(kind.name, None))
    if len(volumes) > 1:
        what = "some machines take Hyperdisk volumes only, others Persistent Disks only"
        hint = "claims of the default StorageClass need the others: use labels and affinity"
        report.warn(what, "pools", hint)


def quota_needed(
    profile: GkeProfile,
    choice: Choice,
    missing: Mapping[str, int],
    quotas: Quotas,
    *,
    new_network: bool,
) -> Counter[str]:
    """What the first nodes take of the region's quotas, by metric. Where spot machines have no
    quota of their own they count as the others.
    """
    needed, spot = Counter[str](), bool(quotas.get(SPOT, {}).get("limit"))
    for pool in profile.pools:
        nodes = missing.get(pool.name, 0)
        for kind in choice.types.get(pool.name, ())[:1] if nodes else ():
            needed[SPOT if pool.spot and spot else cpu_metric(kind.name)] += kind.cpu * nodes
            needed[disk_metric(disk_type(kind.name, pool.disk.type))] += pool.disk.size * nodes
            needed["INSTANCES"] += nodes
            if kind.accelerator:
                gpus = gpu_metric(kind.accelerator)
                needed[f"PREEMPTIBLE_{gpus}" if pool.spot else gpus] += kind.accelerators * nodes
    if new_network and profile.network.nat != "none":
        needed["IN_USE_ADDRESSES"] += 1
    return needed


def everywhere_needed(needed: Mapping[str, int], *, new_network: bool) -> Counter[str]:
    """What of ``quota_needed`` counts against quotas of the project too, and what else does."""
    total = Counter[str](dict.fromkeys((*OF_NETWORK,), 1) if new_network else {})
    for metric, more in needed.items():
        for kind in ("CPUS", "GPUS") if not metric.startswith("PREEMPTIBLE_") else ():
            if metric == kind or metric.endswith(f"_{kind}"):
                total[f"{kind}_ALL_REGIONS"] += more
    return total


def check_quota(
    quotas: Quotas, needed: Mapping[str, int], report: Report, place: str = "region"
) -> None:
    """Whether the quotas have room for that; one that is not shown does not limit it."""
    for metric, more in needed.items():
        quota = quotas.get(metric, {"limit": -1})
        used, most = int(quota.get("usage") or 0), int(quota.get("limit") or 0)
        cure = f"ask for more at {QUOTAS}, or use network.existing"
        where, cure = ("network", cure) if metric in OF_NETWORK else ("pools", MORE)
        everywhere = place == "project"
        if most < 0 or report.takes(
            f"the quota {metric}", more, used, most, cure, everywhere=everywhere
        ):
            continue
        who = "the network needs" if metric in OF_NETWORK else "the pools need"
        what = f"{who} {more} more of the quota {metric}, of which {used} of {most} are in use "
        report.error(f"{what}in the {place}", where, cure)
