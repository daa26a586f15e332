"""What the graph has to know of Alibaba Cloud, and what it would refuse, found before anything is
made.

What the profile leaves open is decided here once: an existing cluster keeps its version, its zones
and the types of its nodes, so that a newer version or type never shows up as a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

from clusterkit.alibaba import clusterstate, machines, services
from clusterkit.alibaba.clients import Clients
from clusterkit.alibaba.marks import name_of, ours, read_cs_tags, read_tags
from clusterkit.alibaba.network import VpcState, VSwitchState, vpc_state, vswitch_state
from clusterkit.alibaba.nodes import pools
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.alibaba.registry import domains
from clusterkit.alibaba.rules import mainland
from clusterkit.alibaba.versions import Versions
from clusterkit.core.errors import CloudError, Finding, Gone, PreflightError, Rejected
from clusterkit.core.names import CLUSTER, MACHINE
from clusterkit.core.pool import machine_text
from clusterkit.core.profile import Machine

NODES = "nodes-"
"""how the names of the nodes' VSwitches begin"""


@dataclass(frozen=True)
class Facts:
    """What the graph needs besides the profile."""

    account: str
    version: str
    zones: tuple[str, ...]
    pools: Mapping[str, tuple[str, ...]]
    """a pool's name to its instance types, the wanted one first"""
    nat_zones: frozenset[str] = frozenset()
    """zones that have NAT gateways"""
    vpc: VpcState | None = None
    """the existing VPC of ``network.existing``"""
    vswitches: Mapping[str, VSwitchState] = field(default_factory=dict)
    """the existing VSwitches, by id"""
    registry: tuple[str, ...] = ()
    """the registry's host names, the one inside the VPC first"""
    warnings: tuple[Finding, ...] = ()


