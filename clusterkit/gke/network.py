"""VPC network, one subnetwork with named ranges for pods and Services, router with NAT, firewall.

A network in custom mode has no subnetworks but ours. Nodes have no public addresses: they reach
Google's APIs by private Google access and everything else through Cloud NAT. GKE makes the firewall
rules that a cluster needs itself; ours are for what it does not know of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any, ClassVar

from clusterkit.engine.edit import Edit, edit, fixed
from clusterkit.engine.kind import Durations, Env, Kind, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.gke import occupants
from clusterkit.gke.client import Clients
from clusterkit.gke.tags import REPLACE, ComputeState, Marked, resource_name
from clusterkit.naming import CLUSTER, NAME, mark

PODS = "pods"
SERVICES = "services"
"""names of the secondary ranges of a subnetwork of ours"""
NAT: Mapping[str, Any] = {
    "name": "nat",
    "natIpAllocateOption": "AUTO_ONLY",
    "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
}
SSH = (("tcp", ("22",)),)
"""what a rule allows: a protocol and its ports"""


class NetworkState(ComputeState):
    """A VPC network."""

    automatic: bool = False
    """whether it is in auto mode, with a subnetwork in each region"""


class Network(Marked[NetworkState]):
    """A network of our own, in custom mode; the API changes nothing of it afterwards."""

    kind: ClassVar[str] = "network"
    collection: ClassVar[str] = "networks"
    patience: ClassVar[float] = 900.0
    """destroy waits for what the cluster left in it"""
    takes: ClassVar[Durations] = Durations(create=23, delete=11)

    @classmethod
    def state(cls, scope: Scope[Clients], shown: Mapping[str, Any]) -> NetworkState:
        automatic = bool(shown.get("autoCreateSubnetworks"))
        return NetworkState(**cls.shown(scope, shown), automatic=automatic)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: NetworkState) -> Iterator[Occupant]:
        yield from occupants.of_network(scope, have.path)

    def create(self, env: Env[Clients]) -> Operation[Clients]:
        routing = {"routingMode": "REGIONAL"}
        return self.insert(env, autoCreateSubnetworks=False, routingConfig=routing)

    def edits(self, env: Env[Clients], have: NetworkState) -> Iterator[Edit]:
        yield from fixed("auto mode", have.automatic, False, REPLACE)


class SubnetworkState(ComputeState):
    """A subnetwork."""

    cidr: str
    ranges: Mapping[str, str]
    """secondary ranges by name"""
    private_access: bool
    purpose: str = ""
    fingerprint: str = ""

    @property
    def details(self) -> Mapping[str, str]:
        """Its ranges."""
        return {"range": self.cidr, **self.ranges}


class Subnetwork(Marked[SubnetworkState]):
    """The cluster's part of the network, in all zones of the region."""

    kind: ClassVar[str] = "subnetwork"
    collection: ClassVar[str] = "subnetworks"
    place: ClassVar[str] = "regions/{region}"
    suffix: ClassVar[str] = "nodes"
    serial: ClassVar[bool] = True
    leaving: ClassVar[frozenset[str]] = frozenset({"DRAINING"})
    patience: ClassVar[float] = 900.0
    takes: ClassVar[Durations] = Durations(create=19, delete=12, early=0.6)
    uses: ClassVar[tuple[str, ...]] = ("network",)
    network: Kind[Any, NetworkState]
    cidr: str
    pods: str
    services: str

    @property
    def details(self) -> Mapping[str, str]:
        return {"range": self.cidr, "pods": self.pods, "services": self.services}

    @classmethod
    def state(cls, scope: Scope[Clients], shown: Mapping[str, Any]) -> SubnetworkState:
        ranges = shown.get("secondaryIpRanges") or ()
        return SubnetworkState(
            **{**cls.shown(scope, shown), "status": shown.get("state") or ""},
            cidr=shown["ipCidrRange"],
            ranges={each["rangeName"]: each.get("ipCidrRange", "") for each in ranges},
            private_access=bool(shown.get("privateIpGoogleAccess")),
            purpose=shown.get("purpose") or "PRIVATE",
            fingerprint=shown.get("fingerprint") or "",
        )

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: SubnetworkState) -> Iterator[Occupant]:
        network = f"projects/{scope.client.project}/global/networks/{have.network}"
        yield from occupants.of_subnetwork(scope, have.path, network)

    def create(self, env: Env[Clients]) -> Operation[Clients]:
        return self.insert(
            env,
            network=env[self.network].path,
            ipCidrRange=self.cidr,
            privateIpGoogleAccess=True,
            secondaryIpRanges=_ranges(self._wanted),
        )

    def edits(self, env: Env[Clients], have: SubnetworkState) -> Iterator[Edit]:
        if have.cidr != self.cidr:
            yield self._resize(env, have)
        missing = self._wanted.keys() - have.ranges.keys()
        for name in self._wanted.keys() - missing:
            yield from fixed(name, have.ranges[name], self._wanted[name], REPLACE)
        if missing:

            def add() -> Operation[Clients]:
                ranges = _ranges({**self._wanted, **have.ranges})
                body = {"fingerprint": have.fingerprint, "secondaryIpRanges": ranges}
                return self.change(env, have.path, body)

            yield Edit("secondary ranges", None, ", ".join(sorted(missing)), add)

        def access() -> Operation[Clients]:
            body = {"privateIpGoogleAccess": True}
            return self.change(env, have.path, body, "setPrivateIpGoogleAccess")

        yield from edit("private Google access", have.private_access, True, access)

    @property
    def _wanted(self) -> dict[str, str]:
        return {PODS: self.pods, SERVICES: self.services}

    def _resize(self, env: Env[Clients], have: SubnetworkState) -> Edit:
        """A subnetwork only grows, in place (``expandIpCidrRange``)."""
        if not IPv4Network(have.cidr).subnet_of(IPv4Network(self.cidr)):
            return Edit("cidr", have.cidr, self.cidr, why=f"it can only be expanded: {REPLACE}")

        def expand() -> Operation[Clients]:
            return self.change(env, have.path, {"ipCidrRange": self.cidr}, "expandIpCidrRange")

        return Edit("cidr", have.cidr, self.cidr, expand)


