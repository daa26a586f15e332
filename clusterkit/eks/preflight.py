"""What the graph needs to know of AWS, and what AWS would refuse later.

What the profile leaves open is decided here once: an existing cluster keeps its version, its zones
and its instance types, so that a newer version or type never shows up as a change. The dates and
the support status of versions come from DescribeClusterVersions, never from a table of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clusterkit.eks.client import Clients, pages
from clusterkit.eks.machine_types import machine_types
from clusterkit.eks.network import Subnet, SubnetState
from clusterkit.eks.profile import EksProfile, ExistingNetwork
from clusterkit.eks.quotas import check_quotas, needed
from clusterkit.eks.tags import read_tags
from clusterkit.engine.alike import check_alike
from clusterkit.engine.background import Background
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
from clusterkit.engine.versions import number
from clusterkit.errors import Finding, Gone
from clusterkit.naming import CLUSTER, MACHINE
from clusterkit.profile.cidr import positions
from clusterkit.profile.model import Machine
from clusterkit.profile.pool import machine_text

SPOT = Several(most=5, least=3)
"""instance types of a spot pool that asks for a size: a reclaimed machine is replaced by what is
free (EKS User Guide, "Managed node group capacity types")"""
DRIVERS = ("NVIDIA", "NEURON")
"""how the names of EKS's images end that have some (``AMITypes``)"""


STANDARD = "STANDARD_SUPPORT"


@dataclass(frozen=True)
class AddonVersion:
    """The default version of an add-on for the cluster's version, and all that fit it."""

    default: str
    compatible: tuple[str, ...]


def addon_versions(
    clients: Clients, names: Iterable[str], version: str, report: Report
) -> dict[str, AddonVersion]:
    """The AWS add-ons of these names for a version of Kubernetes, in one call for all."""
    of: Any = {"kubernetesVersion": version, "owners": ["aws"], "publishers": ["eks"]}
    listed = pages(clients.eks, "describe_addon_versions", "addons", **of)
    offered = {item["addonName"]: item["addonVersions"] for item in listed}
    for name in names:
        if not offered.get(name):
            what = f"EKS has no {name} add-on for Kubernetes {version}"
            report.error(what, "kubernetes", "choose another version")
    return {name: _addon(offered[name]) for name in names if offered.get(name)}


def _addon(versions: Sequence[Any]) -> AddonVersion:
    names = [version["addonVersion"] for version in versions]
    defaults = (
        version["addonVersion"]
        for version in versions
        if any(fit.get("defaultVersion") for fit in version.get("compatibilities", ()))
    )
    return AddonVersion(next(defaults, names[0]), tuple(names))


def choose_version(
    profile: EksProfile, cluster: Any, versions: Iterable[Any], report: Report
) -> str:
    """The version the profile asks for, else the cluster's own, else the newest in standard
    support; ``cluster`` is None if there is none yet."""
    offered = {version["clusterVersion"]: version for version in versions}
    standard = [
        name
        for name, version in offered.items()
        if (version.get("versionStatus") or version.get("status", "").upper()) == STANDARD
    ]
    newest = max(standard, key=number, default="")
    wanted = profile.kubernetes or (cluster["version"] if cluster else newest)
    extended = sorted(offered.keys() - set(standard), key=number)
    if wanted in standard or (wanted in extended and cluster):
        then = "EKS then upgrades the cluster by itself"
        if profile.support == "extended":
            then = "extended support costs more per hour"
        hint = f"{then}; to upgrade now, set kubernetes: to the next version and run up"
        report.end_of_support(wanted, offered[wanted].get("endOfStandardSupportDate"), hint)
    elif wanted not in extended or profile.support == "standard":
        hint = f"choose from {', '.join(sorted(standard, key=number))}"
        hint += f"; with support: extended also from {', '.join(extended)}" if extended else ""
        report.error(f"Kubernetes {wanted} is not in standard support", "kubernetes", hint)
    return wanted


REFUSED_ZONES = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})
"""ids of the zones EKS puts no control plane in
(https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html)"""
LEAST_ADDRESSES = 6
"""free addresses EKS needs in each subnet of a new cluster (the same page)"""
DNS: Mapping[Any, str] = {
    "enableDnsSupport": "DNS resolution is disabled",
    "enableDnsHostnames": "DNS hostnames are disabled",
}
"""attributes that the VPC must have, and what is wrong without them
(https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html)"""
ADDONS = ("eks-pod-identity-agent", "vpc-cni", "kube-proxy", "coredns", "aws-ebs-csi-driver")
PRIVATE = "private-"
"""how the names of the nodes' subnets begin; a letter for the zone follows"""


@dataclass(frozen=True)
class Facts:
    """What the graph needs besides the profile."""

    account: str
    partition: str
    version: str
    zones: tuple[str, ...]
    pools: Mapping[str, tuple[MachineType, ...]]
    """a pool's name to its instance types, the preferred one first"""
    addons: Mapping[str, AddonVersion]
    control_plane: frozenset[str] = frozenset()
    """zones of an existing cluster's control plane, which EKS fixes at creation; empty: all"""
    subnets: Mapping[str, SubnetState] = field(default_factory=dict)
    """the existing subnets, by id"""
    shares: tuple[Share, ...] = ()
    warnings: tuple[Finding, ...] = ()


