"""ECS 2014-05-26: instances and network interfaces, which clusters may leave behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clusterkit_sandbox.alibaba.catalogue import INSTANCE_TYPES
from clusterkit_sandbox.alibaba.failure import Failure, bad, not_emulated
from clusterkit_sandbox.alibaba.models import (
    Instance,
    NetworkInterface,
    SecurityGroup,
    Thing,
    VSwitch,
)
from clusterkit_sandbox.alibaba.nodes import remove_instance
from clusterkit_sandbox.alibaba.service import (
    Call,
    Json,
    asked_for,
    given_tags,
    has_tags,
    iso,
    operation,
    resource_group,
    tag_key_value,
)
from clusterkit_sandbox.kit.wire import parsed


def ids_of(call: Call, field: str) -> list[str]:
    """The ids in a parameter that is a JSON array."""
    try:
        found = parsed(call.get(field, "[]"))
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise bad("InvalidParameter", f"{field} must be a JSON array.")
    return [str(one) for one in found]


def some_of(call: Call, found: Sequence[Thing], most: int) -> tuple[Json, Sequence[Any]]:
    """By token if one of its parameters is there, else by number."""
    if call.get("MaxResults") or call.get("NextToken"):
        token, things = call.slice(found, default=10, most=most)
        return {"NextToken": token, "TotalCount": len(found)}, things
    return call.page(found, most=most)


@operation("ecs:DescribeInstances")
def _instances(call: Call) -> object:
    ids = ids_of(call, "InstanceIds")
    found = [
        i
        for i in call.here(Instance)
        if (not ids or i.id in ids)
        and asked_for(call, VpcId=i.vpc, VSwitchId=i.vswitch, ZoneId=i.zone, InstanceType=i.kind)
        and asked_for(call, SecurityGroupId=i.security_group, KeyPairName=i.key_pair)
        and asked_for(call, InstanceName=i.name, Status=_instance_status(call, i))
        and has_tags(i, call)
    ]
    figures, instances = some_of(call, found, 100)
    described = [
        {
            "InstanceId": i.id,
            "InstanceName": i.name,
            "HostName": i.name,
            "RegionId": i.region,
            "ZoneId": i.zone,
            "InstanceType": i.kind,
            "InstanceTypeFamily": INSTANCE_TYPES[i.kind].family,
            "Cpu": INSTANCE_TYPES[i.kind].cpu,
            "Memory": INSTANCE_TYPES[i.kind].memory * 1024,
            "Status": _instance_status(call, i),
            "CreationTime": iso(i.created),
            "InstanceChargeType": "PostPaid",
            "SpotStrategy": i.spot,
            "KeyPairName": i.key_pair,
            "InstanceNetworkType": "vpc",
            "SecurityGroupIds": {"SecurityGroupId": [i.security_group]},
            "VpcAttributes": {
                "VpcId": i.vpc,
                "VSwitchId": i.vswitch,
                "PrivateIpAddress": {"IpAddress": [i.address]},
            },
            "ResourceGroupId": i.resource_group,
            "Tags": {"Tag": tag_key_value(i.tags)},
        }
        for i in instances
    ]
    return figures | {"Instances": {"Instance": described}}


@operation("ecs:RunInstances")
def _run(call: Call) -> object:
    """Machines of the user's own, without disks; codes of the vendor's RunInstances."""
    if call["InstanceType"] not in INSTANCE_TYPES:
        raise Failure(403, "InvalidInstanceType.ValueNotSupported", "There is no such type.")
    vswitch = call.find(VSwitch, call["VSwitchId"], "InvalidVSwitchId.NotFound")
    group = call.find(SecurityGroup, call["SecurityGroupId"], "InvalidSecurityGroupId.NotFound")
    tags, resources = given_tags(call), resource_group(call)

    def make() -> Json:
        made = []
        for _ in range(call.get("Amount", 1)):
            address = call.store.private_address(vswitch)
            if address is None:
                raise bad("QuotaExceeded.PrivateIpAddress", "The vSwitch has no free address.")
            instance = Instance(
                id=call.store.new_id("i"),
                region=vswitch.region,
                name=call.get("InstanceName", ""),
                tags=dict(tags),
                resource_group=resources,
                kind=call["InstanceType"],
                zone=vswitch.zone,
                vpc=vswitch.vpc,
                vswitch=vswitch.id,
                address=address,
                security_group=group.id,
                key_pair=call.get("KeyPairName", ""),
                spot=call.get("SpotStrategy", "NoSpot"),
                cluster="",
                pool="",
                joined=False,
            )
            made.append(call.store.add(instance).id)
        return {"InstanceIdSets": {"InstanceIdSet": made}}

    return call.once(make)


def _instance_status(call: Call, instance: Instance) -> str:
    return "Starting" if call.store.pending(instance) else "Running"


@operation("ecs:DeleteInstance", "ecs:DeleteInstances")
def _delete_instances(call: Call) -> object:
    """Running machines go by force only (403 ``IncorrectInstanceStatus``, vendor:
    DeleteInstance); a machine of a node pool would be replaced, which is not emulated.
    """
    wanted = call["InstanceId"]
    found = [
        call.find(Instance, i, "InvalidInstanceId.NotFound", "The InstanceId does not exist.")
        for i in ([wanted] if isinstance(wanted, str) else wanted)
    ]
    if any(instance.pool for instance in found):
        raise not_emulated("the deletion of a node pool's machines")
    if found and not call.get("Force", False):
        raise Failure(
            403,
            "IncorrectInstanceStatus",
            "The current status of the resource does not support this operation.",
        )
    for instance in found:
        remove_instance(call.store, instance)
    return {}


@operation("ecs:CreateNetworkInterface")
def _create_interface(call: Call) -> object:
    vswitch = call.find(VSwitch, call["VSwitchId"], "InvalidVSwitchId.NotFound")
    groups = call.get("SecurityGroupIds") or [call.get("SecurityGroupId", "")]
    for group in groups:
        found = call.find(SecurityGroup, group, "InvalidSecurityGroupId.NotFound")
        if found.vpc != vswitch.vpc:
            # the code is not documented
            raise Failure(403, "InvalidSecurityGroupId.NotFound", f"{group} is in another VPC.")
    tags, resources = given_tags(call), resource_group(call)

    def make() -> Json:
        interface = new_interface(call, vswitch, groups)
        interface.name = call.get("NetworkInterfaceName", "")
        interface.description = call.get("Description", "")
        interface.tags, interface.resource_group = tags, resources
        fields = _interface_fields(interface)
        return {k: v for k, v in fields.items() if k not in ("CreationTime", "InstanceId")}

    return call.once(make)


def new_interface(call: Call, vswitch: VSwitch, groups: list[str]) -> NetworkInterface:
    """A network interface in the vSwitch."""
    address = call.get("PrimaryIpAddress")
    if address is not None and not call.store.is_free(vswitch, address):
        # vendor: ECS, RunInstances
        raise bad(
            "InvalidIPAddress.AlreadyUsed",
            "The specified IPAddress is already used by other resource.",
        )
    address = address or call.store.private_address(vswitch)
    if address is None:
        raise Failure(403, "InvalidVSwitchId.IpNotEnough", "The vSwitch has no free address.")
    if len(call.here(NetworkInterface)) >= call.store.conditions.quotas["network-interface"]:
        # vendor: ECS, CreateNetworkInterface
        raise Failure(403, "MaxEniCountExceeded", "The number of ENI exceeds the limit per region.")
    number = call.store.new_hex(6)
    interface = NetworkInterface(
        id=call.store.new_id("eni"),
        region=vswitch.region,
        vpc=vswitch.vpc,
        vswitch=vswitch.id,
        zone=vswitch.zone,
        address=address,
        mac=":".join(("00", "16", "3e", number[:2], number[2:4], number[4:])),
        groups=groups,
    )
    return call.store.add(interface)


def _interface_fields(interface: NetworkInterface) -> Json:
    return {
        "NetworkInterfaceId": interface.id,
        "NetworkInterfaceName": interface.name,
        "Description": interface.description,
        "Type": interface.kind,
        "Status": "InUse" if interface.instance or interface.managed else "Available",
        "VpcId": interface.vpc,
        "VSwitchId": interface.vswitch,
        "ZoneId": interface.zone,
        "PrivateIpAddress": interface.address,
        "MacAddress": interface.mac,
        "SecurityGroupIds": {"SecurityGroupId": interface.groups},
        "ServiceManaged": interface.managed,
        "InstanceId": interface.instance,
        "CreationTime": iso(interface.created),
        "ResourceGroupId": interface.resource_group,
        "Tags": {"Tag": tag_key_value(interface.tags)},
    }


@operation("ecs:DescribeNetworkInterfaces")
def _interfaces(call: Call) -> object:
    ids = call.get("NetworkInterfaceId", [])
    found = [
        i
        for i in call.here(NetworkInterface)
        if (not ids or i.id in ids)
        and asked_for(call, VpcId=i.vpc, VSwitchId=i.vswitch, InstanceId=i.instance)
        and asked_for(call, NetworkInterfaceName=i.name, Type=i.kind, ServiceManaged=i.managed)
        and asked_for(call, Status=_interface_fields(i)["Status"])
        and call.get("SecurityGroupId") in (None, *i.groups)
        and has_tags(i, call)
    ]
    figures, interfaces = some_of(call, found, 500)
    described = [_interface_fields(i) for i in interfaces]
    return figures | {"NetworkInterfaceSets": {"NetworkInterfaceSet": described}}


@operation("ecs:DeleteNetworkInterface")
def _delete_interface(call: Call) -> object:
    interface = call.find(
        NetworkInterface,
        call["NetworkInterfaceId"],
        "InvalidEniId.NotFound",
        "The specified NetworkInterfaceId does not exist.",
    )
    if interface.instance or interface.managed:
        raise bad("InvalidOperation.InvalidEniState", "The interface is in use or not yours.")
    call.store.remove(interface)
    return {}
