"""Durations that moto does not have: NAT gateways and the interfaces of load balancers."""

from __future__ import annotations

import inspect
import time
from typing import Any

from clusterkit_sandbox.emulator import SandboxContext


def error(code: str, message: str) -> Exception:
    """An EC2 error that moto renders."""
    from moto.ec2.exceptions import EC2ClientError

    return EC2ClientError(code, message)


def gateways(backend: Any, current: list[SandboxContext]) -> None:
    """NAT gateways pass through their states, keep client tokens, and stay listed when deleted."""
    make, show = backend.create_nat_gateway, backend.describe_nat_gateways
    signature = inspect.signature(make)

    def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked = signature.bind(self, *args, **kwargs).arguments
        if asked.get("connectivity_type") != "private" and not asked.get("allocation_id"):
            raise error(
                "MissingParameter",
                "The request must include the AllocationId parameter. Add the required parameter "
                "and retry the request.",
            )
        before = set(self.enis)
        try:
            nat = make(self, *args, **kwargs)
        except Exception:
            # moto creates the interface first, and leaks it when the address is in use
            for interface in set(self.enis) - before:
                del self.enis[interface]
            raise
        failed = current[0].faults.terminal("ec2:CreateNatGateway")
        if nat.connectivity_type != "private" and not any(
            getattr(gateway.vpc, "id", None) == nat.vpc_id
            for gateway in self.internet_gateways.values()
        ):
            failed, nat.failure_code = True, "Gateway.NotAttached"
            nat.failure_message = f"Network {nat.vpc_id} has no Internet gateway attached"
        nat.state, nat._eni.status = "pending", "in-use"
        nat._eni.description = f"Interface for NAT Gateway {nat.id}"
        nat.due = time.monotonic() + current[0].pace.seconds("ec2/nat-gateway/create")
        nat.then = "failed" if failed else "available"
        return nat

    def settle(self: Any) -> None:
        for nat in list(self.nat_gateways.values()):
            due = getattr(nat, "due", None)
            if due is not None and due <= time.monotonic():
                nat.state, nat.due = nat.then, None
                if nat.state in ("deleted", "failed"):
                    _release(self, nat)

    def delete(self: Any, nat_gateway_id: str) -> Any:
        nat = self.nat_gateways.get(nat_gateway_id)
        if nat is None:
            raise error("NatGatewayNotFound", f"The Nat Gateway {nat_gateway_id} was not found")
        if nat.state not in ("deleting", "deleted"):
            nat.state = "deleting"
            nat.due = time.monotonic() + current[0].pace.seconds("ec2/nat-gateway/delete")
            nat.then = "deleted"
        settle(self)
        return nat

    def describe(self: Any, filters: Any, nat_gateway_ids: Any) -> Any:
        from moto.ec2.utils import tag_filter_matches

        settle(self)
        for wanted in nat_gateway_ids or []:
            if wanted not in self.nat_gateways:
                raise error("NatGatewayNotFound", f"NAT gateway {wanted} was not found")
        # moto does not implement the filters tag:KEY and tag-key here
        tags = {name: v for name, v in (filters or {}).items() if name.startswith("tag")}
        return [
            nat
            for nat in show(self, filters, nat_gateway_ids)
            if all(tag_filter_matches(nat, name, values) for name, values in tags.items())
        ]

    backend.create_nat_gateway = create
    backend.delete_nat_gateway = delete
    backend.describe_nat_gateways = describe
    backend.settle = settle


def _release(backend: Any, nat: Any) -> None:
    """Release the address of a deleted NAT gateway and remove its interface."""
    backend.enis.pop(nat._eni.id, None)
    held = {item.get("allocationId") for item in nat.address_set}
    for address in backend.addresses:
        if address.allocation_id in held:
            address.association_id = address.eni = None


def balancers(current: list[SandboxContext]) -> None:
    """Load balancers have interfaces in their subnets, which are removed some time after them."""
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
        due = time.monotonic() + current[0].pace.seconds("elb/interfaces/release")
        for interface in ec2.enis.values():
            if interface.description == f"ELB {label}":
                setattr(interface, "due", due)  # noqa: B010 - not moto's own attribute

    classic, end_classic = (
        ELBBackend.create_load_balancer,
        ELBBackend.delete_load_balancer,
    )

    def create(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        found = classic(self, name, *args, **kwargs)
        # moto names them as if there were only one region
        found.dns_name = found.dns_name.replace(".us-east-1.", f".{self.region_name}.")
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
    """Advance NAT gateways and load balancer interfaces; called before every request."""
    ec2.settle()
    now = time.monotonic()
    for identifier, interface in list(ec2.enis.items()):
        if getattr(interface, "due", now + 1) <= now:
            ec2.enis.pop(identifier, None)
