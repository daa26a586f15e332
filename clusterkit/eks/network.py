"""A VPC and all that lies in it: subnets, an internet gateway, NAT gateways, route tables.

What cannot carry a tag is part of what it hangs on: DNS attributes of the VPC, the attachment of
the internet gateway, the default route and the subnets of a route table. Durations of NAT gateways:
published Terraform logs (90 to 120 s up, 37 to 79 s down).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network
from typing import Any, ClassVar

from clusterkit.eks import occupants
from clusterkit.eks.client import Clients
from clusterkit.eks.tags import REPLACE, Ec2, Ec2State, where
from clusterkit.engine.edit import Edit, edit, fixed
from clusterkit.engine.kind import Durations, Env, Kind
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER

EVERYWHERE = "0.0.0.0/0"


class VpcState(Ec2State):
    """A VPC as DescribeVpcs and DescribeVpcAttribute show it."""

    cidr: IPv4Network
    hostnames: bool = False
    """whether machines in it get host names"""
    resolver: bool = True
    """whether Amazon's DNS server answers in it"""

    @property
    def details(self) -> Mapping[str, str]:
        """Its range."""
        return {"range": str(self.cidr)}


class Vpc(Ec2[VpcState]):
    """A VPC with DNS on, which nodes and private endpoints need."""

    kind: ClassVar[str] = "vpc"
    listing: ClassVar = ("describe_vpcs", "Vpcs", "VpcId")
    usable: ClassVar[frozenset[str]] = frozenset({"available"})
    leaving: ClassVar[frozenset[str]] = frozenset({"deleting"})
    cidr: IPv4Network

    @property
    def details(self) -> Mapping[str, str]:
        return {"range": str(self.cidr)}

    @classmethod
    def state(cls, shown: Any) -> VpcState:
        return VpcState(**cls.common(shown), cidr=IPv4Network(shown["CidrBlock"]))

    @classmethod
    def read(cls, scope: Scope[Clients], found: VpcState) -> VpcState:
        ask = partial(scope.client.ec2.describe_vpc_attribute, VpcId=found.id)
        names = ask(Attribute="enableDnsHostnames")["EnableDnsHostnames"]
        support = ask(Attribute="enableDnsSupport")["EnableDnsSupport"]
        on, resolver = bool(names.get("Value")), bool(support.get("Value"))
        return replace(found, hostnames=on, resolver=resolver)

    def create(self, env: Env[Clients]) -> VpcState:
        tags = self.specification(env)
        made = env.client.ec2.create_vpc(CidrBlock=str(self.cidr), TagSpecifications=tags)
        return self.state({**made["Vpc"], "State": "available"})

    def edits(self, env: Env[Clients], have: VpcState) -> Iterator[Edit]:
        change = partial(env.client.ec2.modify_vpc_attribute, VpcId=have.id)
        # on in every new VPC, and without it EC2 refuses host names (ModifyVpcAttribute)
        resolve = partial(change, EnableDnsSupport={"Value": True})
        enable = partial(change, EnableDnsHostnames={"Value": True})
        yield from fixed("cidr", have.cidr, self.cidr, REPLACE)
        yield from edit("DNS support", have.resolver, True, resolve)
        yield from edit("DNS hostnames", have.hostnames, True, enable)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: VpcState) -> Iterator[Occupant]:
        return occupants.in_vpc(scope, have.id)


class SubnetState(Ec2State):
    """A subnet as DescribeSubnets shows it."""

    cidr: IPv4Network
    zone: str
    public_addresses: bool

    @property
    def details(self) -> Mapping[str, str]:
        """Its range and zone."""
        return {"range": str(self.cidr), "zone": self.zone}


