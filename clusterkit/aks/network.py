"""Virtual network with one subnet for the nodes, and the nodes' way out: a NAT gateway with an
address, or the load balancer that AKS makes.

A subnet takes no tags, so it is a part of its network. A PUT of a network replaces its subnets, so
the subnet is in the call that makes the network, and later changed by a call of its own. One write
at a time in a network (``AnotherOperationInProgress``). Pods have addresses of an overlay, which
the network knows nothing of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import IPv4Network
from typing import Any, ClassVar

from clusterkit.aks import ids
from clusterkit.aks.client import Clients
from clusterkit.aks.group import nodes_name
from clusterkit.aks.profile import KEPT, AksProfile
from clusterkit.aks.tags import BROKEN, REPLACE, ArmState, Resource, found, here
from clusterkit.engine.edit import Edit, edit, fixed
from clusterkit.engine.kind import Durations, Env, Kind, Record
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.operation import Operation
from clusterkit.engine.preflight import Report
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied
from clusterkit.profile.network import ANYWHERE, addresses_for_nodes

SUBNET = "nodes"
"""name of the subnet of a network of ours"""
BALANCED, GATEWAY = "loadBalancer", "userAssignedNATGateway"
ROUTES = "userDefinedRouting"
"""ways out of a cluster; each can follow each other in a network of the user's own
(https://learn.microsoft.com/azure/aks/egress-outboundtype, "Supported migration paths for BYO
VNet"; the SDK's description says that it can only be set at creation)"""
EVERYTHING = ("0.0.0.0/0", "Internet")
HOPS = ("VirtualAppliance", "VirtualNetworkGateway")
"""next hops that take traffic out of Azure's own way to the internet
(https://learn.microsoft.com/azure/aks/egress-udr)"""
IDLE_MINUTES = 30
"""after which a NAT gateway forgets a connection that says nothing (4 to 120, Microsoft.Network)"""


class PublicIpState(ArmState):
    """A public address."""

    address: str


class PublicIp(Resource[PublicIpState]):
    """The address that the nodes are seen at; zone-redundant where the region has zones."""

    kind: ClassVar[str] = "public-ip"
    type: ClassVar[str] = "Microsoft.Network/publicIPAddresses"
    takes: ClassVar[Durations] = Durations(create=5, delete=12)

    @classmethod
    def state(cls, shown: Mapping[str, Any]) -> PublicIpState:
        properties = shown.get("properties") or {}
        address = properties.get("ipAddress") or ""
        return PublicIpState(**cls.shown(shown), address=address)

    def create(self, env: Env[Clients]) -> Operation[Clients] | None:
        properties = {"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4"}
        return self.put(env, sku={"name": "Standard"}, properties=properties)


class NatGatewayState(ArmState):
    """A NAT gateway."""

    addresses: frozenset[str]
    """keys of its public addresses"""


class NatGateway(Resource[NatGatewayState]):
    """The way to the internet of the whole subnet."""

    kind: ClassVar[str] = "nat-gateway"
    type: ClassVar[str] = "Microsoft.Network/natGateways"
    takes: ClassVar[Durations] = Durations(create=10, delete=12)
    uses: ClassVar[tuple[str, ...]] = ("public-ip", "resource-group")
    address: Kind[Clients, PublicIpState]

    @classmethod
    def state(cls, shown: Mapping[str, Any]) -> NatGatewayState:
        addresses = (shown.get("properties") or {}).get("publicIpAddresses") or ()
        keys = frozenset(ids.key(each["id"]) for each in addresses)
        return NatGatewayState(**cls.shown(shown), addresses=keys)

    def create(self, env: Env[Clients]) -> Operation[Clients] | None:
        return self.put(env, **self._body(env))

    def _body(self, env: Env[Clients]) -> dict[str, Any]:
        addresses = [{"id": env[self.address].path}]
        properties = {"publicIpAddresses": addresses, "idleTimeoutInMinutes": IDLE_MINUTES}
        return {"sku": {"name": "Standard"}, "properties": properties}

    def edits(self, env: Env[Clients], have: NatGatewayState) -> Iterator[Edit]:
        def change() -> Operation[Clients] | None:
            body = {"location": env.region, "tags": dict(have.tags), **self._body(env)}
            return env.client.begin("PUT", have.path, body)

        yield from super().edits(env, have)
        yield from edit("addresses", have.addresses, frozenset({env[self.address].id}), change)


class VirtualNetworkState(ArmState):
    """A virtual network with the subnet for the nodes."""

    cidr: str
    subnet: str = ""
    """the subnet's id as the service writes it; empty if there is none"""
    range: str = ""
    """the subnet's"""
    subnet_status: str = ""
    nat: str = ""
    """key of the subnet's NAT gateway"""
    routes: str = ""
    """key of the subnet's route table"""
    others: tuple[str, ...] = ()
    """names of other subnets"""
    delegated: tuple[str, ...] = ()
    """the services that the subnet is kept for"""
    guards: str = ""
    """key of the subnet's network security group"""

    @property
    def details(self) -> Mapping[str, str]:
        """Its range."""
        return {"range": self.cidr}


class VirtualNetwork(Resource[VirtualNetworkState]):
    """A network of our own."""

    kind: ClassVar[str] = "virtual-network"
    type: ClassVar[str] = "Microsoft.Network/virtualNetworks"
    serial: ClassVar[bool] = True
    patience: ClassVar[float] = 900.0
    takes: ClassVar[Durations] = Durations(create=8, delete=15)
    uses: ClassVar[tuple[str, ...]] = ("nat-gateway", "resource-group")
    cidr: str
    nat: Kind[Clients, NatGatewayState] | None = None
    """None: the nodes go out through the cluster's load balancer"""

    @property
    def details(self) -> Mapping[str, str]:
        return {"range": self.cidr}

    @classmethod
    def state(cls, shown: Mapping[str, Any]) -> VirtualNetworkState:
        return with_subnet(shown, SUBNET)

    def _subnet(self, env: Env[Clients]) -> dict[str, Any]:
        nat = {"natGateway": {"id": env[self.nat].path}} if self.nat else {}
        # addresses that nobody gave a machine end (defaultOutboundAccess of Microsoft.Network)
        return {"addressPrefix": self.cidr, "defaultOutboundAccess": False, **nat}

    def create(self, env: Env[Clients]) -> Operation[Clients] | None:
        space = {"addressPrefixes": [self.cidr]}
        subnets = [{"name": SUBNET, "properties": self._subnet(env)}]
        return self.put(env, properties={"addressSpace": space, "subnets": subnets})

    def edits(self, env: Env[Clients], have: VirtualNetworkState) -> Iterator[Edit]:
        def subnet() -> Operation[Clients] | None:
            path = f"{have.path}/subnets/{SUBNET}"
            return env.client.begin("PUT", path, {"properties": self._subnet(env)})

        yield from super().edits(env, have)
        yield from fixed("cidr", have.cidr, self.cidr, REPLACE)
        wanted = env[self.nat].id if self.nat else ""
        if not have.subnet:
            yield Edit("subnet", None, SUBNET, subnet)
        else:
            yield from fixed("subnet", have.range, self.cidr, REPLACE)
            yield from edit("NAT gateway", ids.last(have.nat), ids.last(wanted), subnet)
            if have.subnet_status in BROKEN:  # AKS takes no such subnet
                yield Edit("subnet's state", have.subnet_status, "Succeeded", subnet)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: VirtualNetworkState) -> Iterator[Occupant]:
        """Subnets and network interfaces of others; those of the cluster's machines go with it."""
        yield from super().occupants(scope, have)
        for name in have.others:
            identifier = f"{have.path}/subnets/{name}"
            cure = f"az network vnet subnet delete --ids {identifier}"
            yield Occupant("subnet", ids.key(identifier), name, cure)
        shown = found(scope.client, have.subnet) if have.subnet else None
        for each in ((shown or {}).get("properties") or {}).get("ipConfigurations") or ():
            if not _of_cluster(scope, each["id"]):
                owner = each["id"].partition("/ipConfigurations/")[0]
                yield Occupant("IP configuration of", ids.key(owner), "", f"delete {owner}")


