"""Zones and instance types: what the profile leaves open, decided by what is in stock."""

from __future__ import annotations

from collections.abc import Mapping

from clusterkit.alibaba import machine_types
from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.fields import mainland
from clusterkit.alibaba.network import VSwitchState
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.alibaba.versions import Versions
from clusterkit.errors import Finding
from clusterkit.profile.model import Machine
from clusterkit.profile.pool import machine_text

NODES = "nodes-"
"""how the names of the nodes' VSwitches begin"""


class Choices(Versions):
    """The part of preflight that decides; collects findings."""

    def __init__(self, profile: AlibabaProfile, clients: Clients, account: str) -> None:
        super().__init__(profile, clients, account)
        self.cpus: dict[str, int] = {}
        """processors of the types that were looked at"""

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
                fitting = machine_types.choose(
                    pool.machine,
                    (
                        kind
                        for kind in machine_types.fitting(self.clients, pool.machine)
                        if set(zones) <= sold.get(kind.name, frozenset())
                    ),
                )
                chosen[pool.name] = tuple(kind.name for kind in fitting)
                self.cpus |= {kind.name: kind.cpu for kind in fitting}
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