class Subnet(Ec2[SubnetState]):
    """One zone's subnet; its tags hold the role by which load balancers find it.

    https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html, "Subnet tagging".
    """

    kind: ClassVar[str] = "subnet"
    listing: ClassVar = ("describe_subnets", "Subnets", "SubnetId")
    usable: ClassVar[frozenset[str]] = frozenset({"available"})
    failed: ClassVar[frozenset[str]] = frozenset(
        {"failed", "failed-insufficient-capacity", "unavailable"}
    )
    uses: ClassVar[tuple[str, ...]] = ("vpc",)
    vpc: Kind[Clients, VpcState]
    cidr: IPv4Network
    zone: str
    public_addresses: bool = False

    @property
    def details(self) -> Mapping[str, str]:
        return {"range": str(self.cidr), "zone": self.zone}

    @classmethod
    def state(cls, shown: Any) -> SubnetState:
        return SubnetState(
            **cls.common(shown),
            cidr=IPv4Network(shown["CidrBlock"]),
            zone=shown["AvailabilityZone"],
            public_addresses=bool(shown.get("MapPublicIpOnLaunch")),
        )

    def create(self, env: Env[Clients]) -> SubnetState:
        made = env.client.ec2.create_subnet(
            VpcId=env[self.vpc].id,
            CidrBlock=str(self.cidr),
            AvailabilityZone=self.zone,
            TagSpecifications=self.specification(env),
        )
        return self.state(made["Subnet"])

    def edits(self, env: Env[Clients], have: SubnetState) -> Iterator[Edit]:
        change = partial(env.client.ec2.modify_subnet_attribute, SubnetId=have.id)
        assign = partial(change, MapPublicIpOnLaunch={"Value": self.public_addresses})
        yield from fixed("cidr", have.cidr, self.cidr, REPLACE)
        yield from fixed("zone", have.zone, self.zone, REPLACE)
        yield from edit("public addresses", have.public_addresses, self.public_addresses, assign)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: SubnetState) -> Iterator[Occupant]:
        return occupants.in_subnet(scope, have.vpc, have.id)

    def taken(self, env: Env[Clients]) -> Any:
        # two subnets of a VPC cannot have the same range
        vpc = where("vpc-id", env[self.vpc].id)
        return self.first(env, vpc, where("cidr-block", str(self.cidr)))


class InternetGateway(Ec2[Ec2State]):
    """The VPC's way to the internet."""

    kind: ClassVar[str] = "internet-gateway"
    listing: ClassVar = ("describe_internet_gateways", "InternetGateways", "InternetGatewayId")
    uses: ClassVar[tuple[str, ...]] = ("vpc",)
    vpc: Kind[Clients, VpcState]

    @classmethod
    def state(cls, shown: Any) -> Ec2State:
        vpcs = [each["VpcId"] for each in shown["Attachments"] if each["State"] != "detached"]
        return Ec2State(**{**cls.common(shown), "vpc": "".join(vpcs[:1])})

    def create(self, env: Env[Clients]) -> Ec2State:
        made = env.client.ec2.create_internet_gateway(TagSpecifications=self.specification(env))
        return self.state(made["InternetGateway"])

    def edits(self, env: Env[Clients], have: Ec2State) -> Iterator[Edit]:
        vpc = env[self.vpc].id
        attach = partial(env.client.ec2.attach_internet_gateway, InternetGatewayId=have.id)
        if have.vpc:
            yield from fixed("attached to", have.vpc, vpc, f"detach it from {have.vpc}")
        else:
            yield Edit("attached to", None, vpc, partial(attach, VpcId=vpc))

    @classmethod
    def delete(cls, scope: Scope[Clients], have: Ec2State) -> None:
        if have.vpc:
            detach = scope.client.ec2.detach_internet_gateway
            detach(InternetGatewayId=have.id, VpcId=have.vpc)
        super().delete(scope, have)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: Ec2State) -> Iterator[Occupant]:
        return occupants.on_the_internet(scope, have.vpc) if have.vpc else iter(())

    def taken(self, env: Env[Clients]) -> Any:
        # a VPC has one internet gateway at most
        return self.first(env, where("attachment.vpc-id", env[self.vpc].id))


class AddressState(Ec2State):
    """A public address."""

    instance: str = ""
    """the machine somebody gave it to"""