def _ranges(wanted: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"rangeName": name, "ipCidrRange": cidr} for name, cidr in wanted.items()]


class RouterState(ComputeState):
    """A Cloud Router."""

    nats: tuple[Mapping[str, Any], ...] = ()


class Router(Marked[RouterState]):
    """The nodes' way to the internet: a Cloud Router with a Cloud NAT, which is a part of it."""

    kind: ClassVar[str] = "router"
    collection: ClassVar[str] = "routers"
    place: ClassVar[str] = "regions/{region}"
    suffix: ClassVar[str] = "nat"
    takes: ClassVar[Durations] = Durations(create=22, delete=12, early=0.5)
    uses: ClassVar[tuple[str, ...]] = ("network",)
    network: Kind[Any, NetworkState]

    @classmethod
    def state(cls, scope: Scope[Clients], shown: Mapping[str, Any]) -> RouterState:
        return RouterState(**cls.shown(scope, shown), nats=tuple(shown.get("nats") or ()))

    def create(self, env: Env[Clients]) -> Operation[Clients]:
        return self.insert(env, network=env[self.network].path, nats=[dict(NAT)])

    def edits(self, env: Env[Clients], have: RouterState) -> Iterator[Edit]:
        ours = next((nat for nat in have.nats if nat.get("name") == NAT["name"]), {})
        others = [nat for nat in have.nats if nat.get("name") != NAT["name"]]
        there = {key: ours.get(key) for key in NAT}

        def serve() -> Operation[Clients]:
            return self.change(env, have.path, {"nats": [*others, {**ours, **NAT}]})

        yield from edit("NAT", there if ours else None, dict(NAT), serve)


class FirewallState(ComputeState):
    """A firewall rule."""

    sources: frozenset[str]
    allowed: frozenset[tuple[str, tuple[str, ...]]]
    """protocols and their ports; none for all ports"""
    targets: frozenset[str]
    """network tags of the machines that it is about; none for all machines"""
    disabled: bool = False


class Firewall(Marked[FirewallState]):
    """Who may connect to the nodes' SSH port."""

    kind: ClassVar[str] = "firewall"
    collection: ClassVar[str] = "firewalls"
    suffix: ClassVar[str] = "ssh"
    takes: ClassVar[Durations] = Durations(create=12, delete=12)
    uses: ClassVar[tuple[str, ...]] = ("network",)
    network: Kind[Any, NetworkState]
    sources: tuple[str, ...]
    """ranges"""

    @classmethod
    def state(cls, scope: Scope[Clients], shown: Mapping[str, Any]) -> FirewallState:
        allowed = frozenset(
            (str(each.get("IPProtocol")), tuple(each.get("ports") or ()))
            for each in shown.get("allowed") or ()
        )
        return FirewallState(
            **cls.shown(scope, shown),
            sources=frozenset(shown.get("sourceRanges") or ()),
            allowed=allowed,
            targets=frozenset(shown.get("targetTags") or ()),
            disabled=bool(shown.get("disabled")),
        )

    def create(self, env: Env[Clients]) -> Operation[Clients]:
        return self.insert(
            env,
            network=env[self.network].path,
            direction="INGRESS",
            **self._rule(env),
        )

    def _rule(self, env: Env[Clients]) -> dict[str, Any]:
        return {
            "allowed": [{"IPProtocol": protocol, "ports": [*ports]} for protocol, ports in SSH],
            "sourceRanges": sorted(self.sources),
            "targetTags": [node_tag(env)],
        }

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> Operation[Clients]:
        """Of our kinds only a rule takes another description."""
        text = mark(scope.region, labels[CLUSTER], labels[NAME])
        body = {"name": identifier, "description": text}
        return cls.change(scope, f"{cls.where(scope)}/{identifier}", body)

    def edits(self, env: Env[Clients], have: FirewallState) -> Iterator[Edit]:
        def change() -> Operation[Clients]:
            body = {"name": have.id, **self._rule(env), "disabled": False}
            return self.change(env, have.path, body)

        yield from edit("sources", have.sources, frozenset(self.sources), change)
        yield from edit("ports", have.allowed, frozenset(SSH), change)
        yield from edit("machines", have.targets, frozenset({node_tag(env)}), change)
        yield from edit("disabled", have.disabled, False, change)


def node_tag(scope: Scope[Any]) -> str:
    """The network tag of this cluster's nodes, which the rules of ours are about."""
    return resource_name(scope, "node")