class _Preflight(Versions):
    """Collects findings while it looks."""

    def run(self) -> Facts:
        self.wrong += services.check(self.profile, self.clients)
        if self.wrong:
            raise PreflightError(self.wrong)  # the other calls would be refused, one by one
        with ThreadPoolExecutor(8) as pool:
            cluster = pool.submit(self.cluster)
            versions = pool.submit(self.versions)
            owned = pool.submit(self.owned_zones)
            stock = pool.submit(self.stock)
            nat = pool.submit(self.nat_zones)
            existing = pool.submit(self.existing)
            registry = pool.submit(self.registry)
            version = self.version(cluster.result(), versions.result())
            known = self.known_types(cluster.result())
            vpc, given = existing.result()
            zones = self.choose_zones(owned.result(), stock.result(), given)
            chosen = self.choose_types(zones, stock.result(), known)
            if cluster.result() is None:
                self.quota()
        self.warn()
        if self.wrong:
            raise PreflightError(self.wrong)
        return Facts(
            account=self.account,
            version=version,
            zones=zones,
            pools=chosen,
            nat_zones=nat.result(),
            vpc=vpc,
            vswitches=given,
            registry=registry.result(),
            warnings=tuple(self.warnings),
        )

    # -- looks -----------------------------------------------------------------------------------

    def cluster(self) -> Any:
        return next(iter(clusterstate.ours(self.cx)), None)

    def quota(self) -> None:
        try:
            quota = (self.clients.cs("DescribeUserQuota", "GET", "/quota") or {}).get(
                "cluster_quota"
            )
            page = self.clients.cs(
                "DescribeClustersV1", "GET", "/api/v1/clusters", page_number=1, page_size=1
            )
        except Rejected:
            return
        there = int((page.get("page_info") or {}).get("total_count") or 0)
        if quota and there >= int(quota):
            what = f"the account has {there} clusters, and its quota is {quota}"
            hint = "ask for more in the Quota Center, or remove a cluster"
            self.wrong.append(Finding(what, "account", hint))

    def owned_zones(self) -> list[str]:
        """Zones of the VSwitches there are, in the order of their names."""
        if self.profile.network.existing:
            return []
        clients, path = self.clients, "VSwitches.VSwitch"
        found = clients.pages(
            clients.vpc,
            "DescribeVSwitches",
            path,
            RegionId=self.profile.region,
            Tag=ours(self.cx),
        )
        named = {name_of(read_tags(item)): item["ZoneId"] for item in found}
        return [named[name] for name in sorted(named) if name.startswith(NODES)]

    def stock(self) -> dict[str, Mapping[str, frozenset[str]]]:
        """A pool's name to the types it may have, each with its zones."""
        return {
            pool.name: machines.stock(self.clients, pool.disk.type, spot=pool.spot)
            for pool in self.profile.pools
        }

    def nat_zones(self) -> frozenset[str]:
        if self.profile.network.existing or self.profile.network.nat == "none":
            return frozenset()
        found = self.clients.vpc(
            "ListEnhanhcedNatGatewayAvailableZones", RegionId=self.profile.region
        )
        return frozenset(zone["ZoneId"] for zone in found.get("Zones") or ())

    def known_types(self, cluster: Any) -> dict[str, tuple[str, ...]]:
        """What was asked for to the types that were chosen for it when the pool was made."""
        found: dict[str, tuple[str, ...]] = {}
        for shown in pools(self.cx, cluster["cluster_id"]) if cluster else ():
            group = shown.get("scaling_group") or {}
            tags = read_cs_tags(group)
            if tags.get(CLUSTER) == self.profile.name and MACHINE in tags:
                found[tags[MACHINE]] = tuple(group.get("instance_types") or ())
        return found

    def registry(self) -> tuple[str, ...]:
        wanted = self.profile.registry
        if wanted is None:
            return ()
        where = "registry.instance"
        try:
            found = domains(self.clients, wanted.instance)
        except Gone:
            what = f"there is no Container Registry instance {wanted.instance} in this region"
            self.wrong.append(Finding(what, where, "clusterkit uses one you have, and buys none"))
            return ()
        if not found:
            hint = "switch on the public or the VPC endpoint of the instance in its console"
            self.wrong.append(Finding("the registry has no endpoint", where, hint))
        return found

    def existing(self) -> tuple[VpcState | None, dict[str, VSwitchState]]:
        wanted = self.profile.network.existing
        if wanted is None:
            return None, {}
        clients, region, where = self.clients, self.profile.region, "network.existing"
        shown = list(
            clients.pages(
                clients.vpc, "DescribeVpcs", "Vpcs.Vpc", RegionId=region, VpcId=wanted.vpc
            )
        )
        if not shown:
            what = f"there is no VPC {wanted.vpc} in {region}"
            self.wrong.append(Finding(what, f"{where}.vpc"))
            return None, {}
        vpc = vpc_state(shown[0])
        listed_ = clients.pages(
            clients.vpc, "DescribeVSwitches", "VSwitches.VSwitch", RegionId=region, VpcId=vpc.id
        )
        there = {item["VSwitchId"]: vswitch_state(item) for item in listed_}
        ids = [*wanted.vswitches, *wanted.pod_vswitches]
        for missing in sorted(set(ids) - there.keys()):
            what = f"there is no VSwitch {missing} in {vpc.id}"
            self.wrong.append(Finding(what, f"{where}.vswitches"))
        ranges = [("pods", self.profile.network.pod_range)]
        ranges.append(("services", self.profile.network.service_range))
        for name, network in ranges:
            if network and network.overlaps(IPv4Network(vpc.cidr)):
                what = f"{network} overlaps the VPC, {vpc.cidr}"
                hint = "choose a range that shares no address with it"
                self.wrong.append(Finding(what, f"network.{name}", hint))
        return vpc, {identifier: there[identifier] for identifier in ids if identifier in there}

    # -- decisions -------------------------------------------------------------------------------

    def choose_zones(
        self,
        owned: list[str],
        stock: Mapping[str, Mapping[str, frozenset[str]]],
        existing: Mapping[str, VSwitchState],
    ) -> tuple[str, ...]:
        network = self.profile.network
        if network.existing:
            there = (existing.get(identifier) for identifier in network.existing.vswitches)
            return tuple(dict.fromkeys(vswitch.zone for vswitch in there if vswitch))
        zones = {zone for types in stock.values() for each in types.values() for zone in each}
        named = {p.name: p.machine for p in self.profile.pools if isinstance(p.machine, str)}
        usable = sorted(
            zone
            for zone in zones
            if all(zone in stock[pool].get(kind, frozenset()) for pool, kind in named.items())
        )
        if isinstance(network.zones, tuple):
            for zone in network.zones:
                if zone not in zones:
                    hint = f"there are {', '.join(sorted(zones))}"
                    what = f"there is no zone {zone}, or it sells nothing"
                    self.wrong.append(Finding(what, "network.zones", hint))
            return network.zones
        chosen = owned + [zone for zone in usable if zone not in owned]
        if len(chosen) < network.zones:
            sold = ", ".join(sorted(set(named.values()))) or "machines with this disk"
            what = f"{network.zones} zones are wanted, {len(chosen)} have {sold} in stock"
            self.wrong.append(
                Finding(what, "network.zones", "take fewer zones, or another machine")
            )
        return tuple(chosen[: network.zones])

    def choose_types(
        self,
        zones: tuple[str, ...],
        stock: Mapping[str, Mapping[str, frozenset[str]]],
        known: Mapping[str, tuple[str, ...]],
    ) -> dict[str, tuple[str, ...]]:
        chosen = {}
        for index, pool in enumerate(self.profile.pools):
            where, sold = f"pools[{index}].machine", stock[pool.name]
            before = known.get(machine_text(pool))
            if before:
                chosen[pool.name] = before
            elif isinstance(pool.machine, Machine):
                fitting = machines.choose(
                    pool.machine,
                    (
                        kind
                        for kind in machines.fitting(self.clients, pool.machine)
                        if set(zones) <= sold.get(kind.name, frozenset())
                    ),
                )
                chosen[pool.name] = tuple(kind.name for kind in fitting)
                if not fitting:
                    size = f"{pool.machine.cpu} CPUs, {pool.machine.memory} GiB"
                    what = f"no type of {size} ({pool.machine.arch}) in {', '.join(zones)}"
                    self.wrong.append(Finding(what, where, "ask for less, or name a type"))
            else:
                chosen[pool.name] = (pool.machine,)
                missing = sorted(set(zones) - sold.get(pool.machine, frozenset()))
                if missing:
                    what = f"{pool.machine} with {pool.disk.type} is not in stock in"
                    hint = "choose another machine, disk or other zones; or a size"
                    self.wrong.append(Finding(f"{what} {', '.join(missing)}", where, hint))
        return chosen

    def warn(self) -> None:
        profile = self.profile
        if profile.endpoint.public and any(net.prefixlen == 0 for net in profile.endpoint.allowed):
            what = "the Kubernetes API can be reached from everywhere (with credentials)"
            hint = "name the networks that may in endpoint.allowed"
            self.warnings.append(Finding(what, "endpoint.allowed", hint))
        if mainland(profile.region) and not profile.mirror:
            what = (
                "images of gcr.io, ghcr.io and Docker Hub are hard to reach from mainland regions"
            )
            self.warnings.append(Finding(what, "mirror", "name a registry that mirrors them"))
        if not profile.network.existing and profile.network.nat == "none":
            what = "without a NAT gateway nodes reach no registry but Alibaba Cloud's own"
            self.warnings.append(Finding(what, "network.nat"))


def preflight(profile: AlibabaProfile, clients: Clients, account: str) -> Facts:
    """Look, decide what the profile leaves open, and refuse what Alibaba Cloud would refuse later.

    ``PreflightError`` with every finding at once.
    """
    try:
        return _Preflight(profile, clients, account).run()
    except CloudError as error:
        if error.code != services.NOT_ENABLED:
            raise
        what = "Container Service is not activated in this account"
        raise PreflightError([Finding(what, "account", services.CURE)]) from error