class ElasticIp(Ec2[AddressState]):
    """A public address for a NAT gateway."""

    kind: ClassVar[str] = "elastic-ip"
    listing: ClassVar = ("describe_addresses", "Addresses", "AllocationId")

    @classmethod
    def state(cls, shown: Any) -> AddressState:
        return AddressState(**cls.common(shown), instance=shown.get("InstanceId", ""))

    def create(self, env: Env[Clients]) -> AddressState:
        tags = self.specification(env)
        made = env.client.ec2.allocate_address(Domain="vpc", TagSpecifications=tags)
        return self.state({**made, "Tags": tags[0]["Tags"]})

    @classmethod
    def delete(cls, scope: Scope[Clients], have: AddressState) -> None:
        scope.client.ec2.release_address(AllocationId=have.id)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: AddressState) -> Iterator[Occupant]:
        if have.instance:
            cure = f"associate another address with {have.instance}"
            yield Occupant("instance", have.instance, cure=cure)
        for gateway in NatGateway.found(scope):
            if gateway.address == have.id and gateway.status not in NatGateway.leaving:
                cure = f"aws ec2 delete-nat-gateway --nat-gateway-id {gateway.id} "
                name = (gateway.tags or {}).get("Name", "")
                cure += f"--region {scope.region}"
                yield Occupant("NAT gateway", gateway.id, name, cure)


class NatState(Ec2State):
    """A NAT gateway."""

    subnet: str
    address: str
    """allocation of its Elastic IP address; empty if it has none"""


class NatGateway(Ec2[NatState]):
    """Lets private nodes reach the internet."""

    kind: ClassVar[str] = "nat-gateway"
    type: ClassVar[str] = "natgateway"
    listing: ClassVar = ("describe_nat_gateways", "NatGateways", "NatGatewayId")
    usable: ClassVar[frozenset[str]] = frozenset({"available"})
    failed: ClassVar[frozenset[str]] = frozenset({"failed"})
    leaving: ClassVar[frozenset[str]] = frozenset({"deleting"})
    takes: ClassVar[Durations] = Durations(create=105, delete=60)
    uses: ClassVar[tuple[str, ...]] = ("elastic-ip", "subnet", "internet-gateway")
    subnet: Kind[Clients, SubnetState]
    address: Kind[Clients, Ec2State]

    @classmethod
    def state(cls, shown: Any) -> NatState:
        addresses = [each.get("AllocationId", "") for each in shown["NatGatewayAddresses"]]
        return NatState(
            **cls.common(shown),
            subnet=shown["SubnetId"],
            address="".join(addresses[:1]),
            reason=shown.get("FailureMessage", ""),
        )

    @classmethod
    def found(cls, scope: Scope[Clients], *filters: Any, **parameters: Any) -> Sequence[Any]:
        # EC2 lists a deleted one for an hour
        living = where("state", "pending", "available", "failed", "deleting")
        return super().found(scope, *filters, living, **parameters)

    def create(self, env: Env[Clients]) -> NatState:
        made = env.client.ec2.create_nat_gateway(
            SubnetId=env[self.subnet].id,
            AllocationId=env[self.address].id,
            ClientToken=env.token(self),
            TagSpecifications=self.specification(env),
        )
        return self.state(made["NatGateway"])

    def edits(self, env: Env[Clients], have: NatState) -> Iterator[Edit]:
        yield from fixed("subnet", have.subnet, env[self.subnet].id, REPLACE)
        address = env[self.address].id
        if have.address != address:  # the first address of a gateway stays with it
            yield Edit("address", have.address, address, replace=True)

    def taken(self, env: Env[Clients]) -> Any:
        # one that lost its tags would be paid for beside a second one
        found = self.found(env, where("subnet-id", env[self.subnet].id))
        return next((gateway for gateway in found if gateway.status == "available"), None)

    @classmethod
    def within(cls, have: NatState) -> Mapping[str, str]:
        lies = {"vpc": have.vpc, "subnet": have.subnet, "elastic-ip": have.address}
        return {kind: identifier for kind, identifier in lies.items() if identifier}