def account(clients: Clients) -> str:
    """The account's 12 digits; ``CredentialsError`` with the cure."""
    return clients.sts.get_caller_identity()["Account"]


def preflight(profile: EksProfile, clients: Clients) -> Facts:
    """Decide what the profile leaves open, and check it against the account.

    ``PreflightError`` with every finding at once.
    """
    report, existing = Report(), profile.network.existing
    with Background() as background:
        found_cluster = background(lambda: _cluster(profile, clients))
        listed = pages(clients.eks, "describe_cluster_versions", "clusterVersions")
        offered = background(lambda: list(listed))
        zones = background(lambda: _zones(profile, clients, report))
        owned = background(lambda: [] if existing else [*Subnet.list(Scope(clients, profile.name))])
        types = background(lambda: machine_types(clients, profile.pools))
        known = background(lambda: _known_types(profile, clients))
        cluster = found_cluster.result()
        given = background(
            lambda: _existing(existing, clients, report, new=not cluster) if existing else {}
        )
        version = choose_version(profile, cluster, offered.result(), report)
        # EKS refuses to list the add-ons of a version it does not offer
        names = ADDONS if any(v["clusterVersion"] == version for v in offered.result()) else ()
        addons = background(lambda: addon_versions(clients, names, version, report))
        found = {kind.name: kind for kind in types.result()}
        kept = {
            pool.name: [found.get(kind.name, kind) for kind in kinds]
            for pool in profile.pools
            if (kinds := known.result().get((machine_text(pool), pool.spot)))
        }
        subnets = given.result()
        wanted = profile.network.zones
        if existing:
            wanted = zones_of(subnets, existing.subnets)
        offers = Offers(
            zones.result() | {subnet.zone for subnet in subnets.values()},
            {pool.name: list(found.values()) for pool in profile.pools},
        )
        by_name = {Subnet.name_of(subnet): subnet.zone for subnet in owned.result()}
        has = Known(positions(by_name, PRIVATE), kept)
        several = {pool.name: SPOT for pool in profile.pools if pool.spot}
        choice = choose(profile.pools, wanted, offers, has, report, several=several)
        check_alike(profile.pools, choice, report)
        wants = needed(profile, clients, len(choice.zones), new_cluster=not cluster)
        check_quotas(clients, wants, report)
        if cluster:
            _check_way_out(profile, owned.result(), report)
        control_plane = _control_plane(cluster, owned.result(), subnets)
        zones_after = {*choice.zones, *(subnet.zone for subnet in subnets.values())}
        if removed := sorted(control_plane - zones_after):
            what = f"cannot remove zone {', '.join(removed)}, which the control plane uses"
            report.error(what, "network.zones", "EKS fixes these zones when it creates a cluster")
    report.raise_errors()
    return Facts(
        account=account(clients),
        partition=clients.partition,
        version=version,
        zones=choice.zones,
        pools=choice.types,
        addons=addons.result(),
        control_plane=control_plane,
        subnets=subnets,
        shares=(*report.shares,),
        warnings=(*report.warnings, *profile.warnings()),
    )


def _cluster(profile: EksProfile, clients: Clients) -> Any:
    try:
        return clients.eks.describe_cluster(name=profile.name)["cluster"]
    except Gone:
        return None


def _zones(profile: EksProfile, clients: Clients, report: Report) -> frozenset[str]:
    """Zones the cluster may use."""
    filters: Any = [{"Name": "zone-type", "Values": ["availability-zone"]}]
    shown = clients.ec2.describe_availability_zones(Filters=filters)["AvailabilityZones"]
    ids = {zone["ZoneName"]: zone["ZoneId"] for zone in shown if zone["State"] == "available"}
    refused = {name for name, identifier in ids.items() if identifier in REFUSED_ZONES}
    if isinstance(wanted := profile.network.zones, tuple):
        for name in refused & set(wanted):
            what = f"EKS does not support zone {name} ({ids[name]})"
            hint = f"choose from {', '.join(sorted(ids.keys() - refused))}"
            report.error(what, "network.zones", hint)
        return frozenset(ids)
    return frozenset(ids.keys() - refused)


def _check_way_out(profile: EksProfile, owned: Iterable[SubnetState], report: Report) -> None:
    """Whether running nodes change from a NAT gateway to public addresses, or back."""
    public = any(subnet.public_addresses for subnet in owned)
    wanted = profile.network.nat == "none"
    if owned and public != wanted:
        ways = ("through a NAT gateway", "with public addresses of their own")
        what = f"running nodes move: they reach the internet {ways[public]}, then {ways[wanted]}"
        hint = "every node group is replaced, and others see the nodes at other addresses"
        report.warn(what, "network.nat", hint)


def _control_plane(
    cluster: Any, owned: Iterable[SubnetState], existing: Mapping[str, SubnetState]
) -> frozenset[str]:
    used = cluster["resourcesVpcConfig"]["subnetIds"] if cluster else ()
    return frozenset(s.zone for s in (*owned, *existing.values()) if s.id in used)