def _of_cluster(scope: Scope[Clients], identifier: str) -> bool:
    """Whether an IP configuration lies in the group of the cluster's nodes, and goes with it."""
    group = ids.part(identifier, "resourceGroups").lower()
    return group == nodes_name(scope.cluster, scope.region)


def with_subnet(shown: Mapping[str, Any], name: str) -> VirtualNetworkState:
    """A network as it is shown, and one of its subnets."""
    properties = shown.get("properties") or {}
    subnets = {each["name"]: each for each in properties.get("subnets") or ()}
    ours: Mapping[str, Any] = subnets.get(name) or {}
    of_subnet = ours.get("properties") or {}
    prefixes = (properties.get("addressSpace") or {}).get("addressPrefixes") or ()
    several = of_subnet.get("addressPrefixes") or ("",)
    return VirtualNetworkState(
        **Resource.shown(shown),
        cidr=", ".join(prefixes),
        subnet=str(ours.get("id") or ""),
        subnet_status=str(of_subnet.get("provisioningState") or ""),
        range=str(of_subnet.get("addressPrefix") or several[0]),
        nat=ids.key((of_subnet.get("natGateway") or {}).get("id")),
        routes=ids.key((of_subnet.get("routeTable") or {}).get("id")),
        others=tuple(sorted(subnets.keys() - {name})),
        guards=ids.key((of_subnet.get("networkSecurityGroup") or {}).get("id")),
        delegated=tuple(
            str((each.get("properties") or {}).get("serviceName") or each.get("name"))
            for each in of_subnet.get("delegations") or ()
        ),
    )


