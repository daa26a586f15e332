"""What the graph has to know of AWS, and what AWS would refuse, found before anything is made.

What the profile leaves open is decided here once: an existing cluster keeps its version, its zones
and the types of its nodes, so that a newer version or type never shows up as a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clusterkit.eks import machine_types
from clusterkit.eks.client import Clients
from clusterkit.eks.errors import Gone, call, pages
from clusterkit.eks.network import (
    SubnetState,
    VpcState,
    dns_hostnames,
    subnet_state,
    vpc_state,
)
from clusterkit.eks.profile import EksProfile
from clusterkit.eks.tags import ours, read_tags
from clusterkit.eks.versions import AddonVersion, Versions
from clusterkit.engine.background import Background
from clusterkit.errors import Finding, PreflightError
from clusterkit.naming import CLUSTER, MACHINE
from clusterkit.profile.model import Machine
from clusterkit.profile.pool import machine_text

REFUSED_ZONES = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})
"""zone ids EKS puts no control plane in
(https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html)"""
ADDONS = ("eks-pod-identity-agent", "vpc-cni", "kube-proxy", "coredns", "aws-ebs-csi-driver")


@dataclass(frozen=True)
class PoolMachine:
    """What a pool's nodes are."""

    instance_type: str
    architecture: str
    """``amd64``, ``arm64``"""


@dataclass(frozen=True)
class Facts:
    """What the graph needs besides the profile."""

    account: str
    partition: str
    version: str
    zones: tuple[str, ...]
    pools: Mapping[str, PoolMachine]
    addons: Mapping[str, AddonVersion]
    vpc: VpcState | None = None
    """the existing VPC of ``network.existing``"""
    subnets: Mapping[str, SubnetState] = field(default_factory=dict)
    """the existing subnets, by id"""
    warnings: tuple[Finding, ...] = ()


