"""Makes moto refuse what AWS refuses.

Each guard names the EC2 error code of AWS ("Error codes for the Amazon EC2 API"). They wrap methods
of moto's backends once per process; moto is pinned to 5.x.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

from clusterkit_sandbox.aws import moto_lifecycle
from clusterkit_sandbox.aws.moto_fixes import (
    associations_go,
    defaults_stay,
    images_are_whole,
    keys_by_id,
    machines_end,
    own_tags_apart,
    policies_once,
    providers_of_identities,
    roles_end_somewhere,
    tags_by_id,
    trust_policies,
)
from clusterkit_sandbox.aws.moto_lifecycle import error
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.kit.quotas import quota

VPCS = 5
ADDRESSES = 5
"""per region (https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html)"""


_current: list[SandboxContext] = []
"""the context of the current sandbox; moto's backends are global to the process"""

_LOCK = threading.Lock()
"""two sandboxes in one process may start at the same time"""

GONE = ("failed", "deleted")
"""states in which a NAT gateway holds no address"""


def install(context: SandboxContext) -> None:
    """Patch moto once, and make this sandbox the current one."""
    with _LOCK:
        if not _current:
            _install()  # first: if it fails, the next request tries again and fails, too
        _current[:] = [context]


def dependency(message: str) -> Exception:
    return error("DependencyViolation", message)


def _install() -> None:
    from moto.ec2.models import EC2Backend
    from moto.ec2.models.launch_templates import LaunchTemplate

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
    before("replace_route", _target_exists)
    before("associate_route_table", _subnet_free)
    before("delete_network_interface", _interface_in_use)
    before("create_launch_template", own_tags_apart)
    associations_go(EC2Backend)
    moto_lifecycle.gateways(EC2Backend, _current)
    moto_lifecycle.balancers(_current)
    # moto always shows the tags a template was created with
    LaunchTemplate.tags = property(lambda self: self.get_tags(), lambda *_: None)  # type: ignore[assignment]
    keys_by_id()
    machines_end()
    defaults_stay()
    roles_end_somewhere()
    images_are_whole()
    policies_once()
    tags_by_id()
    providers_of_identities()
    trust_policies()


def _vpc_quota(self: Any, _: dict[str, Any]) -> None:
    if len(self.vpcs) >= quota(VPCS):
        raise error("VpcLimitExceeded", "The maximum number of VPCs has been reached.")


def _address_quota(self: Any, _: dict[str, Any]) -> None:
    if len(self.addresses) >= quota(ADDRESSES):
        raise error("AddressLimitExceeded", "The maximum number of addresses has been reached.")


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
        or any(e.vpc_id == vpc_id and e.state != "deleted" for e in self.vpc_end_points.values())
        or any(a.vpc_id == vpc_id and not a.default for a in self.network_acls.values())
        or any(
            link.state != "detached"
            for gateway in self.vpn_gateways.values()
            for vpc, link in gateway.attachments.items()
            if vpc == vpc_id
        )
    )
    if used:
        raise dependency(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")


def _zone_exists(self: Any, asked: dict[str, Any]) -> None:
    availability_zone = asked.get("availability_zone")
    zones = self.describe_availability_zones()
    if availability_zone and availability_zone not in {zone.name for zone in zones}:
        raise error(
            "InvalidParameterValue",
            f"Value ({availability_zone}) for parameter availabilityZone is invalid. Subnets can "
            f"currently only be created in the following availability zones: "
            f"{', '.join(zone.name for zone in zones)}.",
        )


def _subnet_in_use(self: Any, asked: dict[str, Any]) -> None:
    subnet_id = asked["subnet_id"]
    if any(interface.subnet.id == subnet_id for interface in self.enis.values()):
        raise dependency(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")


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
        for rule in (*other.ingress_rules, *other.egress_rules)
        for pair in [rule.source_group or {}]
    )
    if used or referred:
        raise dependency(f"resource {group_id} has a dependent object")


def _gateway_mapped(self: Any, asked: dict[str, Any]) -> None:
    vpc_id = asked["vpc_id"]
    nats = any(n.vpc_id == vpc_id and n.state not in GONE for n in self.nat_gateways.values())
    balanced = any(
        e.subnet.vpc_id == vpc_id and (e.description or "").startswith("ELB ")
        for e in self.enis.values()
    )
    mapped = any(a.eni is not None and a.eni.subnet.vpc_id == vpc_id for a in self.addresses)
    if nats or balanced or mapped:
        raise dependency(
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public "
            "address(es) before detaching the gateway."
        )


def _gateway_attached(self: Any, asked: dict[str, Any]) -> None:
    internet_gateway_id = asked["internet_gateway_id"]
    gateway = self.internet_gateways.get(internet_gateway_id)
    if gateway is not None and gateway.vpc:
        raise dependency(
            f"The internetGateway '{internet_gateway_id}' has dependencies and cannot be deleted."
        )


def _address_in_use(self: Any, asked: dict[str, Any]) -> None:
    allocation_id = asked.get("allocation_id")
    for nat in self.nat_gateways.values():
        held = {item.get("allocationId") for item in nat.address_set}
        if nat.state not in GONE and allocation_id in held:
            # EC2's answer for an address that an AWS service holds (kubernetes/kops#938,
            # kubernetes-sigs/cluster-api-provider-aws pkg/cloud/services/network/eips.go)
            raise error(
                "AuthFailure", "You do not have permission to access the specified resource."
            )

    for address in self.addresses:
        if allocation_id == address.allocation_id and address.association_id:
            raise error(
                "InvalidIPAddress.InUse",
                f"The address with allocation id [{allocation_id}] is in use.",
            )


def _interface_in_use(self: Any, asked: dict[str, Any]) -> None:
    interface = self.enis.get(asked["eni_id"])
    if interface is not None and (interface.status == "in-use" or interface.attachment is not None):
        raise error(
            "InvalidParameterValue", f"Network interface '{interface.id}' is currently in use."
        )


def _subnet_free(self: Any, asked: dict[str, Any]) -> None:
    """A subnet has one route table; moto answers with the association there is."""
    table, subnet = asked["route_table_id"], asked.get("subnet_id")
    for other in self.route_tables.values():
        if subnet and other.id != table and subnet in other._associations.values():
            raise error(
                "Resource.AlreadyAssociated",
                f"the specified association for route table {table} conflicts with an existing "
                "association",
            )


def _target_exists(self: Any, asked: dict[str, Any]) -> None:
    nat_gateway_id = asked.get("nat_gateway_id")
    nat = self.nat_gateways.get(nat_gateway_id)
    if nat_gateway_id and (nat is None or nat.state in ("failed", "deleting", "deleted")):
        raise error(
            "InvalidNatGatewayID.NotFound",
            f"The NAT gateway ID '{nat_gateway_id}' does not exist",
        )
    gateway_id = asked.get("gateway_id")
    gateway = self.internet_gateways.get(gateway_id)
    if gateway is None and str(gateway_id).startswith("igw-"):
        raise error("InvalidGatewayID.NotFound", f"The gateway ID '{gateway_id}' does not exist")
    table = self.route_tables.get(asked["route_table_id"])
    if gateway is not None and table is not None and getattr(gateway.vpc, "id", "") != table.vpc_id:
        raise error(
            "InvalidParameterValue",
            f"route table {table.id} and network gateway {gateway.id} belong to different networks",
        )