def _known_types(
    profile: EksProfile, clients: Clients
) -> dict[tuple[str, bool], list[MachineType]]:
    """What the profile asked for, and whether of spot capacity, to the types that were chosen when
    the node group was created.
    """
    found: dict[tuple[str, bool], list[MachineType]] = {}
    eks, cluster = clients.eks, profile.name
    if not any(isinstance(pool.machine, Machine) for pool in profile.pools):
        return found
    try:
        for name in pages(eks, "list_nodegroups", "nodegroups", clusterName=cluster):
            shown = eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)
            group = shown["nodegroup"]
            tags, types = group.get("tags", {}), group.get("instanceTypes") or ()
            if tags.get(CLUSTER) == cluster and MACHINE in tags and types:
                image = group.get("amiType", "")
                arch = "arm64" if "ARM_64" in image else "amd64"
                driver = next((each for each in DRIVERS if image.endswith(each)), "")
                key = tags[MACHINE], group.get("capacityType") == "SPOT"
                found[key] = [MachineType(name, arch=arch, accelerator=driver) for name in types]
    except Gone:
        return found
    return found


def _existing(
    wanted: ExistingNetwork, clients: Clients, report: Report, *, new: bool
) -> dict[str, SubnetState]:
    """The subnets of ``network.existing``, by id; ``new``: the cluster does not exist yet."""
    ec2, where = clients.ec2, "network.existing"
    filters: Any = [{"Name": "vpc-id", "Values": [wanted.vpc]}]
    if not [*pages(ec2, "describe_vpcs", "Vpcs", Filters=filters)]:
        report.error(f"VPC {wanted.vpc} does not exist in this region", f"{where}.vpc")
        return {}
    for attribute, what in DNS.items():
        shown: Any = ec2.describe_vpc_attribute(VpcId=wanted.vpc, Attribute=attribute)
        if not shown[attribute[0].upper() + attribute[1:]].get("Value"):
            option = attribute.removeprefix("enableDns").lower()
            hint = "nodes cannot join the cluster without it: aws ec2 modify-vpc-attribute "
            hint += f"--vpc-id {wanted.vpc} --enable-dns-{option}"
            report.error(f"{what} in {wanted.vpc}", f"{where}.vpc", hint)
    ids = (*wanted.subnets, *wanted.public_subnets)
    listed = {i["SubnetId"]: i for i in pages(ec2, "describe_subnets", "Subnets", Filters=filters)}
    found = report.existing(ids, listed, "subnet", wanted.vpc, f"{where}.subnets")
    subnets = [*found.values()]
    zones = {subnet["AvailabilityZone"] for subnet in subnets}
    if len(zones) == 1:
        what = f"all subnets are in zone {min(zones)}, but EKS needs subnets in two zones"
        report.error(what, f"{where}.subnets")
    for subnet in subnets if new else ():
        if (free := subnet["AvailableIpAddressCount"]) < LEAST_ADDRESSES:
            what = f"subnet {subnet['SubnetId']} has {free} free addresses"
            hint = f"EKS needs {LEAST_ADDRESSES} in each subnet"
            report.error(what, f"{where}.subnets", hint)
    roles = {"kubernetes.io/role/elb", "kubernetes.io/role/internal-elb"}
    if not any(roles & read_tags(subnet.get("Tags", ())).keys() for subnet in subnets):
        hint = f"tag public subnets {min(roles)}=1 and private ones {max(roles)}=1"
        report.warn("load balancers may find no subnet: none has a role tag", where, hint)
    tables = list(pages(ec2, "describe_route_tables", "RouteTables", Filters=filters))
    _check_routes([found[i] for i in wanted.subnets if i in found], tables, report)
    return {identifier: Subnet.state(subnet) for identifier, subnet in found.items()}


def _check_routes(nodes: list[Any], tables: list[Any], report: Report) -> None:
    """Whether nodes in these subnets can reach EKS and the registries.

    https://docs.aws.amazon.com/eks/latest/userguide/create-managed-node-group.html (public
    subnets), https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html (endpoints).
    """
    where = "network.existing.subnets"
    routes = {
        None if association.get("Main") else association.get("SubnetId"): table["Routes"]
        for table in tables
        for association in table.get("Associations", ())
    }
    for subnet in nodes:
        identifier = subnet["SubnetId"]
        out = [
            route
            for route in routes.get(identifier, routes.get(None, ()))
            if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route["State"] == "active"
        ]
        if not out:
            what = f"subnet {identifier} has no route to the internet (0.0.0.0/0)"
            hint = "nodes join only if the VPC has endpoints for ec2, ecr.api, ecr.dkr, s3 and sts"
            report.warn(what, where, hint)
        elif out[0].get("GatewayId", "").startswith("igw-") and not subnet["MapPublicIpOnLaunch"]:
            what = f"nodes in public subnet {identifier} get no public address"
            hint = "enable auto-assign of public IPv4 addresses, or choose private subnets"
            report.error(what, where, hint)