class _Preflight(Versions):
    """Collects findings while it looks."""

    def run(self) -> Facts:
        with Background() as aside:
            cluster, versions, zones = aside(self.cluster), aside(self.versions), aside(self.zones)
            subnets, types = aside(self.owned_subnets), aside(self.types)
            known, existing = aside(self.known_types), aside(self.existing)
            version = self.version(cluster.result(), versions.result())
            # a version that is not offered has no add-ons, and asking for them is refused
            found = None if self.wrong else aside(lambda: self.addons(ADDONS, version))
            offered, offers = types.result()
            vpc, given = existing.result()
            chosen_zones = self.choose_zones(zones.result(), subnets.result(), offers, given)
            chosen = self.choose_types(chosen_zones, offered, offers, known.result())
            addons = found.result() if found else {}
        self.exposure()
        if self.wrong:
            raise PreflightError(self.wrong)
        return Facts(
            account=self.account,
            partition=self.clients.partition,
            version=version,
            zones=chosen_zones,
            pools=chosen,
            addons=addons,
            vpc=vpc,
            subnets=given,
            warnings=tuple(self.warnings),
        )

    # -- looks -----------------------------------------------------------------------------------

    def cluster(self) -> Any:
        try:
            return call(self.clients.eks.describe_cluster, name=self.profile.name)["cluster"]
        except Gone:
            return None

    def versions(self) -> list[Any]:
        return list(pages(self.clients.eks, "describe_cluster_versions", "clusterVersions"))

    def zones(self) -> dict[str, str]:
        """Zone name to zone id, of the ones open to us."""
        filters: Any = [{"Name": "zone-type", "Values": ["availability-zone"]}]
        shown = call(self.clients.ec2.describe_availability_zones, Filters=filters)
        usable = (z for z in shown["AvailabilityZones"] if z["State"] == "available")
        return {zone["ZoneName"]: zone["ZoneId"] for zone in usable}

    def owned_subnets(self) -> list[str]:
        """Zones of the subnets there are, in the order of their names."""
        if self.profile.network.existing:
            return []
        found = pages(self.clients.ec2, "describe_subnets", "Subnets", Filters=[ours(self.cx)])
        named = {read_tags(s["Tags"]).get("clusterkit-name", ""): s for s in found}
        private = sorted(name for name in named if name.startswith("private-"))
        return [named[name]["AvailabilityZone"] for name in private]

    def types(self) -> tuple[list[machine_types.InstanceType], Mapping[str, frozenset[str]]]:
        """The types the pools may become, and the zones that offer them."""
        asked = [pool.machine for pool in self.profile.pools]
        names = {machine for machine in asked if isinstance(machine, str)}
        found = {t.name: t for t in machine_types.named(self.clients, names)} if names else {}
        for size in {machine for machine in asked if isinstance(machine, Machine)}:
            found |= {t.name: t for t in machine_types.fitting(self.clients, size)}
        offers = machine_types.offered(self.clients, found) if found else {}
        return list(found.values()), offers

    def known_types(self) -> dict[str, PoolMachine]:
        """What was asked for to the type that was chosen for it when the pool was made."""
        found: dict[str, PoolMachine] = {}
        if not any(isinstance(pool.machine, Machine) for pool in self.profile.pools):
            return found
        eks, cluster = self.clients.eks, self.profile.name
        try:
            for name in list(pages(eks, "list_nodegroups", "nodegroups", clusterName=cluster)):
                shown = call(eks.describe_nodegroup, clusterName=cluster, nodegroupName=name)
                group = shown["nodegroup"]
                tags, kinds = group.get("tags", {}), group.get("instanceTypes") or [""]
                if tags.get(CLUSTER) == cluster and MACHINE in tags:
                    arch = "arm64" if "ARM_64" in group.get("amiType", "") else "amd64"
                    found[tags[MACHINE]] = PoolMachine(kinds[0], arch)
        except Gone:
            return found
        return found

    def existing(self) -> tuple[VpcState | None, dict[str, SubnetState]]:
        wanted = self.profile.network.existing
        if wanted is None:
            return None, {}
        ec2, where = self.clients.ec2, "network.existing"
        try:
            vpc = call(ec2.describe_vpcs, VpcIds=[wanted.vpc])["Vpcs"][0]
        except Gone:
            what = f"there is no VPC {wanted.vpc} in {self.profile.region}"
            self.wrong.append(Finding(what, f"{where}.vpc"))
            return None, {}
        dns = dns_hostnames(self.clients, wanted.vpc)
        if not dns:
            hint = "nodes cannot join without; switch DNS hostnames on in the VPC"
            self.wrong.append(Finding("the VPC has DNS hostnames off", f"{where}.vpc", hint))
        ids = [*wanted.subnets, *wanted.public_subnets]
        found = {}
        filters: Any = [{"Name": "subnet-id", "Values": ids}]
        for item in pages(ec2, "describe_subnets", "Subnets", Filters=filters):
            if item["VpcId"] != wanted.vpc:
                what = f"{item['SubnetId']} lies in {item['VpcId']}, not in {wanted.vpc}"
                self.wrong.append(Finding(what, f"{where}.subnets"))
            found[item["SubnetId"]] = subnet_state(item)
        for missing in sorted(set(ids) - found.keys()):
            self.wrong.append(Finding(f"there is no subnet {missing}", f"{where}.subnets"))
        zones = {found[i].zone for i in wanted.subnets if i in found}
        if len(zones) == 1:
            what = "all subnets lie in one zone; EKS wants two"
            self.wrong.append(Finding(what, f"{where}.subnets"))
        return vpc_state(vpc), found

    # -- decisions -------------------------------------------------------------------------------

    def choose_zones(
        self,
        zones: Mapping[str, str],
        owned: list[str],
        offers: Mapping[str, frozenset[str]],
        existing: Mapping[str, SubnetState],
    ) -> tuple[str, ...]:
        wanted = self.profile.network.zones
        if existing:
            return tuple(sorted({subnet.zone for subnet in existing.values()}))
        named = [p.machine for p in self.profile.pools if isinstance(p.machine, str)]
        usable = [
            name
            for name, identifier in sorted(zones.items())
            if identifier not in REFUSED_ZONES
            and all(name in offers.get(machine, frozenset()) for machine in named)
        ]
        if isinstance(wanted, tuple):
            for name in wanted:
                if name not in zones:
                    hint = f"there are {', '.join(sorted(zones))}"
                    self.wrong.append(Finding(f"there is no zone {name}", "network.zones", hint))
                elif zones[name] in REFUSED_ZONES:
                    hint = f"take others of {', '.join(usable)}"
                    what = f"EKS does not use zone {name} ({zones[name]})"
                    self.wrong.append(Finding(what, "network.zones", hint))
            return wanted
        kept = [zone for zone in owned if zone in zones]
        chosen = kept + [zone for zone in usable if zone not in kept]
        if len(chosen) < wanted:
            what = f"{wanted} zones are wanted, {len(chosen)} offer {', '.join(named) or 'EKS'}"
            hint = "take fewer zones, or another machine"
            self.wrong.append(Finding(what, "network.zones", hint))
        return tuple(chosen[:wanted])

    def choose_types(
        self,
        zones: tuple[str, ...],
        types: list[machine_types.InstanceType],
        offers: Mapping[str, frozenset[str]],
        known: Mapping[str, PoolMachine],
    ) -> dict[str, PoolMachine]:
        chosen = {}
        everywhere = [t for t in types if set(zones) <= offers.get(t.name, frozenset())]
        by_name = {t.name: t for t in types}
        for index, pool in enumerate(self.profile.pools):
            where = f"pools[{index}].machine"
            if isinstance(pool.machine, Machine):
                before = known.get(machine_text(pool))
                fitting = machine_types.choose(pool.machine, everywhere)
                if before:
                    chosen[pool.name] = before
                elif fitting:
                    chosen[pool.name] = PoolMachine(fitting.name, pool.machine.arch)
                else:
                    size = f"{pool.machine.cpu} CPUs, {pool.machine.memory} GiB"
                    what = f"no type of {size} ({pool.machine.arch}) in {', '.join(zones)}"
                    self.wrong.append(Finding(what, where, "ask for less, or name a type"))
                continue
            found = by_name.get(pool.machine)
            missing = sorted(set(zones) - offers.get(pool.machine, frozenset()))
            if found is None:
                what = f"there is no instance type {pool.machine} in {self.profile.region}"
                self.wrong.append(Finding(what, where, "or give a size: {cpu: 4, memory: 16}"))
            elif missing:
                what = f"{pool.machine} is not offered in {', '.join(missing)}"
                self.wrong.append(Finding(what, where, "choose another machine or other zones"))
            else:
                chosen[pool.name] = PoolMachine(found.name, found.architecture)
        return chosen

    def exposure(self) -> None:
        endpoint = self.profile.endpoint
        if endpoint.public and any(network.prefixlen == 0 for network in endpoint.allowed):
            what = "the Kubernetes API can be reached from everywhere (with credentials)"
            hint = "name the networks that may in endpoint.allowed"
            self.warnings.append(Finding(what, "endpoint.allowed", hint))


def preflight(profile: EksProfile, clients: Clients, account: str) -> Facts:
    """Look, decide what the profile leaves open, and refuse what AWS would refuse later.

    ``PreflightError`` with every finding at once.
    """
    return _Preflight(profile, clients, account).run()