class RouteTableState(Ec2State):
    """A route table: where the default route leads, and which subnets use it."""

    default: str | None
    """id of what 0.0.0.0/0 leads to"""
    blackhole: bool
    """what the default route leads to is gone"""
    subnets: Mapping[str, str]
    """subnet id to association id"""


class RouteTable(Ec2[RouteTableState]):
    """Sends what leaves the VPC through a gateway, for the subnets named; None: nowhere."""

    kind: ClassVar[str] = "route-table"
    listing: ClassVar = ("describe_route_tables", "RouteTables", "RouteTableId")
    uses: ClassVar[tuple[str, ...]] = ("vpc",)
    vpc: Kind[Clients, VpcState]
    gateway: Kind[Clients, Ec2State] | None
    subnets: tuple[Kind[Clients, SubnetState], ...]

    @classmethod
    def state(cls, shown: Any) -> RouteTableState:
        routes = (r for r in shown["Routes"] if r.get("DestinationCidrBlock") == EVERYWHERE)
        default: Any = next(routes, {})
        targets = (value for key, value in default.items() if key.endswith("Id"))
        return RouteTableState(
            **cls.common(shown),
            default=next(targets, None),
            blackhole=default.get("State") == "blackhole",
            subnets={
                each["SubnetId"]: each["RouteTableAssociationId"]
                for each in shown["Associations"]
                if each.get("SubnetId")
                and each.get("AssociationState", {}).get("State") != "disassociated"
            },
        )

    def create(self, env: Env[Clients]) -> RouteTableState:
        made = env.client.ec2.create_route_table(
            VpcId=env[self.vpc].id,
            ClientToken=env.token(self),
            TagSpecifications=self.specification(env),
        )
        return self.state(made["RouteTable"])

    def edits(self, env: Env[Clients], have: RouteTableState) -> Iterator[Edit]:
        gateway = env[self.gateway].id if self.gateway else None
        if have.default != gateway or have.blackhole:
            yield Edit("default route", have.default, gateway, lambda: _lead(env, have, gateway))
        missing = frozenset(env.ids(self.subnets)) - have.subnets.keys()
        use = partial(self._use, env, have, missing)
        yield from edit("subnets without it", missing, frozenset(), use)

    def _use(self, env: Env[Clients], have: RouteTableState, subnets: frozenset[str]) -> None:
        """Let these subnets use the table, whatever they used before."""
        ec2 = env.client.ec2
        others = self.found(env, where("association.subnet-id", *subnets))
        used = {subnet: link for table in others for subnet, link in table.subnets.items()}
        for subnet in sorted(subnets):
            if link := used.get(subnet):
                ec2.replace_route_table_association(AssociationId=link, RouteTableId=have.id)
            else:
                ec2.associate_route_table(RouteTableId=have.id, SubnetId=subnet)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: RouteTableState) -> None:
        # a subnet that goes takes its association along; these are of subnets that stay
        for association in have.subnets.values():
            scope.client.ec2.disassociate_route_table(AssociationId=association)
        super().delete(scope, have)

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: RouteTableState) -> Iterator[Occupant]:
        return occupants.using(scope, have.vpc, have.subnets)

    def taken(self, env: Env[Clients]) -> Any:
        # a subnet has one route table; ours may change its subnets (``_use``)
        found = self.found(env, where("association.subnet-id", *env.ids(self.subnets)))
        return next((table for table in found if table.tags.get(CLUSTER) != env.cluster), None)


def _lead(env: Env[Clients], have: RouteTableState, gateway: str | None) -> None:
    """Let the default route lead to this gateway."""
    ec2 = env.client.ec2
    route: dict[str, Any] = {"RouteTableId": have.id, "DestinationCidrBlock": EVERYWHERE}
    if gateway is None:
        ec2.delete_route(**route)
        return
    way = "NatGatewayId" if gateway.startswith("nat-") else "GatewayId"
    change: Any = ec2.replace_route if have.default else ec2.create_route
    change(**route, **{way: gateway})
