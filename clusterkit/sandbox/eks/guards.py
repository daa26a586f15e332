"""Where moto is kinder than AWS, it is made to refuse.

Each guard names the EC2 error code of AWS ("Error codes for the Amazon EC2 API"). They wrap methods
of moto's backends once per process; moto is pinned to 5.x.
"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable
from typing import Any

from clusterkit.sandbox.emulator import Surroundings

VPCS = 5
ADDRESSES = 5
"""per region (https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html)"""

_current: list[Surroundings] = []
"""the surroundings of the sandbox that runs; moto's backends are the process's, not ours"""


class Limits:
    """The quotas, as a switch; on, as every new account has them."""

    on = True


def install(surroundings: Surroundings) -> None:
    """Guard moto; again for another sandbox in the same process."""
    first = not _current
    _current[:] = [surroundings]
    if first:
        _install()


def _error(code: str, message: str) -> Exception:
    from moto.ec2.exceptions import EC2ClientError

    return EC2ClientError(code, message)


def _dependency(message: str) -> Exception:
    return _error("DependencyViolation", message)


def _install() -> None:
    from moto.ec2.models import EC2Backend

    def before(name: str, check: Callable[[Any, dict[str, Any]], None]) -> None:
        inner = getattr(EC2Backend, name)
        signature = inspect.signature(inner)

        def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
            check(self, signature.bind(self, *args, **kwargs).arguments)
            return inner(self, *args, **kwargs)

        setattr(EC2Backend, name, guarded)

    before("create_vpc", _vpc_quota)
    before("allocate_address", _address_quota)
    before("delete_vpc", _vpc_in_use)
    before("create_subnet", _zone_exists)
    before("delete_subnet", _subnet_in_use)
    before("delete_security_group", _group_in_use)
    before("detach_internet_gateway", _gateway_mapped)
    before("delete_internet_gateway", _gateway_attached)
    before("release_address", _address_in_use)
    before("create_route", _target_exists)
    _nat(EC2Backend)
    _load_balancers()
    _trust()


def _vpc_quota(self: Any, _: dict[str, Any]) -> None:
    if Limits.on and len(self.vpcs) >= VPCS:
        raise _error("VpcLimitExceeded", "The maximum number of VPCs has been reached.")


def _address_quota(self: Any, _: dict[str, Any]) -> None:
    if Limits.on and len(self.addresses) >= ADDRESSES:
        raise _error("AddressLimitExceeded", "The maximum number of addresses has been reached.")


def _vpc_in_use(self: Any, asked: dict[str, Any]) -> None:
    vpc_id = asked["vpc_id"]
    used = (
        any(s.vpc_id == vpc_id for zone in self.subnets.values() for s in zone.values())
        or any(g.vpc and g.vpc.id == vpc_id for g in self.internet_gateways.values())
        or any(e.subnet.vpc_id == vpc_id for e in self.enis.values())
        or any(g.name != "default" for g in self.groups.get(vpc_id, {}).values())
        or any(
            t.vpc_id == vpc_id and t.main_association_id is None for t in self.route_tables.values()
        )
    )
    if used:
        raise _dependency(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")


def _zone_exists(self: Any, asked: dict[str, Any]) -> None:
    availability_zone = asked.get("availability_zone")
    zones = self.describe_availability_zones()
    if availability_zone and availability_zone not in {zone.name for zone in zones}:
        raise _error(
            "InvalidParameterValue",
            f"Value ({availability_zone}) for parameter availabilityZone is invalid. Subnets can "
            f"currently only be created in the following availability zones: "
            f"{', '.join(zone.name for zone in zones)}.",
        )


def _subnet_in_use(self: Any, asked: dict[str, Any]) -> None:
    subnet_id = asked["subnet_id"]
    if any(interface.subnet.id == subnet_id for interface in self.enis.values()):
        raise _dependency(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")


def _group_in_use(self: Any, asked: dict[str, Any]) -> None:
    group_id = asked.get("group_id")
    if group_id is None:
        return
    used = any(group_id in [g.id for g in e.group_set] for e in self.enis.values())
    referred = any(
        pair.get("GroupId") == group_id
        for groups in self.groups.values()
        for other in groups.values()
        if other.id != group_id
        for rule in other.ingress_rules
        for pair in [rule.source_group or {}]
    )
    if used or referred:
        raise _dependency(f"resource {group_id} has a dependent object")


def _gateway_mapped(self: Any, asked: dict[str, Any]) -> None:
    vpc_id = asked["vpc_id"]
    nats = any(n.vpc_id == vpc_id and n.state != "deleted" for n in self.nat_gateways.values())
    balanced = any(
        e.subnet.vpc_id == vpc_id and (e.description or "").startswith("ELB ")
        for e in self.enis.values()
    )
    if nats or balanced:
        raise _dependency(
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public "
            "address(es) before detaching the gateway."
        )


def _gateway_attached(self: Any, asked: dict[str, Any]) -> None:
    internet_gateway_id = asked["internet_gateway_id"]
    gateway = self.internet_gateways.get(internet_gateway_id)
    if gateway is not None and gateway.vpc:
        raise _dependency(
            f"The internetGateway '{internet_gateway_id}' has dependencies and cannot be deleted."
        )


def _address_in_use(self: Any, asked: dict[str, Any]) -> None:
    allocation_id = asked.get("allocation_id")
    for nat in self.nat_gateways.values():
        held = {item.get("allocationId") for item in nat.address_set}
        if nat.state != "deleted" and allocation_id in held:
            raise _error(
                "InvalidIPAddress.InUse",
                f"The address with allocation id [{allocation_id}] is in use.",
            )


def _target_exists(self: Any, asked: dict[str, Any]) -> None:
    nat_gateway_id = asked.get("nat_gateway_id")
    if nat_gateway_id and nat_gateway_id not in self.nat_gateways:
        raise _error(
            "InvalidNatGatewayID.NotFound",
            f"The NAT gateway ID '{nat_gateway_id}' does not exist",
        )


def _nat(backend: Any) -> None:
    """NAT gateways take time to come and go, keep their tokens, and stay listed for a while."""
    make, show = backend.create_nat_gateway, backend.describe_nat_gateways

    def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        nat = make(self, *args, **kwargs)
        failed = _current[0].faults.terminal("ec2:CreateNatGateway")
        nat.state = "pending"
        nat.due = time.time() + _current[0].pace.seconds("ec2/nat-gateway/create")
        nat.then = "failed" if failed else "available"
        return nat

    def settle(self: Any) -> None:
        for nat in list(self.nat_gateways.values()):
            due = getattr(nat, "due", None)
            if due is not None and due <= time.time():
                nat.state, nat.due = nat.then, None
                if nat.state in ("deleted", "failed"):
                    _release(self, nat)

    def delete(self: Any, nat_gateway_id: str) -> Any:
        nat = self.nat_gateways.get(nat_gateway_id)
        if nat is None:
            raise _error("NatGatewayNotFound", f"The Nat Gateway {nat_gateway_id} was not found")
        if nat.state not in ("deleting", "deleted"):
            nat.state = "deleting"
            nat.due = time.time() + _current[0].pace.seconds("ec2/nat-gateway/delete")
            nat.then = "deleted"
        settle(self)
        return nat

    def describe(self: Any, *args: Any, **kwargs: Any) -> Any:
        settle(self)
        return show(self, *args, **kwargs)

    backend.create_nat_gateway = create
    backend.delete_nat_gateway = delete
    backend.describe_nat_gateways = describe
    backend.settle = settle


def _release(backend: Any, nat: Any) -> None:
    """A NAT gateway that is gone holds its address no longer, and its interface is gone."""
    backend.enis.pop(nat._eni.id, None)
    held = {item.get("allocationId") for item in nat.address_set}
    for address in backend.addresses:
        if address.allocation_id in held:
            address.association_id = address.eni = None


def _load_balancers() -> None:
    """Load balancers have interfaces in their subnets, which go some time after them."""
    from moto.ec2.models import ec2_backends
    from moto.elb.models import ELBBackend
    from moto.elbv2.models import ELBv2Backend

    def made(self: Any, label: str, subnets: Any, groups: Any) -> None:
        ec2 = ec2_backends[self.account_id][self.region_name]
        for item in subnets or []:
            subnet = ec2.get_subnet(item) if isinstance(item, str) else item
            interface = ec2.create_network_interface(
                subnet, [], group_ids=list(groups or []), description=f"ELB {label}"
            )
            interface.status = "in-use"

    def gone(self: Any, label: str) -> None:
        ec2 = ec2_backends[self.account_id][self.region_name]
        due = time.time() + _current[0].pace.seconds("elb/interfaces/release")
        for interface in ec2.enis.values():
            if interface.description == f"ELB {label}":
                setattr(interface, "due", due)  # noqa: B010 - not moto's own attribute

    classic, end_classic = (
        ELBBackend.create_load_balancer,
        ELBBackend.delete_load_balancer,
    )

    def create(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        found = classic(self, name, *args, **kwargs)
        made(self, name, found.subnets, found.security_groups)
        return found

    def delete(self: Any, load_balancer_name: str) -> Any:
        answer = end_classic(self, load_balancer_name)
        gone(self, load_balancer_name)
        return answer

    new, end_new = ELBv2Backend.create_load_balancer, ELBv2Backend.delete_load_balancer

    def create_v2(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = new(self, *args, **kwargs)
        made(
            self,
            found.arn.split("loadbalancer/", 1)[1],
            found.subnets,
            found.security_groups,
        )
        return found

    def delete_v2(self: Any, arn: str) -> Any:
        answer = end_new(self, arn)
        gone(self, arn.split("loadbalancer/", 1)[1])
        return answer

    ELBBackend.create_load_balancer, ELBBackend.delete_load_balancer = create, delete  # type: ignore[method-assign]
    ELBv2Backend.create_load_balancer = create_v2  # type: ignore[method-assign]
    ELBv2Backend.delete_load_balancer = delete_v2  # type: ignore[method-assign]


def settle(ec2: Any) -> None:
    """Let NAT gateways and interfaces of load balancers go on; before every request."""
    ec2.settle()
    now = time.time()
    for identifier, interface in list(ec2.enis.items()):
        if getattr(interface, "due", now + 1) <= now:
            ec2.enis.pop(identifier, None)


def _trust() -> None:
    """A trust policy must be JSON with statements."""
    from moto.iam.exceptions import MalformedPolicyDocument
    from moto.iam.models import IAMBackend

    inner = IAMBackend.create_role

    def create_role(
        self: Any, role_name: str, assume_role_policy_document: str, *a: Any, **k: Any
    ) -> Any:
        try:
            document = json.loads(assume_role_policy_document)
            statements = document["Statement"]
            fine = document.get("Version") in ("2012-10-17", "2008-10-17") and bool(statements)
        except (ValueError, KeyError, TypeError):
            fine = False
        if not fine:
            raise MalformedPolicyDocument("This policy contains invalid Json")
        return inner(self, role_name, assume_role_policy_document, *a, **k)

    IAMBackend.create_role = create_role  # type: ignore[method-assign]
