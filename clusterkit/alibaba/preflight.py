"""What the graph has to know of Alibaba Cloud, and what it would refuse, found before anything is
made.

What the profile leaves open is decided here once: an existing cluster keeps its version, its zones
and the types of its nodes, so that a newer version or type never shows up as a change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from clusterkit.alibaba import activation, machine_types, personal_registry
from clusterkit.alibaba.choices import NODES as NODES
from clusterkit.alibaba.choices import Choices
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster import ClusterState, owned
from clusterkit.alibaba.fields import mainland
from clusterkit.alibaba.network import VpcState, VSwitchState, vpc_state, vswitch_state
from clusterkit.alibaba.nodes import NodePoolState, pools
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.alibaba.quota import Account, ask, clusters, processors, verified
from clusterkit.alibaba.registry import domains
from clusterkit.alibaba.tags import ours
from clusterkit.engine.background import Background
from clusterkit.errors import CloudError, Finding, Gone, PreflightError
from clusterkit.naming import CLUSTER, MACHINE, NAME


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


class _Preflight(Choices):
    """Collects findings while it looks."""

    def run(self) -> Facts:
        with Background() as aside:
            lacking = aside(lambda: list(activation.check(self.profile, self.clients)))
            cluster, versions = aside(self.cluster), aside(self.versions)
            owned, stock, nat = aside(self.owned_zones), aside(self.stock), aside(self.nat_zones)
            existing, registry = aside(self.existing), aside(self.registry)
            if lacks := lacking.result():
                raise PreflightError(lacks)  # the other calls are refused for it, one by one
            found = cluster.result()
            there = pools(self.clients, found.id) if found else []
            missing = self.missing_nodes(there)
            limits = aside(self.limits) if missing else None
            sizes = aside(lambda: self.sizes(missing))
            quota = None if found else aside(lambda: list(clusters(self.clients)))
            version = self.version(found.version if found else None, versions.result())
            known = self.known_types(there)
            vpc, given = existing.result()
            zones = self.choose_zones(owned.result(), stock.result(), given)
            chosen = self.choose_types(zones, stock.result(), known)
            hosts = registry.result()
            self.wrong += quota.result() if quota else ()
            if limits is not None:
                self.cpus |= sizes.result()
                self.judge(limits.result(), missing, chosen)
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
            registry=hosts,
            warnings=tuple(self.warnings),
        )

    # -- looks -----------------------------------------------------------------------------------

    def cluster(self) -> ClusterState | None:
        return next(iter(owned(self.clients, self.profile.name)), None)

    def owned_zones(self) -> list[str]:
        """Zones of the VSwitches there are, in the order of their names."""
        if self.profile.network.existing:
            return []
        found = map(vswitch_state, self.clients.every("DescribeVSwitches", Tag=ours(self.scope)))
        named = {state.tags.get(NAME, ""): state.zone for state in found}
        return [named[name] for name in sorted(named) if name.startswith(NODES)]

    def stock(self) -> dict[str, Mapping[str, frozenset[str]]]:
        """A pool's name to the types it may have, each with its zones."""
        return {
            pool.name: machine_types.stock(self.clients, pool.disk.type, spot=pool.spot)
            for pool in self.profile.pools
        }

    def nat_zones(self) -> frozenset[str]:
        if self.profile.network.existing or self.profile.network.nat == "none":
            return frozenset()
        found = self.clients.vpc(
            "ListEnhanhcedNatGatewayAvailableZones", RegionId=self.profile.region
        )
        return frozenset(zone["ZoneId"] for zone in found.get("Zones") or ())

    def limits(self) -> Account:
        return ask(self.clients, spot=any(pool.spot for pool in self.profile.pools))

    def sizes(self, missing: Mapping[str, int]) -> dict[str, int]:
        """Processors of the types the profile names for pools that lack nodes."""
        wanted = [pool.machine for pool in self.profile.pools if pool.name in missing]
        named = [machine for machine in wanted if isinstance(machine, str)]
        return machine_types.processors(self.clients, named) if named else {}

    def missing_nodes(self, there: list[NodePoolState]) -> dict[str, int]:
        """A pool's name to how many of its least nodes the cluster does not have yet."""
        have: Counter[str] = Counter()
        for state in there:
            if state.tags.get(CLUSTER) == self.profile.name:
                have[state.name.rpartition("-")[0]] += state.nodes
        wanted = {pool.name: pool.minimum - have[pool.name] for pool in self.profile.pools}
        return {name: number for name, number in wanted.items() if number > 0}

    def known_types(self, there: list[NodePoolState]) -> dict[str, tuple[str, ...]]:
        """What was asked for to the types that were chosen for it when the pool was made."""
        return {
            state.tags[MACHINE]: state.types
            for state in there
            if state.tags.get(CLUSTER) == self.profile.name and MACHINE in state.tags
        }

    def registry(self) -> tuple[str, ...]:
        wanted = self.profile.registry
        if wanted is None:
            return ()
        if wanted.instance is None:
            self.wrong += personal_registry.check(self.clients)
            region = self.profile.region
            return personal_registry.servers(region, wanted.host) if wanted.host else ()
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
        region, where = self.profile.region, "network.existing"
        shown = list(self.clients.every("DescribeVpcs", VpcId=wanted.vpc))
        if not shown:
            what = f"there is no VPC {wanted.vpc} in {region}"
            self.wrong.append(Finding(what, f"{where}.vpc"))
            return None, {}
        vpc = vpc_state(shown[0])
        listed = map(vswitch_state, self.clients.every("DescribeVSwitches", VpcId=vpc.id))
        there = {state.id: state for state in listed}
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

    def judge(
        self,
        account: Account,
        missing: Mapping[str, int],
        chosen: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Whether the account may have the machines that are missing."""
        if account.unasked:
            self.warnings.append(account.unasked)
            return
        if mainland(self.profile.region):
            self.wrong += verified(account)
        first = {name: chosen[name][0] for name in missing if chosen.get(name)}
        if unknown := set(first.values()) - self.cpus.keys():
            self.cpus |= machine_types.processors(self.clients, unknown)
        for spot in (False, True):
            needed = sum(
                missing[pool.name] * self.cpus.get(first.get(pool.name, ""), 0)
                for pool in self.profile.pools
                if pool.spot == spot and pool.name in missing
            )
            self.wrong += processors(account, needed, spot=spot)


def preflight(profile: AlibabaProfile, clients: Clients, account: str) -> Facts:
    """Look, decide what the profile leaves open, and refuse what Alibaba Cloud would refuse later.

    ``PreflightError`` with every finding at once.
    """
    try:
        return _Preflight(profile, clients, account).run()
    except CloudError as error:
        if error.code != activation.NOT_ENABLED:
            raise
        what = "Container Service is not activated in this account"
        raise PreflightError([Finding(what, "account", activation.CURE)]) from error