def made(
    profile: AksProfile, group: Kind[Clients, Any], tags: tuple[tuple[str, str], ...]
) -> tuple[VirtualNetwork, PublicIp | None]:
    """A network of the cluster's own, and the address that its nodes go out by."""
    cidr = str(profile.network.cidr)
    if profile.network.nat == "none":
        return VirtualNetwork(name="main", group=group, cidr=cidr, tags=tags), None
    address = PublicIp(name="nat", group=group, tags=tags)
    nat = NatGateway(name="main", group=group, address=address, tags=tags)
    return VirtualNetwork(name="main", group=group, cidr=cidr, nat=nat, tags=tags), address


class Outside(Record):
    """A network that the profile names, and how its nodes go out."""

    network: VirtualNetworkState
    outbound: str
    """``outboundType`` of Microsoft.ContainerService"""
    addresses: tuple[str, ...] = ()
    """ranges by which they are seen, where that is known"""


def existing(profile: AksProfile, clients: Clients, report: Report) -> Outside | None:
    """The network that the profile names; None if it names none, or if it is not there, which
    ``report`` tells.
    """
    given, where = profile.network.existing, "network.existing"
    if given is None:
        return None
    if ids.part(given.vpc, "subscriptions").lower() != clients.subscription:
        what = "the virtual network is in another subscription than the cluster"
        report.error(what, f"{where}.vpc", "peer it with one in the cluster's subscription")
        return None
    shown = found(clients, given.vpc)
    if shown is None:
        report.error(f"there is no virtual network {given.vpc}", f"{where}.vpc")
        return None
    scope = Scope(clients, profile.name, profile.region)
    if not here(scope, shown):
        what = f"{ids.last(given.vpc)} is in {shown.get('location')}, not in {profile.region}"
        report.error(what, f"{where}.vpc")
    have = with_subnet(shown, given.subnet)
    if not have.subnet:
        known = ", ".join(have.others) or "none"
        what = f"{ids.last(given.vpc)} has no subnet {given.subnet}; it has {known}"
        report.error(what, f"{where}.subnet")
        return None
    for what, cure in _unfit(profile, have):
        report.error(what, f"{where}.subnet", cure)
    if rule := _closed(clients, have.guards):
        what = f"rule {ids.last(rule)} of the subnet's security group denies HTTPS to the internet"
        cure = f"az network nsg rule show --ids {rule}: nodes and builds need images and sources"
        report.warn(what, f"{where}.subnet", cure)
    for prefix in have.cidr.split(", "):
        ranges = {"pods": profile.network.pod_range, "services": profile.network.service_range}
        for field, wanted in ranges.items():
            if ":" not in prefix and IPv4Network(prefix).overlaps(wanted):
                what = f"{wanted} overlaps {prefix} of {ids.last(given.vpc)}"
                report.error(what, f"network.{field}", "choose a range outside the network")
    return _outside(profile, clients, have, report)


def _unfit(profile: AksProfile, have: VirtualNetworkState) -> Iterator[tuple[str, str]]:
    """Why AKS would not take the subnet, and the cure."""
    name = ids.last(have.subnet)
    if have.delegated:
        what = f"subnet {name} is delegated to {', '.join(have.delegated)}"
        yield what, f"az network vnet subnet update --ids {have.subnet} --remove delegations"
    if have.subnet_status in BROKEN:
        what = f"subnet {name} is in the state {have.subnet_status}, left by a change that failed"
        yield what, f"az network vnet subnet update --ids {have.subnet}"
    nodes = sum(each.maximum for each in profile.pools)
    if "." in have.range:
        for each in addresses_for_nodes(IPv4Network(have.range), KEPT, nodes):
            yield each.what, each.hint


def _closed(clients: Clients, group: str) -> str:
    """The id of the rule of a network security group that denies HTTPS to the internet; empty if
    none does. The rule with the lowest number decides
    (https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview).
    """
    shown: dict[str, Any] = {}
    with suppress(Denied):  # what may not be seen is not judged
        shown = (found(clients, group) if group else None) or {}
    rules = (shown.get("properties") or {}).get("securityRules") or ()
    for each in sorted(rules, key=lambda one: int(one["properties"]["priority"])):
        rule = each["properties"]
        ports = {rule.get("destinationPortRange"), *(rule.get("destinationPortRanges") or ())}
        places = {rule.get("destinationAddressPrefix")}
        places |= {*(rule.get("destinationAddressPrefixes") or ())}
        out = rule.get("direction") == "Outbound" and rule.get("protocol") in ("*", "Tcp")
        if out and ports & {"*", "443"} and places & {"*", *EVERYTHING}:
            return str(each["id"]) if rule.get("access") == "Deny" else ""
    return ""


def _outside(
    profile: AksProfile, clients: Clients, have: VirtualNetworkState, report: Report
) -> Outside:
    """How nodes in a subnet go out. A route of the subnet's own comes before its NAT gateway
    (https://learn.microsoft.com/azure/nat-gateway/nat-overview), and that before the cluster's load
    balancer.
    """
    if hop := _default_route(clients, have.routes):
        if profile.endpoint.public and ANYWHERE not in profile.endpoint.allowed:
            what = f"the nodes go out by {hop}, as {ids.last(have.routes)} says"
            cure = "add the public address that they are seen at, or they cannot reach the API"
            report.warn(what, "endpoint.allowed", cure)
        return Outside(network=have, outbound=ROUTES)
    if not have.nat:
        return Outside(network=have, outbound=BALANCED)
    return Outside(network=have, outbound=GATEWAY, addresses=tuple(_addresses(clients, have.nat)))


def _default_route(clients: Clients, table: str) -> str:
    """Where a route table sends what goes to the internet; empty if it leaves that to Azure."""
    shown = found(clients, table) if table else None
    for each in ((shown or {}).get("properties") or {}).get("routes") or ():
        route = each.get("properties") or {}
        if route.get("addressPrefix") in EVERYTHING and route.get("nextHopType") in HOPS:
            return str(route.get("nextHopIpAddress") or route["nextHopType"])
    return ""


def _addresses(clients: Clients, nat: str) -> Iterator[str]:
    """The addresses of a NAT gateway, and its ranges of addresses."""
    properties = (found(clients, nat) or {}).get("properties") or {}
    for kind, shown_as in (("publicIpAddresses", "ipAddress"), ("publicIpPrefixes", "ipPrefix")):
        for each in properties.get(kind) or ():
            there = (found(clients, each["id"]) or {}).get("properties") or {}
            if text := there.get(shown_as):
                yield str(text)
